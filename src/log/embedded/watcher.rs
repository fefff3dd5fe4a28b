//! Following a log that another process writes: checks every 50 ms whether the file has changed, for as long as it is open here.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rusqlite::Connection;

use super::partition_tail::PartitionTails;
use super::{errors, schema};
use crate::log::LogError;

/// Twenty checks a second: immediate to a person who tails a topic, and far below 1 % of a core.
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// Checks until the returned sender is dropped.
///
/// # Errors
/// Those of opening the file.
pub(super) fn watch(path: &Path, tails: &Arc<PartitionTails>) -> Result<Sender<()>, LogError> {
    let connection = schema::open_reader(path)?;
    let version = data_version(&connection).map_err(|error| errors::while_reading(path, &error))?;
    let rows = schema::load_partitions(&connection).map_err(|error| errors::while_reading(path, &error))?;
    tails.refresh(&rows);
    let tails = Arc::clone(tails);
    let (stop, stopped) = channel();
    let run = move || check_until(&stopped, &connection, version, &tails);
    let thread = std::thread::Builder::new().name("log-watcher".to_owned()).spawn(run);
    thread.map(|_| stop).map_err(|error| LogError::Unavailable(format!("cannot follow the log: {error}")))
}

fn check_until(stopped: &Receiver<()>, connection: &Connection, mut version: i64, tails: &PartitionTails) {
    while stopped.recv_timeout(CHECK_EVERY) == Err(RecvTimeoutError::Timeout) {
        let check = || -> Result<i64, rusqlite::Error> {
            let now = data_version(connection)?;
            if now != version {
                tails.refresh(&schema::load_partitions(connection)?);
            }
            Ok(now)
        };
        match check() {
            Ok(now) => version = now,
            Err(error) => tracing::warn!(%error, "the event log could not be checked for changes; trying again"),
        }
    }
}

/// Changes whenever another connection has committed.
fn data_version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}
