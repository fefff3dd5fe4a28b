//! Topics: what there is, and making what is missing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::audit::Change;
use crate::actors::inventory::INVENTORY_GROUP;
use crate::api::body::OptionalJsonBody;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::shop::query::{Parameters, Parsed};
use crate::api::state::Operators;
use crate::log::{EventLog, PartitionInfo, Positions, Start, Stop, TopicInfo, TopicPartition};
use crate::wire::topics::{Retention, Topic};

/// Offsets before a partition's end among which its newest record is looked for: Kafka's transactions take some for themselves.
const LAST_OFFSETS: i64 = 8;
const LAST_CHUNK: usize = 500;
const NEWEST_PATIENCE: Duration = Duration::from_secs(3);

/// A topic as it stands.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicReport {
    pub topic: String,
    pub partitions: Vec<PartitionReport>,
    /// Records that the inventory has still to take; of its inputs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
    /// The part of the shop that is its only writer: a record of another program is foreign there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(flatten, default)]
    pub details: TopicDetails,
}

/// What costs the log more than a look; with `details` only.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicDetails {
    /// `delete`, `compact` or both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<String>,
    /// How long records stay, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// Kafka's own settings of the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<BTreeMap<String, String>>,
    /// When the newest record was appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_record_ms: Option<i64>,
}

/// First retained offset and end of a partition.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitionReport {
    pub start: i64,
    pub end: i64,
    /// Where the inventory goes on, and how many records lie before it; of its inputs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
}

/// Which topics to make.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicsOrder {
    /// Also the platform's topics that the shop does not use.
    #[serde(default)]
    pub all: bool,
    /// These only.
    #[serde(default)]
    pub topics: Option<Vec<String>>,
}

/// What was made.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TopicsMade {
    pub created: Vec<String>,
}

/// The topics that exist.
#[utoipa::path(get, path = "/admin/topics", tag = "operators",
    params(("details" = Option<bool>, Query, description = "also retention, settings and the time of the newest record")),
    responses((status = 200, body = [TopicReport])))]
pub async fn list(State(operators): State<Arc<Operators>>, parameters: Parsed) -> Result<Json<Vec<TopicReport>>, Failure> {
    let wants_details = Parameters::new(parameters)?.truth("details")? == Some(true);
    let log = &*operators.log;
    let mut topics = log.topics().await?;
    topics.sort_by_key(|info| info.topic);
    let positions = log.committed(INVENTORY_GROUP).await?;
    let mut details = if wants_details { details(log, &topics).await? } else { BTreeMap::new() };
    let report = |info: &TopicInfo| report(info, &positions, details.remove(&info.topic).unwrap_or_default());
    Ok(Json(topics.iter().map(report).collect()))
}

/// Retention and settings as the log has them, or as the contract says where it may not be asked; and the newest records' times.
async fn details(log: &dyn EventLog, topics: &[TopicInfo]) -> Result<BTreeMap<Topic, TopicDetails>, Failure> {
    let (mut kept, mut settings) = (log.kept().await.unwrap_or_default(), log.settings().await.unwrap_or_default());
    let newest = newest(log, topics).await?;
    let of = |info: &TopicInfo| {
        let topic = info.topic;
        let settings = settings.remove(&topic).filter(|settings| !settings.is_empty());
        let by_contract = if topic.retention() == Retention::Compacted { "compact" } else { "delete" };
        let details = TopicDetails {
            cleanup: settings
                .as_ref()
                .and_then(|settings| settings.get("cleanup.policy").cloned())
                .or(Some(by_contract.to_owned())),
            kept: kept.remove(&topic).or_else(|| Some(topic.retention().in_words())),
            last_record_ms: newest.get(&topic).copied(),
            settings,
        };
        (topic, details)
    };
    Ok(topics.iter().map(of).collect())
}

/// The append time of the newest record of each topic, from the last few offsets of its partitions: some hold no record.
async fn newest(log: &dyn EventLog, topics: &[TopicInfo]) -> Result<BTreeMap<Topic, i64>, Failure> {
    let starts: Vec<(TopicPartition, Start)> = topics
        .iter()
        .flat_map(|info| (0..).zip(&info.partitions).map(|(number, partition)| (info.topic, number, partition)))
        .filter(|(_, _, partition)| partition.end > partition.start)
        .map(|(topic, number, partition)| {
            let start = partition.end.saturating_sub(LAST_OFFSETS).max(partition.start);
            (TopicPartition::new(topic, number), Start::Offset(start))
        })
        .collect();
    let mut newest = BTreeMap::new();
    let until = Instant::now() + NEWEST_PATIENCE;
    let Ok(reader) = timeout_at(until, log.reader(&starts, Stop::AtEnd)).await else { return Ok(newest) };
    let mut reader = reader?;
    while let Ok(records) = timeout_at(until, reader.read(LAST_CHUNK, NEWEST_PATIENCE)).await {
        let records = records?;
        for record in &records {
            let newest = newest.entry(record.topic).or_insert(record.append_time_ms);
            *newest = record.append_time_ms.max(*newest);
        }
        if records.is_empty() || reader.caught_up() {
            break;
        }
    }
    Ok(newest)
}

/// Makes the topics that are missing.
#[utoipa::path(post, path = "/admin/topics", tag = "operators", request_body = TopicsOrder,
    responses((status = 200, body = TopicsMade)))]
pub async fn create(
    State(operators): State<Arc<Operators>>,
    OptionalJsonBody(order): OptionalJsonBody<TopicsOrder>,
) -> Result<(Extension<Change>, Json<TopicsMade>), Failure> {
    let created = operators.log.create_topics(&order.topics()?).await?;
    let created: Vec<String> = created.iter().map(ToString::to_string).collect();
    Ok((Extension(Change(format!("created the topics [{}]", created.join(", ")))), Json(TopicsMade { created })))
}

impl TopicsOrder {
    fn topics(&self) -> Result<Vec<Topic>, Problem> {
        match &self.topics {
            Some(names) => names.iter().map(|name| named(name)).collect(),
            None => Ok(Topic::ALL.into_iter().filter(|topic| self.all || topic.is_ours()).collect()),
        }
    }
}

/// A topic of the contract.
///
/// # Errors
/// 404 with the names that there are.
pub fn named(name: &str) -> Result<Topic, Problem> {
    Topic::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Topic::ALL.into_iter().map(Topic::name).collect();
        Problem::not_found(format!("there is no such topic; the topics are {}", names.join(", ")))
    })
}

fn report(info: &TopicInfo, positions: &Positions, details: TopicDetails) -> TopicReport {
    let is_input = |topic: Topic| matches!(topic, Topic::ProductUpdates | Topic::OrderEvents);
    let partition = |(number, partition): (i32, &PartitionInfo)| {
        let committed = positions.get(&TopicPartition::new(info.topic, number)).map(|position| position.offset);
        let lag = is_input(info.topic).then(|| (partition.end - committed.unwrap_or(0).max(partition.start)).max(0));
        PartitionReport { start: partition.start, end: partition.end, committed, lag }
    };
    let partitions: Vec<PartitionReport> = (0..).zip(&info.partitions).map(partition).collect();
    let lag = is_input(info.topic).then(|| partitions.iter().filter_map(|partition| partition.lag).sum());
    TopicReport { topic: info.topic.to_string(), partitions, lag, owner: info.topic.owner().map(str::to_owned), details }
}
