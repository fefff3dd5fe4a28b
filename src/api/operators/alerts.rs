//! Alerts: the open one of each product, and the last thousand.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::api::state::Operators;
use crate::wire::topics::alert_event::AlertEvent;

/// Alerts as operators see them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertsReport {
    /// One per product that is low or out of stock.
    #[schema(value_type = Vec<AlertEvent>)]
    open: Vec<Arc<AlertEvent>>,
    /// The newest first.
    #[schema(value_type = Vec<AlertEvent>)]
    recent: Vec<Arc<AlertEvent>>,
}

/// The open alerts and the last thousand.
#[utoipa::path(get, path = "/admin/alerts", tag = "operators", responses((status = 200, body = AlertsReport)))]
pub fn list(State(operators): State<Arc<Operators>>) -> Ready<Json<AlertsReport>> {
    ready(Json(AlertsReport { open: operators.alerts.open(), recent: operators.alerts.recent() }))
}
