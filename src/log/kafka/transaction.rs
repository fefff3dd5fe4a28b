//! One transaction of a producer, and what it means when it stops half-way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};
use rdkafka::{Offset as ClientOffset, TopicPartitionList};
use tokio::time::Instant;

use super::cluster::Cluster;
use super::codes::{is_fenced_producer, is_too_late, refused};
use super::native;
use super::permissions::{Access, MissingPermission};
use super::records::{Names, to_send};
use super::reporting::Reporting;
use crate::log::{LogError, NewRecord, Positions};
use crate::wire::topics::Topic;

/// A commit that is not decided by then is unclear.
pub(super) const COMMIT_PATIENCE: Duration = Duration::from_secs(20);
/// While the queue is full, events are served for this long before the next try.
pub(super) const FULL_WAIT: Duration = Duration::from_millis(1);

/// Who writes, and where to: what all transactions of a session have in common.
pub(super) struct WriterSpec {
    pub cluster: Arc<Cluster>,
    pub identity: String,
    pub group: Option<String>,
    /// The topics that are written to.
    pub writes: Vec<Topic>,
    pub names: Names,
}

/// An open transaction. One that is dropped stays open until the producer ends or goes on.
pub(super) struct Transaction<'a> {
    spec: &'a WriterSpec,
    pub producer: &'a BaseProducer<Reporting>,
}

impl<'a> Transaction<'a> {
    pub fn begin(spec: &'a WriterSpec, producer: &'a BaseProducer<Reporting>) -> Result<Self, Stopped> {
        producer.begin_transaction()?;
        Ok(Self { spec, producer })
    }

    /// Sends a record, with the stamp of the transaction if it is the last one of its partition.
    pub fn send(&self, record: &NewRecord, stamp: Option<&str>) -> Result<(), Stopped> {
        let name = self.spec.names.name(record.topic).unwrap_or_default();
        let mut sent = to_send(record, name, stamp);
        loop {
            match self.producer.send(sent) {
                Ok(()) => return Ok(()),
                Err((error, again)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    self.producer.poll(FULL_WAIT);
                    sent = again;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Moves the group's positions with the transaction.
    pub fn send_positions(&self, positions: &Positions, membership: &ConsumerGroupMetadata) -> Result<(), Stopped> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (at, position) in positions {
            let name = self.spec.names.name(at.topic).unwrap_or_default();
            let mut element = list.add_partition(name, at.partition);
            element.set_offset(ClientOffset::Offset(position.offset))?;
            element.set_metadata(&position.metadata);
        }
        let timeout = self.spec.cluster.config.transaction_timeout();
        Ok(self.producer.send_offsets_to_transaction(&list, membership, timeout)?)
    }

    pub fn commit(self) -> Result<(), Stopped> {
        Ok(native::commit(self.producer, COMMIT_PATIENCE)?)
    }
}

impl WriterSpec {
    /// What it means that a transaction stopped. One that was open for longer than the broker allows was aborted by it, which
    /// looks the same as a newer session; making the clients again is right then, and a newer session would fence us again at
    /// once.
    pub fn explain(&self, stopped: Stopped, begun: Instant, records: &[NewRecord]) -> LogError {
        let Stopped { code, text } = stopped;
        let board = &self.cluster.board;
        if is_too_late(code) {
            board.health.fenced();
        }
        let was_in_time = self.group.is_none() || begun.elapsed() < self.cluster.config.transaction_timeout();
        if self.has_rival(code) || is_fenced_producer(code) && was_in_time {
            return LogError::Fenced { identity: self.cluster.config.prefixed(&self.identity) };
        }
        let refusal = self.refusal(code, records).or_else(|| refused(code, "committing a transaction"));
        if let Some(refusal) = &refusal {
            board.commit_refused(Some(&refusal.to_string()));
        }
        refusal.unwrap_or_else(|| board.unavailable(&format!("committing a transaction: {text}")))
    }

    fn has_rival(&self, code: RDKafkaErrorCode) -> bool {
        if code != RDKafkaErrorCode::FencedInstanceId {
            return false;
        }
        let rivals = &self.cluster.board.rivals;
        rivals.note_refusal();
        rivals.is_likely()
    }

    /// Which permission is missing, if that is why a commit stopped.
    #[expect(clippy::wildcard_enum_match_arm, reason = "librdkafka has 200 codes; three of them are about permissions")]
    fn refusal(&self, code: RDKafkaErrorCode, records: &[NewRecord]) -> Option<LogError> {
        let permissions = &self.cluster.board.permissions;
        match code {
            RDKafkaErrorCode::TopicAuthorizationFailed => {
                let topics: BTreeSet<Topic> = records.iter().map(|record| record.topic).collect();
                let names = topics.into_iter().filter_map(|topic| self.names.name(topic));
                self.cluster.refused_topic(Access::Write, names)
            }
            RDKafkaErrorCode::GroupAuthorizationFailed => {
                let group = self.group.as_ref()?;
                Some(permissions.refused(MissingPermission::Group(self.cluster.config.prefixed(group))))
            }
            RDKafkaErrorCode::TransactionalIdAuthorizationFailed => Some(permissions.refused(self.permission_for_id())),
            _ => None,
        }
    }

    /// The permission to use our transactional ids.
    pub fn permission_for_id(&self) -> MissingPermission {
        MissingPermission::TransactionalId(self.cluster.config.prefixed(&self.identity))
    }
}

/// Why a transaction stopped.
pub(super) struct Stopped {
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

/// A transactional producer gets reports of failed deliveries only, and librdkafka itself fails their transaction.
impl ProducerContext for Reporting {
    type DeliveryOpaque = ();

    fn delivery(&self, report: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = report {
            tracing::debug!(%error, "a record of a transaction was not delivered");
        }
    }
}
