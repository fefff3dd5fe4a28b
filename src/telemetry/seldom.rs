//! Log lines that any client can cause as often as it likes: written at once, then counted for a while.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One line of a kind in so much time.
#[derive(Debug)]
pub struct Seldom {
    every: Duration,
    told: Mutex<BTreeMap<&'static str, (Instant, u64)>>,
}

impl Seldom {
    #[must_use]
    pub const fn new(every: Duration) -> Self {
        Self { every, told: Mutex::new(BTreeMap::new()) }
    }

    /// Whether this one is written: then how many of its kind were not since the last one.
    pub fn due(&self, kind: &'static str) -> Option<u64> {
        let (mut told, now) = (self.told.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        match told.get_mut(kind) {
            Some((last, untold)) if now.duration_since(*last) < self.every => {
                *untold += 1;
                None
            }
            known => {
                let untold = known.map_or(0, |(_, untold)| *untold);
                told.insert(kind, (now, 0));
                Some(untold)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_of_a_kind_is_told_and_the_next_counts_those_between() {
        let seldom = Seldom::new(Duration::from_secs(10));
        assert_eq!(["a", "a", "b", "a"].map(|kind| seldom.due(kind)), [Some(0), None, Some(0), None]);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(["a", "b", "b"].map(|kind| seldom.due(kind)), [Some(2), Some(0), None]);
    }
}
