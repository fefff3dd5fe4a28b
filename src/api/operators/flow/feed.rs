//! One value for all viewers, taken at an interval, and only while there is a viewer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::api::server::Lifeline;

/// A value for viewers.
pub(super) type Taking = Pin<Box<dyn Future<Output = Bytes> + Send>>;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Feed(Arc<FeedState>);

struct FeedState {
    every: Duration,
    take: Box<dyn Fn() -> Taking + Send + Sync>,
    newest: watch::Sender<Option<Bytes>>,
    /// The task that takes values runs.
    is_running: Mutex<bool>,
    lifeline: Lifeline,
}

impl Feed {
    /// Takes nothing before the first viewer.
    pub fn new(every: Duration, take: Box<dyn Fn() -> Taking + Send + Sync>, lifeline: Lifeline) -> Self {
        let newest = watch::Sender::new(None);
        Self(Arc::new(FeedState { every, take, newest, is_running: Mutex::new(false), lifeline }))
    }

    /// Follows the newest value; `None` until the first one exists.
    pub fn subscribe(&self) -> watch::Receiver<Option<Bytes>> {
        let mut is_running = self.0.is_running.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.0.newest.subscribe();
        if !*is_running {
            *is_running = true;
            let inner = self.0.clone();
            self.0.lifeline.tasks.spawn(async move {
                let stop = inner.lifeline.stop.clone();
                stop.run_until_cancelled(inner.run()).await;
            });
        }
        receiver
    }
}

impl FeedState {
    async fn run(&self) {
        let mut tick = interval(self.every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.newest.closed() => {
                    let mut is_running = self.is_running.lock().unwrap_or_else(PoisonError::into_inner);
                    // A viewer may have arrived while the last one left.
                    if self.newest.receiver_count() == 0 {
                        *is_running = false;
                        self.newest.send_replace(None);
                        return;
                    }
                }
                _ = tick.tick() => {
                    let value = (self.take)().await;
                    self.newest.send_replace(Some(value));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn counting() -> (Feed, Arc<AtomicU64>, Lifeline) {
        let (taken, lifeline) = (Arc::new(AtomicU64::new(0)), Lifeline::default());
        let counted = taken.clone();
        let take = move || {
            let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
            let value: Taking = Box::pin(async move { Bytes::from(number.to_string()) });
            value
        };
        (Feed::new(SECOND, Box::new(take), lifeline.clone()), taken, lifeline)
    }

    /// Lets other tasks run while a second passes.
    async fn pass(seconds: u32) {
        for _ in 0..seconds {
            tokio::time::sleep(SECOND).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_taken_while_nobody_watches() {
        let (feed, taken, lifeline) = counting();
        pass(100).await;
        assert_eq!((taken.load(Ordering::Relaxed), lifeline.tasks.len()), (0, 0));
        let viewer = feed.subscribe();
        pass(5).await;
        assert!(taken.load(Ordering::Relaxed) >= 5);
        drop(viewer);
        pass(2).await;
        let (before, tasks) = (taken.load(Ordering::Relaxed), lifeline.tasks.len());
        pass(100).await;
        assert_eq!((taken.load(Ordering::Relaxed), tasks), (before, 0), "the last viewer is gone");
        let mut again = feed.subscribe();
        again.wait_for(Option::is_some).await.unwrap();
        assert_eq!(taken.load(Ordering::Relaxed), before + 1, "what the last viewers saw is not shown again");
    }

    #[tokio::test(start_paused = true)]
    async fn many_viewers_share_one_value_a_second_and_a_slow_one_gets_the_newest() {
        let (feed, taken, _lifeline) = counting();
        let viewers: Vec<_> = (0..50).map(|_| feed.subscribe()).collect();
        let mut slow = feed.subscribe();
        pass(10).await;
        let count = taken.load(Ordering::Relaxed);
        assert!((10..=12).contains(&count), "{count}");
        slow.changed().await.unwrap();
        let newest = slow.borrow_and_update().clone().unwrap();
        assert_eq!(newest, Bytes::from(taken.load(Ordering::Relaxed).to_string()));
        assert_eq!(viewers.len(), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_it_while_somebody_watches() {
        let (feed, _taken, lifeline) = counting();
        let _viewer = feed.subscribe();
        pass(2).await;
        lifeline.stop.cancel();
        lifeline.tasks.close();
        lifeline.tasks.wait().await;
    }
}
