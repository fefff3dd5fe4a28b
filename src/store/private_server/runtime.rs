//! The folder of the server's socket: short, as a socket's path ends at 107 bytes, and accessible to its owner alone.
//!
//! A user who could put a socket there would be sent a password, so the folder is trusted only if it is a directory, not a link,
//! belongs to the server's user, and lies where no other user can move it. The file `credentials` names it: programs started with
//! another environment must find it. A copy of a data directory gets its own folder, a moved one keeps it.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};
use sha2::{Digest, Sha256};

use super::PrivateServerError;
use super::cluster::in_file;
use super::owner::Owner;
use super::postmaster::PidFile;
use super::process::OsProcess;

/// Capacity of `sun_path` on Linux, without the terminating NUL; other systems have 103.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// Used if there is no `XDG_RUNTIME_DIR` of our own.
const SHARED: &str = "/tmp";
/// Mode bits that let others write, and the one (sticky) that keeps them from moving files they do not own.
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// The folder for the server of this home directory.
pub(super) fn folder_for(home: &Path, id: &str, owner: Option<Owner>, port: u16) -> Result<PathBuf, PrivateServerError> {
    let here = fs::metadata(home).map_err(in_file("look at", home))?;
    let hash = Sha256::digest(format!("{id} {} {}", here.dev(), here.ino()));
    let digits: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("kartshoppe-{}-{digits}", server_user(owner).uid);
    // Root's PostgreSQL user cannot enter root's own runtime directory.
    let own = env::var_os("XDG_RUNTIME_DIR").filter(|_| owner.is_none()).map(PathBuf::from);
    let fits = |base: &PathBuf| socket_in(&base.join(&name), port).as_os_str().len() <= LONGEST;
    let base = own.filter(|base| is_plain(base.as_os_str()) && is_ours_alone(base)).filter(fits);
    Ok(base.unwrap_or_else(|| PathBuf::from(SHARED)).join(name))
}

/// The socket of a server with that port.
pub(super) fn socket_in(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

/// Creates the folder, or makes sure that the existing one belongs to the server's user alone.
pub(super) fn claim(folder: &Path, owner: Option<Owner>) -> Result<(), PrivateServerError> {
    let user = server_user(owner);
    let foreign = |what: String| PrivateServerError::ForeignFolder { path: folder.display().to_string(), what };
    let parent = folder.parent().unwrap_or(folder);
    let above = fs::metadata(parent).map_err(in_file("look at", parent))?;
    if above.mode() & OTHERS_WRITE != 0 && above.mode() & STICKY == 0 {
        return Err(foreign(format!("any user can replace it, as {} has no sticky bit", parent.display())));
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(in_file("make", folder)(error)),
        _ => {}
    }
    let found = fs::symlink_metadata(folder).map_err(in_file("look at", folder))?;
    if !found.is_dir() {
        return Err(foreign("it is not a directory".to_owned()));
    }
    if found.uid() != user.uid && found.uid() != geteuid().as_raw() {
        return Err(foreign(format!("it belongs to user {}, not {}", found.uid(), user.uid)));
    }
    if found.mode() & 0o7777 != 0o700 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(in_file("close", folder))?;
    }
    if found.uid() != user.uid {
        chown(folder, Some(user.uid), Some(user.gid)).map_err(in_file("hand over", folder))?;
    }
    Ok(())
}

/// Removes what an ended server left in the folder. A server that still runs there serves another data directory, as ours is not
/// running.
pub(super) fn clear(folder: &Path, port: u16) -> Result<(), PrivateServerError> {
    let socket = socket_in(folder, port);
    let lock = folder.join(format!(".s.PGSQL.{port}.lock"));
    let left = fs::read_to_string(&lock).ok().as_deref().and_then(PidFile::parse);
    if let Some(left) = left
        && OsProcess::find(left.pid).is_some_and(|process| process.is_postgres())
    {
        let (pid, path) = (left.pid.as_raw_nonzero().get(), folder.display().to_string());
        return Err(PrivateServerError::FolderInUse { path, pid, directory: left.directory });
    }
    for path in [&socket, &lock] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(in_file("remove", path)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Removes the folder of a stopped server, unless it holds other files.
pub(super) fn release(folder: &Path) {
    let _ = fs::remove_dir(folder);
}

fn server_user(owner: Option<Owner>) -> Owner {
    owner.unwrap_or_else(|| Owner { uid: geteuid().as_raw(), gid: getegid().as_raw() })
}

fn is_ours_alone(directory: &Path) -> bool {
    let ours = |found: fs::Metadata| found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & OTHERS_WRITE == 0;
    directory.is_absolute() && fs::metadata(directory).is_ok_and(ours)
}

/// Whether none of its characters has a special meaning in a URL or in PostgreSQL's settings.
fn is_plain(path: &OsStr) -> bool {
    path.as_encoded_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(folder: &Path) -> String {
        claim(folder, None).unwrap_err().to_string()
    }

    #[test]
    fn a_folder_is_made_for_its_owner_alone_and_closed_if_it_is_open() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("socket");
        for open in [0o700, 0o777, 0o2750] {
            claim(&folder, None).unwrap();
            assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700);
            fs::set_permissions(&folder, fs::Permissions::from_mode(open)).unwrap();
        }
        claim(&folder, None).unwrap();
        release(&folder);
        assert!(!folder.exists());
    }

    #[test]
    fn what_is_not_ours_is_refused_by_name() {
        let parent = tempfile::tempdir().unwrap();
        let (folder, other) = (parent.path().join("socket"), parent.path().join("other"));
        fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&other, &folder).unwrap();
        assert!(refusal(&folder).contains("not a directory") && refusal(&folder).contains(&folder.display().to_string()));
        fs::remove_file(&folder).unwrap();
        fs::write(&folder, "").unwrap();
        assert!(refusal(&folder).contains("not a directory"));
        fs::remove_file(&folder).unwrap();
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(refusal(&folder).contains("sticky bit"));
        assert!(!folder.exists());
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        claim(&folder, None).unwrap();
        if geteuid().is_root() {
            chown(&folder, Some(54_321), Some(54_321)).unwrap();
            assert!(refusal(&folder).contains("belongs to user 54321"));
        }
    }

    #[test]
    fn what_a_dead_server_left_goes_and_a_living_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join(".s.PGSQL.5432.lock");
        fs::write(&lock, format!("{}\n/elsewhere\n", std::process::id())).unwrap();
        fs::write(socket_in(folder.path(), 5432), "").unwrap();
        clear(folder.path(), 5432).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_socket_fits_wherever_the_data_directory_is() {
        let parent = tempfile::tempdir().unwrap();
        let deep = parent.path().join("d".repeat(100)).join("e".repeat(100));
        fs::create_dir_all(&deep).unwrap();
        let folder = folder_for(&deep, "id", Some(Owner { uid: u32::MAX, gid: 0 }), u16::MAX).unwrap();
        assert!(socket_in(&folder, u16::MAX).as_os_str().len() <= LONGEST, "{}", folder.display());
        assert_ne!(folder, folder_for(parent.path(), "id", None, 1).unwrap(), "a copy has a folder of its own");
    }
}
