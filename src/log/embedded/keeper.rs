//! Housekeeping beside the writer: moves the WAL into the file, deletes what is too old, compacts.
//!
//! The keeper reads with its own connection and never deletes a record itself: it asks the writer for small slices, one at a
//! time, so that waiting commits go in between. Freed pages are used again; the file does not shrink, and does not grow either.

mod budget;
mod checkpoint;
mod compaction;
mod tools;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::jobs::{Job, Signal};
use super::partition_tail::PartitionTail;
use super::read_pool;
use crate::domain::EpochMs;
use crate::log::LogError;
use crate::telemetry::alarms::{About, Cause};
use crate::telemetry::seldom::Seldom;
use crate::wire::topics::Retention;

use self::budget::Budget;
use self::checkpoint::Checkpoints;
use self::compaction::Compaction;
pub(super) use self::tools::Tools;
use self::tools::{SLICE, unavailable};

/// How often the keeper checks whether a partition needs compaction: a few comparisons in memory.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two checks for records that are too old. The shortest retention is an hour.
const TICKS_PER_EXPIRY: u32 = 60;
/// Work that fails again and again, as on a full disk, is logged once in this time.
const FAILURES_EVERY: Duration = Duration::from_secs(60);

/// The keeper's thread.
#[derive(Debug)]
pub(super) struct Keeper {
    tools: Tools,
    compaction: Compaction,
    checkpoints: Checkpoints,
    budget: Budget,
    failures: Seldom,
}

impl Keeper {
    pub(super) fn new(tools: Tools) -> Self {
        let (compaction, checkpoints, budget) = (Compaction::default(), Checkpoints::default(), Budget::default());
        Self { tools, compaction, checkpoints, budget, failures: Seldom::new(FAILURES_EVERY) }
    }

    /// Works until the writer ends.
    pub(super) fn run(mut self, signals: &Receiver<Signal>) {
        let mut ticks = 0_u32;
        loop {
            let done = match signals.recv_timeout(TICK) {
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Signal::Everything(done)) => Some(done),
                Ok(Signal::Checkpoint) => {
                    self.report("checkpoint", |keeper| keeper.checkpoints.run(&keeper.tools));
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => None,
            };
            ticks = ticks.wrapping_add(1);
            if self.checkpoints.is_held() || !self.tools.guard.is_whole() {
                self.report("checkpoint", |keeper| keeper.checkpoints.run(&keeper.tools));
            }
            if self.tools.guard.alarms().stands(&About::cause(Cause::LogLocked)) {
                self.report("lock", |keeper| keeper.tools.writer.ask(|answer| Job::StartWalOver { answer }).map(drop));
            }
            if done.is_some() || ticks % TICKS_PER_EXPIRY == 1 {
                self.report("retention", Self::expire_all);
            }
            let force = done.is_some();
            self.report("the budget of tracked events", |keeper| keeper.budget.run(&keeper.tools, force));
            self.report("compaction", |keeper| keeper.compaction.run(&keeper.tools, force));
            if let Some(done) = done {
                self.report("checkpoint", |keeper| keeper.checkpoints.run(&keeper.tools));
                let _ = done.send(()); // the caller may be gone
            }
        }
    }

    /// Runs some work. Nothing is lost when it fails: the next tick tries it again.
    fn report(&mut self, work: &'static str, run: impl FnOnce(&mut Self) -> Result<(), LogError>) {
        match run(self) {
            Ok(()) | Err(LogError::Closed) => {}
            Err(error) => {
                if let Some(untold) = self.failures.due(work) {
                    tracing::warn!(work, %error, untold, "housekeeping of the event log failed and will be retried");
                }
            }
        }
    }

    fn expire_all(&mut self) -> Result<(), LogError> {
        for tail in self.tools.tails.all() {
            if let Retention::Delete(age) = self.tools.policy.retention_of(tail.at.topic) {
                self.expire(&tail, self.tools.time_before(age))?;
            }
        }
        Ok(())
    }

    /// Deletes the records before the first one that is not older than `oldest_ms`.
    fn expire(&mut self, tail: &Arc<PartitionTail>, oldest_ms: EpochMs) -> Result<(), LogError> {
        let (start, end) = (tail.start(), tail.end());
        let stop = read_pool::seek(&self.tools.connection, &tail.table, start, end, oldest_ms).map_err(unavailable)?;
        let mut at = start;
        while at < stop {
            at = stop.min(at + i64::try_from(SLICE).unwrap_or(1));
            self.budget.prune_before(&self.tools, tail, at)?;
        }
        Ok(())
    }
}
