//! What the suite needs of an implementation besides the contract itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kartshoppe::clock::Clock;
use kartshoppe::log::EventLog;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::wire::topics::Topic;
use tempfile::TempDir;

pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A log of its own with all topics and four partitions, in a state as new.
pub trait Harness: Send {
    /// The log as it is open now.
    fn log(&self) -> Arc<dyn EventLog>;

    /// Closes the log for this process.
    fn close(&mut self) -> Boxed<'_, ()>;

    /// Opens it again after [`Self::close`], or after a child had it.
    fn reopen(&mut self) -> Boxed<'_, ()>;

    /// Has compaction done what it can on what was written so far.
    fn compact(&self) -> Boxed<'_, ()>;

    /// Says to a child process which log to open: the argument of [`open_for_child`].
    fn address(&self) -> String;
}

/// Opens the log of an address.
pub async fn open_for_child(address: &str) -> Arc<dyn EventLog> {
    let (kind, place) = address.split_once(':').unwrap();
    match kind {
        "embedded" => Arc::new(open_folder(place).await),
        other => panic!("no such log: {other}"),
    }
}

struct Embedded {
    folder: TempDir,
    log: Arc<EmbeddedLog>,
}

/// An embedded log in a folder of its own.
pub async fn open_embedded() -> Box<dyn Harness> {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(open_folder(folder.path()).await);
    log.create_topics(&Topic::ALL).await.unwrap();
    Box::new(Embedded { folder, log })
}

async fn open_folder(folder: impl Into<std::path::PathBuf>) -> EmbeddedLog {
    EmbeddedLog::open(EmbeddedConfig::new(folder, 4), Clock::system()).await.unwrap()
}

impl Harness for Embedded {
    fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.log) as Arc<dyn EventLog>
    }

    fn close(&mut self) -> Boxed<'_, ()> {
        Box::pin(self.log.close())
    }

    fn reopen(&mut self) -> Boxed<'_, ()> {
        Box::pin(async move { self.log = Arc::new(open_folder(self.folder.path()).await) })
    }

    fn compact(&self) -> Boxed<'_, ()> {
        Box::pin(async move { self.log.keep_house().await.unwrap() })
    }

    fn address(&self) -> String {
        format!("embedded:{}", self.folder.path().display())
    }
}
