//! The reader: no group, no identity, committed records only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::cursor::{Cursor, Lane};
use super::shelf::Shelf;
use super::{Store, wait_for_news};
use crate::log::{LogError, LogFuture, Offset, Reader, Record, Start, Stop, TopicPartition, deadline_of};

/// A reader of the embedded log.
#[derive(Debug)]
pub(super) struct EmbeddedReader {
    store: Arc<Store>,
    cursor: Cursor,
    positions: BTreeMap<TopicPartition, Offset>,
    ends: BTreeMap<TopicPartition, Offset>,
    stop: Stop,
    news: watch::Receiver<u64>,
}

impl EmbeddedReader {
    /// Opens a reader. The ends of all partitions are those of one moment.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`], [`LogError::OutOfRange`], and those of reading the file.
    pub(super) async fn open(store: Arc<Store>, from: &[(TopicPartition, Start)], stop: Stop) -> Result<Self, LogError> {
        let starts: BTreeMap<TopicPartition, Start> = from.iter().copied().collect();
        let shelves: Vec<Arc<Shelf>> = starts.keys().map(|at| store.shelves.get(*at)).collect::<Result<_, _>>()?;
        let news = store.shelves.news();
        let ends = store.shelves.ends(shelves.iter());
        let mut lanes = Vec::new();
        for ((shelf, end), start) in shelves.into_iter().zip(&ends).zip(starts.values()) {
            let at = resolve(&store, &shelf, *end, *start).await?;
            lanes.push(Lane::new(shelf, at, (stop == Stop::AtEnd).then_some(*end)));
        }
        let positions = lanes.iter().map(|lane| (lane.shelf.at, lane.at)).collect();
        let ends = starts.into_keys().zip(ends).collect();
        Ok(Self { store, cursor: Cursor::new(lanes), positions, ends, stop, news })
    }

    async fn next(&mut self, max_records: usize, max_wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = deadline_of(max_wait);
        loop {
            self.news.mark_unchanged();
            let records = self.cursor.fetch(&self.store, max_records).await?;
            self.note_positions();
            let is_done = !records.is_empty() || (self.stop == Stop::AtEnd && self.caught_up());
            if is_done || !wait_for_news(&mut self.news, deadline).await {
                return Ok(records);
            }
        }
    }

    fn note_positions(&mut self) {
        for (lane, position) in self.cursor.lanes.iter().zip(self.positions.values_mut()) {
            *position = lane.at;
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

async fn resolve(store: &Store, shelf: &Arc<Shelf>, end: Offset, start: Start) -> Result<Offset, LogError> {
    match start {
        Start::Beginning => Ok(shelf.start()),
        Start::End => Ok(end),
        Start::Offset(offset) => check_range(shelf, offset, end),
        Start::Time(time_ms) => store.pool.seek(shelf, end, time_ms).await,
    }
}

/// Gives the offset back if the partition can be read from there.
///
/// # Errors
/// [`LogError::OutOfRange`].
pub(super) fn check_range(shelf: &Shelf, offset: Offset, end: Offset) -> Result<Offset, LogError> {
    let start = shelf.start();
    if (start..=end).contains(&offset) {
        Ok(offset)
    } else {
        Err(LogError::OutOfRange { partition: shelf.at, offset, start, end })
    }
}
