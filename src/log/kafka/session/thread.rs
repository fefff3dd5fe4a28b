//! The session's thread: owns the consumer, reads ahead into the inbox, and makes all clients again after anything unclear.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset as ClientOffset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::cluster::{Cluster, PATIENCE, cannot_make};
use super::super::codes::{is_unreadable, refused};
use super::super::inbox::Inbox;
use super::super::member::{Member, is_fenced};
use super::super::permissions::{Access, MissingPermission};
use super::super::records::{Names, copy, seen};
use super::super::repair::previous_sessions::Presence;
use super::super::transactions::Transactions;
use super::super::unreadable::search::Search;
use crate::clock::Backoff;
use crate::log::{LogError, PartitionId};

/// How long the thread waits for a record before it does something else.
const WAIT: Duration = Duration::from_millis(20);
/// How often a session on a refused log checks whether it is still refused.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);
/// Records that are put into the inbox at once.
const CHUNK: usize = 500;
/// The wait before clients are made again, at first and at most; it doubles with each incarnation that does not last.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// An incarnation that lasted this long resets the wait.
const LASTED: Duration = Duration::from_secs(10);
/// How long a leaving member waits until the group has noticed.
pub(super) const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

/// What the thread works with.
pub(super) struct SessionThread {
    pub cluster: Arc<Cluster>,
    pub identity: String,
    pub group: Option<String>,
    pub names: Names,
    pub inbox: Arc<Inbox>,
    pub transactions: Transactions,
    pub unreadable: Search,
    /// Dropped with the thread.
    pub _presence: Presence,
}

impl SessionThread {
    /// Runs until the session is over. `opened` receives the result of the first incarnation's start.
    pub fn run(&self, opened: oneshot::Sender<Result<(), LogError>>) {
        let mut opened = Some(opened);
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
        while self.inbox.over().is_none() {
            let started = Instant::now();
            if let Err(error) = self.run_incarnation(&mut opened) {
                if let Some(opened) = opened.take() {
                    self.inbox.end(error.clone());
                    let _ = opened.send(Err(error));
                    return;
                }
                if self.inbox.over().is_some() {
                    return;
                }
                tracing::warn!(%error, "the session of the event log starts over");
                self.cluster.board.health.renewed();
                self.inbox.lose();
                if matches!(error, LogError::Refused(_)) {
                    self.inbox.report(error);
                }
            }
            if started.elapsed() > LASTED {
                backoff.reset();
            }
            self.inbox.pause(backoff.next_wait());
        }
    }

    /// One incarnation: makes producers and consumer, and reads until something is unclear.
    fn run_incarnation(&self, opened: &mut Option<oneshot::Sender<Result<(), LogError>>>) -> Result<(), LogError> {
        let ready = self.transactions.init();
        let Some(group) = &self.group else { return self.write_only(&ready, opened) };
        // Joining goes on while the producers begin.
        let (tell_member, producers) = std::sync::mpsc::channel();
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
        let begun = self.begin(&ready, opened);
        // A failure too: a consumer that is dropped still serves an assignment that has arrived, and that waits for the
        // producers.
        let _ = tell_member.send(begun.clone());
        begun?;
        self.read(&consumer)
    }

    /// A session without a group ends with its first failure; its owner opens another.
    fn write_only(
        &self,
        ready: &Receiver<Result<(), LogError>>,
        opened: &mut Option<oneshot::Sender<Result<(), LogError>>>,
    ) -> Result<(), LogError> {
        self.begin(ready, opened)?;
        let standstill = &self.cluster.board.standstill;
        let standstills = standstill.count();
        while self.inbox.over().is_none() {
            if let Some(reason) = self.inbox.broken().or_else(|| standstill.since(standstills)) {
                self.inbox.end(LogError::Unavailable(reason));
            }
            self.inbox.pause(Duration::from_secs(1));
        }
        Ok(())
    }

    /// Waits until the producers are ready, and says once that the session is open.
    fn begin(
        &self,
        ready: &Receiver<Result<(), LogError>>,
        opened: &mut Option<oneshot::Sender<Result<(), LogError>>>,
    ) -> Result<(), LogError> {
        self.wait(ready)?;
        if let Some(opened) = opened.take() {
            let _ = opened.send(Ok(()));
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

    fn read(&self, consumer: &BaseConsumer<Member>) -> Result<(), LogError> {
        let standstill = &self.cluster.board.standstill;
        let standstills = standstill.count();
        loop {
            self.cluster.board.rivals.member_polled();
            if self.inbox.over().is_some() {
                self.leave(consumer);
                return Ok(());
            }
            if let Some(reason) = self.inbox.broken().or_else(|| standstill.since(standstills)) {
                return Err(LogError::Unavailable(reason));
            }
            for rewind in self.inbox.rewinds() {
                let _ = rewind.done.send(self.rewind(consumer, &rewind.partitions));
            }
            if let Some(refusal) = self.cluster.board.refusal() {
                self.inbox.report(refusal);
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

    /// Puts what was read into the inbox, at most a chunk.
    fn fill(&self, consumer: &BaseConsumer<Member>) -> Result<(), LogError> {
        let mut records = Vec::new();
        let mut wait = WAIT;
        while records.len() < CHUNK {
            match consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let record = copy(&self.names, seen(&message));
                    records.extend(
                        record.inspect(|read| self.cluster.board.unreadable.has_read(read.topic_partition(), read.offset)),
                    );
                }
                Some(Err(error)) => {
                    self.on_error(consumer, &error)?;
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

    fn on_error(&self, consumer: &BaseConsumer<Member>, error: &KafkaError) -> Result<(), LogError> {
        use rdkafka::error::RDKafkaErrorCode as Code;
        if is_fenced(consumer) {
            let board = &self.cluster.board;
            board.health.fenced();
            board.rivals.note_refusal();
            if !board.rivals.is_likely() {
                return Err(self.cluster.failed("polling as a member of the group", error));
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
                self.inbox.report(self.cluster.board.refusal().unwrap_or_else(missing));
                Ok(())
            }
            Some(Code::GroupAuthorizationFailed) => {
                let group = self.group.iter().map(|group| MissingPermission::Group(self.cluster.config.prefixed(group)));
                group.for_each(|missing| self.inbox.report(self.cluster.board.permissions.refused(missing)));
                Ok(())
            }
            Some(Code::TopicAuthorizationFailed) => {
                let refusal = self.cluster.refused_topic(Access::Read, self.names.all());
                refusal.into_iter().for_each(|refusal| self.inbox.report(refusal));
                Ok(())
            }
            Some(code) if is_unreadable(code) => {
                let reached = consumer.position().unwrap_or_default();
                self.unreadable.run(&self.cluster, &self.names, self.inbox.places(), &reached);
                Ok(())
            }
            Some(code) => {
                refused(code, "reading").into_iter().for_each(|refusal| self.inbox.report(refusal));
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

    /// A static member stays in the group when its consumer is closed. So it unsubscribes, and waits until the group has noticed.
    fn leave(&self, consumer: &BaseConsumer<Member>) {
        if !self.inbox.leaves() {
            return;
        }
        let Some(group) = &self.group else { return };
        let before = self.cluster.members(group).unwrap_or(0);
        consumer.unsubscribe();
        let deadline = Instant::now() + LEAVE_PATIENCE;
        while Instant::now() < deadline {
            // Whatever it still reads is dropped.
            let _ = consumer.poll(WAIT);
            if before == 0 || self.cluster.members(group).is_ok_and(|now| now < before) {
                return;
            }
        }
    }
}
