//! What the tracker shares with the rest of the process, and keeps across its restarts.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::histogram::Histogram;

use crate::actors::order_publisher::Gate;
use crate::store::Order;
use crate::telemetry::metrics::SECONDS;

/// Shows an order as `GET orders/{id}` answers it.
pub type RenderOrder = Arc<dyn Fn(&Order) -> crate::wire::pages::order::Order + Send + Sync>;

/// Orders that are still to be sent to their pages, at most: beyond it pages learn of them when they ask.
const UNSENT_MAX: usize = 100_000;

/// What the tracker did, since the process started.
#[derive(Debug)]
pub struct TrackerCounts {
    /// Outcomes that this process was the first to write.
    pub outcomes: AtomicU64,
    /// Orders that this process settled.
    pub settled: AtomicU64,
    /// Probes sent for items without an outcome.
    pub probes: AtomicU64,
    /// Items given to the WAL reader.
    pub flipped: AtomicU64,
    /// Items of the WAL reader that were asked about, as the inventory had long not handled them.
    pub taken_back: AtomicU64,
    /// Places where outcomes may be missing: each is an alarm.
    pub gaps: AtomicU64,
    /// Outcomes that the database refused: each is an alarm.
    pub refused: AtomicU64,
    /// Times that the database was not available and was asked again.
    pub retries: AtomicU64,
    /// Events that could not be read.
    pub unreadable: AtomicU64,
    /// From the checkout to the last outcome of an order.
    pub settle_seconds: Histogram,
}

impl Default for TrackerCounts {
    fn default() -> Self {
        Self {
            outcomes: AtomicU64::default(),
            settled: AtomicU64::default(),
            probes: AtomicU64::default(),
            flipped: AtomicU64::default(),
            taken_back: AtomicU64::default(),
            gaps: AtomicU64::default(),
            refused: AtomicU64::default(),
            retries: AtomicU64::default(),
            unreadable: AtomicU64::default(),
            settle_seconds: Histogram::new(SECONDS),
        }
    }
}

/// The tracker as other parts see it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TrackerHandle {
    pub(super) shared: Arc<TrackerShared>,
    pub(super) counts: Arc<TrackerCounts>,
    pub(super) gate: Arc<Gate>,
}

#[derive(Debug, Default)]
pub(super) struct TrackerShared {
    pub(super) caught_up: AtomicBool,
    unsent: Mutex<BTreeSet<String>>,
}

impl TrackerHandle {
    /// A tracker that is not started yet. The gate is given append times that don't fit the database's clock.
    #[must_use]
    pub fn new(gate: Arc<Gate>) -> Self {
        Self { shared: Arc::default(), counts: Arc::default(), gate }
    }

    /// Whether it has read everything that was there when it started.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.shared.caught_up.load(Ordering::Acquire)
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> &TrackerCounts {
        &self.counts
    }

    pub(super) fn must_send<'a>(&self, order_ids: impl Iterator<Item = &'a str>) {
        let mut unsent = self.unsent_orders();
        for order_id in order_ids {
            if unsent.len() < UNSENT_MAX {
                unsent.insert(order_id.to_owned());
            }
        }
    }

    /// Whether an order is still to be sent to its pages.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent_orders().is_empty()
    }

    pub(super) fn unsent(&self) -> Vec<String> {
        self.unsent_orders().iter().cloned().collect()
    }

    pub(super) fn were_sent(&self, order_ids: &[String]) {
        let mut unsent = self.unsent_orders();
        for order_id in order_ids {
            unsent.remove(order_id);
        }
    }

    fn unsent_orders(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.shared.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
