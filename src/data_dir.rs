//! The data directory: everything that a process keeps on disk, and a lock that only one process can hold.
//!
//! ```text
//!  DATA_DIR/lock            held by the running process (flock), with its pid
//!           instance        name of this instance, made once
//!           operator.token  what operators must know, if there is one (operator_token)
//!           workshop.json   how far a learner is in the workshop, if there is one
//!           server.json     listeners and pid of the running server: other commands find it there
//!           log/            the embedded event log
//!           postgres/       the private PostgreSQL
//!           logs/           log files
//! ```

pub mod operator_token;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// The learner's progress, which is no part of the shop: a directory that holds nothing else is empty.
pub const WORKSHOP_FILE: &str = "workshop.json";

/// A data directory that belongs to this process as long as the value exists.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    instance: String,
    _lock: PidLock,
}

/// A file lock that one process can hold at a time, with its pid in the file. The operating system releases it when the process
/// dies, in whatever way; child processes do not inherit it.
#[derive(Debug)]
pub struct PidLock(File);

/// Why a [`PidLock`] cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum PidLockError {
    #[error("process {pid} has it")]
    Held { pid: String },
    #[error(transparent)]
    Failed(#[from] io::Error),
}

/// Where a running server listens; the content of `server.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    pub pid: u32,
    pub http: Option<SocketAddr>,
    pub admin: SocketAddr,
    pub roles: Vec<String>,
    pub started_at_ms: i64,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process holds the lock.
    #[error("{path} belongs to process {pid}, which is running: stop it, or choose another KARTSHOPPE__DATA_DIR")]
    InUse { path: String, pid: String },
    /// The disk is full.
    #[error("no space left on the disk of {path}: free some, or choose another KARTSHOPPE__DATA_DIR")]
    Full { path: String },
    /// The directory or a file in it cannot be made, read or written.
    #[error("cannot use the data directory {path}; check its owner and permissions, or choose another KARTSHOPPE__DATA_DIR")]
    Unusable {
        path: String,
        #[source]
        source: io::Error,
    },
}

impl DataDirError {
    fn new(path: String, source: io::Error) -> Self {
        let is_full = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if is_full { Self::Full { path } } else { Self::Unusable { path, source } }
    }
}

/// Creates a folder that only its owner can read, and removes other users' access to an existing one: it holds session ids, each
/// of which opens that session's orders. If root shares the folder with the user of its PostgreSQL, other users may traverse it
/// and no more.
///
/// # Errors
/// If it cannot be created.
pub fn own_folder(path: &Path) -> io::Result<()> {
    let is_new = !path.exists();
    fs::create_dir_all(path)?;
    let found = fs::metadata(path)?;
    let (open, wanted) = (found.mode() & 0o7777, if shares_with_postgres(path) { 0o711 } else { 0o700 });
    if open & !wanted & 0o077 == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, fs::Permissions::from_mode(wanted)) {
        Ok(()) if is_new => {}
        Ok(()) => tracing::info!(path = %path.display(), "others could look into this folder: now its owner alone can"),
        Err(error) => tracing::warn!(
            path = %path.display(), owner = found.uid(), %error,
            "others can look into this folder, and it is not ours to close: `chmod 700` it as its owner"
        ),
    }
    Ok(())
}

/// Whether it contains a cluster of another user.
fn shares_with_postgres(path: &Path) -> bool {
    let owner = |path: &Path| fs::metadata(path).ok().map(|found| found.uid());
    let cluster = path.join("postgres/cluster");
    rustix::process::geteuid().is_root() && owner(&cluster).is_some_and(|uid| uid != 0)
}

impl DataDir {
    /// Creates the directory if needed, locks it, and reads or creates the instance's name.
    ///
    /// # Errors
    /// [`DataDirError::InUse`] while another process holds it, else [`DataDirError::Unusable`].
    pub fn open(root: &Path, configured_instance: &str) -> Result<Self, DataDirError> {
        let unusable = |path: &Path| {
            let path = path.display().to_string();
            move |source| DataDirError::new(path, source)
        };
        own_folder(root).map_err(unusable(root))?;
        let root = root.canonicalize().map_err(unusable(root))?;
        let lock = lock(&root)?;
        let instance = if configured_instance.is_empty() {
            kept_instance(&root.join("instance")).map_err(unusable(&root))?
        } else {
            configured_instance.to_owned()
        };
        Ok(Self { root, instance, _lock: lock })
    }

    /// The directory, as an absolute path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The name of this instance in group ids and transactional ids.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Publishes where this server listens, for other commands. Written atomically.
    ///
    /// # Errors
    /// [`DataDirError::Unusable`] if the file cannot be written.
    pub fn announce(&self, info: &ServerInfo) -> Result<(), DataDirError> {
        let path = server_file(&self.root);
        let write = || {
            let draft = path.with_extension("json.new");
            fs::write(&draft, serde_json::to_vec_pretty(info)?)?;
            fs::rename(&draft, &path)
        };
        write().map_err(|source| DataDirError::new(path.display().to_string(), source))
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // A file that remains is harmless: readers check that the lock is held.
        let _ = fs::remove_file(server_file(&self.root));
    }
}

/// The server that runs on this directory, if any.
#[must_use]
pub fn running_server(root: &Path) -> Option<ServerInfo> {
    let info = serde_json::from_slice(&fs::read(server_file(root)).ok()?).ok()?;
    is_locked(root).then_some(info)
}

/// Whether a shop was ever opened in it.
#[must_use]
pub fn was_opened(root: &Path) -> bool {
    root.join("lock").is_file()
}

/// Whether a living process holds the directory.
#[must_use]
pub fn is_locked(root: &Path) -> bool {
    File::open(root.join("lock")).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
}

fn server_file(root: &Path) -> PathBuf {
    root.join("server.json")
}

fn lock(root: &Path) -> Result<PidLock, DataDirError> {
    let path = root.join("lock");
    PidLock::take(&path).map_err(|error| match error {
        PidLockError::Held { pid } => DataDirError::InUse { path: root.display().to_string(), pid },
        PidLockError::Failed(source) => DataDirError::new(path.display().to_string(), source),
    })
}

impl PidLock {
    /// Takes the lock, or names its holder.
    ///
    /// # Errors
    /// [`PidLockError`].
    pub fn take(path: &Path) -> Result<Self, PidLockError> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                // An unreadable pid does not make the lock ours.
                let _ = file.read_to_string(&mut pid);
                return Err(PidLockError::Held { pid: pid.trim().to_owned() });
            }
            Err(errno) => return Err(PidLockError::Failed(errno.into())),
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()))?;
        Ok(Self(file))
    }
}

impl Drop for PidLock {
    /// A child process that another thread is starting also has the file open between its fork and its exec, so closing ours
    /// would not release the lock.
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn kept_instance(path: &Path) -> io::Result<String> {
    if let Ok(name) = fs::read_to_string(path)
        && !name.trim().is_empty()
    {
        return Ok(name.trim().to_owned());
    }
    let name = format!("kartshoppe-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    fs::write(path, &name)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_may_not_look_in_and_a_full_disk_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let (made, found) = (parent.path().join("made"), parent.path().join("found"));
        fs::create_dir(&found).unwrap();
        fs::set_permissions(&found, fs::Permissions::from_mode(0o755)).unwrap();
        for root in [&made, &found] {
            drop(DataDir::open(root, "").unwrap());
            assert_eq!(mode(root), 0o700, "{}", root.display());
        }
        let message = DataDirError::new("/data".to_owned(), io::Error::from(io::ErrorKind::StorageFull)).to_string();
        assert!(message.contains("no space left on the disk of /data") && !message.contains("permissions"), "{message}");
    }

    #[test]
    fn belongs_to_one_process_and_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(folder.path(), "").unwrap();
        assert!(
            matches!(DataDir::open(folder.path(), ""), Err(DataDirError::InUse { pid, .. }) if pid == std::process::id().to_string())
        );
        let info = ServerInfo {
            pid: 1,
            http: None,
            admin: "127.0.0.1:1".parse().unwrap(),
            roles: vec!["api".to_owned()],
            started_at_ms: 0,
        };
        first.announce(&info).unwrap();
        assert_eq!(running_server(folder.path()), Some(info));
        let name = first.instance().to_owned();
        drop(first);
        assert_eq!(running_server(folder.path()), None);
        assert_eq!(DataDir::open(folder.path(), "").unwrap().instance(), name);
    }

    #[test]
    fn a_lock_is_free_at_once_though_a_child_that_is_being_started_has_the_file_open() {
        use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
        use std::os::fd::AsRawFd;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = PidLock::take(&path).unwrap();
        let pid = std::process::id().to_string();
        assert!(matches!(PidLock::take(&path), Err(PidLockError::Held { pid: message }) if message == pid));
        // The same open file once more, as a child has it between fork and exec.
        let me = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
        let childs = pidfd_getfd(&me, first.0.as_raw_fd(), PidfdGetfdFlags::empty()).unwrap();
        drop(first);
        PidLock::take(&path).unwrap();
        drop(childs);
    }
}
