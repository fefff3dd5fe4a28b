//! The log as it is at one moment, copied while the shop goes on writing.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::{errors, schema};
use crate::log::LogError;

/// Pages copied between two questions whether to go on.
const STEP_PAGES: i32 = 1_000;

/// What the log held when this was taken. The file's WAL grows while it lives.
#[derive(Debug)]
pub(crate) struct LogSnapshot {
    connection: Connection,
    path: PathBuf,
}

impl LogSnapshot {
    /// Fixes the moment: everything that is committed now, and nothing that comes later. Blocks for a moment.
    ///
    /// # Errors
    /// [`LogError::Unusable`] if there is no readable log in the folder; [`LogError::Refused`] for a newer format.
    pub(crate) fn take(folder: &Path) -> Result<Self, LogError> {
        let path = schema::file_in(folder);
        let connection = schema::open_reader(&path)?;
        let failed = |error: rusqlite::Error| errors::while_reading(&path, &error);
        connection.execute_batch("BEGIN").map_err(failed)?;
        // The first read of a transaction fixes what it sees.
        schema::stored_id(&connection).map_err(failed)?;
        Ok(Self { connection, path })
    }

    /// How many partitions the keyed topics have.
    ///
    /// # Errors
    /// [`LogError::Unusable`] if the file cannot be read.
    pub(crate) fn partitions(&self) -> Result<i32, LogError> {
        schema::stored_partitions(&self.connection).map_err(|error| errors::while_reading(&self.path, &error))
    }

    /// Writes the log to a new file, as long as `go_on` says so. Blocks.
    ///
    /// # Errors
    /// [`LogError::Full`] without room for it, [`LogError::Closed`] if it was stopped, [`LogError::Unusable`] if it cannot be
    /// read.
    pub(crate) fn copy_to(&self, target: &Path, go_on: &dyn Fn() -> bool) -> Result<(), LogError> {
        let failed = |error: rusqlite::Error| errors::while_reading(target, &error);
        let mut copy = Connection::open(target).map_err(failed)?;
        let backup = Backup::new(&self.connection, &mut copy).map_err(failed)?;
        while go_on() {
            if backup.step(STEP_PAGES).map_err(failed)? == StepResult::Done {
                return Ok(());
            }
        }
        Err(LogError::Closed)
    }
}
