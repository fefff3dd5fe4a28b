//! The event log of this process, by configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::actors::faults::FaultBoard;
use crate::clock::Clock;
use crate::config::{Config, LogKind};
use crate::log::embedded::{EmbeddedConfig, EmbeddedLog};
use crate::log::marks::{self, MarkedLog};
use crate::log::{EventLog, Topic};

/// The log, and what closes it when everybody has left.
pub struct Log {
    pub log: Arc<dyn EventLog>,
    embedded: Arc<EmbeddedLog>,
}

impl Log {
    /// Opens the log and makes the topics that are missing.
    ///
    /// # Errors
    /// If the log cannot be used; the text says what to do.
    pub async fn open(config: &Config, data_dir: &Path, clock: &Clock, faults: &FaultBoard) -> anyhow::Result<Self> {
        match config.log.kind {
            LogKind::Embedded => {}
            LogKind::Kafka => bail!("log.kind = kafka is not part of this version yet: use embedded"),
        }
        let embedded = EmbeddedConfig {
            fsync: config.log.embedded.fsync,
            tombstone_retention: config.log.embedded.tombstone_retention,
            ..EmbeddedConfig::new(folder(data_dir), config.inventory.partitions)
        };
        let embedded = Arc::new(EmbeddedLog::open(embedded, clock.clone()).await.context("opening the event log")?);
        let ours: Vec<_> = Topic::ALL.into_iter().filter(|topic| topic.is_ours()).collect();
        embedded.create_topics(&ours).await.context("creating the topics")?;
        let mut log: Arc<dyn EventLog> = embedded.clone();
        if config.faults.enabled {
            let (path, faults) = (marks::file_in(data_dir), faults.clone());
            let hold = Arc::new(move || faults.hold_commit());
            log = Arc::new(MarkedLog::new(log, &path, hold).with_context(|| format!("making {}", path.display()))?);
        }
        Ok(Self { log, embedded })
    }

    /// Writes what was handed over, and closes the file.
    pub async fn close(self) {
        self.embedded.close().await;
    }
}

/// Where the embedded log of a data directory is.
#[must_use]
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}
