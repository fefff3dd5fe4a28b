//! How fast a page reads the bytes that wait for it.

use std::sync::Arc;
use std::time::Duration;

use crate::api::server::{ConnectionProgress, Doing};

/// Bytes that a page has read since bytes began to wait, or since the last check; also reported where seats are assigned.
#[derive(Debug)]
pub(super) struct Pace(Arc<ConnectionProgress>);

/// The result of a check.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PaceVerdict {
    Well,
    /// It read nothing.
    Stalled,
    /// It read more slowly than the minimum rate.
    TooSlow,
}

impl Pace {
    pub(super) fn new(progress: Arc<ConnectionProgress>) -> Self {
        Self(progress)
    }

    fn is_waiting(&self) -> bool {
        self.0.doing() == Doing::Sending
    }

    /// Nothing waits.
    pub(super) fn rest(&self) {
        if self.is_waiting() {
            self.0.set(Doing::Idle);
        }
    }

    /// The page read this many bytes, and more wait.
    pub(super) fn note(&self, bytes: usize) {
        if self.is_waiting() {
            return self.0.count(bytes);
        }
        // Bytes that were written at once only show how large the system's buffers are.
        self.0.restart_count();
        self.0.set(Doing::Sending);
    }

    /// Checks once bytes have waited for this time, and begins to count again.
    pub(super) fn judge(&self, over: Duration, min_rate: u32) -> PaceVerdict {
        let (taken, since) = self.0.moved();
        let elapsed = since.elapsed();
        if !self.is_waiting() || elapsed < over {
            return PaceVerdict::Well;
        }
        self.0.restart_count();
        match taken {
            0 => PaceVerdict::Stalled,
            _ if (taken as f64) < f64::from(min_rate) * elapsed.as_secs_f64() => PaceVerdict::TooSlow,
            _ => PaceVerdict::Well,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn any_byte_is_not_enough() {
        let over = Duration::from_secs(30);
        let after = async |per_second: usize| {
            let pace = Pace::new(Arc::default());
            pace.note(100_000);
            for _ in 0..30 {
                assert_eq!(pace.judge(over, 4096), PaceVerdict::Well);
                tokio::time::advance(Duration::from_secs(1)).await;
                pace.note(per_second);
            }
            pace.judge(over, 4096)
        };
        assert_eq!(after(0).await, PaceVerdict::Stalled);
        assert_eq!(after(1).await, PaceVerdict::TooSlow);
        assert_eq!(after(4000).await, PaceVerdict::TooSlow);
        assert_eq!(after(8192).await, PaceVerdict::Well);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_all_is_never_judged() {
        let pace = Pace::new(Arc::default());
        pace.note(1);
        pace.rest();
        tokio::time::advance(Duration::from_secs(3600)).await;
        pace.note(1);
        assert_eq!(pace.judge(Duration::from_secs(30), 4096), PaceVerdict::Well);
    }
}
