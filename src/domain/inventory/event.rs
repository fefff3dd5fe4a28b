//! Facts about one product, in the past tense, as recorded on `inventory-events`.

use std::sync::Arc;

use super::alert::StockLevel;
use super::command::{Cause, OrderItem};
use crate::domain::EpochMs;
use crate::domain::ids::{OrderId, OrderItemId, ProductId, Stock};
use crate::domain::money::Cents;
use crate::domain::product::{Details, Revision};

/// The kinds of fact, by the contract's `eventType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    ProductAdded,
    ProductUpdated,
    ProductRemoved,
    InventoryIncreased,
    InventoryDecreased,
    OutOfStock,
    BackInStock,
    PriceChanged,
    StaleInventory,
    OrderRejected,
    OrderExpired,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::ProductAdded,
        Self::ProductUpdated,
        Self::ProductRemoved,
        Self::InventoryIncreased,
        Self::InventoryDecreased,
        Self::OutOfStock,
        Self::BackInStock,
        Self::PriceChanged,
        Self::StaleInventory,
        Self::OrderRejected,
        Self::OrderExpired,
    ];

    /// Parses what [`EventKind::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The kind as written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProductAdded => "PRODUCT_ADDED",
            Self::ProductUpdated => "PRODUCT_UPDATED",
            Self::ProductRemoved => "PRODUCT_REMOVED",
            Self::InventoryIncreased => "INVENTORY_INCREASED",
            Self::InventoryDecreased => "INVENTORY_DECREASED",
            Self::OutOfStock => "OUT_OF_STOCK",
            Self::BackInStock => "BACK_IN_STOCK",
            Self::PriceChanged => "PRICE_CHANGED",
            Self::StaleInventory => "STALE_INVENTORY",
            Self::OrderRejected => "ORDER_REJECTED",
            Self::OrderExpired => "ORDER_EXPIRED",
        }
    }
}

/// The outcome of an order item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderOutcome {
    pub order_id: OrderId,
    pub order_item_id: Option<OrderItemId>,
    /// Units requested; 0 only in the answer to a probe.
    pub quantity: i64,
    /// Units allocated from the stock.
    pub allocated: i64,
    /// Units that are missing: `quantity - allocated`.
    pub shortfall: i64,
}

impl OrderOutcome {
    /// The outcome of an item that was allocated this many units.
    #[must_use]
    pub fn of(item: &OrderItem, allocated: i64) -> Self {
        Self {
            order_id: item.order_id.clone(),
            order_item_id: item.order_item_id.clone(),
            quantity: item.quantity.units(),
            allocated,
            shortfall: item.quantity.units() - allocated,
        }
    }
}

/// One fact. `details` are the product's details at that moment; `None` for an unknown product.
#[derive(Debug, Clone, PartialEq)]
pub struct InventoryEvent {
    pub product_id: ProductId,
    pub details: Option<Arc<Details>>,
    pub kind: EventKind,
    pub previous_stock: Option<Stock>,
    pub current_stock: Stock,
    pub previous_price: Option<Cents>,
    pub current_price: Option<Cents>,
    pub at_ms: EpochMs,
    /// The reason in words: `Order 7f..: 2 units sold`.
    pub reason: String,
    /// The stock level after the change.
    pub level: StockLevel,
    /// `None` only for answers about an unknown product.
    pub revision: Option<Revision>,
    pub cause: Cause,
    /// Index of the event among those of its cause, from 0: with the cause it forms the event's id.
    pub ordinal: u8,
    pub order: Option<OrderOutcome>,
    /// The expiry of the probe that it answers, which identifies the probe.
    pub probed_expiry_ms: Option<EpochMs>,
}
