//! Topics: made with the contract's policies, deleted, listed, and compared with the contract.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::types::RDKafkaErrorCode;
use tokio::time::Instant;

use super::cluster::{Cluster, PATIENCE, cannot_make, partitions_of};
use super::codes::refused;
use super::permissions::how_to_grant;
use super::policy::{self, Settings};
use super::reporting::Reporting;
use crate::log::{LogError, PartitionId, PartitionInfo, TopicInfo, TopicPartition};
use crate::telemetry::alarms::{About, Alarm, Cause};
use crate::wire::topics::Topic;

/// How long the brokers may take to make or delete topics.
const ADMIN_PATIENCE: Duration = Duration::from_secs(30);
/// How often to check whether a change has reached the metadata.
const CHECK_AGAIN: Duration = Duration::from_millis(20);

/// Settings that decide what a topic keeps and takes; Kafka has forty more.
const SHOWN: [&str; 10] = [
    "cleanup.policy",
    "compression.type",
    "delete.retention.ms",
    "max.message.bytes",
    "message.timestamp.type",
    "min.compaction.lag.ms",
    "min.insync.replicas",
    "retention.bytes",
    "retention.ms",
    "segment.ms",
];

/// Makes and deletes topics.
pub(super) struct Admin {
    cluster: Arc<Cluster>,
    client: AdminClient<Reporting>,
}

impl Admin {
    pub fn new(cluster: Arc<Cluster>) -> Result<Self, LogError> {
        let config = cluster.config.inspector("read_uncommitted");
        let reporting = Reporting(cluster.board.clone());
        let client = config.create_with_context(reporting).map_err(|error| cannot_make(&error))?;
        Ok(Self { cluster, client })
    }

    /// Makes those that are missing, and waits until they can be used.
    pub async fn create(&self, topics: &[Topic]) -> Result<Vec<Topic>, LogError> {
        let known = self.existing().await?;
        let missing: Vec<Topic> = topics.iter().copied().filter(|topic| !known.contains_key(topic)).collect();
        if missing.is_empty() {
            return Ok(missing);
        }
        let plans: Vec<Plan> = missing.iter().map(|topic| Plan::new(&self.cluster, *topic)).collect();
        let wanted: Vec<NewTopic<'_>> = plans.iter().map(Plan::new_topic).collect();
        let results = self.client.create_topics(&wanted, &options()).await;
        let results = results.map_err(|error| self.cluster.failed("making topics", &error))?;
        let mut made = Vec::new();
        for (topic, result) in missing.into_iter().zip(results) {
            match failure_of(result) {
                None => made.push(topic),
                // Another process was faster.
                Some(RDKafkaErrorCode::TopicAlreadyExists) => {}
                Some(code) => return Err(self.refusal(topic, "CREATE", code)),
            }
        }
        self.until(&made, true).await?;
        Ok(made)
    }

    /// Deletes those that exist, and waits until they are gone. The broker drops the groups' positions with them.
    pub async fn delete(&self, topics: &[Topic]) -> Result<(), LogError> {
        let names: Vec<String> = topics.iter().map(|topic| self.cluster.config.name_of(*topic)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let results = self.client.delete_topics(&names, &options()).await;
        let results = results.map_err(|error| self.cluster.failed("deleting topics", &error))?;
        for (topic, result) in topics.iter().zip(results) {
            match failure_of(result) {
                None | Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {}
                Some(code) => return Err(self.refusal(*topic, "DELETE", code)),
            }
        }
        self.until(topics, false).await
    }

    /// Every topic of the shop with the bounds of its partitions.
    pub async fn list(&self) -> Result<Vec<TopicInfo>, LogError> {
        let ask = |cluster: &Cluster| {
            let topics = cluster.topics()?;
            let partitions = partitions_of(&topics);
            let bounds = cluster.bounds(&partitions)?;
            Ok(topics.into_iter().map(|(topic, count)| info(topic, count, &bounds)).collect())
        };
        self.cluster.ask(ask).await
    }

    /// Whether the topic's records carry the broker's time.
    pub async fn is_log_append_time(&self, topic: Topic) -> Result<bool, LogError> {
        let settings = self
            .settings(&[topic])
            .await?
            .remove(&topic)
            .unwrap_or_else(|| Err(LogError::UnknownTopic(topic.name().to_owned())))?;
        Ok(settings.get("message.timestamp.type").is_some_and(|kind| kind == "LogAppendTime"))
    }

    /// Kafka's own settings of these topics.
    pub async fn settings(&self, topics: &[Topic]) -> Result<BTreeMap<Topic, Result<Settings, LogError>>, LogError> {
        let names: Vec<String> = topics.iter().map(|topic| self.cluster.config.name_of(*topic)).collect();
        let wanted: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let asked = self.client.describe_configs(&wanted, &options()).await;
        let answers = asked.map_err(|error| self.cluster.failed("asking for the settings of topics", &error))?;
        let mut settings = BTreeMap::new();
        for resource in answers.into_iter().flatten() {
            let OwnedResourceSpecifier::Topic(name) = &resource.specifier else { continue };
            let Some(topic) = self.cluster.config.topic_of(name) else { continue };
            let entries: Settings = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect();
            // The client drops the error of a single topic and gives it without settings. Each topic has some, and each was there
            // a moment ago.
            let refused = || self.refusal(topic, "DESCRIBE_CONFIGS", RDKafkaErrorCode::TopicAuthorizationFailed);
            settings.insert(topic, if entries.is_empty() { Err(refused()) } else { Ok(entries) });
        }
        Ok(settings)
    }

    /// Compares the settings of all topics with the contract's: raises alarms and clears those that are over. Returns why the log
    /// must not be used, if so. Alarms about settings that cannot be read now stay as they were.
    pub async fn check_policies(&self) -> Result<Option<String>, LogError> {
        let there = self.existing().await?;
        let ours: Vec<Topic> = there.keys().copied().filter(|topic| topic.is_ours()).collect();
        let settings = self.settings(&ours).await?;
        let (mut refusals, mut limits) = (Vec::new(), Vec::new());
        for (topic, settings) in &settings {
            let Ok(settings) = settings else { continue };
            let alarm = policy::alarm(
                &self.cluster.config.name_of(*topic),
                &policy::findings(*topic, settings, self.cluster.retained_bytes(*topic)),
            );
            refusals.extend(alarm.iter().filter(|alarm| alarm.blocks).map(|alarm| alarm.text.clone()));
            limits.extend(settings.get("max.message.bytes").and_then(|limit| limit.parse::<usize>().ok()));
            self.cluster.board.alarms.set(policy::about(*topic), alarm);
        }
        if let Some(limit) = limits.into_iter().min() {
            self.cluster.limit_records(limit);
        }
        let known = |topic: &Topic| settings.get(topic).is_some_and(Result::is_ok);
        let unknown: Vec<&str> = ours.iter().filter(|topic| !known(topic)).map(|topic| topic.name()).collect();
        let cannot_ask = (!unknown.is_empty()).then(|| {
            Alarm::warns(format!(
                "the settings of {} cannot be read, so a policy that loses states would go unnoticed: {}",
                unknown.join(", "),
                how_to_grant("DESCRIBE_CONFIGS", "--topic NAME")
            ))
        });
        self.cluster.board.alarms.set(About::cause(Cause::TopicPolicyUnknown), cannot_ask);
        Ok((!refusals.is_empty()).then(|| refusals.join("; ")))
    }

    /// How long records stay by Kafka's own settings, where they can be seen.
    pub async fn kept(&self) -> Result<BTreeMap<Topic, String>, LogError> {
        let topics: Vec<Topic> = self.existing().await?.into_keys().collect();
        let settings = self.settings(&topics).await?;
        Ok(settings.into_iter().filter_map(|(topic, settings)| Some((topic, policy::kept(&settings.ok()?)))).collect())
    }

    /// Those of Kafka's own settings that an operator asks about, where they can be seen.
    pub async fn shown_settings(&self) -> Result<BTreeMap<Topic, Settings>, LogError> {
        let topics: Vec<Topic> = self.existing().await?.into_keys().collect();
        let shown = |settings: Settings| settings.into_iter().filter(|(name, _)| SHOWN.contains(&name.as_str())).collect();
        let settings = self.settings(&topics).await?;
        Ok(settings.into_iter().filter_map(|(topic, settings)| Some((topic, shown(settings.ok()?)))).collect())
    }

    async fn existing(&self) -> Result<BTreeMap<Topic, PartitionId>, LogError> {
        self.cluster.ask(Cluster::topics).await
    }

    /// Waits until these topics exist and can be used, or are gone.
    async fn until(&self, topics: &[Topic], there: bool) -> Result<(), LogError> {
        let deadline = Instant::now() + ADMIN_PATIENCE;
        loop {
            let known = self.existing().await?;
            if topics.iter().all(|topic| known.contains_key(topic) == there) {
                let partitions: Vec<_> = topics.iter().map(|topic| TopicPartition::new(*topic, 0)).collect();
                if !there || self.cluster.ask(move |cluster| cluster.bounds(&partitions)).await.is_ok() {
                    return Ok(());
                }
            }
            if Instant::now() > deadline {
                return Err(self.cluster.board.unavailable("waiting for a change of topics to take effect"));
            }
            tokio::time::sleep(CHECK_AGAIN).await;
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "librdkafka has 200 codes; these are the ones that name a topic")]
    fn refusal(&self, topic: Topic, operation: &str, code: RDKafkaErrorCode) -> LogError {
        let name = self.cluster.config.name_of(topic);
        if code == RDKafkaErrorCode::TopicAuthorizationFailed {
            let advice = how_to_grant(operation, &format!("--topic {name}"));
            let or = if operation == "CREATE" { " (or only DESCRIBE, if the topic is there)" } else { "" };
            return LogError::Refused(format!("Kafka does not let the shop {operation} the topic {name}: {advice}{or}"));
        }
        let what = format!("topic {name}");
        refused(code, &what).unwrap_or_else(|| match code {
            RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition => {
                LogError::UnknownTopic(topic.name().to_owned())
            }
            RDKafkaErrorCode::RequestTimedOut | RDKafkaErrorCode::OperationTimedOut => self.cluster.board.unavailable(&what),
            code => LogError::Refused(format!("{what}: {code}")),
        })
    }
}

fn info(topic: Topic, count: PartitionId, bounds: &BTreeMap<TopicPartition, PartitionInfo>) -> TopicInfo {
    let nothing = PartitionInfo { start: 0, end: 0 };
    let place = |partition| bounds.get(&TopicPartition::new(topic, partition)).copied().unwrap_or(nothing);
    TopicInfo { topic, partitions: (0..count).map(place).collect() }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN_PATIENCE)).operation_timeout(Some(PATIENCE))
}

fn failure_of(result: TopicResult) -> Option<RDKafkaErrorCode> {
    result.err().map(|(_, code)| code)
}

/// A topic to be made.
struct Plan {
    name: String,
    partitions: PartitionId,
    settings: Vec<(&'static str, String)>,
}

impl Plan {
    fn new(cluster: &Cluster, topic: Topic) -> Self {
        let partitions = topic.partitions().among(cluster.config.partitions);
        Self {
            name: cluster.config.name_of(topic),
            partitions,
            settings: policy::settings_of(topic, cluster.retained_bytes(topic)),
        }
    }

    fn new_topic(&self) -> NewTopic<'_> {
        // -1: as many replicas as the brokers' default says.
        let topic = NewTopic::new(&self.name, self.partitions, TopicReplication::Fixed(-1));
        self.settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
    }
}
