//! What the fan-out counts and measures, read by `/metrics`.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::histogram::Histogram;

use crate::telemetry::metrics::SECONDS;

/// What the fan-out counts, since the process started.
#[derive(Debug)]
pub struct Counts {
    /// Product changes that were encoded or noted for pages.
    pub changes: AtomicU64,
    /// Frames handed to sockets.
    pub frames: AtomicU64,
    /// Whole catalogues handed to sockets.
    pub syncs: AtomicU64,
    /// Frames for one session that newer ones replaced because its pages did not read.
    pub dropped: AtomicU64,
    /// Changes that were not sent to a page because a newer one of the same product replaced them.
    pub coalesced: AtomicU64,
    /// Times that a page fell behind the journal.
    pub fell_behind: AtomicU64,
    /// From the append of an event to its frame at a page's socket; of several frames the oldest counts.
    pub product_seconds: Histogram,
    /// From a checkout to a frame about its order at a page's socket.
    pub order_seconds: Histogram,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            changes: AtomicU64::default(),
            frames: AtomicU64::default(),
            syncs: AtomicU64::default(),
            dropped: AtomicU64::default(),
            coalesced: AtomicU64::default(),
            fell_behind: AtomicU64::default(),
            product_seconds: Histogram::new(SECONDS),
            order_seconds: Histogram::new(SECONDS),
        }
    }
}
