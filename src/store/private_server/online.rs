//! Copies a running server: a PostgreSQL base backup, with its logical replication slots.
//!
//! ```text
//!  temporary copies of the slots ─► pg_backup_start ─► slots' files ─► data files ─► order tracker paused, cut of the log chosen
//!      ─► pg_backup_stop, tracker resumed ─► WAL up to that point
//! ```
//! Recovery from the copy ends where `pg_backup_stop` was, on the same timeline. The slots' files are older than the cut of the
//! log, so everything acknowledged to the copy's slot is in the copy's log; the temporary slots retain the WAL and the catalogue
//! rows that it needs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use uuid::Uuid;

use super::PrivateServerError;
use super::place::ID_IN_CLUSTER;

/// Directories whose contents belong to a running server. They must exist, but empty.
const EMPTY: [&str; 9] = [
    "pg_wal",
    "pg_wal/archive_status",
    "pg_replslot",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
];
/// Files of a running server, and the file that names the directory that the cluster belongs to.
const LEFT_OUT: [&str; 6] =
    ["postmaster.pid", "postmaster.opts", "backup_label", "backup_label.old", "tablespace_map", ID_IN_CLUSTER];
/// The control file says how far the WAL was replayed; copied last, as `pg_basebackup` does.
const CONTROL: &str = "global/pg_control";

const SLOTS: &str = "
SELECT slot_name::text FROM pg_replication_slots
WHERE slot_type = 'logical' AND NOT temporary AND database = current_database() AND restart_lsn IS NOT NULL
  AND confirmed_flush_lsn IS NOT NULL AND wal_status <> 'lost'";
const END: &str = "
SELECT labelfile, spcmapfile, pg_walfile_name(lsn),
       (SELECT pg_walfile_name(min(restart_lsn)) FROM pg_replication_slots WHERE active_pid = pg_backend_pid())
FROM pg_backup_stop(wait_for_archive => false)";
const HOLD: &str = "
DO $$ BEGIN
    IF to_regclass('order_tracker_positions') IS NOT NULL THEN LOCK TABLE order_tracker_positions IN SHARE MODE; END IF;
END $$";

/// A copy in progress. Dropping it leaves nothing behind in the server.
#[derive(Debug)]
pub struct OnlineCopy {
    connection: PgConnection,
    cluster: PathBuf,
    slots: Vec<String>,
}

/// The end of the copy.
#[derive(Debug)]
pub struct CopyEnd {
    /// Content of the copy's `backup_label`, without which it must not be started.
    pub label: String,
    /// Content of its `tablespace_map`; empty if everything is inside the cluster.
    pub tablespaces: String,
    first_segment: String,
    last_segment: String,
}

/// A part of the cluster, by its path inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Directory(PathBuf),
    File(PathBuf),
}

fn failed(error: sqlx::Error) -> PrivateServerError {
    PrivateServerError::Copy(error)
}

impl OnlineCopy {
    /// Begins a copy of the running server of a data directory.
    ///
    /// # Errors
    /// If it does not run or does not answer, or the cluster is not this directory's own.
    pub async fn begin(data_dir: &Path) -> Result<Self, PrivateServerError> {
        let home = super::home_path(data_dir);
        let urls = super::urls(data_dir)?.ok_or_else(|| PrivateServerError::Gone {
            home: home.display().to_string(),
            cluster: home.join("cluster").display().to_string(),
        })?;
        let cluster = super::place::directory(&home)?;
        let options: PgConnectOptions = urls.admin.parse().map_err(failed)?;
        let options = options.database("kartshoppe").application_name("kartshoppe-backup").disable_statement_logging();
        let mut connection = options.connect().await.map_err(failed)?;
        let name = format!("kartshoppe_backup_{}", &Uuid::new_v4().simple().to_string()[..12]);
        // Retains the WAL from now on, also if there is no replication slot.
        let keep = "SELECT pg_create_physical_replication_slot($1::name, true, true)";
        sqlx::query(keep).bind(&name).execute(&mut connection).await.map_err(failed)?;
        let slots: Vec<String> = sqlx::query_scalar(SLOTS).fetch_all(&mut connection).await.map_err(failed)?;
        for (number, slot) in slots.iter().enumerate() {
            let hold = "SELECT pg_copy_logical_replication_slot($1::name, $2::name, true)";
            let copy = format!("{name}_{number}");
            sqlx::query(hold).bind(slot).bind(copy).execute(&mut connection).await.map_err(failed)?;
        }
        // Its checkpoint writes the slots' files, which are then no older than the temporary slots that retain what they need.
        sqlx::query("SELECT pg_backup_start('kartshoppe', fast => true)").execute(&mut connection).await.map_err(failed)?;
        Ok(Self { connection, cluster, slots })
    }

    /// The cluster's directory.
    #[must_use]
    pub fn cluster(&self) -> &Path {
        &self.cluster
    }

    /// The slots' files: to be copied first, before the cut of the log is chosen.
    #[must_use]
    pub fn slot_pieces(&self) -> Vec<Piece> {
        let slot = |name: &String| {
            let directory = Path::new("pg_replslot").join(name);
            [Piece::Directory(directory.clone()), Piece::File(directory.join("state"))]
        };
        self.slots.iter().flat_map(slot).collect()
    }

    /// Everything else except the WAL, the control file last. Files may grow, shrink and disappear while they are copied: WAL
    /// replay repairs that.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn data_pieces(&self) -> io::Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        self.walk(Path::new(""), &mut pieces)?;
        pieces.extend(EMPTY.iter().map(|path| Piece::Directory(PathBuf::from(path))));
        pieces.push(Piece::File(PathBuf::from(CONTROL)));
        Ok(pieces)
    }

    fn walk(&self, directory: &Path, pieces: &mut Vec<Piece>) -> io::Result<()> {
        for entry in fs::read_dir(self.cluster.join(directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_temporary = name.starts_with("pgsql_tmp") || name.ends_with(".new") || name.starts_with("pg_internal.init");
            let is_left_out = LEFT_OUT.iter().any(|left| path == Path::new(left)) || path == Path::new(CONTROL);
            if is_temporary || is_left_out || EMPTY.iter().any(|empty| path == Path::new(empty)) {
                continue;
            }
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                pieces.push(Piece::Directory(path.clone()));
                self.walk(&path, pieces)?;
            } else if kind.is_file() {
                pieces.push(Piece::File(path));
            }
        }
        Ok(())
    }

    /// From here to [`Self::end`] no order outcome is recorded, so that the log can be cut at a point where it contains
    /// everything that the database knows of it.
    ///
    /// # Errors
    /// [`PrivateServerError::Copy`], also if another client's transaction holds the table for long.
    pub async fn hold_outcomes(&mut self) -> Result<(), PrivateServerError> {
        for step in ["BEGIN", "SET LOCAL lock_timeout = '30s'", HOLD] {
            self.connection.execute(step).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Ends the copy here, and lets outcomes be recorded again.
    ///
    /// # Errors
    /// [`PrivateServerError::Copy`].
    pub async fn end(&mut self) -> Result<CopyEnd, PrivateServerError> {
        let ended: (String, String, String, String) =
            sqlx::query_as(END).fetch_one(&mut self.connection).await.map_err(failed)?;
        self.connection.execute("COMMIT").await.map_err(failed)?;
        let (label, tablespaces, last_segment, first_segment) = ended;
        Ok(CopyEnd { label, tablespaces, first_segment, last_segment })
    }

    /// The WAL that the copy needs, and none beyond its end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn wal_pieces(&self, end: &CopyEnd) -> io::Result<Vec<Piece>> {
        let mut names: Vec<String> = fs::read_dir(self.cluster.join("pg_wal"))?
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()?;
        let is_segment = |name: &str| name.len() == 24 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_needed = |name: &String| {
            name.ends_with(".history")
                || is_segment(name) && (end.first_segment.as_str()..=end.last_segment.as_str()).contains(&name.as_str())
        };
        names.retain(is_needed);
        if !names.contains(&end.last_segment) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("the WAL segment {} is gone", end.last_segment)));
        }
        names.sort();
        Ok(names.into_iter().map(|name| Piece::File(Path::new("pg_wal").join(name))).collect())
    }

    /// Releases the WAL.
    pub async fn close(self) {
        // The temporary slots end with the session, however it ends.
        let _ = self.connection.close().await;
    }
}
