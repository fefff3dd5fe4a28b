//! `GET /admin/tail`: new records as server-sent events.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout};

use super::search::{common, failure, form, predicate, topics};
use super::stream::events;
use super::turns::Turns;
use crate::api::failure::Failure;
use crate::api::shop::query::{Parameters, Parsed};
use crate::api::state::Operators;
use crate::log::LogError;
use crate::records::search::{Batch, Tail};
use crate::records::{ReadFrom, on_one_line};

/// At most ten batches a second.
const EVERY: Duration = Duration::from_millis(100);
/// Interval of keep-alives on a quiet stream; they also show that a client has disconnected.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
const OPEN_TIME: Duration = Duration::from_secs(10);

static STREAMS: Turns = Turns::new(8, "too many requests follow topics: try again");

/// One event of the stream.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TailBatch {
    /// In each partition in its order.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Box<RawValue>>,
    /// Records read since the stream began.
    scanned: u64,
    /// Records left out since then, as there were more than one event holds.
    skipped: u64,
    /// Why the stream ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Follows topics: one event every 100 ms while records come, one a second otherwise.
#[utoipa::path(get, path = "/admin/tail", tag = "operators",
    params(("topics" = String, Query, description = "comma-separated names"),
        ("where" = Option<String>, Query, description = ".value.productId == \"PROD_0001\""),
        ("from" = Option<String>, Query, description = "end (the default), -N for the last N of each partition, -1h, a time"),
        ("partition" = Option<i32>, Query),
        ("values" = Option<String>, Query, description = "json (the default), or text: the value's bytes as text")),
    responses((status = 200, content_type = "text/event-stream", body = TailBatch)))]
pub async fn read(State(operators): State<Arc<Operators>>, parameters: Parsed) -> Result<Response, Failure> {
    let parameters = Parameters::new(parameters)?;
    let query = common(&parameters, topics(&parameters)?, predicate(&parameters)?, ReadFrom::End, form(&parameters)?)?;
    let turn = STREAMS.take()?;
    let opened = timeout(OPEN_TIME, Tail::open(&*operators.log, &operators.clock, &query)).await;
    let tail = opened.map_err(|_| LogError::Deadline { waited: OPEN_TIME })?.map_err(failure)?;
    let said = Instant::now();
    let follower = Follower { tail, _turn: turn, scanned: 0, skipped: 0, said, has_ended: false };
    let batches = futures_util::stream::unfold(follower, |mut follower| async move {
        let batch = follower.next().await?;
        Some((batch, follower))
    });
    Ok(events(batches, operators.lifeline.stop.clone()))
}

struct Follower {
    tail: Tail,
    _turn: SemaphorePermit<'static>,
    scanned: u64,
    skipped: u64,
    said: Instant,
    has_ended: bool,
}

impl Follower {
    /// The next batch, on one line as an event must be; `None` after an error.
    async fn next(&mut self) -> Option<Bytes> {
        if self.has_ended {
            return None;
        }
        loop {
            let (batch, error) = match self.tail.batch(EVERY).await {
                Ok(batch) => (batch, None),
                Err(error) => (Batch::default(), Some(error.to_string())),
            };
            self.scanned += batch.scanned;
            self.skipped += batch.skipped;
            self.has_ended = error.is_some();
            if error.is_some() || !batch.records.is_empty() || self.said.elapsed() >= SIGN_OF_LIFE {
                self.said = Instant::now();
                let batch = TailBatch { records: batch.records, scanned: self.scanned, skipped: self.skipped, error };
                let text = serde_json::to_string(&batch).unwrap_or_default();
                return Some(Bytes::from(on_one_line(&text).into_owned()));
            }
        }
    }
}
