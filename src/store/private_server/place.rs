//! Where a data directory's cluster is, and whether it belongs to that directory: both hold the same id, which is compared before
//! anything is used.
//!
//! ```text
//!  DATA_DIR/postgres/id         written with the cluster: from then on the cluster must exist
//!                    location   names PLACE, if root's PostgreSQL user cannot reach this directory
//!                    cluster/kartshoppe.id
//!  PLACE/cluster/kartshoppe.id  PLACE is /var/lib/kartshoppe-ID: no two data directories share one
//!        home                   the directory that PLACE belongs to: path, device, inode
//! ```
//! A copy of a data directory has its own cluster if that lies inside it; otherwise the copy is refused, as the cluster belongs
//! to the original. A directory that was moved stays the same one. Only [`delete`] ever deletes anything here.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::PrivateServerError;
use super::cluster::{in_file, write_secret};
use super::owner::Owner;
use super::postmaster;
use super::process::same_inode;

/// Where the files go if the server's user cannot reach the data directory.
const ELSEWHERE: &str = "/var/lib";
/// The file in the cluster, beside PostgreSQL's own, that holds the id.
pub(super) const ID_IN_CLUSTER: &str = "kartshoppe.id";
/// How long a server that is no longer needed may take to write its checkpoint.
const ORPHAN_ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Where the cluster of a home directory is, or will be created.
#[derive(Debug)]
pub(super) struct ClusterPlace {
    /// The data directory of PostgreSQL.
    pub directory: PathBuf,
    pub id: String,
    /// Whether the cluster exists.
    pub made: bool,
}

impl ClusterPlace {
    /// The cluster of this home, compared and, where it is elsewhere, claimed; or the place for a new one.
    pub fn settle(home: &Path) -> Result<Self, PrivateServerError> {
        let directory = directory(home)?;
        let (own, theirs) = (read(&home.join("id"))?, read(&directory.join(ID_IN_CLUSTER))?);
        if own.is_none() && !is_there(&directory)? {
            return Self::choose(home, Uuid::new_v4().simple().to_string());
        }
        compare(home, &directory, own.as_deref(), theirs.as_deref())?;
        let id = theirs.unwrap_or_else(|| Uuid::new_v4().simple().to_string());
        // The cluster's id first: if the home's is missing, the next start takes the cluster's.
        write_id(&directory, &id)?;
        let mut place = Self { directory, id, made: true };
        if place.directory.parent() == Some(home) {
            place.stay_reachable(home)?;
        } else if let Some(elsewhere) = place.directory.parent() {
            open(elsewhere)?;
            write_claim(elsewhere, home)?;
        }
        place.keep_id(home)?;
        Ok(place)
    }

    /// Records in the home directory that the cluster was created.
    pub fn keep_id(&self, home: &Path) -> Result<(), PrivateServerError> {
        let path = home.join("id");
        if read(&path)?.is_none() {
            write_secret(&path, &self.id).map_err(in_file("write", &path))?;
        }
        Ok(())
    }

    /// Inside the home directory, unless we are root and the server's user cannot reach it.
    fn choose(home: &Path, id: String) -> Result<Self, PrivateServerError> {
        let mut place = Self { directory: home.join("cluster"), id, made: false };
        // Left by a start that died half-way.
        remove(&home.join("location"))?;
        place.stay_reachable(home)?;
        if place.directory.parent() != Some(home) {
            end_orphans(home);
        }
        Ok(place)
    }

    /// Opens the home directory for the server's user, or moves the cluster elsewhere.
    fn stay_reachable(&mut self, home: &Path) -> Result<(), PrivateServerError> {
        let Some(owner) = Owner::to_switch_to(&self.directory) else { return Ok(()) };
        fs::set_permissions(home, fs::Permissions::from_mode(0o711)).map_err(in_file("open", home))?;
        if owner.reaches(home) {
            return Ok(());
        }
        let name: String = self.id.chars().take(12).collect();
        let place = Path::new(ELSEWHERE).join(format!("kartshoppe-{name}"));
        tracing::warn!(path = %place.display(),
            "PostgreSQL does not run as root, and its user cannot reach {}: its files are kept elsewhere", home.display());
        open(&place)?;
        write_claim(&place, home)?;
        let location = home.join("location");
        fs::write(&location, place.display().to_string()).map_err(in_file("write", &location))?;
        let cluster = place.join("cluster");
        if self.made {
            fs::rename(&self.directory, &cluster).map_err(in_file("move the private database to", &cluster))?;
        }
        self.directory = cluster;
        Ok(())
    }
}

/// PostgreSQL's data directory that this home directory names. [`check`] says whether it may be used.
pub(super) fn directory(home: &Path) -> Result<PathBuf, PrivateServerError> {
    let inside = home.join("cluster");
    match read(&home.join("location"))? {
        // A move elsewhere that was not finished.
        Some(_) if is_there(&inside)? => Ok(inside),
        Some(place) => Ok(Path::new(&place).join("cluster")),
        None => Ok(inside),
    }
}

/// Checks that the cluster belongs to this home directory.
pub(super) fn check(home: &Path) -> Result<(), PrivateServerError> {
    let directory = directory(home)?;
    let (own, theirs) = (read(&home.join("id"))?, read(&directory.join(ID_IN_CLUSTER))?);
    if own.is_none() && !is_there(&directory)? {
        return Ok(());
    }
    compare(home, &directory, own.as_deref(), theirs.as_deref())
}

/// Deletes the cluster if it belongs to this home directory, and what the home directory records about it.
pub(super) fn delete(home: &Path) -> Result<(), PrivateServerError> {
    let directory = directory(home)?;
    if check(home).is_ok() || directory.parent() == Some(home) {
        // The id last: an interrupted delete can be repeated.
        let elsewhere = directory.parent().filter(|place| *place != home);
        for path in [directory.as_path()].into_iter().chain(elsewhere) {
            match fs::remove_dir_all(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(in_file("delete", path)(error)),
                _ => {}
            }
        }
    }
    ["location", "server.log", "credentials", "id"].into_iter().try_for_each(|name| remove(&home.join(name)))
}

/// Checks that both hold the same id, and that a cluster elsewhere belongs to no other home. Versions that knew no ids left none.
fn compare(home: &Path, directory: &Path, own: Option<&str>, theirs: Option<&str>) -> Result<(), PrivateServerError> {
    let (shown, cluster) = (home.display().to_string(), directory.display().to_string());
    if !is_there(directory)? {
        return Err(PrivateServerError::Gone { home: shown, cluster });
    }
    if own.is_some() && own != theirs {
        return Err(PrivateServerError::Foreign { home: shown, cluster });
    }
    let Some(place) = directory.parent().filter(|place| *place != home) else { return Ok(()) };
    let owner = match read(&place.join("home"))? {
        Some(claim) => other_home(&claim, home, theirs)?,
        // An earlier version named the place after the home's path, and never claimed it.
        None if theirs.is_none() && place != legacy_place(home) => {
            Some("the directory that it was copied or moved from".to_owned())
        }
        None => None,
    };
    owner.map_or(Ok(()), |owner| Err(PrivateServerError::Copied { home: shown, place: place.display().to_string(), owner }))
}

/// The home directory that claims a place, if it is not this one and still exists with the cluster's id.
fn other_home(claim: &str, home: &Path, theirs: Option<&str>) -> Result<Option<String>, PrivateServerError> {
    let mut lines = claim.lines();
    let path = Path::new(lines.next().unwrap_or_default());
    let numbers: Vec<u64> = lines.filter_map(|line| line.parse().ok()).collect();
    let here = fs::metadata(home).map_err(in_file("look at", home))?;
    if numbers == [here.dev(), here.ino()] || fs::metadata(path).is_ok_and(|there| same_inode(&there, &here)) {
        return Ok(None);
    }
    let still_there = read(&path.join("id")).is_ok_and(|id| id.is_some() && id.as_deref() == theirs);
    Ok(still_there.then(|| path.display().to_string()))
}

fn write_claim(place: &Path, home: &Path) -> Result<(), PrivateServerError> {
    let here = fs::metadata(home).map_err(in_file("look at", home))?;
    let path = place.join("home");
    let claim = format!("{}\n{}\n{}\n", home.display(), here.dev(), here.ino());
    fs::write(&path, claim).map_err(in_file("write", &path))
}

/// Databases of earlier data directories at this path: they are kept and logged, but their servers are stopped.
fn end_orphans(home: &Path) {
    for entry in fs::read_dir(ELSEWHERE).into_iter().flatten().flatten() {
        let place = entry.path();
        let claim = read(&place.join("home")).ok().flatten();
        let was_ours = claim.as_deref().and_then(|claim| claim.lines().next()) == home.to_str();
        let cluster = place.join("cluster");
        if !(was_ours || place == legacy_place(home)) || !cluster.exists() {
            continue;
        }
        tracing::warn!(
            place = %place.display(),
            "the database of an earlier data directory at this path is still here: delete it if it is no longer needed"
        );
        if let Ok(Some(found)) = postmaster::running(&cluster)
            && found.process.signal(Signal::INT).is_ok()
        {
            found.process.ends_within(ORPHAN_ENDS_WITHIN);
        }
    }
}

/// Where versions without ids put the cluster of this home directory.
fn legacy_place(home: &Path) -> PathBuf {
    let hash = Sha256::digest(home.as_os_str().as_encoded_bytes());
    let name: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Path::new(ELSEWHERE).join(format!("kartshoppe-{name}"))
}

/// Creates a place that the server's user can enter.
fn open(place: &Path) -> Result<(), PrivateServerError> {
    let make = || {
        fs::create_dir_all(place)?;
        fs::set_permissions(place, fs::Permissions::from_mode(0o711))
    };
    make().map_err(in_file("make", place))
}

/// Writes the id among the cluster's files, owned like them.
pub(super) fn write_id(cluster: &Path, id: &str) -> Result<(), PrivateServerError> {
    let path = cluster.join(ID_IN_CLUSTER);
    if read(&path)?.as_deref() == Some(id) {
        return Ok(());
    }
    let write = || {
        write_secret(&path, id)?;
        let owner = fs::metadata(cluster)?;
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid()))
    };
    write().map_err(in_file("write", &path))
}

fn read(path: &Path) -> Result<Option<String>, PrivateServerError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(in_file("read", path)(error)),
    }
}

fn is_there(directory: &Path) -> Result<bool, PrivateServerError> {
    fs::exists(directory).map_err(in_file("look at", directory))
}

fn remove(path: &Path) -> Result<(), PrivateServerError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(in_file("delete", path)(error)),
        _ => Ok(()),
    }
}
