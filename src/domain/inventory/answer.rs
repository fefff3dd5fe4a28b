//! Answers to order items that change no product: rejected, or expired before they were published.
//!
//! They repeat stock, price and revision of the product if there is one. Produced by `transition` for unknown products, and by
//! the shard, which answers probes and removes poison commands before a product handles them.

use super::alert::StockLevel;
use super::command::Cause;
use super::event::{EventKind, InventoryEvent, OrderOutcome};
use super::state::{ProductState, Rules};
use crate::domain::EpochMs;
use crate::domain::ids::{ProductId, Stock};

/// The item that a probe is about.
#[derive(Debug, Clone)]
pub struct ProbedItem<'a> {
    pub product_id: &'a ProductId,
    pub cause: Cause,
    /// `quantity`, `allocated` and `shortfall` are 0.
    pub outcome: OrderOutcome,
}

/// An order item that could not be handled: its command is poison, or its event unreadable.
#[derive(Debug, Clone)]
pub struct RefusedItem<'a> {
    pub product_id: &'a ProductId,
    pub cause: Cause,
    /// `allocated` is 0.
    pub outcome: OrderOutcome,
    pub at_ms: EpochMs,
    pub reason: String,
}

/// The answer to a probe that is past its expiry. It is no outcome; its time is the partition's highest append time.
#[must_use]
pub fn order_expired(
    rules: &Rules,
    state: Option<&ProductState>,
    probed: &ProbedItem<'_>,
    highest_append_ms: EpochMs,
) -> InventoryEvent {
    let reason = format!("Order {}: expired before it was published", probed.outcome.order_id);
    let refused = RefusedItem {
        product_id: probed.product_id,
        cause: probed.cause,
        outcome: probed.outcome.clone(),
        at_ms: highest_append_ms,
        reason,
    };
    answer(rules, state, EventKind::OrderExpired, refused)
}

/// The answer to an order item that could not be handled, whether or not its product is known.
#[must_use]
pub fn order_refused(rules: &Rules, state: Option<&ProductState>, refused: RefusedItem<'_>) -> InventoryEvent {
    answer(rules, state, EventKind::OrderRejected, refused)
}

/// The same if nothing is known about the product: it does not exist, or the event cannot be decoded that far.
#[must_use]
pub fn nothing_allocated(
    product_id: &ProductId,
    outcome: OrderOutcome,
    cause: Cause,
    at_ms: EpochMs,
    reason: String,
) -> InventoryEvent {
    let refused = RefusedItem { product_id, cause, outcome, at_ms, reason };
    answer(&Rules::default(), None, EventKind::OrderRejected, refused)
}

fn answer(rules: &Rules, state: Option<&ProductState>, kind: EventKind, refused: RefusedItem<'_>) -> InventoryEvent {
    let RefusedItem { product_id, cause, outcome, at_ms, reason } = refused;
    let stock = state.map_or(Stock::NONE, |known| known.product.stock);
    let price = state.map(|known| known.product.price);
    InventoryEvent {
        product_id: product_id.clone(),
        details: state.map(|known| known.product.details.clone()),
        kind,
        previous_stock: Some(stock),
        current_stock: stock,
        previous_price: price,
        current_price: price,
        at_ms,
        reason,
        level: state.map_or(StockLevel::Normal, |_| rules.level(stock)),
        revision: state.map(|known| known.revision),
        cause,
        ordinal: 0,
        order: Some(outcome),
        probed_expiry_ms: None,
    }
}
