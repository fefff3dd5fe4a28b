//! Whatever ends the reader, and whenever: each row comes exactly once.

use std::sync::Arc;
use std::time::Duration;

use kartshoppe::actors::faults::Fault;
use kartshoppe::log::{
    Appended, Batch, EventLog, LogError, LogFuture, NewRecord, PartitionId, Polled, Positions, Reader as LogReader, Session,
    SessionConfig, Start, Stop, TopicInfo, TopicPartition,
};
use kartshoppe::sources::wal::{Phase, Step};
use kartshoppe::wire::topics::Topic;
use tokio::sync::{mpsc, watch};

use super::support::log::within;
use super::support::wal::{Reader, WalShop};

/// Orders that flow until they are told to stop; gives their ids.
async fn flow(shop: Arc<WalShop>, mut stop: tokio::sync::watch::Receiver<bool>) -> Vec<String> {
    let mut ids = Vec::new();
    while !*stop.borrow_and_update() {
        ids.extend(shop.orders(&format!("f{}", ids.len()), 3).await);
    }
    ids
}

async fn struck(reader: &Reader, step: Step, fault: Fault) {
    let lives = reader.lives();
    reader.strike(step.target(), fault);
    within(async {
        while reader.faults.is_armed() || reader.lives() == lives {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    reader.streams().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn struck_at_every_step_by_every_fault_while_rows_flow() {
    let shop = Arc::new(WalShop::open().await);
    let reader = shop.reader().await;
    reader.streams().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let flowing = tokio::spawn(flow(shop.clone(), stopped));
    for fault in [Fault::Kill, Fault::Panic, Fault::Error, Fault::Hang] {
        for step in [Step::Committing, Step::Committed] {
            struck(&reader, step, fault).await;
        }
        for step in [Step::Looked, Step::Fenced, Step::Checked, Step::Streaming] {
            // Only a new life passes through these.
            reader.strike(step.target(), fault);
            shop.cut().await;
            within(async {
                while reader.faults.is_armed() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
            .await;
        }
    }
    reader.streams().await;
    stop.send_replace(true);
    let ids = flowing.await.unwrap();
    assert!(!ids.is_empty());
    shop.await_exactly(&ids).await;
    assert!(reader.lives() > 24, "{}", reader.lives());
    Arc::into_inner(shop).unwrap().end([reader]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_struck_begins_anew_with_nothing_twice() {
    for step in [Step::SlotMade, Step::SnapshotRead, Step::Begun] {
        for fault in [Fault::Kill, Fault::Panic, Fault::Error] {
            let shop = WalShop::open().await;
            let mut ids = shop.orders("before", 3).await;
            let reader = shop.idle_reader(shop.config.clone(), shop.log()).await;
            reader.strike(step.target(), fault);
            reader.start().await;
            ids.extend(shop.orders("during", 3).await);
            reader.streams().await;
            assert_eq!((reader.lives(), reader.faults.is_armed()), (2, false), "{step:?} {fault:?}");
            ids.extend(shop.orders("after", 3).await);
            shop.await_exactly(&ids).await;
            shop.end([reader]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_made_again_without_gap_or_repeat() {
    let shop = Arc::new(WalShop::open().await);
    let reader = shop.reader().await;
    reader.streams().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let flowing = tokio::spawn(flow(shop.clone(), stopped));
    for _ in 0..10 {
        let lives = reader.lives();
        shop.cut().await;
        within(async {
            while reader.lives() == lives {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        reader.streams().await;
    }
    stop.send_replace(true);
    let ids = flowing.await.unwrap();
    shop.await_exactly(&ids).await;
    Arc::into_inner(shop).unwrap().end([reader]).await;
}

/// Commits that arrive late: handed over, and on their way even if whoever waits for them is gone.
struct LateLog {
    log: Arc<dyn EventLog>,
    gate: watch::Receiver<bool>,
    results: mpsc::Sender<Result<(), LogError>>,
}

struct LateSession {
    session: Arc<dyn Session>,
    gate: watch::Receiver<bool>,
    results: mpsc::Sender<Result<(), LogError>>,
}

impl EventLog for LateLog {
    fn id(&self) -> LogFuture<'_, String> {
        self.log.id()
    }

    fn create_topics(&self, topics: &[Topic]) -> LogFuture<'_, Vec<Topic>> {
        self.log.create_topics(topics)
    }

    fn delete_topics(&self, topics: &[Topic]) -> LogFuture<'_, ()> {
        self.log.delete_topics(topics)
    }

    fn topics(&self) -> LogFuture<'_, Vec<TopicInfo>> {
        self.log.topics()
    }

    fn partitions(&self) -> PartitionId {
        self.log.partitions()
    }

    fn session(&self, config: SessionConfig) -> LogFuture<'_, Box<dyn Session>> {
        Box::pin(async move {
            let session = Arc::from(self.log.session(config).await?);
            Ok(Box::new(LateSession { session, gate: self.gate.clone(), results: self.results.clone() }) as Box<dyn Session>)
        })
    }

    fn reader(&self, from: &[(TopicPartition, Start)], stop: Stop) -> LogFuture<'_, Box<dyn LogReader>> {
        self.log.reader(from, stop)
    }

    fn append(&self, records: Vec<NewRecord>, deadline: Duration) -> LogFuture<'_, Vec<Appended>> {
        self.log.append(records, deadline)
    }

    fn committed(&self, group: &str) -> LogFuture<'_, Positions> {
        self.log.committed(group)
    }

    fn live_members(&self, group: &str) -> LogFuture<'_, usize> {
        self.log.live_members(group)
    }

    fn is_log_append_time(&self, topic: Topic) -> LogFuture<'_, bool> {
        self.log.is_log_append_time(topic)
    }
}

impl Session for LateSession {
    fn poll(&self, max_records: usize, max_wait: Duration) -> LogFuture<'_, Polled> {
        self.session.poll(max_records, max_wait)
    }

    fn commit(&self, batch: Batch) -> LogFuture<'_, ()> {
        let (session, mut gate, results) = (self.session.clone(), self.gate.clone(), self.results.clone());
        let late = tokio::spawn(async move {
            gate.wait_for(|open| *open).await.unwrap();
            let result = session.commit(batch).await;
            let _ = results.try_send(result.clone());
            result
        });
        Box::pin(async move { late.await.unwrap() })
    }

    fn rewind(&self, partitions: &[PartitionId]) -> LogFuture<'_, ()> {
        self.session.rewind(partitions)
    }

    fn close(&self) -> LogFuture<'_, ()> {
        self.session.close()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_froze_at_its_commit_writes_no_more_once_another_took_over() {
    let shop = WalShop::open().await;
    let (open, gate) = watch::channel(true);
    let (results, mut commits) = mpsc::channel(1_000);
    let frozen = shop.reader_with(shop.config.clone(), Arc::new(LateLog { log: shop.log(), gate, results })).await;
    frozen.streams().await;
    let mut ids = shop.orders("well", 3).await;
    shop.await_exactly(&ids).await;
    open.send_replace(false);
    ids.extend(shop.orders("frozen", 3).await);
    let second = shop.reader().await;
    second.reports(|report| matches!(report.phase, Phase::WaitingForSlot { .. })).await;
    frozen.stop().await;
    second.streams().await;
    shop.await_exactly(&ids).await;
    while commits.try_recv().is_ok() {}
    open.send_replace(true);
    let late = within(commits.recv()).await.unwrap();
    assert!(matches!(late, Err(LogError::Fenced { .. })), "{late:?}");
    ids.extend(shop.orders("after", 3).await);
    shop.await_exactly(&ids).await;
    shop.end([second]).await;
}
