//! Records that cannot be read, however often they are asked for: compressed in a way that the client does not know, or damaged.
//!
//! The client asks again and again at the same offset, and reports it only in passing. The second failure at an offset is a
//! standstill with a name: other partitions go on, and the alarm ends as soon as a reader gets beyond that offset.

pub(super) mod search;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::types::RDKafkaErrorCode;

use crate::log::{LogError, Offset, TopicPartition};
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// Where reading fails.
#[derive(Debug, Default)]
pub(super) struct UnreadableRecords {
    /// The offset of each partition where it fails, and how often it did there.
    places: Mutex<BTreeMap<TopicPartition, (Offset, u32)>>,
    /// The number of places, so that reading a record takes no lock while there are none.
    count: AtomicUsize,
    alarms: Alarms,
}

impl UnreadableRecords {
    pub fn new(alarms: Alarms) -> Self {
        Self { alarms, ..Self::default() }
    }

    /// A record could not be read. From the second time on the partition stands still, and the reason is returned.
    pub fn cannot_read(&self, at: TopicPartition, offset: Offset, code: RDKafkaErrorCode, error: &str) -> Option<LogError> {
        let mut places = self.lock();
        let place = places.entry(at).or_insert((offset, 0));
        *place = if place.0 == offset { (offset, place.1 + 1) } else { (offset, 1) };
        let is_standstill = place.1 > 1;
        self.count.store(places.len(), Ordering::Relaxed);
        drop(places);
        if !is_standstill {
            return None;
        }
        let text = format!(
            "{at} stands still at offset {offset}: the record there cannot be read ({code:?}), and every later record waits. Use \
             a version of the shop that knows its compression, and have its producer use lz4, snappy, gzip, zstd or none; \
             restore a damaged record from another replica"
        );
        self.alarms.raise(about(at), Alarm::blocks(text.clone()).with_detail(error));
        Some(LogError::Refused(text))
    }

    /// The record at this offset was read, so whatever failed up to there can be read again.
    pub fn has_read(&self, at: TopicPartition, offset: Offset) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut places = self.lock();
        if places.get(&at).is_some_and(|(stuck, _)| offset >= *stuck) {
            places.remove(&at);
            self.count.store(places.len(), Ordering::Relaxed);
            drop(places);
            self.alarms.clear(&about(at));
        }
    }

    /// The partitions where reading fails.
    pub fn partitions(&self) -> Vec<TopicPartition> {
        self.lock().keys().copied().collect()
    }

    /// Drops the places before the start of their partition: those records were deleted.
    pub fn drop_before(&self, start_of: impl Fn(TopicPartition) -> Option<Offset>) {
        let places: Vec<_> = self.lock().iter().map(|(at, (stuck, _))| (*at, *stuck)).collect();
        for (at, stuck) in places {
            if let Some(start) = start_of(at).filter(|start| *start > stuck) {
                self.has_read(at, start);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, (Offset, u32)>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn about(at: TopicPartition) -> About {
    About::partition(Cause::RecordUnreadable, at.topic.name(), at.partition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::topics::Topic;

    #[test]
    fn the_second_failure_at_a_place_is_a_standstill_until_somebody_reads_beyond_it() {
        let alarms = Alarms::default();
        let unreadable = UnreadableRecords::new(alarms.clone());
        let at = TopicPartition::new(Topic::OrderEvents, 3);
        let fails = |offset| unreadable.cannot_read(at, offset, RDKafkaErrorCode::NotImplemented, "codec 0x4").is_some();
        assert!(!fails(7), "it may pass");
        assert!(!fails(8), "it moves");
        assert!(fails(8));
        let (about, alarm) = alarms.list().remove(0);
        assert_eq!((about.topic.as_deref(), about.partition, alarm.blocks), (Some("order-events"), Some(3), true));
        assert!(alarm.text.contains("offset 8") && alarm.in_full().contains("codec 0x4"), "{alarm:?}");
        unreadable.has_read(at, 7);
        unreadable.has_read(TopicPartition::new(Topic::OrderEvents, 2), 9);
        assert_eq!(alarms.list().len(), 1, "from before, and another partition");
        unreadable.has_read(at, 8);
        assert!(alarms.list().is_empty());
        assert!(!fails(8) && fails(8));
        unreadable.drop_before(|_| Some(8));
        assert_eq!(alarms.list().len(), 1);
        unreadable.drop_before(|_| Some(9));
        assert!(alarms.list().is_empty(), "it was deleted");
    }
}
