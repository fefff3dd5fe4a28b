//! What pages send of their part of a trace: checked, and passed on to the collector.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api::body::BeaconBody;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::state::Shop;
use crate::telemetry::browser;
use crate::wire::pages::browser_spans::{BrowserSpans, PageSpan};

/// Spans of one request, and its bytes: a page sends every two seconds.
const SPANS_MAX: usize = 50;
const BYTES_MAX: usize = 16 * 1024;

/// Takes spans of a page; `accepted` says how many of them go on to the collector, as there is a budget. Answered with 404 where
/// `browserTracing` of the status is false.
#[utoipa::path(post, path = "/api/ecommerce/traces", tag = "events", request_body = BrowserSpans,
    responses((status = 202, description = "taken", body = Object)))]
pub fn take(
    State(shop): State<Arc<Shop>>,
    BeaconBody { value: batch, bytes }: BeaconBody<BrowserSpans>,
) -> Ready<Result<(StatusCode, Json<Value>), Failure>> {
    if !shop.browser_tracing {
        return ready(Err(Problem::not_found("browser tracing is off").into()));
    }
    if bytes.len() > BYTES_MAX || batch.spans.len() > SPANS_MAX {
        return ready(Err(Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE, "more spans than a page may report").into()));
    }
    let taken = browser::take(batch.spans.iter().filter_map(PageSpan::read).collect());
    ready(Ok((StatusCode::ACCEPTED, Json(json!({ "accepted": taken })))))
}
