//! The log's folder belongs to one server: a lock file, held by `flock` as long as the writer lives.
//!
//! The operating system lets go of it when the process dies, however it dies.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::trouble::unusable;
use crate::log::LogError;

/// Proof that no other server writes this log.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of `folder`.
    ///
    /// # Errors
    /// [`LogError::InUse`] with the holder's pid, or [`LogError::Unusable`].
    pub(super) fn take(folder: &Path) -> Result<Self, LogError> {
        let path = folder.join("lock");
        let failed = |error: std::io::Error| unusable(&path, &error);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid); // an unreadable pid does not make the lock ours
                return Err(LogError::InUse { path: folder.display().to_string(), pid: pid.trim().to_owned() });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}
