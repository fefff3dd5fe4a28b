//! Decides what a broker forgot to decide.
//!
//! A broker that comes back may forget to write the markers of a transaction that it has ended. Its records then stay undecided:
//! readers wait for ever, or the next commit of the same producer would decide them as well. So new producers open a transaction
//! wherever something is undecided, and its marker decides what was left. It commits where the earlier transaction is known to
//! have been committed ([`evidence`]), and aborts everywhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::producer::{BaseProducer, Producer};
use tokio::time::Instant;

use super::super::cluster::{PATIENCE, partitions_of};
use super::super::native;
use super::super::reporting::Reporting;
use super::super::transaction::{COMMIT_PATIENCE, Stopped, Transaction, WriterSpec};
use super::evidence;
use super::stamp::{Stamp, deciding};
use crate::log::{LogError, Offset, Position, Positions, TopicPartition};

/// To be called when the producers of a session were made, before they write: decides every transaction that earlier producers of
/// its identity may have left undecided on the topics that it writes to. `answered` is the last transaction whose commit this
/// process knows to have been answered.
pub(in crate::log::kafka) fn before_writing(
    spec: &WriterSpec,
    producers: &[BaseProducer<Reporting>],
    answered: Option<Stamp>,
) -> Result<(), LogError> {
    let repair = Repair { spec, producers };
    let mut topics = spec.cluster.topics()?;
    topics.retain(|topic, _| spec.writes.contains(topic));
    let partitions = partitions_of(&topics);
    let undecided = spec.cluster.undecided(&partitions)?;
    if undecided.is_empty() {
        return Ok(());
    }
    for (stamp, torn) in committed(spec, &partitions, &undecided, answered)? {
        tracing::warn!(number = stamp.number, partitions = ?torn, "a broker decided a commit only in part: committing the rest");
        let Some(producer) = producers.get(stamp.turn()) else { continue };
        repair.decide(producer, native::commit, |transaction| touch(transaction, &torn))?;
    }
    // What is undecided may also belong to another writer at work; the markers of our producers mean nothing to it.
    tracing::debug!(?undecided, "aborting what earlier transactions of this process may have left undecided");
    let undecided = undecided.into_keys().collect();
    repair.abort(|transaction| touch(transaction, &undecided))
}

/// To be called when the group's positions stay undecided for longer than a commit takes: aborts what earlier transactions of the
/// identity left undecided of them. `at` is any partition of ours.
pub(in crate::log::kafka) fn before_reading_positions(
    spec: &WriterSpec,
    producers: &[BaseProducer<Reporting>],
    at: TopicPartition,
    membership: &ConsumerGroupMetadata,
) -> Result<(), LogError> {
    let nowhere: Positions = [(at, Position::default())].into();
    Repair { spec, producers }.abort(|transaction| transaction.send_positions(&nowhere, membership))
}

/// What earlier transactions of ours committed, except on these partitions.
fn committed(
    spec: &WriterSpec,
    partitions: &[TopicPartition],
    undecided: &BTreeMap<TopicPartition, Offset>,
    answered: Option<Stamp>,
) -> Result<BTreeMap<Stamp, BTreeSet<TopicPartition>>, LogError> {
    let left = evidence::beyond(&spec.cluster, &spec.identity, undecided)?;
    if left.is_empty() {
        return Ok(BTreeMap::new());
    }
    let visible = evidence::visible(&spec.cluster, &spec.identity, partitions, undecided)?;
    Ok(evidence::committed(&left, &visible, answered))
}

/// Makes these partitions part of the open transaction.
fn touch(transaction: &Transaction<'_>, partitions: &BTreeSet<TopicPartition>) -> Result<(), Stopped> {
    for at in partitions {
        transaction.send(&deciding(*at), None)?;
    }
    // An abort drops what was not sent yet, and that would decide nothing.
    Ok(transaction.producer.flush(PATIENCE)?)
}

/// New producers that decide for the earlier ones of their ids.
struct Repair<'a> {
    spec: &'a WriterSpec,
    producers: &'a [BaseProducer<Reporting>],
}

impl Repair<'_> {
    /// Aborts a transaction of each producer.
    fn abort(&self, touch: impl Fn(&Transaction<'_>) -> Result<(), Stopped>) -> Result<(), LogError> {
        self.producers.iter().try_for_each(|producer| self.decide(producer, native::abort, &touch))
    }

    fn decide(
        &self,
        producer: &BaseProducer<Reporting>,
        end: fn(&BaseProducer<Reporting>, Duration) -> Result<(), native::Failure>,
        touch: impl Fn(&Transaction<'_>) -> Result<(), Stopped>,
    ) -> Result<(), LogError> {
        let begun = Instant::now();
        let decided = || -> Result<(), Stopped> {
            touch(&Transaction::begin(self.spec, producer)?)?;
            Ok(end(producer, COMMIT_PATIENCE)?)
        };
        decided().map_err(|stopped| self.spec.explain(stopped, begun, &[]))
    }
}
