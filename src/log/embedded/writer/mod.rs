//! The one thread that writes the file. Everything that changes it comes through its bounded queue.
//!
//! ```text
//!  commit ─┐
//!  append ─┼─► queue ─► everything that waits ─► one SQLite transaction, one fsync ─► shelves ─► answers
//!  keeper ─┘
//! ```
//! Callers wait for an answer without holding a thread. When the last handle is gone, the queue is worked off and the file closed.

mod commit;
pub(super) use commit::RECORD_LIMIT;
mod control;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::groups::{Groups, Member};
use super::guard::{Guard, Watch};
use super::keeper::Signal;
use super::schema::PartitionRow;
use super::shelf::{Shelf, Shelves};
use super::trouble;
use crate::clock::Clock;
use crate::data_dir::PidLock;
use crate::log::{Appended, Batch, LogError, Offset, PartitionId, Positions, TopicPartition};
use crate::telemetry::seldom::Seldom;
use crate::wire::topics::Topic;

pub(super) use control::Prune;

/// Jobs that wait before senders do. A session has one commit under way, so this is room for appends of many requests at once.
const QUEUE: usize = 1024;
/// Records that one transaction takes at most, so that none waits long for its answer: about 0.2 s of writing.
const GROUP_RECORDS: usize = 50_000;

/// Commits that fail for one reason are a line in so much time.
const FAILURES_EVERY: Duration = Duration::from_secs(10);

type Answer<T> = oneshot::Sender<Result<T, LogError>>;

/// Something to write: a session's commit, or an append (no member).
#[derive(Debug)]
pub(super) struct Write {
    pub(super) member: Option<Arc<Member>>,
    pub(super) batch: Batch,
    /// Where an append's records went; empty for a commit.
    pub(super) answer: Answer<Vec<Appended>>,
}

/// What the writer can be asked for.
#[derive(Debug)]
pub(super) enum Job {
    Write(Write),
    Create {
        topics: Vec<Topic>,
        answer: Answer<Vec<Topic>>,
    },
    Delete {
        topics: Vec<Topic>,
        answer: Answer<()>,
    },
    /// A new session: fences the older ones of its identity.
    Open {
        identity: String,
        group: Option<String>,
        answer: Answer<Arc<Member>>,
    },
    /// Gives the group's partitions to the member, and says where to go on.
    Attach {
        member: Arc<Member>,
        answer: Answer<Positions>,
    },
    /// A group's positions, read by the writer itself: whoever sees them also sees the records that were committed with them.
    Committed {
        group: String,
        answer: Answer<Positions>,
    },
    Prune {
        prune: Prune,
        answer: Answer<()>,
    },
    /// Starts the WAL over if nobody reads it; whether it did.
    StartWalOver {
        answer: Answer<bool>,
    },
    Close,
}

/// Sends jobs to the writer.
#[derive(Debug, Clone)]
pub(super) struct WriterHandle(mpsc::Sender<Job>);

impl WriterHandle {
    /// Sends a job and waits for its answer.
    ///
    /// # Errors
    /// [`LogError::Closed`] once the log is closed, else what the job gave.
    pub(super) async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, LogError> {
        let (answer, answered) = oneshot::channel();
        self.0.send(job(answer)).await.map_err(|_| LogError::Closed)?;
        answered.await.map_err(|_| LogError::Closed)?
    }

    /// Ends the writer after what waits already. Does not wait for it.
    pub(super) async fn close(&self) {
        let _ = self.0.send(Job::Close).await; // an error says that it is closed already
    }

    /// A handle that does not keep the writer alive.
    pub(super) fn downgrade(&self) -> WeakWriter {
        WeakWriter(self.0.downgrade())
    }
}

/// A handle for the keeper's thread, which ends with the writer.
#[derive(Debug)]
pub(super) struct WeakWriter(mpsc::WeakSender<Job>);

impl WeakWriter {
    /// Sends a job and blocks this thread until its answer.
    ///
    /// # Errors
    /// [`LogError::Closed`] once the log is closed, else what the job gave.
    pub(super) fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, LogError> {
        let (answer, answered) = oneshot::channel();
        self.0.upgrade().ok_or(LogError::Closed)?.blocking_send(job(answer)).map_err(|_| LogError::Closed)?;
        answered.blocking_recv().map_err(|_| LogError::Closed)?
    }
}

/// The writer's thread.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    guard: Arc<Guard>,
    clock: Clock,
    shelves: Arc<Shelves>,
    groups: Arc<Groups>,
    /// Partitions of the keyed topics.
    keyed: PartitionId,
    columns: BTreeMap<TopicPartition, Column>,
    /// Counts keyless records, to spread them.
    spread: PartitionId,
    /// Counts sessions, to number them.
    sessions: u64,
    /// Bytes written since the keeper was last told, roughly.
    unkept_bytes: u64,
    /// Another program kept us from the last write.
    locked: bool,
    /// There was no room for the last write.
    full: bool,
    failures: Seldom,
}

/// Where the next record of a partition goes.
#[derive(Debug)]
pub(super) struct Column {
    shelf: Arc<Shelf>,
    insert: String,
    next: Offset,
    /// The highest append time so far.
    peak_ms: i64,
    /// Records of the transaction under way: number of the write, number in the write.
    staged: Vec<(usize, usize)>,
}

impl Column {
    fn new(row: &PartitionRow, shelf: Arc<Shelf>) -> Self {
        let insert = format!("INSERT INTO {} VALUES (?1, ?2, ?3, ?4, ?5, ?6)", shelf.table);
        Self { shelf, insert, next: row.next, peak_ms: row.peak_ms, staged: Vec::new() }
    }
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        guard: Arc<Guard>,
        clock: Clock,
        shelves: Arc<Shelves>,
        groups: Arc<Groups>,
        keyed: PartitionId,
    ) -> Self {
        let columns = BTreeMap::new();
        Self {
            connection,
            guard,
            clock,
            shelves,
            groups,
            keyed,
            columns,
            spread: 0,
            sessions: 0,
            unkept_bytes: 0,
            locked: false,
            full: false,
            failures: Seldom::new(FAILURES_EVERY),
        }
    }

    /// Starts the writer's thread, and the keeper's, which ends before it. The file is closed and the lock let go at the end.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if the system has no thread left.
    pub(super) fn start(
        mut self,
        rows: &[PartitionRow],
        (lock, watch): (PidLock, Watch),
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
        let shelves = &self.shelves;
        let columns = rows.iter().filter_map(|row| Some((row.at, Column::new(row, shelves.get(row.at).ok()?))));
        self.columns = columns.collect();
    }

    /// Works until the log is closed or nobody can send any more.
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
            self.tell(keeper);
            next = next.or_else(|| queue.blocking_recv());
        }
    }

    /// Tells the keeper that there is a WAL worth moving, if it is not at it already. If it falls behind, the writer does it, and
    /// commits wait: else the WAL would grow without end.
    fn tell(&mut self, keeper: &SyncSender<Signal>) {
        if self.unkept_bytes >= super::keeper::WAL_LIMIT_BYTES {
            if let Err(error) = self.start_wal_over() {
                tracing::warn!(%error, "the event log's WAL cannot be moved and grows on");
            }
            self.unkept_bytes = 0;
        } else if self.unkept_bytes >= super::keeper::CHECKPOINT_BYTES && keeper.try_send(Signal::Checkpoint).is_ok() {
            self.unkept_bytes = 0;
        }
    }

    fn failed(&self, error: &rusqlite::Error) -> LogError {
        trouble::while_writing(self.guard.path(), error)
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, LogError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| LogError::Unavailable(format!("cannot start the thread {name}: {error}")))
}

/// The receiving end of the queue.
#[derive(Debug)]
pub(super) struct Jobs(mpsc::Receiver<Job>);

/// Makes the queue.
pub(super) fn queue() -> (WriterHandle, Jobs) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (WriterHandle(sender), Jobs(receiver))
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

/// Answers; the asker may be gone. Gives no next job, for the loop's sake.
fn reply<T>(answer: Answer<T>, result: Result<T, LogError>) -> Option<Job> {
    let _ = answer.send(result);
    None
}
