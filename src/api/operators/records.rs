//! Records of a topic: read with a predicate, appended by hand; and dead letters, the newest first.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::audit::Change;
use super::search::{EndedBy, Search, partitions};
use super::topics::named;
use crate::api::body::JsonBody;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::shop::query::{Parameters, Parsed};
use crate::api::state::Operators;
use crate::log::{Appended, NewRecord};
use crate::records::{Predicate, ReadFrom, RecordDraft};
use crate::wire::topics::Topic;

/// Records of one answer unless more are asked for, and at most.
const LIMIT: i64 = 100;
const LIMIT_MAX: i64 = 10_000;
const APPEND_DEADLINE: Duration = Duration::from_secs(10);

/// Some records of a topic.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordsPage {
    /// In the order of their times; within a partition in its order.
    #[schema(value_type = Vec<Object>)]
    pub(super) records: Vec<Box<RawValue>>,
    /// The end was reached: there is nothing more that fits.
    pub(super) complete: bool,
    /// Why the end was not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_by: Option<EndedBy>,
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
    let from = ReadFrom::parse(parameters.text("from").unwrap_or("start")).map_err(|reason| Problem::field("from", reason))?;
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
    JsonBody { value: drafts, .. }: JsonBody<Drafts, true>,
) -> Result<(Extension<Change>, Json<RecordsAppended>), Failure> {
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
    let appended: Vec<RecordPlace> = places.iter().map(place).collect();
    Ok((Extension(Change(format!("appended {} records", appended.len()))), Json(RecordsAppended { appended })))
}

/// The newest dead letters, the newest first.
#[utoipa::path(get, path = "/admin/dead-letters", tag = "operators", params(("limit" = Option<u32>, Query)),
    responses((status = 200, body = RecordsPage)))]
pub async fn dead_letters(State(operators): State<Arc<Operators>>, parameters: Parsed) -> Result<Json<RecordsPage>, Failure> {
    let limit = Parameters::new(parameters)?.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
    let search = Search {
        topic: Topic::DeadLetters,
        partition: None,
        from: ReadFrom::Last(limit),
        limit: usize::try_from(limit).unwrap_or_default(),
        predicate: None,
    };
    let mut page = search.run(&*operators.log, &operators.clock).await?;
    page.records.reverse();
    Ok(Json(page))
}
