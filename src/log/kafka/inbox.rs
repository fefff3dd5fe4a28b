//! What the session's thread and its callers share: records that were read ahead, events about partitions, and the membership to
//! commit under.
//!
//! ```text
//!  thread ─► records, assigned, revoked, lost ─► inbox ─► poll
//!  thread ◄─ rewind, broken commit, "settled" ◄─ inbox ◄─ rewind, commit, the poll after a revocation
//! ```
//! Records wait here, so a poll that is dropped loses nothing. A poll returns a revocation like anything else; the thread, which
//! is inside the client's callback meanwhile, goes on when the *next* poll shows that the work was settled, or after a limited
//! wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::log::{Assignment, LogError, PartitionId, Polled, Position, Positions, Record, TopicPartition};

/// Records that may wait; two batches of the engine.
const RECORDS: usize = 20_000;
/// Bytes of keys and values that may wait.
const BYTES: usize = 32 << 20;
/// How long the owner of revoked partitions may take to commit what it has begun. The group waits for it.
const HANDOVER: Duration = Duration::from_secs(10);

/// The membership that a commit is made under. The broker refuses one of an older group generation.
pub(super) type Membership = Arc<ConsumerGroupMetadata>;

/// Partitions to go back in, and the caller that waits for it.
pub(super) struct Rewind {
    pub partitions: BTreeSet<PartitionId>,
    pub done: oneshot::Sender<Result<(), LogError>>,
}

/// The shared part of a session.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Wakes the poll.
    news: Notify,
    /// Wakes the thread.
    turn: Condvar,
}

#[derive(Default)]
struct State {
    items: VecDeque<Queued>,
    records: usize,
    bytes: usize,
    rewinds: Vec<Rewind>,
    /// Why the session is over.
    over: Option<LogError>,
    /// It was closed in order, so its member leaves the group.
    leaves: bool,
    /// Returned once by a poll.
    trouble: Option<LogError>,
    membership: Option<Membership>,
    /// Where each assigned partition is committed, and where it began at the assignment.
    committed: BTreeMap<TopicPartition, AssignedFrom>,
    handover: Handover,
    /// Why all clients must be made again.
    broken: Option<String>,
}

#[derive(Debug, Clone)]
struct AssignedFrom {
    first: i64,
    committed: Option<Position>,
}

enum Queued {
    Records(VecDeque<Record>),
    Event(Polled),
}

/// How far a revocation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Handover {
    #[default]
    None,
    /// It waits to be polled.
    Offered,
    /// It was polled; the work that was begun is being settled.
    Taken,
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- For callers. ---

    /// What there is now, or `None`.
    pub fn take(&self, max_records: usize) -> Option<Result<Polled, LogError>> {
        let mut state = self.state();
        if state.handover == Handover::Taken {
            state.handover = Handover::None;
            self.turn.notify_all();
        }
        if let Some(over) = &state.over {
            return Some(Err(over.clone()));
        }
        if let Some(trouble) = state.trouble.take() {
            return Some(Err(trouble));
        }
        let taken = state.take(max_records);
        if taken.is_some() {
            self.turn.notify_all();
        }
        taken.map(Ok)
    }

    /// Waits until there may be something; `false` when the time is over.
    pub async fn wait(&self, deadline: Instant) -> bool {
        tokio::time::timeout_at(deadline, self.news.notified()).await.is_ok()
    }

    /// The membership to commit under.
    pub fn membership(&self) -> Result<Membership, LogError> {
        let state = self.state();
        if let Some(over) = &state.over {
            return Err(over.clone());
        }
        let none = || LogError::Unavailable("no partitions are assigned, so nothing can be committed".to_owned());
        state.membership.clone().ok_or_else(none)
    }

    /// Why the session is over, if it is.
    pub fn over(&self) -> Option<LogError> {
        self.state().over.clone()
    }

    /// These positions are committed.
    pub fn committed(&self, positions: Positions) {
        let mut state = self.state();
        for (at, position) in positions {
            if let Some(place) = state.committed.get_mut(&at) {
                place.committed = Some(position);
            }
        }
    }

    /// Asks to go back. `None`: there is nothing to go back in.
    pub fn rewind(&self, partitions: &[PartitionId]) -> Result<Option<oneshot::Receiver<Result<(), LogError>>>, LogError> {
        let mut state = self.state();
        if let Some(over) = &state.over {
            return Err(over.clone());
        }
        // After a handover or a loss, reading begins at the committed positions anyway.
        if state.membership.is_none() || state.handover != Handover::None || state.broken.is_some() {
            return Ok(None);
        }
        let (done, answer) = oneshot::channel();
        state.rewinds.push(Rewind { partitions: partitions.iter().copied().collect(), done });
        self.turn.notify_all();
        Ok(Some(answer))
    }

    /// Ends the session, once and for all. The first reason counts.
    pub fn end(&self, reason: LogError) {
        let mut state = self.state();
        if state.over.is_none() {
            state.over = Some(reason);
        }
        state.forget_all();
        drop(state);
        self.news.notify_one();
        self.turn.notify_all();
    }

    /// Ends the session in order: the member leaves its group. One that is only dropped stays in it until a successor of the same
    /// name takes over, without a rebalance.
    pub fn leave(&self) {
        self.state().leaves = true;
        self.end(LogError::Closed);
    }

    /// Whether the member should leave its group.
    pub fn leaves(&self) -> bool {
        self.state().leaves
    }

    /// The result of a commit is unclear, or nothing can be read any more: all clients must be made again.
    pub fn break_off(&self, reason: String) {
        let mut state = self.state();
        state.broken.get_or_insert(reason);
        state.membership = None;
        drop(state);
        self.turn.notify_all();
    }

    // --- For the thread. ---

    /// Why all clients must be made again, if so.
    pub fn broken(&self) -> Option<String> {
        self.state().broken.clone()
    }

    /// Adds records that were read.
    pub fn put(&self, records: Vec<Record>) {
        let mut state = self.state();
        state.records += records.len();
        state.bytes += records.iter().map(size_of_record).sum::<usize>();
        match state.items.back_mut() {
            Some(Queued::Records(waiting)) => waiting.extend(records),
            Some(Queued::Event(_)) | None => state.items.push_back(Queued::Records(records.into())),
        }
        drop(state);
        self.news.notify_one();
    }

    /// Whether more may be read ahead.
    pub fn has_room(&self) -> bool {
        let state = self.state();
        state.records < RECORDS && state.bytes < BYTES
    }

    /// Waits until something changed, for a while.
    pub fn pause(&self, wait: Duration) {
        let state = self.state();
        if state.over.is_none() {
            let _ = self.turn.wait_timeout(state, wait);
        }
    }

    /// Takes the requests to go back.
    pub fn rewinds(&self) -> Vec<Rewind> {
        std::mem::take(&mut self.state().rewinds)
    }

    /// Where to go back to in these partitions. What was read ahead in them is dropped.
    pub fn go_back(&self, partitions: &BTreeSet<PartitionId>) -> Vec<(TopicPartition, i64)> {
        let mut state = self.state();
        state.drop_records(|record| partitions.contains(&record.partition));
        let places = state.committed.iter().filter(|(at, _)| partitions.contains(&at.partition));
        places.map(|(at, place)| (*at, place.committed.as_ref().map_or(place.first, |position| position.offset))).collect()
    }

    /// Where each assigned partition is committed, or where it began.
    pub fn places(&self) -> BTreeMap<TopicPartition, i64> {
        let offset = |place: &AssignedFrom| place.committed.as_ref().map_or(place.first, |position| position.offset);
        self.state().committed.iter().map(|(at, place)| (*at, offset(place))).collect()
    }

    /// Partitions were assigned. `first` says where they begin.
    pub fn assigned(&self, membership: Membership, first: BTreeMap<TopicPartition, i64>, positions: &Positions) {
        let mut state = self.state();
        let mut assignments: BTreeMap<PartitionId, Assignment> = BTreeMap::new();
        for (at, first) in first {
            let assignment = assignments
                .entry(at.partition)
                .or_insert_with(|| Assignment { partition: at.partition, positions: BTreeMap::new() });
            let committed = positions.get(&at).cloned();
            if let Some(position) = &committed {
                assignment.positions.insert(at.topic, position.clone());
            }
            state.committed.insert(at, AssignedFrom { first, committed });
        }
        state.membership = Some(membership);
        if !assignments.is_empty() {
            state.items.push_back(Queued::Event(Polled::Assigned(assignments.into_values().collect())));
        }
        drop(state);
        self.news.notify_one();
    }

    /// All partitions were revoked. Returns when the work that was begun is settled, or when it took too long.
    pub fn hand_over(&self) {
        let mut state = self.state();
        let partitions = state.partitions();
        if state.over.is_some() || state.broken.is_some() || partitions.is_empty() {
            return state.forget_all();
        }
        state.drop_records(|_| true);
        state.items.push_back(Queued::Event(Polled::Revoked(partitions)));
        state.handover = Handover::Offered;
        self.news.notify_one();
        let waits = |state: &mut State| state.handover != Handover::None && state.over.is_none() && state.broken.is_none();
        let (mut state, waited) = self.turn.wait_timeout_while(state, HANDOVER, waits).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            tracing::warn!("partitions are released before the work on them was settled: that work is discarded");
        }
        // A revocation that was not polled yet still will be.
        state.forget_all();
    }

    /// All partitions are lost: the work that was begun on them is void.
    pub fn lose(&self) {
        let mut state = self.state();
        let partitions = state.partitions();
        state.forget_all();
        state.broken = None;
        if !partitions.is_empty() {
            state.items.push_back(Queued::Event(Polled::Lost(partitions)));
        }
        drop(state);
        self.news.notify_one();
        self.turn.notify_all();
    }

    /// Returns this error from the next poll.
    pub fn report(&self, trouble: LogError) {
        self.state().trouble = Some(trouble);
        self.news.notify_one();
    }
}

impl State {
    fn take(&mut self, max_records: usize) -> Option<Polled> {
        match self.items.front_mut()? {
            Queued::Records(waiting) => {
                let records: Vec<Record> = waiting.drain(..max_records.min(waiting.len())).collect();
                if waiting.is_empty() {
                    self.items.pop_front();
                }
                self.records -= records.len();
                self.bytes -= records.iter().map(size_of_record).sum::<usize>();
                (!records.is_empty()).then_some(Polled::Records(records))
            }
            Queued::Event(_) => {
                let Some(Queued::Event(event)) = self.items.pop_front() else { return None };
                if matches!(event, Polled::Revoked(_)) && self.handover == Handover::Offered {
                    self.handover = Handover::Taken;
                }
                Some(event)
            }
        }
    }

    fn partitions(&self) -> Vec<PartitionId> {
        self.committed.keys().map(|at| at.partition).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn drop_records(&mut self, unwanted: impl Fn(&Record) -> bool) {
        for item in &mut self.items {
            if let Queued::Records(waiting) = item {
                waiting.retain(|record| !unwanted(record));
            }
        }
        self.items.retain(|item| !matches!(item, Queued::Records(waiting) if waiting.is_empty()));
        let waiting = |item: &Queued| match item {
            Queued::Records(waiting) => (waiting.len(), waiting.iter().map(size_of_record).sum()),
            Queued::Event(_) => (0, 0_usize),
        };
        (self.records, self.bytes) = self.items.iter().map(waiting).fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1));
    }

    /// Nothing is assigned any more. Events that were not polled yet still will be.
    fn forget_all(&mut self) {
        self.drop_records(|_| true);
        self.membership = None;
        self.committed.clear();
        self.handover = Handover::None;
        for rewind in self.rewinds.drain(..) {
            // Its caller begins at the committed positions anyway.
            let _ = rewind.done.send(Ok(()));
        }
    }
}

fn size_of_record(record: &Record) -> usize {
    record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.as_ref().map_or(0, bytes::Bytes::len)
}
