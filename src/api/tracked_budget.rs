//! Limits what anonymous clients may write to the log: a number of bytes per second for each tracked topic, and nothing once
//! the disk runs short.
//!
//! Tracked events and carts share file and disk with the ledger. Beyond the budget they are dropped, long before the ledger
//! suffers (docs/adr/0014).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::log::{NewRecord, Topic};
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// A burst may use the budget of this many seconds: pages send their events in batches.
const BURST_S: u64 = 4;
/// Bytes that wait for the log at most: the limit by number alone would let large events take half a gigabyte.
const WAITING_BYTES: usize = 32 << 20;
/// What a record takes besides its key and value: headers, and its share of pages.
const OVERHEAD: usize = 128;
/// How often the disk is asked.
const DISK_EVERY: Duration = Duration::from_millis(250);
/// The reserve takes no more than this part of a small disk.
const RESERVE_PART: u64 = 4;

/// Gives out the budget.
#[derive(Debug)]
pub struct TrackedBudget {
    bytes_per_second: u64,
    /// The folder whose disk must keep so many bytes free.
    reserve: Option<(PathBuf, u64)>,
    alarms: Alarms,
    buckets: Mutex<[Bucket; 2]>,
    asked: Mutex<Option<Instant>>,
    disk_is_low: AtomicBool,
    waiting: AtomicUsize,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u64,
    at: Instant,
}

impl TrackedBudget {
    /// A full budget of so many bytes a second for each topic; `reserve` names a folder and the bytes that stay free on its disk.
    #[must_use]
    pub fn new(bytes_per_second: u64, reserve: Option<(PathBuf, u64)>, alarms: Alarms) -> Self {
        let full = Bucket { left: bytes_per_second.saturating_mul(BURST_S), at: Instant::now() };
        Self {
            bytes_per_second,
            reserve,
            alarms,
            buckets: Mutex::new([full; 2]),
            asked: Mutex::default(),
            disk_is_low: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Takes what this record costs; `None` if there is not as much. The cost waits until it is [given back](Self::give_back).
    pub(super) fn take(&self, record: &NewRecord) -> Option<usize> {
        let cost = cost(record);
        if self.is_disk_low() || self.waiting.load(Ordering::Relaxed) + cost > WAITING_BYTES {
            return None;
        }
        let now = Instant::now();
        let mut buckets = lock(&self.buckets);
        let bucket = &mut buckets[usize::from(record.topic == Topic::ShoppingCartEvents)];
        let most = self.bytes_per_second.saturating_mul(BURST_S);
        let fresh = (now - bucket.at).as_secs_f64() * self.bytes_per_second as f64;
        // Less than a byte stays for the next time.
        if fresh >= 1.0 {
            *bucket = Bucket { left: bucket.left.saturating_add(fresh as u64).min(most), at: now };
        }
        bucket.left = bucket.left.checked_sub(cost as u64)?;
        self.waiting.fetch_add(cost, Ordering::Relaxed);
        Some(cost)
    }

    /// What waited does so no more.
    pub(super) fn give_back(&self, cost: usize) {
        self.waiting.fetch_sub(cost, Ordering::Relaxed);
    }

    fn is_disk_low(&self) -> bool {
        let Some((folder, reserve)) = &self.reserve else { return false };
        let mut asked = lock(&self.asked);
        if asked.is_some_and(|at| at.elapsed() < DISK_EVERY) {
            return self.disk_is_low.load(Ordering::Relaxed);
        }
        *asked = Some(Instant::now());
        // A disk that cannot be queried raises other alarms.
        let low = rustix::fs::statvfs(folder).is_ok_and(|disk| {
            let reserve = (*reserve).min(disk.f_blocks * disk.f_frsize / RESERVE_PART);
            disk.f_bavail * disk.f_frsize < reserve
        });
        let text =
            "the disk of the data directory is almost full: tracked events are dropped, orders are still taken. Free some space";
        self.alarms.set(About::cause(Cause::DiskLow), low.then(|| Alarm::warns(text).with_detail(folder.display())));
        self.disk_is_low.store(low, Ordering::Relaxed);
        low
    }

    /// Queries the disk at intervals, so that the alarm is cleared also without writes.
    pub(super) async fn watch(&self) {
        loop {
            tokio::time::sleep(DISK_EVERY * 4).await;
            self.is_disk_low();
        }
    }
}

fn cost(record: &NewRecord) -> usize {
    OVERHEAD + record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.as_ref().map_or(0, bytes::Bytes::len)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Headers;

    fn record(topic: Topic, bytes: usize) -> NewRecord {
        NewRecord { topic, partition: None, key: None, value: Some(vec![0; bytes].into()), headers: Headers::none() }
    }

    #[tokio::test(start_paused = true)]
    async fn each_topic_has_a_rate_and_a_burst() {
        let budget = TrackedBudget::new(1_000, None, Alarms::default());
        let event = record(Topic::EcommerceEvents, 1_000 - OVERHEAD);
        let taken = std::iter::from_fn(|| budget.take(&event)).count();
        assert_eq!(taken, 4);
        assert!(budget.take(&record(Topic::ShoppingCartEvents, 10)).is_some(), "events take nothing from carts");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(std::iter::from_fn(|| budget.take(&event)).count(), 2);
    }

    /// The smallest event that a page can send: what is written of it counts, not what was sent.
    #[tokio::test]
    async fn a_record_costs_what_it_takes_on_disk() {
        use crate::log::EventLog;
        use crate::log::embedded::{EmbeddedConfig, EmbeddedLog};
        let folder = tempfile::tempdir().unwrap();
        let config = || EmbeddedConfig { fsync: false, ..EmbeddedConfig::new(folder.path(), 4) };
        let size = || std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>();
        let log = EmbeddedLog::open(config(), crate::clock::Clock::system()).await.unwrap();
        log.create_topics(&[Topic::EcommerceEvents]).await.unwrap();
        log.close().await;
        let empty = size();
        let log = EmbeddedLog::open(config(), crate::clock::Clock::system()).await.unwrap();
        let batch: crate::wire::pages::tracked_event::TrackedEvents =
            serde_json::from_str(&format!("{{\"events\":[{}{{}}]}}", "{},".repeat(4_999))).unwrap();
        let trace = crate::telemetry::context::TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let records: Vec<_> = batch.records(|| uuid::Uuid::new_v4().to_string(), 1_800_000_000_000, trace.as_ref()).collect();
        let counted: usize = records.iter().map(cost).sum();
        log.append(records, Duration::from_secs(60)).await.unwrap();
        log.close().await;
        let written = size() - empty;
        assert!(written <= counted as u64, "{written} bytes were written and {counted} counted");
    }

    #[tokio::test]
    async fn memory_is_bounded_too() {
        let budget = TrackedBudget::new(1 << 40, None, Alarms::default());
        let event = record(Topic::EcommerceEvents, (1 << 20) - OVERHEAD);
        let costs: Vec<usize> = std::iter::from_fn(|| budget.take(&event)).collect();
        assert_eq!(costs.len(), 32);
        costs.into_iter().for_each(|cost| budget.give_back(cost));
        assert!(budget.take(&event).is_some());
    }

    #[tokio::test]
    async fn nothing_is_taken_from_the_reserve_of_the_disk() {
        let (folder, alarms) = (tempfile::tempdir().unwrap(), Alarms::default());
        let disk = rustix::fs::statvfs(folder.path()).unwrap();
        let is_low = disk.f_bavail < disk.f_blocks / RESERVE_PART;
        let budget = TrackedBudget::new(1_000, Some((folder.path().to_owned(), u64::MAX)), alarms.clone());
        assert_eq!(budget.take(&record(Topic::EcommerceEvents, 1)).is_none(), is_low);
        assert_eq!(alarms.list().len(), usize::from(is_low));
        let budget = TrackedBudget::new(1_000, Some((folder.path().to_owned(), 0)), alarms);
        assert!(budget.take(&record(Topic::EcommerceEvents, 1)).is_some());
    }
}
