//! The records that the commands of one product write: events and alerts in order, its last state and its last frame.

use std::sync::Arc;

use super::batch::Tally;
use crate::domain::ids::{ProductId, Stock};
use crate::domain::inventory::{Cause, Effect, InventoryEvent, Outcome, ProductState};
use crate::domain::product::Product;
use crate::log::{NewRecord, PartitionId};
use crate::telemetry::context::TraceContext;
use crate::telemetry::spans::Span;
use crate::wire::envelope::uuid_of;
use crate::wire::pages::frame::ProductUpdate;
use crate::wire::pages::history::ProductChange;
use crate::wire::product::ProductBody;
use crate::wire::topics::inventory_event::event_id;
use crate::wire::topics::{alert_event, inventory_event, product_record};

/// The encoded records of a product's commands.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    /// Events and alerts, in the order in which they were decided.
    pub facts: Vec<NewRecord>,
    /// The last state, if it changed in any way.
    pub state: Option<NewRecord>,
    /// The frame of the last change, if there was one.
    pub frame: Option<NewRecord>,
    /// The sampled records among the causes.
    pub traces: Vec<TracedRecord>,
    last_change: Option<LastChange>,
    /// The last sampled trace among the changes that the frame stands for.
    last_sampled: Option<TraceContext>,
}

/// A sampled record on its way to the commit.
#[derive(Debug)]
pub(crate) struct TracedRecord {
    /// Lasts until the commit.
    pub process: Span,
    /// The command's span, which the batch's is linked to.
    pub applied: TraceContext,
}

/// The last change of the product, for its frame.
#[derive(Debug)]
struct LastChange {
    event: InventoryEvent,
    trace: Option<TraceContext>,
}

impl Outputs {
    /// Adds the effects of one command.
    pub(crate) fn add(&mut self, effects: Vec<Effect>, outcome: Outcome, cause: &Cause, trace: Option<&TraceContext>) {
        for effect in effects {
            match effect {
                Effect::Publish(event) => {
                    self.facts.push(inventory_event::record(&event, trace));
                    if outcome == Outcome::Applied {
                        if let Some(sampled) = trace.filter(|trace| trace.is_sampled()) {
                            self.last_sampled = Some(sampled.clone());
                        }
                        self.last_change = Some(LastChange { event, trace: trace.cloned() });
                    }
                }
                Effect::Raise(alert) => self.facts.push(alert_event::record(&alert, cause, trace)),
            }
        }
    }

    /// Adds the state after the last command and the frame of the last change. `before` is the state before the first command.
    pub(crate) fn close(&mut self, origin: &StateOrigin<'_>, before: Option<&ProductState>, next: Option<&ProductState>) {
        let mut change = self.last_change.take();
        if let (Some(change), Some(sampled)) = (&mut change, self.last_sampled.take()) {
            // One frame stands for several changes: a sampled trace can be looked up, so it is preferred to the newest one.
            change.trace = Some(sampled);
        }
        let trace = change.as_ref().and_then(|change| change.trace.clone());
        let StateOrigin { product_id, partition, cause } = *origin;
        self.state = Some(match next {
            Some(next) => product_record::record(next, partition, cause, trace.as_ref()),
            None => {
                let left = change.as_ref().and_then(|change| change.event.revision);
                product_record::tombstone(product_id, left, partition, cause, trace.as_ref())
            }
        });
        self.frame = change.and_then(|change| change.frame(before, next));
    }

    /// The size of the largest record, in bytes.
    pub(crate) fn largest(&self) -> usize {
        self.facts.iter().chain(&self.state).chain(&self.frame).map(NewRecord::size).max().unwrap_or_default()
    }

    /// Adds the outputs of later commands of the same product.
    pub(crate) fn then(&mut self, later: Self) {
        let Self { facts, state, frame, traces, last_change: _, last_sampled: _ } = later;
        self.facts.extend(facts);
        self.state = state.or(self.state.take());
        self.frame = frame.or(self.frame.take());
        self.traces.extend(traces);
    }
}

/// Which product's state was written, where, and because of what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StateOrigin<'a> {
    pub product_id: &'a ProductId,
    pub partition: PartitionId,
    pub cause: &'a Cause,
}

impl LastChange {
    /// The frame: the product as it is now, or as it was before its removal with no stock.
    fn frame(&self, before: Option<&ProductState>, next: Option<&ProductState>) -> Option<NewRecord> {
        let Self { event, trace } = self;
        let change = ProductChange::of_event(event);
        let uuid = uuid_of(&event_id(&event.cause, &event.product_id, event.ordinal));
        let record = |product| {
            ProductUpdate { product, change, traceparent: trace.clone() }.record(
                &event.product_id,
                &uuid,
                event.at_ms,
                &event.cause,
            )
        };
        if let Some(next) = next {
            return Some(record(ProductBody::from(next)));
        }
        let (revision, details) = (event.revision?, event.details.clone()?);
        let price = event.current_price.or(before.map(|known| known.product.price))?;
        let removed = Product { id: event.product_id.clone(), price, stock: Stock::NONE, details };
        Some(record(ProductBody::new(&removed, revision, revision.version, event.at_ms)))
    }
}

/// A product's state; `None` while the product does not exist.
pub(crate) type KnownState = Option<Arc<ProductState>>;

/// A product's answer to its commands of one batch.
#[derive(Debug, Default)]
pub(crate) struct ProductReply {
    pub next: KnownState,
    pub outputs: Outputs,
    pub tally: Tally,
}

impl ProductReply {
    /// Adds the reply to later commands.
    pub(crate) fn then(&mut self, later: Self) {
        self.next = later.next;
        self.outputs.then(later.outputs);
        self.tally += later.tally;
    }
}
