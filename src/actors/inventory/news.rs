//! What shards and committer report to the source, which sets the pace.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::batch::BatchId;
use crate::log::{LogError, PartitionId, Position, Positions};
use crate::wire::topics::Topic;

/// A report to the source.
#[derive(Debug)]
pub(crate) enum FeedNews {
    /// A shard has started: it has lost its part of the batch and has no states yet.
    ShardUp { partition: PartitionId },
    /// A shard has read its states. `resume_at` says where its inputs continue: at the committed positions, or elsewhere if those were
    /// lost or are foreign. Empty if nothing was ever committed.
    Restored { partition: PartitionId, attempt: u64, resume_at: BTreeMap<Topic, Position> },
    /// The committer has started: what it had gathered is lost, but the commit of this batch is under way.
    CommitterUp { committing: Option<BatchId> },
    /// The end of a batch.
    Settled { batch: BatchId, outcome: Settled },
}

/// How a batch ended.
#[derive(Debug)]
pub(crate) enum Settled {
    /// All of it is durable and visible.
    Committed(Positions),
    /// None of it was written, and none will be.
    GivenUp,
    /// The commit failed. Only after [`LogError::Aborted`] and its like is it certain that nothing was written.
    Failed(LogError),
}

/// Sends a report to the source. Without a running source the report is dropped: a source that starts restores every shard.
pub(crate) type NotifySource = Arc<dyn Fn(FeedNews) + Send + Sync>;
