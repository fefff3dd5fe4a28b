//! What the commands of one product give the world, encoded: facts and alerts in order, the last state, the last frame.

use crate::domain::ids::ProductId;
use crate::domain::ids::Stock;
use crate::domain::inventory::{Cause, Effect, InventoryEvent, Outcome, ProductState};
use crate::domain::product::Product;
use crate::log::{NewRecord, PartitionId};
use crate::telemetry::context::TraceContext;
use crate::wire::envelope::uuid_of;
use crate::wire::pages::frame::ProductUpdate;
use crate::wire::pages::history::ProductChange;
use crate::wire::product::ProductBody;
use crate::wire::topics::inventory_event::event_id;
use crate::wire::topics::{alert_event, inventory_event, product_record};

/// The records that a product's commands give.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Events and alerts, in the order in which they were decided.
    pub facts: Vec<NewRecord>,
    /// The last state, if it changed in any way.
    pub state: Option<NewRecord>,
    /// The frame of the last change, if there was one.
    pub frame: Option<NewRecord>,
    /// Sampled traces that the commit's span is linked to.
    pub traces: Vec<TraceContext>,
    last_change: Option<Change>,
}

/// The last change of the product, for its frame.
#[derive(Debug)]
struct Change {
    event: InventoryEvent,
    trace: Option<TraceContext>,
}

impl Outputs {
    /// Adds what one command gave.
    pub fn add(&mut self, effects: Vec<Effect>, outcome: Outcome, cause: &Cause, trace: Option<&TraceContext>) {
        for effect in effects {
            match effect {
                Effect::Publish(event) => {
                    self.facts.push(inventory_event::record(&event, trace));
                    if outcome == Outcome::Applied {
                        self.last_change = Some(Change { event, trace: trace.copied() });
                    }
                }
                Effect::Raise(alert) => self.facts.push(alert_event::record(&alert, cause, trace)),
            }
        }
    }

    /// Adds the state after the last command, and the frame of the last change among them. `before` is the state before the first.
    pub fn close(&mut self, place: &Place<'_>, before: Option<&ProductState>, next: Option<&ProductState>) {
        let change = self.last_change.take();
        let trace = change.as_ref().and_then(|change| change.trace);
        let Place { product_id, partition, cause } = *place;
        self.state = Some(match next {
            Some(next) => product_record::record(next, partition, cause, trace.as_ref()),
            None => {
                let left = change.as_ref().and_then(|change| change.event.revision);
                product_record::tombstone(product_id, left, partition, cause, trace.as_ref())
            }
        });
        self.frame = change.and_then(|change| change.frame(before, next));
    }

    /// The size of the largest record.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.facts.iter().chain(&self.state).chain(&self.frame).map(NewRecord::size).max().unwrap_or_default()
    }

    /// Adds what later commands of the same product gave.
    pub fn then(&mut self, later: Self) {
        let Self { facts, state, frame, traces, last_change: _ } = later;
        self.facts.extend(facts);
        self.state = state.or(self.state.take());
        self.frame = frame.or(self.frame.take());
        self.traces.extend(traces);
    }
}

/// Where a state belongs, and what made it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub product_id: &'a ProductId,
    pub partition: PartitionId,
    pub cause: &'a Cause,
}

impl Change {
    /// The frame: the whole product as it is now; a removed one as it was, with nothing in stock.
    fn frame(&self, before: Option<&ProductState>, next: Option<&ProductState>) -> Option<NewRecord> {
        let Self { event, trace } = self;
        let change = ProductChange::of_event(event);
        let uuid = uuid_of(&event_id(&event.cause, &event.product_id, event.ordinal));
        let record = |product| {
            ProductUpdate { product, change, traceparent: *trace }.record(&event.product_id, &uuid, event.at_ms, &event.cause)
        };
        if let Some(next) = next {
            return Some(record(ProductBody::from(next)));
        }
        let (revision, details) = (event.revision?, event.details.clone()?);
        let price = event.current_price.or(before.map(|known| known.product.price))?;
        let gone = Product { id: event.product_id.clone(), price, stock: Stock::NONE, details };
        Some(record(ProductBody::new(&gone, revision, revision.version, event.at_ms)))
    }
}
