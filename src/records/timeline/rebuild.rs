//! A product's state and changes, out of its events, newest first. Pure.

use serde::Deserialize;

use super::shown::{ChangeCause, Proof, StateThen, TimelineChange, TimelineRevision, TimelineSince};
use super::{TimelineCursor, TimelineQuery};
use crate::domain::EpochMs;
use crate::domain::ids::Stock;
use crate::domain::inventory::EventKind;
use crate::log::{Offset, Record};
use crate::wire::money::Money;
use crate::wire::topics::inventory_event::{self, EventType, InventoryFact};

/// Takes the events of a product, from the newest to the oldest.
pub(super) struct Rebuild<'a> {
    query: &'a TimelineQuery,
    state_sought: bool,
    changes_sought: bool,
    rebuilt: Rebuilt,
    /// The oldest event so far that is after the moment: it says what was before it.
    after: Option<After>,
}

struct After {
    fact: InventoryFact,
    name: Option<String>,
    time: EpochMs,
}

/// What came of it.
#[derive(Debug, PartialEq)]
pub(super) struct Rebuilt {
    pub state: Option<StateThen>,
    pub revision: Option<TimelineRevision>,
    pub cause: Option<ChangeCause>,
    pub proof: Proof,
    pub changes: Vec<TimelineChange>,
    pub cursor: Option<TimelineCursor>,
}

impl<'a> Rebuild<'a> {
    pub(super) fn new(query: &'a TimelineQuery) -> Self {
        let state_sought = query.cursor.is_none_or(|cursor| cursor.state_sought);
        let proof = if state_sought { Proof::Pending } else { Proof::Given };
        let rebuilt = Rebuilt { state: None, revision: None, cause: None, proof, changes: Vec::new(), cursor: None };
        Self { query, state_sought, changes_sought: true, rebuilt, after: None }
    }

    /// Whether older records are needed, of which some are in the span or none.
    pub(super) fn wants(&self, in_span: bool) -> bool {
        self.state_sought || (self.changes_sought && in_span)
    }

    pub(super) fn is_ours(&self, record: &Record) -> bool {
        record.key.as_deref() == Some(self.query.product_id.as_str().as_bytes())
    }

    /// The next older event. What cannot be read as one says nothing.
    pub(super) fn take(&mut self, record: &Record) {
        let Some(value) = &record.value else { return };
        let Ok(fact) = inventory_event::decode(value) else { return };
        if self.state_sought && fact.revision.is_some() {
            self.seek_state(record, &fact);
        }
        let (from, to) = (self.query.from.unwrap_or(EpochMs::MIN), self.query.to.or(self.query.at).unwrap_or(EpochMs::MAX));
        if self.changes_sought && (from..=to).contains(&record.append_time_ms) {
            if self.rebuilt.changes.len() < self.query.limit {
                self.rebuilt.changes.push(TimelineChange::of(record, &fact));
            } else {
                self.changes_sought = false;
                self.rebuilt.cursor = Some(TimelineCursor { below: record.offset + 1, state_sought: false });
            }
        }
    }

    fn seek_state(&mut self, record: &Record, fact: &InventoryFact) {
        let time = record.append_time_ms;
        if self.query.at.is_some_and(|at| time > at) {
            self.after = Some(After { fact: fact.clone(), name: name_of(record), time });
            return;
        }
        self.state_sought = false;
        self.rebuilt.revision = fact.revision.map(Into::into);
        self.rebuilt.cause = Some(ChangeCause::of(record, fact));
        let is_gone = fact.event_type == EventType::Known(EventKind::ProductRemoved);
        self.rebuilt.proof = if is_gone { Proof::Absent } else { Proof::Event };
        if !is_gone {
            let stock = fact.current_stock.map_or(0, Stock::units);
            self.rebuilt.state =
                Some(StateThen { name: name_of(record), stock, price: fact.current_price.map(Money::from), time });
        }
    }

    /// Time was up below this offset.
    pub(super) fn out_of_time(mut self, below: Offset) -> Rebuilt {
        // A page that is full goes on from where it ended; what is lacking then is the state alone.
        let below = self.rebuilt.cursor.map_or(below, |cursor| cursor.below);
        self.rebuilt.cursor = Some(TimelineCursor { below, state_sought: self.state_sought });
        self.rebuilt
    }

    /// There are no older records, or none that matter.
    pub(super) fn finish(mut self, since: Option<&TimelineSince>) -> Rebuilt {
        if self.state_sought {
            self.infer(since);
        }
        self.rebuilt
    }

    /// No event at or before the moment is left.
    fn infer(&mut self, since: Option<&TimelineSince>) {
        let Some(since) = since else {
            self.rebuilt.proof = Proof::Absent;
            return;
        };
        self.rebuilt.proof = Proof::None;
        let is_covered = self.query.at.zip(since.time).is_some_and(|(at, since)| at >= since);
        let Some(After { fact, name, time }) = self.after.take().filter(|_| is_covered) else { return };
        if fact.event_type == EventType::Known(EventKind::ProductAdded) {
            self.rebuilt.proof = Proof::Absent;
        } else if let Some(stock) = fact.previous_stock {
            self.rebuilt.proof = Proof::Next;
            self.rebuilt.state = Some(StateThen { name, stock, price: fact.previous_price.map(Money::from), time });
        }
    }
}

/// What the product was called, by its event.
fn name_of(record: &Record) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        product_name: Option<String>,
    }
    serde_json::from_slice::<Named>(record.value.as_ref()?).ok()?.product_name
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::domain::ids::ProductId;
    use crate::log::Headers;
    use crate::wire::topics::Topic;

    /// One event: offset, label, kind, stock before and after, version.
    fn event(offset: Offset, time: EpochMs, kind: &str, stock: (i64, i64), version: u64) -> Record {
        let value = json!({
            "productId": "MUG", "productName": "Mug", "eventType": kind, "previousInventory": stock.0, "currentInventory": stock.1,
            "previousPrice": 9.5, "currentPrice": 9.5, "changeReason": "because", "life": 3, "version": version,
        });
        let mut headers = Headers::none();
        headers.push("kartshoppe-cause", format!("order-events/1/{offset}/0"));
        Record {
            topic: Topic::InventoryEvents,
            partition: 1,
            offset,
            append_time_ms: time,
            key: Some(Bytes::from_static(b"MUG")),
            value: Some(Bytes::from(value.to_string())),
            headers,
        }
    }

    fn query(at: Option<EpochMs>) -> TimelineQuery {
        let product_id = ProductId::new("MUG").unwrap();
        TimelineQuery { product_id, at, from: None, to: None, limit: 100, cursor: None }
    }

    fn rebuilt(query: &TimelineQuery, events: &[Record], since: Option<EpochMs>) -> Rebuilt {
        let mut rebuild = Rebuild::new(query);
        events.iter().rev().for_each(|event| rebuild.take(event));
        rebuild.finish(since.map(|time| TimelineSince { time: Some(time), offset: 1 }).as_ref())
    }

    /// Added with 10, sold down to 7 by a clock that was set back, sold down to 5.
    fn life() -> Vec<Record> {
        vec![
            event(1, 1000, "PRODUCT_ADDED", (0, 10), 1),
            event(2, 900, "INVENTORY_DECREASED", (10, 7), 2),
            event(3, 1100, "INVENTORY_DECREASED", (7, 5), 3),
        ]
    }

    #[test]
    fn the_last_in_the_order_of_the_log_counts_whatever_its_time_says() {
        for (at, stock, version) in [(None, 5, 3), (Some(1100), 5, 3), (Some(1099), 7, 2), (Some(1000), 7, 2), (Some(900), 7, 2)]
        {
            let rebuilt = rebuilt(&query(at), &life(), None);
            assert_eq!(rebuilt.state.as_ref().map(|state| state.stock), Some(stock), "{at:?}");
            assert_eq!(rebuilt.revision, Some(TimelineRevision { life: 3, version }), "{at:?}");
            assert_eq!(rebuilt.proof, Proof::Event);
            let cause = rebuilt.cause.unwrap();
            assert_eq!((cause.topic, cause.partition, cause.offset), (Some("order-events"), Some(1), Some(version as i64)));
        }
        let before = rebuilt(&query(Some(899)), &life(), None);
        assert_eq!((before.state, before.proof, before.changes.len()), (None, Proof::Absent, 0));
        let versions: Vec<_> =
            rebuilt(&query(None), &life(), None).changes.iter().map(|change| change.revision.unwrap().version).collect();
        assert_eq!(versions, [3, 2, 1]);
    }

    #[test]
    fn a_removed_product_is_absent_and_an_answer_without_a_revision_changes_nothing() {
        let mut events = life();
        let mut answer = event(4, 1200, "ORDER_REJECTED", (0, 0), 1);
        answer.value = Some(Bytes::from_static(br#"{"productId":"MUG","eventType":"ORDER_REJECTED","currentInventory":0}"#));
        events.push(answer);
        let foreign = Record { value: Some(Bytes::from_static(b"{broken")), ..event(5, 1210, "", (0, 0), 1) };
        events.push(foreign);
        let rejected = rebuilt(&query(None), &events, None);
        assert_eq!((rejected.state.unwrap().stock, rejected.changes.len()), (5, 4));
        events.push(event(6, 1300, "PRODUCT_REMOVED", (5, 0), 4));
        let removed = rebuilt(&query(None), &events, None);
        assert_eq!((removed.state, removed.proof), (None, Proof::Absent));
        assert_eq!(removed.cause.unwrap().offset, Some(6));
    }

    #[test]
    fn where_the_log_was_cut_only_what_the_next_event_says_is_proven() {
        let kept = &life()[2..];
        let next = rebuilt(&query(Some(1050)), kept, Some(1000));
        assert_eq!((next.state.unwrap().stock, next.proof, next.revision), (7, Proof::Next, None));
        let before = rebuilt(&query(Some(999)), kept, Some(1000));
        assert_eq!((before.state, before.proof), (None, Proof::None));
        let nothing = rebuilt(&query(None), &[], Some(1000));
        assert_eq!((nothing.state, nothing.proof), (None, Proof::None));
        let added = rebuilt(&query(Some(1050)), &[event(3, 1100, "PRODUCT_ADDED", (0, 4), 1)], Some(1000));
        assert_eq!((added.state, added.proof), (None, Proof::Absent));
    }

    #[test]
    fn pages_of_changes_join_without_a_gap_and_the_state_may_lie_below_a_full_page() {
        let first = TimelineQuery { to: Some(2000), limit: 1, ..query(Some(1099)) };
        let page = rebuilt(&first, &life(), None);
        assert_eq!((page.changes[0].offset, page.state.unwrap().stock), (3, 7));
        let cursor = page.cursor.unwrap();
        assert_eq!(cursor, TimelineCursor { below: 3, state_sought: false });
        let events: Vec<Record> = life().into_iter().filter(|event| event.offset < cursor.below).collect();
        let rest = rebuilt(&TimelineQuery { limit: 9, cursor: Some(cursor), ..first }, &events, None);
        assert_eq!(rest.changes.iter().map(|change| change.offset).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((rest.state, rest.proof, rest.cursor), (None, Proof::Given, None));
    }

    #[test]
    fn out_of_time_it_says_whether_the_state_is_still_sought() {
        let asked = query(Some(950));
        let mut rebuild = Rebuild::new(&asked);
        rebuild.take(&life()[2]);
        let rebuilt = rebuild.out_of_time(3);
        assert_eq!((rebuilt.proof, rebuilt.cursor), (Proof::Pending, Some(TimelineCursor { below: 3, state_sought: true })));
    }
}
