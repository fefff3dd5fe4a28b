//! The InventoryEvent on `inventory-events`: the audit log of every change, and of every order item's outcome.
//!
//! Written by the inventory from the domain's facts. Read by the catalogue view (stock and price), the order tracker (outcomes)
//! and operators; readers take the events of other programs too, also of types that are not written here.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Topic;
use super::output;
use crate::domain::EpochMs;
use crate::domain::ids::{OrderId, OrderItemId, ProductId, Stock};
use crate::domain::inventory::{Cause, EventKind, InventoryEvent, OrderOutcome, StockLevel};
use crate::domain::money::Cents;
use crate::domain::product::Revision;
use crate::telemetry::context::TraceContext;
use crate::wire::invalid::Invalid;
use crate::wire::json;
use crate::wire::money::Money;
use crate::wire::topics::record::NewRecord;

/// The name of an unknown product.
const UNKNOWN_PRODUCT: &str = "Unknown Product";

/// The id of an event: the same for the same cause on every replay. `order-events/2/1234/0/0`: the cause, then the place among
/// the cause's events. Timers and files are no single product's, so their product stands between: `file/17/PROD_0018/0`.
#[must_use]
pub fn event_id(cause: &Cause, product_id: &ProductId, ordinal: u8) -> String {
    match cause {
        Cause::Record { .. } => format!("{cause}/{ordinal}"),
        Cause::File { .. } | Cause::Timer { .. } => format!("{cause}/{product_id}/{ordinal}"),
    }
}

/// The record of a fact: keyed by its product, with its cause and trace.
#[must_use]
pub fn record(event: &InventoryEvent, trace: Option<&TraceContext>) -> NewRecord {
    let headers = output::output_headers(&event.cause, trace);
    output::keyed(Topic::InventoryEvents, &event.product_id, &InventoryEventValue::from(event), headers)
}

/// One fact about a product: the platform's fields in their order, then ours.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InventoryEvent)]
pub struct InventoryEventValue<'a> {
    product_id: &'a str,
    /// `Unknown Product` for a product that the shop does not have.
    product_name: &'a str,
    event_type: &'static str,
    /// Units before; null where they are not known.
    #[schema(required = true)]
    previous_inventory: Option<i64>,
    /// Units after.
    current_inventory: i64,
    #[schema(required = true)]
    previous_price: Option<Money>,
    #[schema(required = true)]
    current_price: Option<Money>,
    timestamp: EpochMs,
    /// For people.
    change_reason: &'a str,
    /// The level after the change.
    #[schema(required = true)]
    alert_level: Option<&'static str>,
    /// Whether that level is `CRITICAL` or `OUT_OF_STOCK`.
    critical: bool,
    category: &'a str,
    /// Whether the bootstrap file is the cause.
    is_initial_load: bool,
    inventory_change: i64,
    price_change: Money,
    /// With `version`: the product's revision after the change. Absent for a product that the shop does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    life: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// The same for the same cause on every replay.
    event_id: String,
    /// This and the next four: of an event that an order item caused.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_item_id: Option<&'a str>,
    /// Units that the item asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<i64>,
    /// Units that it got.
    #[serde(skip_serializing_if = "Option::is_none")]
    allocated: Option<i64>,
    /// Units that it did not get.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortfall: Option<i64>,
    /// `expiresAt` of the probe that this answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_expires_at: Option<EpochMs>,
}

impl<'a> From<&'a InventoryEvent> for InventoryEventValue<'a> {
    fn from(event: &'a InventoryEvent) -> Self {
        let current = event.current_stock.units();
        let price_change = match (event.previous_price, event.current_price) {
            (Some(from), Some(to)) => Money::difference(from, to),
            _ => Money::default(),
        };
        let order = event.order.as_ref();
        Self {
            product_id: event.product_id.as_str(),
            product_name: event.details.as_ref().map_or(UNKNOWN_PRODUCT, |details| &details.name),
            event_type: event.kind.as_str(),
            previous_inventory: event.previous_stock.map(Stock::units),
            current_inventory: current,
            previous_price: event.previous_price.map(Money::from),
            current_price: event.current_price.map(Money::from),
            timestamp: event.at_ms,
            change_reason: &event.reason,
            alert_level: event.level.alert_level(),
            critical: matches!(event.level, StockLevel::Critical | StockLevel::Out),
            category: event.details.as_ref().map_or("", |details| &details.category),
            is_initial_load: matches!(event.cause, Cause::File { .. }),
            inventory_change: event.previous_stock.map_or(0, |previous| current - previous.units()),
            price_change,
            life: event.revision.map(|revision| revision.life),
            version: event.revision.map(|revision| revision.version),
            event_id: event_id(&event.cause, &event.product_id, event.ordinal),
            order_id: order.map(|outcome| outcome.order_id.as_str()),
            order_item_id: order.and_then(|outcome| outcome.order_item_id.as_ref()).map(OrderItemId::as_str),
            quantity: order.map(|outcome| outcome.quantity),
            allocated: order.map(|outcome| outcome.allocated),
            shortfall: order.map(|outcome| outcome.shortfall),
            probe_expires_at: event.probed_expiry_ms,
        }
    }
}

/// An event as a reader sees it. What other programs leave out is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct InventoryFact {
    pub product_id: ProductId,
    pub event_type: EventType,
    pub previous_stock: Option<i64>,
    pub current_stock: Option<Stock>,
    pub previous_price: Option<Cents>,
    pub current_price: Option<Cents>,
    pub timestamp_ms: EpochMs,
    pub reason: String,
    pub revision: Option<Revision>,
    pub event_id: Option<String>,
    /// The order's part; `None` if the event names no order, or not with all of its figures.
    pub order: Option<OrderOutcome>,
    /// Of the probe that it answers.
    pub probed_expiry_ms: Option<EpochMs>,
}

/// The type of an event that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventType {
    Known(EventKind),
    /// The platform's own; KartShoppe raises alerts on `inventory-alerts` instead.
    LowStockAlert,
    /// An unknown type.
    Other(String),
}

impl EventType {
    fn parse(text: String) -> Self {
        match EventKind::parse(&text) {
            Some(kind) => Self::Known(kind),
            None if text == "LOW_STOCK_ALERT" => Self::LowStockAlert,
            None => Self::Other(text),
        }
    }

    /// As the wire writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(kind) => kind.as_str(),
            Self::LowStockAlert => "LOW_STOCK_ALERT",
            Self::Other(text) => text,
        }
    }
}

/// Reads an event.
///
/// # Errors
/// [`Invalid`] if it is no JSON object, names no product or no type, or a field is of the wrong type or out of range.
pub fn decode(value: &[u8]) -> Result<InventoryFact, Invalid> {
    json::from_slice::<EventFields>(value)?.check()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventFields {
    product_id: String,
    event_type: String,
    previous_inventory: Option<i64>,
    current_inventory: Option<i64>,
    previous_price: Option<f64>,
    current_price: Option<f64>,
    #[serde(default)]
    timestamp: EpochMs,
    change_reason: Option<String>,
    life: Option<i64>,
    version: Option<u64>,
    event_id: Option<String>,
    order_id: Option<String>,
    order_item_id: Option<String>,
    quantity: Option<i64>,
    allocated: Option<i64>,
    shortfall: Option<i64>,
    probe_expires_at: Option<EpochMs>,
}

impl EventFields {
    fn check(self) -> Result<InventoryFact, Invalid> {
        let order = self.order()?;
        Ok(InventoryFact {
            product_id: ProductId::new(&self.product_id)?,
            event_type: EventType::parse(self.event_type),
            previous_stock: self.previous_inventory,
            current_stock: self.current_inventory.map(Stock::new).transpose()?,
            previous_price: self.previous_price.map(Cents::from_units).transpose()?,
            current_price: self.current_price.map(Cents::from_units).transpose()?,
            timestamp_ms: self.timestamp,
            reason: self.change_reason.unwrap_or_default(),
            revision: self.life.zip(self.version).map(|(life, version)| Revision { life, version }),
            event_id: self.event_id,
            order,
            probed_expiry_ms: self.probe_expires_at,
        })
    }

    fn order(&self) -> Result<Option<OrderOutcome>, Invalid> {
        let (Some(order_id), Some(quantity), Some(allocated), Some(shortfall)) =
            (&self.order_id, self.quantity, self.allocated, self.shortfall)
        else {
            return Ok(None);
        };
        let order_id = OrderId::new(order_id)?;
        let order_item_id = self.order_item_id.as_deref().map(OrderItemId::new).transpose()?;
        Ok(Some(OrderOutcome { order_id, order_item_id, quantity, allocated, shortfall }))
    }
}

#[cfg(test)]
mod tests;
