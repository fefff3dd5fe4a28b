//! A log that violates its contract or fails: aborted commits, commits with an unknown result, duplicate records.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kartshoppe::log::layer::LogLayer;
use kartshoppe::log::{Batch, EventLog, LogError, LogFuture, PartitionId, Polled, Record, Session, SessionConfig};

use crate::support::engine::{Setup, Shop, ids, order};
use crate::support::place::{Place, on_each_log};

on_each_log!(at length:
    commits_that_abort,
    commits_whose_answer_is_lost,
    commits_that_are_lost_on_the_way,
    records_that_come_twice
);

/// Which calls fail, and how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trouble {
    /// Every third commit is aborted.
    Aborts,
    /// Every fourth commit succeeds, but its answer and the partitions are lost.
    LostAnswers,
    /// Every fourth commit fails, but its answer is lost, and so are the partitions.
    LostRequests,
    /// Every poll with records is followed by one that returns them again.
    Replays,
}

struct Troubled {
    log: Arc<dyn EventLog>,
    trouble: Trouble,
    struck: Arc<AtomicU64>,
}

struct TroubledSession {
    log: Arc<dyn EventLog>,
    config: SessionConfig,
    trouble: Trouble,
    struck: Arc<AtomicU64>,
    commits: AtomicU64,
    inner: tokio::sync::RwLock<Arc<dyn Session>>,
    broken: AtomicBool,
    owned: Mutex<Vec<PartitionId>>,
    again: Mutex<Vec<Record>>,
}

impl TroubledSession {
    async fn inner(&self) -> Arc<dyn Session> {
        self.inner.read().await.clone()
    }

    async fn next(&self, max_records: usize, max_wait: Duration) -> Result<Polled, LogError> {
        if self.broken.swap(false, Ordering::AcqRel) {
            *self.inner.write().await = Arc::from(self.log.session(self.config.clone()).await?);
            return Ok(Polled::Lost(std::mem::take(&mut *self.owned.lock().unwrap())));
        }
        let again = std::mem::take(&mut *self.again.lock().unwrap());
        if !again.is_empty() {
            self.struck.fetch_add(1, Ordering::Relaxed);
            return Ok(Polled::Records(again));
        }
        let polled = self.inner().await.poll(max_records, max_wait).await?;
        match &polled {
            Polled::Assigned(assignments) => {
                *self.owned.lock().unwrap() = assignments.iter().map(|assignment| assignment.partition).collect();
            }
            Polled::Records(records) if self.trouble == Trouble::Replays => self.again.lock().unwrap().clone_from(records),
            Polled::Records(_) | Polled::Idle | Polled::Revoked(_) | Polled::Lost(_) => {}
        }
        Ok(polled)
    }

    async fn write(&self, batch: Batch) -> Result<(), LogError> {
        let number = self.commits.fetch_add(1, Ordering::Relaxed);
        let lost = || {
            self.struck.fetch_add(1, Ordering::Relaxed);
            self.broken.store(true, Ordering::Release);
            Err(LogError::Deadline { waited: Duration::from_secs(1) })
        };
        match self.trouble {
            Trouble::Aborts if number % 3 == 2 => {
                self.struck.fetch_add(1, Ordering::Relaxed);
                Err(LogError::Aborted("as arranged".to_owned()))
            }
            Trouble::LostAnswers if number % 4 == 3 => {
                self.inner().await.commit(batch).await?;
                lost()
            }
            Trouble::LostRequests if number % 4 == 3 => lost(),
            Trouble::Aborts | Trouble::LostAnswers | Trouble::LostRequests | Trouble::Replays => {
                self.inner().await.commit(batch).await
            }
        }
    }
}

impl Session for TroubledSession {
    fn poll(&self, max_records: usize, max_wait: Duration) -> LogFuture<'_, Polled> {
        Box::pin(self.next(max_records, max_wait))
    }
    fn commit(&self, batch: Batch) -> LogFuture<'_, ()> {
        Box::pin(self.write(batch))
    }
    fn rewind(&self, partitions: &[PartitionId]) -> LogFuture<'_, ()> {
        let partitions = partitions.to_vec();
        Box::pin(async move {
            self.again.lock().unwrap().clear();
            self.inner().await.rewind(&partitions).await
        })
    }
    fn close(&self) -> LogFuture<'_, ()> {
        Box::pin(async move { self.inner().await.close().await })
    }
}

impl LogLayer for Troubled {
    fn beneath(&self) -> &dyn EventLog {
        &*self.log
    }

    fn session(&self, config: SessionConfig) -> LogFuture<'_, Box<dyn Session>> {
        Box::pin(async move {
            let inner = tokio::sync::RwLock::new(Arc::from(self.log.session(config.clone()).await?));
            let (log, trouble, struck) = (self.log.clone(), self.trouble, self.struck.clone());
            let (commits, broken) = (AtomicU64::new(0), AtomicBool::new(false));
            let (owned, again) = (Mutex::default(), Mutex::default());
            let session = TroubledSession { log, config, trouble, struck, commits, inner, broken, owned, again };
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }
}

async fn survive(place: Place, trouble: Trouble) {
    const ORDERS: usize = 5_000;
    let setup = Setup { batch_max_records: 200, ..Setup::default() };
    let struck = Arc::new(AtomicU64::new(0));
    let counted = struck.clone();
    let wrap = Box::new(move |log| Arc::new(Troubled { log, trouble, struck: counted }) as Arc<dyn EventLog>);
    let shop = Shop::open_with(&place, &setup, wrap).await;
    shop.stock(ids(50), 90).await;
    shop.append((0..ORDERS).map(|n| order(n, &format!("P{:05}", n * 7 % 50), 1)).collect()).await;
    shop.settle().await;
    let ledger = shop.ledger().await;
    ledger.check_conservation(50, 90, ORDERS);
    assert_eq!(ledger.dead_letters, 0);
    assert!(struck.load(Ordering::Relaxed) >= 5, "{trouble:?} struck {struck:?} times");
    let duplicates = shop.inventory.metrics.duplicate.load(Ordering::Relaxed);
    assert_eq!(trouble == Trouble::Replays, duplicates > 0, "{duplicates} duplicates");
    shop.close().await;
}

async fn commits_that_abort(place: Place) {
    survive(place, Trouble::Aborts).await;
}

async fn commits_whose_answer_is_lost(place: Place) {
    survive(place, Trouble::LostAnswers).await;
}

async fn commits_that_are_lost_on_the_way(place: Place) {
    survive(place, Trouble::LostRequests).await;
}

async fn records_that_come_twice(place: Place) {
    survive(place, Trouble::Replays).await;
}
