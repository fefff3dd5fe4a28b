//! Polls the session, and decodes what it brings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::decode::{DecodedChunk, LogShape, ReadProgress, decode};
use super::owned_partition::OwnedPartition;
use super::state::{LogSource, PollResult, SourceContext, SourceMsg, SourceState};
use crate::log::{LogError, PartitionId, Polled, Record, Session};

/// Wait for records in one poll of a quiet log; reminders are checked in between.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// Records of one poll: some 2 ms of decoding, so that reading and writing overlap.
const POLL_RECORDS: usize = 2_000;
/// A chunk of more records is decoded on a blocking thread.
const DECODE_INLINE: usize = 200;

impl LogSource {
    /// Polls for more records, unless a full batch is pending already.
    pub(super) fn poll(&self, state: &mut SourceState, session: Arc<dyn Session>) {
        let room = state.pending.room(self.batch_max_records);
        if state.polling.is_some() || !state.leaving.is_empty() || room == 0 {
            return;
        }
        let (context, epoch, rewinds, poll) = (self.0.clone(), state.epoch, state.rewinds, state.polls);
        state.polls += 1;
        let read = state.owned.iter().map(|(partition, owned)| (*partition, owned.read)).collect();
        let task = tokio::spawn(async move {
            let result = fetch(&context, &*session, room.min(POLL_RECORDS), read).await;
            let _ = context.mailbox.tell(SourceMsg::Polled { epoch, rewinds, poll, result });
        });
        state.polling = Some((poll, AbortOnDropHandle::new(task)));
    }

    /// Takes the result of a poll. Records read before a rewind are dropped, assignments never are.
    pub(super) fn polled(&self, state: &mut SourceState, rewinds: u64, poll: u64, result: Result<PollResult, LogError>) {
        let current = rewinds == state.rewinds;
        state.polling.take_if(|(under_way, _)| *under_way == poll);
        match result {
            Ok(PollResult::Records(decoded)) if current => self.take_in(state, decoded),
            // They will be read again: the session was rewound after this poll.
            Ok(PollResult::Records(_)) => {}
            Ok(PollResult::Idle) => {
                self.metrics.trouble.store(None);
                state.owned.values_mut().for_each(|owned| owned.catch_up.check_again());
            }
            Ok(PollResult::Assigned(assignments)) => {
                for assignment in assignments {
                    tracing::info!(kartshoppe.shard = assignment.partition, "a partition was assigned to this process");
                    let first = state.first.get(&assignment.partition).copied().unwrap_or_default();
                    state
                        .owned
                        .insert(assignment.partition, OwnedPartition::new(assignment, self.bootstrap_file.is_some(), first));
                }
                self.metrics.assigned.store(state.owned.len(), Ordering::Relaxed);
                self.metrics.trouble.store(None);
            }
            Ok(PollResult::Gone(partitions)) => state.leaving.extend(partitions),
            Err(error @ (LogError::Fenced { .. } | LogError::Closed)) => self.halt(state, &error),
            Err(error) => {
                let wait = self.wait_after(state, &error, "the event log cannot be polled");
                self.pause(state, wait);
            }
        }
    }

    /// Waits, then continues as after an idle poll.
    fn pause(&self, state: &mut SourceState, wait: Duration) {
        let (epoch, rewinds, poll) = (state.epoch, state.rewinds, state.polls);
        state.polls += 1;
        let message = SourceMsg::Polled { epoch, rewinds, poll, result: Ok(PollResult::Idle) };
        state.polling = Some((poll, AbortOnDropHandle::new(self.mailbox.tell_after(wait, message))));
    }
}

/// One poll, decoded.
async fn fetch(
    context: &SourceContext,
    session: &dyn Session,
    max_records: usize,
    read: BTreeMap<PartitionId, ReadProgress>,
) -> Result<PollResult, LogError> {
    Ok(match session.poll(max_records, POLL_WAIT).await? {
        Polled::Idle => PollResult::Idle,
        Polled::Records(records) => PollResult::Records(decode_beside(context, records, read).await?),
        Polled::Assigned(assignments) => PollResult::Assigned(assignments),
        Polled::Revoked(partitions) | Polled::Lost(partitions) => PollResult::Gone(partitions),
    })
}

async fn decode_beside(
    context: &SourceContext,
    records: Vec<Record>,
    read: BTreeMap<PartitionId, ReadProgress>,
) -> Result<DecodedChunk, LogError> {
    let shape = LogShape { partitions: context.log.partitions(), record_limit: context.log.record_limit() };
    let now_ms = context.clock.now_ms();
    if records.len() <= DECODE_INLINE {
        return Ok(decode(records, read, shape, now_ms));
    }
    let decoding = tokio::task::spawn_blocking(move || decode(records, read, shape, now_ms));
    decoding.await.map_err(|error| LogError::Unavailable(format!("a chunk could not be decoded: {error}")))
}
