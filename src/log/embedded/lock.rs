//! One server owns the log's folder: it holds a lock file for as long as the writer runs.

use std::path::Path;

use super::errors::unusable;
use crate::data_dir::{PidLock, PidLockError};
use crate::log::LogError;

/// Takes the lock of `folder`. While it is held, no other server writes this log.
///
/// # Errors
/// [`LogError::InUse`] with the holder's pid, or [`LogError::Unusable`].
pub(super) fn take(folder: &Path) -> Result<PidLock, LogError> {
    let path = folder.join("lock");
    PidLock::take(&path).map_err(|error| match error {
        PidLockError::Held { pid } => LogError::InUse { path: folder.display().to_string(), pid },
        PidLockError::Failed(source) => unusable(&path, &source),
    })
}
