//! How checkouts hand items over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::SpanKind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::gate::{Gate, PublishMode};
use crate::actors::kit::Mailbox;
use crate::clock::{Clock, in_ms};
use crate::config::RoleName;
use crate::domain::EpochMs;
use crate::log::{Appended, LogError, NewRecord};
use crate::store::{Order, OrderItem, PublishVia};
use crate::telemetry::context::TraceContext;
use crate::telemetry::names::{attribute, span};
use crate::telemetry::spans::Span;
use crate::wire::topics::Topic;
use crate::wire::topics::order_event::{OrderEvent, OrderSource, Wish};

/// The actor's id.
pub(super) const ID: &str = "order-publisher";
/// Items that wait for the log at most: a second of a very busy shop.
const CREDIT: usize = 20_000;

/// Figures of the publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublisherSettings {
    /// When a direct item's event must be on the log, counted from its INSERT: what the store writes into `expires_at`.
    pub direct_expiry: Duration,
    /// How long an append may take before its result counts as unclear.
    pub publish_timeout: Duration,
    /// How far the clocks of log and database may differ.
    pub max_clock_skew: Duration,
}

/// Counts of the items since the process started, by their outcome.
#[derive(Debug, Default)]
pub struct PublishCounts {
    /// On the log.
    pub published: AtomicU64,
    /// Handed to the log, which gave an error or no answer: it may have them.
    pub unclear: AtomicU64,
    /// Never handed to the log: no credit, or no actor.
    pub left_to_rescue: AtomicU64,
}

/// Hands over the items of committed orders. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PublisherHandle {
    pub(super) mailbox: Mailbox<OrderPublisherMsg>,
    credit: Arc<Semaphore>,
    pub(super) gate: Arc<Gate>,
    pub(super) counts: Arc<PublishCounts>,
    pub(super) settings: PublisherSettings,
    clock: Clock,
}

/// What the publisher handles.
#[derive(Debug)]
pub enum OrderPublisherMsg {
    Publish(Handover),
    /// An append is over, or was given up.
    Reported(AppendReport),
    /// The log said whether order-events carries its append time; `None` if it did not answer.
    AppendTime(Option<bool>),
    CheckTopic,
}

/// Items of one order, right after its commit. If they are dropped before they were handed to the log, they are left to rescue.
#[derive(Debug)]
pub struct Handover {
    /// Empty once they were handed to the log.
    pub(super) records: Vec<NewRecord>,
    /// How many there were.
    pub(super) items: usize,
    counts: Arc<PublishCounts>,
    /// What the database's clock showed at the INSERT.
    pub(super) inserted_at_ms: EpochMs,
    pub(super) handed_at: Instant,
    _credit: Option<OwnedSemaphorePermit>,
    /// Lasts until the log has answered.
    pub(super) span: Span,
}

impl Drop for Handover {
    fn drop(&mut self) {
        self.counts.left_to_rescue.fetch_add(self.records.len() as u64, Ordering::Relaxed);
    }
}

/// What an append gave.
#[derive(Debug)]
pub struct AppendReport {
    pub(super) handovers: Vec<Handover>,
    pub(super) result: Result<Vec<Appended>, LogError>,
}

impl PublisherHandle {
    /// A publisher whose actor is not started yet.
    #[must_use]
    pub fn new(settings: PublisherSettings, clock: Clock) -> Self {
        Self {
            mailbox: Mailbox::new(ID),
            credit: Arc::new(Semaphore::new(CREDIT)),
            gate: Arc::new(Gate::new(settings.max_clock_skew)),
            counts: Arc::default(),
            settings,
            clock,
        }
    }

    /// What publishes an order that does not ask for change data capture.
    #[must_use]
    pub fn mode(&self) -> PublishMode {
        self.gate.mode()
    }

    /// The gate, for the other readers of append times.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> &PublishCounts {
        &self.counts
    }

    /// Hands the order's direct items over, to be called once, by the request that inserted them, right after its commit. Never
    /// waits; what cannot be taken is left to rescue. The other items are not published here.
    pub fn publish(&self, order: &Order, trace: Option<TraceContext>) {
        let events: Vec<_> = order.items.iter().filter_map(|item| self.event(order, item)).collect();
        let expires_at_ms = order.items.iter().filter_map(|item| item.expires_at_ms).max();
        let (Some(expires_at_ms), false) = (expires_at_ms, events.is_empty()) else { return };
        let span = publish_span(order, events.len(), trace.as_ref());
        let trace = span.below(trace);
        let records: Vec<_> = events.iter().map(|event| event.record(trace.as_ref())).collect();
        let count = records.len();
        let credit = u32::try_from(count).ok().and_then(|count| self.credit.clone().try_acquire_many_owned(count).ok());
        // The store computed the expiry from the database's time of the INSERT: this is that time.
        let expiry_ms = in_ms(self.settings.direct_expiry);
        let inserted_at_ms = expires_at_ms.saturating_sub(expiry_ms);
        let (counts, handed_at) = (self.counts.clone(), Instant::now());
        let has_credit = credit.is_some();
        let handover = Handover { records, items: count, counts, inserted_at_ms, handed_at, _credit: credit, span };
        if !has_credit || self.mailbox.tell(OrderPublisherMsg::Publish(handover)).is_err() {
            tracing::warn!(kartshoppe.order.id = %order.order_id, items = count,
                "items were not handed to the event log: the rescue will publish them");
        }
    }

    /// The event of an item that is published directly; `None` for one that the WAL reader publishes.
    fn event(&self, order: &Order, item: &OrderItem) -> Option<OrderEvent> {
        if item.publish_via != PublishVia::Direct {
            return None;
        }
        let quantity = crate::domain::ids::Quantity::new(item.quantity).ok()?;
        Some(OrderEvent {
            order_id: order.order_id.clone(),
            product_id: item.product_id.clone(),
            wish: Wish::Units(quantity),
            timestamp_ms: Some(self.clock.now_ms()),
            order_item_id: Some(item.order_item_id.clone()),
            source: Some(OrderSource::Direct),
            expires_at_ms: item.expires_at_ms,
        })
    }
}

fn publish_span(order: &Order, items: usize, parent: Option<&TraceContext>) -> Span {
    let span = Span::child(RoleName::Api, SpanKind::Producer, span::ORDER_SEND, parent);
    if span.is_none() {
        return span;
    }
    span.messaging("send", "send", Topic::OrderEvents.name())
        .with(attribute::MESSAGING_BATCH_MESSAGE_COUNT, i64::try_from(items).unwrap_or(i64::MAX))
        .with(attribute::ORDER_ID, order.order_id.to_string())
}
