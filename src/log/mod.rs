//! The event log: one contract, two implementations (`embedded`, `kafka`) that pass one conformance suite.
//!
//! The log is partitioned and keyed, and commits outputs **together with** input positions. Two types make the contract:
//!
//! - A [`Session`] owns reading and writing together, since they commit together. It has one identity: opening a second one with
//!   the same identity fences the first, whose calls all fail with [`LogError::Fenced`] from then on.
//! - A [`Reader`] belongs to no group and reads committed records only.
//!
//! `examples/log_contract.rs` shows both on a log in a temporary folder.
//!
//! ```text
//!            ┌─────────────── Session (identity, group) ───────────────┐
//!  inputs ──►│ poll → Assigned, Records … → commit(outputs, positions) │──► outputs, visible all at once or never
//!            └─────────────────────────────────────────────────────────┘
//!  Reader (no group): from beginning, end, offset, time or a group's committed position; to the end as it stood, or following
//!  append: one plain write with a deadline, outside any session
//! ```
//!
//! What both implementations promise:
//! 1. Records of a partition have rising offsets and are read in that order; offsets may have holes (compaction, aborted
//!    commits).
//! 2. Records of a commit are invisible to readers until the commit has happened, and then all visible; a failed commit leaves
//!    nothing visible, ever.
//! 3. A group's positions move only with a commit that succeeded. A committed position carries a short text, which is read with
//!    it.
//! 4. `Ok` from [`Session::commit`] and [`EventLog::append`] means durable: `kill -9` loses nothing that was acknowledged.
//! 5. A compacted topic keeps at least the last record per key; a tombstone is kept long enough that every follower can see it.
//! 6. A key goes to the partition that a Java producer would choose ([`partitioner`]).
//! 7. Append times on a `LogAppendTime` topic are those of the log's own clock; they step back when that clock does.
//!
//! No method blocks an async worker.

pub(crate) mod cdc_position;
pub mod embedded;
pub mod kafka;
pub mod layer;
pub mod partitioner;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::EpochMs;
use crate::telemetry::metrics::Metrics;
pub use crate::wire::topics::Topic;
pub use crate::wire::topics::record::{Headers, NewRecord, Offset, PartitionId, Record};

/// What the log's asynchronous methods return. Boxed: one allocation per batch of records does not matter.
pub type LogFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, LogError>> + Send + 'a>>;

/// One partition of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Topic,
    pub partition: PartitionId,
}

impl TopicPartition {
    /// Names a partition.
    #[must_use]
    pub fn new(topic: Topic, partition: PartitionId) -> Self {
        Self { topic, partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

impl Record {
    /// The partition it was read from.
    #[must_use]
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition::new(self.topic, self.partition)
    }
}

/// Where a group goes on in a partition, with the text that was committed with it (at most 4,000 bytes).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    pub offset: Offset,
    pub metadata: String,
}

/// Positions by partition.
pub type Positions = BTreeMap<TopicPartition, Position>;

/// One atomic commit: these records become visible and these positions move, or neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    pub records: Vec<NewRecord>,
    pub positions: Positions,
}

/// The identity of a session, and what it reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Fencing identity: the transactional id, without a prefix. At most one open session has it.
    pub identity: String,
    /// Consumer group; `None` for a session that only writes.
    pub group: Option<String>,
    /// Topics that the group reads, partitioned alike: partition `p` of all of them is always assigned together.
    pub topics: Vec<Topic>,
    /// Topics that its commits may write to. Opening the session decides whatever an earlier one of the identity left undecided
    /// there.
    pub writes: Vec<Topic>,
}

/// What a poll returns.
#[derive(Debug)]
pub enum Polled {
    /// Nothing happened within the wait.
    Idle,
    /// Records of assigned partitions, each partition in order.
    Records(Vec<Record>),
    /// These partitions are assigned to the session: restore their state, then poll on. Partitions assigned before stay assigned.
    /// After a commit with an unknown result, and after a fenced or expired membership, `Lost` comes first and then a new
    /// assignment.
    Assigned(Vec<Assignment>),
    /// These partitions go to another member. Commit the uncommitted work on them, or give it up, before the next poll.
    Revoked(Vec<PartitionId>),
    /// These partitions are no longer assigned, or must be restored: uncommitted work on them is void.
    Lost(Vec<PartitionId>),
}

/// One partition number of all the session's topics, with the committed position of each topic that has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub partition: PartitionId,
    pub positions: BTreeMap<Topic, Position>,
}

/// Reading and writing that commit together. Methods take `&self`: the next chunk may be polled while a commit is under way.
/// At most one commit and one poll at a time.
pub trait Session: Send + Sync {
    /// Waits up to `max_wait` for something to happen; returns at most `max_records` records. Cancel-safe: what a dropped poll
    /// would have returned comes with the next.
    fn poll(&self, max_records: usize, max_wait: Duration) -> LogFuture<'_, Polled>;

    /// Commits records and positions atomically. Returns when durable.
    ///
    /// # Errors
    /// [`LogError::Aborted`], [`LogError::Full`] and [`LogError::Unusable`]: nothing was written; rewind and try again.
    /// [`LogError::Fenced`]: stop. Any other error: unknown result, the next polls bring [`Polled::Lost`] and a new assignment.
    fn commit(&self, batch: Batch) -> LogFuture<'_, ()>;

    /// Goes back to the committed positions of these partitions, or to the beginning where there is none: the next polls return
    /// the records from there again.
    fn rewind(&self, partitions: &[PartitionId]) -> LogFuture<'_, ()>;

    /// Leaves the group, so that other members take over at once. Uncommitted work is void.
    fn close(&self) -> LogFuture<'_, ()>;
}

/// Where a reader starts in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Beginning,
    End,
    /// The first record at or after this offset.
    Offset(Offset),
    /// The first record appended at or after this time; the end if there is none.
    Time(EpochMs),
}

/// How long a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// To the end as it stood when the reader was opened, waiting for commits that were under way then.
    AtEnd,
    /// For ever.
    Never,
}

/// Reads without a group; committed records only.
pub trait Reader: Send {
    /// At most `max_records` records, waiting up to `max_wait` for the first; empty if there were none. A reader that stops at
    /// the end returns at once from then on. Cancel-safe.
    fn read(&mut self, max_records: usize, max_wait: Duration) -> LogFuture<'_, Vec<Record>>;

    /// Where each partition's next record will be read: beyond every record that was returned, and never behind it.
    fn positions(&self) -> &BTreeMap<TopicPartition, Offset>;

    /// The ends of the partitions as they stood when the reader was opened.
    fn ends(&self) -> &BTreeMap<TopicPartition, Offset>;

    /// Whether everything up to those ends was read.
    fn caught_up(&self) -> bool {
        self.ends().iter().all(|(partition, end)| self.positions().get(partition).is_some_and(|at| at >= end))
    }
}

/// Where an appended record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub partition: PartitionId,
    pub offset: Offset,
    /// The log's clock at the append: the record's own time on a `LogAppendTime` topic.
    pub append_time_ms: EpochMs,
}

/// How often the log made sessions start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Setbacks {
    /// The session made its clients again after something unclear.
    pub renewed: u64,
    /// The log refused a writer or member that was too late: the group or another writer had gone on without it.
    pub fenced: u64,
}

/// A topic as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    pub topic: Topic,
    /// Per partition: first retained offset and end.
    pub partitions: Vec<PartitionInfo>,
}

/// One partition as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionInfo {
    pub start: Offset,
    pub end: Offset,
}

/// A log. One per process; shared.
pub trait EventLog: Send + Sync {
    /// The id of this log, which changes with a reset. Cursors of pages carry it.
    fn id(&self) -> LogFuture<'_, String>;

    /// Creates the topics that are missing; returns those.
    fn create_topics(&self, topics: &[Topic]) -> LogFuture<'_, Vec<Topic>>;

    /// Deletes topics with their records, and all groups' positions on them.
    fn delete_topics(&self, topics: &[Topic]) -> LogFuture<'_, ()>;

    /// The topics that exist.
    fn topics(&self) -> LogFuture<'_, Vec<TopicInfo>>;

    /// The number of partitions of the keyed topics, as created.
    fn partitions(&self) -> PartitionId;

    /// Opens a session and fences every older one of its identity.
    fn session(&self, config: SessionConfig) -> LogFuture<'_, Box<dyn Session>>;

    /// Opens a reader on these partitions.
    fn reader(&self, from: &[(TopicPartition, Start)], stop: Stop) -> LogFuture<'_, Box<dyn Reader>>;

    /// Writes records outside any session. Each is handed to the log exactly once.
    ///
    /// # Errors
    /// [`LogError::Deadline`] if the log has not answered in time: the records may still be written later.
    fn append(&self, records: Vec<NewRecord>, deadline: Duration) -> LogFuture<'_, Vec<Appended>>;

    /// The positions that a group has committed.
    fn committed(&self, group: &str) -> LogFuture<'_, Positions>;

    /// How many live members a group has now.
    fn live_members(&self, group: &str) -> LogFuture<'_, usize>;

    /// How long records of each topic stay, in words, by the log's own settings. Topics that are as the contract says may be left
    /// out.
    fn kept(&self) -> LogFuture<'_, BTreeMap<Topic, String>> {
        Box::pin(std::future::ready(Ok(BTreeMap::new())))
    }

    /// The log's own settings of each topic that decide what it keeps and takes, by the names they have there. Nothing where
    /// the log has none or may not be asked.
    fn settings(&self) -> LogFuture<'_, BTreeMap<Topic, BTreeMap<String, String>>> {
        Box::pin(std::future::ready(Ok(BTreeMap::new())))
    }

    /// Bytes of the largest record, by [`NewRecord::size`], that every topic takes, as far as is known.
    fn record_limit(&self) -> usize;

    /// Members of the inventory's group that are not KartShoppe, described so that an operator finds them. As last known; asks no
    /// broker.
    fn foreign_members(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether this topic's records carry the log's own append time.
    fn is_log_append_time(&self, topic: Topic) -> LogFuture<'_, bool>;

    /// What keeps the log from answering, or from being used. As last known; asks no broker.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Why nothing may be written until an operator has acted, as when the log's file is gone: orders must not be taken. `None`
    /// also while the log is only unreachable.
    fn refusal(&self) -> Option<String> {
        None
    }

    /// Registers the figures that only this kind of log has, once.
    fn register(&self, metrics: &Metrics) {
        let _ = metrics;
    }

    /// How often the sessions of this process had to start over so far.
    fn setbacks(&self) -> Setbacks {
        Setbacks::default()
    }
}

/// When a wait ends. No single wait is longer than a day.
fn deadline_of(max_wait: Duration) -> Instant {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    Instant::now() + max_wait.min(DAY)
}

/// Opens a reader on every partition of these topics, all with the same start.
///
/// # Errors
/// Those of [`EventLog::topics`] and [`EventLog::reader`]; [`LogError::UnknownTopic`] for a topic that does not exist.
pub async fn read_topics(log: &dyn EventLog, topics: &[Topic], start: Start, stop: Stop) -> Result<Box<dyn Reader>, LogError> {
    let known = log.topics().await?;
    let mut from = Vec::new();
    for topic in topics {
        let info =
            known.iter().find(|info| info.topic == *topic).ok_or_else(|| LogError::UnknownTopic(topic.name().to_owned()))?;
        for partition in (0..).take(info.partitions.len()) {
            from.push((TopicPartition::new(*topic, partition), start));
        }
    }
    log.reader(&from, stop).await
}

/// What can go wrong with the log. Where an operator can do something, the text says what.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The log cannot be reached or is too busy; worth a retry.
    #[error("the event log is not available: {0}")]
    Unavailable(String),
    /// The commit did not happen and never will; rewind and try again.
    #[error("the commit was aborted: {0}")]
    Aborted(String),
    /// A newer session has the same identity.
    #[error("session {identity} was fenced by a newer one of the same identity")]
    Fenced { identity: String },
    /// No answer in time; the write may still happen.
    #[error("the event log did not answer within {waited:?}")]
    Deadline { waited: Duration },
    /// A start or committed position outside the partition.
    #[error("position {offset} is outside {partition}, which holds {start} to {end}")]
    OutOfRange { partition: TopicPartition, offset: Offset, start: Offset, end: Offset },
    /// No such topic.
    #[error("unknown topic {0}; create missing topics with `kartshoppe topics create`")]
    UnknownTopic(String),
    /// No room left for the log.
    #[error("no space left for the event log in {path}: free some space, and writing resumes by itself")]
    Full { path: String },
    /// The log belongs to another process.
    #[error("{path} is in use by process {pid}: stop it, or choose another KARTSHOPPE__DATA_DIR")]
    InUse { path: String, pid: String },
    /// The file or its folder cannot be used.
    #[error("cannot use the event log {path}: {reason}")]
    Unusable { path: String, reason: String },
    /// The log was written by a newer KartShoppe, or has a set-up that must not be guessed.
    #[error("{0}")]
    Refused(String),
    /// The log was closed.
    #[error("the event log is closed")]
    Closed,
}

impl LogError {
    /// The kind of error, without what is particular to one.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Aborted(_) => "aborted",
            Self::Fenced { .. } => "fenced",
            Self::Deadline { .. } => "deadline",
            Self::OutOfRange { .. } => "out-of-range",
            Self::UnknownTopic(_) => "unknown-topic",
            Self::Full { .. } => "full",
            Self::InUse { .. } => "in-use",
            Self::Unusable { .. } => "unusable",
            Self::Refused(_) => "refused",
            Self::Closed => "closed",
        }
    }

    /// Whether waiting and trying again can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Aborted(_) | Self::Deadline { .. } | Self::Full { .. } | Self::Unusable { .. }
        )
    }
}
