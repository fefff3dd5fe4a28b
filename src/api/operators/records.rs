//! Records of a topic: read with a predicate, appended by hand; and dead letters, the newest first.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::topics::named;
use crate::api::body::JsonBody;
use crate::api::failure::Failure;
use crate::api::predicate::Predicate;
use crate::api::problem::Problem;
use crate::api::record_view::{From, RecordDraft, view};
use crate::api::shop::query::{Parameters, Parsed};
use crate::api::state::Operators;
use crate::clock::Clock;
use crate::log::{
    Appended, EventLog, LogError, NewRecord, Offset, PartitionId, PartitionInfo, Record, Start, Stop, TopicPartition,
};
use crate::wire::topics::Topic;

/// Records of one answer unless more are asked for, and at most.
const LIMIT: i64 = 100;
const LIMIT_MAX: i64 = 10_000;
/// Records read at once.
const CHUNK: usize = 1_000;
const READ_WAIT: Duration = Duration::from_millis(200);
/// A search that takes longer ends with an error that says so.
const SEARCH_TIME: Duration = Duration::from_secs(20);
const APPEND_DEADLINE: Duration = Duration::from_secs(10);

/// Some records of a topic.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordsPage {
    /// In the order of their times; within a partition in its order.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Value>,
    /// The end was reached: there is nothing more that fits.
    complete: bool,
}

/// One record, or several.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Drafts {
    Many { records: Vec<RecordDraft> },
    One(RecordDraft),
}

/// Where the appended records are.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordsAppended {
    pub appended: Vec<RecordPlace>,
}

/// Where one record is.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordPlace {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
}

/// Records of a topic, up to the end as it stands.
#[utoipa::path(get, path = "/admin/topics/{topic}/records", tag = "operators",
    params(("topic" = String, Path),
        ("from" = Option<String>, Query, description = "start (if left out), end, an offset, -N for the last N, -1h"),
        ("limit" = Option<u32>, Query), ("partition" = Option<i32>, Query),
        ("where" = Option<String>, Query, description = ".value.productId == \"PROD_0001\"")),
    responses((status = 200, body = RecordsPage)))]
pub async fn read(
    State(operators): State<Arc<Operators>>,
    Path(topic): Path<String>,
    parameters: Parsed,
) -> Result<Json<RecordsPage>, Failure> {
    let (topic, parameters) = (named(&topic)?, Parameters::new(parameters)?);
    let partition = parameters.number("partition", 0, i64::from(i32::MAX))?.and_then(|partition| i32::try_from(partition).ok());
    let from = From::parse(parameters.text("from").unwrap_or("start")).map_err(|reason| Problem::field("from", reason))?;
    let predicate = parameters.text("where").filter(|text| !text.trim().is_empty()).map(Predicate::parse).transpose();
    let search = Search {
        topic,
        partition,
        from,
        limit: usize::try_from(parameters.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT)).unwrap_or_default(),
        predicate: predicate.map_err(|invalid| Problem::field("where", invalid.to_string()))?,
    };
    Ok(Json(search.run(&*operators.log, &operators.clock).await?))
}

/// Appends records as they are; one array is one record.
#[utoipa::path(post, path = "/admin/topics/{topic}/records", tag = "operators", params(("topic" = String, Path)),
    request_body = Drafts, responses((status = 200, body = RecordsAppended)))]
pub async fn append(
    State(operators): State<Arc<Operators>>,
    Path(topic): Path<String>,
    JsonBody { value: drafts, .. }: JsonBody<Drafts>,
) -> Result<Json<RecordsAppended>, Failure> {
    let topic = named(&topic)?;
    let partitions = partitions(&*operators.log, topic).await?.len();
    let drafts = match drafts {
        Drafts::One(draft) => vec![draft],
        Drafts::Many { records } => records,
    };
    let records: Result<Vec<NewRecord>, _> = drafts.into_iter().map(|draft| draft.record(topic, partitions)).collect();
    let records = records.map_err(|(field, reason)| Problem::field(field, reason))?;
    if records.is_empty() {
        return Err(Problem::field("records", "is empty").into());
    }
    let places = operators.log.append(records, APPEND_DEADLINE).await?;
    let place =
        |place: &Appended| RecordPlace { partition: place.partition, offset: place.offset, timestamp: place.append_time_ms };
    Ok(Json(RecordsAppended { appended: places.iter().map(place).collect() }))
}

/// The newest dead letters, the newest first.
#[utoipa::path(get, path = "/admin/dead-letters", tag = "operators", params(("limit" = Option<u32>, Query)),
    responses((status = 200, body = RecordsPage)))]
pub async fn dead_letters(State(operators): State<Arc<Operators>>, parameters: Parsed) -> Result<Json<RecordsPage>, Failure> {
    let limit = Parameters::new(parameters)?.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
    let search = Search {
        topic: Topic::DeadLetters,
        partition: None,
        from: From::Last(limit),
        limit: usize::try_from(limit).unwrap_or_default(),
        predicate: None,
    };
    let mut page = search.run(&*operators.log, &operators.clock).await?;
    page.records.reverse();
    Ok(Json(page))
}

struct Search {
    topic: Topic,
    partition: Option<PartitionId>,
    from: From,
    limit: usize,
    predicate: Option<Predicate>,
}

/// What was found, with what it is sorted by.
struct Found {
    place: (i64, PartitionId, Offset),
    shown: Value,
}

impl Search {
    async fn run(&self, log: &dyn EventLog, clock: &Clock) -> Result<RecordsPage, Failure> {
        let known = partitions(log, self.topic).await?;
        let mut starts = Vec::new();
        for (number, info) in (0..).zip(&known).filter(|(number, _)| self.partition.is_none_or(|wanted| wanted == *number)) {
            starts.push((TopicPartition::new(self.topic, number), self.from.start(info, clock)));
        }
        if starts.is_empty() {
            let message = format!("the topic has {} partitions, numbered from 0", known.len());
            return Err(Problem::field("partition", message).into());
        }
        let found = tokio::time::timeout(SEARCH_TIME, self.read(log, &starts)).await;
        let (mut found, complete) = found.map_err(|_| LogError::Deadline { waited: SEARCH_TIME })??;
        found.sort_by_key(|found| found.place);
        if matches!(self.from, From::Last(_)) {
            found.drain(..found.len().saturating_sub(self.limit));
        }
        Ok(RecordsPage { records: found.into_iter().map(|found| found.shown).collect(), complete })
    }

    async fn read(&self, log: &dyn EventLog, starts: &[(TopicPartition, Start)]) -> Result<(Vec<Found>, bool), LogError> {
        let mut reader = log.reader(starts, Stop::AtEnd).await?;
        let mut found = Vec::new();
        // The last ones of each partition are read whole: which of them are the last of all shows in the end.
        let enough = if matches!(self.from, From::Last(_)) { usize::MAX } else { self.limit };
        loop {
            let records = reader.read(CHUNK, READ_WAIT).await?;
            if records.is_empty() && reader.caught_up() {
                return Ok((found, true));
            }
            for record in &records {
                if found.len() == enough {
                    return Ok((found, false));
                }
                found.extend(self.found(record));
            }
        }
    }

    fn found(&self, record: &Record) -> Option<Found> {
        let shown = view(record);
        let fits = self.predicate.as_ref().is_none_or(|predicate| predicate.holds(&shown));
        fits.then_some(Found { place: (record.append_time_ms, record.partition, record.offset), shown })
    }
}

async fn partitions(log: &dyn EventLog, topic: Topic) -> Result<Vec<PartitionInfo>, LogError> {
    let known = log.topics().await?.into_iter().find(|info| info.topic == topic);
    known.map(|info| info.partitions).ok_or_else(|| LogError::UnknownTopic(topic.name().to_owned()))
}
