//! The files of a private server: location, ownership and creation.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::PrivateServerError;
use super::binaries::Binaries;
use super::owner::Owner;
use super::place::{self, ClusterPlace};
use super::runtime;

/// A log larger than this at the server's start is rotated, and the one before it deleted. In bytes.
const LOG_MAX_BYTES: u64 = 10_000_000;
/// Environment passed to the server's programs; no other variable, as it may hold secrets or settings for another server.
const ENVIRONMENT: [&str; 4] = ["PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// Tuned for two cores and an idle shop; durability stays at PostgreSQL's defaults.
const SETTINGS: &str = "\
# Written by KartShoppe at every start.
cluster_name = 'kartshoppe'
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 120
# The WAL reader's slot and its successor's; a slot without a reader must not fill the disk.
wal_level = logical
max_wal_senders = 10
max_replication_slots = 10
max_slot_wal_keep_size = 4GB
password_encryption = scram-sha-256
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u '
log_checkpoints = off
jit = off
";

/// Passwords for every connection; no physical replication. Not `peer`: a container's user often has no name, and a server
/// started by root runs as another user than the shop.
const ACCESS: &str = "# Written by KartShoppe at every start.\nlocal all all scram-sha-256\n";
/// Only part of the socket's name, as the server listens on no port.
const PORT: u16 = 5432;

/// A cluster that is ready to start.
#[derive(Debug)]
pub(super) struct Cluster {
    pub home: PathBuf,
    /// The data directory of PostgreSQL.
    pub directory: PathBuf,
    pub binaries: Binaries,
    pub owner: Option<Owner>,
    pub credentials: Credentials,
    /// Whether the cluster's roles still have other passwords than these.
    pub passwords_lost: bool,
}

/// How to reach the server: its socket and its roles' passwords.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credentials {
    pub port: u16,
    /// The socket's folder. Versions that listened on a port wrote none; the next start does.
    #[serde(default)]
    pub socket: PathBuf,
    pub admin: String,
    pub database: String,
    pub cdc: String,
}

impl Cluster {
    /// Finds the programs, and creates the cluster if it is missing. Blocks: `initdb` takes a second.
    pub fn prepare(home: &Path, bin_dir: Option<&Path>) -> Result<Self, PrivateServerError> {
        let place = ClusterPlace::settle(home)?;
        let owner = Owner::to_switch_to(&place.directory);
        let made_by = major_of(&place.directory)?;
        let beside = place.directory.parent().unwrap_or(home).to_owned();
        let binaries = Binaries::find(bin_dir, made_by, &place.directory)?.reachable_by(owner, &beside)?;
        let known = Credentials::read(home)?;
        let passwords_lost = place.made && known.is_none();
        let socket_before = known.as_ref().map(|known| known.socket.clone());
        let mut credentials = known.unwrap_or_else(Credentials::new);
        credentials.socket = runtime::folder_for(home, &place.id, owner, credentials.port)?;
        if socket_before.is_some_and(|before| before != credentials.socket) {
            credentials.write(home)?;
        }
        let cluster =
            Self { home: home.to_owned(), directory: place.directory.clone(), binaries, owner, credentials, passwords_lost };
        if !place.made {
            cluster.credentials.write(home)?;
            cluster.make(&beside, &place.id)?;
            place.keep_id(home)?;
        }
        Ok(cluster)
    }

    /// Resets the roles' passwords after their file was lost. The server must not be running.
    pub fn set_passwords(&mut self) -> Result<(), PrivateServerError> {
        tracing::warn!(home = %self.home.display(),
            "the file with the private database's passwords is missing: its roles get new passwords");
        let roles = [
            ("postgres", &self.credentials.admin),
            ("kartshoppe", &self.credentials.database),
            ("kartshoppe_cdc", &self.credentials.cdc),
        ];
        // One statement per line; for a role that does not exist yet the error is ignored.
        let statements: String =
            roles.iter().map(|(role, password)| format!("ALTER ROLE {role} PASSWORD '{password}'\n")).collect();
        let at = || in_file("run postgres in", &self.binaries.directory);
        let mut command = self.command("postgres");
        command.arg("--single").arg("-D").arg(&self.directory).arg("postgres");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(at())?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(statements.as_bytes()).map_err(at())?;
        }
        let output = child.wait_with_output().map_err(at())?;
        if !output.status.success() {
            return Err(PrivateServerError::Program { program: "postgres --single", output: last_words(&output.stderr) });
        }
        self.credentials.write(&self.home)?;
        self.passwords_lost = false;
        Ok(())
    }

    /// The server's log file.
    pub fn log_file(&self) -> PathBuf {
        self.home.join("server.log")
    }

    /// Writes this version's settings and access rules.
    pub fn configure(&self) -> Result<(), PrivateServerError> {
        let (port, socket) = (self.credentials.port, self.credentials.socket.display());
        let settings = format!("{SETTINGS}port = {port}\nunix_socket_directories = '{socket}'\n");
        self.write_owned("postgresql.conf", &settings)?;
        self.write_owned("pg_hba.conf", ACCESS)
    }

    /// Makes sure that the socket's folder belongs to no other user.
    pub fn claim_socket(&self) -> Result<(), PrivateServerError> {
        runtime::claim(&self.credentials.socket, self.owner)
    }

    /// Where the server listens.
    pub fn socket(&self) -> PathBuf {
        runtime::socket_in(&self.credentials.socket, self.credentials.port)
    }

    /// A program of this PostgreSQL, run as the cluster's owner and detached from the terminal's Ctrl-C.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.directory.join(program));
        command.env_clear().env("LC_ALL", "C").current_dir(&self.directory).stdin(Stdio::null()).process_group(0);
        command.envs(ENVIRONMENT.iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))));
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }

    /// Opens the server's log, rotating a large one.
    pub fn open_log(&self) -> Result<fs::File, PrivateServerError> {
        let path = self.log_file();
        if fs::metadata(&path).is_ok_and(|meta| meta.len() > LOG_MAX_BYTES) {
            let _ = fs::rename(&path, path.with_extension("log.1"));
        }
        fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(in_file("open", &path))
    }

    /// Runs `initdb` beside the final directory and renames the result: a cluster is complete or absent.
    fn make(&self, place: &Path, id: &str) -> Result<(), PrivateServerError> {
        let draft = place.join("cluster.new");
        let password_file = place.join("password.new");
        tracing::info!(path = %self.directory.display(), version = self.binaries.major, "creating a private PostgreSQL");
        let _ = fs::remove_dir_all(&draft);
        fs::DirBuilder::new().mode(0o700).create(&draft).map_err(in_file("make", &draft))?;
        write_secret(&password_file, &self.credentials.admin).map_err(in_file("write", &password_file))?;
        for path in [&draft, &password_file] {
            self.give(path)?;
        }
        let output = self
            .command("initdb")
            .current_dir(&draft)
            .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums"])
            .args([pair("--pgdata", &draft), pair("--pwfile", &password_file)])
            .output();
        let _ = fs::remove_file(&password_file);
        let output = output.map_err(in_file("run initdb in", &self.binaries.directory))?;
        if !output.status.success() {
            return Err(PrivateServerError::Program { program: "initdb", output: last_words(&output.stderr) });
        }
        place::write_id(&draft, id)?;
        fs::rename(&draft, &self.directory).map_err(in_file("make", &self.directory))
    }

    fn write_owned(&self, name: &str, text: &str) -> Result<(), PrivateServerError> {
        let path = self.directory.join(name);
        let draft = self.directory.join(format!("{name}.new"));
        write_secret(&draft, text).map_err(in_file("write", &draft))?;
        self.give(&draft)?;
        fs::rename(&draft, &path).map_err(in_file("write", &path))
    }

    fn give(&self, path: &Path) -> Result<(), PrivateServerError> {
        let Some(owner) = self.owner else { return Ok(()) };
        chown(path, Some(owner.uid), Some(owner.gid)).map_err(in_file("hand over", path))
    }
}

impl Credentials {
    /// The credentials of the home directory; `None` if there are none yet.
    pub fn read(home: &Path) -> Result<Option<Self>, PrivateServerError> {
        let path = home.join("credentials");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from).map_err(in_file("read", &path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(in_file("read", &path)(error)),
        }
    }

    /// New random credentials, not written yet.
    fn new() -> Self {
        let password = || Uuid::new_v4().simple().to_string();
        Self { port: PORT, socket: PathBuf::new(), admin: password(), database: password(), cdc: password() }
    }

    fn write(&self, home: &Path) -> Result<(), PrivateServerError> {
        let (path, draft) = (home.join("credentials"), home.join("credentials.new"));
        let write = || {
            write_secret(&draft, &serde_json::to_string_pretty(self)?)?;
            fs::rename(&draft, &path)
        };
        write().map_err(in_file("write", &path))
    }
}

/// The major version that created the cluster; `None` if there is none. Only an absent directory counts as none: no other failure
/// to read the version may lead to a new cluster over an old one.
fn major_of(directory: &Path) -> Result<Option<u32>, PrivateServerError> {
    let path = directory.join("PG_VERSION");
    let damaged = |what: &str| PrivateServerError::Damaged { path: directory.display().to_string(), what: what.to_owned() };
    match fs::read_to_string(&path) {
        // `9.6` and older have two numbers; either way it is too old.
        Ok(text) => match text.trim().split('.').next().and_then(|major| major.parse().ok()) {
            Some(major) => Ok(Some(major)),
            None => Err(damaged("PG_VERSION holds no version")),
        },
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(in_file("read", &path)(error)),
        Err(_) if fs::exists(directory).map_err(in_file("look at", directory))? => Err(damaged("it has no PG_VERSION")),
        Err(_) => Ok(None),
    }
}

pub(super) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn pair(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push("=");
    argument.push(path);
    argument
}

/// The end of what a program said: enough to understand, short enough for a log line.
pub(super) fn last_words(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

pub(super) fn in_file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrivateServerError {
    let path = path.display().to_string();
    move |source| PrivateServerError::File { doing, path, source }
}
