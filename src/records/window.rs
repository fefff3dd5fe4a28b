//! Bounded pieces of a partition.

use std::ops::{ControlFlow, Range};
use std::time::Duration;

use crate::log::{EventLog, LogError, Offset, Record, Start, Stop, TopicPartition};

/// Records read at once: a record may have a megabyte.
const CHUNK: usize = 500;
const READ_WAIT: Duration = Duration::from_millis(200);

/// The records of these offsets that are wanted, in their order.
pub(super) async fn read(
    log: &dyn EventLog,
    at: TopicPartition,
    offsets: Range<Offset>,
    wanted: impl Fn(&Record) -> bool,
) -> Result<Vec<Record>, LogError> {
    let mut kept = Vec::new();
    let mut low = offsets.start;
    let mut reader = loop {
        match log.reader(&[(at, Start::Offset(low))], Stop::AtEnd).await {
            // Retention went on meanwhile.
            Err(LogError::OutOfRange { start, .. }) if start > low && start < offsets.end => low = start,
            Err(LogError::OutOfRange { start, .. }) if start >= offsets.end => return Ok(kept),
            opened => break opened?,
        }
    };
    loop {
        let records = reader.read(CHUNK, READ_WAIT).await?;
        let is_done = reader.caught_up() || reader.positions().get(&at).is_some_and(|next| *next >= offsets.end);
        kept.extend(records.into_iter().filter(|record| record.offset < offsets.end && wanted(record)));
        if is_done {
            return Ok(kept);
        }
        // A log that always has the next records at hand must leave the thread to others.
        tokio::task::yield_now().await;
    }
}

/// Hands on each record from there, to the end as it stands or until it was enough.
pub(super) async fn scan(
    log: &dyn EventLog,
    at: TopicPartition,
    start: Start,
    mut each: impl FnMut(&Record) -> ControlFlow<()> + Send,
) -> Result<(), LogError> {
    let mut reader = log.reader(&[(at, start)], Stop::AtEnd).await?;
    loop {
        let records = reader.read(CHUNK, READ_WAIT).await?;
        if records.iter().any(|record| each(record).is_break()) || reader.caught_up() {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// The first record from there on, if there is one.
pub(super) async fn first(log: &dyn EventLog, at: TopicPartition, start: Start) -> Result<Option<Record>, LogError> {
    let mut reader = log.reader(&[(at, start)], Stop::AtEnd).await?;
    loop {
        let records = reader.read(1, READ_WAIT).await?;
        if !records.is_empty() || reader.caught_up() {
            return Ok(records.into_iter().next());
        }
    }
}

/// The record at exactly this place; `None` if it is gone, or never was.
pub(super) async fn exactly(log: &dyn EventLog, at: TopicPartition, offset: Offset) -> Result<Option<Record>, LogError> {
    match first(log, at, Start::Offset(offset)).await {
        Ok(record) => Ok(record.filter(|record| record.offset == offset)),
        Err(LogError::OutOfRange { .. } | LogError::UnknownTopic(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
