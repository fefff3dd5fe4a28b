//! Orders as operators find them. A session's id is a credential of its shopper: it is taken from a header only, and shown as a
//! short hash.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::shop::query::{Parameters, Parsed};
use crate::api::state::Operators;
use crate::domain::EpochMs;
use crate::domain::ids::SessionId;
use crate::domain::order::OrderStatus;
use crate::store::{Order, OrderCursor, OrderItem, OrderSearch};
use crate::wire::money::Money;

/// Default and maximum number of orders in an answer.
const LIMIT: i64 = 50;
const LIMIT_MAX: i64 = 500;
/// Names the session whose orders are wanted; never a part of the URL, which logs and browser histories keep.
pub const SESSION_HEADER: &str = "x-kartshoppe-session";
/// No order is older: a century.
const AGE_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// Digits of a session's hash that are shown.
const HASH_DIGITS: usize = 10;

/// Some orders.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrdersPage {
    /// Newest first.
    orders: Vec<OrderSummary>,
    /// The cursor of the next page; null at the end.
    cursor: Option<String>,
}

/// An order in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderSummary {
    order_id: String,
    /// The first digits of the session's SHA-256; null for a row that was inserted by hand.
    session: Option<String>,
    status: String,
    total: Option<Money>,
    created_at: Option<EpochMs>,
    /// Its age, by this process's clock.
    age_ms: Option<i64>,
    products: Vec<String>,
    /// Items without an outcome.
    waiting: usize,
    /// Why it cannot be shown in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

/// Orders by id, product, status and age; by session with the header `X-KartShoppe-Session`.
#[utoipa::path(get, path = "/admin/orders", tag = "operators",
    params(("id" = Option<String>, Query), ("product" = Option<String>, Query),
        ("status" = Option<String>, Query, description = "PENDING, CONFIRMED, BACKORDERED or REJECTED"),
        ("olderThan" = Option<String>, Query, description = "30s, 5m, 2h"), ("youngerThan" = Option<String>, Query),
        ("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query),
        ("x-kartshoppe-session" = Option<String>, Header, description = "the orders of this session only")),
    responses((status = 200, body = OrdersPage)))]
pub async fn list(
    State(operators): State<Arc<Operators>>,
    headers: HeaderMap,
    parameters: Parsed,
) -> Result<Json<OrdersPage>, Failure> {
    let search = search(&headers, &Parameters::new(parameters)?)?;
    let mut places = operators.store.find_orders(&OrderSearch { limit: search.limit + 1, ..search.clone() }).await?;
    let limit = usize::try_from(search.limit).unwrap_or_default();
    let more = places.len() > limit;
    places.truncate(limit);
    let ids: Vec<String> = places.iter().map(|place| place.order_id.clone()).collect();
    let read = operators.store.orders(&ids).await?;
    let now = operators.clock.now_ms();
    let of = |place: &OrderCursor| {
        let found = read.found.iter().find(|order| order.order_id.as_str() == place.order_id);
        let reason = read.unreadable.iter().find(|order| order.order_id == place.order_id).map(|order| order.reason.clone());
        found.map_or_else(|| unreadable(&place.order_id, reason), |order| summary(order, now))
    };
    let cursor = if more { places.last().map(ToString::to_string) } else { None };
    Ok(Json(OrdersPage { orders: places.iter().map(of).collect(), cursor }))
}

fn search(headers: &HeaderMap, parameters: &Parameters) -> Result<OrderSearch, Problem> {
    let given = |name: &str| parameters.text(name).map(str::trim).filter(|text| !text.is_empty());
    if given("session").or_else(|| given("sessionId")).is_some() {
        return Err(Problem::field("session", "session ids are not accepted in the URL: send the header X-KartShoppe-Session"));
    }
    let session = headers.get(SESSION_HEADER).map(|text| {
        let wrong = |reason: String| Problem::field(SESSION_HEADER, reason);
        let text = text.to_str().map_err(|_| wrong("is not text".to_owned()))?;
        SessionId::new(text.trim()).map_err(|invalid| wrong(invalid.to_string()))
    });
    let age = |name: &str| -> Result<Option<Duration>, Problem> {
        let age = given(name).map(humantime::parse_duration).transpose();
        let age = age.map_err(|_| Problem::field(name, "expected a time like 30s, 5m or 2h"))?;
        Ok(age.map(|age| age.min(AGE_MAX)))
    };
    let status = given("status").map(|text| {
        let known = OrderStatus::parse(&text.to_ascii_uppercase());
        known.ok_or_else(|| Problem::field("status", "expected PENDING, CONFIRMED, BACKORDERED or REJECTED"))
    });
    let after = given("cursor")
        .map(|text| OrderCursor::parse(text).ok_or_else(|| Problem::field("cursor", "expected the cursor of an earlier answer")));
    let text = |name: &str| -> Result<Option<String>, Problem> {
        match given(name) {
            Some(text) if text.contains('\0') => Err(Problem::field(name, "contains a control character")),
            text => Ok(text.map(str::to_owned)),
        }
    };
    Ok(OrderSearch {
        order_id: text("id")?,
        session_id: session.transpose()?,
        product_id: text("product")?,
        status: status.transpose()?.map(|status| status.as_str().to_owned()),
        older_than: age("olderThan")?,
        younger_than: age("youngerThan")?,
        after: after.transpose()?,
        limit: parameters.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT),
    })
}

/// What is shown of a session's id.
pub(super) fn shown_session(session: &SessionId) -> String {
    use std::fmt::Write;
    let digest = Sha256::digest(session.as_str().as_bytes());
    let mut text = String::new();
    for byte in digest.iter().take(HASH_DIGITS / 2) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn summary(order: &Order, now: EpochMs) -> OrderSummary {
    let mut products: Vec<String> = order.items.iter().map(|item| item.product_id.to_string()).collect();
    products.dedup();
    let waits = |item: &&OrderItem| item.outcome.is_none() && item.publish_via != crate::store::PublishVia::History;
    OrderSummary {
        order_id: order.order_id.to_string(),
        session: order.session_id.as_ref().map(shown_session),
        status: order.status.clone(),
        total: Some(order.totals.total.into()),
        created_at: Some(order.created_at_ms),
        age_ms: Some(now.saturating_sub(order.created_at_ms)),
        products,
        waiting: order.items.iter().filter(waits).count(),
        unreadable: None,
    }
}

fn unreadable(order_id: &str, reason: Option<String>) -> OrderSummary {
    OrderSummary {
        order_id: order_id.to_owned(),
        session: None,
        status: "unreadable".to_owned(),
        total: None,
        created_at: None,
        age_ms: None,
        products: Vec::new(),
        waiting: 0,
        unreadable: Some(reason.unwrap_or_else(|| "it was deleted meanwhile".to_owned())),
    }
}
