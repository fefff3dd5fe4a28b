//! Errors of the private server.

use std::io;
use std::time::Duration;

/// Why the private server is not available.
#[derive(Debug, thiserror::Error)]
pub enum PrivateServerError {
    /// Another process has the lock.
    #[error("the private PostgreSQL in {path} belongs to process {pid}, which is running")]
    InUse { path: String, pid: String },
    /// No suitable PostgreSQL is installed.
    #[error(
        "no PostgreSQL of version 15 or newer was found: install one, set KARTSHOPPE__POSTGRES__BIN_DIR to the directory of \
         initdb and postgres, or set DATABASE_URL; `make run` installs one for this directory"
    )]
    NoBinaries,
    /// The configured directory is unusable.
    #[error("KARTSHOPPE__POSTGRES__BIN_DIR is {path}, but {reason}")]
    BadBinaries { path: String, reason: String },
    /// Programs may exist, but the system does not let us see or run them: out of file descriptors or memory, or no permission.
    #[error(
        "no suitable PostgreSQL was found, but some places could not be searched ({reasons}): correct that, or set \
         KARTSHOPPE__POSTGRES__BIN_DIR to the directory of initdb and postgres"
    )]
    Unreadable { reasons: String },
    /// The cluster was created by another major version.
    #[error(
        "the private database in {path} was created by PostgreSQL {made_by}, which is not installed (found: {found}): install \
         it, or start over with `kartshoppe db reset`"
    )]
    OtherVersion { path: String, made_by: u32, found: String },
    /// The cluster's version cannot be determined.
    #[error(
        "the private database in {path} is damaged: {what}; restore it from a backup, or start over with `kartshoppe db reset`"
    )]
    Damaged { path: String, what: String },
    /// The directory holds another cluster.
    #[error(
        "the database in {cluster} does not belong to {home}: their ids differ. Put back the one that belongs there, or start \
         over with `kartshoppe topics delete --all` and `kartshoppe db reset`"
    )]
    Foreign { home: String, cluster: String },
    /// The cluster existed and is now missing.
    #[error(
        "the database of {home} is missing: it was in {cluster}. Put it back, from a backup if necessary, or start over with \
         `kartshoppe topics delete --all` and `kartshoppe db reset`"
    )]
    Gone { home: String, cluster: String },
    /// A copy of a data directory whose cluster lies outside it.
    #[error(
        "{home} is a copy without a database of its own: the one in {place} belongs to {owner}. Use that directory, or give the \
         copy an empty shop with `kartshoppe topics delete --all` and `kartshoppe db reset`; the original's stays as it is"
    )]
    Copied { home: String, place: String, owner: String },
    /// The files of a running server were copied: some before a change, some after it.
    #[error(
        "{cluster} was copied while its PostgreSQL was running (process {pid} in {original}), so the copy is incomplete. Stop \
         that shop and copy again, or give the copy an empty shop with `kartshoppe topics delete --all` and `kartshoppe db reset`"
    )]
    CopiedRunning { cluster: String, pid: i32, original: String },
    /// A file or directory cannot be used.
    #[error("cannot {doing} {path}")]
    File {
        doing: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    /// A PostgreSQL program failed; its output, shortened.
    #[error("{program} failed: {output}")]
    Program { program: &'static str, output: String },
    /// The server neither became ready nor exited.
    #[error("the private PostgreSQL was not ready within {waited:?}; see {log}")]
    NotReady { waited: Duration, log: String },
    /// The server does not stop.
    #[error("the private PostgreSQL (process {pid}) did not stop within {waited:?}")]
    NotStopped { pid: i32, waited: Duration },
    /// The server runs but cannot be set up.
    #[error("cannot set up the private PostgreSQL")]
    Setup(#[source] sqlx::Error),
    /// The server at our socket serves another data directory.
    #[error("the server at {socket} is not the private PostgreSQL of {path}")]
    ForeignListener { socket: String, path: String },
    /// Another user may control the path of our socket.
    #[error(
        "the folder of the private PostgreSQL's socket, {path}, cannot be trusted: {what}. Remove it, or set XDG_RUNTIME_DIR to \
         a directory of yours"
    )]
    ForeignFolder { path: String, what: String },
    /// Another server uses our socket.
    #[error("another PostgreSQL (process {pid} on {directory}) uses the socket in {path}: stop it")]
    FolderInUse { path: String, pid: i32, directory: String },
    /// The cluster was last started by a version that listened on a port.
    #[error("the private PostgreSQL of {path} was last started by an earlier version: start the shop once with this one")]
    FormerVersion { path: String },
    /// The cluster cannot be copied.
    #[error("the private PostgreSQL cannot be copied")]
    Copy(#[source] sqlx::Error),
    /// The task that watches the server panicked.
    #[error("the task that supervises the private PostgreSQL failed")]
    Watch(#[source] tokio::task::JoinError),
}
