//! What the inventory counts and measures. Registered by `app`, under the names of `telemetry::names`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::time::Instant;

use super::batch::Tally;
use crate::actors::supervision::EndCause;
use crate::domain::ids::ProductId;
use crate::log::NewRecord;
use crate::telemetry::metrics::SECONDS;
use crate::telemetry::seldom::Seldom;
use crate::wire::topics::Topic;
use crate::wire::topics::headers::dead_letter as name;

/// Input that cannot be used may come by the thousand: one line in this time, and how many commits more had some.
static DEAD_LETTERS: Seldom = Seldom::new(Duration::from_secs(10));

/// Where a dead letter comes from, and its kind of failure: both from short lists of ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeadLetterLabels {
    pub topic: String,
    pub reason: String,
}

impl DeadLetterLabels {
    /// Those of each dead letter among these records.
    pub(crate) fn of(records: &[NewRecord]) -> Vec<Self> {
        let letters = records.iter().filter(|record| record.topic == Topic::DeadLetters);
        let text = |record: &NewRecord, name| record.headers.get_str(name).unwrap_or_default().to_owned();
        letters.map(|record| Self { topic: text(record, name::TOPIC), reason: text(record, name::EXCEPTION) }).collect()
    }
}

/// Ends of product actors that are remembered.
const PRODUCT_ENDS_KEPT: usize = 20;

/// The end of a product's actor.
#[derive(Debug, Clone)]
pub struct ProductEnd {
    pub id: ProductId,
    pub cause: EndCause,
    pub at: Instant,
}

/// The inventory's counters: plain atomics that `/metrics` reads.
#[derive(Debug)]
pub struct EngineMetrics {
    pub applied: AtomicU64,
    pub unchanged: AtomicU64,
    pub duplicate: AtomicU64,
    pub expired: AtomicU64,
    pub probe: AtomicU64,
    pub moved: AtomicU64,
    pub dead_lettered: AtomicU64,
    pub dead_letters: Family<DeadLetterLabels, Counter>,
    pub commits: AtomicU64,
    pub aborts: AtomicU64,
    pub passivated: AtomicU64,
    pub activated: AtomicU64,
    /// Ends of product actors by [`crate::actors::supervision::EndCause::index`].
    pub product_ends: [AtomicU64; EndCause::ALL.len()],
    newest_product_ends: Mutex<VecDeque<ProductEnd>>,
    /// States ahead of the committed position: the log's transactions are broken.
    pub states_ahead: AtomicU64,
    /// Foreign records on `products`.
    pub foreign_states: AtomicU64,
    /// Partitions that this process owns.
    pub assigned: AtomicUsize,
    pub commit_seconds: Histogram,
    /// Output records per commit.
    pub commit_records: Histogram,
    /// From the append of a commit's oldest record to its committed outputs.
    pub event_age_seconds: Histogram,
    pub restore_seconds: Histogram,
    /// Why the source cannot work; empty while it can.
    pub trouble: ArcSwapOption<String>,
    /// From the end of a product's actor that had not replied until its next incarnation has the work.
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
            dead_letters: Family::default(),
            commits: AtomicU64::default(),
            aborts: AtomicU64::default(),
            passivated: AtomicU64::default(),
            activated: AtomicU64::default(),
            product_ends: std::array::from_fn(|_| AtomicU64::default()),
            newest_product_ends: Mutex::default(),
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
    /// Counts committed dead letters.
    pub(crate) fn count_dead_letters(&self, letters: &[DeadLetterLabels]) {
        for labels in letters {
            self.dead_letters.get_or_create(labels).inc();
        }
        let Some(DeadLetterLabels { topic, reason }) = letters.last() else { return };
        if let Some(untold) = DEAD_LETTERS.due("committed") {
            let count = letters.len();
            tracing::warn!(
                messaging.destination.name = topic,
                reason,
                count,
                untold,
                "input could not be used and is kept as a dead letter: `kartshoppe dead-letters list` shows it"
            );
        }
    }

    /// A product's actor ended.
    pub(crate) fn note_product_end(&self, id: &ProductId, cause: EndCause) {
        self.product_ends[cause.index()].fetch_add(1, Ordering::Relaxed);
        let mut ends = self.newest_product_ends.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.len() == PRODUCT_ENDS_KEPT {
            ends.pop_back();
        }
        ends.push_front(ProductEnd { id: id.clone(), cause, at: Instant::now() });
    }

    /// The newest ends of product actors, the newest first.
    #[must_use]
    pub fn newest_product_ends(&self) -> Vec<ProductEnd> {
        self.newest_product_ends.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Counts a commit of so many records.
    #[expect(clippy::cast_precision_loss, reason = "a count, for a histogram")]
    pub(crate) fn count_commit(&self, took: Duration, records: usize) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.commit_seconds.observe(took.as_secs_f64());
        self.commit_records.observe(records as f64);
    }

    /// Measures the time from the append of a commit's oldest record to the commit.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds, for a histogram")]
    pub(crate) fn count_age(&self, age_ms: i64) {
        self.event_age_seconds.observe(age_ms.max(0) as f64 / 1000.0);
    }

    /// Counts the inputs of a committed batch.
    pub(crate) fn count(&self, tally: &Tally) {
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
