//! Promises of the design whose breach this process would notice while it works. Each is a bug, so each is counted and logged.
//!
//! The ledger checker finds more, but only when it is run. What is checked here costs next to nothing where it is done.

use std::sync::atomic::{AtomicU64, Ordering};

use super::families as family;
use super::metrics::Metrics;

/// What the log says at the first breach of each.
pub const BROKEN: &str = "a promise of the shop is broken: this is a bug; further breaches are only counted";

static BREACHES: [AtomicU64; Promise::ALL.len()] = [const { AtomicU64::new(0) }; Promise::ALL.len()];

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Each order item has exactly one outcome.
    OneOutcome,
    /// An event that was appended after its expiry is never applied.
    Expiry,
    /// An item that has an outcome is never given to the WAL reader.
    NoFlipAfterOutcome,
    /// Product states never run ahead of the committed positions.
    StatesWithPositions,
    /// No outcome of an order is missing between two positions of the tracker.
    OutcomesComplete,
    /// A page is sent every change of a product, or a newer one.
    EveryChangeSent,
    /// A page is shown the newest state that is known.
    NewestShown,
    /// A cursor names only what its page was sent.
    CursorProven,
    /// A position of the WAL is acknowledged only after the log's commit.
    WalAcknowledgedAfterCommit,
}

impl Promise {
    /// Every promise.
    pub const ALL: [Self; 9] = [
        Self::OneOutcome,
        Self::Expiry,
        Self::NoFlipAfterOutcome,
        Self::StatesWithPositions,
        Self::OutcomesComplete,
        Self::EveryChangeSent,
        Self::NewestShown,
        Self::CursorProven,
        Self::WalAcknowledgedAfterCommit,
    ];

    /// As labels write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneOutcome => "one-outcome",
            Self::Expiry => "expiry",
            Self::NoFlipAfterOutcome => "no-flip-after-outcome",
            Self::StatesWithPositions => "states-with-positions",
            Self::OutcomesComplete => "outcomes-complete",
            Self::EveryChangeSent => "every-change-sent",
            Self::NewestShown => "newest-shown",
            Self::CursorProven => "cursor-proven",
            Self::WalAcknowledgedAfterCommit => "wal-acknowledged-after-commit",
        }
    }

    /// It was broken so many times; 0 is no breach. The first time is logged, the metric counts all.
    pub fn broken(self, times: u64) {
        if times > 0 && BREACHES[self as usize].fetch_add(times, Ordering::Relaxed) == 0 {
            tracing::error!(promise = self.as_str(), "{BROKEN}");
        }
    }

    /// How often it was broken in this process.
    #[must_use]
    pub fn breaches(self) -> u64 {
        BREACHES[self as usize].load(Ordering::Relaxed)
    }
}

/// Shows them on `/metrics`.
pub fn register(metrics: &Metrics) {
    metrics.observe(&family::PROMISE_VIOLATIONS, || {
        Promise::ALL.map(|promise| (vec![("promise", promise.as_str().to_owned())], promise.breaches() as f64)).to_vec()
    });
}
