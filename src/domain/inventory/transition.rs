//! The rules: state + input → next state, effects, result. The only file that decides about stock.
//!
//! | input | on | next | events (one version step per row that says +1) |
//! | --- | --- | --- | --- |
//! | any record already applied | any | same | none: `Duplicate` |
//! | upsert | nothing | life = its offset (file: 0), version 1 | `PRODUCT_ADDED` |
//! | upsert from the file | product | same: sold stock never comes back | none |
//! | upsert, stock or price differs | product | +1 | stock event, then `PRICE_CHANGED` |
//! | upsert, only details (or a cent) differ | product | +1 | `PRODUCT_UPDATED` |
//! | upsert, nothing differs | product | same; its stale deadline moves | none |
//! | remove | product / nothing | gone, +1 / same | `PRODUCT_REMOVED` / none |
//! | deduct, stock > 0 | product | +1 | `INVENTORY_DECREASED`, at 0 `OUT_OF_STOCK` |
//! | deduct, stock 0 | product | same; its stale deadline moves | `OUT_OF_STOCK`, allocated 0 |
//! | deduct | nothing | same | `ORDER_REJECTED` |
//! | stale check of the current deadline | product | stale | `STALE_INVENTORY` |
//! | stale check of another deadline | any | same | none |

use super::alert::{Alert, AlertKind, Severity, StockLevel};
use super::answer::nothing_allocated;
use super::command::{Cause, Command, Input, OrderItem};
use super::effect::Effect;
use super::event::{EventKind, InventoryEvent, OrderOutcome};
use super::state::{Applied, ProductState, Rules};
use crate::domain::EpochMs;
use crate::domain::ids::Stock;
use crate::domain::money::Cents;
use crate::domain::product::{Product, Revision};

/// A price change of at most this many cents counts as a change of details.
const PRICE_DETAIL_CENTS: i64 = 1;

/// How an input is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The product changed: its version is one higher.
    Applied,
    /// The product did not change; it may have been named, and the input may still have an answer.
    Unchanged,
    /// The record was applied before: nothing happened.
    Duplicate,
}

/// The result of one command.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The new state; `None` if the product does not exist.
    pub next: Option<ProductState>,
    pub effects: Vec<Effect>,
    pub outcome: Outcome,
}

/// Applies one command to one product's state.
#[must_use]
pub fn apply(rules: &Rules, state: Option<&ProductState>, input: &Input) -> Transition {
    if state.is_some_and(|known| known.applied.covers(&input.cause)) {
        return Transition::same(state, Outcome::Duplicate);
    }
    match (&input.command, state) {
        (Command::Upsert(_), Some(_)) if matches!(input.cause, Cause::File { .. }) => Transition::same(state, Outcome::Unchanged),
        (Command::Upsert(product), None) => add(rules, product, input),
        (Command::Upsert(product), Some(known)) => update(rules, known, product, input),
        (Command::Remove, Some(known)) => remove(known, input),
        (Command::Deduct(item), Some(known)) => deduct(rules, known, item, input),
        (Command::Deduct(item), None) => reject_unknown(item, input),
        (Command::CheckStale { deadline_ms }, Some(known)) if due(known, *deadline_ms) => go_stale(rules, known, input),
        (Command::Remove | Command::CheckStale { .. }, _) => Transition::same(state, Outcome::Unchanged),
    }
}

impl Transition {
    fn same(state: Option<&ProductState>, outcome: Outcome) -> Self {
        Self { next: state.cloned(), effects: Vec::new(), outcome }
    }
}

fn add(rules: &Rules, product: &Product, input: &Input) -> Transition {
    let life = match input.cause {
        Cause::Record { position, .. } => position.offset,
        Cause::File { .. } | Cause::Timer { .. } => 0,
    };
    let mut applied = Applied::default();
    applied.advance(&input.cause);
    let next = ProductState {
        product: product.clone(),
        revision: Revision::first_of(life),
        changed_at_ms: input.at_ms,
        last_heard_ms: input.at_ms,
        stale_deadline_ms: input.at_ms.saturating_add(rules.stale_after_ms),
        stale: false,
        applied,
    };
    let mut fact = fact(rules, &next, EventKind::ProductAdded, "New product added to the catalog".to_owned(), input);
    (fact.previous_stock, fact.previous_price) = (Some(Stock::NONE), Some(Cents::ZERO));
    let mut effects = vec![Effect::Publish(fact)];
    effects.extend(level_alert(rules, &next.product, StockLevel::Normal, input.at_ms));
    Transition { next: Some(next), effects, outcome: Outcome::Applied }
}

fn update(rules: &Rules, known: &ProductState, wanted: &Product, input: &Input) -> Transition {
    if known.product == *wanted {
        return Transition { next: Some(touched(rules, known, input)), effects: Vec::new(), outcome: Outcome::Unchanged };
    }
    let next = changed(rules, known, wanted.clone(), input);
    let mut effects = Vec::with_capacity(2);
    if let Some(kind) = stock_event(known.product.stock, wanted.stock) {
        let reason = format!("Catalog update: stock {} to {}", known.product.stock.units(), wanted.stock.units());
        effects.push(Effect::Publish(change(rules, known, &next, kind, reason, input)));
    }
    if (known.product.price.cents() - wanted.price.cents()).abs() > PRICE_DETAIL_CENTS {
        let reason = format!("Catalog update: price {} to {}", known.product.price, wanted.price);
        let mut fact = change(rules, known, &next, EventKind::PriceChanged, reason, input);
        if !effects.is_empty() {
            fact.ordinal = 1;
            fact.previous_stock = Some(wanted.stock);
        }
        effects.push(Effect::Publish(fact));
    }
    if effects.is_empty() {
        let reason = "Catalog update: details".to_owned();
        effects.push(Effect::Publish(change(rules, known, &next, EventKind::ProductUpdated, reason, input)));
    }
    effects.extend(level_alert(rules, &next.product, rules.level(known.product.stock), input.at_ms));
    effects.extend(price_alert(known.product.price, &next.product, input.at_ms));
    Transition { next: Some(next), effects, outcome: Outcome::Applied }
}

fn remove(known: &ProductState, input: &Input) -> Transition {
    let fact = InventoryEvent {
        product_id: known.product.id.clone(),
        details: Some(known.product.details.clone()),
        kind: EventKind::ProductRemoved,
        previous_stock: Some(known.product.stock),
        current_stock: Stock::NONE,
        previous_price: Some(known.product.price),
        current_price: Some(known.product.price),
        at_ms: input.at_ms,
        reason: "Product removed from the catalog".to_owned(),
        level: StockLevel::Out,
        revision: Some(known.revision.next()),
        cause: input.cause,
        ordinal: 0,
        order: None,
        probed_expiry_ms: None,
    };
    Transition { next: None, effects: vec![Effect::Publish(fact)], outcome: Outcome::Applied }
}

fn deduct(rules: &Rules, known: &ProductState, item: &OrderItem, input: &Input) -> Transition {
    let (left, allocated) = known.product.stock.take(item.quantity);
    let outcome = OrderOutcome::of(item, allocated);
    let reason = deduct_reason(&outcome);
    if allocated == 0 {
        let next = touched(rules, known, input);
        let mut fact = change(rules, known, &next, EventKind::OutOfStock, reason, input);
        fact.order = Some(outcome);
        return Transition { next: Some(next), effects: vec![Effect::Publish(fact)], outcome: Outcome::Unchanged };
    }
    let next = changed(rules, known, Product { stock: left, ..known.product.clone() }, input);
    let kind = if left == Stock::NONE { EventKind::OutOfStock } else { EventKind::InventoryDecreased };
    let mut fact = change(rules, known, &next, kind, reason, input);
    fact.order = Some(outcome);
    let mut effects = vec![Effect::Publish(fact)];
    effects.extend(level_alert(rules, &next.product, rules.level(known.product.stock), input.at_ms));
    Transition { next: Some(next), effects, outcome: Outcome::Applied }
}

fn reject_unknown(item: &OrderItem, input: &Input) -> Transition {
    let reason = format!("Order {}: unknown product", item.order_id);
    let fact = nothing_allocated(&input.product_id, OrderOutcome::of(item, 0), input.cause, input.at_ms, reason);
    Transition { next: None, effects: vec![Effect::Publish(fact)], outcome: Outcome::Unchanged }
}

fn due(known: &ProductState, deadline_ms: EpochMs) -> bool {
    !known.stale && known.stale_deadline_ms == deadline_ms
}

fn go_stale(rules: &Rules, known: &ProductState, input: &Input) -> Transition {
    let next = ProductState { stale: true, ..known.clone() };
    let reason = format!("Nothing heard for {} s", rules.stale_after_ms / 1000);
    let fact = change(rules, known, &next, EventKind::StaleInventory, reason, input);
    Transition { next: Some(next), effects: vec![Effect::Publish(fact)], outcome: Outcome::Unchanged }
}

/// The state after an input that named the product but changed nothing. An input no later than the last one moves no deadline,
/// and a deadline makes a product stale only once: so a stale product stays stale.
fn touched(rules: &Rules, known: &ProductState, input: &Input) -> ProductState {
    let last_heard_ms = known.last_heard_ms.max(input.at_ms);
    let mut applied = known.applied;
    applied.advance(&input.cause);
    ProductState {
        last_heard_ms,
        stale_deadline_ms: last_heard_ms.saturating_add(rules.stale_after_ms),
        stale: known.stale && last_heard_ms == known.last_heard_ms,
        applied,
        ..known.clone()
    }
}

/// The state after a change: its version is one higher.
fn changed(rules: &Rules, known: &ProductState, product: Product, input: &Input) -> ProductState {
    ProductState { product, revision: known.revision.next(), changed_at_ms: input.at_ms, ..touched(rules, known, input) }
}

fn stock_event(before: Stock, after: Stock) -> Option<EventKind> {
    match (before.units(), after.units()) {
        (b, a) if b == a => None,
        (_, 0) => Some(EventKind::OutOfStock),
        (0, _) => Some(EventKind::BackInStock),
        (b, a) if a < b => Some(EventKind::InventoryDecreased),
        _ => Some(EventKind::InventoryIncreased),
    }
}

/// A fact about a state, without a previous state.
fn fact(rules: &Rules, next: &ProductState, kind: EventKind, reason: String, input: &Input) -> InventoryEvent {
    InventoryEvent {
        product_id: next.product.id.clone(),
        details: Some(next.product.details.clone()),
        kind,
        previous_stock: None,
        current_stock: next.product.stock,
        previous_price: None,
        current_price: Some(next.product.price),
        at_ms: input.at_ms,
        reason,
        level: rules.level(next.product.stock),
        revision: Some(next.revision),
        cause: input.cause,
        ordinal: 0,
        order: None,
        probed_expiry_ms: None,
    }
}

/// A fact about the step from one state to the next.
fn change(
    rules: &Rules,
    known: &ProductState,
    next: &ProductState,
    kind: EventKind,
    reason: String,
    input: &Input,
) -> InventoryEvent {
    InventoryEvent {
        previous_stock: Some(known.product.stock),
        previous_price: Some(known.product.price),
        ..fact(rules, next, kind, reason, input)
    }
}

fn deduct_reason(outcome: &OrderOutcome) -> String {
    let OrderOutcome { order_id, allocated, shortfall, quantity, .. } = outcome;
    let units = if *quantity == 1 { "unit" } else { "units" };
    match (allocated, shortfall) {
        (_, 0) => format!("Order {order_id}: {allocated} {units} sold"),
        (0, _) => format!("Order {order_id}: none of {quantity} {units} available"),
        _ => format!("Order {order_id}: {allocated} of {quantity} {units} sold, {shortfall} short"),
    }
}

/// An alert if the level changed to one that requires an alert.
fn level_alert(rules: &Rules, product: &Product, before: StockLevel, at_ms: EpochMs) -> Option<Effect> {
    let level = rules.level(product.stock);
    let low = |severity| AlertKind::LowStock { left: product.stock, severity };
    let kind = match level {
        StockLevel::Normal => return None,
        _ if level == before => return None,
        StockLevel::Warning => low(Severity::Warning),
        StockLevel::Critical => low(Severity::Critical),
        StockLevel::Out => AlertKind::OutOfStock,
    };
    Some(Effect::Raise(Alert { product_id: product.id.clone(), kind, at_ms }))
}

/// An alert if the price dropped by at least 10 %, and was not 0 before.
fn price_alert(before: Cents, product: &Product, at_ms: EpochMs) -> Option<Effect> {
    let (from, to) = (before, product.price);
    let fell = from.cents() - to.cents();
    (fell > 0 && fell * 10 >= from.cents())
        .then(|| Effect::Raise(Alert { product_id: product.id.clone(), kind: AlertKind::PriceDrop { from, to }, at_ms }))
}

#[cfg(test)]
mod sequences;
#[cfg(test)]
mod tests;
