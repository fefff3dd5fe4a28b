//! A log with gates: simulates a process that froze in the middle of a call to its log.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kartshoppe::log::layer::LogLayer;
use kartshoppe::log::{
    Appended, Batch, EventLog, LogError, LogFuture, NewRecord, Offset, PartitionId, Polled, Reader, Record, Session,
    SessionConfig, Start, Stop, TopicPartition,
};
use tokio::sync::watch;

/// Calls wait here while it is closed.
#[derive(Clone)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
    waiting: Arc<AtomicUsize>,
}

impl Gate {
    fn opened() -> Self {
        Self { open: Arc::new(watch::Sender::new(true)), waiting: Arc::default() }
    }

    pub fn close(&self) {
        self.open.send_replace(false);
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Number of calls that arrived at the closed gate.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    async fn pass(&self) {
        if !*self.open.borrow() {
            self.waiting.fetch_add(1, Ordering::SeqCst);
        }
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
    }
}

/// A log of one process that can be frozen at its commits, its appends, and with records in its hands.
pub struct GatedLog {
    log: Arc<dyn EventLog>,
    /// A commit that waits here completes when the gate opens, even if its caller was dropped.
    pub commits: Gate,
    pub appends: Gate,
    /// Records were read, but not returned yet.
    pub reads: Gate,
    results: Arc<Mutex<Vec<Result<(), LogError>>>>,
}

impl GatedLog {
    pub fn over(log: Arc<dyn EventLog>) -> Arc<Self> {
        let [commits, appends, reads] = [Gate::opened(), Gate::opened(), Gate::opened()];
        Arc::new(Self { log, commits, appends, reads, results: Arc::default() })
    }

    /// The results of the commits so far.
    pub fn results(&self) -> Vec<Result<(), LogError>> {
        self.results.lock().unwrap().clone()
    }
}

impl LogLayer for GatedLog {
    fn beneath(&self) -> &dyn EventLog {
        &*self.log
    }

    fn session(&self, config: SessionConfig) -> LogFuture<'_, Box<dyn Session>> {
        Box::pin(async move {
            let session = Arc::from(self.log.session(config).await?);
            let (gate, results) = (self.commits.clone(), self.results.clone());
            Ok(Box::new(GatedSession { session, gate, results }) as Box<dyn Session>)
        })
    }

    fn reader(&self, from: &[(TopicPartition, Start)], stop: Stop) -> LogFuture<'_, Box<dyn Reader>> {
        let opening = self.log.reader(from, stop);
        Box::pin(async move {
            let reader = GatedReader { reader: opening.await?, gate: self.reads.clone(), held: None };
            Ok(Box::new(reader) as Box<dyn Reader>)
        })
    }

    fn append(&self, records: Vec<NewRecord>, deadline: Duration) -> LogFuture<'_, Vec<Appended>> {
        Box::pin(async move {
            self.appends.pass().await;
            self.log.append(records, deadline).await
        })
    }
}

struct GatedSession {
    session: Arc<dyn Session>,
    gate: Gate,
    results: Arc<Mutex<Vec<Result<(), LogError>>>>,
}

impl Session for GatedSession {
    fn poll(&self, max_records: usize, max_wait: Duration) -> LogFuture<'_, Polled> {
        self.session.poll(max_records, max_wait)
    }

    fn commit(&self, batch: Batch) -> LogFuture<'_, ()> {
        let (session, gate, results) = (self.session.clone(), self.gate.clone(), self.results.clone());
        let late = tokio::spawn(async move {
            gate.pass().await;
            let result = session.commit(batch).await;
            results.lock().unwrap().push(result.clone());
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

struct GatedReader {
    reader: Box<dyn Reader>,
    gate: Gate,
    /// Read, but not returned because the call was dropped at the gate.
    held: Option<Vec<Record>>,
}

impl Reader for GatedReader {
    fn read(&mut self, max_records: usize, max_wait: Duration) -> LogFuture<'_, Vec<Record>> {
        Box::pin(async move {
            if self.held.is_none() {
                self.held = Some(self.reader.read(max_records, max_wait).await?);
            }
            if self.held.as_ref().is_some_and(|records| !records.is_empty()) {
                self.gate.pass().await;
            }
            Ok(self.held.take().unwrap_or_default())
        })
    }

    fn positions(&self) -> &BTreeMap<TopicPartition, Offset> {
        self.reader.positions()
    }

    fn ends(&self) -> &BTreeMap<TopicPartition, Offset> {
        self.reader.ends()
    }
}
