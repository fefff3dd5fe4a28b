//! Members of our groups that are no KartShoppe: whatever partitions they hold nobody handles, and the positions that they commit there
//! pass over records that nobody has handled.
//!
//! Ours are static members, and a broker begins their ids with the name that they gave, which begins with the group's.

use rdkafka::groups::GroupMemberInfo;

use super::super::LogError;
use super::cluster::Cluster;
use crate::telemetry::alarms::{About, Alarm, Cause};

/// A member of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stranger {
    /// Topics by their names in Kafka, with partitions.
    pub holds: Vec<String>,
    /// Client id, host and member id.
    pub who: String,
}

impl Cluster {
    /// The members of a group that are none of ours.
    pub fn strangers(&self, group: &str) -> Result<Vec<Stranger>, LogError> {
        let (name, ours) = (self.config.prefixed(group), format!("{}-", self.config.prefixed(group)));
        let strangers = |member: &GroupMemberInfo| {
            let who = format!("client id {}, host {}, member id {}", member.client_id(), member.client_host(), member.id());
            let is_stranger = !member.id().starts_with(&ours);
            is_stranger.then(|| Stranger { holds: partitions_in(member.assignment().unwrap_or_default()), who })
        };
        self.with_members(&name, |members| members.iter().filter_map(strangers).collect())
    }

    /// Looks for them in the groups of this process's sessions, and says what they hold up.
    pub fn look_for_strangers(&self) {
        for group in self.board.groups() {
            // Who may not describe the group, or finds no coordinator now, knows as much as before.
            let Ok(strangers) = self.strangers(&group) else { continue };
            self.board.alarms.set(About::cause(Cause::GroupMemberForeign), alarm(&self.config.prefixed(&group), &strangers));
            self.board.met(strangers.into_iter().map(|stranger| stranger.who).collect());
        }
    }
}

fn alarm(group: &str, strangers: &[Stranger]) -> Option<Alarm> {
    let who: Vec<&str> = strangers.iter().map(|stranger| stranger.who.as_str()).collect();
    let held: Vec<&str> = strangers.iter().flat_map(|stranger| &stranger.holds).map(String::as_str).collect();
    let alarm = match (strangers, held.as_slice()) {
        ([], _) => return None,
        (_, []) => Alarm::warns(format!(
            "a consumer that is no KartShoppe is a member of the group {group}: give it another group, before partitions come to it"
        )),
        (_, held) => Alarm::blocks(format!(
            "a consumer that is no KartShoppe is a member of the group {group} and holds {}: nobody handles what comes there. Stop it, \
             and give it another group; what it passed over is handled then",
            held.join(", ")
        )),
    };
    Some(alarm.with_detail(who.join("; ")))
}

/// Reads a consumer's assignment: version, then topics with their partitions, as Kafka's `ConsumerProtocolAssignment` has them.
fn partitions_in(assignment: &[u8]) -> Vec<String> {
    let mut rest = assignment.get(2..).unwrap_or_default();
    let mut held = Vec::new();
    // An assignment that ends early is none that we know.
    let _ = read_topics(&mut rest, &mut held);
    held
}

fn read_topics(rest: &mut &[u8], held: &mut Vec<String>) -> Option<()> {
    for _ in 0..number(rest)? {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (name, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        *rest = after;
        for _ in 0..number(rest)? {
            held.push(format!("{}/{}", String::from_utf8_lossy(name), number(rest)?));
        }
    }
    Some(())
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(i32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_names_its_partitions() {
        let topic = |name: &str, partitions: &[i32]| {
            let mut bytes = u16::try_from(name.len()).unwrap().to_be_bytes().to_vec();
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend(i32::try_from(partitions.len()).unwrap().to_be_bytes());
            bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
            bytes
        };
        let mut bytes = [&[0, 1][..], &2i32.to_be_bytes()].concat();
        bytes.extend(topic("orders", &[0, 3]));
        bytes.extend(topic("updates", &[1]));
        bytes.extend(0i32.to_be_bytes());
        assert_eq!(partitions_in(&bytes), ["orders/0", "orders/3", "updates/1"]);
        assert_eq!(partitions_in(&bytes[..bytes.len() - 9]), ["orders/0", "orders/3"]);
        assert!(partitions_in(&[]).is_empty());
    }

    #[test]
    fn a_stranger_that_holds_partitions_stops_the_shop_and_any_is_named() {
        let stranger = |holds: &[&str]| Stranger {
            holds: holds.iter().map(ToString::to_string).collect(),
            who: "client id console, host /10.0.0.9".to_owned(),
        };
        assert_eq!(alarm("group", &[]), None);
        let idle = alarm("group", &[stranger(&[])]).unwrap();
        assert!(!idle.blocks && idle.in_full().contains("client id console"));
        let holding = alarm("group", &[stranger(&["orders/0"]), stranger(&[])]).unwrap();
        assert!(holding.blocks && holding.text.contains("orders/0") && !holding.text.contains("10.0.0.9"), "{holding:?}");
    }
}
