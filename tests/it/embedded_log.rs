//! Properties of the embedded log only: one file, one server, housekeeping, disk errors.

mod held;
mod moved;
mod opening;
mod space;
mod takeover;
mod time;
mod watching;

use std::path::Path;

use kartshoppe::clock::Clock;
use kartshoppe::log::EventLog;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::wire::topics::Topic;

/// A log with all topics, four partitions, and the system clock.
async fn open(folder: &Path) -> EmbeddedLog {
    open_with(EmbeddedConfig::new(folder, 4), Clock::system()).await
}

async fn open_with(config: EmbeddedConfig, clock: Clock) -> EmbeddedLog {
    let log = EmbeddedLog::open(config, clock).await.unwrap();
    log.create_topics(&Topic::ALL).await.unwrap();
    log
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join("kartshoppe.log.sqlite")
}
