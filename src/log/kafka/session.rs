//! A session: one member of a group, and the writer of its transactions.
//!
//! ```text
//!  poll, rewind ──► inbox ◄──► thread: one consumer ──┐ both start over, together, after anything unclear
//!  commit ─────────────────► thread: two producers ───┘
//! ```
//! After an unclear commit no client is reused: producers and consumer are dropped and made again, in the order that `member`
//! states.

mod thread;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use self::thread::{LEAVE_PATIENCE, SessionThread};
use super::cluster::{Cluster, PATIENCE};
use super::inbox::Inbox;
use super::records::Names;
use super::transaction::WriterSpec;
use super::transactions::Transactions;
use super::unreadable::search::Search;
use crate::log::{Batch, LogError, LogFuture, PartitionId, Polled, Session, SessionConfig, deadline_of};
use crate::wire::topics::Topic;

/// How long opening a session may take.
const OPEN_PATIENCE: Duration = Duration::from_secs(15);

/// A session on Kafka.
pub(super) struct KafkaSession {
    inbox: Arc<Inbox>,
    transactions: Transactions,
    has_group: bool,
    /// Receives when the thread has left the group.
    left: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

impl KafkaSession {
    /// Opens it: when this returns, every older session of the identity is fenced.
    pub async fn open(cluster: &Arc<Cluster>, config: SessionConfig) -> Result<Self, LogError> {
        if let Some(refusal) = cluster.board.refusal() {
            return Err(refusal);
        }
        let inbox = Arc::new(Inbox::default());
        config.group.iter().for_each(|group| cluster.foreign_members.add_group(group));
        let SessionConfig { identity, group, topics, writes } = config;
        let presence = cluster.previous_sessions.succeed(&identity, &inbox).await;
        let spec = WriterSpec {
            cluster: cluster.clone(),
            identity: identity.clone(),
            group: group.clone(),
            writes,
            names: Names::new(&cluster.config, Topic::ALL),
        };
        let transactions = Transactions::start(spec, inbox.clone(), presence.clone())?;
        let (opened, answer) = oneshot::channel();
        let (leaving, left) = oneshot::channel();
        let names = Names::new(&cluster.config, topics);
        let has_group = group.is_some();
        let thread = SessionThread {
            cluster: cluster.clone(),
            identity,
            group,
            names,
            inbox: inbox.clone(),
            transactions: transactions.clone(),
            unreadable: Search::default(),
            _presence: presence,
        };
        let spawned = std::thread::Builder::new().name("kafka-session".to_owned()).spawn(move || {
            thread.run(opened);
            thread.transactions.end();
            let _ = leaving.send(());
        });
        spawned.map_err(|error| LogError::Unavailable(format!("cannot start a thread to read with: {error}")))?;
        let session = Self { inbox, transactions, has_group, left: tokio::sync::Mutex::new(Some(left)) };
        match tokio::time::timeout(OPEN_PATIENCE, answer).await {
            Ok(Ok(result)) => result.map(|()| session),
            Ok(Err(_)) => Err(session.inbox.over().unwrap_or(LogError::Closed)),
            Err(_) => Err(cluster.board.unavailable("opening a session")),
        }
    }

    async fn next(&self, max_records: usize, max_wait: Duration) -> Result<Polled, LogError> {
        let deadline = deadline_of(max_wait);
        loop {
            if let Some(taken) = self.inbox.take(max_records) {
                return taken;
            }
            if !self.inbox.wait(deadline).await {
                return Ok(Polled::Idle);
            }
        }
    }

    async fn write(&self, batch: Batch) -> Result<(), LogError> {
        let membership = if self.has_group { Some(self.inbox.membership()?) } else { self.inbox.over().map_or(Ok(None), Err)? };
        let mut unclear = Unclear { inbox: &self.inbox, armed: true };
        let positions = batch.positions.clone();
        let result = self.transactions.commit(batch, membership).await;
        unclear.armed = false;
        result.unwrap_or(Err(LogError::Closed))?;
        self.inbox.committed(positions);
        Ok(())
    }

    async fn go_back(&self, partitions: &[PartitionId]) -> Result<(), LogError> {
        match self.inbox.rewind(partitions)? {
            Some(done) => done.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }

    async fn leave(&self) {
        self.inbox.leave();
        if let Some(left) = self.left.lock().await.take() {
            let _ = tokio::time::timeout(LEAVE_PATIENCE + PATIENCE, left).await;
        }
    }
}

impl Session for KafkaSession {
    fn poll(&self, max_records: usize, max_wait: Duration) -> LogFuture<'_, Polled> {
        Box::pin(self.next(max_records, max_wait))
    }

    fn commit(&self, batch: Batch) -> LogFuture<'_, ()> {
        Box::pin(self.write(batch))
    }

    fn rewind(&self, partitions: &[PartitionId]) -> LogFuture<'_, ()> {
        let partitions = partitions.to_vec();
        Box::pin(async move { self.go_back(&partitions).await })
    }

    fn close(&self) -> LogFuture<'_, ()> {
        Box::pin(async move {
            self.leave().await;
            Ok(())
        })
    }
}

impl Drop for KafkaSession {
    fn drop(&mut self) {
        self.inbox.end(LogError::Closed);
    }
}

/// Makes the session start over if a commit is dropped half-way: its result is unclear then.
struct Unclear<'a> {
    inbox: &'a Inbox,
    armed: bool,
}

impl Drop for Unclear<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.inbox.break_off("a commit was abandoned".to_owned());
        }
    }
}
