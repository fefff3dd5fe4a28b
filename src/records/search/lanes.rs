//! The partitions of a search, read ahead in bounded memory, and merged.
//!
//! Oldest first, one reader serves all partitions until one of them has enough read ahead; it then goes on without that one.
//! Newest first, each partition is read in windows before the part that was read already; they grow, so that the newest records
//! are there soon and a long search needs few readers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::cursor::{Cursor, RemainingRange};
use super::evaluate::{ExaminedRecord, Filter};
use super::{Direction, MergeOrder, Query, SearchError};
use crate::clock::Clock;
use crate::log::{EventLog, LogError, Offset, PartitionInfo, Reader, Record, Start, Stop, TopicPartition};

/// Records read at once: a record may have a megabyte.
pub(super) const CHUNK: usize = 500;
const READ_WAIT: Duration = Duration::from_millis(200);
/// What all partitions together may have read ahead, before the last chunk, and the least of each.
const AHEAD_BYTES: usize = 32 * 1024 * 1024;
const AHEAD_RECORDS: usize = 64 * 1024;
const AHEAD_RECORDS_LEAST: usize = 4 * CHUNK;
/// What an entry counts beside what it shows.
const ENTRY_BYTES: usize = 96;
/// The first window of a search for the newest, and by how much the next is larger.
const FIRST_WINDOW: i64 = 100;
const WINDOW_GROWTH: i64 = 4;

/// One partition of a search.
#[derive(Debug)]
struct Lane {
    /// What is left to be merged: from here, up to there.
    left: RemainingRange,
    /// What is left to be read.
    unread: RemainingRange,
    /// Read and not merged yet, the next one first.
    ahead: VecDeque<ExaminedRecord>,
    bytes: usize,
}

/// All partitions of a search.
pub(super) struct Lanes<'a> {
    log: &'a dyn EventLog,
    direction: Direction,
    filter: Filter,
    all: BTreeMap<TopicPartition, Lane>,
    /// Of the partitions that had room when it was opened; for the oldest only.
    reader: Option<Box<dyn Reader>>,
    window: i64,
    pub removed: u64,
}

impl Lane {
    fn is_read(&self) -> bool {
        self.unread.from >= self.unread.to
    }

    fn needs_more(&self) -> bool {
        self.ahead.is_empty() && !self.is_read()
    }

    fn is_full(&self, lanes: usize) -> bool {
        self.bytes >= AHEAD_BYTES / lanes || self.ahead.len() >= (AHEAD_RECORDS / lanes).max(AHEAD_RECORDS_LEAST)
    }

    /// What was read last, in reading order.
    fn put(&mut self, entry: ExaminedRecord) {
        self.bytes += entry.shown_bytes() + ENTRY_BYTES;
        self.ahead.push_back(entry);
    }

    /// What is left begins with the next record, or with what is unread: offsets between them have no record.
    fn pass_over_holes(&mut self, direction: Direction) {
        match (self.ahead.front().map(|entry| entry.offset), direction) {
            (None, _) => self.left = self.unread,
            (Some(next), Direction::Oldest) => self.left.from = next,
            (Some(next), Direction::Newest) => self.left.to = next + 1,
        }
    }
}

impl<'a> Lanes<'a> {
    pub(super) fn new(log: &'a dyn EventLog, direction: Direction, limit: usize, filter: Filter) -> Self {
        let window = i64::try_from(limit).unwrap_or(FIRST_WINDOW).clamp(1, FIRST_WINDOW);
        Self { log, direction, filter, all: BTreeMap::new(), reader: None, window, removed: 0 }
    }

    /// Finds where each partition starts, and takes the ends as they stand.
    pub(super) async fn start(
        &mut self,
        partitions: &BTreeMap<TopicPartition, PartitionInfo>,
        query: &Query,
        clock: &Clock,
    ) -> Result<(), SearchError> {
        let start = |(at, info): (&TopicPartition, &PartitionInfo)| (*at, query.from.start(info, clock));
        let starts: Vec<(TopicPartition, Start)> = partitions.iter().map(start).collect();
        let reader = self.log.reader(&starts, Stop::AtEnd).await?;
        for (at, info) in partitions {
            let known = |places: &BTreeMap<TopicPartition, Offset>| places.get(at).copied();
            let (from, end) = (known(reader.positions()).unwrap_or(info.start), known(reader.ends()).unwrap_or(info.end));
            let to = query.to.map_or(end, |to| to.end(&PartitionInfo { end, ..*info }));
            self.put_lane(*at, RemainingRange { from, to });
        }
        self.reader = (self.direction == Direction::Oldest).then_some(reader);
        Ok(())
    }

    /// Goes on where the page before ended.
    pub(super) fn resume(
        &mut self,
        partitions: &BTreeMap<TopicPartition, PartitionInfo>,
        cursor: &Cursor,
    ) -> Result<(), SearchError> {
        self.removed = cursor.removed;
        for ((at, info), place) in partitions.iter().zip(&cursor.places) {
            if place.to > info.end {
                return Err(SearchError::Cursor);
            }
            self.put_lane(*at, *place);
            self.cut_off(*at, info.start);
        }
        Ok(())
    }

    fn put_lane(&mut self, at: TopicPartition, place: RemainingRange) {
        self.all.insert(at, Lane { left: place, unread: place, ahead: VecDeque::new(), bytes: 0 });
    }

    /// Retention removed what is before `start`.
    fn cut_off(&mut self, at: TopicPartition, start: Offset) {
        let Some(lane) = self.all.get_mut(&at) else { return };
        let gone = start.min(lane.unread.to) - lane.unread.from;
        if gone > 0 {
            self.removed += u64::try_from(gone).unwrap_or_default();
            lane.unread.from += gone;
            if lane.ahead.is_empty() || self.direction == Direction::Newest {
                lane.left.from = lane.unread.from;
            }
        }
    }

    /// Whether every partition that is not at its end has something to be merged.
    pub(super) fn have_heads(&self) -> bool {
        !self.all.values().any(Lane::needs_more)
    }

    pub(super) fn are_done(&self) -> bool {
        self.all.values().all(|lane| lane.ahead.is_empty() && lane.is_read())
    }

    /// Offsets that are left.
    pub(super) fn remaining(&self) -> u64 {
        self.all.values().map(|lane| u64::try_from(lane.left.to - lane.left.from).unwrap_or_default()).sum()
    }

    pub(super) fn places(&self) -> Vec<RemainingRange> {
        self.all.values().map(|lane| lane.left).collect()
    }

    /// The next record of all.
    pub(super) fn first(&self, order: MergeOrder) -> Option<&ExaminedRecord> {
        self.all[&self.next_partition(order)?].ahead.front()
    }

    pub(super) fn take_first(&mut self, order: MergeOrder) -> Option<ExaminedRecord> {
        let next = self.next_partition(order)?;
        let lane = self.all.get_mut(&next)?;
        let entry = lane.ahead.pop_front()?;
        lane.bytes -= entry.shown_bytes() + ENTRY_BYTES;
        lane.pass_over_holes(self.direction);
        Some(entry)
    }

    fn next_partition(&self, order: MergeOrder) -> Option<TopicPartition> {
        let key = |at: &TopicPartition, entry: &ExaminedRecord| match order {
            MergeOrder::Time => (entry.time_ms, *at),
            MergeOrder::Offset => (entry.offset, *at),
        };
        let heads = self.all.iter().filter_map(|(at, lane)| Some(key(at, lane.ahead.front()?)));
        let next = match self.direction {
            Direction::Oldest => heads.min(),
            Direction::Newest => heads.max(),
        };
        next.map(|(_, at)| at)
    }

    /// Reads on. Dropped half-way it leaves the partitions as they were, or further.
    pub(super) async fn fill(&mut self) -> Result<(), LogError> {
        match self.direction {
            Direction::Oldest => self.read_on().await,
            Direction::Newest => self.read_back().await,
        }
    }

    async fn read_on(&mut self) -> Result<(), LogError> {
        let mut reader = match self.reader.take().filter(|reader| self.is_of_use(&**reader)) {
            Some(reader) => reader,
            None => {
                let (lanes, late) = (self.all.len(), self.filter.is_late());
                let with_room = self
                    .all
                    .iter()
                    .filter(|(_, lane)| if late { lane.needs_more() } else { !lane.is_read() && !lane.is_full(lanes) });
                let starts: Vec<(TopicPartition, Offset)> = with_room.map(|(at, lane)| (*at, lane.unread.from)).collect();
                let Some(reader) = self.open(&starts).await? else { return Ok(()) };
                reader
            }
        };
        let mut records = reader.read(CHUNK, READ_WAIT).await?;
        records.retain(|record| self.all.get(&record.topic_partition()).is_some_and(|lane| record.offset < lane.unread.to));
        let wanted = records.len();
        let entries = self.filter.look_at(records).await?;
        let are_all = entries.len() == wanted;
        for entry in entries {
            if let Some(lane) = self.all.get_mut(&entry.at) {
                lane.unread.from = entry.offset + 1;
                lane.put(entry);
            }
        }
        if are_all {
            for (at, lane) in &mut self.all {
                let position = reader.positions().get(at).copied().unwrap_or(lane.unread.from);
                lane.unread.from = position.min(lane.unread.to).max(lane.unread.from);
                lane.pass_over_holes(Direction::Oldest);
            }
            self.reader = Some(reader);
        }
        // A log that always has the next records at hand must leave the thread to others.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// A reader is of use while it serves all partitions that need more, and none that has enough. When the time is up only
    /// those are read without which nothing can be merged.
    fn is_of_use(&self, reader: &dyn Reader) -> bool {
        if self.filter.is_late() {
            return false;
        }
        let (positions, ends, lanes) = (reader.positions(), reader.ends(), self.all.len());
        self.all.iter().all(|(at, lane)| match positions.get(at) {
            Some(position) if lane.is_read() => ends.get(at).is_none_or(|end| position >= end),
            Some(_) => !lane.is_full(lanes),
            None => !lane.needs_more(),
        })
    }

    /// Opens a reader; `None` if retention has been there: the partition's place was moved.
    async fn open(&mut self, starts: &[(TopicPartition, Offset)]) -> Result<Option<Box<dyn Reader>>, LogError> {
        let starts: Vec<(TopicPartition, Start)> = starts.iter().map(|(at, offset)| (*at, Start::Offset(*offset))).collect();
        match self.log.reader(&starts, Stop::AtEnd).await {
            Err(LogError::OutOfRange { partition, offset, start, .. }) if offset < start => {
                self.cut_off(partition, start);
                Ok(None)
            }
            reader => reader.map(Some),
        }
    }

    async fn read_back(&mut self) -> Result<(), LogError> {
        let window = self.window;
        let wanted = self.all.iter().filter(|(_, lane)| lane.needs_more());
        let start_of = |lane: &Lane| lane.unread.to.saturating_sub(window).max(lane.unread.from);
        let starts: Vec<(TopicPartition, Offset)> = wanted.map(|(at, lane)| (*at, start_of(lane))).collect();
        let Some(reader) = self.open(&starts).await? else { return Ok(()) };
        let mut windows: BTreeMap<TopicPartition, Window> = starts.iter().map(|(at, from)| (*at, Window::new(*from))).collect();
        let ends = self.all.iter().map(|(at, lane)| (*at, lane.unread.to)).collect();
        read_windows(reader, &ends, &mut windows).await?;
        for (at, window) in windows {
            let from = window.from;
            let records: Vec<Record> = window.records.into_iter().rev().collect();
            let read = records.len();
            let entries = self.filter.look_at(records).await?;
            let Some(lane) = self.all.get_mut(&at) else { continue };
            lane.unread.to = if entries.len() == read { from } else { entries.last().map_or(lane.unread.to, |last| last.offset) };
            entries.into_iter().for_each(|entry| lane.put(entry));
            lane.pass_over_holes(Direction::Newest);
        }
        let most = i64::try_from((AHEAD_RECORDS / self.all.len()).max(AHEAD_RECORDS_LEAST)).unwrap_or(i64::MAX);
        self.window = window.saturating_mul(WINDOW_GROWTH).min(most);
        Ok(())
    }
}

/// Reads until every window reaches to its end.
async fn read_windows(
    mut reader: Box<dyn Reader>,
    ends: &BTreeMap<TopicPartition, Offset>,
    windows: &mut BTreeMap<TopicPartition, Window>,
) -> Result<(), LogError> {
    let most = AHEAD_BYTES / windows.len().max(1);
    let is_short = |(at, position): (&TopicPartition, &Offset)| ends.get(at).is_some_and(|end| position < end);
    while !reader.caught_up() && reader.positions().iter().any(is_short) {
        for record in reader.read(CHUNK, READ_WAIT).await? {
            let at = record.topic_partition();
            if ends.get(&at).is_some_and(|end| record.offset < *end)
                && let Some(window) = windows.get_mut(&at)
            {
                window.put(record, most);
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// The part of a partition before what was read already.
#[derive(Debug)]
struct Window {
    from: Offset,
    records: VecDeque<Record>,
    bytes: usize,
}

impl Window {
    fn new(from: Offset) -> Self {
        Self { from, records: VecDeque::new(), bytes: 0 }
    }

    /// Keeps the newest that fit, at least one.
    fn put(&mut self, record: Record, most: usize) {
        self.bytes += size(&record);
        self.records.push_back(record);
        while self.bytes > most && self.records.len() > 1 {
            let Some(oldest) = self.records.pop_front() else { return };
            self.bytes -= size(&oldest);
            self.from = oldest.offset + 1;
        }
    }
}

fn size(record: &Record) -> usize {
    let length = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
    ENTRY_BYTES + length(&record.key) + length(&record.value)
}
