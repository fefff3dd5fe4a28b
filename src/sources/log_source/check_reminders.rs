//! When reminders may fire: only after the inputs were read to their end as it was after the deadline.
//!
//! A sign of life may lie unread in the log. So, when a shard's earliest reminder is due, the ends of its inputs are looked up.
//! The part that completes the records up to these ends says so, and its shard may fire what was due at the time of the check.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::catch_up::{CatchUp, CatchUpChecks};
use super::decode::ReadProgress;
use super::owned_partition::ShardPhase;
use super::state::{LogSource, SourceContext, SourceMsg, SourceState};
use crate::domain::EpochMs;
use crate::domain::inventory::{InputTopic, PerInput};
use crate::log::{LogError, Offset, PartitionId, Reader, Start, Stop, TopicPartition};

/// All records between a position and an end may be aborted; a read takes this long to find that out.
const CHECK_WAIT: Duration = Duration::from_millis(200);
/// Unread records that one check reads at most.
const CHECK_RECORDS: usize = 1_000;

impl LogSource {
    /// Looks up the ends of the inputs of the partitions that have reminders due.
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
                due.insert(*partition, owned.read);
            }
        }
        // While a batch is under way, its shard's earliest reminder may be firing in it.
        if due.is_empty() || !state.batch.is_settled() {
            return;
        }
        let (context, rewinds) = (self.0.clone(), state.rewinds);
        state.checking = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let result = check(&context, now_ms, due).await;
            let _ = context.mailbox.tell(SourceMsg::RemindersChecked { rewinds, result });
        })));
    }

    pub(super) fn reminders_checked(&self, state: &mut SourceState, result: Result<CatchUpChecks, LogError>) {
        state.checking = None;
        match result {
            Ok(CatchUpChecks(found)) => {
                for (partition, mut catch_up) in found {
                    if let Some(owned) = state.owned.get_mut(&partition) {
                        catch_up.read_to(&owned.read);
                        owned.catch_up = catch_up;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, "reminders are due, but the ends of the inputs cannot be read; trying again")
            }
        }
    }
}

/// Whether there are records between our positions and the current ends. `at_ms` was read before the ends.
async fn check(
    context: &SourceContext,
    at_ms: EpochMs,
    due: BTreeMap<PartitionId, ReadProgress>,
) -> Result<CatchUpChecks, LogError> {
    let mut from = Vec::with_capacity(due.len() * InputTopic::ALL.len());
    for (partition, read) in &due {
        for (input, next) in read.next.iter() {
            from.push((TopicPartition::new(input.into(), *partition), Start::Offset(*next)));
        }
    }
    let mut reader = context.log.reader(&from, Stop::AtEnd).await?;
    // Often only aborted records or gaps are left before the end: only a real record means that we are behind.
    let unread = if reader.caught_up() { Vec::new() } else { reader.read(CHECK_RECORDS, CHECK_WAIT).await? };
    let behind: BTreeSet<PartitionId> = unread.iter().map(|record| record.partition).collect();
    let find = |(partition, read): (PartitionId, ReadProgress)| {
        let ends = PerInput::from_fn(|input| end_of(&*reader, input, partition));
        let nothing_left = reader.caught_up() && !behind.contains(&partition);
        let found =
            if nothing_left || read.has_reached(&ends) { CatchUp::Done { at_ms } } else { CatchUp::Behind { at_ms, ends } };
        (partition, found)
    };
    Ok(CatchUpChecks(due.into_iter().map(find).collect()))
}

fn end_of(reader: &dyn Reader, input: InputTopic, partition: PartitionId) -> Offset {
    reader.ends().get(&TopicPartition::new(input.into(), partition)).copied().unwrap_or_default()
}
