//! A cluster restored from a backup: it becomes the data directory's own, under a new id.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::binaries::Binaries;
use super::cluster::{in_file, write_secret};
use super::owner::Owner;
use super::place::{self, ClusterPlace};
use super::{PrivateServerError, home_of, lock};
use crate::data_dir::PidLock;

/// An empty folder for the copied files.
#[derive(Debug)]
pub struct Restored {
    home: PathBuf,
    place: ClusterPlace,
    owner: Option<Owner>,
    draft: PathBuf,
    _lock: PidLock,
}

/// Makes sure that this machine can run a cluster of that version, without writing anything.
///
/// # Errors
/// [`PrivateServerError`] if the programs are missing.
pub fn can_restore(data_dir: &Path, bin_dir: Option<&Path>, major: u32) -> Result<(), PrivateServerError> {
    Binaries::find(bin_dir, Some(major), &super::home_path(data_dir).join("cluster")).map(drop)
}

impl Restored {
    /// Creates an empty folder for the cluster of a data directory that has none.
    ///
    /// # Errors
    /// [`PrivateServerError`], also if there is a cluster.
    pub fn begin(data_dir: &Path) -> Result<Self, PrivateServerError> {
        let home = home_of(data_dir)?;
        let lock = lock(&home)?;
        let place = ClusterPlace::settle(&home)?;
        if place.made {
            let there = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(in_file("restore over", &place.directory)(there));
        }
        let owner = Owner::to_switch_to(&place.directory);
        let draft = place.directory.with_extension("new");
        match fs::remove_dir_all(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(in_file("delete", &draft)(error)),
            _ => {}
        }
        fs::DirBuilder::new().mode(0o700).create(&draft).map_err(in_file("make", &draft))?;
        Ok(Self { home, place, owner, draft, _lock: lock })
    }

    /// Where the cluster's files go.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.draft
    }

    /// Hands the files to the server's user, and registers the cluster with the data directory.
    ///
    /// # Errors
    /// [`PrivateServerError`].
    pub fn finish(self, credentials: &str) -> Result<(), PrivateServerError> {
        self.hand_over(&self.draft).map_err(in_file("hand over", &self.draft))?;
        place::write_id(&self.draft, &self.place.id)?;
        let path = self.home.join("credentials");
        write_secret(&path, credentials).map_err(in_file("write", &path))?;
        fs::rename(&self.draft, &self.place.directory).map_err(in_file("make", &self.place.directory))?;
        self.place.keep_id(&self.home)
    }

    fn hand_over(&self, path: &Path) -> io::Result<()> {
        let is_directory = fs::symlink_metadata(path)?.is_dir();
        fs::set_permissions(path, fs::Permissions::from_mode(if is_directory { 0o700 } else { 0o600 }))?;
        if let Some(owner) = self.owner {
            chown(path, Some(owner.uid), Some(owner.gid))?;
        }
        if is_directory {
            for entry in fs::read_dir(path)? {
                self.hand_over(&entry?.path())?;
            }
        }
        Ok(())
    }
}
