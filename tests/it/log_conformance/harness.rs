//! What the suite needs from an implementation besides the contract itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kartshoppe::clock::Clock;
use kartshoppe::log::EventLog;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::log::kafka::{KafkaConfig, KafkaLog};
use kartshoppe::wire::topics::Topic;
use tempfile::TempDir;

use crate::support::kafka::{self, Broker};

pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A log of its own with all topics and four partitions, in a state as new.
pub trait Harness: Send {
    /// The log as it is open now.
    fn log(&self) -> Arc<dyn EventLog>;

    /// Closes the log for this process.
    fn close(&mut self) -> Boxed<'_, ()>;

    /// Opens it again after [`Self::close`], or after a child had it.
    fn reopen(&mut self) -> Boxed<'_, ()>;

    /// Compacts what was written so far, as far as possible.
    fn compact(&self) -> Boxed<'_, ()>;

    /// Says to a child process which log to open: the argument of [`open_for_child`].
    fn address(&self) -> String;
}

/// Opens the log of an address.
pub async fn open_for_child(address: &str) -> Arc<dyn EventLog> {
    let (kind, place) = address.split_once(':').unwrap();
    match kind {
        "embedded" => Arc::new(open_folder(place).await),
        "kafka" => {
            let (broker, prefix) = place.split_once('/').unwrap();
            Arc::new(connect(broker, prefix).await)
        }
        other => panic!("no such log: {other}"),
    }
}

struct Embedded {
    folder: TempDir,
    log: Arc<EmbeddedLog>,
}

/// An embedded log in a folder of its own.
pub async fn open_embedded() -> Option<Box<dyn Harness>> {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(open_folder(folder.path()).await);
    log.create_topics(&Topic::ALL).await.unwrap();
    Some(Box::new(Embedded { folder, log }))
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

struct Kafka {
    broker: &'static Broker,
    prefix: String,
    log: Option<Arc<KafkaLog>>,
}

/// Topics of their own on the shared broker.
pub async fn open_kafka() -> Option<Box<dyn Harness>> {
    let broker = Broker::shared()?;
    let prefix = kafka::prefix("conformance");
    let log = Arc::new(connect(&broker.address, &prefix).await);
    log.create_topics(&Topic::ALL).await.unwrap();
    Some(Box::new(Kafka { broker, prefix, log: Some(log) }))
}

async fn connect(broker: &str, prefix: &str) -> KafkaLog {
    // How long the open transaction of a killed child may delay readers.
    let properties = [("transaction.timeout.ms".to_owned(), "2000".to_owned())].into();
    let (bootstrap_servers, topic_prefix) = (broker.to_owned(), prefix.to_owned());
    KafkaLog::open(KafkaConfig { bootstrap_servers, topic_prefix, properties, partitions: 4 }).await.unwrap()
}

impl Harness for Kafka {
    fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(self.log.as_ref().unwrap()) as Arc<dyn EventLog>
    }

    fn close(&mut self) -> Boxed<'_, ()> {
        self.log = None;
        Box::pin(std::future::ready(()))
    }

    fn reopen(&mut self) -> Boxed<'_, ()> {
        Box::pin(async move { self.log = Some(Arc::new(connect(&self.broker.address, &self.prefix).await)) })
    }

    /// The broker compacts by itself, in its own time; a reader must not notice either way.
    fn compact(&self) -> Boxed<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn address(&self) -> String {
        format!("kafka:{}/{}", self.broker.address, self.prefix)
    }
}
