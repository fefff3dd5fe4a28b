//! Records that cannot be read, however often they are asked for: compressed in a way that the client does not know, or damaged.
//!
//! The client asks again and again at the same offset and says so only in passing. The second time it is a standstill with a name: other
//! partitions go on, and the alarm goes as soon as somebody has read beyond that place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::Offset as ClientOffset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use tokio::time::Instant;

use super::super::{LogError, Offset, TopicPartition};
use super::cluster::Cluster;
use super::member::Member;
use super::native::{Queue, Taken};
use super::reader::consumer_from;
use super::records::Names;
use super::trouble::Board;
use crate::telemetry::alarms::{About, Alarm, Cause};

/// How long a look for the place may take: the client asks twice a second.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_secs(10);
const FETCH_WAIT: Duration = Duration::from_millis(10);

/// Where reading fails, and how often it did there.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    places: Mutex<BTreeMap<TopicPartition, (Offset, u32)>>,
    /// When they were last looked for.
    looked: Mutex<Option<Instant>>,
    /// How many places there are, for those who read a lot.
    count: AtomicUsize,
}

/// Whether waiting does not help with an error of reading.
pub(super) fn is_unreadable(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotImplemented
            | RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::UnsupportedCompressionType
    )
}

impl Board {
    /// A record could not be read. From the second time on the partition stands still, and why is returned.
    pub fn cannot_read(&self, at: TopicPartition, offset: Offset, code: RDKafkaErrorCode, error: &str) -> Option<LogError> {
        let mut places = self.unreadable.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(at).or_insert((offset, 0));
        *place = if place.0 == offset { (offset, place.1 + 1) } else { (offset, 1) };
        let is_standstill = place.1 > 1;
        self.unreadable.count.store(places.len(), Ordering::Relaxed);
        drop(places);
        if !is_standstill {
            return None;
        }
        let text = format!(
            "{at} stands still at offset {offset}: what lies there cannot be read ({code:?}). Use a version of the shop that knows its \
             compression, and have its producer use lz4, snappy, gzip, zstd or none; a damaged record has to be restored from another \
             replica. All behind it waits"
        );
        self.alarms.raise(about(at), Alarm::blocks(text.clone()).with_detail(error));
        Some(LogError::Refused(text))
    }

    /// Somebody has read to here; whatever stood in the way before that is gone.
    pub fn has_read(&self, at: TopicPartition, offset: Offset) {
        if self.unreadable.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut places = self.unreadable.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.get(&at).is_some_and(|(stuck, _)| offset >= *stuck) {
            places.remove(&at);
            self.unreadable.count.store(places.len(), Ordering::Relaxed);
            drop(places);
            self.alarms.clear(&about(at));
        }
    }

    /// Drops what lies before the beginning of its partition: those records were deleted.
    pub fn has_begun_later(&self, start_of: impl Fn(TopicPartition) -> Option<Offset>) {
        let places: Vec<_> = self
            .unreadable
            .places
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(at, (stuck, _))| (*at, *stuck))
            .collect();
        for (at, stuck) in places {
            if let Some(start) = start_of(at).filter(|start| *start > stuck) {
                self.has_read(at, start);
            }
        }
    }
}

fn about(at: TopicPartition) -> About {
    About::partition(Cause::RecordUnreadable, at.topic.name(), at.partition)
}

impl Cluster {
    /// A member of a group is told of such a record, but not where it lies: looks for it at the places where that member stands. It is
    /// told as often as it asks, so this looks now and then only.
    pub fn look_for_unreadable(
        &self,
        consumer: &BaseConsumer<Member>,
        names: &Names,
        mut from: BTreeMap<TopicPartition, Offset>,
    ) -> Result<(), LogError> {
        let now = Instant::now();
        let mut looked = self.board.unreadable.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if from.is_empty() || looked.is_some_and(|at| now.duration_since(at) < LOOK_EVERY) {
            return Ok(());
        }
        *looked = Some(now);
        drop(looked);
        // Where it has read nothing yet it stands at the beginning that it was given.
        let reached = consumer.position().unwrap_or_default();
        for element in reached.elements() {
            if let (Some(topic), ClientOffset::Offset(offset)) = (names.topic(element.topic()), element.offset()) {
                from.entry(TopicPartition::new(topic, element.partition())).and_modify(|known| *known = offset.max(*known));
            }
        }
        if let Err(error) = self.find_unreadable(&from) {
            tracing::debug!(%error, "a record that cannot be read was not found");
        }
        Ok(())
    }

    fn find_unreadable(&self, from: &BTreeMap<TopicPartition, Offset>) -> Result<(), LogError> {
        let (consumer, names) = consumer_from(self, &self.config.reader(FETCH_WAIT), from)?;
        let queue = Queue::of(&consumer).ok_or(LogError::Closed)?;
        let until = Instant::now() + LOOK_PATIENCE;
        while Instant::now() < until {
            queue.take(FETCH_WAIT * 10, |taken| {
                if let Taken::Trouble { topic, partition, offset, code, text } = taken
                    && is_unreadable(code)
                    && let Some(topic) = names.topic(topic)
                {
                    self.board.cannot_read(TopicPartition::new(topic, partition), offset, code, &text);
                }
            });
        }
        Ok(())
    }

    /// Whether some have been deleted meanwhile.
    pub fn look_at_unreadable(&self) -> Result<(), LogError> {
        let places: Vec<TopicPartition> =
            self.board.unreadable.places.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        if !places.is_empty() {
            let bounds = self.bounds(&places)?;
            self.board.has_begun_later(|at| bounds.get(&at).map(|bounds| bounds.start));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::alarms::Alarms;
    use crate::wire::topics::Topic;

    #[test]
    fn the_second_failure_at_a_place_is_a_standstill_until_somebody_reads_beyond_it() {
        let alarms = Alarms::default();
        let board = Board::new(alarms.clone());
        let at = TopicPartition::new(Topic::OrderEvents, 3);
        let fails = |offset| board.cannot_read(at, offset, RDKafkaErrorCode::NotImplemented, "codec 0x4").is_some();
        assert!(!fails(7), "it may pass");
        assert!(!fails(8), "it moves");
        assert!(fails(8));
        let (about, alarm) = alarms.list().remove(0);
        assert_eq!((about.topic.as_deref(), about.partition, alarm.blocks), (Some("order-events"), Some(3), true));
        assert!(alarm.text.contains("offset 8") && alarm.in_full().contains("codec 0x4"), "{alarm:?}");
        board.has_read(at, 7);
        board.has_read(TopicPartition::new(Topic::OrderEvents, 2), 9);
        assert_eq!(alarms.list().len(), 1, "from before, and another partition");
        board.has_read(at, 8);
        assert!(alarms.list().is_empty());
        assert!(!fails(8) && fails(8));
        board.has_begun_later(|_| Some(8));
        assert_eq!(alarms.list().len(), 1);
        board.has_begun_later(|_| Some(9));
        assert!(alarms.list().is_empty(), "it was deleted");
    }
}
