//! A PostgreSQL of our own, where none is configured: made, started, watched and stopped with the process.
//!
//! ```text
//!  DATA_DIR/postgres/lock          held by the process whose server it is
//!                    credentials   port and random passwords (0600)
//!                    id            the same in the cluster: what belongs together
//!                    location      where the files are, if the server's user cannot reach this directory
//!                    cluster/      the data directory of PostgreSQL
//!                    server.log    what it has to say
//! ```
//! The server listens on loopback only and asks for passwords. Role `kartshoppe` owns the database and is no superuser; role
//! `kartshoppe_cdc` may replicate and read order items. As root the server runs as `postgres` or `nobody`, as PostgreSQL refuses
//! to be root.
//! A server that a killed process left behind is adopted: PostgreSQL allows one postmaster per directory, and so do we. One that
//! dies is started again on the same port. Durability is PostgreSQL's own: `fsync` and `synchronous_commit` stay on.

mod binaries;
mod cluster;
mod owner;
mod place;
mod postmaster;
mod process;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use binaries::Binaries;
use cluster::{Cluster, Credentials};
use postmaster::Postmaster;

use crate::data_dir::{PidLock, PidLockError};

/// A crashed server is started again after this wait; doubled each time up to [`RESTART_WAIT_MAX`].
const RESTART_WAIT_MIN: Duration = Duration::from_millis(50);
const RESTART_WAIT_MAX: Duration = Duration::from_secs(5);

/// A running private server. [`PrivateServer::stop`] ends it, and so does the drop of the value, as soon as its runtime gets to it. Only a
/// process that is killed leaves it running, to be adopted.
#[derive(Debug)]
pub struct PrivateServer {
    urls: Urls,
    stop: CancellationToken,
    watch: Option<JoinHandle<Result<(), PrivateServerError>>>,
    _lock: PidLock,
}

/// How to reach a private server. Each holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// The shop's own role, owner of the database `kartshoppe`.
    pub database: String,
    /// The WAL reader's role.
    pub cdc: String,
    /// The superuser, for maintenance and tests; the shop never uses it.
    pub admin: String,
}

/// Where a private server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was never made.
    Absent,
    Stopped,
    Running {
        pid: i32,
        port: u16,
    },
}

/// Why there is no private server.
#[derive(Debug, thiserror::Error)]
pub enum PrivateServerError {
    /// Another process has the lock.
    #[error("the private PostgreSQL in {path} belongs to process {pid}, which is running")]
    InUse { path: String, pid: String },
    /// Nothing to start.
    #[error(
        "no PostgreSQL of version 15 or newer was found: install one, set KARTSHOPPE__POSTGRES__BIN_DIR to the directory of initdb \
         and postgres, or set DATABASE_URL; `make run` installs one for this directory"
    )]
    NoBinaries,
    /// The configured directory is not what it should be.
    #[error("KARTSHOPPE__POSTGRES__BIN_DIR is {path}, but {reason}")]
    BadBinaries { path: String, reason: String },
    /// Programs may be there, but the system does not let us see or run them: out of files, out of memory, no right.
    #[error(
        "no fitting PostgreSQL was found, but not everything could be looked at ({reasons}): mend that, or set \
         KARTSHOPPE__POSTGRES__BIN_DIR to the directory of initdb and postgres"
    )]
    Unreadable { reasons: String },
    /// The files are another version's.
    #[error(
        "the private database in {path} was made by PostgreSQL {made_by}, which is not here (found: {found}): install it, or start anew \
         with `kartshoppe db reset`"
    )]
    OtherVersion { path: String, made_by: u32, found: String },
    /// It cannot be told which version's they are.
    #[error(
        "the private database in {path} is damaged: {what}; put it back from a backup, or start anew with `kartshoppe db reset`"
    )]
    Damaged { path: String, what: String },
    /// Somebody put another cluster there.
    #[error(
        "the database in {cluster} is not that of {home}: their ids differ. Put back the one that belongs there, or start anew with \
         `kartshoppe topics delete --all` and `kartshoppe db reset`"
    )]
    Foreign { home: String, cluster: String },
    /// It was made once.
    #[error(
        "the database of {home} is gone: it was in {cluster}. Put it back, from a backup if need be, or start anew with \
         `kartshoppe topics delete --all` and `kartshoppe db reset`"
    )]
    Gone { home: String, cluster: String },
    /// A copy of a data directory whose cluster lies outside it.
    #[error(
        "{home} is a copy without a database of its own: the one in {place} belongs to {owner}. Use that directory, or give the copy an \
         empty shop with `kartshoppe topics delete --all` and `kartshoppe db reset`; the original's stays as it is"
    )]
    Copied { home: String, place: String, owner: String },
    /// The files of a running server were copied: parts of them from before a change, parts from after it.
    #[error(
        "{cluster} was copied while its PostgreSQL ran (process {pid} in {original}): such a copy is not whole. Stop that shop and copy \
         again, or give the copy an empty shop with `kartshoppe topics delete --all` and `kartshoppe db reset`"
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
    /// A program of PostgreSQL failed; its own words, shortened.
    #[error("{program} failed: {output}")]
    Program { program: &'static str, output: String },
    /// It neither came up nor gave up.
    #[error("the private PostgreSQL did not get ready within {waited:?}; see {log}")]
    NotReady { waited: Duration, log: String },
    /// It does not go away.
    #[error("the private PostgreSQL (process {pid}) did not stop within {waited:?}")]
    NotStopped { pid: i32, waited: Duration },
    /// It is up, but not usable.
    #[error("cannot set up the private PostgreSQL")]
    Setup(#[source] sqlx::Error),
    /// The process answers on our port, but has other files.
    #[error("the server on port {port} is not the private PostgreSQL of {path}")]
    Stranger { port: u16, path: String },
    /// A task of ours died.
    #[error("the watch over the private PostgreSQL failed")]
    Watch(#[source] tokio::task::JoinError),
}

impl PrivateServer {
    /// Makes the server if need be, starts or adopts it, and waits until it takes connections. `bin_dir` is the configured
    /// directory of `initdb` and `postgres`, if there is one.
    ///
    /// # Errors
    /// [`PrivateServerError`]; nothing is running then that was not before.
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
        let postmaster = Postmaster::adopt_or_start(&mut cluster).await?;
        let urls = urls_of(&cluster.credentials);
        if let Err(error) = set_up(&cluster, &urls).await {
            postmaster.stop().await?;
            return Err(error);
        }
        let stop = CancellationToken::new();
        let watch = Some(tokio::spawn(watch(cluster, postmaster, stop.clone())));
        Ok(Self { urls, stop, watch, _lock: lock })
    }

    /// How to reach it.
    #[must_use]
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// Stops the server: connections are ended, everything committed stays.
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

/// Ends every private server of this process at once, for a way out on which nothing is stopped in order. Nothing committed is lost; the
/// next start recovers. Waits for at most `time`, and says nothing.
pub fn end_all(time: Duration) {
    process::end_all(time);
}

/// How to reach the private server of a data directory, running or not; `None` if it was never made.
///
/// # Errors
/// [`PrivateServerError::File`] if its files cannot be read; else if what is there is not this directory's own.
pub fn urls(data_dir: &Path) -> Result<Option<Urls>, PrivateServerError> {
    place::check(&home_path(data_dir))?;
    Ok(Credentials::read(&home_path(data_dir))?.as_ref().map(urls_of))
}

/// Where the private server of a data directory stands.
///
/// # Errors
/// [`PrivateServerError::File`] if its files cannot be read; else if what is there is not this directory's own.
pub fn status(data_dir: &Path) -> Result<Status, PrivateServerError> {
    let home = home_path(data_dir);
    let cluster = place::directory(&home)?;
    if Credentials::read(&home)?.is_none() && !cluster.exists() {
        return Ok(Status::Absent);
    }
    place::check(&home)?;
    let running = postmaster::running(&cluster)?;
    Ok(running.map_or(Status::Stopped, |found| Status::Running { pid: found.process.number(), port: found.file.port }))
}

/// Deletes the private server of a data directory with everything in it; one that runs without a process of ours is stopped.
///
/// # Errors
/// [`PrivateServerError::InUse`] while a process has it; else if it cannot be stopped or deleted.
pub async fn delete(data_dir: &Path) -> Result<(), PrivateServerError> {
    if !home_path(data_dir).exists() {
        return Ok(());
    }
    let home = home_of(data_dir)?;
    let _lock = lock(&home)?;
    // A copy's database may be another directory's: that one stays, and runs on.
    if place::check(&home).is_ok()
        && let Some(found) = postmaster::running(&place::directory(&home)?)?
    {
        Postmaster::of(found.process).stop_for_good().await?;
    }
    place::delete(&home)
}

/// Deletes the private server of a data directory as [`delete`] does, so that the next start makes a new one. Nothing is deleted where
/// the programs for a new one are missing.
///
/// # Errors
/// Those of [`delete`], and of finding the programs.
pub async fn reset(data_dir: &Path, bin_dir: Option<&Path>) -> Result<(), PrivateServerError> {
    Binaries::find(bin_dir, None, &home_path(data_dir))?;
    delete(data_dir).await
}

/// A server that was left running knows the old passwords only, so it ends first.
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

/// Starts the server again whenever it ends by itself, until it is to stop.
async fn watch(mut cluster: Cluster, mut postmaster: Postmaster, stop: CancellationToken) -> Result<(), PrivateServerError> {
    let mut wait = RESTART_WAIT_MIN;
    loop {
        tokio::select! {
            () = stop.cancelled() => return postmaster.stop().await,
            () = postmaster.ended() => tracing::warn!("the private PostgreSQL ended by itself: starting it again"),
        }
        postmaster = loop {
            match Postmaster::adopt_or_start_once(&mut cluster).await {
                Ok(started) => break started,
                Err(error) => tracing::error!(%error, retry_in = ?wait, "the private PostgreSQL does not start"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return Ok(());
            }
            wait = (wait * 2).min(RESTART_WAIT_MAX);
        };
        wait = RESTART_WAIT_MIN;
        tracing::info!("the private PostgreSQL is back");
    }
}

/// Checks that we talk to the right server, and makes roles and database where they are missing.
async fn set_up(cluster: &Cluster, urls: &Urls) -> Result<(), PrivateServerError> {
    let setup = PrivateServerError::Setup;
    let options: PgConnectOptions = urls.admin.parse().map_err(setup)?;
    let mut connection = options.disable_statement_logging().connect().await.map_err(setup)?;
    let directory: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await.map_err(setup)?;
    if fs::canonicalize(&directory).ok() != fs::canonicalize(&cluster.directory).ok() {
        let path = cluster.directory.display().to_string();
        return Err(PrivateServerError::Stranger { port: cluster.credentials.port, path });
    }
    make_roles(&mut connection, &cluster.credentials).await.map_err(setup)?;
    connection.close().await.map_err(setup)
}

/// Each step is skipped if it is done, so a start that died half-way is finished by the next.
async fn make_roles(connection: &mut PgConnection, credentials: &Credentials) -> Result<(), sqlx::Error> {
    let roles = [("kartshoppe", "LOGIN", &credentials.database), ("kartshoppe_cdc", "LOGIN REPLICATION", &credentials.cdc)];
    for (role, rights, password) in roles {
        let known: Option<i32> =
            sqlx::query_scalar("SELECT 1 FROM pg_roles WHERE rolname = $1").bind(role).fetch_optional(&mut *connection).await?;
        if known.is_none() {
            // Passwords are ours, hexadecimal digits only; roles take no parameters.
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
    let port = credentials.port;
    let url = |role: &str, password: &str, database: &str| {
        format!("postgres://{role}:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
    };
    Urls {
        database: url("kartshoppe", &credentials.database, "kartshoppe"),
        cdc: url("kartshoppe_cdc", &credentials.cdc, "kartshoppe"),
        admin: url("postgres", &credentials.admin, "postgres"),
    }
}

/// As [`home_of`] has it, if it is there.
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
