//! A batch of the order tracker, and its effects.

use std::collections::BTreeMap;
use std::time::Duration;

use super::TrackerPosition;
use super::orders::OutcomeKind;
use crate::domain::EpochMs;
use crate::domain::ids::{OrderId, OrderItemId};

/// What one event of `inventory-events` says about an order item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub order_id: OrderId,
    pub order_item_id: OrderItemId,
    pub kind: OutcomeKind,
    pub allocated: i64,
    pub shortfall: i64,
    /// The event's id: the same on every replay.
    pub event_id: String,
    /// The reason of a rejection.
    pub reason: Option<String>,
    /// Log append times of the record that orders the item and of this answer.
    pub published_at_ms: Option<EpochMs>,
    pub applied_at_ms: Option<EpochMs>,
}

/// What a tracker read in one poll.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrackerBatch {
    pub outcomes: Vec<Outcome>,
    /// Items whose probe was answered with `ORDER_EXPIRED`: the WAL reader publishes those that are still `direct` without an
    /// outcome, also of this batch.
    pub expired: Vec<(OrderId, OrderItemId)>,
    /// The expiry that each answer names, the latest one of the batch; answers of earlier versions name none.
    pub named_expiries: BTreeMap<OrderItemId, EpochMs>,
    /// The last record read of each partition.
    pub positions: Vec<TrackerPosition>,
}

/// The effects of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Every known order that the batch named, in id order.
    pub orders: Vec<TouchedOrder>,
    /// Number of newly written outcomes.
    pub outcomes_written: u64,
    /// Items that the WAL reader publishes from now on.
    pub flipped: Vec<OrderItemId>,
    /// How long after their checkout the orders were settled that this batch settled.
    pub settled_after: Vec<Duration>,
    /// Items that had another outcome before: the log holds each only once.
    pub contradicted: u64,
    /// Items that an event took units for which was appended after its expiry.
    pub applied_late: u64,
    /// Flipped items that have an outcome.
    pub flipped_with_outcome: u64,
}

/// An order that the batch named, after the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchedOrder {
    pub order_id: String,
    /// The session whose pages are notified.
    pub session_id: Option<String>,
    pub status: String,
    /// Whether this batch settled it.
    pub settled_now: bool,
}
