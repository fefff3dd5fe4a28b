//! One order's path, stop by stop: the time of each, where its record is, and where the order waits.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::orders::shown_session;
use super::turns::Turns;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::state::Operators;
use crate::domain::EpochMs;
use crate::domain::ids::OrderId;
use crate::records::purchase::{self, ItemFound, ItemSought, LogPlace};
use crate::store::{Order, OrderItem, PublishVia};
use crate::wire::money::Money;
use crate::wire::pages::order::StepClock;

/// A reading that takes longer ends with what it has found.
const READING_TIME: Duration = Duration::from_secs(10);

static READINGS: Turns = Turns::new(3, "too many requests are reading the log: try again");

/// An order's way.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderWay {
    order_id: String,
    /// The first digits of the session's SHA-256.
    session: Option<String>,
    status: String,
    total: Money,
    created_at: EpochMs,
    updated_at: EpochMs,
    items: Vec<ItemWay>,
    /// The log was read as far as necessary; if not, a missing stop may only not have been found.
    complete: bool,
}

/// The way of one item.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemWay {
    order_item_id: String,
    product_id: String,
    product_name: Option<String>,
    quantity: i64,
    allocated: Option<i64>,
    shortfall: Option<i64>,
    /// Who publishes it: direct, wal, or history for rows of before.
    publish_via: &'static str,
    trace_id: Option<String>,
    /// In order; stops that are not reached yet have no time.
    steps: Vec<WayStep>,
    /// Where it waits; null once it is done.
    waits_for: Option<Waits>,
}

/// A stop of an item's way.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WayStep {
    stop: Stop,
    at: Option<EpochMs>,
    /// Since the stop before it. Clocks differ: never below zero.
    gap_ms: Option<i64>,
    clock: StepClock,
    /// The record, where the stop is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<LogPlace>,
    /// The actor that works there.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// The stops, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = WayStop)]
pub enum Stop {
    /// The row in PostgreSQL.
    Placed,
    /// The item's record on `order-events`.
    Published,
    /// Its outcome on `inventory-events`.
    Answered,
    /// The product's state on `products`.
    Stored,
    /// The frame for pages on `websocket_fanout`: every connected page is sent the product's latest from there.
    Pushed,
    /// The outcome in PostgreSQL.
    Settled,
}

/// Where an item waits.
#[derive(Debug, Serialize, ToSchema)]
pub struct Waits {
    /// For people.
    text: String,
    /// The actor to look at.
    actor: String,
}

/// One order with the way of each item.
#[utoipa::path(get, path = "/admin/orders/{id}", tag = "operators", params(("id" = String, Path)),
    responses((status = 200, body = OrderWay)))]
pub async fn read(State(operators): State<Arc<Operators>>, Path(id): Path<String>) -> Result<Json<OrderWay>, Failure> {
    let order_id = OrderId::new(&id)?;
    let order = operators.store.order(&order_id, None).await?.ok_or_else(|| Problem::not_found("there is no such order"))?;
    let until = Instant::now() + READING_TIME;
    let _turn = READINGS.wait(until).await?;
    let sought: Vec<ItemSought> = order.items.iter().filter(|item| item.publish_via != PublishVia::History).map(sought).collect();
    let mut found = purchase::find(&*operators.log, &order_id, &sought, order.created_at_ms, until).await?;
    let (now, complete) = (operators.clock.now_ms(), found.complete);
    let mut items = Vec::new();
    for item in &order.items {
        let found = found.items.remove(&item.order_item_id).unwrap_or_default();
        let waits_for = if complete { waits_for(item, &found, now) } else { None };
        items.push(item_way(&order, item, found, waits_for));
    }
    Ok(Json(OrderWay {
        order_id: order.order_id.to_string(),
        session: order.session_id.as_ref().map(shown_session),
        status: order.status.clone(),
        total: order.totals.total.into(),
        created_at: order.created_at_ms,
        updated_at: order.updated_at_ms,
        items,
        complete,
    }))
}

fn sought(item: &OrderItem) -> ItemSought {
    let outcome = item.outcome.as_ref();
    ItemSought {
        order_item_id: item.order_item_id.clone(),
        product_id: item.product_id.clone(),
        published_at_ms: outcome.and_then(|outcome| outcome.published_at_ms),
        applied_at_ms: outcome.and_then(|outcome| outcome.applied_at_ms),
    }
}

fn item_way(order: &Order, item: &OrderItem, found: ItemFound, waits_for: Option<Waits>) -> ItemWay {
    let outcome = item.outcome.as_ref();
    ItemWay {
        order_item_id: item.order_item_id.to_string(),
        product_id: item.product_id.to_string(),
        product_name: item.product_name.clone(),
        quantity: item.quantity,
        allocated: outcome.map(|outcome| outcome.allocated),
        shortfall: outcome.map(|outcome| outcome.shortfall),
        publish_via: item.publish_via.as_str(),
        trace_id: found.trace_id.clone(),
        steps: if item.publish_via == PublishVia::History { Vec::new() } else { steps(order, item, found) },
        waits_for,
    }
}

fn steps(order: &Order, item: &OrderItem, found: ItemFound) -> Vec<WayStep> {
    let product = format!("product/{}", item.product_id);
    let publisher = match found.source.map(crate::wire::topics::order_event::OrderSource::as_str) {
        Some("wal") => "wal-reader",
        Some(_) => "order-publisher",
        None if item.publish_via == PublishVia::Wal => "wal-reader",
        None => "order-publisher",
    };
    let outcome = item.outcome.as_ref();
    let settled = outcome.map(|outcome| outcome.settled_at_ms);
    let log = |stop, place: Option<LogPlace>, actor: &str, note| {
        let at = place.as_ref().map(|place| place.time);
        WayStep { stop, at, gap_ms: None, clock: StepClock::Broker, place, actor: Some(actor.to_owned()), note }
    };
    let row = |stop, at, actor: Option<&str>, note| {
        let actor = actor.map(str::to_owned);
        WayStep { stop, at, gap_ms: None, clock: StepClock::Database, place: None, actor, note }
    };
    // PostgreSQL has the times even if retention has deleted the records.
    let published_at = outcome.and_then(|outcome| outcome.published_at_ms);
    let applied_at = outcome.and_then(|outcome| outcome.applied_at_ms);
    let reason = outcome.and_then(|outcome| outcome.reason.clone()).or(found.reason);
    let mut steps = vec![
        row(Stop::Placed, Some(order.created_at_ms), None, Some("orders, order_items".to_owned())),
        log(Stop::Published, found.published, publisher, None),
        log(Stop::Answered, found.answered, &product, reason),
        log(Stop::Stored, found.state, "committer", None),
        log(Stop::Pushed, found.frame, "fanout", None),
        row(Stop::Settled, settled, Some("order-tracker"), outcome.map(|outcome| outcome.kind.as_str().to_owned())),
    ];
    steps[1].at = steps[1].at.or(published_at);
    steps[2].at = steps[2].at.or(applied_at);
    let mut last = None;
    for step in &mut steps {
        if let Some(at) = step.at {
            step.gap_ms = last.map(|last: EpochMs| at.saturating_sub(last).max(0));
            last = Some(last.map_or(at, |last| last.max(at)));
        }
    }
    steps
}

/// Where an item that has no outcome waits.
fn waits_for(item: &OrderItem, found: &ItemFound, now: EpochMs) -> Option<Waits> {
    if item.outcome.is_some() || item.publish_via == PublishVia::History {
        return None;
    }
    let (text, actor) = if found.answered.is_some() {
        ("the inventory has answered; the order tracker has not recorded the outcome yet".to_owned(), "order-tracker".to_owned())
    } else if found.published.is_some() {
        let product = format!("product/{}", item.product_id);
        (format!("its event is on the log; the inventory has not answered yet (role inventory, {product})"), product)
    } else if item.publish_via == PublishVia::Wal {
        ("it is in PostgreSQL; the WAL reader has not published it yet (role cdc)".to_owned(), "wal-reader".to_owned())
    } else if item.expires_at_ms.is_some_and(|expires| expires < now) {
        let text =
            "it was not published in time: the order tracker asks the inventory about it, then the WAL reader publishes it";
        (text.to_owned(), "order-tracker".to_owned())
    } else {
        ("it is in PostgreSQL; the order publisher has not published it yet".to_owned(), "order-publisher".to_owned())
    };
    Some(Waits { text, actor })
}
