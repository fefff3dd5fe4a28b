//! From records of `inventory-events` to what is to be stored: pure, and the same for every tracker.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use crate::domain::EpochMs;
use crate::domain::inventory::EventKind;
use crate::log::{PartitionId, Record};
use crate::store::{Outcome, OutcomeKind, TrackerBatch, TrackerPosition};
use crate::telemetry::context::TraceContext;
use crate::telemetry::spans;
use crate::wire::topics::inventory_event::{self, EventType, InventoryFact};
use crate::wire::topics::output;

/// Every event that matters names a row by this field; the rest needs no decoding.
const ROW_FIELD: &[u8] = b"\"orderItemId\"";

/// The outcomes in some records.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    pub batch: TrackerBatch,
    /// The latest append time of a partition that an answer to a probe carried.
    pub probed_append_ms: Option<EpochMs>,
    /// Records that could not be read.
    pub unreadable: u64,
    /// Outcomes of items that have one among these records: the log holds each only once.
    pub repeated: u64,
    /// The sampled traces of the outcomes.
    pub traces: Vec<TraceContext>,
}

/// Reads records, each partition in order.
#[must_use]
pub fn settle(records: &[Record]) -> Settlement {
    let mut settlement = Settlement::default();
    let mut last: BTreeMap<PartitionId, &Record> = BTreeMap::new();
    let mut answered = HashSet::new();
    for record in records {
        last.insert(record.partition, record);
        match record.value.as_deref().filter(|value| names_a_row(value)).map(inventory_event::decode) {
            Some(Ok(fact)) => {
                let known = settlement.batch.outcomes.len();
                settlement.take(fact, record);
                let items = settlement.batch.outcomes[known..].iter().map(|outcome| outcome.order_item_id.clone());
                settlement.repeated += items.filter(|item| !answered.insert(item.clone())).count() as u64;
            }
            Some(Err(error)) => settlement.skip(record, &error),
            None => {}
        }
    }
    settlement.batch.positions = last.into_values().map(position_of).collect();
    settlement
}

impl Settlement {
    fn take(&mut self, fact: InventoryFact, record: &Record) {
        let Some(order) = fact.order else { return };
        let Some(order_item_id) = order.order_item_id else { return };
        if fact.event_type == EventType::Known(EventKind::OrderExpired) {
            self.probed_append_ms = self.probed_append_ms.max(Some(fact.timestamp_ms));
            if let Some(expiry_ms) = fact.probed_expiry_ms {
                let latest_ms = self.batch.named_expiries.entry(order_item_id.clone()).or_insert(expiry_ms);
                *latest_ms = expiry_ms.max(*latest_ms);
            }
            self.batch.expired.push((order.order_id, order_item_id));
            return;
        }
        let rejected = fact.event_type == EventType::Known(EventKind::OrderRejected);
        let kind = match order.shortfall {
            _ if rejected => OutcomeKind::Rejected,
            0 => OutcomeKind::Allocated,
            _ => OutcomeKind::Short,
        };
        self.traces.extend(output::trace_of(&record.headers).filter(TraceContext::is_sampled));
        self.batch.outcomes.push(Outcome {
            order_id: order.order_id,
            order_item_id,
            kind,
            allocated: order.allocated,
            shortfall: order.shortfall,
            event_id: fact.event_id.unwrap_or_else(|| digest(record)),
            reason: rejected.then(|| printable(&fact.reason)),
            // The inventory dates an answer with the time at which the log took the order's record.
            published_at_ms: Some(fact.timestamp_ms).filter(|at_ms| *at_ms > 0),
            applied_at_ms: Some(record.append_time_ms).filter(|at_ms| *at_ms > 0),
        });
    }

    fn skip(&mut self, record: &Record, error: &impl std::fmt::Display) {
        self.unreadable += 1;
        spans::within(output::trace_of(&record.headers).as_ref(), || {
            tracing::warn!(
                messaging.destination.partition.id = record.partition,
                messaging.kafka.offset = record.offset,
                %error,
                "an event that names an order item cannot be read"
            );
        });
    }
}

fn names_a_row(value: &[u8]) -> bool {
    value.windows(ROW_FIELD.len()).any(|window| window == ROW_FIELD)
}

/// A position that names this record as the last one read.
#[must_use]
pub fn position_of(record: &Record) -> TrackerPosition {
    TrackerPosition { partition: record.partition, offset: record.offset, event_id: event_id_of(record) }
}

/// The furthest position of each partition.
#[must_use]
pub fn furthest(positions: Vec<TrackerPosition>) -> Vec<TrackerPosition> {
    let mut by_partition: BTreeMap<PartitionId, TrackerPosition> = BTreeMap::new();
    for position in positions {
        let known = by_partition.get(&position.partition);
        if known.is_none_or(|known| known.offset < position.offset) {
            by_partition.insert(position.partition, position);
        }
    }
    by_partition.into_values().collect()
}

/// The event's id and a digest of the whole record. A new log counts its offsets from 0 again, and so gives the same
/// ids; it does not give the same records.
#[must_use]
pub fn event_id_of(record: &Record) -> String {
    let fact = record.value.as_deref().and_then(|value| inventory_event::decode(value).ok());
    let event_id = fact.and_then(|fact| fact.event_id).unwrap_or_default();
    format!("{}#{}", printable(&event_id), digest(record))
}

/// A name derived from the record's content.
fn digest(record: &Record) -> String {
    let digest = Sha256::digest(record.value.as_deref().unwrap_or_default());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Longest text that is stored, in characters.
const TEXT_MAX: usize = 500;

/// A text that PostgreSQL accepts.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::log::Headers;
    use crate::wire::topics::Topic;

    fn record(partition: PartitionId, offset: i64, value: &serde_json::Value) -> Record {
        Record {
            topic: Topic::InventoryEvents,
            partition,
            offset,
            append_time_ms: 0,
            key: None,
            value: Some(Bytes::from(value.to_string())),
            headers: Headers::none(),
        }
    }

    fn event(kind: &str, item: &str, allocated: i64, shortfall: i64) -> serde_json::Value {
        json!({"productId": "P", "eventType": kind, "currentInventory": 1, "timestamp": 77, "changeReason": "why\u{0}",
               "eventId": format!("e-{item}"), "orderId": "o", "orderItemId": item,
               "quantity": allocated + shortfall, "allocated": allocated, "shortfall": shortfall})
    }

    #[test]
    fn every_kind_of_answer_becomes_its_outcome() {
        let records = [
            record(0, 5, &event("INVENTORY_DECREASED", "full", 2, 0)),
            record(0, 6, &event("OUT_OF_STOCK", "short", 1, 1)),
            record(1, 9, &event("OUT_OF_STOCK", "none", 0, 2)),
            record(1, 10, &event("ORDER_REJECTED", "unknown", 0, 2)),
            record(1, 11, &event("ORDER_EXPIRED", "late", 0, 0)),
            record(0, 7, &json!({"productId": "P", "eventType": "PRICE_CHANGED", "eventId": "e-price"})),
            record(2, 0, &json!({"productId": "P", "eventType": "OUT_OF_STOCK", "orderItemId": 7})),
        ];
        let settlement = settle(&records);
        let kinds: Vec<_> =
            settlement.batch.outcomes.iter().map(|o| (o.order_item_id.as_str(), o.kind, o.allocated, o.shortfall)).collect();
        assert_eq!(
            kinds,
            [
                ("full", OutcomeKind::Allocated, 2, 0),
                ("short", OutcomeKind::Short, 1, 1),
                ("none", OutcomeKind::Short, 0, 2),
                ("unknown", OutcomeKind::Rejected, 0, 2)
            ]
        );
        assert_eq!(settlement.batch.outcomes[3].reason.as_deref(), Some("why"));
        assert_eq!(settlement.batch.expired.len(), 1);
        assert_eq!((settlement.probed_append_ms, settlement.unreadable), (Some(77), 1));
        let named: Vec<_> =
            settlement.batch.positions.iter().map(|p| (p.partition, p.offset, p.event_id.split('#').next())).collect();
        assert_eq!(named, [(0, 7, Some("e-price")), (1, 11, Some("e-late")), (2, 0, Some(""))]);
    }

    #[test]
    fn the_same_id_on_another_record_is_another_position() {
        let (one, other) = (record(0, 1, &event("OUT_OF_STOCK", "x", 1, 0)), record(0, 1, &event("OUT_OF_STOCK", "x", 0, 1)));
        assert_eq!(event_id_of(&one), event_id_of(&one.clone()));
        assert_ne!(event_id_of(&one), event_id_of(&other));
    }

    #[test]
    fn events_of_orders_that_have_no_row_here_are_passed_over() {
        let mut others = event("INVENTORY_DECREASED", "x", 1, 0);
        others.as_object_mut().unwrap().remove("orderItemId");
        let settlement = settle(&[record(0, 1, &others)]);
        assert!(settlement.batch.outcomes.is_empty());
        assert_eq!(settlement.batch.positions.len(), 1);
    }
}
