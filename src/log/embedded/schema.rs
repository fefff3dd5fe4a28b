//! The file: its tables, its format number, and how connections to it are opened.
//!
//! ```text
//!  meta        name, value                                   id of the log, partitions of the keyed topics
//!  partitions  topic, partition: start, next, peak, cleaned  what exists, and where the next record goes
//!  positions   group, topic, partition: next, metadata       where groups go on
//!  identities  identity: epoch                               which session of an identity is the current one
//!  "TOPIC/P"   offset, time_ms, peak_ms, key, headers, value one table per partition, by offset
//! ```
//! One table per partition, so that appending always writes at the right edge of a tree (docs/adr/0003). To look inside:
//! `sqlite3 kartshoppe.log.sqlite 'select "offset", value from "inventory-events/0" order by 1 desc limit 5'`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::errors;
use crate::log::{LogError, Offset, PartitionId, TopicPartition};
use crate::wire::topics::Topic;

/// Marks a SQLite file as ours: "KSLG".
const APPLICATION_ID: i32 = 0x4B53_4C47;
/// Format of the tables. A newer binary opens older files, an older one refuses newer ones.
const FORMAT: i32 = 1;
/// Bytes. Measured against 4,096 and 16,384: the best for batches of 100 to 10,000 records of 400 bytes (docs/adr/0003).
pub(super) const PAGE_BYTES: u64 = 8192;
/// Bytes written between two checkpoints. SQLite's own default; larger ones only make the WAL larger.
pub(super) const CHECKPOINT_BYTES: u64 = 4 << 20;
/// Bytes of WAL at which the writer itself stops for a checkpoint: the keeper cannot move that much while commits go on.
pub(super) const WAL_LIMIT_BYTES: u64 = 32 << 20;
/// Enough statements for every partition of every topic, so that none is prepared twice.
const STATEMENTS: usize = 512;
/// How long a program that has the file open (`sqlite3`, a backup) may keep a commit waiting.
pub(super) const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE partitions (
        id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, partition INTEGER NOT NULL,
        start INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 0, peak_ms INTEGER NOT NULL DEFAULT 0,
        cleaned INTEGER NOT NULL DEFAULT 0, live INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, partition));
    CREATE TABLE positions (
        group_name TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
        next INTEGER NOT NULL, metadata TEXT NOT NULL, PRIMARY KEY (group_name, topic, partition)) WITHOUT ROWID;
    CREATE TABLE identities (identity TEXT PRIMARY KEY, epoch INTEGER NOT NULL, attached INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;";

/// Name of the log's file in its folder.
pub(super) fn file_in(folder: &Path) -> PathBuf {
    folder.join("kartshoppe.log.sqlite")
}

/// A partition as it is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartitionRow {
    /// Differs from every partition before it, also of the same name.
    pub(super) id: i64,
    pub(super) at: TopicPartition,
    pub(super) start: Offset,
    pub(super) next: Offset,
    /// The highest append time so far.
    pub(super) peak_ms: i64,
    /// Where the last compaction ended, and how many records it left.
    pub(super) cleaned: Offset,
    pub(super) live: i64,
}

/// Opens the writer's connection, and makes the tables in a new file.
///
/// # Errors
/// [`LogError::Refused`] for another program's file, a newer format or another number of partitions; [`LogError::Unusable`].
pub(super) fn open_writer(
    path: &Path,
    partitions: PartitionId,
    fsync: bool,
    max_bytes: Option<u64>,
) -> Result<Connection, LogError> {
    let failed = |error: rusqlite::Error| errors::while_reading(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    let made = is_new(&connection).map_err(failed)?;
    if !made {
        check_format(&connection, path)?;
    }
    let level = if fsync { "FULL" } else { "NORMAL" };
    let pragmas = format!(
        "PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = {level}; PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = {}; PRAGMA cache_size = -32000;",
        WAL_LIMIT_BYTES
    );
    connection.execute_batch(&pragmas).map_err(failed)?;
    if made {
        let all = format!(
            "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};
             INSERT INTO meta VALUES ('id', '{}'), ('partitions', '{partitions}'); COMMIT;",
            new_id()
        );
        connection.execute_batch(&all).map_err(failed)?;
    }
    if let Some(bytes) = max_bytes {
        let pages = i64::try_from(bytes / PAGE_BYTES).unwrap_or(i64::MAX);
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).map_err(failed)?;
    }
    check_partitions(&connection, path, partitions)?;
    Ok(connection)
}

/// Opens a connection that only reads.
///
/// # Errors
/// [`LogError::Refused`] for another program's file or a newer format; [`LogError::Unusable`].
pub(super) fn open_reader(path: &Path) -> Result<Connection, LogError> {
    let failed = |error: rusqlite::Error| errors::while_reading(path, &error);
    // Read-write for SQLite, as reading a file whose writer was killed includes recovery of its WAL; `query_only` forbids the
    // rest.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    check_format(&connection, path)?;
    // Only the writer decides whether the WAL may be moved into the file that is at the path.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    Ok(connection)
}

/// Opens the keeper's connection, for checkpoints.
pub(super) fn open_keeper(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    prepare(&connection)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // The first read opens the WAL: the one that exists now, not what may be at its path later.
    is_new(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(BUSY)
}

fn is_new(connection: &Connection) -> Result<bool, rusqlite::Error> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

fn check_format(connection: &Connection, path: &Path) -> Result<(), LogError> {
    let failed = |error: rusqlite::Error| errors::while_reading(path, &error);
    let ours: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    if ours != APPLICATION_ID {
        return Err(LogError::Refused(format!("{} is not an event log of KartShoppe: move the file away", path.display())));
    }
    let format: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    if format > FORMAT {
        return Err(LogError::Refused(format!(
            "{} was written by a newer KartShoppe (format {format}, this one knows up to {FORMAT}): start that version, or use \
             an empty data directory",
            path.display()
        )));
    }
    Ok(())
}

/// The number of partitions is fixed while there are topics: another number would move keys to other partitions.
fn check_partitions(connection: &Connection, path: &Path, wanted: PartitionId) -> Result<(), LogError> {
    let failed = |error: rusqlite::Error| errors::while_reading(path, &error);
    if wanted < 1 {
        return Err(LogError::Refused(format!("inventory.partitions is {wanted}: it must be at least 1")));
    }
    let stored = stored_partitions(connection).map_err(failed)?;
    if stored == wanted {
        return Ok(());
    }
    if !load_partitions(connection).map_err(failed)?.is_empty() {
        return Err(LogError::Refused(format!(
            "{} has {stored} partitions and {wanted} are configured: set KARTSHOPPE__INVENTORY__PARTITIONS={stored}, or empty \
             the log with `make reset`",
            path.display()
        )));
    }
    let update = "UPDATE meta SET value = ?1 WHERE name = 'partitions'";
    connection.execute(update, [wanted.to_string()]).map(|_| ()).map_err(|error| errors::while_writing(path, &error))
}

/// The number of partitions of the keyed topics.
pub(super) fn stored_partitions(connection: &Connection) -> Result<PartitionId, rusqlite::Error> {
    connection.query_row("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'partitions'", [], |row| row.get(0))
}

/// The log's id.
pub(super) fn stored_id(connection: &Connection) -> Result<String, rusqlite::Error> {
    connection.query_row("SELECT value FROM meta WHERE name = 'id'", [], |row| row.get(0))
}

/// An id for a new log.
pub(super) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Every partition that exists, except those of topics that this binary does not know.
pub(super) fn load_partitions(connection: &Connection) -> Result<Vec<PartitionRow>, rusqlite::Error> {
    let sql = "SELECT id, topic, partition, start, next, peak_ms, cleaned, live FROM partitions ORDER BY topic, partition";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let Some(topic) = Topic::from_name(row.get_ref(1)?.as_str()?) else { return Ok(None) };
        let at = TopicPartition::new(topic, row.get(2)?);
        let (id, start, next) = (row.get(0)?, row.get(3)?, row.get(4)?);
        Ok(Some(PartitionRow { id, at, start, next, peak_ms: row.get(5)?, cleaned: row.get(6)?, live: row.get(7)? }))
    })?;
    rows.filter_map(Result::transpose).collect()
}

/// Adds a partition with its table; inside the caller's transaction.
pub(super) fn create_partition(connection: &Connection, at: TopicPartition) -> Result<PartitionRow, rusqlite::Error> {
    connection.execute_batch(&format!(
        "CREATE TABLE {} (\"offset\" INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, peak_ms INTEGER, key BLOB, headers BLOB, value BLOB)",
        table_of(at)
    ))?;
    let insert = "INSERT INTO partitions (topic, partition) VALUES (?1, ?2)";
    connection.execute(insert, params![at.topic.name(), at.partition])?;
    let id = connection.last_insert_rowid();
    Ok(PartitionRow { id, at, start: 0, next: 0, peak_ms: 0, cleaned: 0, live: 0 })
}

/// Removes a partition with its table and all groups' positions on it; inside the caller's transaction.
pub(super) fn drop_partition(connection: &Connection, at: TopicPartition) -> Result<(), rusqlite::Error> {
    connection.execute_batch(&format!("DROP TABLE IF EXISTS {}", table_of(at)))?;
    let named = params![at.topic.name(), at.partition];
    connection.execute("DELETE FROM partitions WHERE topic = ?1 AND partition = ?2", named)?;
    connection.execute("DELETE FROM positions WHERE topic = ?1 AND partition = ?2", named)?;
    Ok(())
}

/// The quoted name of a partition's table.
pub(super) fn table_of(at: TopicPartition) -> String {
    format!("\"{at}\"")
}

/// The newest epoch of an identity, if it was ever used.
pub(super) fn epoch_of(connection: &Connection, identity: &str) -> Result<Option<i64>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT epoch FROM identities WHERE identity = ?1")?
        .query_row([identity], |row| row.get(0))
        .optional()
}
