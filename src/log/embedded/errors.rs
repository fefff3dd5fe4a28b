//! What SQLite's errors mean for the log's callers.

use std::path::Path;

use rusqlite::{Error, ErrorCode, ffi};

use crate::log::LogError;

/// What an error while reading or opening means.
pub(super) fn while_reading(path: &Path, error: &Error) -> LogError {
    let path = path.display().to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LogError::Full { path },
        _ if is_busy(error) => LogError::Unavailable(format!("another program holds a lock on {path}; close it")),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            let reason =
                format!("the file is damaged ({error}): restore a backup, or move the file away to start with an empty log");
            LogError::Unusable { path, reason }
        }
        _ => LogError::Unusable { path, reason: error.to_string() },
    }
}

/// What an error before or at the commit means for its records: none of them is in the log, unless [`is_unclear`].
pub(super) fn while_writing(path: &Path, error: &Error) -> LogError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => while_reading(path, error),
        _ if is_unclear(error) => {
            LogError::Unavailable(format!("cannot tell whether {} holds the commit: {error}", path.display()))
        }
        _ => LogError::Aborted(format!("{}: {error}", path.display())),
    }
}

/// Whether the commit may reappear after a crash: its pages were written, but the disk did not confirm that it keeps them. The
/// next commit overwrites them, and then it never happened.
fn is_unclear(error: &Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

/// Whether another program holds a lock.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether the system could not open or read the file, as without free descriptors: that says nothing about its contents.
pub(super) fn is_not_opened(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory))
}

/// A file or folder that cannot be used.
pub(super) fn unusable(path: &Path, reason: &impl ToString) -> LogError {
    LogError::Unusable { path: path.display().to_string(), reason: reason.to_string() }
}
