//! The source's dealings with its session: open, poll, rewind, and what the log says of partitions and commits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::dispatch::Pending;
use super::owned::{Owned, ShardPhase, topic_of};
use super::{Decoded, Fetched, LogShape, LogSource, Opened, ReadState, SourceContext, SourceMsg, SourceState, decode};
use crate::actors::engine::TaskGuard;
use crate::bugs::{self, Bug};
use crate::domain::inventory::InputTopic;
use crate::log::{Batch, LogError, Offset, PartitionId, Polled, Record, Session, TopicPartition};

/// A quiet log is asked again after this, so that reminders are looked at in between.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// Records of one poll: some 2 ms of decoding, so that reading and writing overlap.
const POLL_RECORDS: usize = 2_000;
/// A chunk of more records is decoded beside the async workers.
const DECODE_INLINE: usize = 200;

impl LogSource {
    /// Starts over with a new session, which fences the old one; everything that was owned will be assigned anew.
    pub(super) fn open_session(&self, state: &mut SourceState, wait: Duration) {
        for partition in state.owned.keys() {
            // A shard that is gone has nothing to abandon.
            let _ = self.shard(*partition).map(|shard| shard.abandon());
        }
        let (generation, round, failures) = (state.generation + 1, state.round + 1, std::mem::take(&mut state.failures));
        *state = SourceState { generation, round, failures, bootstrap: state.bootstrap.take(), ..SourceState::default() };
        self.metrics.assigned.store(0, Ordering::Relaxed);
        let context = self.0.clone();
        state.opening = Some(TaskGuard(tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let result = open(&context).await;
            let _ = context.mailbox.tell(SourceMsg::Opened { generation, result });
        })));
    }

    pub(super) fn opened(&self, state: &mut SourceState, result: Result<Opened, LogError>) {
        state.opening = None;
        match result {
            Ok(Opened { session, first }) => {
                state.session = Some(session);
                state.first = first;
            }
            Err(error @ LogError::Fenced { .. }) => self.halt(state, &error),
            Err(error) => {
                let wait = self.wait_after(state, &error, "the inventory cannot open its session on the event log");
                self.open_session(state, wait);
            }
        }
    }

    /// Asks for more, unless a batch full is waiting already.
    pub(super) fn poll(&self, state: &mut SourceState, session: Arc<dyn Session>) {
        let room = state.pending.room(self.batch_max_records);
        if state.polling.is_some() || !state.leaving.is_empty() || room == 0 {
            return;
        }
        let (context, generation, round, poll) = (self.0.clone(), state.generation, state.round, state.polls);
        state.polls += 1;
        let read = state.owned.iter().map(|(partition, owned)| (*partition, owned.read)).collect();
        let task = tokio::spawn(async move {
            let result = fetch(&context, &*session, room.min(POLL_RECORDS), read).await;
            let _ = context.mailbox.tell(SourceMsg::Polled { generation, round, poll, result });
        });
        state.polling = Some((poll, TaskGuard(task)));
    }

    /// Takes what a poll brought. Records of an earlier round are void, news of partitions never is.
    pub(super) fn polled(&self, state: &mut SourceState, round: u64, poll: u64, result: Result<Fetched, LogError>) {
        let current = round == state.round;
        state.polling.take_if(|(under_way, _)| *under_way == poll);
        match result {
            Ok(Fetched::Records(decoded)) if current => self.take_in(state, decoded),
            // They will be read again: the session was rewound after they were.
            Ok(Fetched::Records(_)) => {}
            Ok(Fetched::Idle) => {
                self.metrics.trouble.store(None);
                state.owned.values_mut().for_each(|owned| owned.catch_up.ask_again());
            }
            Ok(Fetched::Assigned(assignments)) => {
                for assignment in assignments {
                    tracing::info!(kartshoppe.shard = assignment.partition, "a partition was assigned to this process");
                    let first = state.first.get(&assignment.partition).copied().unwrap_or_default();
                    state.owned.insert(assignment.partition, Owned::new(assignment, self.bootstrap_file.is_some(), first));
                }
                self.metrics.assigned.store(state.owned.len(), Ordering::Relaxed);
                self.metrics.trouble.store(None);
            }
            Ok(Fetched::Gone(partitions)) => state.leaving.extend(partitions),
            Err(error @ (LogError::Fenced { .. } | LogError::Closed)) => self.halt(state, &error),
            Err(error) => {
                let wait = self.wait_after(state, &error, "the event log cannot be polled");
                self.pause(state, wait);
            }
        }
    }

    /// Partitions that are somebody else's now.
    pub(super) fn let_go(&self, state: &mut SourceState) {
        if state.leaving.is_empty() {
            return;
        }
        for partition in std::mem::take(&mut state.leaving) {
            state.owned.remove(&partition);
            state.pending.forget(partition);
            let _ = self.shard(partition).map(|shard| shard.release());
        }
        self.metrics.assigned.store(state.owned.len(), Ordering::Relaxed);
    }

    /// The batch that was open is void: back to what is committed.
    pub(super) fn go_back(&self, state: &mut SourceState, wait: Duration) {
        state.round += 1;
        state.pending = Pending::default();
        state.checking = None;
        for (partition, owned) in &mut state.owned {
            owned.go_back();
            let _ = self.shard(*partition).map(|shard| shard.abandon());
        }
        state.rewind_wanted = (!bugs::is(Bug::RewindForgotten)).then_some(wait);
    }

    /// Rewinds the session, with no poll under way.
    pub(super) fn rewind(&self, state: &mut SourceState, session: Arc<dyn Session>, wait: Duration) {
        let (context, generation) = (self.0.clone(), state.generation);
        let partitions: Vec<PartitionId> = state.owned.keys().copied().collect();
        let corrected = |(partition, owned): (&PartitionId, &mut Owned)| {
            let partition = *partition;
            owned.take_corrected().into_iter().map(move |(topic, position)| (TopicPartition::new(topic, partition), position))
        };
        let corrections = Batch { positions: state.owned.iter_mut().flat_map(corrected).collect(), ..Batch::default() };
        let polling = state.polling.take();
        state.rewinding = Some(TaskGuard(tokio::spawn(async move {
            if let Some((_, mut polling)) = polling {
                polling.0.abort();
                // It has ended one way or the other; what it brought, if anything, is in the mailbox.
                let _ = (&mut polling.0).await;
            }
            tokio::time::sleep(wait).await;
            let result = go_back_to(&*session, corrections, &partitions).await;
            let _ = context.mailbox.tell(SourceMsg::Rewound { generation, result });
        })));
    }

    pub(super) fn rewound(&self, state: &mut SourceState, result: Result<(), LogError>) {
        state.rewinding = None;
        if let Err(error @ (LogError::Fenced { .. } | LogError::Closed)) = &result {
            self.halt(state, error);
        } else if let Err(error) = result {
            let wait = self.wait_after(state, &error, "the inventory cannot go back to its committed positions");
            self.open_session(state, wait);
        }
    }

    /// A commit failed. Only an abort is sure to have written nothing; anything else is followed by a new assignment.
    pub(super) fn commit_failed(&self, state: &mut SourceState, error: &LogError) {
        match error {
            LogError::Fenced { .. } | LogError::Closed => self.halt(state, error),
            LogError::Aborted(_) | LogError::Full { .. } | LogError::Unusable { .. } => {
                let wait = self.wait_after(state, error, "a commit was aborted and is tried again");
                self.go_back(state, wait);
            }
            LogError::Unavailable(_)
            | LogError::Deadline { .. }
            | LogError::OutOfRange { .. }
            | LogError::UnknownTopic(_)
            | LogError::InUse { .. }
            | LogError::Refused(_) => {
                tracing::warn!(error = %error, "what became of a commit is unknown: the partitions will be assigned anew");
                state.round += 1;
                state.pending = Pending::default();
                for (partition, owned) in &mut state.owned {
                    owned.go_back();
                    owned.shard = ShardPhase::Unclear;
                    let _ = self.shard(*partition).map(|shard| shard.abandon());
                }
            }
        }
    }

    /// Somebody else has our identity, or the log is closed: to go on would only fence them in turn.
    fn halt(&self, state: &mut SourceState, error: &LogError) {
        tracing::error!(error = %error, "the inventory stands still");
        if matches!(error, LogError::Fenced { .. }) {
            let why = format!(
                "{error}: another process has the name of this one. Give each a KARTSHOPPE__INSTANCE of its own, or leave it out and \
                 give each a KARTSHOPPE__DATA_DIR of its own, then start this one again"
            );
            self.metrics.trouble.store(Some(Arc::new(why.clone())));
            self.fenced.send_replace(Some(why));
        } else {
            self.metrics.trouble.store(Some(Arc::new(format!("the inventory stands still: {error}"))));
        }
        self.open_nothing(state);
    }

    fn open_nothing(&self, state: &mut SourceState) {
        for partition in state.owned.keys() {
            let _ = self.shard(*partition).map(|shard| shard.release());
        }
        *state = SourceState { generation: state.generation + 1, halted: true, ..SourceState::default() };
        self.metrics.assigned.store(0, Ordering::Relaxed);
    }

    /// Logs the trouble and says how long to wait before the next try.
    fn wait_after(&self, state: &mut SourceState, error: &LogError, what: &'static str) -> Duration {
        tracing::warn!(error = %error, "{what}");
        self.metrics.trouble.store(Some(Arc::new(format!("{what}: {error}"))));
        state.failures.next_wait(&self.restart, Instant::now(), rand::random())
    }

    /// Nothing for a while, then as if a poll had brought nothing.
    fn pause(&self, state: &mut SourceState, wait: Duration) {
        let (generation, round, poll) = (state.generation, state.round, state.polls);
        state.polls += 1;
        let message = SourceMsg::Polled { generation, round, poll, result: Ok(Fetched::Idle) };
        state.polling = Some((poll, TaskGuard(self.mailbox.tell_after(wait, message))));
    }
}

/// Commits positions that are to be put right, and goes back to those that are committed.
async fn go_back_to(session: &dyn Session, corrections: Batch, partitions: &[PartitionId]) -> Result<(), LogError> {
    if !corrections.positions.is_empty() {
        session.commit(corrections).await?;
    }
    session.rewind(partitions).await
}

async fn open(context: &SourceContext) -> Result<Opened, LogError> {
    let session = Arc::from(context.log.session(context.session.clone()).await?);
    let mut first: BTreeMap<PartitionId, [Offset; InputTopic::ALL.len()]> = BTreeMap::new();
    for info in context.log.topics().await? {
        let Some(input) = InputTopic::ALL.into_iter().find(|input| topic_of(*input) == info.topic) else { continue };
        for (partition, place) in (0..).zip(info.partitions) {
            first.entry(partition).or_default()[input.index()] = place.start;
        }
    }
    Ok(Opened { session, first })
}

/// One poll, decoded. Whatever it brings but records reaches the mailbox even if the poll was called off meanwhile.
async fn fetch(
    context: &SourceContext,
    session: &dyn Session,
    max_records: usize,
    read: BTreeMap<PartitionId, ReadState>,
) -> Result<Fetched, LogError> {
    Ok(match session.poll(max_records, POLL_WAIT).await? {
        Polled::Idle => Fetched::Idle,
        Polled::Records(records) => Fetched::Records(decode_beside(context, records, read).await?),
        Polled::Assigned(assignments) => Fetched::Assigned(assignments),
        Polled::Revoked(partitions) | Polled::Lost(partitions) => Fetched::Gone(partitions),
    })
}

async fn decode_beside(
    context: &SourceContext,
    records: Vec<Record>,
    read: BTreeMap<PartitionId, ReadState>,
) -> Result<Decoded, LogError> {
    let shape = LogShape { partitions: context.log.partitions(), record_limit: context.log.record_limit() };
    let now_ms = context.clock.now_ms();
    if records.len() <= DECODE_INLINE {
        return Ok(decode(records, read, shape, now_ms));
    }
    let decoding = tokio::task::spawn_blocking(move || decode(records, read, shape, now_ms));
    decoding.await.map_err(|error| LogError::Unavailable(format!("a chunk could not be decoded: {error}")))
}
