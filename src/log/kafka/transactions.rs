//! Transactions: two producers in turn, on a thread of their own.
//!
//! A broker refuses the next transaction of a producer until the markers of the one before are written. With two in turn, the
//! next one begins while they are: 2.8 ms a transaction instead of 4.4 (docs/adr/0006). The second begins only after the first
//! one's commit returned, so the order of commits is that of the calls.
//!
//! A commit is `Ok`, or its result is unclear: the thread then drops its producers, and the session makes all its clients again.
//! As the new ones have the same ids, the broker aborts whatever the old ones left open. They start with a repair
//! ([`repair::before_writing`]).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::cluster::{PATIENCE, cannot_make};
use super::codes::refused;
use super::inbox::{Inbox, Membership};
use super::repair;
use super::repair::previous_sessions::Presence;
use super::repair::stamp::{PRODUCERS, Stamp, last_of_each};
use super::reporting::Reporting;
use super::transaction::{FULL_WAIT, Stopped, Transaction, WriterSpec};
use crate::log::{Batch, LogError, TopicPartition};
use crate::wire::topics::Topic;

/// One call of `init_transactions`; it is called again until it succeeds.
const INIT_SLICE: Duration = Duration::from_secs(5);
/// How often the events of idle producers are served.
const SERVE_EVERY: Duration = Duration::from_secs(1);

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
    RepairPositions {
        at: TopicPartition,
        membership: Membership,
        done: Sender<Result<(), LogError>>,
    },
}

impl Transactions {
    /// Starts the thread; it ends with [`Self::end`], or when the last address is dropped.
    pub fn start(spec: WriterSpec, inbox: Arc<Inbox>, presence: Presence) -> Result<Self, LogError> {
        let (jobs, queue) = channel();
        let writer =
            TransactionWriter { spec, inbox, producers: Vec::new(), next: Stamp::first(), answered: None, _presence: presence };
        let thread = std::thread::Builder::new().name("kafka-commit".to_owned());
        let spawned = thread.spawn(move || writer.run(&queue));
        spawned.map_err(|error| LogError::Unavailable(format!("cannot start a thread to commit with: {error}")))?;
        Ok(Self(jobs))
    }

    /// Ends the thread; it answers nothing after that.
    pub fn end(&self) {
        // An error says that it has ended already.
        let _ = self.0.send(Job::End);
    }

    /// Makes the producers; the answer comes when all older ones of these ids are fenced, and nothing that they wrote is
    /// undecided.
    pub fn init(&self) -> Receiver<Result<(), LogError>> {
        let (ready, answer) = channel();
        // A thread that has ended drops the job, which the receiver then shows.
        let _ = self.0.send(Job::Init { ready });
        answer
    }

    /// Gives up what earlier transactions of these ids left undecided of the group's positions. `at` is any partition of ours.
    pub fn repair_positions(&self, at: TopicPartition, membership: Membership) -> Receiver<Result<(), LogError>> {
        let (done, answer) = channel();
        let _ = self.0.send(Job::RepairPositions { at, membership, done });
        answer
    }

    /// Commits; the answer comes when it is durable or unclear.
    pub fn commit(&self, batch: Batch, membership: Option<Membership>) -> oneshot::Receiver<Result<(), LogError>> {
        let (done, answer) = oneshot::channel();
        let _ = self.0.send(Job::Commit { batch, membership, done });
        answer
    }
}

struct TransactionWriter {
    spec: WriterSpec,
    inbox: Arc<Inbox>,
    /// Empty before `Init`, and after anything unclear.
    producers: Vec<BaseProducer<Reporting>>,
    /// The stamp of the next transaction.
    next: Stamp,
    /// The stamp of the last transaction whose commit was answered, also by earlier producers.
    answered: Option<Stamp>,
    /// Dropped with the thread.
    _presence: Presence,
}

impl TransactionWriter {
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
                Ok(Job::RepairPositions { at, membership, done }) => {
                    let _ = done.send(repair::before_reading_positions(&self.spec, &self.producers, at, &membership));
                }
                Err(RecvTimeoutError::Timeout) => self.producers.iter().for_each(|producer| {
                    producer.poll(Duration::ZERO);
                }),
                Ok(Job::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Drops the producers and makes new ones, both at the same time: each may have to wait for a transaction that was left open.
    fn init(&mut self) -> Result<(), LogError> {
        self.producers.clear();
        let WriterSpec { cluster, identity, .. } = &self.spec;
        let made = PRODUCERS.map(|suffix| {
            let config = cluster.config.transactional(&format!("{identity}-{suffix}"));
            config.create_with_context(Reporting(cluster.board.clone())).map_err(|error| cannot_make(&error))
        });
        let made: Vec<BaseProducer<Reporting>> = made.into_iter().collect::<Result<_, _>>()?;
        std::thread::scope(|scope| {
            let under_way: Vec<_> = made.iter().map(|producer| scope.spawn(|| self.init_one(producer))).collect();
            under_way.into_iter().try_for_each(|one| one.join().unwrap_or(Err(LogError::Closed)))
        })?;
        cluster.board.permissions.granted(&self.spec.permission_for_id());
        self.producers = made;
        self.next = Stamp::first();
        repair::before_writing(&self.spec, &self.producers, self.answered)
    }

    /// Asks until the broker has an answer, or the session is over.
    fn init_one(&self, producer: &BaseProducer<Reporting>) -> Result<(), LogError> {
        let WriterSpec { cluster, identity, names, .. } = &self.spec;
        // Without a connection the first question would be asked again only after a fixed 500 ms.
        if let Some(name) = names.name(Topic::Products) {
            let _ = producer.client().fetch_metadata(Some(name), PATIENCE);
        }
        loop {
            if let Some(over) = self.inbox.over() {
                return Err(over);
            }
            let error = match producer.init_transactions(INIT_SLICE) {
                Ok(()) => {
                    cluster.board.health.answered();
                    return Ok(());
                }
                Err(error) => error,
            };
            // Serves the event with the reason, which comes only now.
            producer.poll(FULL_WAIT * 20);
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            if code == RDKafkaErrorCode::TransactionalIdAuthorizationFailed {
                return Err(cluster.board.permissions.refused(self.spec.permission_for_id()));
            }
            if let Some(refused) = refused(code, &format!("the transactional id {identity}")) {
                return Err(refused);
            }
            if let Some(text) = cluster.board.health.wrong_credentials() {
                return Err(LogError::Refused(text));
            }
            if !is_retriable(&error) {
                return Err(cluster.failed("initialising the transactional producer", &error));
            }
        }
    }

    fn commit(&mut self, batch: &Batch, membership: Option<&ConsumerGroupMetadata>) -> Result<(), LogError> {
        if batch.records.is_empty() && batch.positions.is_empty() {
            return Ok(());
        }
        let Some(producer) = self.producers.get(self.next.turn()) else {
            return Err(LogError::Unavailable("the result of an earlier commit is unknown: the session starts over".to_owned()));
        };
        let begun = Instant::now();
        self.write(producer, batch, membership).map_err(|stopped| self.spec.explain(stopped, begun, &batch.records))?;
        let board = &self.spec.cluster.board;
        board.health.answered();
        board.commit_refused(None);
        self.answered = Some(self.next);
        self.next = self.next.next();
        Ok(())
    }

    fn write(
        &self,
        producer: &BaseProducer<Reporting>,
        batch: &Batch,
        membership: Option<&ConsumerGroupMetadata>,
    ) -> Result<(), Stopped> {
        let transaction = Transaction::begin(&self.spec, producer)?;
        let stamp = self.next.text(&self.spec.identity);
        for (record, is_last) in batch.records.iter().zip(last_of_each(&self.spec.cluster.config, &batch.records)) {
            transaction.send(record, is_last.then_some(stamp.as_str()))?;
        }
        if let Some(membership) = membership
            && !batch.positions.is_empty()
        {
            transaction.send_positions(&batch.positions, membership)?;
        }
        transaction.commit()
    }

    /// The result of the last transaction is unclear, so its producers are not used again.
    fn give_up(&mut self, error: &LogError) {
        self.producers.clear();
        if matches!(error, LogError::Fenced { .. }) {
            self.inbox.end(error.clone());
        } else {
            self.inbox.break_off(error.to_string());
        }
    }
}

fn is_retriable(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(error) if error.is_retriable())
}
