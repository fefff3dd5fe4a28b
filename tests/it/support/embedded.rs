//! A new embedded log for a test, without fsync: what a power cut would do is not asked here.

use std::sync::Arc;

use kartshoppe::clock::Clock;
use kartshoppe::log::EventLog;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::wire::topics::Topic;

/// A log with all topics in four partitions, and its folder.
pub async fn open_log() -> (Arc<dyn EventLog>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig { fsync: false, ..EmbeddedConfig::new(folder.path(), 4) };
    let log = EmbeddedLog::open(config, Clock::system()).await.unwrap();
    log.create_topics(&Topic::ALL).await.unwrap();
    (Arc::new(log), folder)
}
