//! Where one order left its records: each item's event, its outcome, the product's state and the frame for pages.
//!
//! Only the partitions of the order's products are read, and each from a time on: when the order came, or what PostgreSQL knows
//! of the item. What is not there by the deadline is reported as not found.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::window;
use crate::domain::EpochMs;
use crate::domain::ids::{OrderId, OrderItemId, ProductId};
use crate::domain::inventory::EventKind;
use crate::domain::product::Revision;
use crate::log::partitioner::partition_of;
use crate::log::{EventLog, LogError, Offset, PartitionId, Record, Start, TopicPartition};
use crate::wire::topics::inventory_event::{self, EventType};
use crate::wire::topics::order_event::{self, OrderSource, Wish};
use crate::wire::topics::product_record::{self, Restored};
use crate::wire::topics::{Topic, headers, output};

/// Clocks of database and log may differ by so much.
const SKEW_MS: i64 = 60_000;

/// An item to look for, with what PostgreSQL knows of it.
#[derive(Debug, Clone)]
pub struct ItemSought {
    pub order_item_id: OrderItemId,
    pub product_id: ProductId,
    pub published_at_ms: Option<EpochMs>,
    pub applied_at_ms: Option<EpochMs>,
}

/// Where a record lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LogPlace {
    pub topic: &'static str,
    pub partition: PartitionId,
    pub offset: Offset,
    /// When it was appended.
    pub time: EpochMs,
}

/// What was found of an item.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ItemFound {
    pub published: Option<LogPlace>,
    pub source: Option<OrderSource>,
    pub trace_id: Option<String>,
    /// Its outcome on `inventory-events`.
    pub answered: Option<LogPlace>,
    /// What the outcome says, for people.
    pub reason: Option<String>,
    /// The product with the outcome, or the first later state that is still there.
    pub state: Option<LogPlace>,
    /// The frame that shows it.
    pub frame: Option<LogPlace>,
    revision: Option<Revision>,
    cause: Option<Bytes>,
    changed: bool,
}

/// The records of an order.
#[derive(Debug, Default)]
pub struct OrderFound {
    pub items: BTreeMap<OrderItemId, ItemFound>,
    /// Everything that could be there was read.
    pub complete: bool,
}

impl LogPlace {
    fn of(record: &Record) -> Self {
        let Record { topic, partition, offset, append_time_ms: time, .. } = record;
        Self { topic: topic.name(), partition: *partition, offset: *offset, time: *time }
    }
}

/// Looks for the records of these items of an order that was made at `since_ms`.
///
/// # Errors
/// Those of reading; that time is up is none.
pub async fn find(
    log: &dyn EventLog,
    order_id: &OrderId,
    items: &[ItemSought],
    since_ms: EpochMs,
    until: Instant,
) -> Result<OrderFound, LogError> {
    let mut found = OrderFound { complete: true, ..OrderFound::default() };
    let mut by_partition: BTreeMap<PartitionId, Vec<&ItemSought>> = BTreeMap::new();
    for item in items {
        found.items.insert(item.order_item_id.clone(), ItemFound::default());
        by_partition.entry(partition_of(item.product_id.as_str().as_bytes(), log.partitions())).or_default().push(item);
    }
    for (partition, items) in by_partition {
        let search = PartitionSearch { log, order_id, items, partition, since_ms: since_ms.saturating_sub(SKEW_MS) };
        match timeout_at(until, search.run(&mut found.items)).await {
            Ok(read) => read?,
            Err(_) => found.complete = false,
        }
    }
    Ok(found)
}

/// One partition number, and the order's items there.
struct PartitionSearch<'a> {
    log: &'a dyn EventLog,
    order_id: &'a OrderId,
    items: Vec<&'a ItemSought>,
    partition: PartitionId,
    since_ms: EpochMs,
}

type FoundItems = BTreeMap<OrderItemId, ItemFound>;

impl PartitionSearch<'_> {
    async fn run(&self, found: &mut FoundItems) -> Result<(), LogError> {
        let published = self.start(|item| item.published_at_ms);
        self.scan(Topic::OrderEvents, published, |record| self.published(record, found)).await?;
        let applied = self.start(|item| item.applied_at_ms);
        self.scan(Topic::InventoryEvents, applied, |record| self.answered(record, found)).await?;
        let Some(first) =
            self.items.iter().filter_map(|item| Some(found.get(&item.order_item_id)?.answered.as_ref()?.time)).min()
        else {
            return Ok(());
        };
        // Records of one commit may be stamped some milliseconds apart.
        let after = first.saturating_sub(1_000);
        self.scan(Topic::Products, after, |record| self.state(record, found)).await?;
        if self.items.iter().any(|item| found.get(&item.order_item_id).is_some_and(|found| found.changed)) {
            self.scan(Topic::WebsocketFanout, after, |record| self.frame(record, found)).await?;
        }
        Ok(())
    }

    /// What is known of all items, or when the order came.
    fn start(&self, known: impl Fn(&ItemSought) -> Option<EpochMs>) -> EpochMs {
        let times: Option<Vec<EpochMs>> = self.items.iter().map(|item| known(item)).collect();
        times.and_then(|times| times.into_iter().min()).unwrap_or(self.since_ms)
    }

    async fn scan(
        &self,
        topic: Topic,
        since_ms: EpochMs,
        each: impl FnMut(&Record) -> ControlFlow<()> + Send,
    ) -> Result<(), LogError> {
        match window::scan(self.log, TopicPartition::new(topic, self.partition), Start::Time(since_ms), each).await {
            // The api alone may run on a log that has no such topic yet.
            Err(LogError::UnknownTopic(_)) => Ok(()),
            read => read,
        }
    }

    fn enough(&self, found: &FoundItems, is_found: impl Fn(&ItemFound) -> bool) -> ControlFlow<()> {
        let all = self.items.iter().all(|item| found.get(&item.order_item_id).is_some_and(&is_found));
        if all { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn published(&self, record: &Record, found: &mut FoundItems) -> ControlFlow<()> {
        let event = record.value.as_ref().and_then(|value| order_event::decode_value(value).ok());
        let Some(event) = event.filter(|event| event.order_id == *self.order_id && event.wish != Wish::Probe) else {
            return ControlFlow::Continue(());
        };
        if let Some(item) = event.order_item_id.as_ref().and_then(|id| found.get_mut(id)).filter(|item| item.published.is_none())
        {
            item.published = Some(LogPlace::of(record));
            item.source = event.source;
            item.trace_id = output::trace_of(&record.headers).map(|trace| trace.trace_id_hex());
        }
        self.enough(found, |item| item.published.is_some())
    }

    fn answered(&self, record: &Record, found: &mut FoundItems) -> ControlFlow<()> {
        let fact = record.value.as_ref().and_then(|value| inventory_event::decode(value).ok());
        let Some(fact) = fact.filter(|fact| fact.event_type != EventType::Known(EventKind::OrderExpired)) else {
            return ControlFlow::Continue(());
        };
        let Some(order) = fact.order.filter(|order| order.order_id == *self.order_id) else { return ControlFlow::Continue(()) };
        if let Some(item) = order.order_item_id.as_ref().and_then(|id| found.get_mut(id)).filter(|item| item.answered.is_none()) {
            item.answered = Some(LogPlace::of(record));
            item.reason = Some(fact.reason);
            item.revision = fact.revision;
            item.cause = record.headers.get(headers::CAUSE).cloned();
            item.changed = order.allocated > 0;
        }
        self.enough(found, |item| item.answered.is_some())
    }

    fn state(&self, record: &Record, found: &mut FoundItems) -> ControlFlow<()> {
        let revision = match product_record::decode(record, 0) {
            Ok(Restored::Ours(state)) => Some(state.revision),
            Ok(Restored::Removed(_, revision)) => revision,
            Ok(Restored::Foreign(_)) | Err(_) => None,
        };
        for item in self.of_record(record) {
            if let Some(item) = found.get_mut(&item.order_item_id)
                && item.state.is_none()
                && item.revision.zip(revision).is_some_and(|(wanted, revision)| revision >= wanted)
            {
                item.state = Some(LogPlace::of(record));
            }
        }
        self.enough(found, |item| item.state.is_some() || item.revision.is_none())
    }

    fn frame(&self, record: &Record, found: &mut FoundItems) -> ControlFlow<()> {
        for item in self.of_record(record) {
            if let Some(item) = found.get_mut(&item.order_item_id)
                && item.frame.is_none()
                && item.answered.as_ref().is_some_and(|answered| {
                    // One frame shows the last change of a batch: its cause may be a later one's.
                    record.append_time_ms >= answered.time || record.headers.get(headers::CAUSE) == item.cause.as_ref()
                })
            {
                item.frame = Some(LogPlace::of(record));
            }
        }
        self.enough(found, |item| item.frame.is_some() || !item.changed)
    }

    fn of_record(&self, record: &Record) -> impl Iterator<Item = &&ItemSought> {
        let key = record.key.clone();
        self.items.iter().filter(move |item| key.as_deref() == Some(item.product_id.as_str().as_bytes()))
    }
}
