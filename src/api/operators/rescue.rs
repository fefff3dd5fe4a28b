//! Order items that wait for an outcome, and those that must not be published a second time: an operator decides about them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::api::failure::Failure;
use crate::api::state::Operators;
use crate::domain::EpochMs;

/// Stranded items of one answer; the oldest come first.
const STRANDED_MAX: i64 = 1_000;

/// Waiting items, and why some of them are not rescued.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rescue {
    waiting: Waiting,
    /// Moments before which outcomes may be missing, newest first: earlier direct items are never published again.
    gaps: Vec<Gap>,
    /// Those items. Either their event was applied and the outcome was lost, or it was never appended: the event log shows which.
    stranded: Vec<StrandedItem>,
}

/// Items without an outcome, by what happens to them next.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Waiting {
    /// The WAL reader publishes them.
    wal: i64,
    /// Published directly, or about to be.
    direct: i64,
    /// Past their expiry: the inventory is asked about them.
    expired: i64,
    /// Past their expiry and from before a gap.
    stranded: i64,
}

/// A moment before which outcomes may be missing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    partition: i32,
    reason: String,
    noticed_at: EpochMs,
}

/// A direct item from before a gap, without an outcome.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StrandedItem {
    order_id: String,
    order_item_id: String,
    product_id: String,
    quantity: i64,
    expired_at: EpochMs,
}

/// Items that wait, gaps, and items that an operator must decide about.
#[utoipa::path(get, path = "/admin/rescue", tag = "operators", responses((status = 200, body = Rescue)))]
pub async fn read(State(operators): State<Arc<Operators>>) -> Result<Json<Rescue>, Failure> {
    let store = &operators.store;
    let waiting = store.waiting().await?;
    let gaps = store.gaps().await?;
    let stranded = store.stranded(STRANDED_MAX).await?;
    Ok(Json(Rescue {
        waiting: Waiting { wal: waiting.wal, direct: waiting.direct, expired: waiting.expired, stranded: waiting.stranded },
        gaps: gaps
            .into_iter()
            .map(|gap| Gap { partition: gap.partition, reason: gap.reason, noticed_at: gap.noticed_at_ms })
            .collect(),
        stranded: stranded
            .into_iter()
            .map(|item| StrandedItem {
                order_id: item.order_id,
                order_item_id: item.order_item_id,
                product_id: item.product_id,
                quantity: item.quantity,
                expired_at: item.expired_at_ms,
            })
            .collect(),
    }))
}
