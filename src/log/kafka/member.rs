//! The session's consumer: what happens when the group assigns and revokes partitions.
//!
//! Everything here runs inside the client's callback, on the session's thread, while the group waits. Exactness rests on the
//! order: first the producers are ready, so that no transaction of a predecessor is open any more; then the committed positions
//! are read, and only then the states.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset as ClientOffset, Statistics, TopicPartitionList};

use super::cluster::{Cluster, PATIENCE};
use super::inbox::Inbox;
use super::permissions::MissingPermission;
use super::reporting::{log, report};
use super::transactions::Transactions;
use crate::log::{LogError, PartitionInfo, Positions, TopicPartition};

/// Positions are usually decided within a few milliseconds.
const DECIDED_SOON: Duration = Duration::from_secs(1);
/// How long the repair of the positions may take: two transactions that are opened and aborted.
const REPAIR_PATIENCE: Duration = Duration::from_secs(30);
/// How often the wait for the producers checks whether the session is over.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// The context of a session's consumer.
pub(super) struct Member {
    pub cluster: Arc<Cluster>,
    /// By its name in Kafka.
    pub group: String,
    pub inbox: Arc<Inbox>,
    /// Receives once, when the producers are ready.
    pub producers: Mutex<Option<Receiver<Result<(), LogError>>>>,
    pub transactions: Transactions,
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        report(&self.cluster.board, &error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.cluster.board.figures.report(&statistics);
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        // The client has two kinds of this event only.
        let done = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.take_over(consumer, list)
        } else {
            self.give_away(consumer)
        };
        if let Err(error) = done {
            self.inbox.break_off(error.to_string());
            self.inbox.report(error);
            // Without any partitions the client goes on; this consumer is about to be dropped.
            let _ = consumer.unassign();
        }
    }
}

impl Member {
    fn take_over(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> Result<(), LogError> {
        self.wait_for_producers()?;
        let partitions: Vec<TopicPartition> = list
            .elements()
            .iter()
            .filter_map(|element| Some(TopicPartition::new(self.cluster.config.topic_of(element.topic())?, element.partition())))
            .collect();
        let positions = self.committed(consumer, list, &partitions)?;
        let bounds = self.cluster.bounds(&partitions)?;
        let mut from = TopicPartitionList::with_capacity(partitions.len());
        for at in &partitions {
            let start = self.start_of(*at, &bounds, &positions)?;
            let added =
                from.add_partition_offset(&self.cluster.config.name_of(at.topic), at.partition, ClientOffset::Offset(start));
            added.map_err(|error| self.cluster.failed("naming partitions", &error))?;
        }
        consumer.assign(&from).map_err(|error| self.cluster.failed("taking over partitions", &error))?;
        self.cluster.board.health.lose_position(None);
        self.cluster.board.permissions.granted(&MissingPermission::Group(self.group.clone()));
        let membership = consumer.group_metadata().ok_or(LogError::Closed)?;
        let first = bounds.iter().map(|(at, place)| (*at, place.start)).collect();
        self.inbox.assigned(Arc::new(membership), first, &positions);
        Ok(())
    }

    /// The committed position, or the beginning. A position outside the partition is refused, never replaced by a guess.
    fn start_of(
        &self,
        at: TopicPartition,
        bounds: &BTreeMap<TopicPartition, PartitionInfo>,
        positions: &Positions,
    ) -> Result<i64, LogError> {
        let PartitionInfo { start, end } = bounds.get(&at).copied().unwrap_or(PartitionInfo { start: 0, end: 0 });
        let offset = match positions.get(&at) {
            None => return Ok(start),
            Some(position) if (start..=end).contains(&position.offset) => return Ok(position.offset),
            Some(position) => position.offset,
        };
        let why = if offset < start {
            format!(
                "the group {} is committed at {at} offset {offset}, but the topic now begins at {start}: the records in between \
                 were deleted before they were processed. Stop every process, then set the group's position with \
                 `kafka-consumer-groups --reset-offsets --to-earliest` to continue without them, or run `make reset` to start \
                 over with an empty shop",
                self.group
            )
        } else {
            format!(
                "the group {} is committed at {at} offset {offset}, but the partition ends at {end}. If this is still the same topic, \
                 stop every process and set the group's position to an existing offset (`kafka-consumer-groups --reset-offsets \
                 --to-latest`): the shop then finds out where to resume. If the topic was recreated, run `make reset` to start \
                 over with an empty shop",
                self.group
            )
        };
        self.cluster.board.health.lose_position(Some(why));
        Err(LogError::OutOfRange { partition: at, offset, start, end })
    }

    /// The group's positions. If they stay undecided for longer than a commit takes, an earlier transaction of this identity may
    /// hold them, which is repaired first.
    fn committed(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &TopicPartitionList,
        partitions: &[TopicPartition],
    ) -> Result<Positions, LogError> {
        if let Ok(committed) = consumer.committed_offsets(list.clone(), DECIDED_SOON) {
            return self.cluster.positions_in(&committed);
        }
        if let Some(at) = partitions.first() {
            let membership = consumer.group_metadata().ok_or(LogError::Closed)?;
            let repaired = self.transactions.repair_positions(*at, Arc::new(membership)).recv_timeout(REPAIR_PATIENCE);
            repaired.unwrap_or_else(|_| Err(self.cluster.board.unavailable("deciding the group's positions")))?;
        }
        // A transaction that is still open belongs to another writer; the broker aborts it after its timeout.
        let committed = consumer.committed_offsets(list.clone(), self.cluster.config.transaction_timeout() + PATIENCE);
        let committed = committed.map_err(|error| self.cluster.failed("asking for the committed positions", &error))?;
        self.cluster.positions_in(&committed)
    }

    fn give_away(&self, consumer: &BaseConsumer<Self>) -> Result<(), LogError> {
        if consumer.assignment_lost() {
            tracing::warn!("the group has removed this process: its partitions are lost");
            self.cluster.board.health.fenced();
            self.inbox.lose();
        } else {
            self.inbox.hand_over();
        }
        consumer.unassign().map_err(|error| self.cluster.failed("releasing partitions", &error))
    }

    /// Returns when every older producer of our ids is fenced.
    fn wait_for_producers(&self) -> Result<(), LogError> {
        let mut producers = self.producers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ready) = producers.as_ref() else { return Ok(()) };
        let answer = loop {
            match ready.recv_timeout(CHECK_EVERY) {
                Ok(answer) => break answer,
                Err(RecvTimeoutError::Disconnected) => break Err(LogError::Closed),
                Err(RecvTimeoutError::Timeout) => self.inbox.over().map_or(Ok(()), Err)?,
            }
        };
        answer?;
        *producers = None;
        Ok(())
    }
}

/// Whether an error of a poll ends this consumer for good, because another has its instance id.
pub(super) fn is_fenced(consumer: &BaseConsumer<Member>) -> bool {
    consumer.client().fatal_error().is_some_and(|(code, _)| code == RDKafkaErrorCode::FencedInstanceId)
}
