//! The one place that reads the system clock.
//!
//! All other code is handed a [`Clock`], so that a test can set the time. Monotonic waits are tokio's (`tokio::time`, which tests
//! can pause); this clock gives the wall-clock time in epoch milliseconds. [`Backoff`] gives the waits between attempts.

mod backoff;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use backoff::Backoff;

use crate::domain::EpochMs;

/// The wall clock. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    /// The system clock plus this many milliseconds.
    Stepped(Arc<AtomicI64>),
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The system clock with an offset that [`Clock::step`] sets; clones share it. For drills.
    #[must_use]
    pub fn steppable() -> Self {
        Self(Source::Stepped(Arc::default()))
    }

    /// A clock that only [`Clock::set_ms`] moves; clones share it.
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

    /// Sets the offset of a steppable clock from the system clock; returns `false` if this clock cannot be stepped.
    pub fn step(&self, ahead_ms: i64) -> bool {
        let Source::Stepped(ahead) = &self.0 else { return false };
        ahead.store(ahead_ms, Ordering::SeqCst);
        true
    }

    /// Sets a manual clock; has no effect on other clocks.
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

/// A duration in milliseconds, as [`EpochMs`] counts them, saturating.
pub(crate) fn in_ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A duration in whole milliseconds, saturating.
pub(crate) fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
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
