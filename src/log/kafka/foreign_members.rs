//! Members of our groups that are not KartShoppe. Nothing handles the partitions that they hold, and the positions that they
//! commit there pass over records that nothing has handled.
//!
//! Ours are static members, whose ids the broker begins with the instance id that they gave, which begins with the group's name.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::groups::GroupMemberInfo;

use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// A member of another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForeignMember {
    /// Topics by their names in Kafka, with partitions.
    holds: Vec<String>,
    /// Client id, host and member id.
    id: String,
}

/// Those in a group, by its name in Kafka.
pub(super) fn foreign_in(group: &str, members: &[GroupMemberInfo]) -> Vec<ForeignMember> {
    let ours = format!("{group}-");
    let foreign = members.iter().filter(|member| !member.id().starts_with(&ours));
    foreign
        .map(|member| ForeignMember {
            holds: partitions_in(member.assignment().unwrap_or_default()),
            id: format!("client id {}, host {}, member id {}", member.client_id(), member.client_host(), member.id()),
        })
        .collect()
}

/// What is known of them in the groups of this process.
#[derive(Debug, Default)]
pub(super) struct ForeignMembers {
    state: Mutex<State>,
    alarms: Alarms,
}

#[derive(Debug, Default)]
struct State {
    /// Groups of this process's sessions, without prefix.
    groups: BTreeSet<String>,
    last_found: Vec<String>,
}

impl ForeignMembers {
    pub fn new(alarms: Alarms) -> Self {
        Self { alarms, ..Self::default() }
    }

    /// A session of this process is a member of this group, which is checked from now on.
    pub fn add_group(&self, group: &str) {
        self.state().groups.insert(group.to_owned());
    }

    /// The groups to check.
    pub fn groups(&self) -> BTreeSet<String> {
        self.state().groups.clone()
    }

    /// A check found these in a group, by its name in Kafka: raises or clears the alarm. The last ones stay known after they
    /// left, as what they did may be found later.
    pub fn found(&self, group: &str, foreign: Vec<ForeignMember>) {
        self.alarms.set(About::cause(Cause::GroupMemberForeign), alarm(group, &foreign));
        if !foreign.is_empty() {
            self.state().last_found = foreign.into_iter().map(|member| member.id).collect();
        }
    }

    /// The last ones that were found.
    pub fn last_found(&self) -> Vec<String> {
        self.state().last_found.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn alarm(group: &str, foreign: &[ForeignMember]) -> Option<Alarm> {
    let ids: Vec<&str> = foreign.iter().map(|member| member.id.as_str()).collect();
    let held: Vec<&str> = foreign.iter().flat_map(|member| &member.holds).map(String::as_str).collect();
    let alarm = match (foreign, held.as_slice()) {
        ([], _) => return None,
        (_, []) => Alarm::warns(format!(
            "a consumer that is not a KartShoppe process is a member of the group {group}: move it to another group before \
             partitions are assigned to it"
        )),
        (_, held) => Alarm::blocks(format!(
            "a consumer that is not a KartShoppe process is a member of the group {group} and holds {}: records there are not \
             processed. Stop it, and move it to another group; what it skipped is processed then",
            held.join(", ")
        )),
    };
    Some(alarm.with_detail(ids.join("; ")))
}

/// Reads a consumer's assignment: version, then topics with their partitions, as Kafka's `ConsumerProtocolAssignment` has them.
fn partitions_in(assignment: &[u8]) -> Vec<String> {
    let mut rest = assignment.get(2..).unwrap_or_default();
    let mut held = Vec::new();
    // Of an assignment in another format, what was read so far counts.
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
    fn a_foreign_member_that_holds_partitions_stops_the_shop_and_any_is_named() {
        let member = |holds: &[&str]| ForeignMember {
            holds: holds.iter().map(ToString::to_string).collect(),
            id: "client id console, host /10.0.0.9".to_owned(),
        };
        assert_eq!(alarm("group", &[]), None);
        let idle = alarm("group", &[member(&[])]).unwrap();
        assert!(!idle.blocks && idle.in_full().contains("client id console"));
        let holding = alarm("group", &[member(&["orders/0"]), member(&[])]).unwrap();
        assert!(holding.blocks && holding.text.contains("orders/0") && !holding.text.contains("10.0.0.9"), "{holding:?}");
    }
}
