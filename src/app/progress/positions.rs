//! Positions that do not advance although there are records to read.
//!
//! On Kafka the end of a partition may lie beyond its last record, behind transaction markers. So a position that has not moved
//! for long counts as stalled only if a reader finds a record there, or cannot read on either.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::log::{EventLog, LogError, Offset, PartitionInfo, Start, Stop, TopicPartition};
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// How long reading at a position may take.
const PEEK_PATIENCE: Duration = Duration::from_secs(4);
const PEEK_WAIT: Duration = Duration::from_millis(500);

/// The bounds of every partition.
pub(super) type Ends = BTreeMap<TopicPartition, PartitionInfo>;

/// A reader whose positions are checked, with the texts of its alarm.
#[derive(Debug, Clone, Copy)]
pub(super) struct WatchedReader {
    cause: Cause,
    /// The reader in metric labels.
    pub name: &'static str,
    who: &'static str,
    advice: &'static str,
}

pub(super) const INVENTORY: WatchedReader = WatchedReader {
    cause: Cause::InputStalled,
    name: "inventory",
    who: "the inventory stands still",
    advice: "check that record, the group kartshoppe-inventory for a foreign member that holds the \
             partition, and the shop's log",
};
pub(super) const CATALOG: WatchedReader = WatchedReader {
    cause: Cause::CatalogueStalled,
    name: "catalog-view",
    who: "the read model stands still",
    advice: "look in the log of the shop",
};
pub(super) const TRACKER: WatchedReader = WatchedReader {
    cause: Cause::TrackerStalled,
    name: "order-tracker",
    who: "order outcomes are not written to PostgreSQL",
    advice: "see the shop's log, and check that PostgreSQL accepts writes",
};
pub(super) const FANOUT: WatchedReader = WatchedReader {
    cause: Cause::FanoutStalled,
    name: "fanout",
    who: "pages are not sent cart changes",
    advice: "look in the log of the shop",
};

/// All of them.
pub(super) const READERS: [WatchedReader; 4] = [INVENTORY, CATALOG, TRACKER, FANOUT];

/// The history of one position.
#[derive(Debug)]
struct PositionHistory {
    offset: Offset,
    /// No record lies before this offset.
    empty_to: Offset,
    /// Since when the partition has had more to read than that.
    below_since: Option<Instant>,
    /// The end at the time of an early check for a record before it.
    peeked_to: Option<Offset>,
    /// What was found at the position when it was first counted as stalled.
    stall: Option<String>,
    /// Why it could not be read, and when that was tried: a read that hangs takes seconds.
    failed: Option<(Instant, String)>,
}

/// All positions below their ends.
#[derive(Debug)]
pub(super) struct Stalls {
    after: Duration,
    known: BTreeMap<(Cause, TopicPartition), PositionHistory>,
}

impl Stalls {
    pub fn new(after: Duration) -> Self {
        Self { after, known: BTreeMap::new() }
    }

    /// Discards all observations.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Up to which offset nothing to read lies before the reader's position, as far as that was looked at.
    pub fn empty_to(&self, reading: WatchedReader, at: TopicPartition) -> Option<Offset> {
        self.known.get(&(reading.cause, at)).map(|standing| standing.empty_to)
    }

    /// Compares one reader's positions with the ends, and sets its alarms; none for a reader that does not run here.
    pub async fn look(
        &mut self,
        reading: WatchedReader,
        positions: &BTreeMap<TopicPartition, Offset>,
        ends: &Ends,
        log: &dyn EventLog,
        alarms: &Alarms,
        runs: bool,
    ) {
        self.known.retain(|(cause, at), _| *cause != reading.cause || positions.contains_key(at));
        let mut still = Vec::new();
        for (at, offset) in positions {
            let Some(bounds) = ends.get(at).copied() else { continue };
            let Some((stood, found)) = self.stall_of(reading.cause, *at, *offset, bounds, log).await else { continue };
            if !runs {
                continue;
            }
            let about = About::partition(reading.cause, at.topic.name(), at.partition);
            let WatchedReader { who, advice, .. } = reading;
            let text = format!("{who}: {at} at offset {offset} of {} for {} s; {advice}", bounds.end, stood.as_secs());
            alarms.raise(about.clone(), Alarm::blocks(text).with_detail(found));
            still.push(about);
        }
        alarms.clear_others(reading.cause, &still);
    }

    /// How long the position has been below the end, if that is too long, and what lies there.
    async fn stall_of(
        &mut self,
        cause: Cause,
        at: TopicPartition,
        offset: Offset,
        PartitionInfo { start, end }: PartitionInfo,
        log: &dyn EventLog,
    ) -> Option<(Duration, String)> {
        let standing = self.known.entry((cause, at)).or_insert_with(|| PositionHistory::at(offset));
        if standing.offset != offset {
            *standing = PositionHistory::at(offset);
        }
        // The reader will go on behind records that were deleted. Until it does, it stands still.
        let offset = start.max(offset);
        if standing.empty_to < offset {
            *standing = PositionHistory { empty_to: offset, peeked_to: None, stall: None, failed: None, ..*standing };
        }
        if end <= standing.empty_to {
            standing.below_since = None;
            standing.stall = None;
            return None;
        }
        let stood = standing.below_since.get_or_insert_with(Instant::now).elapsed();
        if stood < self.after {
            // Markers must not count as lag until it is called a stall. Most records are read before the second look.
            let is_due = !stood.is_zero() && standing.peeked_to != Some(end);
            standing.peeked_to = standing.peeked_to.filter(|_| !is_due).or(is_due.then_some(end));
            if is_due && matches!(peek(log, at, offset, end).await, Peeked::Nothing) {
                (standing.empty_to, standing.below_since) = (end, None);
            }
            return None;
        }
        if let Some(stall) = &standing.stall {
            return Some((stood, stall.clone()));
        }
        if let Some((_, failure)) = standing.failed.as_ref().filter(|(tried, _)| tried.elapsed() < self.after) {
            return Some((stood, failure.clone()));
        }
        match peek(log, at, offset, end).await {
            Peeked::Nothing => {
                (standing.empty_to, standing.below_since) = (end, None);
                None
            }
            Peeked::Record(found) => {
                let found = format!("the record at offset {found} can be read");
                standing.stall = Some(found.clone());
                Some((stood, found))
            }
            Peeked::Failed(failure) => {
                standing.failed = Some((Instant::now(), failure.clone()));
                Some((stood, failure))
            }
        }
    }
}

impl PositionHistory {
    fn at(offset: Offset) -> Self {
        Self { offset, empty_to: offset, below_since: None, peeked_to: None, stall: None, failed: None }
    }
}

enum Peeked {
    /// Transaction markers only.
    Nothing,
    Record(Offset),
    Failed(String),
}

/// Looks for a record from `offset` to before `end`.
async fn peek(log: &dyn EventLog, at: TopicPartition, offset: Offset, end: Offset) -> Peeked {
    match tokio::time::timeout(PEEK_PATIENCE, first_record(log, at, offset)).await {
        Ok(Ok(Some(found))) if found < end => Peeked::Record(found),
        Ok(Ok(_)) => Peeked::Nothing,
        Ok(Err(error)) => Peeked::Failed(format!("reading there fails: {error}")),
        Err(_) => Peeked::Failed("reading there returns nothing".to_owned()),
    }
}

async fn first_record(log: &dyn EventLog, at: TopicPartition, offset: Offset) -> Result<Option<Offset>, LogError> {
    let mut reader = log.reader(&[(at, Start::Offset(offset))], Stop::AtEnd).await?;
    loop {
        if let Some(record) = reader.read(1, PEEK_WAIT).await?.first() {
            return Ok(Some(record.offset));
        }
        if reader.caught_up() {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::log::embedded::{EmbeddedConfig, EmbeddedLog};
    use crate::log::{Headers, NewRecord, Topic};

    const AT: TopicPartition = TopicPartition { topic: Topic::OrderEvents, partition: 0 };
    const AFTER: Duration = Duration::from_secs(15);

    struct Bench {
        log: EmbeddedLog,
        alarms: Alarms,
        stalls: Stalls,
        _folder: tempfile::TempDir,
    }

    impl Bench {
        async fn new(records: usize) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let log = EmbeddedLog::open(EmbeddedConfig::new(folder.path(), 1), Clock::system()).await.unwrap();
            log.create_topics(&[Topic::OrderEvents]).await.unwrap();
            let headers = Headers::default();
            let record = NewRecord { topic: AT.topic, partition: Some(0), key: None, value: Some("{}".into()), headers };
            log.append(vec![record; records], Duration::from_secs(30)).await.unwrap();
            Self { log, alarms: Alarms::default(), stalls: Stalls::new(AFTER), _folder: folder }
        }

        /// The alarm after the position has stood there for so long.
        async fn look(&mut self, offset: Offset, end: Offset, stood: Duration) -> Option<String> {
            self.stalls.known.values_mut().for_each(|standing| {
                standing.below_since = standing.below_since.and_then(|since| since.checked_sub(stood));
            });
            let ends = [(AT, PartitionInfo { start: 0, end })].into();
            self.stalls.look(INVENTORY, &[(AT, offset)].into(), &ends, &self.log, &self.alarms, true).await;
            self.alarms.list().pop().map(|(_, alarm)| alarm.in_full())
        }
    }

    #[tokio::test]
    async fn a_position_that_stands_below_its_end_is_named_until_it_moves() {
        let mut bench = Bench::new(3).await;
        assert_eq!(bench.look(1, 3, AFTER).await, None, "not seen for long enough");
        let alarm = bench.look(1, 3, AFTER).await.expect("an alarm");
        for said in ["order-events/0 at offset 1 of 3", "the record at offset 1 can be read"] {
            assert!(alarm.contains(said), "{alarm}");
        }
        assert_eq!(bench.look(2, 3, AFTER).await, None, "it has moved");
        assert!(bench.look(2, 3, AFTER).await.is_some());
        assert_eq!(bench.look(3, 3, AFTER).await, None, "it is at the end");
    }

    #[tokio::test]
    async fn an_end_behind_markers_is_no_stall_and_a_late_record_counts_from_its_coming() {
        let mut bench = Bench::new(3).await;
        bench.look(3, 5, AFTER).await;
        assert_eq!(bench.look(3, 5, AFTER).await, None, "nothing to read lies there");
        assert_eq!(bench.look(3, 6, AFTER).await, None, "what came just now");
        bench.stalls.forget();
        assert_eq!(bench.look(1, 3, AFTER).await, None);
        // A reader that went is not judged any more.
        assert!(bench.look(1, 3, AFTER).await.is_some());
        let ends = [(AT, PartitionInfo { start: 0, end: 3 })].into();
        bench.stalls.look(INVENTORY, &BTreeMap::new(), &ends, &bench.log, &bench.alarms, true).await;
        assert!(bench.alarms.list().is_empty());
    }
}
