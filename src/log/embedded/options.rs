//! How an embedded log is set up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::log::PartitionId;
use crate::telemetry::alarms::Alarms;
use crate::wire::topics::{Retention, Topic};

/// Set-up of an embedded log.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// Folder of the file and its lock, of this log alone.
    pub folder: PathBuf,
    /// Partitions of the keyed topics, at least 1. Fixed as long as the log has topics.
    pub partitions: PartitionId,
    /// One fsync per group commit. Without it a killed process still loses nothing, but a power failure may lose the latest
    /// commits.
    pub fsync: bool,
    /// The largest the file may grow, in bytes; beyond it commits fail with [`LogError::Full`](crate::log::LogError::Full).
    /// `None`: as large as the disk.
    pub max_bytes: Option<u64>,
    /// Retention other than the contract's.
    pub retention: BTreeMap<Topic, Retention>,
    /// Bytes that each topic of anonymous origin keeps at most; the oldest records go first. `None`: no limit but the retention.
    pub tracked_bytes: Option<u64>,
    /// How long the tombstone of a compacted topic stays: time for every follower to see it.
    pub tombstone_retention: Duration,
    /// New records in a partition before it is compacted; a partition with more live records waits for that many new ones.
    pub compact_after: u64,
    /// The alarms of the process.
    pub alarms: Alarms,
}

impl EmbeddedConfig {
    /// A log in this folder with the defaults: fsync on, the contract's retention, tombstones for a day, compaction after 10,000
    /// records.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, partitions: PartitionId) -> Self {
        Self {
            folder: folder.into(),
            partitions,
            fsync: true,
            max_bytes: None,
            retention: BTreeMap::new(),
            tracked_bytes: None,
            tombstone_retention: Duration::from_secs(24 * 3600),
            compact_after: 10_000,
            alarms: Alarms::default(),
        }
    }

    /// The part of it that the keeper works by.
    pub(super) fn policy(&self) -> Policy {
        Policy {
            retention: self.retention.clone(),
            tracked_bytes: self.tracked_bytes,
            tombstones: self.tombstone_retention,
            compact_after: self.compact_after,
        }
    }
}

/// How long records stay.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    retention: BTreeMap<Topic, Retention>,
    /// Bytes that each tracked topic keeps at most.
    pub(super) tracked_bytes: Option<u64>,
    pub(super) tombstones: Duration,
    pub(super) compact_after: u64,
}

impl Policy {
    pub(super) fn retention_of(&self, topic: Topic) -> Retention {
        self.retention.get(&topic).copied().unwrap_or_else(|| topic.retention())
    }
}
