//! The one thread that writes the file. Everything that changes it comes through its bounded queue.
//!
//! ```text
//!  commit ─┐
//!  append ─┼─► queue ─► everything that waits ─► one SQLite transaction, one fsync ─► partition tails ─► answers
//!  keeper ─┘
//! ```
//! Callers wait for an answer without holding a thread. When the last handle is dropped, the queue is emptied and the file
//! closed.

mod commit;
mod control;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::errors;
use super::groups::Groups;
use super::guard::{Guard, GuardThread};
use super::jobs::{Job, JobReply, Jobs, Signal, Write};
use super::partition_tail::{PartitionTail, PartitionTails};
use super::schema::{self, PartitionRow};
use crate::clock::Clock;
use crate::data_dir::PidLock;
use crate::log::{LogError, Offset, PartitionId, TopicPartition};
use crate::telemetry::seldom::Seldom;

/// Records that one transaction takes at most, so that none waits long for its answer: about 0.2 s of writing.
const GROUP_RECORDS: usize = 50_000;

/// Commits that fail for one reason are logged once in this time.
const FAILURES_EVERY: Duration = Duration::from_secs(10);

/// The writer's thread.
#[derive(Debug)]
pub(super) struct LogWriter {
    connection: Connection,
    guard: Arc<Guard>,
    clock: Clock,
    tails: Arc<PartitionTails>,
    groups: Arc<Groups>,
    /// Partitions of the keyed topics.
    keyed: PartitionId,
    partitions: BTreeMap<TopicPartition, PartitionWriter>,
    /// Counts keyless records, to spread them.
    spread: PartitionId,
    /// Counts sessions, to number them.
    sessions: u64,
    /// Roughly the bytes written since the keeper was last woken.
    unkept_bytes: u64,
    /// Another program held the lock at the last write.
    locked: bool,
    /// The disk was full at the last write.
    full: bool,
    failures: Seldom,
}

/// Where the next record of a partition goes.
#[derive(Debug)]
pub(super) struct PartitionWriter {
    tail: Arc<PartitionTail>,
    insert: String,
    next: Offset,
    /// The highest append time so far.
    peak_ms: i64,
    /// Records of the open transaction: number of the write, number in the write.
    staged: Vec<(usize, usize)>,
}

impl PartitionWriter {
    fn new(row: &PartitionRow, tail: Arc<PartitionTail>) -> Self {
        let insert = format!("INSERT INTO {} VALUES (?1, ?2, ?3, ?4, ?5, ?6)", tail.table);
        Self { tail, insert, next: row.next, peak_ms: row.peak_ms, staged: Vec::new() }
    }
}

impl LogWriter {
    pub(super) fn new(
        connection: Connection,
        guard: Arc<Guard>,
        clock: Clock,
        tails: Arc<PartitionTails>,
        groups: Arc<Groups>,
        keyed: PartitionId,
    ) -> Self {
        let partitions = BTreeMap::new();
        Self {
            connection,
            guard,
            clock,
            tails,
            groups,
            keyed,
            partitions,
            spread: 0,
            sessions: 0,
            unkept_bytes: 0,
            locked: false,
            full: false,
            failures: Seldom::new(FAILURES_EVERY),
        }
    }

    /// Starts the writer's thread, and the keeper's, which ends before it. The file is closed and the lock released at the end.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if the system has no thread left.
    pub(super) fn start(
        mut self,
        rows: &[PartitionRow],
        (lock, watch): (PidLock, GuardThread),
        jobs: Jobs,
        signal: SyncSender<Signal>,
        keep: impl FnOnce() + Send + 'static,
    ) -> Result<JoinHandle<()>, LogError> {
        self.adopt(rows);
        let keeper = spawn("log-keeper", keep)?;
        spawn("log-writer", move || {
            self.run(jobs, &signal);
            let _ = signal.send(Signal::Stop); // an error says that the keeper has ended already
            if keeper.join().is_err() {
                tracing::error!("the event log's keeper panicked");
            }
            watch.end();
            self.end();
            drop(lock);
        })
    }

    /// Takes over the partitions that exist.
    fn adopt(&mut self, rows: &[PartitionRow]) {
        let tails = &self.tails;
        let partitions = rows.iter().filter_map(|row| Some((row.at, PartitionWriter::new(row, tails.get(row.at).ok()?))));
        self.partitions = partitions.collect();
    }

    /// Works until the log is closed or the last handle is dropped.
    fn run(&mut self, Jobs(mut queue): Jobs, keeper: &SyncSender<Signal>) {
        let mut next = queue.blocking_recv();
        while let Some(job) = next {
            next = match job {
                Job::Write(first) => {
                    let (group, after) = gather(first, &mut queue);
                    self.write_group(group);
                    after
                }
                Job::Create { topics, answer } => reply(answer, self.create(&topics)),
                Job::Delete { topics, answer } => reply(answer, self.delete(&topics)),
                Job::Open { identity, group, answer } => reply(answer, self.open(identity, group)),
                Job::Attach { member, answer } => reply(answer, self.attach(&member)),
                Job::Committed { group, answer } => reply(answer, self.committed(&group)),
                Job::Prune { prune, answer } => reply(answer, self.prune(&prune)),
                Job::StartWalOver { answer } => reply(answer, self.start_wal_over()),
                Job::Close => return,
            };
            self.wake(keeper);
            next = next.or_else(|| queue.blocking_recv());
        }
    }

    /// Wakes the keeper when the WAL is worth moving, unless it is busy with that. If the keeper falls behind, the writer moves
    /// the WAL and commits wait: it would grow without end otherwise.
    fn wake(&mut self, keeper: &SyncSender<Signal>) {
        if self.unkept_bytes >= schema::WAL_LIMIT_BYTES {
            if let Err(error) = self.start_wal_over() {
                tracing::warn!(%error, "the checkpoint of the event log failed: its WAL keeps growing");
            }
            self.unkept_bytes = 0;
        } else if self.unkept_bytes >= schema::CHECKPOINT_BYTES && keeper.try_send(Signal::Checkpoint).is_ok() {
            self.unkept_bytes = 0;
        }
    }

    fn failed(&self, error: &rusqlite::Error) -> LogError {
        errors::while_writing(self.guard.path(), error)
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, LogError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| LogError::Unavailable(format!("cannot start the thread {name}: {error}")))
}

/// Everything that waits to be written, and the job of another kind that ended it.
fn gather(first: Write, queue: &mut mpsc::Receiver<Job>) -> (Vec<Write>, Option<Job>) {
    let mut records = first.batch.records.len();
    let mut group = vec![first];
    while records < GROUP_RECORDS {
        match queue.try_recv() {
            Ok(Job::Write(write)) => {
                records += write.batch.records.len();
                group.push(write);
            }
            Ok(other) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}

/// Answers; the caller may be gone. Returns no next job, as the loop wants it.
fn reply<T>(answer: JobReply<T>, result: Result<T, LogError>) -> Option<Job> {
    let _ = answer.send(result);
    None
}
