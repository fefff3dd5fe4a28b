//! When to restart: after how long a wait, and from when on a child counts as failing. Pure; the caller brings time and jitter.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How one kind of child is restarted. It is never given up, so that the shop recovers without an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Restarts within [`RestartPolicy::window`] before the child counts as failing and waits [`RestartPolicy::backoff_max`].
    pub intensity: u32,
    /// A child that lived this long without a restart starts from [`RestartPolicy::backoff_min`] again.
    pub window: Duration,
    pub backoff_min: Duration,
    pub backoff_max: Duration,
}

impl Default for RestartPolicy {
    /// The defaults of the `supervision` section.
    fn default() -> Self {
        Self {
            intensity: 10,
            window: Duration::from_secs(10),
            backoff_min: Duration::from_millis(1),
            backoff_max: Duration::from_secs(5),
        }
    }
}

/// A child that has run for this long may have recovered, however short its earlier runs were.
const WELL_AFTER_MIN: Duration = Duration::from_secs(1);

/// The recent restarts of one child.
#[derive(Debug, Clone, Default)]
pub struct Restarts {
    ends: VecDeque<Instant>,
    /// Its longest run between them.
    longest_life: Duration,
}

impl Restarts {
    /// Counts one more end and says how long to wait before the next start. `jitter` is from 0 to 1: the wait is shortened by up
    /// to a quarter, so that children that ended together do not restart together.
    pub fn next_wait(&mut self, policy: &RestartPolicy, now: Instant, jitter: f64) -> Duration {
        self.forget_old(policy, now);
        let doublings = u32::try_from(self.ends.len()).unwrap_or(u32::MAX).min(31);
        let wait = if self.ends.len() >= policy.intensity as usize {
            policy.backoff_max
        } else {
            policy.backoff_min.saturating_mul(1 << doublings).min(policy.backoff_max)
        };
        self.ends.push_back(now);
        wait.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
    }

    /// Takes note of how long it ran before the end that was counted last.
    pub fn note_life(&mut self, life: Duration) {
        self.longest_life = self.longest_life.max(life);
    }

    /// Whether there were more restarts in the window than the policy calls normal. A child that runs since `started` is well
    /// again, though it has not ended since, once it has run twice as long as it ever did while it was failing; at the latest
    /// after the window and the longest wait.
    #[must_use]
    pub fn is_failing(&self, policy: &RestartPolicy, started: Option<Instant>, now: Instant) -> bool {
        let at_the_latest = policy.window + policy.backoff_max;
        let well_after = (self.longest_life * 2).max(WELL_AFTER_MIN);
        self.ends.len() > policy.intensity as usize
            && self.ends.back().is_some_and(|last| now.duration_since(*last) < at_the_latest)
            && started.is_none_or(|started| now.duration_since(started) < well_after)
    }

    fn forget_old(&mut self, policy: &RestartPolicy, now: Instant) {
        if self.ends.back().is_some_and(|last| now.duration_since(*last) >= policy.window) {
            *self = Self::default();
        }
        // Beyond the intensity only the newest count; the window must not grow with the number of restarts.
        while self.ends.len() > policy.intensity as usize {
            self.ends.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RestartPolicy = RestartPolicy {
        intensity: 5,
        window: Duration::from_secs(10),
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_secs(5),
    };

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_the_longest_and_start_again_after_a_quiet_window() {
        let mut restarts = Restarts::default();
        let now = Instant::now();
        let waits: Vec<_> = (0..7).map(|_| restarts.next_wait(&POLICY, now, 0.0).as_millis()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 5000, 5000]);
        assert!(restarts.is_failing(&POLICY, None, now));
        let later = now + POLICY.window;
        assert_eq!(restarts.next_wait(&POLICY, later, 0.0).as_millis(), 1);
        assert!(!restarts.is_failing(&POLICY, None, later));
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_runs_on_is_well_again_without_another_end() {
        let mut restarts = Restarts::default();
        let now = Instant::now();
        for _ in 0..=POLICY.intensity {
            restarts.next_wait(&POLICY, now, 0.0);
            restarts.note_life(Duration::from_millis(700));
        }
        let moment = Duration::from_millis(1);
        let at_the_latest = now + POLICY.window + POLICY.backoff_max;
        assert!(restarts.is_failing(&POLICY, None, at_the_latest - moment), "it does not run");
        assert!(!restarts.is_failing(&POLICY, None, at_the_latest));
        let started = now + POLICY.backoff_max;
        let well_after = Duration::from_millis(1400);
        assert!(restarts.is_failing(&POLICY, Some(started), started + well_after - moment), "it lived as long before");
        assert!(!restarts.is_failing(&POLICY, Some(started), started + well_after));
    }

    #[tokio::test(start_paused = true)]
    async fn jitter_shortens_by_a_quarter_at_most() {
        let wait = |jitter| Restarts::default().next_wait(&POLICY, Instant::now(), jitter);
        assert_eq!(wait(1.0), Duration::from_micros(750));
        assert_eq!(wait(0.0), Duration::from_millis(1));
    }
}
