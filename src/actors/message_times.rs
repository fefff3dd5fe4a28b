//! How many messages wait for an actor, and how long they wait and are handled.
//!
//! Waiting is measured on one message at a time per mailbox, so that a message costs a few atomic operations and no clock: the
//! next one is timed when the last one was taken. A mailbox hands its messages out in the order in which they came.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use super::kinds::ActorKind;
use crate::telemetry::metrics::SECONDS;

/// The messages of one incarnation.
#[derive(Debug, Default)]
pub(super) struct MessageQueue {
    depth: AtomicU64,
    put: AtomicU64,
    taken: AtomicU64,
    /// Number of the message whose wait is measured, from 1; 0: none.
    timed: AtomicU64,
    timed_since: Mutex<Option<Instant>>,
}

impl MessageQueue {
    /// A message is about to be put in.
    pub fn add(&self) {
        self.depth.fetch_add(1, Ordering::Relaxed);
        let number = self.put.fetch_add(1, Ordering::Relaxed) + 1;
        if self.timed.load(Ordering::Relaxed) == 0
            && self.timed.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            *self.timed_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// It was refused: the incarnation has ended, and this queue with it.
    pub fn refused(&self) {
        self.depth.fetch_sub(1, Ordering::Relaxed);
    }

    /// The next message was taken; how long it has waited, if that was measured.
    pub fn taken(&self) -> Option<Duration> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        let timed = self.timed.load(Ordering::Relaxed);
        if timed == 0 || number < timed {
            return None;
        }
        let since = self.timed_since.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.timed.store(0, Ordering::Relaxed);
        since.filter(|_| number == timed).map(|since| since.elapsed())
    }

    /// The message that was taken is done with.
    pub fn done(&self) {
        self.depth.fetch_sub(1, Ordering::Relaxed);
    }

    /// Messages that wait or are handled.
    pub fn depth(&self) -> u64 {
        self.depth.load(Ordering::Relaxed)
    }
}

/// What is measured of one kind of actor. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MessageTimes {
    pub waited: Histogram,
    pub handled: Histogram,
}

/// What is measured of every kind.
#[derive(Debug)]
pub struct TimesByKind([MessageTimes; ActorKind::ALL.len()]);

impl Default for TimesByKind {
    fn default() -> Self {
        Self(ActorKind::ALL.map(|_| MessageTimes { waited: Histogram::new(SECONDS), handled: Histogram::new(SECONDS) }))
    }
}

impl TimesByKind {
    /// Those of one kind.
    #[must_use]
    pub fn of(&self, kind: ActorKind) -> MessageTimes {
        self.0[kind as usize].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_message_at_a_time_is_measured() {
        let queue = MessageQueue::default();
        queue.add();
        tokio::time::advance(Duration::from_secs(1)).await;
        queue.add();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!((queue.taken(), queue.depth()), (Some(Duration::from_secs(3)), 2));
        queue.done();
        queue.add();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(
            (queue.taken(), queue.taken()),
            (None, Some(Duration::from_secs(1))),
            "the second came while the first was timed"
        );
        queue.done();
        queue.done();
        assert_eq!(queue.depth(), 0);
    }
}
