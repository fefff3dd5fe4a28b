//! Housekeeping beside the writer: moves the WAL into the file, deletes what is too old, compacts.
//!
//! The keeper reads with its own connection and never writes a record away itself: it asks the writer for small slices, one at a
//! time, so that commits that wait go in between. Freed pages are used again; the file does not shrink, and does not grow either.

mod checkpoint;
mod compaction;
mod retained;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::guard::Guard;
use super::read_pool;
use super::shelf::{Shelf, Shelves};
use super::writer::{Job, Prune, WeakWriter};
use crate::clock::Clock;
use crate::domain::EpochMs;
use crate::log::LogError;
use crate::telemetry::alarms::{About, Cause};
use crate::telemetry::seldom::Seldom;
use crate::wire::topics::{Retention, Topic};

use checkpoint::Checkpoints;
use compaction::Compacted;
use retained::Retained;

/// Bytes written between two checkpoints. SQLite's own default; larger ones only make the WAL larger.
pub(super) const CHECKPOINT_BYTES: u64 = 4 << 20;
/// Bytes of WAL at which the writer itself stops for a checkpoint: a backlog that the keeper cannot move while commits go on.
pub(super) const WAL_LIMIT_BYTES: u64 = 32 << 20;
/// How often the keeper looks whether a partition needs compaction: a few comparisons in memory.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two looks for records that are too old. The shortest retention is an hour.
const TICKS_PER_EXPIRY: u32 = 60;
/// The same work that fails again and again, as on a full disk, is a line in so much time.
const FAILURES_EVERY: Duration = Duration::from_secs(60);
/// Records deleted at a time: about as long as a commit takes.
const SLICE: usize = 500;

/// Wakes the keeper.
#[derive(Debug)]
pub(super) enum Signal {
    Checkpoint,
    /// Do everything that can be done, then answer.
    Everything(oneshot::Sender<()>),
    Stop,
}

/// How long records stay.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) retention: BTreeMap<Topic, Retention>,
    /// Bytes that each tracked topic keeps at most.
    pub(super) tracked_bytes: Option<u64>,
    pub(super) tombstones: Duration,
    pub(super) compact_after: u64,
}

impl Policy {
    fn of(&self, topic: Topic) -> Retention {
        self.retention.get(&topic).copied().unwrap_or_else(|| topic.retention())
    }
}

/// The keeper's thread.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) connection: Connection,
    pub(super) writer: WeakWriter,
    pub(super) shelves: Arc<Shelves>,
    pub(super) guard: Arc<Guard>,
    pub(super) clock: Clock,
    pub(super) policy: Policy,
    /// What the last compaction of a partition left, by the id of its shelf.
    pub(super) compacted: BTreeMap<i64, Compacted>,
    pub(super) checkpoints: Checkpoints,
    pub(super) failures: Seldom,
    /// What tracked topics hold, by the id of the shelf.
    pub(super) retained: BTreeMap<i64, Retained>,
}

impl Keeper {
    pub(super) fn new(
        connection: Connection,
        writer: WeakWriter,
        shelves: Arc<Shelves>,
        guard: Arc<Guard>,
        clock: Clock,
        policy: Policy,
    ) -> Self {
        let (compacted, checkpoints, failures) = (BTreeMap::new(), Checkpoints::default(), Seldom::new(FAILURES_EVERY));
        let retained = BTreeMap::new();
        Self { connection, writer, shelves, guard, clock, policy, compacted, checkpoints, failures, retained }
    }

    /// Works until the writer says stop.
    pub(super) fn run(mut self, signals: &Receiver<Signal>) {
        let mut ticks = 0_u32;
        loop {
            let done = match signals.recv_timeout(TICK) {
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Signal::Everything(done)) => Some(done),
                Ok(Signal::Checkpoint) => {
                    self.report("checkpoint", Self::checkpoint);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => None,
            };
            ticks = ticks.wrapping_add(1);
            if self.checkpoints.is_held() || self.guard.is_half_moved() {
                self.report("checkpoint", Self::checkpoint);
            }
            if self.guard.alarms().stands(&About::cause(Cause::LogLocked)) {
                self.report("lock", |keeper| keeper.writer.ask(|answer| Job::StartWalOver { answer }).map(drop));
            }
            if done.is_some() || ticks % TICKS_PER_EXPIRY == 1 {
                self.report("retention", Self::expire_all);
            }
            let force = done.is_some();
            self.report("the budget of tracked events", |keeper| keeper.trim_all(force));
            self.report("compaction", |keeper| keeper.compact_all(force));
            if let Some(done) = done {
                self.report("checkpoint", Self::checkpoint);
                let _ = done.send(()); // whoever asked may be gone
            }
        }
    }

    /// Nothing is lost when housekeeping fails: it is tried again at its next turn.
    fn report(&mut self, work: &'static str, run: impl FnOnce(&mut Self) -> Result<(), LogError>) {
        match run(self) {
            Ok(()) | Err(LogError::Closed) => {}
            Err(error) => {
                if let Some(untold) = self.failures.is_told(work) {
                    tracing::warn!(work, %error, untold, "housekeeping of the event log failed and is tried again later");
                }
            }
        }
    }

    fn expire_all(&mut self) -> Result<(), LogError> {
        for shelf in self.shelves.all() {
            if let Retention::Delete(age) = self.policy.of(shelf.at.topic) {
                self.expire(&shelf, before(self.clock.now_ms(), age))?;
            }
        }
        Ok(())
    }

    /// Deletes the records before the first one that is not older than `oldest_ms`.
    fn expire(&mut self, shelf: &Arc<Shelf>, oldest_ms: EpochMs) -> Result<(), LogError> {
        let (start, end) = (shelf.start(), shelf.end());
        let stop = read_pool::seek(&self.connection, &shelf.table, start, end, oldest_ms).map_err(unavailable)?;
        let mut at = start;
        while at < stop {
            at = stop.min(at + i64::try_from(SLICE).unwrap_or(1));
            self.prune_before(shelf, at)?;
        }
        Ok(())
    }

    fn prune(&self, prune: Prune) -> Result<(), LogError> {
        self.writer.ask(|answer| Job::Prune { prune, answer })
    }
}

fn before(now_ms: EpochMs, age: Duration) -> EpochMs {
    now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

fn unavailable(error: rusqlite::Error) -> LogError {
    LogError::Unavailable(error.to_string())
}
