//! Following a log that another process writes: looks whether the file has changed, every 50 ms, for as long as it is open here.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rusqlite::Connection;

use super::shelf::Shelves;
use super::{schema, trouble};
use crate::log::LogError;

/// Twenty looks a second: what a person who tails a topic calls at once, and far below 1 % of a core.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks as long as the returned sender lives.
///
/// # Errors
/// Those of opening the file.
pub(super) fn watch(path: &Path, shelves: &Arc<Shelves>) -> Result<Sender<()>, LogError> {
    let connection = schema::open_reader(path)?;
    let version = data_version(&connection).map_err(|error| trouble::while_reading(path, &error))?;
    let rows = schema::load_partitions(&connection).map_err(|error| trouble::while_reading(path, &error))?;
    shelves.refresh(&rows);
    let shelves = Arc::clone(shelves);
    let (stop, stopped) = channel();
    let run = move || look_on(&connection, version, &shelves, &stopped);
    let thread = std::thread::Builder::new().name("log-watcher".to_owned()).spawn(run);
    thread.map(|_| stop).map_err(|error| LogError::Unavailable(format!("cannot follow the log: {error}")))
}

fn look_on(connection: &Connection, mut version: i64, shelves: &Shelves, stopped: &Receiver<()>) {
    while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        let look = || -> Result<i64, rusqlite::Error> {
            let now = data_version(connection)?;
            if now != version {
                shelves.refresh(&schema::load_partitions(connection)?);
            }
            Ok(now)
        };
        match look() {
            Ok(now) => version = now,
            Err(error) => tracing::warn!(%error, "the event log cannot be looked at and is tried again"),
        }
    }
}

/// Changes whenever another connection has committed.
fn data_version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}
