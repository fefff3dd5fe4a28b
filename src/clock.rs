//! The one place that reads the system clock.
//!
//! Everybody else is handed a [`Clock`], so that a test can say what time it is. Monotonic waiting is tokio's business
//! (`tokio::time`, which tests can pause); this clock answers "what is the date", in epoch milliseconds. [`Backoff`] is how long
//! to wait between two tries.

mod backoff;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use backoff::Backoff;

use crate::domain::EpochMs;

/// Tells the time of day. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    /// The machine's clock, so many milliseconds ahead.
    Stepped(Arc<AtomicI64>),
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The machine's clock, which [`Clock::step`] can move away from the truth; clones share it. For drills.
    #[must_use]
    pub fn steppable() -> Self {
        Self(Source::Stepped(Arc::default()))
    }

    /// A clock that stands still until it is told otherwise; clones share it.
    #[must_use]
    pub fn manual(now_ms: EpochMs) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(now_ms))))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> EpochMs {
        match &self.0 {
            Source::System => machine_ms(),
            Source::Stepped(ahead_ms) => machine_ms().saturating_add(ahead_ms.load(Ordering::SeqCst)),
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// Puts a steppable clock so many milliseconds ahead of the machine's, or behind it; false if this clock cannot be stepped.
    pub fn step(&self, ahead_ms: i64) -> bool {
        let Source::Stepped(ahead) = &self.0 else { return false };
        ahead.store(ahead_ms, Ordering::SeqCst);
        true
    }

    /// Sets a manual clock; the machine's clock stays as it is.
    pub fn set_ms(&self, now_ms: EpochMs) {
        if let Source::Manual(now) = &self.0 {
            now.store(now_ms, Ordering::SeqCst);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
fn machine_ms() -> EpochMs {
    in_ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A span of time as [`EpochMs`] are counted: what does not fit is the longest.
pub(crate) fn in_ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_steppable_clock_leaves_the_machines_and_comes_back() {
        let clock = Clock::steppable();
        let clone = clock.clone();
        assert!(clock.step(3_600_000));
        assert!((3_599_000..3_700_000).contains(&(clone.now_ms() - Clock::system().now_ms())));
        assert!(clock.step(0));
        assert!(clone.now_ms() - Clock::system().now_ms() <= 0);
        assert!(!Clock::system().step(1) && !Clock::manual(5).step(1));
    }
}
