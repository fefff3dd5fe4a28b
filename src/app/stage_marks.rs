//! Records in a file how far a session has polled and what it is about to commit, for the post-mortem of a killed process.
//!
//! A test that kills the process must know what it hit: an order that was only published, one in a chunk, or one in an open
//! commit. A dead process cannot be queried, but what it wrote to a file before `kill -9` is there. `MarkedLog` wraps the log
//! when faults are enabled, and costs two small writes per batch.
//!
//! The file holds two little-endian 64-bit numbers per partition of `order-events`: the position after the last polled record,
//! and the position in the last commit that was begun.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::log::layer::LogLayer;
use crate::log::{Batch, EventLog, LogFuture, Offset, PartitionId, Polled, Session, SessionConfig, Topic};

/// Bytes per partition.
const ENTRY: u64 = 16;

/// The marks of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// Position after the last polled record of `order-events`.
    pub polled: Offset,
    /// Position of `order-events` in the last commit that was begun.
    pub committing: Offset,
}

/// The marks file of a data directory.
#[must_use]
pub fn file_in(data_dir: &Path) -> PathBuf {
    data_dir.join("stage-marks")
}

/// Reads what a process left behind.
///
/// # Errors
/// If the file cannot be read.
pub fn read(path: &Path) -> std::io::Result<Vec<Marks>> {
    let bytes = std::fs::read(path)?;
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, i64::from_le_bytes);
    Ok(bytes.chunks_exact(16).map(|entry| Marks { polled: number(&entry[..8]), committing: number(&entry[8..]) }).collect())
}

/// How long the next commit is held open, as on a slow disk; called before each commit.
pub(super) type Hold = Arc<dyn Fn() -> Option<Duration> + Send + Sync>;

/// A log whose sessions write marks.
pub(super) struct MarkedLog {
    log: Arc<dyn EventLog>,
    file: Arc<File>,
    hold: Hold,
}

impl MarkedLog {
    /// Wraps a log; its sessions write marks to `path`, and hold commits open for as long as `hold` returns.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub(super) fn new(log: Arc<dyn EventLog>, path: &Path, hold: Hold) -> std::io::Result<Self> {
        Ok(Self { log, file: Arc::new(File::create(path)?), hold })
    }
}

impl LogLayer for MarkedLog {
    fn beneath(&self) -> &dyn EventLog {
        &*self.log
    }

    fn session(&self, config: SessionConfig) -> LogFuture<'_, Box<dyn Session>> {
        Box::pin(async move {
            let session = self.log.session(config).await?;
            Ok(Box::new(MarkedSession { session, file: self.file.clone(), hold: self.hold.clone() }) as Box<dyn Session>)
        })
    }
}

struct MarkedSession {
    session: Box<dyn Session>,
    file: Arc<File>,
    hold: Hold,
}

impl MarkedSession {
    /// A mark that cannot be written must not stop the shop: the test will find that it is missing.
    fn mark(&self, partition: PartitionId, place: u64, position: Offset) {
        let entry = u64::try_from(partition).unwrap_or_default() * ENTRY;
        let _ = self.file.write_all_at(&position.to_le_bytes(), entry + place);
    }
}

impl Session for MarkedSession {
    fn poll(&self, max_records: usize, max_wait: Duration) -> LogFuture<'_, Polled> {
        Box::pin(async move {
            let polled = self.session.poll(max_records, max_wait).await?;
            if let Polled::Records(records) = &polled {
                let last: BTreeMap<_, _> = records
                    .iter()
                    .filter(|record| record.topic == Topic::OrderEvents)
                    .map(|record| (record.partition, record.offset + 1))
                    .collect();
                last.into_iter().for_each(|(partition, position)| self.mark(partition, 0, position));
            }
            Ok(polled)
        })
    }

    fn commit(&self, batch: Batch) -> LogFuture<'_, ()> {
        for (partition, position) in batch.positions.iter().filter(|(partition, _)| partition.topic == Topic::OrderEvents) {
            self.mark(partition.partition, 8, position.offset);
        }
        Box::pin(async move {
            if let Some(wait) = (self.hold)() {
                tokio::time::sleep(wait).await;
            }
            self.session.commit(batch).await
        })
    }

    fn rewind(&self, partitions: &[PartitionId]) -> LogFuture<'_, ()> {
        self.session.rewind(partitions)
    }

    fn close(&self) -> LogFuture<'_, ()> {
        self.session.close()
    }
}
