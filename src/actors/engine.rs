//! What the parts of the inventory engine tell each other and count together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::task::JoinHandle;

use super::shard::{BatchId, Tally};
use crate::log::{LogError, PartitionId, Position, Positions};
use crate::telemetry::metrics::SECONDS;
use crate::wire::topics::Topic;

/// What the source, which sets the pace, must hear of shards and committer.
#[derive(Debug)]
pub enum FeedNews {
    /// A shard has started: whatever it had of a batch is gone, and its states are not there yet.
    ShardUp { partition: PartitionId },
    /// A shard has read its states.
    /// `go_on` is where its inputs go on: at the committed positions, or elsewhere if those were lost, or are not ours. Empty if nothing
    /// was ever committed.
    Restored { partition: PartitionId, ticket: u64, go_on: BTreeMap<Topic, Position> },
    /// The committer has started: what it had gathered is gone, but the commit of this batch is under way.
    CommitterUp { committing: Option<BatchId> },
    /// What became of a batch.
    Settled { batch: BatchId, outcome: Settled },
}

/// What became of a batch.
#[derive(Debug)]
pub enum Settled {
    /// All of it is durable and visible.
    Committed(Positions),
    /// Nothing of it happened, and nothing will.
    GivenUp,
    /// The commit failed; [`LogError::Aborted`] alone says that nothing happened.
    Failed(LogError),
}

/// Tells the source; does nothing while it is not running, as it starts everything anew when it does.
pub type Report = Arc<dyn Fn(FeedNews) + Send + Sync>;

/// A task that ends with its owner.
#[derive(Debug)]
pub struct TaskGuard(pub JoinHandle<()>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The engine's counters. Plain atomics, read when somebody asks.
#[derive(Debug)]
pub struct EngineMetrics {
    pub applied: AtomicU64,
    pub unchanged: AtomicU64,
    pub duplicate: AtomicU64,
    pub expired: AtomicU64,
    pub probe: AtomicU64,
    pub moved: AtomicU64,
    pub dead_lettered: AtomicU64,
    pub commits: AtomicU64,
    pub aborts: AtomicU64,
    pub passivated: AtomicU64,
    pub activated: AtomicU64,
    /// Ends of product actors by [`super::supervision::EndCause::index`].
    pub product_ends: [AtomicU64; super::supervision::EndCause::ALL.len()],
    /// States ahead of the committed position: the log's transactions are broken.
    pub states_ahead: AtomicU64,
    /// Records of `products` that others wrote.
    pub foreign_states: AtomicU64,
    /// Partitions that this process owns.
    pub assigned: AtomicUsize,
    pub commit_seconds: Histogram,
    /// Output records per commit.
    pub commit_records: Histogram,
    /// From a record's append to its committed outputs; the oldest record of each commit.
    pub event_age_seconds: Histogram,
    pub restore_seconds: Histogram,
    /// What keeps the source from its work, while something does.
    pub trouble: ArcSwapOption<String>,
    /// From a product's end with work in hand to its successor that has it.
    pub product_recovery_seconds: Histogram,
    pub stale_tardiness_seconds: Histogram,
}

impl Default for EngineMetrics {
    fn default() -> Self {
        let seconds = || Histogram::new(SECONDS);
        Self {
            applied: AtomicU64::default(),
            unchanged: AtomicU64::default(),
            duplicate: AtomicU64::default(),
            expired: AtomicU64::default(),
            probe: AtomicU64::default(),
            moved: AtomicU64::default(),
            dead_lettered: AtomicU64::default(),
            commits: AtomicU64::default(),
            aborts: AtomicU64::default(),
            passivated: AtomicU64::default(),
            activated: AtomicU64::default(),
            product_ends: std::array::from_fn(|_| AtomicU64::default()),
            states_ahead: AtomicU64::default(),
            foreign_states: AtomicU64::default(),
            assigned: AtomicUsize::default(),
            commit_seconds: seconds(),
            commit_records: Histogram::new(exponential_buckets(1.0, 4.0, 9)),
            event_age_seconds: seconds(),
            restore_seconds: seconds(),
            trouble: ArcSwapOption::empty(),
            product_recovery_seconds: seconds(),
            stale_tardiness_seconds: seconds(),
        }
    }
}

impl EngineMetrics {
    /// Counts the inputs of a committed batch.
    pub fn count(&self, tally: &Tally) {
        for (counter, count) in self.inputs().into_iter().zip(tally.by_outcome()) {
            counter.1.fetch_add(count.1, Ordering::Relaxed);
        }
    }

    /// The inputs by outcome, in the order and with the names of [`Tally::by_outcome`].
    #[must_use]
    pub fn inputs(&self) -> [(&'static str, &AtomicU64); 7] {
        let Self { applied, unchanged, duplicate, expired, probe, moved, dead_lettered, .. } = self;
        let counters = [applied, unchanged, duplicate, expired, probe, moved, dead_lettered];
        let names = Tally::default().by_outcome().map(|(name, _)| name);
        std::array::from_fn(|index| (names[index], counters[index]))
    }
}
