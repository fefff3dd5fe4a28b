//! Partitions that stand still: a transaction that no writer ends holds back everything behind it, for every reader.
//!
//! A broker aborts what is open for too long, and a session decides what its own past left undecided. What is still there after
//! that belongs to a writer that does not come back, and has to be ended by hand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::super::options::KafkaConfig;
use crate::log::{Offset, TopicPartition};

/// Longer than our transactions may be open, and than the broker takes to abort one.
pub(in crate::log::kafka) const TOO_LONG: Duration = Duration::from_secs(30);

/// Whether a partition stands still now, for all sessions of the process.
#[derive(Debug, Default)]
pub(in crate::log::kafka) struct Standstill {
    reason: Mutex<Option<String>>,
    found: AtomicU64,
}

impl Standstill {
    /// A partition stands still, and why; `None` when all move.
    pub fn set(&self, now: Option<String>) {
        let mut reason = self.lock();
        if *reason != now {
            match &now {
                Some(reason) => {
                    tracing::error!(reason, "a partition of the event log stands still");
                    self.found.fetch_add(1, Ordering::Relaxed);
                }
                None => tracing::info!("no partition of the event log stands still any more"),
            }
            *reason = now;
        }
    }

    /// Which partition stands still, and what to do.
    pub fn reason(&self) -> Option<String> {
        self.lock().clone()
    }

    /// How many standstills were found so far.
    pub fn count(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// Why a session should make its clients again: since its producers were made, which was at this count, a partition has come
    /// to stand still. New producers end the transaction if it is theirs.
    pub fn since(&self, count: u64) -> Option<String> {
        (self.count() != count).then(|| "a partition stands still, possibly because of a transaction of this session".to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Since when each partition has stood where it stands.
#[derive(Debug, Default)]
pub(in crate::log::kafka) struct StandstillWatch(BTreeMap<TopicPartition, (Offset, Instant)>);

impl StandstillWatch {
    /// Compares with the last check; says what to do if a partition has stood still for too long.
    pub fn check(&mut self, config: &KafkaConfig, undecided: &BTreeMap<TopicPartition, Offset>, now: Instant) -> Option<String> {
        self.0.retain(|at, (offset, _)| undecided.get(at) == Some(offset));
        for (at, offset) in undecided {
            self.0.entry(*at).or_insert((*offset, now));
        }
        let (at, (offset, _)) = self.0.iter().find(|(_, (_, since))| now.duration_since(*since) >= TOO_LONG)?;
        Some(text(config, *at, *offset))
    }
}

/// What stands still, and what to do.
pub(in crate::log::kafka) fn text(config: &KafkaConfig, at: TopicPartition, offset: Offset) -> String {
    let (topic, partition, brokers) = (config.name_of(at.topic), at.partition, &config.bootstrap_servers);
    format!(
        "{topic}/{partition} stands still at offset {offset}: an open transaction holds back every later record. If the process \
         that wrote it is down, start it again, and it ends the transaction; otherwise abort it with `kafka-transactions.sh \
         --bootstrap-server {brokers} abort --topic {topic} --partition {partition} --start-offset {offset}`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::topics::Topic;

    #[test]
    fn only_what_stays_where_it_is_stands_still() {
        let config = KafkaConfig {
            bootstrap_servers: "broker:9092".to_owned(),
            topic_prefix: "test-".to_owned(),
            properties: BTreeMap::new(),
            partitions: 4,
        };
        let at = TopicPartition::new(Topic::Products, 2);
        let (mut watch, start) = (StandstillWatch::default(), Instant::now());
        let mut check = |seconds: u64, offset: Option<Offset>| {
            let undecided = offset.map(|offset| (at, offset)).into_iter().collect();
            watch.check(&config, &undecided, start + Duration::from_secs(seconds))
        };
        assert_eq!(check(0, Some(7)), None);
        assert_eq!(check(29, Some(8)), None, "it moved");
        assert_eq!(check(40, None), None);
        assert_eq!(check(50, Some(9)), None);
        assert_eq!(check(79, Some(9)), None);
        let said = check(80, Some(9)).unwrap();
        assert!(said.starts_with("test-products/2 stands still at offset 9") && said.contains("--start-offset 9"), "{said}");
        assert_eq!(check(90, None), None);
    }

    #[test]
    fn each_standstill_counts_once() {
        let standstill = Standstill::default();
        let before = standstill.count();
        assert_eq!(standstill.since(before), None);
        standstill.set(Some("a".to_owned()));
        standstill.set(Some("a".to_owned()));
        standstill.set(None);
        assert_eq!((standstill.count() - before, standstill.reason()), (1, None));
        assert!(standstill.since(before).is_some());
    }
}
