//! The OrderItem event on `order-events`: one order item wants units, or a probe asks whether it ever did.
//!
//! Written by the direct publisher, the WAL reader and the order tracker's rescue; read by the inventory's source. Others write
//! it too: they need only `orderId`, `productId` and `quantity`.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Topic;
use super::output;
use super::product_updates::check_key;
use crate::domain::EpochMs;
use crate::domain::ids::{OrderId, OrderItemId, ProductId, Quantity};
use crate::domain::inventory::{OrderItem, OrderOutcome};
use crate::telemetry::context::TraceContext;
use crate::wire::invalid::Invalid;
use crate::wire::json::{self, Integer, Skip, Text, needed, once};
use crate::wire::topics::record::{NewRecord, Record};

/// One record of `order-events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvent {
    pub order_id: OrderId,
    pub product_id: ProductId,
    pub wish: Wish,
    /// When the publisher made it; never used for order or expiry. Absent where others leave it out.
    pub timestamp_ms: Option<EpochMs>,
    pub order_item_id: Option<OrderItemId>,
    /// What published it; `None` for other programs.
    pub source: Option<OrderSource>,
    /// Past this time on the log's clock it is absorbed. Only of direct events and their probes.
    pub expires_at_ms: Option<EpochMs>,
}

/// What an order event is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Units are to be taken from stock.
    Units(Quantity),
    /// Nothing is to be taken: the answer proves that an event that comes later is past its expiry. Written with quantity 0.
    Probe,
}

/// The publishers of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderSource {
    Direct,
    Wal,
}

impl OrderSource {
    /// As the wire writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Wal => "wal",
        }
    }

    /// Reads what [`OrderSource::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Direct, Self::Wal].into_iter().find(|source| source.as_str() == text)
    }
}

impl OrderEvent {
    /// The order item, if units are wanted.
    #[must_use]
    pub fn item(&self) -> Option<OrderItem> {
        match self.wish {
            Wish::Units(quantity) => {
                Some(OrderItem { order_id: self.order_id.clone(), order_item_id: self.order_item_id.clone(), quantity })
            }
            Wish::Probe => None,
        }
    }

    /// The probe that asks about this item: the same event with nothing to take.
    #[must_use]
    pub fn probe(&self) -> Self {
        Self { wish: Wish::Probe, ..self.clone() }
    }

    /// The order's part of the answer to this event when it is a probe.
    #[must_use]
    pub fn probed(&self) -> OrderOutcome {
        let (order_id, order_item_id) = (self.order_id.clone(), self.order_item_id.clone());
        OrderOutcome { order_id, order_item_id, quantity: 0, allocated: 0, shortfall: 0 }
    }

    /// The record that publishes it, keyed by its product.
    #[must_use]
    pub fn record(&self, trace: Option<&TraceContext>) -> NewRecord {
        let mut headers = crate::wire::topics::record::Headers::none();
        output::push_trace(&mut headers, trace);
        output::keyed(Topic::OrderEvents, &self.product_id, &OrderEventValue::from(self), headers)
    }
}

/// Reads a record of `order-events`.
///
/// # Errors
/// [`Invalid`] if the value is null, no object, lacks `orderId`, `productId` or `quantity`, a known field is there twice, of the
/// wrong type or out of range, or the key names another product.
pub fn decode(record: &Record) -> Result<OrderEvent, Invalid> {
    let value = record.value.as_ref().ok_or(Invalid::NullValue)?;
    let event = decode_value(value)?;
    check_key(record.key.as_deref().filter(|key| !key.is_empty()), &event.product_id)?;
    Ok(event)
}

/// Reads the value of such a record.
///
/// # Errors
/// Those of [`decode`], but for the key's.
pub fn decode_value(value: &[u8]) -> Result<OrderEvent, Invalid> {
    json::from_slice::<Strict>(value).map(|Strict(event)| event)
}

/// The order item that an otherwise unusable event names: it gets an `ORDER_REJECTED` beside the dead letter. `None` if product,
/// order and row cannot be determined, and for probes, which never get an outcome.
#[must_use]
pub fn named_item(value: &[u8]) -> Option<(ProductId, OrderOutcome)> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(value).ok()?;
    let text = |field| fields.get(field).and_then(serde_json::Value::as_str);
    if fields.contains_key("probe") {
        return None;
    }
    let product_id = ProductId::new(text("productId")?).ok()?;
    let order_id = OrderId::new(text("orderId")?).ok()?;
    let order_item_id = Some(OrderItemId::new(text("orderItemId")?).ok()?);
    let asked = fields.get("quantity").and_then(serde_json::Value::as_i64).and_then(|units| Quantity::new(units).ok());
    let quantity = asked.map_or(0, Quantity::units);
    Some((product_id, OrderOutcome { order_id, order_item_id, quantity, allocated: 0, shortfall: quantity }))
}

/// An order item that wants units of a product, or a probe that asks whether such an event was ever applied.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OrderItemEvent)]
pub(crate) struct OrderEventValue<'a> {
    order_id: &'a str,
    product_id: &'a str,
    /// Units, 1 or more; 0 in a probe.
    quantity: i64,
    /// When it was published, in epoch milliseconds. Nothing is decided by it.
    timestamp: EpochMs,
    /// The row of `order_items` that gets the outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_item_id: Option<&'a str>,
    /// Who published it: `direct` or `wal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    /// An event that the log took after this time takes nothing and is answered with `ORDER_EXPIRED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<EpochMs>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    probe: bool,
}

impl<'a> From<&'a OrderEvent> for OrderEventValue<'a> {
    fn from(event: &'a OrderEvent) -> Self {
        let (quantity, probe) = match event.wish {
            Wish::Units(quantity) => (quantity.units(), false),
            Wish::Probe => (0, true),
        };
        Self {
            order_id: event.order_id.as_str(),
            product_id: event.product_id.as_str(),
            quantity,
            timestamp: event.timestamp_ms.unwrap_or_default(),
            order_item_id: event.order_item_id.as_ref().map(OrderItemId::as_str),
            source: event.source.map(OrderSource::as_str),
            expires_at: event.expires_at_ms,
            probe,
        }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    OrderId,
    ProductId,
    Quantity,
    Timestamp,
    OrderItemId,
    Source,
    ExpiresAt,
    Probe,
    #[serde(other)]
    Unknown,
}

#[derive(Default)]
struct OrderEventFields<'de> {
    order_id: Option<Text<'de>>,
    product_id: Option<Text<'de>>,
    quantity: Option<Integer>,
    timestamp: Option<Option<Integer>>,
    order_item_id: Option<Option<Text<'de>>>,
    source: Option<Option<Text<'de>>>,
    expires_at: Option<Option<Integer>>,
    probe: Option<Option<bool>>,
}

/// An order event, read strictly.
struct Strict(OrderEvent);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(OrderEventVisitor)
    }
}

struct OrderEventVisitor;

impl<'de> Visitor<'de> for OrderEventVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an order item event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = OrderEventFields::default();
        while let Some(field) = map.next_key::<Field>()? {
            match field {
                Field::OrderId => once(&mut map, &mut fields.order_id, "orderId")?,
                Field::ProductId => once(&mut map, &mut fields.product_id, "productId")?,
                Field::Quantity => once(&mut map, &mut fields.quantity, "quantity")?,
                Field::Timestamp => once(&mut map, &mut fields.timestamp, "timestamp")?,
                Field::OrderItemId => once(&mut map, &mut fields.order_item_id, "orderItemId")?,
                Field::Source => once(&mut map, &mut fields.source, "source")?,
                Field::ExpiresAt => once(&mut map, &mut fields.expires_at, "expiresAt")?,
                Field::Probe => once(&mut map, &mut fields.probe, "probe")?,
                Field::Unknown => {
                    map.next_value::<Skip>()?;
                }
            }
        }
        fields.check()
    }
}

impl OrderEventFields<'_> {
    fn check<E: serde::de::Error>(self) -> Result<Strict, E> {
        let order_id = OrderId::new(&needed(self.order_id, "orderId")?.0).map_err(E::custom)?;
        let product_id = ProductId::new(&needed(self.product_id, "productId")?.0).map_err(E::custom)?;
        let quantity = needed(self.quantity, "quantity")?.0;
        let probe = self.probe.flatten().unwrap_or(false);
        let wish = match Quantity::new(quantity) {
            _ if probe && quantity == 0 => Wish::Probe,
            Ok(_) if probe => return Err(E::custom("quantity must be 0 in a probe")),
            Ok(quantity) => Wish::Units(quantity),
            Err(invalid) => return Err(E::custom(invalid)),
        };
        let row = self.order_item_id.flatten().map(|id| OrderItemId::new(&id.0)).transpose().map_err(E::custom)?;
        Ok(Strict(OrderEvent {
            order_id,
            product_id,
            wish,
            timestamp_ms: self.timestamp.flatten().map(|time| time.0),
            order_item_id: row,
            source: self.source.flatten().and_then(|text| OrderSource::parse(&text.0)),
            expires_at_ms: self.expires_at.flatten().map(|time| time.0),
        }))
    }
}

#[cfg(test)]
mod tests;
