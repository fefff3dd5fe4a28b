//! How fast a page takes what waits for it.

use std::time::Duration;

use tokio::time::Instant;

/// What a page took since something began to wait, or since it was last judged.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since: Option<Instant>,
    taken: u64,
}

/// What that says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Well,
    /// It took nothing.
    Stalled,
    /// It took less than the least rate.
    TooSlow,
}

impl Pace {
    /// Nothing waits.
    pub(super) fn rest(&mut self) {
        self.since = None;
    }

    /// The page took so much, and more waits.
    pub(super) fn note(&mut self, bytes: usize) {
        match self.since {
            Some(_) => self.taken += bytes as u64,
            // What went out at once says only how large the system's buffers are.
            None => (self.since, self.taken) = (Some(Instant::now()), 0),
        }
    }

    /// Judges once something has waited for this time, and begins to count anew.
    pub(super) fn judge(&mut self, over: Duration, min_rate: u32) -> Verdict {
        let Some(elapsed) = self.since.map(|since| since.elapsed()).filter(|elapsed| *elapsed >= over) else {
            return Verdict::Well;
        };
        let taken = std::mem::take(&mut self.taken);
        self.since = Some(Instant::now());
        match taken {
            0 => Verdict::Stalled,
            _ if (taken as f64) < f64::from(min_rate) * elapsed.as_secs_f64() => Verdict::TooSlow,
            _ => Verdict::Well,
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
            let mut pace = Pace::default();
            pace.note(100_000);
            for _ in 0..30 {
                assert_eq!(pace.judge(over, 4096), Verdict::Well);
                tokio::time::advance(Duration::from_secs(1)).await;
                pace.note(per_second);
            }
            pace.judge(over, 4096)
        };
        assert_eq!(after(0).await, Verdict::Stalled);
        assert_eq!(after(1).await, Verdict::TooSlow);
        assert_eq!(after(4000).await, Verdict::TooSlow);
        assert_eq!(after(8192).await, Verdict::Well);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_all_is_never_judged() {
        let mut pace = Pace::default();
        pace.note(1);
        pace.rest();
        tokio::time::advance(Duration::from_secs(3600)).await;
        pace.note(1);
        assert_eq!(pace.judge(Duration::from_secs(30), 4096), Verdict::Well);
    }
}
