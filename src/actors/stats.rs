//! What is known about the living actors: a directory with our own counters, for operators and metrics.
//!
//! ractor counts nothing itself. Each actor has one [`ActorEntry`], which outlives its incarnations; the actor stamps it through
//! [`Vitals`] at the start and end of each message. Products have no entries (a million of them would cost more than their
//! states): their shard lists them on demand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::{ActorCell, ActorProcessingErr};
use tokio::time::Instant;

use super::faults::{FaultBoard, Living, Who};
use super::kinds::{ActorKind, EndCause};
use super::message_times::{MessageQueue, MessageTimes, TimesByKind};
use super::past_ends::{ENDS_KEPT, History, whole_us};
use crate::clock::whole_ms;
use crate::config::RoleName;
pub use crate::wire::console::actor::{ActorEnd, ActorReport, ActorState};

/// The directory of actors. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    entries: Arc<RwLock<BTreeMap<String, Arc<ActorEntry>>>>,
    times: Arc<TimesByKind>,
}

impl Directory {
    /// The entry of an actor, made on the first call.
    #[must_use]
    pub fn entry(&self, kind: ActorKind, id: &str) -> Arc<ActorEntry> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.entry(id.to_owned()).or_insert_with(|| Arc::new(ActorEntry::new(kind, id, self.times.of(kind)))).clone()
    }

    /// What an actor needs to stamp its entry and to be struck by faults.
    #[must_use]
    pub fn vitals(&self, kind: ActorKind, id: &str, faults: &FaultBoard) -> Vitals {
        Vitals { entry: self.entry(kind, id), faults: faults.clone() }
    }

    /// The entry of that id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<ActorEntry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The entry of a role of this process.
    #[must_use]
    pub fn role(&self, role: RoleName) -> Option<Arc<ActorEntry>> {
        self.find(&format!("role/{}", role.as_str()))
    }

    /// How long messages waited and were handled, by kind of actor.
    #[must_use]
    pub fn times(&self) -> &TimesByKind {
        &self.times
    }

    /// All entries in the order of their ids.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<ActorEntry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Living for Directory {
    fn kill(&self, id: &str) -> bool {
        self.find(id).is_some_and(|entry| entry.kill())
    }
}

/// One actor across its incarnations.
#[derive(Debug)]
pub struct ActorEntry {
    pub kind: ActorKind,
    pub id: String,
    living: Mutex<Option<ActorCell>>,
    /// The mailbox of the present incarnation.
    queue: ArcSwap<MessageQueue>,
    times: MessageTimes,
    /// It keeps ending, as its supervisor last found it.
    failing: AtomicBool,
    /// Ends by [`EndCause::Stopped`] that were requested.
    asked_stops: AtomicU64,
    /// Stamp of the message under way, 0 when idle.
    handling_since: AtomicU64,
    handled: AtomicU64,
    incarnation: AtomicU64,
    ends: [AtomicU64; EndCause::ALL.len()],
    last_failure: Mutex<Option<String>>,
    /// Who had it stopped, until it is started again.
    stopped_by: Mutex<Option<String>>,
    history: Mutex<History>,
    /// The actor that supervises it.
    parent: OnceLock<String>,
}

impl ActorEntry {
    fn new(kind: ActorKind, id: &str, times: MessageTimes) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            living: Mutex::new(None),
            queue: ArcSwap::default(),
            times,
            failing: AtomicBool::new(false),
            asked_stops: AtomicU64::new(0),
            handling_since: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            incarnation: AtomicU64::new(0),
            ends: std::array::from_fn(|_| AtomicU64::new(0)),
            last_failure: Mutex::new(None),
            stopped_by: Mutex::new(None),
            history: Mutex::default(),
            parent: OnceLock::new(),
        }
    }

    /// Noted by the supervisor: a new incarnation runs.
    pub fn started(&self, cell: &ActorCell) {
        self.history().starts();
        *self.stopped_by.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.incarnation.fetch_add(1, Ordering::Relaxed);
        self.handling_since.store(0, Ordering::Relaxed);
        *self.living.lock().unwrap_or_else(PoisonError::into_inner) = Some(cell.clone());
    }

    /// Noted by the supervisor: it ended, or could not start.
    pub fn ended(&self, cause: EndCause, reason: Option<&str>) {
        *self.living.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.history().ends(cause, reason, self.incarnation.load(Ordering::Relaxed));
        self.handling_since.store(0, Ordering::Relaxed);
        // What its mailbox held is gone with it.
        self.queue.store(Arc::default());
        self.ends[cause.index()].fetch_add(1, Ordering::Relaxed);
        if let Some(reason) = reason {
            *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }

    /// Noted by the supervisor: it was stopped on purpose.
    pub fn stopped(&self) {
        self.asked_stops.fetch_add(1, Ordering::Relaxed);
        self.ended(EndCause::Stopped, None);
    }

    /// Noted before a stop is requested: by whom. A request to stop what is stopped already changes nothing.
    pub fn will_be_stopped_by(&self, operator: &str) {
        if self.state() != ActorState::Stopped {
            *self.stopped_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(operator.to_owned());
        }
    }

    /// Who had it stopped, where it is and that is known.
    #[must_use]
    pub fn stopped_by(&self) -> Option<String> {
        let operator = self.stopped_by.lock().unwrap_or_else(PoisonError::into_inner).clone();
        operator.filter(|operator| !operator.is_empty() && self.state() == ActorState::Stopped)
    }

    /// Noted by the supervisor: whether it keeps ending.
    pub fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// Whether it keeps ending.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Whether an incarnation lives.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.living.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Kills the living incarnation; false if there is none.
    pub fn kill(&self) -> bool {
        let living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
        living.as_ref().inspect(|cell| cell.kill()).is_some()
    }

    /// How long the message under way is being handled without progress.
    #[must_use]
    pub fn handling_for(&self) -> Option<Duration> {
        let since = self.handling_since.load(Ordering::Relaxed);
        (since != 0).then(|| Duration::from_millis(stamp().saturating_sub(since)))
    }

    /// How often it ended for this cause.
    #[must_use]
    pub fn ends(&self, cause: EndCause) -> u64 {
        self.ends[cause.index()].load(Ordering::Relaxed)
    }

    /// How often a restart followed an end for this cause.
    #[must_use]
    pub fn restarts(&self, cause: EndCause) -> u64 {
        let asked = if cause == EndCause::Stopped { self.asked_stops.load(Ordering::Relaxed) } else { 0 };
        self.ends(cause).saturating_sub(asked)
    }

    /// From its last end to the start of its successor; `None` if it never came back.
    #[must_use]
    pub fn last_recovery(&self) -> Option<Duration> {
        self.history().last_recovery()
    }

    /// Noted once, when the tree is put together.
    pub fn set_parent(&self, parent: &str) {
        let _ = self.parent.set(parent.to_owned());
    }

    /// The actor that supervises it.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.parent.get().map(String::as_str)
    }

    /// The present incarnation, or the last one; 0 before the first.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Relaxed)
    }

    /// Its present state.
    #[must_use]
    pub fn state(&self) -> ActorState {
        match (self.is_running(), self.is_failing()) {
            (_, true) => ActorState::Failing,
            (true, false) => ActorState::Running,
            (false, false) if self.history().is_down() => ActorState::Restarting,
            (false, false) => ActorState::Stopped,
        }
    }

    /// Since when it is in its state; `None` if it was never started.
    #[must_use]
    pub fn since(&self) -> Option<Duration> {
        self.history().since()
    }

    /// Its last ends, the newest first.
    #[must_use]
    pub fn last_ends(&self, limit: usize) -> Vec<ActorEnd> {
        self.history().last_ends(limit)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages waiting.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.queue.load().depth()
    }

    /// As operators see it.
    #[must_use]
    pub fn report(&self) -> ActorReport {
        let ends = EndCause::ALL.into_iter().map(|cause| (cause.as_str(), self.ends(cause)));
        let state = self.state();
        ActorReport {
            id: self.id.clone(),
            kind: self.kind.as_str(),
            parent: self.parent().map(str::to_owned),
            state,
            running: self.is_running(),
            since_ms: self.since().map(whole_ms),
            incarnation: self.incarnation(),
            mailbox_depth: self.depth(),
            handling_ms: self.handling_for().map(whole_ms),
            handled: self.handled.load(Ordering::Relaxed),
            ends: ends.filter(|(_, count)| *count > 0).collect(),
            restarts: EndCause::ALL.into_iter().map(|cause| self.restarts(cause)).sum(),
            last_failure: self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            last_recovery_us: self.last_recovery().map(whole_us),
            last_ends: self.last_ends(ENDS_KEPT),
        }
    }
}

/// An actor's own hand on its entry, and its exposure to faults. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Vitals {
    entry: Arc<ActorEntry>,
    faults: FaultBoard,
}

impl Vitals {
    /// To be called first in `pre_start`: fails if a fault wants the start to fail.
    ///
    /// # Errors
    /// The injected failure.
    pub fn starting(&self) -> Result<(), ActorProcessingErr> {
        self.faults.strike_start(&self.who())
    }

    /// To be awaited first in `handle`: stamps the entry and lets faults strike. Keep what it returns until the message is done.
    /// Requires that every message came through the actor's [`super::kit::Mailbox`].
    ///
    /// # Errors
    /// The injected error, to be passed on with `?`.
    pub async fn begin(&self, myself: &ActorCell) -> Result<Handling, ActorProcessingErr> {
        let handling = self.handling();
        if self.faults.is_armed() {
            self.faults.strike(&self.who(), myself).await?;
        }
        Ok(handling)
    }

    /// [`Vitals::begin`] for an actor that no fault strikes.
    #[must_use]
    pub fn handling(&self) -> Handling {
        self.entry.handling_since.store(stamp(), Ordering::Relaxed);
        let queue = self.entry.queue.load_full();
        queue.taken().into_iter().for_each(|waited| self.entry.times.waited.observe(waited.as_secs_f64()));
        Handling { entry: self.entry.clone(), queue, since: Instant::now() }
    }

    /// The message takes its time but goes on: the watchdog starts to count again.
    pub fn progress(&self) {
        self.entry.handling_since.store(stamp(), Ordering::Relaxed);
    }

    /// The entry it stamps.
    #[must_use]
    pub fn entry(&self) -> &Arc<ActorEntry> {
        &self.entry
    }

    /// The faults it is exposed to.
    #[must_use]
    pub fn faults(&self) -> &FaultBoard {
        &self.faults
    }

    pub(super) fn new_mailbox(&self) -> Arc<MessageQueue> {
        let queue = Arc::new(MessageQueue::default());
        self.entry.queue.store(queue.clone());
        queue
    }

    fn who(&self) -> Who<'_> {
        Who { kind: self.entry.kind, id: &self.entry.id }
    }
}

/// One message under way; dropping it stamps the end.
#[derive(Debug)]
pub struct Handling {
    entry: Arc<ActorEntry>,
    queue: Arc<MessageQueue>,
    since: Instant,
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.entry.handling_since.store(0, Ordering::Relaxed);
        self.entry.handled.fetch_add(1, Ordering::Relaxed);
        self.entry.times.handled.observe(self.since.elapsed().as_secs_f64());
        self.queue.done();
    }
}

/// Milliseconds since the first call in this process, plus one: never 0.
fn stamp() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    whole_ms(START.get_or_init(Instant::now).elapsed()).saturating_add(1)
}
