//! A product's history as operators see it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::EpochMs;
use crate::domain::inventory::Cause;
use crate::domain::product::Revision;
use crate::log::{Offset, Record, TopicPartition};
use crate::wire::money::Money;
use crate::wire::topics::Topic;
use crate::wire::topics::inventory_event::InventoryFact;
use crate::wire::topics::{headers, output};

/// What a product was at a moment, why, and its changes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductTimeline {
    pub product_id: String,
    /// Of `inventory-events`.
    pub partition: i32,
    /// The moment that was asked for; null: the end of the log.
    pub at: Option<EpochMs>,
    /// Null while the product does not exist, or where nothing proves what it was: see `proof`.
    pub state: Option<StateThen>,
    pub revision: Option<TimelineRevision>,
    /// Of the event that led to the state, with the record that it came in.
    pub cause: Option<ChangeCause>,
    pub proof: Proof,
    /// Newest first, in the order of the log: that of life and version. Times are labels.
    pub changes: Vec<TimelineChange>,
    /// Where older records are gone: the oldest that is left. Nothing before it can be proven.
    pub since: Option<TimelineSince>,
    /// Where to go on for older changes, or for the state if it was not found in time.
    pub cursor: Option<String>,
}

/// How the state is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// The last event at or before the moment says it.
    Event,
    /// The first event after the moment says what was before it, and everything in between is there.
    Next,
    /// The product did not exist.
    Absent,
    /// The log no longer reaches back so far, or holds nothing of the product.
    None,
    /// Time was up: ask again with the cursor.
    Pending,
    /// This is a further page: the first one said it.
    Given,
}

/// A product at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateThen {
    pub name: Option<String>,
    pub stock: i64,
    pub price: Option<Money>,
    /// When the event that says so was appended; of `proof` `next`, when the one after it was.
    pub time: EpochMs,
}

/// A product's revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct TimelineRevision {
    pub life: i64,
    pub version: u64,
}

/// The oldest record that is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TimelineSince {
    /// When it was appended; null if no record is left at all.
    pub time: Option<EpochMs>,
    pub offset: Offset,
}

/// One event of a product.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineChange {
    pub offset: Offset,
    /// When it was appended.
    pub time: EpochMs,
    pub event_type: String,
    /// For people.
    pub reason: String,
    /// Null for answers about a product that the shop does not have.
    pub revision: Option<TimelineRevision>,
    pub stock_before: Option<i64>,
    pub stock_after: Option<i64>,
    pub price_before: Option<Money>,
    pub price_after: Option<Money>,
    pub cause: ChangeCause,
}

/// Why something changed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeCause {
    pub kind: CauseKind,
    /// As the header `kartshoppe-cause` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The record: its topic, partition, offset, and the element of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_item_id: Option<String>,
    /// Units that the item asked for, and those that it got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocated: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The record as a topic shows it, where it was read and is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub record: Option<Value>,
}

/// What kind of thing made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CauseKind {
    /// A record of an input topic.
    Record,
    /// A line of the bootstrap file.
    File,
    /// A deadline that came due.
    Timer,
    /// The event names no cause that is known: another program wrote it.
    Unknown,
}

impl From<Revision> for TimelineRevision {
    fn from(Revision { life, version }: Revision) -> Self {
        Self { life, version }
    }
}

impl TimelineChange {
    pub(super) fn of(record: &Record, fact: &InventoryFact) -> Self {
        Self {
            offset: record.offset,
            time: record.append_time_ms,
            event_type: fact.event_type.as_str().to_owned(),
            reason: fact.reason.clone(),
            revision: fact.revision.map(Into::into),
            stock_before: fact.previous_stock,
            stock_after: fact.current_stock.map(crate::domain::ids::Stock::units),
            price_before: fact.previous_price.map(Money::from),
            price_after: fact.current_price.map(Money::from),
            cause: ChangeCause::of(record, fact),
        }
    }
}

impl ChangeCause {
    pub(super) fn of(record: &Record, fact: &InventoryFact) -> Self {
        let cause = output::cause_of(&record.headers);
        let (kind, place) = match cause {
            Some(Cause::Record { topic, partition, position }) => {
                (CauseKind::Record, Some((Topic::from(topic).name(), partition, position)))
            }
            Some(Cause::File { .. }) => (CauseKind::File, None),
            Some(Cause::Timer { .. }) => (CauseKind::Timer, None),
            None => (CauseKind::Unknown, None),
        };
        let order = fact.order.as_ref();
        Self {
            kind,
            text: record.headers.get(headers::CAUSE).map(|text| String::from_utf8_lossy(text).into_owned()),
            topic: place.map(|(topic, ..)| topic),
            partition: place.map(|(_, partition, _)| partition),
            offset: place.map(|(.., position)| position.offset),
            index: place.map(|(.., position)| position.index),
            order_id: order.map(|outcome| outcome.order_id.to_string()),
            order_item_id: order.and_then(|outcome| outcome.order_item_id.as_ref()).map(ToString::to_string),
            quantity: order.map(|outcome| outcome.quantity),
            allocated: order.map(|outcome| outcome.allocated),
            trace_id: output::trace_of(&record.headers).map(|trace| trace.trace_id_hex()),
            record: None,
        }
    }

    /// Where the record is.
    pub(super) fn place(&self) -> Option<(TopicPartition, Offset)> {
        let topic = Topic::from_name(self.topic?)?;
        Some((TopicPartition::new(topic, self.partition?), self.offset?))
    }
}
