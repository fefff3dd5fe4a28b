//! The location of a test's event log: in its own folder, or on the shared Kafka under its own prefix.
//!
//! A test that must hold on both takes a [`Place`] as its argument, and [`on_each_log`] creates two tests from it.

use std::sync::Arc;

use kartshoppe::clock::Clock;
use kartshoppe::log::EventLog;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::log::kafka::{KafkaConfig, KafkaLog};
use kartshoppe::wire::topics::Topic;
use tempfile::TempDir;

use super::kafka::{self, Broker};
use super::server::{Options, Server};

/// Partitions of the keyed topics.
const PARTITIONS: i32 = 4;
/// How long transactions that a killed process left open may delay readers, in milliseconds; the default suits slower networks.
const TRANSACTION_TIMEOUT: (&str, &str) = ("transaction.timeout.ms", "2000");

/// A place for one log, which can be opened repeatedly.
pub enum Place {
    Embedded(TempDir),
    Kafka { broker: &'static Broker, prefix: String },
}

/// An open log with all our topics.
pub struct Opened {
    pub log: Arc<dyn EventLog>,
    embedded: Option<Arc<EmbeddedLog>>,
}

impl Place {
    pub fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().unwrap())
    }

    /// `None` where there is no Kafka, with a message.
    pub fn kafka() -> Option<Self> {
        Broker::shared().map(|broker| Self::Kafka { broker, prefix: kafka::prefix("it") })
    }

    /// Another one of the same kind.
    pub fn another(&self) -> Self {
        match self {
            Self::Embedded(_) => Self::embedded(),
            Self::Kafka { broker, .. } => Self::Kafka { broker, prefix: kafka::prefix("it") },
        }
    }

    /// Opens the log. Without fsync: power loss is not tested here.
    pub async fn open(&self, clock: &Clock) -> Opened {
        let (log, embedded): (Arc<dyn EventLog>, _) = match self {
            Self::Embedded(folder) => {
                let config = EmbeddedConfig { fsync: false, ..EmbeddedConfig::new(folder.path(), PARTITIONS) };
                let log = Arc::new(EmbeddedLog::open(config, clock.clone()).await.unwrap());
                (log.clone(), Some(log))
            }
            Self::Kafka { broker, prefix } => (Arc::new(KafkaLog::open(config(broker, prefix)).await.unwrap()), None),
        };
        let ours: Vec<_> = Topic::ALL.into_iter().filter(|topic| topic.is_ours()).collect();
        log.create_topics(&ours).await.unwrap();
        Opened { log, embedded }
    }

    /// Opens the log for a test that needs nothing else.
    pub async fn log(&self) -> Arc<dyn EventLog> {
        self.open(&Clock::system()).await.log
    }

    /// The log of a server that was started with [`Place::options`], opened beside the server.
    pub async fn log_of(&self, server: &Server) -> Arc<dyn EventLog> {
        match self {
            Self::Embedded(_) => Arc::new(EmbeddedLog::open_read_only(&server.data().join("log")).await.unwrap()),
            Self::Kafka { .. } => self.log().await,
        }
    }

    /// The options of a server whose log is here; an embedded one is in the server's data directory.
    pub fn options(&self) -> Options {
        match self {
            Self::Embedded(_) => Options::default(),
            Self::Kafka { broker, prefix } => Options::default()
                .set("KARTSHOPPE__LOG__KIND", "kafka")
                .set("KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS", &broker.address)
                .set("KARTSHOPPE__KAFKA__TOPIC_PREFIX", prefix),
        }
    }

    /// For other programs: the broker's address, and the topic's name there.
    pub fn reach(&self, topic: Topic) -> (&str, String) {
        match self {
            Self::Embedded(_) => panic!("no other program reaches an embedded log"),
            Self::Kafka { broker, prefix } => (&broker.address, format!("{prefix}{}", topic.name())),
        }
    }
}

impl Opened {
    /// Compacts as far as possible now. A broker compacts in its own time.
    pub async fn compact(&self) {
        if let Some(embedded) = &self.embedded {
            embedded.keep_house().await.unwrap();
        }
    }

    /// Closes it for this process.
    pub async fn close(&self) {
        if let Some(embedded) = &self.embedded {
            embedded.close().await;
        }
    }
}

fn config(broker: &Broker, prefix: &str) -> KafkaConfig {
    let (name, value) = TRANSACTION_TIMEOUT;
    KafkaConfig {
        bootstrap_servers: broker.address.clone(),
        topic_prefix: prefix.to_owned(),
        properties: [(name.to_owned(), value.to_owned())].into(),
        partitions: PARTITIONS,
    }
}

/// Creates a test on each log from each of these functions, which take a [`Place`]. Those `at length` take minutes on a broker:
/// there they run with `make test-kafka` only.
macro_rules! on_each_log {
    (at length: $($case:ident),+ $(,)?) => {
        crate::support::place::on_each_log!(@embedded $($case)+);
        mod kafka {
            $( crate::support::place::on_each_log!(@kafka [#[ignore = "minutes on a broker: make test-kafka"]] $case); )+
        }
    };
    (@embedded $($case:ident)+) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::support::place::Place::embedded()).await;
                }
            )+
        }
    };
    (@kafka [$($when:tt)*] $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $($when)*
        async fn $case() {
            let Some(place) = crate::support::place::Place::kafka() else { return };
            super::$case(place).await;
        }
    };
    ($($case:ident),+ $(,)?) => {
        crate::support::place::on_each_log!(@embedded $($case)+);
        mod kafka {
            $( crate::support::place::on_each_log!(@kafka [] $case); )+
        }
    };
}
pub(crate) use on_each_log;
