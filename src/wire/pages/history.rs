//! One change of a product: a line of its history, and what a `PRODUCT_UPDATE` frame says beside the product.

use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

use crate::domain::EpochMs;
use crate::domain::ids::Stock;
use crate::domain::inventory::{EventKind, InventoryEvent};
use crate::domain::money::Cents;
use crate::wire::money::Money;

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
    pub reason: ChangeReason,
}

/// Why a product changed, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeReason {
    /// An order took units.
    Order,
    /// Units came in.
    Restock,
    /// The catalogue says that there are fewer units than it said before.
    Correction,
    Price,
    Added,
    Removed,
    /// Something else than stock and price.
    Details,
    /// An order got nothing.
    Rejected,
    /// No command came for the product for long.
    Stale,
    /// An unknown type of event.
    Other,
}

impl ChangeReason {
    /// The reason of an event of this kind. `units` and `price` are what they grew by.
    #[must_use]
    pub fn of(kind: EventKind, for_order: bool, units: i64, price: i64) -> Self {
        match kind {
            EventKind::ProductAdded => Self::Added,
            EventKind::ProductRemoved => Self::Removed,
            EventKind::StaleInventory => Self::Stale,
            EventKind::OrderRejected | EventKind::OrderExpired => Self::Rejected,
            EventKind::PriceChanged => Self::Price,
            EventKind::InventoryIncreased | EventKind::BackInStock => Self::Restock,
            EventKind::OutOfStock if for_order && units == 0 => Self::Rejected,
            EventKind::InventoryDecreased | EventKind::OutOfStock if for_order => Self::Order,
            EventKind::InventoryDecreased | EventKind::OutOfStock => Self::Correction,
            EventKind::ProductUpdated if units > 0 => Self::Restock,
            EventKind::ProductUpdated if units < 0 => Self::Correction,
            EventKind::ProductUpdated if price != 0 => Self::Price,
            EventKind::ProductUpdated => Self::Details,
        }
    }
}

/// What something grew by; nothing where it is not said.
#[must_use]
pub fn grown(from: Option<i64>, to: Option<i64>) -> i64 {
    from.zip(to).map_or(0, |(from, to)| to.saturating_sub(from))
}

impl<'a> ProductChange<'a> {
    /// The change of an event about a known product; `None` for answers about unknown products.
    #[must_use]
    pub fn of_event(event: &'a InventoryEvent) -> Option<Self> {
        let revision = event.revision?;
        let units = grown(event.previous_stock.map(Stock::units), Some(event.current_stock.units()));
        let price = grown(event.previous_price.map(Cents::cents), event.current_price.map(Cents::cents));
        Some(Self {
            reason: ChangeReason::of(event.kind, event.order.is_some(), units, price),
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_has_its_reason() {
        use EventKind::{BackInStock, InventoryDecreased, InventoryIncreased, OutOfStock, PriceChanged, ProductUpdated};
        for (kind, for_order, units, price, expected) in [
            (InventoryDecreased, true, -2, 0, ChangeReason::Order),
            (InventoryDecreased, false, -2, 0, ChangeReason::Correction),
            (OutOfStock, true, -1, 0, ChangeReason::Order),
            (OutOfStock, true, 0, 0, ChangeReason::Rejected),
            (OutOfStock, false, -9, 0, ChangeReason::Correction),
            (InventoryIncreased, false, 5, 0, ChangeReason::Restock),
            (BackInStock, false, 5, 0, ChangeReason::Restock),
            (PriceChanged, false, 0, -10, ChangeReason::Price),
            (ProductUpdated, false, 0, 0, ChangeReason::Details),
            (ProductUpdated, false, 0, 1, ChangeReason::Price),
            (ProductUpdated, false, 3, 1, ChangeReason::Restock),
            (EventKind::ProductAdded, false, 3, 1, ChangeReason::Added),
            (EventKind::ProductRemoved, false, -3, 0, ChangeReason::Removed),
            (EventKind::OrderRejected, true, 0, 0, ChangeReason::Rejected),
        ] {
            assert_eq!(ChangeReason::of(kind, for_order, units, price), expected, "{kind:?}");
        }
    }
}
