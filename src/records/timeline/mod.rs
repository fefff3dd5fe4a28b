//! Time travel: what a product was at a moment, and why, out of the events of its partition of `inventory-events`.
//!
//! [`read`] goes backwards from the end in bounded windows and hands each record to [`rebuild`], which knows no log. The order
//! is the log's, which is that of life and version; a time is only a label, as append times step back with the clock that gave
//! them. No log indexes keys, so the cost is that of the partition's records after the moment: a reading that runs out of time
//! gives a cursor with which it goes on.

mod rebuild;
mod shown;

use tokio::time::{Instant, timeout_at};

use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::log::partitioner::partition_of;
use crate::log::{EventLog, LogError, Offset, PartitionInfo, Start, Stop, TopicPartition};
use crate::records::{Form, shown, window};
use crate::wire::topics::Topic;
use rebuild::Rebuild;
pub use shown::{ChangeCause, ProductTimeline, Proof, TimelineChange, TimelineSince};

/// Offsets of the first window before the end, and of the largest.
const FIRST_WINDOW: Offset = 5_000;
const LARGEST_WINDOW: Offset = 40_000;

/// What is asked about a product.
#[derive(Debug, Clone)]
pub struct TimelineQuery {
    pub product_id: ProductId,
    /// The moment of the state; `None`: now.
    pub at: Option<EpochMs>,
    /// The span of the changes; without an end it ends at the moment.
    pub from: Option<EpochMs>,
    pub to: Option<EpochMs>,
    /// Changes of one answer.
    pub limit: usize,
    pub cursor: Option<TimelineCursor>,
}

/// Where an answer goes on: below this offset, with or without the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineCursor {
    pub below: Offset,
    /// The state was not found yet.
    pub state_sought: bool,
}

impl TimelineCursor {
    /// Reads what an answer gave.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (state_sought, below) = text.strip_prefix('s').map_or((false, text), |below| (true, below));
        below.parse().ok().filter(|below: &Offset| *below >= 0).map(|below| Self { below, state_sought })
    }
}

impl std::fmt::Display for TimelineCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.state_sought { "s" } else { "" }, self.below)
    }
}

/// A moment, as epoch milliseconds or as RFC 3339 says it.
///
/// # Errors
/// What would be accepted.
pub fn parse_moment(text: &str) -> Result<EpochMs, String> {
    let text = text.trim();
    // In a query a plus that was not escaped arrives as a space.
    let readable = match text.rfind(' ') {
        Some(at) if at > 10 => format!("{}+{}", &text[..at], &text[at + 1..]),
        _ => text.to_owned(),
    };
    let moment = text.parse().or_else(|_| readable.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond));
    moment.map_err(|_| "expected epoch milliseconds, or a time like 2026-01-31T10:42:00Z or 2026-01-31T11:42:00+01:00".to_owned())
}

/// The product's state at the moment, its cause, and the changes of the span, newest first.
///
/// # Errors
/// Those of reading; [`LogError::Deadline`] if not even one window was read in time.
pub async fn read(log: &dyn EventLog, query: &TimelineQuery, until: Instant) -> Result<ProductTimeline, LogError> {
    let reading = HistoryScan::begin(log, query).await?;
    let started = Instant::now();
    let late = || LogError::Deadline { waited: until.saturating_duration_since(started) };
    let since = timeout_at(until, reading.since()).await.map_err(|_| late())??;
    let first = timeout_at(until, reading.first_of_span()).await.map_err(|_| late())??;
    let mut rebuild = Rebuild::new(query);
    let (mut high, mut window) = (reading.high(), FIRST_WINDOW);
    let mut read_any = false;
    while high > reading.partition.start && rebuild.wants(high > first) {
        let low = high.saturating_sub(window).max(reading.partition.start);
        let Ok(records) = timeout_at(until, window::read(log, reading.at, low..high, |record| rebuild.is_ours(record))).await
        else {
            if read_any {
                return Ok(reading.answer(rebuild.out_of_time(high), since, None));
            }
            return Err(late());
        };
        records?.iter().rev().for_each(|record| rebuild.take(record));
        (read_any, high, window) = (true, low, (window * 2).min(LARGEST_WINDOW));
    }
    let rebuilt = rebuild.finish(since.as_ref());
    let record = match timeout_at(until, reading.causing_record(&rebuilt)).await {
        Ok(record) => record?,
        Err(_) => None,
    };
    Ok(reading.answer(rebuilt, since, record))
}

/// One reading of one product's partition.
struct HistoryScan<'a> {
    log: &'a dyn EventLog,
    query: &'a TimelineQuery,
    at: TopicPartition,
    partition: PartitionInfo,
}

impl<'a> HistoryScan<'a> {
    async fn begin(log: &'a dyn EventLog, query: &'a TimelineQuery) -> Result<Self, LogError> {
        let topic = Topic::InventoryEvents;
        let known = log.topics().await?.into_iter().find(|info| info.topic == topic);
        let partitions = known.map(|info| info.partitions).unwrap_or_default();
        let number = partition_of(query.product_id.as_str().as_bytes(), i32::try_from(partitions.len()).unwrap_or(i32::MAX));
        let partition = usize::try_from(number).ok().and_then(|number| partitions.get(number)).copied();
        let partition = partition.ok_or_else(|| LogError::UnknownTopic(topic.name().to_owned()))?;
        Ok(Self { log, query, at: TopicPartition::new(topic, number), partition })
    }

    /// Above the highest offset that is read.
    fn high(&self) -> Offset {
        self.query.cursor.map_or(self.partition.end, |cursor| cursor.below.min(self.partition.end))
    }

    /// The oldest record that is still there, where older ones are gone.
    async fn since(&self) -> Result<Option<TimelineSince>, LogError> {
        if self.partition.start == 0 {
            return Ok(None);
        }
        let oldest = window::first(self.log, self.at, Start::Beginning).await?;
        let time = oldest.as_ref().map(|record| record.append_time_ms);
        Ok(Some(TimelineSince { time, offset: oldest.map_or(self.partition.end, |record| record.offset) }))
    }

    /// Below this offset every record is older than the span.
    async fn first_of_span(&self) -> Result<Offset, LogError> {
        let Some(from) = self.query.from else { return Ok(self.partition.start) };
        let reader = self.log.reader(&[(self.at, Start::Time(from))], Stop::AtEnd).await?;
        Ok(reader.positions().get(&self.at).copied().unwrap_or(self.partition.start))
    }

    async fn causing_record(&self, rebuilt: &rebuild::Rebuilt) -> Result<Option<serde_json::Value>, LogError> {
        let Some((at, offset)) = rebuilt.cause.as_ref().and_then(ChangeCause::place) else { return Ok(None) };
        // Retention may have cut the input and not the event.
        let record = window::exactly(self.log, at, offset).await?;
        Ok(record.and_then(|record| serde_json::from_str(shown(&record, Form::Json)?.get()).ok()))
    }

    fn answer(
        &self,
        rebuilt: rebuild::Rebuilt,
        since: Option<TimelineSince>,
        record: Option<serde_json::Value>,
    ) -> ProductTimeline {
        let rebuild::Rebuilt { state, revision, cause, proof, changes, cursor } = rebuilt;
        ProductTimeline {
            product_id: self.query.product_id.to_string(),
            partition: self.at.partition,
            at: self.query.at,
            state,
            revision,
            cause: cause.map(|cause| ChangeCause { record, ..cause }),
            proof,
            changes,
            since,
            cursor: cursor.map(|cursor| cursor.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_numbers_and_as_dates() {
        for text in ["1732500000000", "2024-11-25T02:00:00Z", "2024-11-25T03:00:00+01:00", "2024-11-25T03:00:00 01:00"] {
            assert_eq!(parse_moment(text), Ok(1_732_500_000_000), "{text}");
        }
        assert_eq!(parse_moment("-5"), Ok(-5));
        for text in ["", "yesterday", "10:42", "2024-11-25", "1.5", "99999999999999999999", "é é"] {
            assert!(parse_moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for cursor in [TimelineCursor { below: 7, state_sought: false }, TimelineCursor { below: 0, state_sought: true }] {
            assert_eq!(TimelineCursor::parse(&cursor.to_string()), Some(cursor));
        }
        for text in ["", "s", "-1", "s-1", "x7"] {
            assert_eq!(TimelineCursor::parse(text), None, "{text}");
        }
    }
}
