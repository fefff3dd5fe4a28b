//! Taking a backup.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::archive::{ArchiveWriter, DatabasePart, LogPart, Manifest};
use super::{CLUSTER, CREDENTIALS, INSTANCE, LOG};
use crate::app::{StopSignals, bin_dir, event_log_folder};
use crate::clock::Clock;
use crate::config::{Config, LogKind};
use crate::data_dir::{self, DataDir};
use crate::log::embedded::{EmbeddedLog, LogSnapshot};
use crate::store::private_server::{OnlineCopy, Piece, PrivateServer, PrivateServerError};

const COPYING: &str = "copying the private PostgreSQL";
/// Time limit of each step of PostgreSQL; the longest one is a checkpoint of all its memory.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes everything in this data directory to one file, while the shop runs or is stopped.
///
/// # Errors
/// If something cannot be read or written, or is incomplete; then there is no file.
pub async fn back_up(config: &Config, target: &Path, stop: &StopSignals) -> anyhow::Result<Manifest> {
    ensure!(!target.try_exists()?, "{} exists already: choose another name", target.display());
    let is_private = config.postgres.database_url.is_empty();
    let has_log = config.log.kind == LogKind::Embedded;
    if has_log && !EmbeddedLog::is_in(&event_log_folder(&config.data_dir)) {
        bail!("there is no event log in {}: no shop has run here", config.data_dir.display());
    }
    if data_dir::is_locked(&config.data_dir) {
        ensure!(
            is_private || !has_log,
            "the shop is running, and its database (DATABASE_URL) has to be copied with other tools: stop the shop, then copy \
             both"
        );
        return write(config, target, stop).await;
    }
    ensure!(config.data_dir.join("lock").exists(), "no shop has run in {}", config.data_dir.display());
    let _directory = DataDir::open(&config.data_dir, &config.instance)?;
    if !is_private {
        return write(config, target, stop).await;
    }
    let started = stop.unless_requested(async { Ok(PrivateServer::start(&config.data_dir, bin_dir(config)).await?) });
    let server = started.await.context("starting the private PostgreSQL")?.context("interrupted by a signal")?;
    let written = write(config, target, stop).await;
    server.stop().await.context("stopping the private PostgreSQL")?;
    written
}

async fn write(config: &Config, target: &Path, stop: &StopSignals) -> anyhow::Result<Manifest> {
    let go_on = || !stop.is_requested();
    let mut archive = ArchiveWriter::create(target, &go_on)?;
    let database = if config.postgres.database_url.is_empty() {
        Some(answered(stop, OnlineCopy::begin(&config.data_dir)).await?)
    } else {
        None
    };
    let (log, database) = match database {
        Some(copy) => {
            let (log, database) = write_database(config, &mut archive, copy, stop).await?;
            (log, Some(database))
        }
        None => (snapshot(config)?, None),
    };
    let log = match log {
        Some(log) => Some(tokio::task::block_in_place(|| write_log(&mut archive, &log, &go_on))?),
        None => None,
    };
    archive.file(INSTANCE, &config.data_dir.join("instance"))?;
    tokio::task::block_in_place(|| archive.finish(log, database, Clock::system().now_ms()))
}

/// Writes the database, and takes the log's snapshot at the end of the database's copy.
async fn write_database(
    config: &Config,
    archive: &mut ArchiveWriter<'_>,
    mut copy: OnlineCopy,
    stop: &StopSignals,
) -> anyhow::Result<(Option<LogSnapshot>, DatabasePart)> {
    let cluster = copy.cluster().to_owned();
    let mut add = |pieces: Vec<Piece>, must_be_there: bool| {
        tokio::task::block_in_place(|| pieces.iter().try_for_each(|piece| write_piece(archive, &cluster, piece, must_be_there)))
    };
    add(vec![Piece::Directory("pg_replslot".into())], true)?;
    add(copy.slot_pieces(), true)?;
    add(copy.data_pieces().context(COPYING)?, false)?;
    answered(stop, copy.hold_outcomes()).await?;
    let log = snapshot(config)?;
    let end = answered(stop, copy.end()).await?;
    add(copy.wal_pieces(&end).context(COPYING)?, true)?;
    // An error here does not matter: the copy is complete.
    let _ = tokio::time::timeout(PATIENCE, copy.close()).await;
    archive.bytes(&format!("{CLUSTER}/backup_label"), end.label.as_bytes())?;
    if !end.tablespaces.is_empty() {
        bail!("the private PostgreSQL has tablespaces outside its directory, which a backup does not copy");
    }
    let credentials = config.data_dir.join(CREDENTIALS);
    ensure!(archive.file(CREDENTIALS, &credentials)?, "{} is missing: start the shop once", credentials.display());
    let version = fs::read_to_string(cluster.join("PG_VERSION")).context(COPYING)?;
    let postgres_major = version.trim().parse().context("PG_VERSION holds no version")?;
    Ok((log, DatabasePart { postgres_major, architecture: super::ARCHITECTURE.to_owned() }))
}

/// PostgreSQL's answer, unless it takes too long or a signal arrives.
async fn answered<T>(stop: &StopSignals, asked: impl Future<Output = Result<T, PrivateServerError>>) -> anyhow::Result<T> {
    let answer = stop.unless_requested(async { Ok(tokio::time::timeout(PATIENCE, asked).await) }).await?;
    let answer = answer.context("interrupted by a signal")?;
    let answer = answer.map_err(|_| anyhow::anyhow!("PostgreSQL did not answer within {PATIENCE:?}")).context(COPYING)?;
    answer.context(COPYING)
}

fn write_piece(archive: &mut ArchiveWriter<'_>, cluster: &Path, piece: &Piece, must_be_there: bool) -> anyhow::Result<()> {
    let name = |path: &Path| path.to_str().map(|path| format!("{CLUSTER}/{path}")).context("a file's name is not UTF-8");
    match piece {
        Piece::Directory(path) => archive.directory(&name(path)?),
        Piece::File(path) => {
            let is_there = archive.file(&name(path)?, &cluster.join(path))?;
            ensure!(is_there || !must_be_there, "{} has disappeared", cluster.join(path).display());
            Ok(())
        }
    }
}

fn snapshot(config: &Config) -> anyhow::Result<Option<LogSnapshot>> {
    if config.log.kind == LogKind::Kafka {
        return Ok(None);
    }
    let folder = event_log_folder(&config.data_dir);
    tokio::task::block_in_place(|| LogSnapshot::take(&folder)).context("copying the event log").map(Some)
}

fn write_log(archive: &mut ArchiveWriter<'_>, log: &LogSnapshot, go_on: &dyn Fn() -> bool) -> anyhow::Result<LogPart> {
    let aside = archive.aside();
    log.copy_to(&aside, go_on).context("copying the event log")?;
    archive.file(LOG, &aside)?;
    fs::remove_file(&aside)?;
    Ok(LogPart { partitions: log.partitions()? })
}
