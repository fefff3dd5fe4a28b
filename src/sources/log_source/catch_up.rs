//! When reminders may fire: only when the inputs were read to their end as it stood after the deadline.
//!
//! A sign of life may lie unread in the log. So, when a shard's earliest reminder is due, the ends of its inputs are looked up; when
//! everything up to them is in a part, that part says so, and the shard may fire what was due at the time of the look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::decode::ReadState;
use super::owned::{ShardPhase, topic_of};
use super::{LogSource, SourceContext, SourceMsg, SourceState};
use crate::actors::engine::TaskGuard;
use crate::domain::EpochMs;
use crate::domain::inventory::InputTopic;
use crate::log::{LogError, Offset, PartitionId, Reader, Start, Stop, TopicPartition};

/// The records between a position and an end may all be aborted ones; the log says so by then.
const LOOK_WAIT: Duration = Duration::from_millis(200);
/// Unread records that one look takes notice of.
const LOOK_RECORDS: usize = 1_000;

/// How far a partition is with its due reminders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum CatchUp {
    /// Nothing was due when we last looked.
    #[default]
    Quiet,
    /// At this time the inputs ended here, which is not read yet.
    Behind { at_ms: EpochMs, ends: [Offset; InputTopic::ALL.len()] },
    /// Everything that the inputs held at this time has been read.
    Done { at_ms: EpochMs },
}

/// What a look at the ends found, by partition.
#[derive(Debug)]
pub struct Checked(BTreeMap<PartitionId, CatchUp>);

impl CatchUp {
    /// The time that the next part may claim.
    pub fn take(&mut self) -> Option<EpochMs> {
        match *self {
            Self::Done { at_ms } => {
                *self = Self::Quiet;
                Some(at_ms)
            }
            Self::Quiet | Self::Behind { .. } => None,
        }
    }

    /// More was read.
    pub fn read_to(&mut self, read: &ReadState) {
        if let Self::Behind { at_ms, ends } = *self
            && read.next.iter().zip(ends).all(|(next, end)| *next >= end)
        {
            *self = Self::Done { at_ms };
        }
    }

    /// Nothing comes any more: the rest up to the ends may be no records at all, so look again.
    pub fn ask_again(&mut self) {
        if matches!(self, Self::Behind { .. }) {
            *self = Self::Quiet;
        }
    }
}

impl LogSource {
    /// Looks up the ends of the inputs of those partitions that have reminders due.
    pub(super) fn check_reminders(&self, state: &mut SourceState) {
        if state.checking.is_some() {
            return;
        }
        let now_ms = self.clock.now_ms();
        let mut due = BTreeMap::new();
        for (partition, owned) in &state.owned {
            let waits = owned.shard == ShardPhase::Ready && owned.bootstrap.is_none() && owned.catch_up == CatchUp::Quiet;
            let earliest = self.shard(*partition).map(|shard| shard.gauge().earliest_deadline_ms.load(Ordering::Relaxed));
            if waits && earliest.is_some_and(|deadline_ms| deadline_ms <= now_ms) {
                due.insert(*partition, owned.read.next);
            }
        }
        // With a batch under way its shard's earliest reminder may just be firing.
        if due.is_empty() || state.open.is_some() {
            return;
        }
        let (context, round) = (self.0.clone(), state.round);
        state.checking = Some(TaskGuard(tokio::spawn(async move {
            let result = look(&context, now_ms, due).await;
            let _ = context.mailbox.tell(SourceMsg::CaughtUp { round, result });
        })));
    }

    pub(super) fn checked(&self, state: &mut SourceState, result: Result<Checked, LogError>) {
        state.checking = None;
        match result {
            Ok(Checked(found)) => {
                for (partition, mut catch_up) in found {
                    if let Some(owned) = state.owned.get_mut(&partition) {
                        catch_up.read_to(&owned.read);
                        owned.catch_up = catch_up;
                    }
                }
            }
            Err(error) => tracing::warn!(error = %error, "reminders are due, but the ends of the inputs cannot be looked up"),
        }
    }
}

/// What lies between our positions and the ends as they stand now. `at_ms` was read before.
async fn look(
    context: &SourceContext,
    at_ms: EpochMs,
    due: BTreeMap<PartitionId, [Offset; InputTopic::ALL.len()]>,
) -> Result<Checked, LogError> {
    let mut from = Vec::with_capacity(due.len() * InputTopic::ALL.len());
    for (partition, next) in &due {
        for input in InputTopic::ALL {
            from.push((TopicPartition::new(topic_of(input), *partition), Start::Offset(next[input.index()])));
        }
    }
    let mut reader = context.log.reader(&from, Stop::AtEnd).await?;
    // Aborted records and holes are between us and the end as often as not; only a real record means that we are behind.
    let unread = if reader.caught_up() { Vec::new() } else { reader.read(LOOK_RECORDS, LOOK_WAIT).await? };
    let behind: BTreeSet<PartitionId> = unread.iter().map(|record| record.partition).collect();
    let find = |(partition, next): (PartitionId, [Offset; InputTopic::ALL.len()])| {
        let ends = InputTopic::ALL.map(|input| end_of(&*reader, input, partition));
        let nothing_left = reader.caught_up() && !behind.contains(&partition);
        let read = next.iter().zip(ends).all(|(next, end)| *next >= end);
        let found = if nothing_left || read { CatchUp::Done { at_ms } } else { CatchUp::Behind { at_ms, ends } };
        (partition, found)
    };
    Ok(Checked(due.into_iter().map(find).collect()))
}

fn end_of(reader: &dyn Reader, input: InputTopic, partition: PartitionId) -> Offset {
    reader.ends().get(&TopicPartition::new(topic_of(input), partition)).copied().unwrap_or_default()
}
