//! Transactions: two producers in turn, on a thread of their own.
//!
//! A broker refuses the next transaction of a producer until the markers of the one before are written. With two in turn, the next one
//! begins while they are: 2.8 ms a transaction instead of 4.4 (docs/adr/0006). The second begins only after the first one's commit
//! returned, so the order of commits is that of the calls.
//!
//! A commit is `Ok`, or nothing is known: the thread then drops its producers, and whoever owns the session makes everything anew. That
//! the new ones have the same ids aborts, at the broker, whatever the old ones left open.
//!
//! Before anything else new producers decide what earlier ones left undecided (`decide`).

mod decide;
mod evidence;
mod stamp;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};
use rdkafka::{Offset as ClientOffset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::{Batch, LogError, NewRecord, Positions, TopicPartition};
use super::cluster::{Cluster, PATIENCE, cannot_make};
use super::former::Presence;
use super::inbox::{Inbox, Membership};
use super::native;
use super::records::{Names, to_send};
use super::rights::{Access, Lack};
use super::trouble::{Told, is_too_late, refused};
use crate::wire::topics::Topic;
pub(super) use stamp::DECIDING;
use stamp::{Stamp, last_of_each};

/// Suffixes of the transactional ids.
const TURNS: [&str; 2] = ["a", "b"];
/// A commit that is not decided by then is unclear.
const COMMIT_PATIENCE: Duration = Duration::from_secs(20);
/// One call of `init_transactions`; it is called again until it succeeds.
const INIT_SLICE: Duration = Duration::from_secs(5);
/// Idle producers have their events served so often.
const SERVE_EVERY: Duration = Duration::from_secs(1);
/// While the queue is full, events are served for so long before the next try.
const FULL_WAIT: Duration = Duration::from_millis(1);

/// The thread's address.
#[derive(Clone)]
pub(super) struct Transactions(Sender<Job>);

enum Job {
    /// Make producers and fence all others of these ids.
    Init {
        ready: Sender<Result<(), LogError>>,
    },
    Commit {
        batch: Batch,
        membership: Option<Membership>,
        done: oneshot::Sender<Result<(), LogError>>,
    },
    /// The session is over.
    End,
    /// Decide what earlier transactions of these ids may have left undecided of the group's positions.
    DecidePositions {
        at: TopicPartition,
        membership: Membership,
        done: Sender<Result<(), LogError>>,
    },
}

impl Transactions {
    /// Starts the thread; it ends when it is told to, or when nobody holds its address any more.
    pub fn start(
        cluster: Arc<Cluster>,
        identity: &str,
        writes: Vec<Topic>,
        inbox: Arc<Inbox>,
        group: Option<String>,
        presence: Presence,
    ) -> Result<Self, LogError> {
        let (jobs, queue) = channel();
        let names = Names::new(&cluster.config, Topic::ALL);
        let writer = Writer {
            cluster,
            identity: identity.to_owned(),
            writes,
            inbox,
            group,
            names,
            producers: Vec::new(),
            stamp: Stamp::first(),
            answered: None,
            _presence: presence,
        };
        let thread = std::thread::Builder::new().name("kafka-commit".to_owned());
        let spawned = thread.spawn(move || writer.run(&queue));
        spawned.map_err(|error| LogError::Unavailable(format!("a thread to commit with: {error}")))?;
        Ok(Self(jobs))
    }

    /// Ends the thread: what is asked afterwards is answered by nobody.
    pub fn end(&self) {
        // One that has ended needs no telling.
        let _ = self.0.send(Job::End);
    }

    /// Makes the producers; the answer comes when all older ones of these ids are fenced, and nothing that they wrote is undecided.
    pub fn init(&self) -> Receiver<Result<(), LogError>> {
        let (ready, answer) = channel();
        // A thread that has ended drops the job, which the receiver then shows.
        let _ = self.0.send(Job::Init { ready });
        answer
    }

    /// Gives up what earlier transactions of these ids left undecided of the group's positions. `at` is any partition of ours.
    pub fn decide_positions(&self, at: TopicPartition, membership: Membership) -> Receiver<Result<(), LogError>> {
        let (done, answer) = channel();
        let _ = self.0.send(Job::DecidePositions { at, membership, done });
        answer
    }

    /// Commits; the answer comes when it is durable or unclear.
    pub fn commit(&self, batch: Batch, membership: Option<Membership>) -> oneshot::Receiver<Result<(), LogError>> {
        let (done, answer) = oneshot::channel();
        let _ = self.0.send(Job::Commit { batch, membership, done });
        answer
    }
}

struct Writer {
    cluster: Arc<Cluster>,
    identity: String,
    /// Topics that are written to.
    writes: Vec<Topic>,
    inbox: Arc<Inbox>,
    group: Option<String>,
    names: Names,
    /// Empty before `Init`, and after anything unclear.
    producers: Vec<BaseProducer<Told>>,
    /// The next transaction.
    stamp: Stamp,
    /// The last one whose commit was answered, also by earlier producers.
    answered: Option<Stamp>,
    /// Goes with the thread.
    _presence: Presence,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(SERVE_EVERY) {
                Ok(Job::Init { ready }) => {
                    let _ = ready.send(self.init());
                }
                Ok(Job::Commit { batch, membership, done }) => {
                    let result = self.commit(&batch, membership.as_deref());
                    if let Err(error) = &result {
                        self.give_up(error);
                    }
                    let _ = done.send(result);
                }
                Ok(Job::DecidePositions { at, membership, done }) => {
                    let _ = done.send(self.decide_positions(at, &membership));
                }
                Err(RecvTimeoutError::Timeout) => self.producers.iter().for_each(|producer| {
                    producer.poll(Duration::ZERO);
                }),
                Ok(Job::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Drops what is there, and makes all anew at the same time: each may have to wait for a transaction that was left open.
    fn init(&mut self) -> Result<(), LogError> {
        self.producers.clear();
        let made = TURNS.map(|turn| {
            let config = self.cluster.config.transactional(&format!("{}-{turn}", self.identity));
            config.create_with_context(Told(self.cluster.board.clone())).map_err(|error| cannot_make(&error))
        });
        let made: Vec<BaseProducer<Told>> = made.into_iter().collect::<Result<_, _>>()?;
        std::thread::scope(|scope| {
            let under_way: Vec<_> = made.iter().map(|producer| scope.spawn(|| self.init_one(producer))).collect();
            under_way.into_iter().try_for_each(|one| one.join().unwrap_or(Err(LogError::Closed)))
        })?;
        self.cluster.board.granted(&self.lack_of_id());
        self.producers = made;
        self.stamp = Stamp::first();
        self.decide_records()
    }

    /// Asks until the broker has an answer, or the session is over.
    fn init_one(&self, producer: &BaseProducer<Told>) -> Result<(), LogError> {
        // Without a connection the first question would be asked again only after a fixed 500 ms.
        if let Some(name) = self.names.name(Topic::Products) {
            let _ = producer.client().fetch_metadata(Some(name), PATIENCE);
        }
        loop {
            if let Some(over) = self.inbox.over() {
                return Err(over);
            }
            let error = match producer.init_transactions(INIT_SLICE) {
                Ok(()) => {
                    self.cluster.board.answered();
                    return Ok(());
                }
                Err(error) => error,
            };
            // The reason comes only now.
            producer.poll(FULL_WAIT * 20);
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            if code == RDKafkaErrorCode::TransactionalIdAuthorizationFailed {
                return Err(self.cluster.board.lack(self.lack_of_id()));
            }
            if let Some(refused) = refused(code, &format!("the transactional id {}", self.identity)) {
                return Err(refused);
            }
            if let Some(text) = self.cluster.board.credentials() {
                return Err(LogError::Refused(text));
            }
            if !is_retriable(&error) {
                return Err(self.cluster.failed("beginning to write transactions", &error));
            }
        }
    }

    fn commit(&mut self, batch: &Batch, membership: Option<&ConsumerGroupMetadata>) -> Result<(), LogError> {
        if batch.records.is_empty() && batch.positions.is_empty() {
            return Ok(());
        }
        let Some(producer) = self.producers.get(self.stamp.turn()) else {
            return Err(LogError::Unavailable("an earlier commit ended unclear: everything begins anew".to_owned()));
        };
        let begun = Instant::now();
        self.write(producer, batch, membership).map_err(|stopped| self.explain(stopped, begun, &batch.records))?;
        self.cluster.board.answered();
        self.cluster.board.commit_refused(None);
        self.answered = Some(self.stamp);
        self.stamp = self.stamp.next();
        Ok(())
    }

    fn write(
        &self,
        producer: &BaseProducer<Told>,
        batch: &Batch,
        membership: Option<&ConsumerGroupMetadata>,
    ) -> Result<(), Stopped> {
        producer.begin_transaction()?;
        let stamp = self.stamp.text(&self.identity);
        for (record, is_last) in batch.records.iter().zip(last_of_each(&self.cluster.config, &batch.records)) {
            self.send(producer, record, is_last.then_some(stamp.as_str()))?;
        }
        if let Some(membership) = membership
            && !batch.positions.is_empty()
        {
            let list = self.list(&batch.positions)?;
            producer.send_offsets_to_transaction(&list, membership, self.cluster.config.transaction_timeout())?;
        }
        Ok(native::commit(producer, COMMIT_PATIENCE)?)
    }

    fn send(&self, producer: &BaseProducer<Told>, record: &NewRecord, stamp: Option<&str>) -> Result<(), Stopped> {
        let name = self.names.name(record.topic).unwrap_or_default();
        let mut sent = to_send(record, name, stamp);
        loop {
            match producer.send(sent) {
                Ok(()) => return Ok(()),
                Err((error, again)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    producer.poll(FULL_WAIT);
                    sent = again;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    fn list(&self, positions: &Positions) -> Result<TopicPartitionList, Stopped> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (at, position) in positions {
            let name = self.names.name(at.topic).unwrap_or_default();
            let mut element = list.add_partition(name, at.partition);
            element.set_offset(ClientOffset::Offset(position.offset))?;
            element.set_metadata(&position.metadata);
        }
        Ok(list)
    }

    /// Who was fenced, and who only does not know. A transaction that was open for longer than the broker bears was aborted by it, which
    /// looks the same as a newer session; then to begin anew is right, and a newer session would fence us again at once.
    fn explain(&self, stopped: Stopped, begun: Instant, records: &[NewRecord]) -> LogError {
        let Stopped { code, text } = stopped;
        if is_too_late(code) {
            self.cluster.board.fenced();
        }
        let was_in_time = self.group.is_none() || begun.elapsed() < self.cluster.config.transaction_timeout();
        let has_rival = code == RDKafkaErrorCode::FencedInstanceId && !self.cluster.board.excuses();
        if has_rival || is_fenced(code) && was_in_time {
            return LogError::Fenced { identity: self.cluster.config.prefixed(&self.identity) };
        }
        let refusal = self.refusal(code, records).or_else(|| refused(code, "a commit"));
        if let Some(refusal) = &refusal {
            self.cluster.board.commit_refused(Some(&refusal.to_string()));
        }
        refusal.unwrap_or_else(|| self.cluster.board.unavailable(&format!("a commit: {text}")))
    }

    /// Which right is missing, if that is why a commit stopped.
    #[expect(clippy::wildcard_enum_match_arm, reason = "librdkafka has 200 codes; three of them are about rights")]
    fn refusal(&self, code: RDKafkaErrorCode, records: &[NewRecord]) -> Option<LogError> {
        let board = &self.cluster.board;
        match code {
            RDKafkaErrorCode::TopicAuthorizationFailed => {
                let topics: BTreeSet<Topic> = records.iter().map(|record| record.topic).collect();
                let names = topics.into_iter().filter_map(|topic| self.names.name(topic));
                self.cluster.refused_topic(Access::Write, names)
            }
            RDKafkaErrorCode::GroupAuthorizationFailed => {
                let group = self.group.as_ref()?;
                Some(board.lack(Lack::Group(self.cluster.config.prefixed(group))))
            }
            RDKafkaErrorCode::TransactionalIdAuthorizationFailed => Some(board.lack(self.lack_of_id())),
            _ => None,
        }
    }

    fn lack_of_id(&self) -> Lack {
        Lack::TransactionalId(self.cluster.config.prefixed(&self.identity))
    }

    /// Nothing is known of the last transaction, so nothing is done with these producers any more.
    fn give_up(&mut self, error: &LogError) {
        self.producers.clear();
        if matches!(error, LogError::Fenced { .. }) {
            self.inbox.end(error.clone());
        } else {
            self.inbox.break_off(error.to_string());
        }
    }
}

/// Why a transaction stopped.
struct Stopped {
    code: RDKafkaErrorCode,
    text: String,
}

impl From<KafkaError> for Stopped {
    fn from(error: KafkaError) -> Self {
        Self { code: error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail), text: error.to_string() }
    }
}

impl From<native::Failure> for Stopped {
    fn from(failure: native::Failure) -> Self {
        Self { code: failure.code, text: failure.text }
    }
}

fn is_retriable(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(error) if error.is_retriable())
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch)
}

/// Only failed deliveries are reported to a transactional producer, and librdkafka itself fails their transaction.
impl ProducerContext for Told {
    type DeliveryOpaque = ();

    fn delivery(&self, report: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = report {
            tracing::debug!(%error, "a record of a transaction was not delivered");
        }
    }
}
