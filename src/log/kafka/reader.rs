//! A reader: a consumer of its own on a thread of its own, which reads ahead a little and hands over in order.
//!
//! The client reports the end of a partition with its offset, beyond the markers of transactions, so that a reader knows when it
//! has everything that was committed before it was opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::board::Board;
use super::cluster::Cluster;
use super::codes::{is_unreadable, refused};
use super::native::{Queue, Taken};
use super::permissions::{Access, MissingPermission};
use super::records::{Names, copy};
use super::repair::standstill::{self, TOO_LONG};
use crate::log::{LogError, LogFuture, Offset, PartitionInfo, Reader, Record, Start, Stop, TopicPartition, deadline_of};
use crate::wire::topics::Topic;

/// Batches that may be read ahead.
const AHEAD: usize = 4;
/// How long the thread waits for a message before it checks whether its reader is still there.
const WAIT: Duration = Duration::from_millis(250);
/// How long a fetch waits at the broker when there is nothing: short for a reader that wants the end, longer for one that
/// follows.
const FETCH_WAIT_TO_END: Duration = Duration::from_millis(10);
const FETCH_WAIT_FOLLOWING: Duration = Duration::from_millis(100);

/// What the thread hands over.
enum Delivery {
    Record(Record),
    End(TopicPartition, Offset),
    Failed(LogError),
}

/// A reader of Kafka.
pub(super) struct KafkaReader {
    positions: BTreeMap<TopicPartition, Offset>,
    ends: BTreeMap<TopicPartition, Offset>,
    stop: Stop,
    /// What was received and not returned yet.
    ready: std::vec::IntoIter<Delivery>,
    /// `None` when there is nothing to read.
    batches: Option<mpsc::Receiver<Vec<Delivery>>>,
}

impl KafkaReader {
    pub async fn open(cluster: &Arc<Cluster>, from: Vec<(TopicPartition, Start)>, stop: Stop) -> Result<Self, LogError> {
        let found = cluster.ask(move |cluster| find(cluster, &from)).await?;
        let (mut positions, mut ends) = (BTreeMap::new(), BTreeMap::new());
        for (at, start, end) in found {
            positions.insert(at, start);
            ends.insert(at, end);
        }
        let mut reader = Self { positions, ends, stop, ready: Vec::new().into_iter(), batches: None };
        let wanted: BTreeMap<TopicPartition, Offset> =
            reader.positions.iter().filter(|(at, start)| reader.wants(**at, **start)).map(|(at, start)| (*at, *start)).collect();
        if !wanted.is_empty() {
            let (deliver, batches) = mpsc::channel(AHEAD);
            let cluster = cluster.clone();
            // The client's own calls at the start wait for brokers.
            let thread = std::thread::Builder::new().name("kafka-reader".to_owned());
            let spawned = thread.spawn(move || {
                if let Err(error) = read(&cluster, &wanted, stop, &deliver) {
                    // No receiver left; nothing to report.
                    let _ = deliver.blocking_send(vec![Delivery::Failed(error)]);
                }
            });
            spawned.map_err(|error| LogError::Unavailable(format!("cannot start a thread to read with: {error}")))?;
            reader.batches = Some(batches);
        }
        Ok(reader)
    }

    fn wants(&self, at: TopicPartition, position: Offset) -> bool {
        self.stop == Stop::Never || self.ends.get(&at).is_some_and(|end| position < *end)
    }

    async fn next(&mut self, max_records: usize, max_wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = deadline_of(max_wait);
        let was_caught_up = self.caught_up();
        let mut records = Vec::new();
        loop {
            while records.len() < max_records {
                match self.ready.next() {
                    Some(Delivery::Record(record)) => self.take(record, &mut records),
                    Some(Delivery::End(at, offset)) => {
                        let offset = self.limit(at).map_or(offset, |end| offset.min(end));
                        self.positions.entry(at).and_modify(|position| *position = (*position).max(offset));
                    }
                    // What was read before comes first; the next call returns the failure.
                    Some(failed @ Delivery::Failed(_)) if !records.is_empty() => {
                        self.ready = vec![failed].into_iter();
                        return Ok(records);
                    }
                    Some(Delivery::Failed(error)) => return Err(error),
                    None => break,
                }
            }
            let is_done = self.stop == Stop::AtEnd && self.caught_up();
            if !records.is_empty() || is_done || (!was_caught_up && self.caught_up()) {
                return Ok(records);
            }
            let Some(batches) = &mut self.batches else {
                tokio::time::sleep_until(deadline).await;
                return Ok(records);
            };
            match tokio::time::timeout_at(deadline, batches.recv()).await {
                Ok(Some(batch)) => self.ready = batch.into_iter(),
                Ok(None) => return Err(LogError::Closed),
                Err(_) => return Ok(records),
            }
        }
    }

    /// Where reading this partition stops, if it does.
    fn limit(&self, at: TopicPartition) -> Option<Offset> {
        self.ends.get(&at).copied().filter(|_| self.stop == Stop::AtEnd)
    }

    /// A reader that stops at the end leaves out what came after it, and its position stays there: positions never pass over a
    /// record that was not returned.
    fn take(&mut self, record: Record, records: &mut Vec<Record>) {
        let at = record.topic_partition();
        let limit = self.limit(at);
        let Some(position) = self.positions.get_mut(&at) else { return };
        if let Some(end) = limit.filter(|end| record.offset >= *end) {
            *position = (*position).max(end);
            return;
        }
        *position = record.offset + 1;
        records.push(record);
    }
}

impl Reader for KafkaReader {
    fn read(&mut self, max_records: usize, max_wait: Duration) -> LogFuture<'_, Vec<Record>> {
        Box::pin(self.next(max_records, max_wait))
    }

    fn positions(&self) -> &BTreeMap<TopicPartition, Offset> {
        &self.positions
    }

    fn ends(&self) -> &BTreeMap<TopicPartition, Offset> {
        &self.ends
    }
}

/// Start and end of each partition, in offsets.
fn find(cluster: &Cluster, from: &[(TopicPartition, Start)]) -> Result<Vec<(TopicPartition, Offset, Offset)>, LogError> {
    let partitions: Vec<TopicPartition> = from.iter().map(|(at, _)| *at).collect();
    let bounds = cluster.bounds(&partitions)?;
    let times = from.iter().filter_map(|(at, start)| match start {
        Start::Time(time_ms) => Some((*at, *time_ms)),
        Start::Beginning | Start::End | Start::Offset(_) => None,
    });
    let at_times = cluster.at_times(&times.collect())?;
    let place = |(at, start): &(TopicPartition, Start)| {
        let PartitionInfo { start: first, end } =
            bounds.get(at).copied().ok_or_else(|| LogError::UnknownTopic(at.topic.name().to_owned()))?;
        let start = match *start {
            Start::Beginning => first,
            Start::End => end,
            Start::Time(_) => at_times.get(at).copied().unwrap_or(end),
            Start::Offset(offset) if (first..=end).contains(&offset) => offset,
            Start::Offset(offset) => return Err(LogError::OutOfRange { partition: *at, offset, start: first, end }),
        };
        Ok((*at, start, end))
    };
    from.iter().map(place).collect()
}

/// The thread: reads until its reader is dropped.
fn read(
    cluster: &Cluster,
    wanted: &BTreeMap<TopicPartition, Offset>,
    stop: Stop,
    deliver: &mpsc::Sender<Vec<Delivery>>,
) -> Result<(), LogError> {
    let wait = if stop == Stop::AtEnd { FETCH_WAIT_TO_END } else { FETCH_WAIT_FOLLOWING };
    let (consumer, names) = cluster.consumer_from(&cluster.config.reader(wait), wanted)?;
    let queue = Queue::of(&consumer).ok_or(LogError::Closed)?;
    let mut moved = Instant::now();
    while !deliver.is_closed() {
        let mut batch = Vec::new();
        queue.take(WAIT, |taken| batch.extend(translate(&names, &cluster.board, stop, taken)));
        if !batch.is_empty() {
            moved = Instant::now();
        } else if stop == Stop::AtEnd && moved.elapsed() >= TOO_LONG {
            batch.extend(standstill_of(cluster, wanted));
            moved = Instant::now();
        }
        if !batch.is_empty() && deliver.blocking_send(batch).is_err() {
            break;
        }
    }
    Ok(())
}

/// A reader to the end would wait for ever for a transaction that no writer decides, so it fails.
fn standstill_of(cluster: &Cluster, wanted: &BTreeMap<TopicPartition, Offset>) -> Option<Delivery> {
    let partitions: Vec<TopicPartition> = wanted.keys().copied().collect();
    let (at, offset) = cluster.undecided(&partitions).ok()?.into_iter().next()?;
    Some(Delivery::Failed(LogError::Unavailable(standstill::text(&cluster.config, at, offset))))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "librdkafka has 200 codes; of the rest only a refusal matters")]
fn translate(names: &Names, board: &Board, stop: Stop, taken: Taken<'_>) -> Option<Delivery> {
    match taken {
        Taken::Message(seen) => {
            board.unreadable.has_read(TopicPartition::new(names.topic(seen.topic)?, seen.partition), seen.offset);
            copy(names, seen).map(Delivery::Record)
        }
        Taken::End { topic, partition, offset } => {
            let at = TopicPartition::new(names.topic(topic)?, partition);
            board.unreadable.has_read(at, offset - 1);
            Some(Delivery::End(at, offset))
        }
        Taken::Trouble { topic, partition, offset, code, text } if is_unreadable(code) => {
            let standstill =
                board.unreadable.cannot_read(TopicPartition::new(names.topic(topic)?, partition), offset, code, &text);
            // A reader that follows goes on with the other partitions.
            standstill.filter(|_| stop == Stop::AtEnd).map(Delivery::Failed)
        }
        Taken::Trouble { topic, partition, offset: _, code, text } => {
            use rdkafka::types::RDKafkaErrorCode::{
                AutoOffsetReset, GroupAuthorizationFailed, OffsetOutOfRange, TopicAuthorizationFailed, UnknownTopicOrPartition,
            };
            match code {
                UnknownTopicOrPartition => Some(Delivery::Failed(LogError::UnknownTopic(topic.to_owned()))),
                TopicAuthorizationFailed => {
                    let missing = MissingPermission::Topic(Access::Read, topic.to_owned());
                    let is_needed = names.topic(topic).is_none_or(Topic::is_needed);
                    let refusal =
                        if is_needed { board.permissions.refused(missing) } else { LogError::Refused(missing.to_string()) };
                    Some(Delivery::Failed(refusal))
                }
                // The client asks for the coordinator of the group that it had to name; a reader needs none.
                GroupAuthorizationFailed => None,
                // The next record has been deleted meanwhile; opening again says which offsets there are.
                AutoOffsetReset | OffsetOutOfRange => Some(Delivery::Failed(LogError::Unavailable(format!(
                    "the next record of {topic}/{partition} was deleted: {text}"
                )))),
                // Brokers come and go; the client goes on by itself.
                _ => refused(code, topic).map(Delivery::Failed).or_else(|| {
                    tracing::debug!(topic, partition, ?code, text, "trouble while reading");
                    None
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Headers;

    const AT: TopicPartition = TopicPartition { topic: Topic::Products, partition: 0 };

    fn record(offset: Offset) -> Delivery {
        let TopicPartition { topic, partition } = AT;
        Delivery::Record(Record {
            topic,
            partition,
            offset,
            append_time_ms: 0,
            key: None,
            value: None,
            headers: Headers::default(),
        })
    }

    #[tokio::test]
    async fn a_position_never_moves_beyond_a_record_that_was_not_returned() {
        let ready = vec![record(0), record(1), record(2), record(3), Delivery::End(AT, 4)].into_iter();
        let (positions, ends) = ([(AT, 0)].into(), [(AT, 2)].into());
        let mut reader = KafkaReader { positions, ends, stop: Stop::AtEnd, ready, batches: None };
        let read = reader.read(10, Duration::ZERO).await.unwrap();
        assert_eq!(read.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((reader.positions()[&AT], reader.caught_up()), (2, true));
    }
}
