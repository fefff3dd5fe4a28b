//! The effective configuration with the origin of each value, and the state of the WAL reader's slot.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::state::Operators;
use crate::clock::whole_ms;
use crate::config::ShownKey;
use crate::sources::wal::SlotStatus;

/// If PostgreSQL does not answer by then, the answer says so.
const SLOT_PATIENCE: Duration = Duration::from_secs(8);

/// Every key with its value and where it comes from; secrets are hidden.
#[utoipa::path(get, path = "/admin/config", tag = "operators", responses((status = 200, body = [Object])))]
pub fn config(State(operators): State<Arc<Operators>>) -> Ready<Json<Arc<Vec<ShownKey>>>> {
    ready(Json(operators.process.settings.clone()))
}

/// The WAL reader of this process, and the slot that it reads.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CdcReport {
    /// `stopped`, `starting`, `waiting`, `first-start`, `streaming` or `alarm`.
    phase: &'static str,
    /// The same for people, with what to do.
    says: String,
    /// Order items that this process published.
    rows: u64,
    /// Age of the oldest WAL that is not published, in milliseconds; null: unknown.
    lag_ms: Option<u64>,
    /// As `kartshoppe cdc status --json` shows it; null if PostgreSQL does not answer.
    #[schema(value_type = Option<Object>)]
    slot: Option<SlotStatus>,
    /// Why it does not.
    slot_unknown: Option<String>,
}

/// The state of the WAL reader and its slot.
#[utoipa::path(get, path = "/admin/cdc", tag = "operators", responses((status = 200, body = CdcReport)))]
pub async fn cdc(State(operators): State<Arc<Operators>>) -> Result<Json<CdcReport>, Failure> {
    let report = operators.wal.report();
    let asked = tokio::time::timeout(SLOT_PATIENCE, operators.wal.slot_status(&*operators.log)).await;
    let (slot, slot_unknown) = match asked {
        Ok(Ok(slot)) => (Some(slot), None),
        Ok(Err(error)) => (None, Some(error.to_string())),
        Err(_) => return Err(Problem::unavailable("database_silent", "PostgreSQL does not answer").into()),
    };
    Ok(Json(CdcReport {
        phase: report.state(),
        says: report.sentence(),
        rows: report.rows,
        lag_ms: report.lag().map(whole_ms),
        slot,
        slot_unknown,
    }))
}
