//! Tracked user events: accepted as they are, queued outside the request's path.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api::body::BeaconBody;
use crate::api::observe::Trace;
use crate::api::state::Shop;
use crate::wire::pages::tracked_event::TrackedEvents;

/// Accepts a batch of tracked events. Any well-formed batch gets the same answer, whatever it holds; `accepted` says how many
/// of its events will be written, as there is a budget.
#[utoipa::path(post, path = "/api/ecommerce/events", tag = "events", request_body = TrackedEvents,
    responses((status = 202, description = "taken", body = Object)))]
pub fn track(
    State(shop): State<Arc<Shop>>,
    Extension(Trace(trace)): Extension<Trace>,
    BeaconBody { value: batch, .. }: BeaconBody<TrackedEvents>,
) -> Ready<(StatusCode, Json<Value>)> {
    let records = batch.records(|| uuid::Uuid::new_v4().to_string(), shop.clock.now_ms(), trace.as_ref());
    let taken = shop.recorder.note(records);
    ready((StatusCode::ACCEPTED, Json(json!({"accepted": taken}))))
}
