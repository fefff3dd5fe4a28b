//! The log's folder belongs to one server: a lock file, held as long as the writer lives.

use std::path::Path;

use super::trouble::unusable;
use crate::data_dir::{PidLock, PidLockError};
use crate::log::LogError;

/// Takes the lock of `folder`: proof that no other server writes this log.
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
