//! Partitions that stand still: a transaction that nobody ends holds back everything behind it, for every reader.
//!
//! A broker aborts what is open for too long, and a session decides what its own past left undecided. What is still there after that is
//! of a writer that does not come back, and has to be ended by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::super::{Offset, TopicPartition};
use super::options::KafkaConfig;

/// Longer than a transaction of ours may be open, and the broker takes to notice.
pub(super) const TOO_LONG: Duration = Duration::from_secs(30);

/// Since when partitions have been standing where they stand.
#[derive(Debug, Default)]
pub(super) struct Watch(BTreeMap<TopicPartition, (Offset, Instant)>);

impl Watch {
    /// Compares with what was seen before; says what to do if a partition stands still for too long.
    pub fn look(&mut self, config: &KafkaConfig, undecided: &BTreeMap<TopicPartition, Offset>, now: Instant) -> Option<String> {
        self.0.retain(|at, (offset, _)| undecided.get(at) == Some(offset));
        for (at, offset) in undecided {
            self.0.entry(*at).or_insert((*offset, now));
        }
        let (at, (offset, _)) = self.0.iter().find(|(_, (_, since))| now.duration_since(*since) >= TOO_LONG)?;
        Some(text(config, *at, *offset))
    }
}

/// What stands still, and what to do.
pub(super) fn text(config: &KafkaConfig, at: TopicPartition, offset: Offset) -> String {
    let (topic, partition, brokers) = (config.name_of(at.topic), at.partition, &config.bootstrap_servers);
    format!(
        "{topic}/{partition} stands still at offset {offset}: a transaction that nobody ends holds back all that follows. Start the \
         process again that wrote it, if one is down, and it ends it; else end it by `kafka-transactions.sh --bootstrap-server \
         {brokers} abort --topic {topic} --partition {partition} --start-offset {offset}`"
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
        let (mut watch, start) = (Watch::default(), Instant::now());
        let mut look = |seconds: u64, offset: Option<Offset>| {
            let undecided = offset.map(|offset| (at, offset)).into_iter().collect();
            watch.look(&config, &undecided, start + Duration::from_secs(seconds))
        };
        assert_eq!(look(0, Some(7)), None);
        assert_eq!(look(29, Some(8)), None, "it moved");
        assert_eq!(look(40, None), None);
        assert_eq!(look(50, Some(9)), None);
        assert_eq!(look(79, Some(9)), None);
        let said = look(80, Some(9)).unwrap();
        assert!(said.starts_with("test-products/2 stands still at offset 9") && said.contains("--start-offset 9"), "{said}");
        assert_eq!(look(90, None), None);
    }
}
