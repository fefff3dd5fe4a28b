//! Orders as their session may see them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::query::{Parameters, Parsed};
use crate::actors::catalog_view::CatalogHandle;
use crate::api::failure::Failure;
use crate::api::problem::Problem;
use crate::api::state::Shop;
use crate::clock::Clock;
use crate::config::TRACE_ID;
use crate::domain::EpochMs;
use crate::domain::ids::{OrderId, SessionId};
use crate::domain::money::Cents;
use crate::domain::order::{OrderStatus, Totals};
use crate::store::{Order, OrderItem, PublishVia};
use crate::wire::pages::order::{self, OrderLine, OrderStep, PaymentInfo, ShippingAddress, StepClock, TimelineStep};
use crate::wire::product::generated_image_url;

/// The session's orders, newest first.
#[utoipa::path(get, path = "/api/ecommerce/orders", tag = "orders", params(("sessionId" = String, Query)),
    responses((status = 200, body = [order::Order])))]
pub async fn list(State(shop): State<Arc<Shop>>, parameters: Parsed) -> Result<Json<Vec<order::Order>>, Failure> {
    let session = session(&Parameters::new(parameters)?)?;
    let orders = shop.store.orders_of_session(&session).await?;
    Ok(Json(orders.iter().map(|order| view(order, &shop.catalog, &shop.clock, &shop.traces)).collect()))
}

/// One order of the session, with what each item got.
#[utoipa::path(get, path = "/api/ecommerce/orders/{orderId}", tag = "orders",
    params(("orderId" = String, Path), ("sessionId" = String, Query)), responses((status = 200, body = order::Order)))]
pub async fn one(
    State(shop): State<Arc<Shop>>,
    Path(id): Path<String>,
    parameters: Parsed,
) -> Result<Json<order::Order>, Failure> {
    // A client that cannot name the session learns nothing, not even whether the order exists.
    let unknown = || Problem { code: "unknown_order", ..Problem::not_found("this session has no such order") };
    let (Ok(session), Ok(id)) = (session(&Parameters::new(parameters)?), OrderId::new(&id)) else { return Err(unknown().into()) };
    let order = shop.store.order(&id, Some(&session)).await?.ok_or_else(unknown)?;
    Ok(Json(view(&order, &shop.catalog, &shop.clock, &shop.traces)))
}

fn session(parameters: &Parameters) -> Result<SessionId, Problem> {
    let text = parameters.text("sessionId").ok_or_else(|| Problem::field("sessionId", "is missing"))?;
    SessionId::new(text).map_err(|invalid| Problem::field("sessionId", invalid.to_string()))
}

/// An order as REST and frames show it.
#[must_use]
pub fn view(order: &Order, catalog: &CatalogHandle, clock: &Clock, traces: &TracePages) -> order::Order {
    order::Order {
        order_id: order.order_id.to_string(),
        user_id: order.user_id.clone(),
        session_id: order.session_id.as_ref().map_or_else(String::new, ToString::to_string),
        items: order.items.iter().map(|item| line(item, order, catalog)).collect(),
        subtotal: order.totals.subtotal.into(),
        tax: order.totals.tax.into(),
        shipping: order.totals.shipping.into(),
        total_amount: order.totals.total.into(),
        payable: payable(order).into(),
        status: OrderStatus::parse(&order.status).unwrap_or_else(|| of_items(order)),
        shipping_address: order.shipping_address.as_deref().and_then(address),
        payment_info: order.payment_method.clone().map(|payment_method| PaymentInfo { payment_method }),
        created_at: order.created_at_ms,
        updated_at: order.updated_at_ms,
        timestamp: clock.now_ms(),
        use_cdc: order.items.iter().any(|item| item.publish_via == PublishVia::Wal),
        timeline: timeline(order),
        trace_url: order.trace_id.as_deref().and_then(|id| traces.of(id)),
    }
}

/// What is charged of an order. One that lacks nothing keeps its figures, whatever they are: its rows may be made by hand.
fn payable(order: &Order) -> Totals {
    if order.items.iter().all(|item| charged(item) == item.line_total) {
        return order.totals;
    }
    let goods = order.items.iter().map(charged).try_fold(Cents::ZERO, Cents::checked_add);
    goods.map_or(order.totals, |goods| order.totals.for_goods(goods))
}

/// What is charged of an item: its reserved units, once the inventory has answered.
fn charged(item: &OrderItem) -> Cents {
    match item.outcome.as_ref() {
        Some(outcome) if outcome.allocated < item.quantity => {
            item.unit_price.checked_mul(outcome.allocated).unwrap_or(item.line_total).min(item.line_total)
        }
        _ => item.line_total,
    }
}

/// Where pages show traces, if anywhere.
#[derive(Debug, Clone, Default)]
pub struct TracePages(Option<Arc<str>>);

impl TracePages {
    /// `template` is `telemetry.trace_url`. Without spans that leave the process there is nothing to show.
    #[must_use]
    pub fn new(template: &str, are_exported: bool) -> Self {
        Self((are_exported && !template.is_empty()).then(|| template.into()))
    }

    fn of(&self, trace_id: &str) -> Option<String> {
        self.0.as_deref().map(|template| template.replace(TRACE_ID, trace_id))
    }
}

/// The steps that are known of an order. A step of several items is that of the last of them.
fn timeline(order: &Order) -> Vec<TimelineStep> {
    let last = |time: fn(&OrderItem) -> Option<EpochMs>| -> Option<EpochMs> {
        let times: Option<Vec<EpochMs>> = order.items.iter().map(time).collect();
        times.and_then(|times| times.into_iter().max())
    };
    let published = last(|item| item.outcome.as_ref()?.published_at_ms);
    let applied = last(|item| item.outcome.as_ref()?.applied_at_ms);
    let settled = last(|item| item.outcome.as_ref().map(|outcome| outcome.settled_at_ms));
    let known = [
        (OrderStep::Placed, Some(order.created_at_ms), StepClock::Database),
        (OrderStep::Published, published, StepClock::Broker),
        (OrderStep::Applied, applied, StepClock::Broker),
        (OrderStep::Settled, settled, StepClock::Database),
    ];
    let mut latest = EpochMs::MIN;
    let steps = known.into_iter().filter_map(|(step, at, clock)| Some((step, at?, clock)));
    steps
        .map(|(step, at, clock)| {
            // Clocks differ: no step lies before the one it follows.
            latest = latest.max(at);
            TimelineStep { step, at: latest, clock }
        })
        .collect()
}

/// The status of an order that another program set to an unknown word.
fn of_items(order: &Order) -> OrderStatus {
    let allocated = |item: &OrderItem| item.outcome.as_ref().map(|outcome| outcome.allocated);
    OrderStatus::of(order.items.iter().map(|item| (item.quantity, allocated(item))))
}

/// What checkout kept; a row made by hand may hold a line of plain text.
fn address(text: &str) -> Option<ShippingAddress> {
    if text.is_empty() {
        return None;
    }
    serde_json::from_str(text).ok().or_else(|| Some(ShippingAddress { street: text.to_owned(), ..ShippingAddress::default() }))
}

fn line(item: &OrderItem, order: &Order, catalog: &CatalogHandle) -> OrderLine {
    let (name, image_url) = match catalog.listing(item.product_id.as_str()) {
        Some(listing) => (listing.name, listing.image_url),
        None => (item.product_id.to_string(), generated_image_url(&item.product_id)),
    };
    OrderLine {
        order_item_id: item.order_item_id.to_string(),
        product_id: item.product_id.to_string(),
        product_name: item.product_name.clone().unwrap_or(name),
        price: item.unit_price.into(),
        quantity: item.quantity,
        subtotal: item.line_total.into(),
        payable: charged(item).into(),
        image_url,
        added_at: item.added_at_ms.unwrap_or(order.created_at_ms),
        allocated: item.outcome.as_ref().map(|outcome| outcome.allocated),
        shortfall: item.outcome.as_ref().map(|outcome| outcome.shortfall),
        settled_at: item.outcome.as_ref().map(|outcome| outcome.settled_at_ms),
    }
}
