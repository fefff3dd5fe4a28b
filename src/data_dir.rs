//! The data directory: everything a process keeps on disk, and proof that it is the only one there.
//!
//! ```text
//!  DATA_DIR/lock            held by the running process (flock), with its pid
//!           instance        name of this instance, made once
//!           server.json     listeners and pid of the running server: other commands find it there
//!           log/            the embedded event log
//!           postgres/       the private PostgreSQL
//!           logs/           log files
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// A data directory that belongs to this process as long as the value lives.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    instance: String,
    _lock: File,
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
    /// The directory or a file in it cannot be made, read or written.
    #[error("cannot use the data directory {path}; check its owner and rights, or choose another KARTSHOPPE__DATA_DIR")]
    Unusable {
        path: String,
        #[source]
        source: io::Error,
    },
}

impl DataDir {
    /// Makes the directory if need be, locks it, and reads or makes the instance's name.
    ///
    /// # Errors
    /// [`DataDirError::InUse`] while another process has it, else [`DataDirError::Unusable`].
    pub fn open(root: &Path, configured_instance: &str) -> Result<Self, DataDirError> {
        let unusable = |path: &Path| {
            let path = path.display().to_string();
            move |source| DataDirError::Unusable { path, source }
        };
        fs::create_dir_all(root).map_err(unusable(root))?;
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

    /// The name of this instance in group and transactional ids.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Tells other commands where this server listens. Written whole or not at all.
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
        write().map_err(|source| DataDirError::Unusable { path: path.display().to_string(), source })
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // A file that stays behind does no harm: readers check that somebody holds the lock.
        let _ = fs::remove_file(server_file(&self.root));
    }
}

/// The server that runs on this directory, if one does.
#[must_use]
pub fn running_server(root: &Path) -> Option<ServerInfo> {
    let info = serde_json::from_slice(&fs::read(server_file(root)).ok()?).ok()?;
    is_locked(root).then_some(info)
}

/// Whether a living process holds the directory.
#[must_use]
pub fn is_locked(root: &Path) -> bool {
    File::open(root.join("lock")).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
}

fn server_file(root: &Path) -> PathBuf {
    root.join("server.json")
}

fn lock(root: &Path) -> Result<File, DataDirError> {
    let path = root.join("lock");
    let unusable = |source: io::Error| DataDirError::Unusable { path: path.display().to_string(), source };
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(unusable)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(DataDirError::InUse { path: root.display().to_string(), pid: pid.trim().to_owned() });
        }
        Err(errno) => return Err(unusable(errno.into())),
    }
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(unusable)?;
    Ok(file)
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
}
