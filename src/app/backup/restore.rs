//! Restoring a backup.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::archive::{self, Manifest};
use super::{ARCHITECTURE, CLUSTER, CREDENTIALS, INSTANCE, LOG};
use crate::actors::order_tracker::opening::foreign_log;
use crate::app::{StopSignals, bin_dir, event_log_folder, store_options};
use crate::config::{Config, LogKind};
use crate::data_dir::{PidLock, WORKSHOP_FILE, own_folder};
use crate::log::embedded::EmbeddedLog;
use crate::store::Store;
use crate::store::private_server::{self, PrivateServer, Restored};

/// What may be in a data directory without a shop: the file system's own folder, if the directory is a mount point, and what a learner wrote
/// before the first start.
const NOT_OF_A_SHOP: [&str; 2] = ["lost+found", WORKSHOP_FILE];

/// Fills an empty data directory from a backup, and starts its PostgreSQL once to verify that log and database belong together.
///
/// # Errors
/// If the directory is not empty, or the backup is damaged, does not fit, or cannot be written: then the directory is unchanged.
pub async fn restore(config: &Config, file: &Path, stop: &StopSignals) -> anyhow::Result<Manifest> {
    let data_dir = &config.data_dir;
    refuse_what_is_there(data_dir)?;
    let go_on = || !stop.is_requested();
    let manifest = tokio::task::block_in_place(|| archive::verify(file, &go_on))?;
    refuse_what_does_not_fit(config, &manifest)?;
    let was_there = data_dir.try_exists()?;
    own_folder(data_dir).with_context(|| format!("cannot use {}", data_dir.display()))?;
    let lock = PidLock::take(&data_dir.join("lock")).with_context(|| format!("cannot use {}", data_dir.display()))?;
    let result = match tokio::task::block_in_place(|| put_back(config, file, &manifest, &go_on)) {
        Ok(()) => {
            stop.unless_requested(prove(config, &manifest)).await.and_then(|proved| proved.context("interrupted by a signal"))
        }
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        if let Err(left) = empty(data_dir, was_there).await {
            return Err(error.context(format!("{} holds a half restored shop, delete it ({left:#})", data_dir.display())));
        }
        return Err(error);
    }
    drop(lock);
    Ok(manifest)
}

fn refuse_what_is_there(data_dir: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(data_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", data_dir.display())),
    };
    for entry in entries {
        let name = entry?.file_name();
        if !NOT_OF_A_SHOP.iter().any(|fine| name == *fine) {
            bail!("{} is not empty: a backup is restored to an empty data directory (KARTSHOPPE__DATA_DIR)", data_dir.display());
        }
    }
    Ok(())
}

fn refuse_what_does_not_fit(config: &Config, manifest: &Manifest) -> anyhow::Result<()> {
    let is_embedded = config.log.kind == LogKind::Embedded;
    match &manifest.log {
        Some(_) if !is_embedded => bail!("the backup holds an embedded event log, but KARTSHOPPE__LOG__KIND is kafka"),
        None if is_embedded => bail!("the backup belongs to a shop whose event log is on Kafka: set KARTSHOPPE__LOG__KIND=kafka"),
        Some(log) if log.partitions != config.inventory.partitions => bail!(
            "the backup's event log has {0} partitions and {1} are configured: set KARTSHOPPE__INVENTORY__PARTITIONS={0}",
            log.partitions,
            config.inventory.partitions
        ),
        _ => {}
    }
    let is_private = config.postgres.database_url.is_empty();
    match &manifest.database {
        Some(_) if !is_private => bail!("the backup holds a private PostgreSQL, but DATABASE_URL is set: unset it"),
        None if is_private => {
            bail!("the backup belongs to a shop with its own database server: restore that database, and set DATABASE_URL")
        }
        Some(database) => {
            ensure!(
                database.architecture == ARCHITECTURE,
                "the backup's PostgreSQL is for {}, but this machine is {ARCHITECTURE}",
                database.architecture
            );
            private_server::can_restore(&config.data_dir, bin_dir(config), database.postgres_major)?;
        }
        None => {}
    }
    Ok(())
}

fn put_back(config: &Config, file: &Path, manifest: &Manifest, go_on: &dyn Fn() -> bool) -> anyhow::Result<()> {
    let data_dir = &config.data_dir;
    let cluster = match &manifest.database {
        Some(_) => Some(Restored::begin(data_dir)?),
        None => None,
    };
    let draft = data_dir.join("credentials.restored");
    let place = |name: &str| -> Option<PathBuf> {
        if name == LOG || name == INSTANCE {
            return Some(data_dir.join(name));
        }
        let cluster = cluster.as_ref()?;
        if name == CREDENTIALS {
            return Some(draft.clone());
        }
        let within = Path::new(name).strip_prefix(CLUSTER).ok()?;
        Some(if within.as_os_str().is_empty() { cluster.folder().to_owned() } else { cluster.folder().join(within) })
    };
    if manifest.log.is_some() {
        own_folder(&event_log_folder(data_dir)).context("cannot create the event log's folder")?;
    }
    archive::extract(file, manifest, go_on, &place)?;
    if let Some(cluster) = cluster {
        let credentials = fs::read_to_string(&draft).context("the backup holds no credentials")?;
        fs::remove_file(&draft)?;
        cluster.finish(&credentials)?;
    }
    rustix::fs::sync();
    Ok(())
}

/// Recovers the database, and verifies that the log is the one that its orders were settled from.
async fn prove(config: &Config, manifest: &Manifest) -> anyhow::Result<()> {
    if manifest.database.is_none() {
        return Ok(());
    }
    let server = PrivateServer::start(&config.data_dir, bin_dir(config)).await.context("starting the restored PostgreSQL")?;
    let proved = prove_log(config, manifest, &server.urls().database).await;
    server.stop().await.context("stopping the restored PostgreSQL")?;
    proved
}

async fn prove_log(config: &Config, manifest: &Manifest, url: &str) -> anyhow::Result<()> {
    let store = Store::new(url, store_options(config))?;
    let found = async {
        if manifest.log.is_none() || !store.has_positions_table().await? {
            return Ok(None);
        }
        let log = EmbeddedLog::open_read_only(&event_log_folder(&config.data_dir)).await?;
        let found = foreign_log(&log, &store).await;
        log.close().await;
        anyhow::Ok(found?)
    };
    let found = found.await;
    store.close().await;
    found?.map_or(Ok(()), |reason| Err(anyhow::anyhow!("log and database of the backup do not belong together: {reason}")))
}

/// Empties the directory, and removes it unless it existed before.
async fn empty(data_dir: &Path, was_there: bool) -> anyhow::Result<()> {
    private_server::delete(data_dir).await?;
    for entry in fs::read_dir(data_dir)? {
        let entry = entry?;
        if NOT_OF_A_SHOP.iter().any(|kept| entry.file_name() == *kept) {
            continue;
        }
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    if !was_there {
        fs::remove_dir(data_dir)?;
    }
    Ok(())
}
