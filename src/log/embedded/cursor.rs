//! Reading several partitions: from memory where the next records are recent, else from the file. Used by sessions and readers
//! alike.

use std::sync::Arc;

use super::partition_tail::{Followed, PartitionTail, TailChunk, weight};
use super::read_pool::Limits;
use super::store::Store;
use crate::log::{LogError, Offset, Record};

/// Bytes that one fetch returns, up to one record more.
const FETCH_BYTES: usize = 8 << 20;

/// Where one partition is read.
#[derive(Debug)]
pub(super) struct PartitionCursor {
    pub(super) tail: Followed,
    /// Offset of the next record to fetch.
    pub(super) at: Offset,
    /// Where reading ends.
    pub(super) until: Option<Offset>,
}

impl PartitionCursor {
    pub(super) fn new(tail: Arc<PartitionTail>, at: Offset, until: Option<Offset>) -> Self {
        Self { tail: Followed::new(tail), at, until }
    }
}

/// Where several partitions are read, each in its turn.
#[derive(Debug, Default)]
pub(super) struct PartitionsCursor {
    pub(super) partitions: Vec<PartitionCursor>,
    turn: usize,
}

impl PartitionsCursor {
    pub(super) fn new(partitions: Vec<PartitionCursor>) -> Self {
        Self { partitions, turn: 0 }
    }

    /// The next records, at most `max_records`; empty if there are none now. Nothing moves if this is dropped half-way.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`] once a topic was deleted, [`LogError::Closed`] once the log is; those of reading the file.
    pub(super) async fn fetch(&mut self, store: &Store, max_records: usize) -> Result<Vec<Record>, LogError> {
        store.pool.check()?;
        if let Some(partition) = self.partitions.iter().find(|partition| partition.tail.is_gone()) {
            return Err(LogError::UnknownTopic(partition.tail.at.topic.name().to_owned()));
        }
        let ends = store.tails.ends(self.partitions.iter().map(|partition| &*partition.tail));
        let mut left = Limits { records: max_records, bytes: FETCH_BYTES };
        let mut fetched: Vec<Record> = Vec::new();
        let mut moves = Vec::new();
        for number in (0..self.partitions.len()).map(|step| (self.turn + step) % self.partitions.len()) {
            let partition = &self.partitions[number];
            let end = partition.until.map_or(ends[number], |until| until.min(ends[number]));
            if partition.at >= end {
                continue;
            }
            let chunk = fetch_from(store, partition, end, left).await?;
            left.records = left.records.saturating_sub(chunk.records.len());
            left.bytes = left.bytes.saturating_sub(chunk.records.iter().map(weight).sum());
            moves.push((number, chunk.next));
            append(&mut fetched, chunk.records);
            if left.records == 0 || left.bytes == 0 {
                break;
            }
        }
        for (number, next) in moves {
            self.partitions[number].at = next;
            self.turn = number + 1;
        }
        Ok(fetched)
    }
}

async fn fetch_from(store: &Store, partition: &PartitionCursor, end: Offset, limits: Limits) -> Result<TailChunk, LogError> {
    match partition.tail.recent(partition.at, end, limits.records, limits.bytes) {
        Some(chunk) => Ok(chunk),
        None => store.pool.scan(&partition.tail, partition.at, end, limits).await,
    }
}

/// Appends records, without copying the first batch.
fn append(all: &mut Vec<Record>, mut more: Vec<Record>) {
    if all.is_empty() {
        *all = more;
    } else {
        all.append(&mut more);
    }
}
