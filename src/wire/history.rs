//! One change of a product: a line of its history, and what a `PRODUCT_UPDATE` frame says beside the product.

use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

use super::inventory_event::InventoryFact;
use super::money::Money;
use crate::domain::EpochMs;
use crate::domain::ids::{OrderId, Stock};
use crate::domain::inventory::InventoryEvent;

/// A change of stock or price. `GET /product/{id}/history` answers an array of these, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductChange<'a> {
    /// The event's type, `INVENTORY_DECREASED` and so on.
    #[serde(rename = "type")]
    pub change_type: &'a str,
    pub previous_inventory: Option<i64>,
    pub current_inventory: i64,
    pub previous_price: Option<Money>,
    pub current_price: Option<Money>,
    pub order_id: Option<&'a str>,
    pub timestamp: EpochMs,
    pub life: i64,
    pub version: u64,
}

impl<'a> ProductChange<'a> {
    /// The change that an event of a known product tells of; `None` for answers about products nobody knows.
    #[must_use]
    pub fn of_event(event: &'a InventoryEvent) -> Option<Self> {
        let revision = event.revision?;
        Some(Self {
            change_type: event.kind.as_str(),
            previous_inventory: event.previous_stock.map(Stock::units),
            current_inventory: event.current_stock.units(),
            previous_price: event.previous_price.map(Money::from),
            current_price: event.current_price.map(Money::from),
            order_id: event.order.as_ref().map(|order| order.order_id.as_str()),
            timestamp: event.at_ms,
            life: revision.life,
            version: revision.version,
        })
    }

    /// The same from an event that was read; `None` also where it lacks stock or revision.
    #[must_use]
    pub fn of_fact(fact: &'a InventoryFact) -> Option<Self> {
        let revision = fact.revision?;
        Some(Self {
            change_type: fact.event_type.as_str(),
            previous_inventory: fact.previous_stock,
            current_inventory: fact.current_stock?.units(),
            previous_price: fact.previous_price.map(Money::from),
            current_price: fact.current_price.map(Money::from),
            order_id: fact.order.as_ref().map(|order| OrderId::as_str(&order.order_id)),
            timestamp: fact.timestamp_ms,
            life: revision.life,
            version: revision.version,
        })
    }
}
