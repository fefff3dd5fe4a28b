//! What readers and sessions share: the partitions in memory, the groups, and the connections that read the file.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::groups::Groups;
use super::partition_tail::{PartitionTail, PartitionTails};
use super::read_pool::ReadPool;
use crate::log::{LogError, PartitionId, PartitionInfo, TopicInfo, TopicPartition};
use crate::wire::topics::Topic;

/// See the module.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) tails: Arc<PartitionTails>,
    pub(super) groups: Arc<Groups>,
    pub(super) pool: ReadPool,
    /// Of the keyed topics.
    pub(super) partitions: PartitionId,
}

impl Store {
    pub(super) fn topics(&self) -> Vec<TopicInfo> {
        let mut topics: Vec<TopicInfo> = Vec::new();
        for tail in self.tails.all() {
            let topic = tail.at.topic;
            if topics.last().is_none_or(|last| last.topic != topic) {
                topics.push(TopicInfo { topic, partitions: Vec::new() });
            }
            if let Some(info) = topics.last_mut() {
                info.partitions.push(PartitionInfo { start: tail.start(), end: tail.end() });
            }
        }
        topics
    }

    /// All partitions of these topics.
    pub(super) fn tails_of(&self, topics: &[Topic]) -> Result<Vec<Arc<PartitionTail>>, LogError> {
        for topic in topics {
            self.tails.get(TopicPartition::new(*topic, 0))?;
        }
        Ok(self.tails.all().into_iter().filter(|tail| topics.contains(&tail.at.topic)).collect())
    }
}

/// Waits until something changed; `false` if nothing did before the deadline.
pub(super) async fn wait_for_changes(changes: &mut watch::Receiver<u64>, deadline: Instant) -> bool {
    matches!(tokio::time::timeout_at(deadline, changes.changed()).await, Ok(Ok(())))
}
