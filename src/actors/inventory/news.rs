//! What shards and committer report to the source, which sets the pace.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::transaction::Transaction;
use crate::log::{PartitionId, Position};
use crate::wire::topics::Topic;

/// A report to the source.
#[derive(Debug)]
pub(crate) enum FeedNews {
    /// A shard has started: it has lost its part of the batch and has no states yet.
    ShardUp { partition: PartitionId },
    /// A shard has read its states. `resume_at` says where its inputs continue: at the committed positions, or elsewhere if those
    /// were lost or are foreign. Empty if nothing was ever committed.
    Restored { partition: PartitionId, attempt: u64, resume_at: BTreeMap<Topic, Position> },
    /// The committer has started: what it had gathered is lost.
    CommitterUp,
    /// All shards have delivered their outputs of a batch.
    Gathered(Box<Transaction>),
}

/// Sends a report to the source. Without a running source the report is dropped: a source that starts restores every shard.
pub(crate) type NotifySource = Arc<dyn Fn(FeedNews) + Send + Sync>;
