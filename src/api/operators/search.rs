//! `GET /admin/search`: several topics at once; and what all routes that read records share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use super::patient;
use super::topics::named;
use super::turns::Turns;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::server::{Lifeline, Peer};
use crate::api::shop::query::{Parameters, Parsed};
use crate::api::state::Operators;
use crate::records::search::{Direction, EndedBy, MergeOrder, Query, SearchError, SearchPage, search};
use crate::records::{Form, Predicate, ReadFrom};
use crate::wire::topics::Topic;

/// Default and maximum number of records of a page.
pub(super) const LIMIT: i64 = 100;
pub(super) const LIMIT_MAX: i64 = 10_000;
/// How long one page may take in milliseconds: default, minimum and maximum.
const TIME_MS: i64 = 5_000;
const TIME_MS_LEAST: i64 = 100;
pub(super) const TIME_MS_MAX: i64 = 20_000;
/// How long a search waits for others.
const TURN_WAIT: Duration = Duration::from_secs(20);
/// Longest name that a viewer gives itself.
const VIEWER_MAX_BYTES: usize = 64;

/// Searches that run at once, of all viewers.
static SEARCHES: Turns = Turns::new(4, "too many searches are running: try again");
/// The viewers that are searching: each may run one search at a time.
static VIEWERS: Mutex<BTreeMap<String, Weak<tokio::sync::Mutex<()>>>> = Mutex::new(BTreeMap::new());

/// Records that were found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordsPage {
    /// Merged in the order that was asked for; within a partition in its order. Numbers and keys stand as in the bytes.
    #[schema(value_type = Vec<Object>)]
    pub(super) records: Vec<Box<RawValue>>,
    /// Everything was searched: there are no further matches.
    pub(super) complete: bool,
    /// Why not everything was searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_by: Option<EndedBy>,
    /// The `cursor` parameter of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<String>,
    /// Records read so far, over all pages of this search.
    pub(super) scanned: u64,
    /// Records to be read at most: those read and the offsets that are left, some of which may hold no record.
    pub(super) total: u64,
}

impl From<SearchPage> for RecordsPage {
    fn from(page: SearchPage) -> Self {
        let SearchPage { records, ended_by, cursor, scanned, total } = page;
        Self { records, complete: ended_by.is_none(), ended_by, cursor, scanned, total }
    }
}

/// Searches several topics up to their ends as of the first page. A page that could not search everything has a cursor
/// for the next: nothing is lost or repeated between them. Each viewer has one search at a time.
#[utoipa::path(get, path = "/admin/search", tag = "operators",
    params(("topics" = String, Query, description = "comma-separated names"),
        ("where" = Option<String>, Query, description = ".value.productId == \"PROD_0001\""),
        ("from" = Option<String>, Query, description =
            "start (the default), end, an offset, -N for the last N of each partition, -1h, a time (RFC 3339 or epoch \
             milliseconds)"),
        ("to" = Option<String>, Query, description = "as `from`, but exclusive; default end"),
        ("order" = Option<String>, Query, description = "time (append time, the default) or offset"),
        ("direction" = Option<String>, Query, description = "oldest (first, the default) or newest"),
        ("partition" = Option<i32>, Query), ("limit" = Option<u32>, Query, description = "1 to 10000; default 100"),
        ("maxMs" = Option<u32>, Query, description = "how long the page may take: 100 to 20000; default 5000"),
        ("cursor" = Option<String>, Query, description = "from the previous page; all other parameters must be the same"),
        ("values" = Option<String>, Query, description = "json (the default), or text: the value's bytes as text"),
        ("viewer" = Option<String>, Query, description = "distinguishes viewers behind one address")),
    responses((status = 200, body = RecordsPage)))]
pub async fn read(
    State(operators): State<Arc<Operators>>,
    Extension(peer): Extension<Peer>,
    Extension(lifeline): Extension<Lifeline>,
    parameters: Parsed,
) -> Result<Response, Failure> {
    let parameters = Parameters::new(parameters)?;
    let order = choice(&parameters, "order", [("time", MergeOrder::Time), ("offset", MergeOrder::Offset)])?;
    let direction = choice(&parameters, "direction", [("oldest", Direction::Oldest), ("newest", Direction::Newest)])?;
    let time_ms = parameters.number("maxMs", TIME_MS_LEAST, TIME_MS_MAX)?.unwrap_or(TIME_MS);
    let common = common(&parameters, topics(&parameters)?, predicate(&parameters)?, ReadFrom::Start, form(&parameters)?)?;
    let query = Query { order, direction, ..common };
    let cursor = parameters.text("cursor").filter(|text| !text.is_empty()).map(str::to_owned);
    let viewer = viewer(&parameters, peer)?;
    let stop = lifeline.stop.clone();
    let page = async move {
        let _alone = viewer_turn(viewer).await?;
        let page = run(&operators, query, time_ms, cursor.as_deref()).await?;
        Ok::<_, Failure>(RecordsPage::from(page))
    };
    let stopping = || Failure::from(Problem::unavailable("stopping", "the server is stopping"));
    let page = async move { stop.run_until_cancelled_owned(page).await.unwrap_or_else(|| Err(stopping())) };
    patient::answer(Box::pin(page)).await
}

/// A search as `from`, `to`, `partition`, `limit` and `values` say, the oldest first.
pub(super) fn common(
    parameters: &Parameters,
    topics: Vec<Topic>,
    predicate: Option<(Predicate, String)>,
    from: ReadFrom,
    form: Form,
) -> Result<Query, Failure> {
    let partition = parameters.number("partition", 0, i64::from(i32::MAX))?;
    let limit = parameters.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
    Ok(Query {
        topics,
        partition: partition.and_then(|partition| i32::try_from(partition).ok()),
        predicate,
        from: place(parameters, "from")?.unwrap_or(from),
        to: place(parameters, "to")?,
        order: MergeOrder::Time,
        direction: Direction::Oldest,
        limit: usize::try_from(limit).unwrap_or_default(),
        form,
        until: Instant::now(),
    })
}

/// Runs a search when it is its turn.
pub(super) async fn run(operators: &Operators, query: Query, time_ms: i64, cursor: Option<&str>) -> Result<SearchPage, Failure> {
    let _turn = SEARCHES.wait(Instant::now() + TURN_WAIT).await?;
    let time = Duration::from_millis(time_ms.unsigned_abs());
    let query = Query { until: Instant::now() + time, ..query };
    search(&*operators.log, &operators.clock, &query, cursor).await.map_err(failure)
}

pub(super) fn failure(error: SearchError) -> Failure {
    match error {
        SearchError::Log(error) => Failure::Log(error),
        SearchError::Cursor => Problem::field("cursor", error.to_string()).into(),
        SearchError::Partition { .. } => Problem::field("partition", error.to_string()).into(),
        SearchError::TooMany { .. } => Problem::field("topics", error.to_string()).into(),
    }
}

pub(super) fn form(parameters: &Parameters) -> Result<Form, Problem> {
    choice(parameters, "values", [("json", Form::Json), ("text", Form::Text)])
}

/// The predicate, if there is one. A syntax error has its place: `at` counts characters from 1.
pub(super) fn predicate(parameters: &Parameters) -> Result<Option<(Predicate, String)>, Problem> {
    let Some(text) = parameters.text("where").filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let read = Predicate::parse(text);
    let predicate = read.map_err(|invalid| Problem::field("where", invalid.to_string()).with("at", json!(invalid.at)))?;
    Ok(Some((predicate, text.to_owned())))
}

pub(super) fn topics(parameters: &Parameters) -> Result<Vec<Topic>, Problem> {
    let names = parameters.texts("topics").flat_map(|names| names.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let mut topics: Vec<Topic> = names.map(named).collect::<Result<_, _>>()?;
    topics.sort_unstable();
    topics.dedup();
    if topics.is_empty() { Err(Problem::field("topics", "name at least one topic")) } else { Ok(topics) }
}

fn place(parameters: &Parameters, name: &str) -> Result<Option<ReadFrom>, Problem> {
    let text = parameters.text(name).filter(|text| !text.is_empty());
    text.map(ReadFrom::parse).transpose().map_err(|reason| Problem::field(name, reason))
}

/// One of two words; the first if none is given.
fn choice<T: Copy>(parameters: &Parameters, name: &str, [first, second]: [(&str, T); 2]) -> Result<T, Problem> {
    match parameters.text(name) {
        None | Some("") => Ok(first.1),
        Some(word) if word == first.0 => Ok(first.1),
        Some(word) if word == second.0 => Ok(second.1),
        Some(_) => Err(Problem::field(name, format!("expected {} or {}", first.0, second.0))),
    }
}

/// The viewer: its address, and the name that distinguishes viewers behind one address.
fn viewer(parameters: &Parameters, peer: Peer) -> Result<String, Problem> {
    let name = parameters.text("viewer").unwrap_or_default();
    if name.len() > VIEWER_MAX_BYTES {
        return Err(Problem::field("viewer", format!("at most {VIEWER_MAX_BYTES} bytes")));
    }
    Ok(format!("{} {name}", peer.ip()))
}

/// Waits until the viewer's other search has ended.
async fn viewer_turn(viewer: String) -> Result<OwnedMutexGuard<()>, Problem> {
    let turn = {
        let mut viewers = VIEWERS.lock().unwrap_or_else(PoisonError::into_inner);
        viewers.retain(|_, turn| turn.strong_count() > 0);
        let known = viewers.get(&viewer).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let turn = Arc::default();
            viewers.insert(viewer, Arc::downgrade(&turn));
            turn
        })
    };
    let wait = timeout_at(Instant::now() + TURN_WAIT, turn.lock_owned()).await;
    wait.map_err(|_| Problem::unavailable("busy", "another search of this viewer is running"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_viewer_has_one_search_at_a_time() {
        let waits = async |viewer: &str| timeout_at(Instant::now(), viewer_turn(viewer.to_owned())).await.is_err();
        let first = viewer_turn("192.0.2.9 a".to_owned()).await.unwrap();
        assert!(waits("192.0.2.9 a").await);
        let other = viewer_turn("192.0.2.9 b".to_owned()).await.unwrap();
        drop(first);
        drop(viewer_turn("192.0.2.9 a".to_owned()).await.unwrap());
        drop(other);
        let viewers = VIEWERS.lock().unwrap();
        assert!(viewers.iter().filter(|(viewer, _)| viewer.starts_with("192.0.2.9")).all(|(_, turn)| turn.strong_count() == 0));
    }
}
