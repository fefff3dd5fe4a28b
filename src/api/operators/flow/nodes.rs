//! The state of the nodes, from the directory of actors, the raised alarms and the last measurement.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::FlowSources;
use super::meter::Meter;
use super::picture::{API, OTHERS, PAGES, PARTS, POSTGRES, Part, SHARDS, WAL_READER, topics};
use crate::actors::stats::{ActorEntry, ActorState};
use crate::clock::whole_ms;
use crate::sources::wal::Phase;
use crate::telemetry::alarms::{About, Alarm, Cause};
use crate::wire::console::flow::{NodeFigures, NodeState};
use crate::wire::topics::Topic;

/// Characters of a note.
const NOTE_MAX: usize = 120;

/// Every node, topics behind the parts.
pub(super) fn all(sources: &FlowSources, meter: &Meter) -> Vec<NodeFigures> {
    let (entries, alarms) = (sources.directory.list(), sources.alarms.list());
    let seen = Seen { sources, meter, entries, alarms };
    PARTS.iter().map(|part| seen.part(part)).chain(topics().map(|topic| seen.topic(topic))).collect()
}

struct Seen<'a> {
    sources: &'a FlowSources,
    meter: &'a Meter,
    entries: Vec<Arc<ActorEntry>>,
    alarms: Vec<(About, Alarm)>,
}

impl Seen<'_> {
    fn part(&self, part: &Part) -> NodeFigures {
        let node = |state, note| NodeFigures { id: part.id, state, since_ms: None, count: None, note };
        match part.id {
            POSTGRES => self.postgres(),
            OTHERS => node(NodeState::Running, None),
            PAGES => {
                // They come and go with the listener.
                let listener = PARTS.iter().find(|part| part.id == API).map(|api| self.actors(api));
                let state = listener.map_or(NodeState::Unknown, |listener| listener.state);
                NodeFigures { count: Some(self.sources.fanout.pages()), ..node(state, None) }
            }
            SHARDS => {
                let live = self.sources.inventory.shards.iter().map(|shard| shard.gauge().live.load(Ordering::Relaxed)).sum();
                NodeFigures { count: Some(live), ..self.actors(part) }
            }
            WAL_READER => self.wal_reader(part),
            _ => self.actors(part),
        }
    }

    fn actors(&self, part: &Part) -> NodeFigures {
        let actors: Vec<&Arc<ActorEntry>> = self.entries.iter().filter(|entry| part.kinds.contains(&entry.kind)).collect();
        let states: Vec<ActorState> = actors.iter().map(|entry| entry.state()).collect();
        let has = |state| states.contains(&state);
        let role = part.role.and_then(|role| self.sources.directory.role(role));
        // A role that was started later belongs to this process, too.
        let was_started = role.as_ref().is_some_and(|role| role.incarnation() > 0);
        let is_ours = was_started || part.role.is_none_or(|role| self.sources.roles.contains(&role));
        let all_run = !states.is_empty() && states.iter().all(|state| *state == ActorState::Running);
        let state = if has(ActorState::Failing) {
            NodeState::Failing
        } else if all_run {
            NodeState::Running
        } else if has(ActorState::Restarting) || has(ActorState::Running) {
            // Some are running, others are not yet.
            NodeState::Starting
        } else if is_ours && !was_started && role.as_ref().is_some_and(|role| role.stopped_by().is_none()) {
            // The roles of a process start one after the other.
            NodeState::Starting
        } else if is_ours {
            NodeState::Stopped
        } else {
            NodeState::Elsewhere
        };
        let running = states.iter().filter(|state| matches!(state, ActorState::Running | ActorState::Failing)).count();
        let partly = running > 0 && running < states.len();
        let failure = actors.iter().filter(|entry| entry.state() == ActorState::Failing).find_map(|entry| {
            let end = entry.last_ends(1).pop()?;
            Some(format!("{}: {}", entry.id, end.reason.as_deref().unwrap_or(end.cause)))
        });
        let note = failure.or_else(|| partly.then(|| format!("{running} of {} run", states.len())));
        let since = actors.iter().filter_map(|entry| entry.since()).min();
        NodeFigures { id: part.id, state, since_ms: since.map(whole_ms), count: None, note: note.map(|note| short(&note)) }
    }

    fn wal_reader(&self, part: &Part) -> NodeFigures {
        let (node, report) = (self.actors(part), self.sources.wal.report());
        let state = match report.phase {
            Phase::Alarm { .. } => NodeState::Failing,
            Phase::Starting { error: Some(_) } if node.state != NodeState::Failing => NodeState::Starting,
            Phase::Starting { .. } | Phase::FirstStart if node.state == NodeState::Running => NodeState::Starting,
            Phase::WaitingForSlot { .. } if node.state == NodeState::Running => NodeState::Standby,
            Phase::Stopped | Phase::Starting { .. } | Phase::WaitingForSlot { .. } | Phase::FirstStart | Phase::Streaming => {
                node.state
            }
        };
        let is_plain = matches!(report.phase, Phase::Stopped | Phase::Streaming);
        let note = if is_plain { node.note.clone() } else { Some(short(&report.sentence())) };
        NodeFigures { state, note, ..node }
    }

    fn postgres(&self) -> NodeFigures {
        let alarm = self.alarm(|about| {
            matches!(about.cause, Cause::Database | Cause::DatabaseReadOnly | Cause::DatabaseBehind | Cause::DatabaseMigration)
        });
        let state = match (alarm, self.meter.database_answers) {
            (Some(_), _) | (None, Some(false)) => NodeState::Failing,
            (None, Some(true)) => NodeState::Running,
            (None, None) => NodeState::Unknown,
        };
        let silent = (self.meter.database_answers == Some(false)).then(|| "no answer".to_owned());
        let note = alarm.map(|alarm| short(&alarm.text)).or(silent);
        NodeFigures { id: POSTGRES, state, since_ms: None, count: None, note }
    }

    fn topic(&self, topic: Topic) -> NodeFigures {
        let alarm = self.alarm(|about| about.topic.as_deref().is_some_and(|name| name.ends_with(topic.name())));
        let of_log = self.alarm(|about| matches!(about.cause, Cause::EventLog | Cause::DiskFull | Cause::LogMoved));
        let count = self.meter.records(topic);
        let (state, note) = match (alarm, self.meter.log_answers()) {
            (Some(alarm), _) => (NodeState::Failing, Some(short(&alarm.text))),
            (None, Some(true)) if count.is_none() => (NodeState::Failing, Some("the topic is missing".to_owned())),
            (None, Some(true)) if of_log.is_none() => (NodeState::Running, None),
            (None, None) => (NodeState::Unknown, None),
            // The note is the same for all of them, and stands among the causes.
            (None, Some(_)) => (NodeState::Failing, None),
        };
        NodeFigures { id: topic.name(), state, since_ms: None, count, note }
    }

    /// An alarm about something that does not work, as opposed to the expected ones of a start.
    fn alarm(&self, is_about: impl Fn(&About) -> bool) -> Option<&Alarm> {
        let found = self.alarms.iter().find(|(about, _)| !about.cause.is_expected() && is_about(about));
        found.map(|(_, alarm)| alarm)
    }
}

/// The beginning of a text that must not fill a frame.
pub(super) fn short(text: &str) -> String {
    shortest(text, NOTE_MAX)
}

/// At most so many characters.
pub(super) fn shortest(text: &str, most: usize) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let head: String = chars.by_ref().take(most).collect();
    if chars.next().is_some() { format!("{head}…") } else { head }
}
