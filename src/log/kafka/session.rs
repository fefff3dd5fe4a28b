//! A session: one member of a group, and the writer of its transactions.
//!
//! ```text
//!  poll, rewind ──► inbox ◄──► thread: one consumer ──┐ both are made anew, together, after anything unclear
//!  commit ─────────────────► thread: two producers ───┘
//! ```
//! After an unclear commit nothing is mended: producers and consumer are dropped and made anew, in the order that `member` states.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset as ClientOffset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::{Batch, LogError, LogFuture, PartitionId, Polled, Session, SessionConfig, deadline_of};
use super::cluster::{Cluster, PATIENCE, cannot_make};
use super::former::Presence;
use super::inbox::Inbox;
use super::member::{Member, is_fenced};
use super::records::{Names, copy, seen};
use super::rights::{Access, Lack};
use super::transactions::Transactions;
use super::trouble::refused;
use super::unreadable::is_unreadable;

/// The thread waits so long for a record before it looks for something else to do.
const WAIT: Duration = Duration::from_millis(20);
/// A log that is refused is looked at again after this.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);
/// Records that are handed over at once.
const CHUNK: usize = 500;
/// How long opening a session may take.
const OPEN_PATIENCE: Duration = Duration::from_secs(15);
/// Wait before everything is made anew, at first and at most; doubled each time it did not hold.
const AGAIN_MIN: Duration = Duration::from_millis(20);
const AGAIN_MAX: Duration = Duration::from_secs(1);
/// A life that lasted so long was a good one.
const HELD: Duration = Duration::from_secs(10);
/// How long a member that leaves waits for the group to know.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

/// A session on Kafka.
pub(super) struct KafkaSession {
    inbox: Arc<Inbox>,
    transactions: Transactions,
    has_group: bool,
    /// Answered when the thread has left the group.
    left: tokio::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

impl KafkaSession {
    /// Opens it: when this returns, every older session of the identity is fenced.
    pub async fn open(cluster: &Arc<Cluster>, config: SessionConfig) -> Result<Self, LogError> {
        if let Some(refusal) = cluster.board.refusal() {
            return Err(refusal);
        }
        let inbox = Arc::new(Inbox::default());
        config.group.iter().for_each(|group| cluster.board.joins(group));
        let SessionConfig { identity, group, topics, writes } = config;
        let presence = cluster.formers.succeed(&identity, &inbox).await;
        let transactions =
            Transactions::start(cluster.clone(), &identity, writes, inbox.clone(), group.clone(), presence.clone())?;
        let (opened, answer) = oneshot::channel();
        let (leaving, left) = oneshot::channel();
        let names = Names::new(&cluster.config, topics);
        let has_group = group.is_some();
        let thread = Thread {
            cluster: cluster.clone(),
            identity,
            group,
            names,
            inbox: inbox.clone(),
            transactions: transactions.clone(),
            _presence: presence,
        };
        let spawned = std::thread::Builder::new().name("kafka-session".to_owned()).spawn(move || {
            thread.run(opened);
            thread.transactions.end();
            let _ = leaving.send(());
        });
        spawned.map_err(|error| LogError::Unavailable(format!("a thread to read with: {error}")))?;
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

/// Whoever drops a commit half-way does not know what became of it.
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

/// The thread that owns the consumer.
struct Thread {
    cluster: Arc<Cluster>,
    identity: String,
    group: Option<String>,
    names: Names,
    inbox: Arc<Inbox>,
    transactions: Transactions,
    /// Goes with the thread.
    _presence: Presence,
}

impl Thread {
    /// Lives until the session is over.
    fn run(&self, opened: oneshot::Sender<Result<(), LogError>>) {
        let mut opened = Some(opened);
        let mut again = AGAIN_MIN;
        while self.inbox.over().is_none() {
            let started = Instant::now();
            if let Err(error) = self.live(&mut opened) {
                if let Some(opened) = opened.take() {
                    self.inbox.end(error.clone());
                    let _ = opened.send(Err(error));
                    return;
                }
                if self.inbox.over().is_some() {
                    return;
                }
                tracing::warn!(%error, "the session on the event log begins anew");
                self.cluster.board.renewed();
                self.inbox.lose();
                if matches!(error, LogError::Refused(_)) {
                    self.inbox.tell(error);
                }
            }
            again = if started.elapsed() > HELD { AGAIN_MIN } else { (again * 2).min(AGAIN_MAX) };
            self.inbox.pause(again);
        }
    }

    /// One life: producers, consumer, and reading until something is unclear.
    fn live(&self, opened: &mut Option<oneshot::Sender<Result<(), LogError>>>) -> Result<(), LogError> {
        let ready = self.transactions.init();
        let Some(group) = &self.group else { return self.write_only(&ready, opened) };
        // Joining goes on while the producers begin.
        let (told, producers) = std::sync::mpsc::channel();
        let member = Member {
            cluster: self.cluster.clone(),
            group: self.cluster.config.prefixed(group),
            inbox: self.inbox.clone(),
            producers: Mutex::new(Some(producers)),
            transactions: self.transactions.clone(),
        };
        let config = self.cluster.config.member(group, &self.identity);
        let consumer: BaseConsumer<Member> = config.create_with_context(member).map_err(|error| cannot_make(&error))?;
        let failed = |error: KafkaError| self.cluster.failed("joining the group", &error);
        consumer.subscribe(&self.names.all()).map_err(failed)?;
        self.wait(&ready)?;
        if let Some(opened) = opened.take() {
            let _ = opened.send(Ok(()));
        }
        let _ = told.send(Ok(()));
        self.read(&consumer)
    }

    /// A session without a group ends with its first failure: whoever has it opens another.
    fn write_only(
        &self,
        ready: &Receiver<Result<(), LogError>>,
        opened: &mut Option<oneshot::Sender<Result<(), LogError>>>,
    ) -> Result<(), LogError> {
        self.wait(ready)?;
        if let Some(opened) = opened.take() {
            let _ = opened.send(Ok(()));
        }
        let standstills = self.cluster.board.standstills();
        while self.inbox.over().is_none() {
            if let Some(reason) = self.inbox.broken().or_else(|| self.holds_back(standstills)) {
                self.inbox.end(LogError::Unavailable(reason));
            }
            self.inbox.pause(Duration::from_secs(1));
        }
        Ok(())
    }

    fn wait(&self, ready: &Receiver<Result<(), LogError>>) -> Result<(), LogError> {
        loop {
            match ready.recv_timeout(WAIT) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(LogError::Closed),
                Err(RecvTimeoutError::Timeout) => self.inbox.over().map_or(Ok(()), Err)?,
            }
        }
    }

    /// Whether a partition has come to stand still, which producers of this session may have to end.
    fn holds_back(&self, standstills: u64) -> Option<String> {
        let is_new = self.cluster.board.standstills() != standstills;
        is_new.then(|| "a partition stands still, and this session may have left it so".to_owned())
    }

    fn read(&self, consumer: &BaseConsumer<Member>) -> Result<(), LogError> {
        let standstills = self.cluster.board.standstills();
        loop {
            self.cluster.board.look();
            if self.inbox.over().is_some() {
                self.leave(consumer);
                return Ok(());
            }
            if let Some(reason) = self.inbox.broken().or_else(|| self.holds_back(standstills)) {
                return Err(LogError::Unavailable(reason));
            }
            for rewind in self.inbox.rewinds() {
                let _ = rewind.done.send(self.rewind(consumer, &rewind.partitions));
            }
            if let Some(refusal) = self.cluster.board.refusal() {
                self.inbox.tell(refusal);
                self.inbox.pause(REFUSED_PAUSE);
                continue;
            }
            if !self.inbox.has_room() {
                self.inbox.pause(WAIT);
                continue;
            }
            self.fill(consumer)?;
        }
    }

    /// Takes what is there, at most a chunk.
    fn fill(&self, consumer: &BaseConsumer<Member>) -> Result<(), LogError> {
        let mut records = Vec::new();
        let mut wait = WAIT;
        while records.len() < CHUNK {
            match consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let record = copy(&self.names, seen(&message));
                    records.extend(record.inspect(|read| self.cluster.board.has_read(read.topic_partition(), read.offset)));
                }
                Some(Err(error)) => {
                    self.trouble(consumer, &error)?;
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        if !records.is_empty() {
            self.inbox.put(records);
        }
        Ok(())
    }

    fn trouble(&self, consumer: &BaseConsumer<Member>, error: &KafkaError) -> Result<(), LogError> {
        use rdkafka::error::RDKafkaErrorCode as Code;
        if is_fenced(consumer) {
            self.cluster.board.fenced();
            if self.cluster.board.excuses() {
                return Err(self.cluster.failed("being a member of the group", error));
            }
            self.inbox.end(LogError::Fenced { identity: self.cluster.config.prefixed(&self.identity) });
            return Ok(());
        }
        if consumer.client().fatal_error().is_some() {
            return Err(self.cluster.failed("reading", error));
        }
        match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Err(self.cluster.failed("reading", error)),
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
                let missing = || LogError::UnknownTopic(self.names.all().join(" or "));
                self.inbox.tell(self.cluster.board.refusal().unwrap_or_else(missing));
                Ok(())
            }
            Some(Code::GroupAuthorizationFailed) => {
                let group = self.group.iter().map(|group| Lack::Group(self.cluster.config.prefixed(group)));
                group.for_each(|lack| self.inbox.tell(self.cluster.board.lack(lack)));
                Ok(())
            }
            Some(Code::TopicAuthorizationFailed) => {
                let told = self.cluster.refused_topic(Access::Read, self.names.all());
                told.into_iter().for_each(|refusal| self.inbox.tell(refusal));
                Ok(())
            }
            Some(code) if is_unreadable(code) => self.cluster.look_for_unreadable(consumer, &self.names, self.inbox.places()),
            Some(code) => {
                refused(code, "reading").into_iter().for_each(|refusal| self.inbox.tell(refusal));
                tracing::debug!(%error, "trouble while reading");
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn rewind(&self, consumer: &BaseConsumer<Member>, partitions: &BTreeSet<PartitionId>) -> Result<(), LogError> {
        let mut list = TopicPartitionList::new();
        for (at, offset) in self.inbox.go_back(partitions) {
            let name = self.names.name(at.topic).unwrap_or_default();
            let added = list.add_partition_offset(name, at.partition, ClientOffset::Offset(offset));
            added.map_err(|error| self.cluster.failed("going back", &error))?;
        }
        if list.count() == 0 {
            return Ok(());
        }
        let sought = consumer.seek_partitions(list, PATIENCE).map_err(|error| self.cluster.failed("going back", &error))?;
        let failed = sought.elements().iter().find_map(|element| element.error().err());
        failed.map_or(Ok(()), |error| Err(self.cluster.failed("going back", &error)))
    }

    /// A static member stays in the group when its consumer is closed; so it says that it leaves, and waits until the group knows.
    fn leave(&self, consumer: &BaseConsumer<Member>) {
        if !self.inbox.leaves() {
            return;
        }
        let Some(group) = &self.group else { return };
        let before = self.cluster.members(group).unwrap_or(0);
        consumer.unsubscribe();
        let deadline = Instant::now() + LEAVE_PATIENCE;
        while Instant::now() < deadline {
            // Whatever it still brings is nobody's.
            let _ = consumer.poll(WAIT);
            if before == 0 || self.cluster.members(group).is_ok_and(|now| now < before) {
                return;
            }
        }
    }
}
