//! What the writer can be asked for, and how: a bounded queue, an answer for each job, and the signals that wake the keeper.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::groups::Member;
use super::partition_tail::PartitionTail;
use crate::log::{Appended, Batch, LogError, Offset, Positions};
use crate::wire::topics::Topic;

/// Jobs that wait before senders do. A session has one commit under way, so this is room for the appends of many requests at
/// once.
const QUEUE: usize = 1024;
/// Bytes of the largest record, far beyond what any topic carries and far below what SQLite takes.
pub(super) const RECORD_LIMIT: usize = 64 << 20;

pub(super) type JobReply<T> = oneshot::Sender<Result<T, LogError>>;

/// Something to write: a session's commit, or an append (no member).
#[derive(Debug)]
pub(super) struct Write {
    pub(super) member: Option<Arc<Member>>,
    pub(super) batch: Batch,
    /// Where an append's records went; empty for a commit.
    pub(super) answer: JobReply<Vec<Appended>>,
}

/// A job of the writer.
#[derive(Debug)]
pub(super) enum Job {
    Write(Write),
    Create {
        topics: Vec<Topic>,
        answer: JobReply<Vec<Topic>>,
    },
    Delete {
        topics: Vec<Topic>,
        answer: JobReply<()>,
    },
    /// A new session: fences the older ones of its identity.
    Open {
        identity: String,
        group: Option<String>,
        answer: JobReply<Arc<Member>>,
    },
    /// Assigns the group's partitions to the member, and answers with the committed positions.
    Attach {
        member: Arc<Member>,
        answer: JobReply<Positions>,
    },
    /// A group's positions, read by the writer itself: a caller that sees them also sees the records that were committed with
    /// them.
    Committed {
        group: String,
        answer: JobReply<Positions>,
    },
    Prune {
        prune: Prune,
        answer: JobReply<()>,
    },
    /// Starts the WAL over if it has no readers; answers whether it did.
    StartWalOver {
        answer: JobReply<bool>,
    },
    Close,
}

/// A slice of housekeeping.
#[derive(Debug)]
pub(super) enum Prune {
    /// Removes all records before this offset.
    Before(Arc<PartitionTail>, Offset),
    /// Removes these records.
    Records(Arc<PartitionTail>, Vec<Offset>),
    /// Notes that compaction went up to this offset and left this many records.
    Compacted(Arc<PartitionTail>, Offset, i64),
}

/// Wakes the keeper.
#[derive(Debug)]
pub(super) enum Signal {
    Checkpoint,
    /// Do everything that can be done, then answer.
    Everything(oneshot::Sender<()>),
    Stop,
}

/// Makes the writer's queue.
pub(super) fn queue() -> (WriterHandle, Jobs) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (WriterHandle(sender), Jobs(receiver))
}

/// The receiving end of the queue.
#[derive(Debug)]
pub(super) struct Jobs(pub(super) mpsc::Receiver<Job>);

/// Sends jobs to the writer.
#[derive(Debug, Clone)]
pub(super) struct WriterHandle(mpsc::Sender<Job>);

impl WriterHandle {
    /// Sends a job and waits for its answer.
    ///
    /// # Errors
    /// [`LogError::Closed`] once the log is closed, else what the job gave.
    pub(super) async fn ask<T>(&self, job: impl FnOnce(JobReply<T>) -> Job) -> Result<T, LogError> {
        let (answer, answered) = oneshot::channel();
        self.0.send(job(answer)).await.map_err(|_| LogError::Closed)?;
        answered.await.map_err(|_| LogError::Closed)?
    }

    /// Ends the writer after the jobs that wait already. Does not wait for it.
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
    pub(super) fn ask<T>(&self, job: impl FnOnce(JobReply<T>) -> Job) -> Result<T, LogError> {
        let (answer, answered) = oneshot::channel();
        self.0.upgrade().ok_or(LogError::Closed)?.blocking_send(job(answer)).map_err(|_| LogError::Closed)?;
        answered.blocking_recv().map_err(|_| LogError::Closed)?
    }
}
