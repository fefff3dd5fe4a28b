//! Stamps: the last record that a transaction writes to a partition says which transaction that is.
//!
//! No client can ask which transaction wrote a record. A session that has to finish what a broker began to decide finds it by its
//! stamp.

use std::collections::BTreeSet;

use super::super::options::KafkaConfig;
use crate::log::{Headers, NewRecord, TopicPartition, partitioner};
use crate::wire::topics::headers;

/// The two producers of a session, by the suffixes of their transactional ids. They write in turn.
pub(in crate::log::kafka) const PRODUCERS: [&str; 2] = ["a", "b"];

/// Key and stamp of a record that only makes its partition part of a transaction, whose end decides what lies before it.
pub(in crate::log::kafka) const DECIDING: &str = "deciding";

/// A transaction of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::log::kafka) struct Stamp {
    /// Drawn at random for each pair of producers.
    pub incarnation: u64,
    /// From 0, in the order of the commits: each transaction begins after the commit of the one before it was answered.
    pub number: u64,
}

impl Stamp {
    /// The stamp of the first transaction of a new pair of producers.
    pub fn first() -> Self {
        Self { incarnation: rand::random(), number: 0 }
    }

    pub fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }

    /// Which of [`PRODUCERS`] writes this transaction.
    pub fn turn(self) -> usize {
        usize::try_from(self.number % PRODUCERS.len() as u64).unwrap_or_default()
    }

    /// As the value of a header: identity, incarnation in hexadecimal, number.
    pub fn text(self, identity: &str) -> String {
        format!("{identity} {:x} {}", self.incarnation, self.number)
    }

    /// Reads the value of a header; `None` for what this identity did not write.
    pub fn read(identity: &str, value: &[u8]) -> Option<Self> {
        let (incarnation, number) =
            std::str::from_utf8(value).ok()?.strip_prefix(identity)?.strip_prefix(' ')?.split_once(' ')?;
        Some(Self { incarnation: u64::from_str_radix(incarnation, 16).ok()?, number: number.parse().ok()? })
    }
}

/// Which of the records are the last ones of their partitions.
pub(in crate::log::kafka) fn last_of_each(config: &KafkaConfig, records: &[NewRecord]) -> Vec<bool> {
    let mut seen = BTreeSet::new();
    let mut last: Vec<bool> =
        records.iter().rev().map(|record| partition_of(config, record).is_none_or(|at| seen.insert(at))).collect();
    last.reverse();
    last
}

/// `None` for a record without key and partition, which can go anywhere.
fn partition_of(config: &KafkaConfig, record: &NewRecord) -> Option<TopicPartition> {
    let count = record.topic.partitions().among(config.partitions);
    let by_key = || record.key.as_deref().map(|key| partitioner::partition_of(key, count));
    Some(TopicPartition::new(record.topic, record.partition.or_else(by_key)?))
}

/// A record that makes this partition part of its transaction. The readers of this shop leave it out.
pub(super) fn deciding(at: TopicPartition) -> NewRecord {
    let mut headers = Headers::none();
    headers.push(headers::TRANSACTION, DECIDING);
    NewRecord { topic: at.topic, partition: Some(at.partition), key: Some(DECIDING.into()), value: None, headers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::topics::Topic;

    #[test]
    fn a_stamp_is_read_by_its_own_identity_only() {
        let stamp = Stamp { incarnation: 0xfeed, number: 41 }.next();
        assert_eq!(stamp.turn(), 0);
        let text = stamp.text("shop 1");
        assert_eq!(Stamp::read("shop 1", text.as_bytes()), Some(stamp));
        for (identity, text) in [("shop", text.as_str()), ("shop 11", &text), ("shop 1", DECIDING), ("shop 1", "shop 1 x 1")] {
            assert_eq!(Stamp::read(identity, text.as_bytes()), None, "{identity}: {text}");
        }
    }

    #[test]
    fn the_last_record_of_each_partition_is_found_by_key_too() {
        let config =
            KafkaConfig { bootstrap_servers: String::new(), topic_prefix: String::new(), properties: [].into(), partitions: 2 };
        let record = |topic, partition, key: Option<&'static str>| NewRecord {
            topic,
            partition,
            key: key.map(Into::into),
            value: None,
            headers: Headers::none(),
        };
        let home = partitioner::partition_of(b"a", 2);
        let records = [
            record(Topic::Products, None, Some("a")),
            record(Topic::InventoryEvents, None, Some("a")),
            record(Topic::Products, Some(home), Some("b")),
            record(Topic::DeadLetters, None, None),
            record(Topic::Products, Some(1 - home), Some("a")),
            record(Topic::DeadLetters, None, None),
        ];
        assert_eq!(last_of_each(&config, &records), [false, true, true, true, true, true]);
    }
}
