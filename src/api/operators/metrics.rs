//! `/metrics`: OpenMetrics text.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::problem::Problem;
use crate::api::state::Operators;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every figure of this process.
#[utoipa::path(get, path = "/metrics", tag = "operators",
    responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
pub fn read(State(operators): State<Arc<Operators>>) -> Ready<Response> {
    ready(match operators.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR, "").into_response(),
    })
}
