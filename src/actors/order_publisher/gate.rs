//! What publishes the next order: the request itself (`direct`), or the WAL reader because the clocks can't be trusted for
//! expiry.
//!
//! Direct events expire by the log's own append time, against a time that the database wrote. If the topic doesn't carry the
//! log's time, or the two clocks differ by more than a few seconds, direct orders would be absorbed or rescued needlessly. No
//! clock needs to be right for safety; this is about service.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use crate::clock::whole_ms;
use crate::domain::EpochMs;

/// How long a difference of the clocks suspends direct publishing. It is then tried again, as only an order that is published
/// directly shows whether the clocks still differ.
const HOLD: Duration = Duration::from_secs(30);

/// What publishes an order that did not ask for change data capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishMode {
    Direct,
    /// Rows are written as `wal`, for this reason.
    Wal(WalReason),
}

/// Why direct publishing is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WalReason {
    #[error("not known yet whether order-events carries the log's append time")]
    NotKnownYet,
    #[error("order-events does not carry the log's append time: set message.timestamp.type=LogAppendTime")]
    NoAppendTime,
    #[error("the clocks of event log and database differ by {difference_ms} ms: synchronise both by NTP")]
    ClocksDiffer { difference_ms: i64 },
}

/// The gate: written by publisher and tracker, read by checkout without a lock.
#[derive(Debug)]
pub struct Gate {
    max_skew: Duration,
    append_time: AtomicU8,
    skew: ArcSwapOption<Skew>,
    /// How often direct publishing was suspended; each raises an alarm.
    pub alarms: AtomicU64,
}

#[derive(Debug)]
struct Skew {
    difference_ms: i64,
    until: Instant,
}

const UNKNOWN: u8 = 0;
const CARRIED: u8 = 1;
const MISSING: u8 = 2;

impl Gate {
    /// A gate that publishes nothing directly before the log has reported its kind of time.
    #[must_use]
    pub fn new(max_skew: Duration) -> Self {
        Self { max_skew, append_time: AtomicU8::new(UNKNOWN), skew: ArcSwapOption::empty(), alarms: AtomicU64::new(0) }
    }

    /// The present decision.
    #[must_use]
    pub fn mode(&self) -> PublishMode {
        match self.append_time.load(Ordering::Acquire) {
            UNKNOWN => PublishMode::Wal(WalReason::NotKnownYet),
            MISSING => PublishMode::Wal(WalReason::NoAppendTime),
            _ => self.skew.load().as_ref().filter(|skew| skew.until > Instant::now()).map_or(PublishMode::Direct, |skew| {
                PublishMode::Wal(WalReason::ClocksDiffer { difference_ms: skew.difference_ms })
            }),
        }
    }

    /// Says whether the topic carries the log's append time.
    pub fn set_append_time(&self, carried: bool) {
        let before = self.append_time.swap(if carried { CARRIED } else { MISSING }, Ordering::AcqRel);
        if !carried && before != MISSING {
            self.alarm(WalReason::NoAppendTime);
        }
    }

    /// Compares an append time with what the database's clock can have shown meanwhile: between these two times.
    /// Returns whether they agree.
    pub fn compare(&self, append_time_ms: EpochMs, database_from_ms: EpochMs, database_to_ms: EpochMs) -> bool {
        let difference_ms = difference(append_time_ms, database_from_ms, database_to_ms);
        let agree = difference_ms.unsigned_abs() <= whole_ms(self.max_skew);
        if !agree {
            let was_suspended = matches!(self.mode(), PublishMode::Wal(_));
            self.skew.store(Some(std::sync::Arc::new(Skew { difference_ms, until: Instant::now() + HOLD })));
            if !was_suspended {
                self.alarm(WalReason::ClocksDiffer { difference_ms });
            }
        }
        agree
    }

    fn alarm(&self, reason: WalReason) {
        self.alarms.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%reason, "orders are published through change data capture instead of directly");
    }
}

/// How far a time lies outside a span, negative if before it.
fn difference(time_ms: EpochMs, from_ms: EpochMs, to_ms: EpochMs) -> i64 {
    if time_ms < from_ms { time_ms - from_ms } else { (time_ms - to_ms).max(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn is_suspended_while_the_clocks_differ_and_tries_again() {
        let gate = Gate::new(Duration::from_secs(5));
        assert_eq!(gate.mode(), PublishMode::Wal(WalReason::NotKnownYet));
        gate.set_append_time(true);
        assert_eq!(gate.mode(), PublishMode::Direct);
        assert!(gate.compare(104_000, 100_000, 100_000) && gate.compare(95_000, 100_000, 100_500));
        // A slow append may be stamped at any time while it was under way.
        assert!(gate.compare(108_000, 100_000, 109_000));
        assert_eq!(gate.mode(), PublishMode::Direct);
        assert!(!gate.compare(94_000, 100_000, 100_500));
        assert_eq!(gate.mode(), PublishMode::Wal(WalReason::ClocksDiffer { difference_ms: -6_000 }));
        assert!(!gate.compare(194_000, 200_000, 200_500));
        assert_eq!(gate.alarms.load(Ordering::Relaxed), 1, "one alarm for one suspension");
        tokio::time::advance(HOLD + Duration::from_millis(1)).await;
        assert_eq!(gate.mode(), PublishMode::Direct);
        gate.set_append_time(false);
        assert_eq!(gate.mode(), PublishMode::Wal(WalReason::NoAppendTime));
    }
}
