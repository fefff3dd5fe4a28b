//! The event log of this process, as configured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail, ensure};

use crate::actors::faults::FaultBoard;
use crate::clock::Clock;
use crate::config::{Config, LogKind};
use crate::log::embedded::{EmbeddedConfig, EmbeddedLog};
use crate::log::kafka::{KafkaConfig, KafkaLog};
use crate::log::{EventLog, Topic};
use crate::telemetry::alarms::Alarms;

use super::stage_marks::{self, MarkedLog};

/// The log, and what closes it at the end.
pub struct Log {
    pub log: Arc<dyn EventLog>,
    /// The embedded log, which must be closed.
    embedded: Option<Arc<EmbeddedLog>>,
    /// The folder of an embedded log that was created by this start.
    new_in: Option<PathBuf>,
    /// Whether a log created by this start is deleted when it is closed.
    discarded: AtomicBool,
}

impl Log {
    /// Opens the log and creates missing topics; if Kafka does not answer yet, as soon as it does.
    ///
    /// # Errors
    /// If the log cannot be used; the text says what to do.
    pub async fn open(
        config: &Config,
        data_dir: &Path,
        clock: &Clock,
        faults: &FaultBoard,
        alarms: &Alarms,
    ) -> anyhow::Result<Self> {
        let mut opened = match config.log.kind {
            LogKind::Embedded => {
                let opened = Self::open_embedded(config, data_dir, clock, alarms).await?;
                let ours: Vec<_> = Topic::ALL.into_iter().filter(|topic| topic.is_ours()).collect();
                opened.log.create_topics(&ours).await.context("creating the topics")?;
                opened
            }
            LogKind::Kafka => {
                let kafka = Arc::new(open_kafka(config, alarms).await?);
                kafka.oversee().await;
                Self::on(kafka)
            }
        };
        if config.faults.enabled {
            let (path, faults) = (stage_marks::file_in(data_dir), faults.clone());
            let hold = Arc::new(move || faults.hold_commit());
            let marked = MarkedLog::new(opened.log, &path, hold).with_context(|| format!("making {}", path.display()))?;
            opened.log = Arc::new(marked);
        }
        Ok(opened)
    }

    /// Opens the log for reading, also while a server writes it.
    ///
    /// # Errors
    /// If it does not exist or cannot be used.
    pub async fn open_for_reading(config: &Config) -> anyhow::Result<Self> {
        match config.log.kind {
            LogKind::Embedded => {
                let folder = folder(&config.data_dir);
                ensure!(folder.exists(), "there is no event log in {}: `kartshoppe serve` creates it", config.data_dir.display());
                let log = EmbeddedLog::open_read_only(&folder).await.context("opening the event log")?;
                Ok(Self::on(Arc::new(log)))
            }
            LogKind::Kafka => Self::reached(config).await,
        }
    }

    /// Opens the log to create or delete topics while no server of this data directory runs.
    ///
    /// # Errors
    /// If it cannot be used.
    pub async fn open_for_upkeep(config: &Config) -> anyhow::Result<Self> {
        match config.log.kind {
            LogKind::Embedded => Self::open_embedded(config, &config.data_dir, &Clock::system(), &Alarms::default()).await,
            LogKind::Kafka => Self::reached(config).await,
        }
    }

    /// A Kafka that answers now: a command does not wait for one that is down.
    async fn reached(config: &Config) -> anyhow::Result<Self> {
        let kafka = open_kafka(config, &Alarms::default()).await?;
        if let Some(trouble) = kafka.trouble() {
            bail!("cannot use Kafka at {} (KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS): {trouble}", config.kafka.bootstrap_servers);
        }
        Ok(Self::on(Arc::new(kafka)))
    }

    async fn open_embedded(config: &Config, data_dir: &Path, clock: &Clock, alarms: &Alarms) -> anyhow::Result<Self> {
        let folder = folder(data_dir);
        let new_in = (!EmbeddedLog::is_in(&folder)).then(|| folder.clone());
        let embedded = EmbeddedConfig {
            fsync: config.log.embedded.fsync,
            tombstone_retention: config.log.embedded.tombstone_retention,
            tracked_bytes: Some(config.log.tracked_retained_bytes),
            alarms: alarms.clone(),
            ..EmbeddedConfig::new(folder, config.inventory.partitions)
        };
        let embedded = Arc::new(EmbeddedLog::open(embedded, clock.clone()).await.context("opening the event log")?);
        Ok(Self { log: embedded.clone(), embedded: Some(embedded), new_in, discarded: AtomicBool::new(false) })
    }

    fn on(log: Arc<dyn EventLog>) -> Self {
        Self { log, embedded: None, new_in: None, discarded: AtomicBool::new(false) }
    }

    /// The embedded log, if this process writes one.
    pub(super) fn embedded(&self) -> Option<Arc<EmbeddedLog>> {
        self.embedded.clone()
    }

    /// Deletes a log that this start created when it is closed, so that it cannot be mixed up with the right log once that is put
    /// back.
    pub(super) fn discard_if_new(&self) {
        self.discarded.store(true, Ordering::Relaxed);
    }

    /// Writes what was handed over, and closes the file.
    pub async fn close(self) {
        let Some(embedded) = self.embedded else { return };
        embedded.close().await;
        if self.discarded.into_inner()
            && let Some(folder) = self.new_in
            && let Err(error) = EmbeddedLog::remove_from(&folder)
        {
            tracing::warn!(%error, "the empty event log that was just created could not be deleted");
        }
    }
}

async fn open_kafka(config: &Config, alarms: &Alarms) -> anyhow::Result<KafkaLog> {
    let opened = KafkaLog::open_with(kafka_config(config), alarms.clone()).await.with_context(|| {
        let servers = &config.kafka.bootstrap_servers;
        format!("opening the event log on Kafka at {servers} (KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS)")
    })?;
    opened.limit_tracked(config.log.tracked_retained_bytes);
    Ok(opened)
}

/// The configured Kafka.
fn kafka_config(config: &Config) -> KafkaConfig {
    KafkaConfig {
        bootstrap_servers: config.kafka.bootstrap_servers.clone(),
        topic_prefix: config.kafka.topic_prefix.clone(),
        properties: config.kafka.properties.clone(),
        partitions: config.inventory.partitions,
    }
}

/// The embedded log's folder in a data directory.
#[must_use]
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}
