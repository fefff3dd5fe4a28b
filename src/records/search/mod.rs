//! A search over several topics: merged, bounded in time and memory, and continued by a cursor.
//!
//! Every partition of every topic is a lane ([`lanes`]). The records are merged by append time or by offset, oldest or newest
//! first, and within a partition always in its order: append times step back when the log's clock does. A page ends at the limit,
//! at the time or at the end; the cursor says where each partition goes on, so that pages one after another are exactly what one
//! long page would be.
//!
//! ```text
//!  log ─► Lanes (reads ahead, bounded) ─► evaluate (blocking thread) ─► merge ─► page + cursor
//! ```
//! The ends are those of the first page: records that come later are not searched, and the search ends.

mod cursor;
mod evaluate;
mod lanes;
mod range;
mod tail;

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::domain::EpochMs;
use crate::log::{EventLog, LogError, PartitionId};
use crate::records::{Form, Predicate};
use crate::wire::topics::Topic;

use cursor::Cursor;
use evaluate::{ExaminedRecord, Filter};
use lanes::Lanes;
pub use range::ReadFrom;
pub use tail::{Batch, Tail};

/// Bytes of the records of one page.
pub const PAGE_MAX_BYTES: usize = 8 * 1024 * 1024;
/// What was read when the time is up is still looked at; a log that does not answer is given up after this.
const GRACE: Duration = Duration::from_secs(1);
/// Partitions of one search: the cursor names each, and must fit into an address.
pub const PARTITIONS_MAX: usize = 160;

/// What the records are merged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeOrder {
    Time,
    Offset,
}

/// Which records come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Oldest,
    Newest,
}

/// What is searched, and how much of it at once.
#[derive(Debug, Clone)]
pub struct Query {
    pub topics: Vec<Topic>,
    /// Only these partitions; `None`: all.
    pub partition: Option<PartitionId>,
    /// The predicate and its text.
    pub predicate: Option<(Predicate, String)>,
    pub from: ReadFrom,
    /// Where the search ends, itself left out; `None`: at the end.
    pub to: Option<ReadFrom>,
    pub order: MergeOrder,
    pub direction: Direction,
    /// Records of one page.
    pub limit: usize,
    /// How values are shown.
    pub form: Form,
    /// When the page is returned with what it has.
    pub until: Instant,
}

/// Why a page ended before the search did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndedBy {
    /// As many records as were asked for.
    Limit,
    /// As many bytes as a page holds.
    Bytes,
    /// The time was up.
    Time,
    /// The log could not be read any further for now.
    Log,
    /// Records were removed by retention before they were read: the rest was searched.
    Retention,
}

/// A part of what was found.
#[derive(Debug)]
pub struct SearchPage {
    pub records: Vec<Box<RawValue>>,
    /// `None`: everything was searched.
    pub ended_by: Option<EndedBy>,
    /// Goes on with the next page.
    pub cursor: Option<String>,
    /// Records that were read so far, by this page and those before it.
    pub scanned: u64,
    /// Records that were to be searched at most: exactly known at the end, as offsets may have holes.
    pub total: u64,
}

/// Why a search cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the cursor cannot be read, or belongs to another search or another log: start again without it")]
    Cursor,
    #[error("no such partition: the topics have up to {partitions}, numbered from 0")]
    Partition { partitions: usize },
    #[error("{partitions} partitions are more than one search takes ({PARTITIONS_MAX}): name fewer topics, or one partition")]
    TooMany { partitions: usize },
}

impl Query {
    fn filter(&self, times: Times) -> Filter {
        let predicate = self.predicate.as_ref().map(|(predicate, _)| predicate.clone());
        Filter { predicate, times, form: self.form, until: self.until }
    }
}

/// Times that bound a search; the later one is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Times {
    from: Option<EpochMs>,
    to: Option<EpochMs>,
}

/// One page of a search, from its start or from the cursor of the page before.
///
/// # Errors
/// [`SearchError`]; trouble with the log only if nothing was read, otherwise it ends the page.
pub async fn search(log: &dyn EventLog, clock: &Clock, query: &Query, cursor: Option<&str>) -> Result<SearchPage, SearchError> {
    let begun = Instant::now();
    let search = tokio::time::timeout_at(query.until + GRACE, Search::begin(log, clock, query, cursor)).await;
    let mut search = search.map_err(|_| LogError::Deadline { waited: begun.elapsed() })??;
    let ended_by = search.run(query).await?;
    Ok(search.into_page(ended_by))
}

struct Search<'a> {
    lanes: Lanes<'a>,
    fingerprint: [u8; 8],
    times: Times,
    scanned: u64,
    found: Vec<Box<RawValue>>,
    bytes: usize,
}

impl<'a> Search<'a> {
    async fn begin(log: &'a dyn EventLog, clock: &Clock, query: &Query, cursor: Option<&str>) -> Result<Search<'a>, SearchError> {
        let fingerprint = query.fingerprint(&log.id().await?);
        let partitions = range::partitions(log, query).await?;
        let cursor =
            cursor.map(|text| Cursor::read(text, fingerprint, partitions.len()).ok_or(SearchError::Cursor)).transpose()?;
        let times = cursor.as_ref().map_or_else(|| query.times(clock), |cursor| cursor.times);
        let mut lanes = Lanes::new(log, query.direction, query.limit, query.filter(times));
        match &cursor {
            Some(cursor) => lanes.resume(&partitions, cursor)?,
            None => lanes.start(&partitions, query, clock).await?,
        }
        let scanned = cursor.map_or(0, |cursor| cursor.scanned);
        Ok(Self { lanes, fingerprint, times, scanned, found: Vec::new(), bytes: 0 })
    }

    async fn run(&mut self, query: &Query) -> Result<Option<EndedBy>, LogError> {
        let scanned_before = self.scanned;
        loop {
            if self.found.len() >= query.limit {
                return Ok((!self.lanes.are_done()).then_some(EndedBy::Limit));
            }
            if !self.lanes.have_heads() {
                // Every page gets on, however little time it has: pages one after another come to an end.
                if self.scanned > scanned_before && Instant::now() >= query.until {
                    return Ok(Some(EndedBy::Time));
                }
                match tokio::time::timeout_at(query.until.max(Instant::now()) + GRACE, self.lanes.fill()).await {
                    Ok(Ok(())) => {}
                    Err(_) => return Ok(Some(EndedBy::Time)),
                    Ok(Err(error)) if self.scanned == scanned_before => return Err(error),
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "a search ends early");
                        return Ok(Some(EndedBy::Log));
                    }
                }
                continue;
            }
            let Some(entry) = self.lanes.first(query.order) else {
                return Ok((self.lanes.removed > 0).then_some(EndedBy::Retention));
            };
            if entry.shown_bytes() + self.bytes > PAGE_MAX_BYTES && !self.found.is_empty() {
                return Ok(Some(EndedBy::Bytes));
            }
            if let Some(entry) = self.lanes.take_first(query.order) {
                self.take(entry);
            }
        }
    }

    fn take(&mut self, entry: ExaminedRecord) {
        self.scanned += 1;
        self.bytes += entry.shown_bytes();
        self.found.extend(entry.shown);
    }

    fn into_page(self, ended_by: Option<EndedBy>) -> SearchPage {
        let goes_on = !matches!(ended_by, None | Some(EndedBy::Retention));
        let total = self.scanned + self.lanes.remaining();
        let (scanned, removed) = (self.scanned, self.lanes.removed);
        let places = self.lanes.places();
        let cursor = Cursor { fingerprint: self.fingerprint, times: self.times, scanned, removed, places };
        SearchPage { records: self.found, ended_by, cursor: goes_on.then(|| cursor.text()), scanned, total }
    }
}
