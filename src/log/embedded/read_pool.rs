//! Reading the file: a few connections, used on blocking threads, so that no async worker ever waits for the disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::Semaphore;

use super::partition_tail::{PartitionTail, TailChunk, weight};
use super::{codec, errors, schema};
use crate::domain::EpochMs;
use crate::log::{Headers, LogError, Offset, Position, Positions, Record, TopicPartition};
use crate::wire::topics::Topic;

/// Connections that read at the same time. Reading is bound by the CPU, which other parts of the process need, too.
const CONNECTIONS: usize = 4;

/// Read-only connections to one file.
#[derive(Debug)]
pub(super) struct ReadPool {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl ReadPool {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Arc::default(), permits: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends reading: every later read fails with [`LogError::Closed`].
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// # Errors
    /// [`LogError::Closed`] after [`Self::close`].
    pub(super) fn check(&self) -> Result<(), LogError> {
        if self.permits.is_closed() { Err(LogError::Closed) } else { Ok(()) }
    }

    /// Runs `read` on a blocking thread with a connection of its own.
    pub(super) async fn run<T, F>(&self, read: F) -> Result<T, LogError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| LogError::Closed)?;
        let (path, idle) = (self.path.clone(), Arc::clone(&self.idle));
        let task = tokio::task::spawn_blocking(move || {
            let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = waiting.map_or_else(|| schema::open_reader(&path), Ok)?;
            let result = read(&connection).map_err(|error| errors::while_reading(&path, &error));
            if !permit.semaphore().is_closed() {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
            drop(permit);
            result
        });
        task.await.unwrap_or_else(|failed| Err(LogError::Unavailable(format!("a read of the event log ended early: {failed}"))))
    }

    /// Records of a partition with offsets from `from` up to `end`, at least one if there is one.
    pub(super) async fn scan(
        &self,
        tail: &Arc<PartitionTail>,
        from: Offset,
        end: Offset,
        limits: Limits,
    ) -> Result<TailChunk, LogError> {
        let tail = Arc::clone(tail);
        self.run(move |connection| scan(connection, &tail, from, end, limits)).await
    }

    /// The first offset from `start` whose record was appended at `time_ms` or later; `end` if there is none before it.
    pub(super) async fn seek(&self, tail: &Arc<PartitionTail>, end: Offset, time_ms: EpochMs) -> Result<Offset, LogError> {
        let tail = Arc::clone(tail);
        self.run(move |connection| seek(connection, &tail.table, tail.start(), end, time_ms)).await
    }

    /// What a group has committed.
    pub(super) async fn committed(&self, group: &str) -> Result<Positions, LogError> {
        let group = group.to_owned();
        self.run(move |connection| committed(connection, &group)).await
    }
}

/// How much one read brings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

fn scan(
    connection: &Connection,
    tail: &PartitionTail,
    from: Offset,
    end: Offset,
    limits: Limits,
) -> Result<TailChunk, rusqlite::Error> {
    let sql = format!(
        "SELECT \"offset\", time_ms, key, headers, value FROM {} WHERE \"offset\" >= ?1 AND \"offset\" < ?2 ORDER BY \"offset\"",
        tail.table
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![from, end])?;
    let mut records = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let record = record_of(row, tail.at)?;
        bytes += weight(&record);
        let next = record.offset + 1;
        records.push(record);
        if records.len() >= limits.records || bytes >= limits.bytes {
            return Ok(TailChunk { records, next });
        }
    }
    Ok(TailChunk { records, next: end })
}

/// Key, headers and value share one allocation.
fn record_of(row: &Row<'_>, at: TopicPartition) -> Result<Record, rusqlite::Error> {
    let parts = [row.get_ref(2)?.as_blob_or_null()?, row.get_ref(3)?.as_blob_or_null()?, row.get_ref(4)?.as_blob_or_null()?];
    let mut all = Vec::with_capacity(parts.iter().flatten().map(|part| part.len()).sum());
    parts.iter().flatten().for_each(|part| all.extend_from_slice(part));
    let mut rest = Bytes::from(all);
    let [key, headers, value] = parts.map(|part| part.map(|bytes| rest.split_to(bytes.len())));
    let headers = match headers {
        None => Headers::none(),
        Some(blob) => {
            codec::decode(blob).ok_or(rusqlite::Error::InvalidColumnType(3, "headers".to_owned(), rusqlite::types::Type::Blob))?
        }
    };
    let (offset, append_time_ms) = (row.get(0)?, row.get(1)?);
    Ok(Record { topic: at.topic, partition: at.partition, offset, append_time_ms, key, value, headers })
}

/// Binary search over the highest append time so far, which only rises although the clock may step back; from there on the
/// first record that is late enough itself.
pub(super) fn seek(
    connection: &Connection,
    table: &str,
    start: Offset,
    end: Offset,
    time_ms: EpochMs,
) -> Result<Offset, rusqlite::Error> {
    let probe = format!(
        "SELECT \"offset\", coalesce(peak_ms, time_ms) FROM {table} WHERE \"offset\" >= ?1 AND \"offset\" < ?2 ORDER BY \"offset\" LIMIT 1"
    );
    let mut probe = connection.prepare_cached(&probe)?;
    let (mut low, mut high) = (start, end);
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(Offset, EpochMs)> =
            probe.query_row(params![middle, high], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((offset, peak_ms)) if peak_ms < time_ms => low = offset + 1,
            _ => high = middle,
        }
    }
    let first = format!(
        "SELECT \"offset\" FROM {table} WHERE \"offset\" >= ?1 AND \"offset\" < ?2 AND time_ms >= ?3 ORDER BY \"offset\" LIMIT 1"
    );
    let first: Option<Offset> =
        connection.prepare_cached(&first)?.query_row(params![low, end, time_ms], |row| row.get(0)).optional()?;
    Ok(first.unwrap_or(end))
}

/// What a group has committed, as the connection sees it.
pub(super) fn committed(connection: &Connection, group: &str) -> Result<Positions, rusqlite::Error> {
    let sql = "SELECT topic, partition, next, metadata FROM positions WHERE group_name = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([group], |row| {
        let Some(topic) = Topic::from_name(row.get_ref(0)?.as_str()?) else { return Ok(None) };
        let position = Position { offset: row.get(2)?, metadata: row.get(3)? };
        Ok(Some((TopicPartition::new(topic, row.get(1)?), position)))
    })?;
    rows.filter_map(Result::transpose).collect()
}
