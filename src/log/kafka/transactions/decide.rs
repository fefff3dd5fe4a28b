//! Decides what a broker forgot to decide (docs/adr/0008).
//!
//! A broker that comes back may forget to write the markers of a transaction that it has ended. Its records then stay undecided: readers
//! wait for ever, or the next commit of the same producer would decide them, too. So new producers open a transaction wherever something
//! is undecided and abort it: the marker of that decides what was left.

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::producer::{BaseProducer, Producer};
use tokio::time::Instant;

use super::super::super::{LogError, NewRecord, Position, Positions, TopicPartition};
use super::super::cluster::{PATIENCE, partitions_of};
use super::super::native;
use super::super::trouble::Told;
use super::{COMMIT_PATIENCE, Stopped, Writer};
use crate::wire::record::Headers;

/// Key of the records of transactions that come to nothing.
const NOTHING: &str = "nothing";

impl Writer {
    /// Whatever is undecided where we write may be ours, or of somebody who is at work; to them it means nothing.
    pub(super) fn decide_records(&self) -> Result<(), LogError> {
        let mut topics = self.cluster.topics()?;
        topics.retain(|topic, _| self.writes.contains(topic));
        let undecided = self.cluster.undecided(&partitions_of(&topics))?;
        if undecided.is_empty() {
            return Ok(());
        }
        tracing::debug!(?undecided, "giving up what earlier transactions of this process may have left undecided");
        self.open_and_abort(|producer| {
            for at in undecided.keys() {
                let (key, headers) = (Some(NOTHING.into()), Headers::none());
                let record = NewRecord { topic: at.topic, partition: Some(at.partition), key, value: None, headers };
                self.send(producer, &record)?;
            }
            // What was not sent yet would be given up here, and decide nothing there.
            Ok(producer.flush(PATIENCE)?)
        })
    }

    pub(super) fn decide_positions(&self, at: TopicPartition, membership: &ConsumerGroupMetadata) -> Result<(), LogError> {
        let nowhere: Positions = [(at, Position::default())].into();
        self.open_and_abort(|producer| {
            let list = self.list(&nowhere)?;
            Ok(producer.send_offsets_to_transaction(&list, membership, self.cluster.config.transaction_timeout())?)
        })
    }

    /// A transaction of each producer that comes to nothing.
    fn open_and_abort(&self, touch: impl Fn(&BaseProducer<Told>) -> Result<(), Stopped>) -> Result<(), LogError> {
        let begun = Instant::now();
        let one = |producer: &BaseProducer<Told>| -> Result<(), Stopped> {
            producer.begin_transaction()?;
            touch(producer)?;
            Ok(native::abort(producer, COMMIT_PATIENCE)?)
        };
        self.producers.iter().try_for_each(one).map_err(|stopped| self.explain(stopped, begun, &[]))
    }
}
