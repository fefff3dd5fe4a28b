//! The reader: no group, no identity, committed records only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::cursor::{PartitionCursor, PartitionsCursor};
use super::partition_tail::PartitionTail;
use super::store::{Store, wait_for_changes};
use crate::log::{LogError, LogFuture, Offset, Reader, Record, Start, Stop, TopicPartition, deadline_of};

/// A reader of the embedded log.
#[derive(Debug)]
pub(super) struct EmbeddedReader {
    store: Arc<Store>,
    cursor: PartitionsCursor,
    positions: BTreeMap<TopicPartition, Offset>,
    ends: BTreeMap<TopicPartition, Offset>,
    stop: Stop,
    changes: watch::Receiver<u64>,
}

impl EmbeddedReader {
    /// Opens a reader. The ends of all partitions are those of one moment.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`], [`LogError::OutOfRange`], and those of reading the file.
    pub(super) async fn open(store: Arc<Store>, from: &[(TopicPartition, Start)], stop: Stop) -> Result<Self, LogError> {
        let starts: BTreeMap<TopicPartition, Start> = from.iter().copied().collect();
        let tails: Vec<Arc<PartitionTail>> = starts.keys().map(|at| store.tails.get(*at)).collect::<Result<_, _>>()?;
        let changes = store.tails.changes();
        let ends = store.tails.ends(tails.iter());
        let mut partitions = Vec::new();
        for ((tail, end), start) in tails.into_iter().zip(&ends).zip(starts.values()) {
            let at = resolve(&store, &tail, *end, *start).await?;
            partitions.push(PartitionCursor::new(tail, at, (stop == Stop::AtEnd).then_some(*end)));
        }
        let positions = partitions.iter().map(|partition| (partition.tail.at, partition.at)).collect();
        let ends = starts.into_keys().zip(ends).collect();
        Ok(Self { store, cursor: PartitionsCursor::new(partitions), positions, ends, stop, changes })
    }

    async fn next(&mut self, max_records: usize, max_wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = deadline_of(max_wait);
        loop {
            self.changes.mark_unchanged();
            let records = self.cursor.fetch(&self.store, max_records).await?;
            self.note_positions();
            let is_done = !records.is_empty() || (self.stop == Stop::AtEnd && self.caught_up());
            if is_done || !wait_for_changes(&mut self.changes, deadline).await {
                return Ok(records);
            }
        }
    }

    fn note_positions(&mut self) {
        for (partition, position) in self.cursor.partitions.iter().zip(self.positions.values_mut()) {
            *position = partition.at;
        }
    }
}

impl Reader for EmbeddedReader {
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

async fn resolve(store: &Store, tail: &Arc<PartitionTail>, end: Offset, start: Start) -> Result<Offset, LogError> {
    match start {
        Start::Beginning => Ok(tail.start()),
        Start::End => Ok(end),
        Start::Offset(offset) => check_range(tail, offset, end),
        Start::Time(time_ms) => store.pool.seek(tail, end, time_ms).await,
    }
}

/// Returns the offset if the partition can be read from there.
///
/// # Errors
/// [`LogError::OutOfRange`].
pub(super) fn check_range(tail: &PartitionTail, offset: Offset, end: Offset) -> Result<Offset, LogError> {
    let start = tail.start();
    if (start..=end).contains(&offset) {
        Ok(offset)
    } else {
        Err(LogError::OutOfRange { partition: tail.at, offset, start, end })
    }
}
