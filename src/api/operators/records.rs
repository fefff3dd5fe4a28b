//! Records of a topic: read with a predicate, appended by hand; and dead letters, the newest first.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};

use super::audit::Change;
use super::search::{LIMIT, LIMIT_MAX, RecordsPage, TIME_MS_MAX, common, form, predicate, run};
use super::topics::named;
use crate::api::body::JsonBody;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::shop::query::{Parameters, Parsed};
use crate::api::state::Operators;
use crate::log::{Appended, EventLog, LogError, NewRecord, Start, Stop, TopicPartition};
use crate::records::search::{Direction, EndedBy, MergeOrder, Query};
use crate::records::{Form, ReadFrom, RecordDraft, raw, shown};
use crate::wire::topics::Topic;

const APPEND_DEADLINE: Duration = Duration::from_secs(10);
/// One record is read within this.
const ONE_TIME: Duration = Duration::from_secs(5);

/// One record, or several.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(untagged, try_from = "DraftsBody")]
pub enum Drafts {
    Many { records: Vec<RecordDraft> },
    One(RecordDraft),
}

/// Both at once: what serde buffers, to try one variant after the other, loses the text of the values.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DraftsBody {
    records: Option<Vec<RecordDraft>>,
    key: Option<String>,
    value: Option<Box<RawValue>>,
    value_base64: Option<String>,
    headers: Option<Map<String, Value>>,
    partition: Option<i32>,
}

impl TryFrom<DraftsBody> for Drafts {
    type Error = String;

    fn try_from(body: DraftsBody) -> Result<Self, String> {
        let DraftsBody { records, key, value, value_base64, headers, partition } = body;
        let Some(records) = records else {
            return Ok(Self::One(RecordDraft { key, value, value_base64, headers: headers.unwrap_or_default(), partition }));
        };
        let beside = [
            ("key", key.is_some()),
            ("value", value.is_some()),
            ("valueBase64", value_base64.is_some()),
            ("headers", headers.is_some()),
            ("partition", partition.is_some()),
        ];
        match beside.into_iter().find(|(_, stands)| *stands) {
            Some((name, _)) => Err(format!("unknown field `{name}` beside records: each record has its own")),
            None => Ok(Self::Many { records }),
        }
    }
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

/// Records of a topic, up to the end as it stands: those at and after `from` in the order of their append times, or the newest of
/// the last N.
#[utoipa::path(get, path = "/admin/topics/{topic}/records", tag = "operators",
    params(("topic" = String, Path),
        ("from" = Option<String>, Query, description = "start (the default), end, an offset, -N for the last N, -1h, a time"),
        ("to" = Option<String>, Query, description = "as `from`, but exclusive"),
        ("limit" = Option<u32>, Query), ("partition" = Option<i32>, Query),
        ("where" = Option<String>, Query, description = ".value.productId == \"PROD_0001\""),
        ("cursor" = Option<String>, Query, description = "from the previous page; all other parameters must be the same")),
    responses((status = 200, body = RecordsPage)))]
pub async fn read(
    State(operators): State<Arc<Operators>>,
    Path(topic): Path<String>,
    parameters: Parsed,
) -> Result<Json<RecordsPage>, Failure> {
    let (topic, parameters) = (named(&topic)?, Parameters::new(parameters)?);
    let newest = parameters.text("from").is_some_and(|from| matches!(ReadFrom::parse(from), Ok(ReadFrom::Last(_))));
    let direction = if newest { Direction::Newest } else { Direction::Oldest };
    let common = common(&parameters, vec![topic], predicate(&parameters)?, ReadFrom::Start, form(&parameters)?)?;
    let cursor = parameters.text("cursor").filter(|text| !text.is_empty());
    let page = run(&operators, Query { direction, ..common }, TIME_MS_MAX, cursor).await?;
    let mut page = RecordsPage::from(page);
    if newest {
        page.records.reverse();
        page.is_what_was_asked_for();
    }
    Ok(Json(page))
}

impl RecordsPage {
    /// The newest were asked for, and these are they, although there are older ones.
    fn is_what_was_asked_for(&mut self) {
        if self.ended_by == Some(EndedBy::Limit) {
            (self.complete, self.ended_by, self.cursor) = (true, None, None);
        }
    }
}

/// Appends records as they are; one array is one record. A topic that one part of the shop alone writes is refused.
#[utoipa::path(post, path = "/admin/topics/{topic}/records", tag = "operators",
    params(("topic" = String, Path),
        ("foreign" = Option<bool>, Query, description = "false: refuse a record of a topic that has an owner; its readers take what they find there for the owner's")),
    request_body = Drafts,
    responses((status = 200, body = RecordsAppended), (status = 409, description = "only the topic's owner writes it")))]
pub async fn append(
    State(operators): State<Arc<Operators>>,
    Path(topic): Path<String>,
    parameters: Parsed,
    JsonBody { value: drafts, .. }: JsonBody<Drafts>,
) -> Result<(Extension<Change>, Json<RecordsAppended>), Failure> {
    let topic = named(&topic)?;
    if Parameters::new(parameters)?.truth("foreign")? == Some(false) {
        refuse_owned(topic)?;
    }
    let partitions = partitions(&*operators.log, topic).await?;
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

/// A record of another program would be taken for the owner's by every reader of the topic.
fn refuse_owned(topic: Topic) -> Result<(), Problem> {
    let Some(owner) = topic.owner() else { return Ok(()) };
    let instead = match topic {
        Topic::Products => "; to change a product, write to product-updates",
        Topic::InventoryEvents | Topic::InventoryAlerts | Topic::WebsocketFanout => {
            "; to make the inventory decide something, write to product-updates or order-events"
        }
        Topic::ProductUpdates
        | Topic::OrderEvents
        | Topic::EcommerceEvents
        | Topic::ShoppingCartEvents
        | Topic::CdcPositions
        | Topic::Health
        | Topic::DeadLetters
        | Topic::ProcessingFanout
        | Topic::EcommerceProcessingFanout
        | Topic::Recommendations
        | Topic::InventoryUpdates
        | Topic::BasketPatterns
        | Topic::ProductRecommendations => "",
    };
    let text = format!(
        "{topic} is written by the shop itself ({owner}), and its readers believe what they find{instead}; \
         without ?foreign=false a foreign record is written"
    );
    Err(Problem::new(StatusCode::CONFLICT, "owned_topic", text).with("owner", json!(owner)))
}

/// One record, as it is shown and to the byte.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OneRecord {
    #[schema(value_type = Object)]
    record: Box<RawValue>,
    /// `key`, `value` and `headers` in base64; null where there is none.
    #[schema(value_type = Object)]
    raw: Value,
    /// The partition as it stands.
    start: i64,
    end: i64,
}

/// One record by its place.
#[utoipa::path(get, path = "/admin/records/{topic}/{partition}/{offset}", tag = "operators",
    params(("topic" = String, Path), ("partition" = i32, Path), ("offset" = i64, Path),
        ("values" = Option<String>, Query, description = "json (the default), or text: the value's bytes as text")),
    responses((status = 200, body = OneRecord)))]
pub async fn one(
    State(operators): State<Arc<Operators>>,
    Path((topic, partition, offset)): Path<(String, i32, i64)>,
    parameters: Parsed,
) -> Result<Json<OneRecord>, Failure> {
    let (topic, form) = (named(&topic)?, form(&Parameters::new(parameters)?)?);
    let info = operators.log.topics().await?.into_iter().find(|info| info.topic == topic);
    let partitions = info.map(|info| info.partitions).ok_or_else(|| LogError::UnknownTopic(topic.name().to_owned()))?;
    let bounds = usize::try_from(partition).ok().and_then(|number| partitions.get(number)).copied();
    let bounds =
        bounds.ok_or_else(|| Problem::not_found(format!("the topic has {} partitions, numbered from 0", partitions.len())))?;
    let nothing = |why: &str| Problem::not_found(format!("{topic}/{partition} has no record at {offset}: {why}"));
    if !(bounds.start..bounds.end).contains(&offset) {
        return Err(nothing(&format!("it holds {} to {}", bounds.start, bounds.end)).into());
    }
    let from = [(TopicPartition::new(topic, partition), Start::Offset(offset))];
    let read = timeout(ONE_TIME, async {
        let mut reader = operators.log.reader(&from, Stop::AtEnd).await?;
        loop {
            match reader.read(1, ONE_TIME).await?.into_iter().next() {
                None if !reader.caught_up() => {}
                record => return Ok::<_, LogError>(record.filter(|record| record.offset == offset)),
            }
        }
    });
    let record = read.await.map_err(|_| LogError::Deadline { waited: ONE_TIME })??;
    let record = record.ok_or_else(|| nothing("compaction or retention removed it, or it is a transaction marker"))?;
    let shown = shown(&record, form).ok_or_else(|| nothing("it cannot be shown"))?;
    Ok(Json(OneRecord { record: shown, raw: raw(&record), start: bounds.start, end: bounds.end }))
}

/// How many partitions a topic has.
async fn partitions(log: &dyn EventLog, topic: Topic) -> Result<usize, LogError> {
    let known = log.topics().await?.into_iter().find(|info| info.topic == topic);
    known.map(|info| info.partitions.len()).ok_or_else(|| LogError::UnknownTopic(topic.name().to_owned()))
}

/// The newest dead letters, the newest first.
#[utoipa::path(get, path = "/admin/dead-letters", tag = "operators", params(("limit" = Option<u32>, Query)),
    responses((status = 200, body = RecordsPage)))]
pub async fn dead_letters(State(operators): State<Arc<Operators>>, parameters: Parsed) -> Result<Json<RecordsPage>, Failure> {
    let limit = Parameters::new(parameters)?.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
    let query = Query {
        topics: vec![Topic::DeadLetters],
        partition: None,
        predicate: None,
        from: ReadFrom::Start,
        to: None,
        order: MergeOrder::Time,
        direction: Direction::Newest,
        limit: usize::try_from(limit).unwrap_or_default(),
        form: Form::Json,
        until: Instant::now(),
    };
    let mut page = RecordsPage::from(run(&operators, query, TIME_MS_MAX, None).await?);
    page.is_what_was_asked_for();
    Ok(Json(page))
}
