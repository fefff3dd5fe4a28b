//! One frame of the live stream: the state of the whole process, in a bounded number of bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::FlowSources;
use super::meter::Meter;
use super::nodes::{self, shortest};
use super::picture::{Figure, Reading, edges};
use crate::actors::alert_desk::AlertHandle;
use crate::actors::stats::{ActorEntry, ActorState};
use crate::actors::supervision::{ActorKind, EndCause};
use crate::clock::whole_ms;
use crate::config::RoleName;
use crate::wire::console::live::{Live, LiveCause, LiveEnd, LiveRates, LiveRole};
use crate::wire::topics::Topic;

/// Ends and causes of one frame, and the characters of a cause and of an operator's name.
const ENDS: usize = 5;
const CAUSES: usize = 4;
const CAUSE_CHARS: usize = 160;
const OPERATOR_CHARS: usize = 40;
/// To know whether an alert is still open its product must be read: with many alerts that is not done every second.
const ALERTS_EVERY: Duration = Duration::from_secs(5);

/// How many alerts are open.
#[derive(Debug, Default)]
pub(super) struct AlertCache(Option<(Instant, u64)>);

impl AlertCache {
    pub fn open(&mut self, alerts: &AlertHandle) -> u64 {
        match self.0 {
            Some((at, open)) if at.elapsed() < ALERTS_EVERY => open,
            _ => {
                let open = alerts.open().len() as u64;
                self.0 = Some((Instant::now(), open));
                open
            }
        }
    }
}

/// Reads everything.
pub(super) fn take(sources: &FlowSources, meter: &Meter, open_alerts: u64) -> Live {
    let alarms = sources.alarms.list();
    let ready = !alarms.iter().any(|(_, alarm)| alarm.blocks);
    let mut causes: Vec<LiveCause> = alarms
        .iter()
        .map(|(about, alarm)| LiveCause {
            cause: about.cause.as_str(),
            text: shortest(&alarm.in_full(), CAUSE_CHARS),
            blocks: alarm.blocks,
        })
        .collect();
    causes.sort_by_key(|cause| !cause.blocks);
    let more_causes = causes.len().saturating_sub(CAUSES) as u64;
    causes.truncate(CAUSES);
    let inputs = [Topic::ProductUpdates, Topic::OrderEvents];
    let lag = inputs.into_iter().map(|topic| meter.lag(Reading::Inventory, topic, sources)).sum();
    Live {
        at: sources.clock.now_ms(),
        pid: std::process::id(),
        ready,
        causes,
        more_causes,
        roles: roles(sources),
        rates: LiveRates {
            orders: meter.rate(Figure::Orders),
            events: meter.rate(Figure::Inputs),
            frames: meter.rate(Figure::Frames),
        },
        lag,
        open_alerts,
        ends: ends(sources),
        nodes: nodes::all(sources, meter),
        edges: edges().iter().map(|edge| meter.edge(edge, sources)).collect(),
    }
}

fn roles(sources: &FlowSources) -> Vec<LiveRole> {
    let mut actors: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for entry in sources.directory.list() {
        if let Some(parent) = entry.parent() {
            let (running, all) = actors.entry(parent.to_owned()).or_default();
            *running += u64::from(matches!(entry.state(), ActorState::Running | ActorState::Failing));
            *all += 1;
        }
    }
    let role = |name: RoleName| {
        let entry = sources.directory.role(name)?;
        let (running, actors) = actors.get(&entry.id).copied().unwrap_or_default();
        Some(LiveRole {
            name: name.as_str(),
            state: entry.state(),
            since_ms: entry.since().map(whole_ms),
            incarnation: entry.incarnation(),
            running,
            actors,
            stopped_by: entry.stopped_by().map(|operator| shortest(&operator, OPERATOR_CHARS)),
        })
    };
    RoleName::ALL.into_iter().filter_map(role).collect()
}

/// The newest ends of actors and products; stops together with a role do not count.
fn ends(sources: &FlowSources) -> Vec<LiveEnd> {
    let is_stop = |cause: &str| cause == EndCause::Stopped.as_str();
    let of_actor = |entry: &ActorEntry| {
        let id = entry.id.clone();
        let end = move |end: crate::actors::stats::ActorEnd| LiveEnd {
            actor: id.clone(),
            cause: end.cause,
            ago_ms: end.ago_ms,
            recovery_us: end.recovery_us,
        };
        entry.last_ends(ENDS).into_iter().map(end).collect::<Vec<_>>()
    };
    let of_products = sources.inventory.metrics.newest_product_ends().into_iter().map(|end| LiveEnd {
        actor: format!("{}/{}", ActorKind::Product.as_str(), shortest(end.id.as_str(), 60)),
        cause: end.cause.as_str(),
        ago_ms: whole_ms(end.at.elapsed()),
        recovery_us: None,
    });
    let of_actors = sources.directory.list().into_iter().flat_map(|entry| of_actor(&entry));
    let mut ends: Vec<LiveEnd> = of_actors.chain(of_products).filter(|end| !is_stop(end.cause)).collect();
    ends.sort_by_key(|end| end.ago_ms);
    ends.truncate(ENDS);
    ends
}

/// As JSON of at most so many bytes: the least important parts are left out first.
pub(super) fn encode(mut frame: Live, most: usize) -> Bytes {
    loop {
        let json = serde_json::to_vec(&frame).unwrap_or_default();
        if json.len() <= most {
            return json.into();
        }
        let longest =
            frame.nodes.iter_mut().filter(|node| node.note.is_some()).max_by_key(|node| node.note.as_ref().map(String::len));
        match longest {
            _ if !frame.ends.is_empty() => frame.ends.truncate(frame.ends.len() - 1),
            Some(node) => node.note = None,
            None if frame.causes.len() > 1 => {
                frame.causes.pop();
                frame.more_causes += 1;
            }
            None => match (frame.roles.iter_mut().find(|role| role.stopped_by.is_some()), frame.causes.first_mut()) {
                (Some(role), _) => role.stopped_by = None,
                // One character and the dots do not get shorter.
                (None, Some(cause)) if cause.text.chars().count() > 2 => {
                    cause.text = shortest(&cause.text, cause.text.chars().count() / 2);
                }
                // Cannot happen with our nodes and edges, as the test shows.
                _ => return json.into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::{PARTS, topics};
    use super::*;
    use crate::wire::console::flow::{EdgeFigures, NodeFigures, NodeState};
    use crate::wire::console::live::MAX_BYTES;

    /// Every field as long as it gets.
    fn largest() -> Live {
        let text = || "\u{1f600}".repeat(CAUSE_CHARS);
        let nodes = PARTS.iter().map(|part| part.id).chain(topics().map(Topic::name));
        let node = |id| NodeFigures {
            id,
            state: NodeState::Elsewhere,
            since_ms: Some(9_999_999_999),
            count: Some(99_999_999_999),
            note: Some(nodes::short(&text())),
        };
        Live {
            at: i64::MAX,
            pid: u32::MAX,
            ready: false,
            causes: (0..CAUSES).map(|_| LiveCause { cause: "topic-policy-unknown", text: text(), blocks: true }).collect(),
            more_causes: 99,
            roles: RoleName::ALL
                .map(|role| LiveRole {
                    name: role.as_str(),
                    state: ActorState::Restarting,
                    since_ms: Some(9_999_999_999),
                    incarnation: 99_999_999,
                    running: 999,
                    actors: 999,
                    stopped_by: Some(shortest(&text(), OPERATOR_CHARS)),
                })
                .into(),
            rates: LiveRates { orders: Some(999_999.9), events: Some(999_999.9), frames: Some(99_999_999.9) },
            lag: Some(99_999_999_999),
            open_alerts: 100_000,
            ends: (0..ENDS)
                .map(|_| LiveEnd { actor: text(), cause: "cancelled", ago_ms: 9_999_999_999, recovery_us: Some(9_999_999_999) })
                .collect(),
            nodes: nodes.map(node).collect(),
            edges: edges().iter().map(|_| EdgeFigures { rate: Some(99_999.9), lag: Some(99_999_999) }).collect(),
        }
    }

    #[test]
    fn the_largest_frame_keeps_to_its_bytes_and_says_what_blocks() {
        let frame = encode(largest(), MAX_BYTES);
        assert!(frame.len() <= MAX_BYTES, "{}", frame.len());
        let frame: serde_json::Value = serde_json::from_slice(&frame).unwrap();
        assert_eq!(frame["nodes"].as_array().unwrap().len(), PARTS.len() + topics().count());
        assert_eq!(frame["edges"].as_array().unwrap().len(), edges().len());
        let causes = frame["causes"].as_array().unwrap().len();
        assert!(causes >= 1, "{frame}");
        assert_eq!(frame["moreCauses"].as_u64().unwrap() as usize + causes, 99 + CAUSES);
    }
}
