//! Decides what a broker forgot to decide (docs/adr/0008).
//!
//! A broker that comes back may forget to write the markers of a transaction that it has ended. Its records then stay undecided: readers
//! wait for ever, or the next commit of the same producer would decide them, too. So new producers open a transaction wherever something
//! is undecided: its marker decides what was left. It is committed where the earlier one is known to have been ([`evidence`]), and
//! aborted everywhere else.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::producer::{BaseProducer, Producer};
use tokio::time::Instant;

use super::super::super::{LogError, Offset, Position, Positions, TopicPartition};
use super::super::cluster::{PATIENCE, partitions_of};
use super::super::native;
use super::super::trouble::Told;
use super::stamp::{Stamp, deciding};
use super::{COMMIT_PATIENCE, Stopped, Writer, evidence};

impl Writer {
    /// Whatever is undecided where we write may be ours, or of somebody who is at work; to them it means nothing.
    pub(super) fn decide_records(&self) -> Result<(), LogError> {
        let mut topics = self.cluster.topics()?;
        topics.retain(|topic, _| self.writes.contains(topic));
        let partitions = partitions_of(&topics);
        let undecided = self.cluster.undecided(&partitions)?;
        if undecided.is_empty() {
            return Ok(());
        }
        for (stamp, torn) in self.committed(&partitions, &undecided)? {
            tracing::warn!(number = stamp.number, partitions = ?torn, "a commit was made only in part: it is finished");
            let Some(producer) = self.producers.get(stamp.turn()) else { continue };
            self.decide(producer, native::commit, |producer| self.touch(producer, &torn))?;
        }
        tracing::debug!(?undecided, "giving up what earlier transactions of this process may have left undecided");
        let undecided = undecided.into_keys().collect();
        self.abort(|producer| self.touch(producer, &undecided))
    }

    pub(super) fn decide_positions(&self, at: TopicPartition, membership: &ConsumerGroupMetadata) -> Result<(), LogError> {
        let nowhere: Positions = [(at, Position::default())].into();
        self.abort(|producer| {
            let list = self.list(&nowhere)?;
            Ok(producer.send_offsets_to_transaction(&list, membership, self.cluster.config.transaction_timeout())?)
        })
    }

    /// What earlier transactions of ours committed, but for these partitions.
    fn committed(
        &self,
        partitions: &[TopicPartition],
        undecided: &BTreeMap<TopicPartition, Offset>,
    ) -> Result<BTreeMap<Stamp, BTreeSet<TopicPartition>>, LogError> {
        let left = evidence::beyond(&self.cluster, &self.identity, undecided)?;
        if left.is_empty() {
            return Ok(BTreeMap::new());
        }
        let visible = evidence::visible(&self.cluster, &self.identity, partitions, undecided)?;
        Ok(evidence::committed(&left, &visible, self.answered))
    }

    /// Makes these partitions part of the open transaction.
    fn touch(&self, producer: &BaseProducer<Told>, partitions: &BTreeSet<TopicPartition>) -> Result<(), Stopped> {
        for at in partitions {
            self.send(producer, &deciding(*at), None)?;
        }
        // What was not sent yet would be given up by an abort, and decide nothing.
        Ok(producer.flush(PATIENCE)?)
    }

    /// A transaction of each producer that comes to nothing.
    fn abort(&self, touch: impl Fn(&BaseProducer<Told>) -> Result<(), Stopped>) -> Result<(), LogError> {
        self.producers.iter().try_for_each(|producer| self.decide(producer, native::abort, &touch))
    }

    fn decide(
        &self,
        producer: &BaseProducer<Told>,
        end: fn(&BaseProducer<Told>, std::time::Duration) -> Result<(), native::Failure>,
        touch: impl Fn(&BaseProducer<Told>) -> Result<(), Stopped>,
    ) -> Result<(), LogError> {
        let begun = Instant::now();
        let decided = || -> Result<(), Stopped> {
            producer.begin_transaction()?;
            touch(producer)?;
            Ok(end(producer, COMMIT_PATIENCE)?)
        };
        decided().map_err(|stopped| self.explain(stopped, begun, &[]))
    }
}
