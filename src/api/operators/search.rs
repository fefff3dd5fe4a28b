//! A search in a topic, bounded in time, memory and answer, however much the topic holds.
//!
//! From the start, an offset or a time it reads on until it has enough. The last N are read backwards, in windows that grow from
//! the end: the newest that fit are found without reading all N, and a search that runs out of time has still read the newest.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::records::RecordsPage;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::clock::Clock;
use crate::log::{EventLog, LogError, Offset, PartitionId, PartitionInfo, Record, Start, Stop, TopicPartition};
use crate::records::{Predicate, ReadFrom, view};
use crate::wire::topics::Topic;

/// Records read at once: a record may have a megabyte.
const CHUNK: usize = 200;
const READ_WAIT: Duration = Duration::from_millis(200);
/// A search that takes longer ends with what it has.
const SEARCH_TIME: Duration = Duration::from_secs(20);
/// Bytes of the records of one answer.
const ANSWER_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Searches at once; more wait for their turn within their time.
const AT_ONCE: usize = 4;
/// The first window before the end of each partition where a predicate picks, and by how much the next is larger.
const FIRST_WINDOW: i64 = 1_000;
const WINDOW_GROWTH: i64 = 8;

static SEATS: Semaphore = Semaphore::const_new(AT_ONCE);

pub(super) struct Search {
    pub topic: Topic,
    pub partition: Option<PartitionId>,
    pub from: ReadFrom,
    pub limit: usize,
    pub predicate: Option<Predicate>,
}

/// Why a search ended before the end of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndedBy {
    /// As many records as were asked for.
    Limit,
    /// As many bytes as an answer holds.
    Bytes,
    /// The search took too long: narrow it.
    Time,
}

/// A record that fits, as it is shown.
struct Found {
    place: (i64, PartitionId, Offset),
    shown: Box<RawValue>,
}

impl Search {
    pub(super) async fn run(&self, log: &dyn EventLog, clock: &Clock) -> Result<RecordsPage, Failure> {
        let until = Instant::now() + SEARCH_TIME;
        let late = |_| LogError::Deadline { waited: SEARCH_TIME };
        let Ok(Ok(_seat)) = timeout_at(until, SEATS.acquire()).await else {
            return Err(Problem::unavailable("busy", format!("{AT_ONCE} other searches are running")).into());
        };
        let known = timeout_at(until, partitions(log, self.topic)).await.map_err(late)??;
        let wanted = (0..).zip(known.iter().copied()).filter(|(number, _)| self.partition.is_none_or(|wanted| wanted == *number));
        let wanted: Vec<(PartitionId, PartitionInfo)> = wanted.collect();
        if wanted.is_empty() {
            let message = format!("the topic has {} partitions, numbered from 0", known.len());
            return Err(Problem::field("partition", message).into());
        }
        let page = match self.from {
            ReadFrom::Last(count) => self.newest(log, clock, &wanted, count, until).await?,
            from @ (ReadFrom::Start | ReadFrom::End | ReadFrom::Offset(_) | ReadFrom::Ago(_)) => {
                self.pass(log, clock, &wanted, from, until).await?.into_page()
            }
        };
        Ok(page)
    }

    async fn newest(
        &self,
        log: &dyn EventLog,
        clock: &Clock,
        wanted: &[(PartitionId, PartitionInfo)],
        count: i64,
        until: Instant,
    ) -> Result<RecordsPage, LogError> {
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        let mut window = if self.predicate.is_some() { limit.max(FIRST_WINDOW) } else { limit }.min(count);
        let mut best = None;
        loop {
            let kept = self.pass(log, clock, wanted, ReadFrom::Last(window), until).await?;
            let out_of_time = kept.ended_by == Some(EndedBy::Time);
            let all_read = |(number, info): &(PartitionId, PartitionInfo)| {
                info.end - info.start <= window || kept.fits.get(number).is_some_and(|fits| *fits >= self.limit)
            };
            let enough = window == count || kept.ended_by == Some(EndedBy::Bytes) || wanted.iter().all(all_read);
            match best {
                // What the smaller window gave is the newest; what this one has read so far may be anything.
                Some(before) if out_of_time => return Ok(Kept { ended_by: Some(EndedBy::Time), ..before }.into_page()),
                _ if out_of_time || enough => return Ok(kept.into_page()),
                _ => best = Some(kept),
            }
            window = window.saturating_mul(WINDOW_GROWTH).min(count);
        }
    }

    async fn pass(
        &self,
        log: &dyn EventLog,
        clock: &Clock,
        wanted: &[(PartitionId, PartitionInfo)],
        from: ReadFrom,
        until: Instant,
    ) -> Result<Kept, LogError> {
        let start =
            |(number, info): &(PartitionId, PartitionInfo)| (TopicPartition::new(self.topic, *number), from.start(info, clock));
        let starts: Vec<(TopicPartition, Start)> = wanted.iter().map(start).collect();
        let mut kept = Kept::new(self.limit, matches!(from, ReadFrom::Last(_)));
        let Ok(reader) = timeout_at(until, log.reader(&starts, Stop::AtEnd)).await else { return Ok(kept.out_of_time()) };
        let mut reader = reader?;
        loop {
            let Ok(records) = timeout_at(until, reader.read(CHUNK, READ_WAIT)).await else { return Ok(kept.out_of_time()) };
            let records = records?;
            if records.is_empty() && reader.caught_up() {
                return Ok(kept);
            }
            for record in &records {
                if kept.is_full() {
                    return Ok(kept);
                }
                if Instant::now() >= until {
                    return Ok(kept.out_of_time());
                }
                self.found(record).into_iter().for_each(|found| kept.put(found));
            }
            // A log that always has the next records at hand must leave the thread to others.
            tokio::task::yield_now().await;
        }
    }

    fn found(&self, record: &Record) -> Option<Found> {
        let shown = view(record);
        if self.predicate.as_ref().is_some_and(|predicate| !predicate.holds(&shown)) {
            return None;
        }
        let mut text = to_raw_value(&shown).ok()?;
        let bytes = text.get().len();
        if bytes > ANSWER_MAX_BYTES {
            text = to_raw_value(&without_content(record, bytes)).ok()?;
        }
        Some(Found { place: (record.append_time_ms, record.partition, record.offset), shown: text })
    }
}

/// A record that alone is more than an answer may be.
fn without_content(record: &Record, bytes: usize) -> Value {
    json!({
        "topic": record.topic.name(), "partition": record.partition, "offset": record.offset, "timestamp": record.append_time_ms,
        "tooLarge": bytes,
    })
}

/// What an answer keeps: the first that fit, or the newest.
struct Kept {
    limit: usize,
    newest: bool,
    /// The oldest on top.
    found: BinaryHeap<Reverse<Found>>,
    bytes: usize,
    /// How many fit in each partition, kept or not.
    fits: BTreeMap<PartitionId, usize>,
    ended_by: Option<EndedBy>,
}

impl Kept {
    fn new(limit: usize, newest: bool) -> Self {
        Self { limit, newest, found: BinaryHeap::new(), bytes: 0, fits: BTreeMap::new(), ended_by: None }
    }

    /// Nothing more is taken; never so for the newest, which push out older ones.
    fn is_full(&mut self) -> bool {
        if !self.newest && self.found.len() == self.limit {
            self.ended_by = Some(EndedBy::Limit);
        }
        !self.newest && self.ended_by.is_some()
    }

    fn put(&mut self, found: Found) {
        let bytes = found.shown.get().len();
        *self.fits.entry(found.place.1).or_default() += 1;
        if !self.newest && self.bytes + bytes > ANSWER_MAX_BYTES {
            self.ended_by = Some(EndedBy::Bytes);
            return;
        }
        self.bytes += bytes;
        self.found.push(Reverse(found));
        while self.found.len() > self.limit || self.bytes > ANSWER_MAX_BYTES {
            if self.found.len() <= self.limit {
                self.ended_by = Some(EndedBy::Bytes);
            }
            let Some(Reverse(oldest)) = self.found.pop() else { return };
            self.bytes -= oldest.shown.get().len();
        }
    }

    fn out_of_time(self) -> Self {
        Self { ended_by: Some(EndedBy::Time), ..self }
    }

    fn into_page(self) -> RecordsPage {
        let mut found: Vec<Found> = self.found.into_iter().map(|Reverse(found)| found).collect();
        found.sort_unstable();
        let records = found.into_iter().map(|found| found.shown).collect();
        RecordsPage { records, complete: self.ended_by.is_none(), ended_by: self.ended_by }
    }
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Found {}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

/// The partitions of a topic as they stand.
///
/// # Errors
/// If the log does not answer, or there is no such topic.
pub(super) async fn partitions(log: &dyn EventLog, topic: Topic) -> Result<Vec<PartitionInfo>, LogError> {
    let known = log.topics().await?.into_iter().find(|info| info.topic == topic);
    known.map(|info| info.partitions).ok_or_else(|| LogError::UnknownTopic(topic.name().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(time: i64, bytes: usize) -> Found {
        Found { place: (time, 0, time), shown: to_raw_value(&"x".repeat(bytes - 2)).unwrap() }
    }

    fn times(kept: &Kept) -> Vec<i64> {
        let mut times: Vec<i64> = kept.found.iter().map(|Reverse(found)| found.place.0).collect();
        times.sort_unstable();
        times
    }

    #[test]
    fn the_newest_push_out_older_ones() {
        let mut kept = Kept::new(3, true);
        for time in [5, 1, 9, 7, 3, 8] {
            kept.put(found(time, 10));
            assert!(!kept.is_full() && kept.bytes <= 30);
        }
        assert_eq!((times(&kept), kept.ended_by, kept.fits[&0]), (vec![7, 8, 9], None, 6));
    }

    #[test]
    fn an_answer_has_a_most_of_bytes() {
        let half = ANSWER_MAX_BYTES / 2;
        for newest in [false, true] {
            let mut kept = Kept::new(100, newest);
            (1..=3).for_each(|time| kept.put(found(time, half)));
            assert_eq!(times(&kept), if newest { [2, 3] } else { [1, 2] });
            assert!(kept.bytes <= ANSWER_MAX_BYTES && kept.ended_by == Some(EndedBy::Bytes));
            assert_eq!(kept.is_full(), !newest);
            let page = kept.into_page();
            assert!(!page.complete && page.records.len() == 2);
        }
    }

    #[test]
    fn the_first_that_fit_are_enough() {
        let mut kept = Kept::new(2, false);
        kept.put(found(1, 10));
        assert!(!kept.is_full());
        kept.put(found(2, 10));
        assert!(kept.is_full() && kept.ended_by == Some(EndedBy::Limit));
    }
}
