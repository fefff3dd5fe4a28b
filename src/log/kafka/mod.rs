//! The log on Kafka: for real use, and for more than one process or machine.
//!
//! ```text
//!  KafkaLog ─┬─ cluster   questions: topics, ends, groups           overseer  checks the topics every few seconds
//!            ├─ topics    makes and deletes topics                  board     health, permissions, rivals
//!            ├─ append    one idempotent producer                   repair    what a broker's death leaves behind
//!            ├─ reader    a consumer on a thread, one per reader
//!            └─ session   member: a consumer on a thread ─── inbox ─── poll, rewind
//!                         transactions: two producers in turn on another thread ─── commit
//! ```
//! Membership, assignment, fencing and replication are Kafka's. The measurements behind the rules here are in docs/adr/0006. Read
//! `session`, `member`, `inbox`, `transactions` and `reader` for the normal path; `repair` is entered from five marked places.
//!
//! While Kafka cannot be reached, calls fail with [`LogError::Unavailable`] and the reason that the clients gave, which
//! [`EventLog::trouble`] returns, too. A wrong password or an unknown certificate ends [`KafkaLog::open`].

mod append;
mod board;
mod cluster;
mod codes;
mod figures;
mod foreign_members;
mod health;
mod inbox;
mod member;
mod native;
mod options;
mod overseer;
mod permissions;
mod policy;
mod reader;
mod records;
mod repair;
mod reporting;
mod session;
mod topics;
mod transaction;
mod transactions;
mod unreadable;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::producer::{BaseProducer, ProducerContext};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use self::append::Appender;
use self::board::Board;
use self::cluster::Cluster;
pub use self::options::KafkaConfig;
#[cfg(test)]
pub(crate) use self::policy::settings_of;
use self::reader::KafkaReader;
use self::session::KafkaSession;
use self::topics::Admin;
use crate::log::{
    Appended, EventLog, LogError, LogFuture, NewRecord, PartitionId, Positions, Reader, Session, SessionConfig, Setbacks, Start,
    Stop, TopicInfo, TopicPartition,
};
use crate::telemetry::alarms::Alarms;
use crate::telemetry::metrics::Metrics;
use crate::wire::topics::Topic;

/// How long to wait for the first answer before the process goes on without it.
const FIRST_CONTACT: Duration = Duration::from_secs(5);
/// How often topics that could not be made are tried again.
const MAKE_AGAIN: Duration = Duration::from_secs(1);

/// Commits a producer's open transaction as the sessions do: the bare loop of the benchmark must not be slower than this.
///
/// # Errors
/// What librdkafka says.
pub fn commit_in_slices<C: ProducerContext>(producer: &BaseProducer<C>, patience: Duration) -> Result<(), String> {
    native::commit(producer, patience).map_err(|failure| failure.to_string())
}

/// The Kafka of this process.
pub struct KafkaLog {
    cluster: Arc<Cluster>,
    admin: Arc<Admin>,
    appender: Appender,
    overseer: std::sync::OnceLock<AbortOnDropHandle<()>>,
}

impl KafkaLog {
    /// Makes the clients and waits a few seconds for the first answer. If none comes, later calls wait for it.
    ///
    /// # Errors
    /// [`LogError::Refused`] for a bad property, a wrong password or an unknown certificate.
    pub async fn open(config: KafkaConfig) -> Result<Self, LogError> {
        Self::open_with(config, Alarms::default()).await
    }

    /// The same, with the alarms of the process.
    ///
    /// # Errors
    /// As [`KafkaLog::open`].
    pub async fn open_with(config: KafkaConfig, alarms: Alarms) -> Result<Self, LogError> {
        let cluster = Arc::new(Cluster::new(config, Arc::new(Board::new(alarms)))?);
        let log = Self {
            admin: Arc::new(Admin::new(cluster.clone())?),
            appender: Appender::new(&cluster)?,
            cluster,
            overseer: std::sync::OnceLock::new(),
        };
        log.first_contact().await?;
        Ok(log)
    }

    /// Sets how many bytes each topic of anonymous origin keeps: when topics are made, and when their settings are compared.
    pub fn limit_tracked(&self, bytes: u64) {
        // Set once for a process; a second caller could only pass the same value.
        let _ = self.cluster.tracked_bytes.set(bytes);
    }

    async fn first_contact(&self) -> Result<(), LogError> {
        let deadline = Instant::now() + FIRST_CONTACT;
        while Instant::now() < deadline {
            match self.cluster.ask(Cluster::topics).await {
                Ok(_) => return Ok(()),
                Err(refused @ LogError::Refused(_)) => return Err(refused),
                Err(_) => {}
            }
            if let Some(text) = self.cluster.board.health.wrong_credentials() {
                return Err(LogError::Refused(text));
            }
        }
        let error = self.cluster.board.unavailable("Kafka does not answer");
        tracing::warn!(%error, "going on without Kafka until it answers");
        Ok(())
    }

    /// Makes the shop's topics, now or as soon as Kafka answers, and checks them from then on: missing, unequal or replaced ones
    /// are refused, with what to do.
    pub async fn oversee(self: &Arc<Self>) {
        let are_made = self.trouble().is_none() && self.make_ours().await;
        let log = Arc::downgrade(self);
        if are_made {
            self.refuse_policies().await;
        }
        let (cluster, admin) = (self.cluster.clone(), self.admin.clone());
        let task = tokio::spawn(async move {
            let mut are_made = are_made;
            while !are_made {
                tokio::time::sleep(MAKE_AGAIN).await;
                let Some(log) = log.upgrade() else { return };
                are_made = log.make_ours().await;
            }
            overseer::watch(cluster, admin).await;
        });
        let _ = self.overseer.set(AbortOnDropHandle::new(task));
    }

    /// Refuses topics whose settings lose states, before anything is restored from them. The overseer withdraws that when they
    /// are right.
    async fn refuse_policies(&self) {
        match self.admin.check_policies().await {
            Ok(Some(reason)) => self.cluster.board.health.refuse(Some(reason)),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the settings of the topics could not be read"),
        }
    }

    /// Makes the shop's topics that are missing; whether all are there now.
    async fn make_ours(&self) -> bool {
        let ours: Vec<_> = Topic::ALL.into_iter().filter(|topic| topic.is_needed()).collect();
        match self.create_topics(&ours).await {
            Ok(_) => return true,
            Err(LogError::Refused(reason)) => self.cluster.board.health.refuse(Some(reason)),
            Err(error) => tracing::debug!(%error, "the topics could not be made yet"),
        }
        false
    }
}

impl EventLog for KafkaLog {
    fn id(&self) -> LogFuture<'_, String> {
        Box::pin(async move {
            let ids = self.cluster.ask(|cluster| cluster.topic_ids(&[Topic::Products])).await?;
            ids.into_values().next().ok_or_else(|| LogError::UnknownTopic(Topic::Products.name().to_owned()))
        })
    }

    fn create_topics(&self, topics: &[Topic]) -> LogFuture<'_, Vec<Topic>> {
        let topics = topics.to_vec();
        Box::pin(async move {
            let made = self.admin.create(&topics).await?;
            for topic in &made {
                self.appender.refresh(self.cluster.config.name_of(*topic)).await;
            }
            Ok(made)
        })
    }

    fn delete_topics(&self, topics: &[Topic]) -> LogFuture<'_, ()> {
        let topics = topics.to_vec();
        Box::pin(async move {
            self.admin.delete(&topics).await?;
            for topic in &topics {
                self.appender.refresh(self.cluster.config.name_of(*topic)).await;
            }
            Ok(())
        })
    }

    fn topics(&self) -> LogFuture<'_, Vec<TopicInfo>> {
        Box::pin(self.admin.list())
    }

    fn partitions(&self) -> PartitionId {
        self.cluster.config.partitions
    }

    fn session(&self, config: SessionConfig) -> LogFuture<'_, Box<dyn Session>> {
        Box::pin(async move { Ok(Box::new(KafkaSession::open(&self.cluster, config).await?) as Box<dyn Session>) })
    }

    fn reader(&self, from: &[(TopicPartition, Start)], stop: Stop) -> LogFuture<'_, Box<dyn Reader>> {
        let from = from.to_vec();
        Box::pin(async move { Ok(Box::new(KafkaReader::open(&self.cluster, from, stop).await?) as Box<dyn Reader>) })
    }

    fn append(&self, records: Vec<NewRecord>, deadline: Duration) -> LogFuture<'_, Vec<Appended>> {
        Box::pin(async move { self.appender.append(&self.cluster, records, deadline).await })
    }

    fn committed(&self, group: &str) -> LogFuture<'_, Positions> {
        let group = group.to_owned();
        Box::pin(async move {
            let ask = move |cluster: &Cluster| cluster.committed(&group, &cluster.topics()?);
            self.cluster.ask(ask).await
        })
    }

    fn live_members(&self, group: &str) -> LogFuture<'_, usize> {
        let group = group.to_owned();
        Box::pin(async move { self.cluster.ask(move |cluster| cluster.members(&group)).await })
    }

    fn kept(&self) -> LogFuture<'_, std::collections::BTreeMap<Topic, String>> {
        Box::pin(self.admin.kept())
    }

    fn settings(&self) -> LogFuture<'_, std::collections::BTreeMap<Topic, std::collections::BTreeMap<String, String>>> {
        Box::pin(self.admin.shown_settings())
    }

    fn record_limit(&self) -> usize {
        self.cluster.record_limit()
    }

    fn foreign_members(&self) -> Vec<String> {
        self.cluster.foreign_members.last_found()
    }

    fn is_log_append_time(&self, topic: Topic) -> LogFuture<'_, bool> {
        Box::pin(self.admin.is_log_append_time(topic))
    }

    fn trouble(&self) -> Option<String> {
        self.cluster.board.summary()
    }

    fn register(&self, metrics: &Metrics) {
        self.cluster.board.figures.register(metrics);
    }

    fn setbacks(&self) -> Setbacks {
        self.cluster.board.health.setbacks()
    }
}
