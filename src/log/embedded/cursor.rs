//! Where somebody reads in several partitions, and how the next records are fetched: from memory if they are recent, else from
//! the file. Used by sessions and readers alike.

use std::sync::Arc;

use super::Store;
use super::read_pool::Limits;
use super::shelf::{Chunk, Followed, Shelf, weight};
use crate::log::{LogError, Offset, Record};

/// Bytes that one fetch brings, give or take one record.
const FETCH_BYTES: usize = 8 << 20;

/// A place in one partition.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) shelf: Followed,
    /// Offset of the next record to fetch.
    pub(super) at: Offset,
    /// Where reading ends.
    pub(super) until: Option<Offset>,
}

impl Lane {
    pub(super) fn new(shelf: Arc<Shelf>, at: Offset, until: Option<Offset>) -> Self {
        Self { shelf: Followed::new(shelf), at, until }
    }
}

/// Places in several partitions, served in turn.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    pub(super) lanes: Vec<Lane>,
    turn: usize,
}

impl Cursor {
    pub(super) fn new(lanes: Vec<Lane>) -> Self {
        Self { lanes, turn: 0 }
    }

    /// The next records, at most `max_records`; empty if there are none now. Nothing has moved if this is dropped half-way.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`] once a topic was deleted, [`LogError::Closed`] once the log is; those of reading the file.
    pub(super) async fn fetch(&mut self, store: &Store, max_records: usize) -> Result<Vec<Record>, LogError> {
        store.pool.check()?;
        if let Some(lane) = self.lanes.iter().find(|lane| lane.shelf.is_gone()) {
            return Err(LogError::UnknownTopic(lane.shelf.at.topic.name().to_owned()));
        }
        let ends = store.shelves.ends(self.lanes.iter().map(|lane| &*lane.shelf));
        let mut left = Limits { records: max_records, bytes: FETCH_BYTES };
        let mut fetched: Vec<Record> = Vec::new();
        let mut moves = Vec::new();
        for number in (0..self.lanes.len()).map(|step| (self.turn + step) % self.lanes.len()) {
            let lane = &self.lanes[number];
            let end = lane.until.map_or(ends[number], |until| until.min(ends[number]));
            if lane.at >= end {
                continue;
            }
            let chunk = fetch_from(store, lane, end, left).await?;
            left.records = left.records.saturating_sub(chunk.records.len());
            left.bytes = left.bytes.saturating_sub(chunk.records.iter().map(weight).sum());
            moves.push((number, chunk.next));
            append(&mut fetched, chunk.records);
            if left.records == 0 || left.bytes == 0 {
                break;
            }
        }
        for (number, next) in moves {
            self.lanes[number].at = next;
            self.turn = number + 1;
        }
        Ok(fetched)
    }
}

async fn fetch_from(store: &Store, lane: &Lane, end: Offset, limits: Limits) -> Result<Chunk, LogError> {
    match lane.shelf.recent(lane.at, end, limits.records, limits.bytes) {
        Some(chunk) => Ok(chunk),
        None => store.pool.scan(&lane.shelf, lane.at, end, limits).await,
    }
}

/// Moves records over; the first batch is taken as it is.
fn append(all: &mut Vec<Record>, mut more: Vec<Record>) {
    if all.is_empty() {
        *all = more;
    } else {
        all.append(&mut more);
    }
}
