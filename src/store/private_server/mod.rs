//! The shop's own PostgreSQL, used when none is configured: created, started, watched and stopped with the process.
//!
//! ```text
//!  DATA_DIR/postgres/lock          held by the process that owns the server
//!                    credentials   the socket's folder and random passwords (0600)
//!                    id            equal to the id in the cluster: proves that they belong together
//!                    location      where the files are, if the server's user cannot reach this directory
//!                    cluster/      the data directory of PostgreSQL
//!                    server.log    its log
//! ```
//! The server listens on a Unix socket only, in a folder that belongs to its user alone (docs/adr/0017), and requires passwords.
//! Role `kartshoppe` owns the database and is no superuser; role `kartshoppe_cdc` may replicate and read order items. Started by
//! root, the server runs as `postgres` or `nobody`, as PostgreSQL refuses to run as root. A server that a killed process left
//! behind is adopted: PostgreSQL allows one postmaster per directory, and so do we. A server that dies is restarted at the same
//! socket. Durability is PostgreSQL's own: `fsync` and `synchronous_commit` stay on.

mod binaries;
mod cluster;
mod error;
mod online;
mod owner;
mod place;
mod postmaster;
mod process;
mod restored;
mod runtime;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use binaries::Binaries;
use cluster::{Cluster, Credentials};
use owner::Owner;
use postmaster::Postmaster;

use crate::clock::Backoff;
use crate::data_dir::{PidLock, PidLockError};

pub use error::PrivateServerError;
pub use online::{CopyEnd, OnlineCopy, Piece};
pub use restored::{Restored, can_restore};

/// A crashed server is restarted after this wait, which doubles each time up to [`RESTART_WAIT_MAX`].
const RESTART_WAIT_MIN: Duration = Duration::from_millis(50);
const RESTART_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often the socket's presence is checked.
const SOCKET_LOOK: Duration = Duration::from_secs(1);

/// A running private server. [`PrivateServer::stop`] ends it, and so does dropping the value, as soon as its runtime gets to it.
/// Only a killed process leaves it running, to be adopted later.
#[derive(Debug)]
pub struct PrivateServer {
    urls: Urls,
    stop: CancellationToken,
    watch: Option<JoinHandle<Result<(), PrivateServerError>>>,
    _lock: PidLock,
}

/// Connection URLs of a private server. Each contains a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// The shop's own role, owner of the database `kartshoppe`.
    pub database: String,
    /// The WAL reader's role.
    pub cdc: String,
    /// The superuser, for maintenance and tests; the shop never uses it.
    pub admin: String,
}

/// Whether a private server exists and runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It was never created.
    Absent,
    Stopped,
    Running {
        pid: i32,
        /// The socket's folder.
        socket: PathBuf,
    },
}

impl PrivateServer {
    /// Creates the server if needed, starts or adopts it, and waits until it accepts connections. `bin_dir` is the configured
    /// directory of `initdb` and `postgres`, if any.
    ///
    /// # Errors
    /// [`PrivateServerError`]; no server is left running that was not running before.
    pub async fn start(data_dir: &Path, bin_dir: Option<&Path>) -> Result<Self, PrivateServerError> {
        let (data_dir, bin_dir) = (data_dir.to_owned(), bin_dir.map(Path::to_owned));
        let prepared = tokio::task::spawn_blocking(move || {
            let home = home_of(&data_dir)?;
            let lock = lock(&home)?;
            Ok((Cluster::prepare(&home, bin_dir.as_deref())?, lock))
        });
        let (mut cluster, lock) = prepared.await.map_err(PrivateServerError::Watch)??;
        if cluster.passwords_lost {
            cluster = with_new_passwords(cluster).await?;
        }
        let postmaster = Postmaster::adopt_or_start(&cluster).await?;
        let urls = urls_of(&cluster.credentials);
        if let Err(error) = set_up(&cluster, &urls).await {
            postmaster.stop().await?;
            return Err(error);
        }
        let stop = CancellationToken::new();
        let watch = Some(tokio::spawn(watch(cluster, postmaster, stop.clone())));
        Ok(Self { urls, stop, watch, _lock: lock })
    }

    /// Its connection URLs.
    #[must_use]
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// Stops the server: connections are closed, everything committed stays.
    ///
    /// # Errors
    /// [`PrivateServerError::NotStopped`] if it does not end in time; the next start adopts it.
    pub async fn stop(mut self) -> Result<(), PrivateServerError> {
        self.stop.cancel();
        match self.watch.take() {
            Some(watch) => watch.await.map_err(PrivateServerError::Watch)?,
            None => Ok(()),
        }
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Ends every private server of this process at once, for exits without an orderly shutdown. Nothing committed is lost; the next
/// start recovers. Waits for at most `time`, and logs nothing.
pub fn end_all(time: Duration) {
    process::end_all(time);
}

/// Connection URLs of a data directory's private server, running or not; `None` if it was never created.
///
/// # Errors
/// [`PrivateServerError::File`] if its files cannot be read; else if the cluster is not this directory's own, or the socket's
/// folder not the server user's: a client with the URL sends a password there.
pub fn urls(data_dir: &Path) -> Result<Option<Urls>, PrivateServerError> {
    let home = home_path(data_dir);
    place::check(&home)?;
    let Some(credentials) = Credentials::read(&home)? else { return Ok(None) };
    if credentials.socket.as_os_str().is_empty() {
        return Err(PrivateServerError::FormerVersion { path: home.display().to_string() });
    }
    // Also while the server is stopped: from now on no other user can create the folder.
    runtime::claim(&credentials.socket, Owner::to_switch_to(&place::directory(&home)?))?;
    Ok(Some(urls_of(&credentials)))
}

/// Whether the private server of a data directory exists and runs.
///
/// # Errors
/// [`PrivateServerError::File`] if its files cannot be read; else if the cluster is not this directory's own.
pub fn status(data_dir: &Path) -> Result<Status, PrivateServerError> {
    let home = home_path(data_dir);
    let cluster = place::directory(&home)?;
    if Credentials::read(&home)?.is_none() && !cluster.exists() {
        return Ok(Status::Absent);
    }
    place::check(&home)?;
    let running = postmaster::running(&cluster)?;
    Ok(running.map_or(Status::Stopped, |found| Status::Running { pid: found.process.number(), socket: found.file.socket }))
}

/// Deletes the private server of a data directory with all its data; one that runs without a process of ours is stopped first.
///
/// # Errors
/// [`PrivateServerError::InUse`] while a process holds it; else if it cannot be stopped or deleted.
pub async fn delete(data_dir: &Path) -> Result<(), PrivateServerError> {
    if !home_path(data_dir).exists() {
        return Ok(());
    }
    let home = home_of(data_dir)?;
    let _lock = lock(&home)?;
    // A copy's cluster may belong to another directory: that one stays and keeps running.
    if place::check(&home).is_ok()
        && let Some(found) = postmaster::running(&place::directory(&home)?)?
    {
        Postmaster::of(found.process).stop_for_good().await?;
    }
    if let Ok(Some(credentials)) = Credentials::read(&home) {
        runtime::release(&credentials.socket);
    }
    place::delete(&home)
}

/// Deletes the private server of a data directory as [`delete`] does, so that the next start creates a new one. Nothing is
/// deleted if the programs to create a new one are missing.
///
/// # Errors
/// Those of [`delete`], and of finding the programs.
pub async fn reset(data_dir: &Path, bin_dir: Option<&Path>) -> Result<(), PrivateServerError> {
    Binaries::find(bin_dir, None, &home_path(data_dir))?;
    delete(data_dir).await
}

/// A server that was left running knows only the old passwords, so it is stopped first.
async fn with_new_passwords(mut cluster: Cluster) -> Result<Cluster, PrivateServerError> {
    if let Some(found) = postmaster::running(&cluster.directory)? {
        Postmaster::of(found.process).stop().await?;
    }
    let set = tokio::task::spawn_blocking(move || {
        postmaster::remove_strangers_pid(&cluster.directory)?;
        cluster.set_passwords()?;
        Ok(cluster)
    });
    set.await.map_err(PrivateServerError::Watch)?
}

/// Restarts the server whenever it ends unexpectedly or loses its socket, until `stop`.
async fn watch(cluster: Cluster, mut postmaster: Postmaster, stop: CancellationToken) -> Result<(), PrivateServerError> {
    let mut backoff = Backoff::new(RESTART_WAIT_MIN, RESTART_WAIT_MAX);
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                postmaster.stop().await?;
                runtime::release(&cluster.credentials.socket);
                return Ok(());
            }
            () = postmaster.ended() => {
                if process::is_ending() {
                    return Ok(());
                }
                tracing::warn!("the private PostgreSQL ended unexpectedly: starting it again");
            }
            () = lost(cluster.socket()) => {
                tracing::warn!(socket = %cluster.socket().display(),
                    "the private PostgreSQL's socket was removed: starting it again");
                postmaster.stop().await?;
            }
        }
        postmaster = loop {
            let wait = match Postmaster::adopt_or_start_once(&cluster).await {
                Ok(started) => break started,
                Err(error) => {
                    let wait = backoff.next_wait();
                    tracing::error!(%error, retry_in = ?wait, "the private PostgreSQL cannot be started");
                    wait
                }
            };
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return Ok(());
            }
        };
        backoff.reset();
        tracing::info!("the private PostgreSQL is back");
    }
}

/// Waits until the socket is removed: PostgreSQL does not notice when a clean-up of temporary files deletes it.
async fn lost(socket: PathBuf) {
    while socket.exists() {
        tokio::time::sleep(SOCKET_LOOK).await;
    }
}

/// Checks that this is the right server, and creates missing roles and the database.
async fn set_up(cluster: &Cluster, urls: &Urls) -> Result<(), PrivateServerError> {
    let setup = PrivateServerError::Setup;
    let options: PgConnectOptions = urls.admin.parse().map_err(setup)?;
    let mut connection = options.disable_statement_logging().connect().await.map_err(setup)?;
    let directory: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await.map_err(setup)?;
    if fs::canonicalize(&directory).ok() != fs::canonicalize(&cluster.directory).ok() {
        let path = cluster.directory.display().to_string();
        return Err(PrivateServerError::ForeignListener { socket: cluster.socket().display().to_string(), path });
    }
    make_roles(&mut connection, &cluster.credentials).await.map_err(setup)?;
    connection.close().await.map_err(setup)
}

/// Each step is skipped if already done, so the next start completes one that died half-way.
async fn make_roles(connection: &mut PgConnection, credentials: &Credentials) -> Result<(), sqlx::Error> {
    let roles = [("kartshoppe", "LOGIN", &credentials.database), ("kartshoppe_cdc", "LOGIN REPLICATION", &credentials.cdc)];
    for (role, rights, password) in roles {
        let known: Option<i32> =
            sqlx::query_scalar("SELECT 1 FROM pg_roles WHERE rolname = $1").bind(role).fetch_optional(&mut *connection).await?;
        if known.is_none() {
            // Passwords are ours, hexadecimal digits only; CREATE ROLE takes no parameters.
            let make = format!("CREATE ROLE {role} {rights} PASSWORD '{password}'");
            connection.execute(sqlx::raw_sql(AssertSqlSafe(make))).await?;
        }
    }
    let known: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM pg_database WHERE datname = 'kartshoppe'").fetch_optional(&mut *connection).await?;
    if known.is_none() {
        connection.execute("CREATE DATABASE kartshoppe OWNER kartshoppe").await?;
    }
    Ok(())
}

fn urls_of(credentials: &Credentials) -> Urls {
    // Both client libraries, and psql, take a host that begins with an encoded slash for the socket's folder.
    let folder = credentials.socket.display().to_string().replace('/', "%2F");
    let port = credentials.port;
    let url = |role: &str, password: &str, database: &str| {
        format!("postgres://{role}:{password}@{folder}:{port}/{database}?sslmode=disable")
    };
    Urls {
        database: url("kartshoppe", &credentials.database, "kartshoppe"),
        cdc: url("kartshoppe_cdc", &credentials.cdc, "kartshoppe"),
        admin: url("postgres", &credentials.admin, "postgres"),
    }
}

/// The home directory as [`home_of`] returns it, if it exists.
fn home_path(data_dir: &Path) -> PathBuf {
    let home = data_dir.join("postgres");
    home.canonicalize().unwrap_or(home)
}

fn home_of(data_dir: &Path) -> Result<PathBuf, PrivateServerError> {
    let home = home_path(data_dir);
    let at = |source| PrivateServerError::File { doing: "make", path: home.display().to_string(), source };
    fs::create_dir_all(&home).map_err(at)?;
    home.canonicalize().map_err(at)
}

/// Locks the directory for as long as the value lives.
fn lock(home: &Path) -> Result<PidLock, PrivateServerError> {
    let path = home.join("lock");
    PidLock::take(&path).map_err(|error| match error {
        PidLockError::Held { pid } => PrivateServerError::InUse { path: home.display().to_string(), pid },
        PidLockError::Failed(source) => PrivateServerError::File { doing: "lock", path: path.display().to_string(), source },
    })
}
