//! Follows `inventory-alerts` for operators: the open alert of each product, the last thousand, and one log line per CRITICAL.
//!
//! An alert says that stock fell to a level; no event says that it rose above it again. So an alert counts as open while the
//! catalogue still shows the product at that level or below. The desk outlives its actor, which goes on at the record behind
//! the last one it took.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::catalog_view::CatalogHandle;
use super::kit::{Chunk, Followed, Follower, Mailbox, OpenReader};
use super::role::SupervisionContext;
use super::stats::Vitals;
use super::supervision::{ActorKind, ChildSpec};
use crate::domain::EpochMs;
use crate::domain::inventory::{Rules, Severity, StockLevel};
use crate::log::{EventLog, Offset, Record, Start, Stop, TopicPartition, read_topics};
use crate::wire::topics::Topic;
use crate::wire::topics::alert_event::{self, AlertEvent};

/// The actor's id.
const ID: &str = "alert-desk";
/// Alerts that are remembered.
const RECENT_MAX: usize = 1_000;
/// Products with a remembered stock alert: more than operators can act on. Beyond it alerts that are no longer open are
/// forgotten, and further ones only counted.
const STOCK_ALERTS_MAX: usize = 100_000;
/// The alert that is about a price and never open.
const PRICE_DROP: &str = "PRICE_DROP";

/// The alerts as operators see them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AlertHandle {
    desk: Arc<Mutex<Desk>>,
    catalog: CatalogHandle,
    rules: Rules,
}

/// How many alerts there were since the process started, by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlertCounts {
    pub info: u64,
    pub warning: u64,
    pub critical: u64,
    /// Records on the topic that are no alerts.
    pub unreadable: u64,
    /// Stock alerts of more products than are remembered.
    pub forgotten: u64,
}

#[derive(Debug, Default)]
struct Desk {
    /// The latest stock alert of each product.
    by_product: BTreeMap<String, Arc<AlertEvent>>,
    recent: VecDeque<Arc<AlertEvent>>,
    counts: AlertCounts,
    /// Where to go on.
    positions: BTreeMap<TopicPartition, Offset>,
    /// Alerts before these offsets are older than this process: they are not logged again.
    old_before: Option<BTreeMap<TopicPartition, Offset>>,
}

impl AlertHandle {
    /// An empty desk. The rules say at which stock an alert is over.
    #[must_use]
    pub fn new(catalog: CatalogHandle, rules: Rules) -> Self {
        Self { desk: Arc::default(), catalog, rules }
    }

    /// The open alerts, in order of the products' ids.
    #[must_use]
    pub fn open(&self) -> Vec<Arc<AlertEvent>> {
        let latest: Vec<_> = self.desk().by_product.values().cloned().collect();
        latest.into_iter().filter(|alert| self.is_open(&alert.product_id)).collect()
    }

    /// The last thousand alerts, the newest first.
    #[must_use]
    pub fn recent(&self) -> Vec<Arc<AlertEvent>> {
        self.desk().recent.iter().rev().cloned().collect()
    }

    /// How many there were.
    #[must_use]
    pub fn counts(&self) -> AlertCounts {
        self.desk().counts
    }

    /// Where it stands on `inventory-alerts`; empty while it has not begun.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<TopicPartition, Offset> {
        self.desk().positions.clone()
    }

    fn take_chunk(&self, chunk: &Chunk) {
        let mut desk = self.desk();
        if desk.by_product.len() + chunk.records.len() > STOCK_ALERTS_MAX {
            self.forget_closed(&mut desk);
        }
        desk.take_chunk(chunk);
    }

    /// Makes room for further products: ids come and go, and most alerts are no longer open.
    fn forget_closed(&self, desk: &mut Desk) {
        // The catalogue may not show the changes behind the newest alerts yet.
        let recent_ms = desk.recent.front().map_or(EpochMs::MAX, |alert| alert.timestamp);
        desk.by_product.retain(|id, alert| alert.timestamp >= recent_ms || self.is_open(id));
    }

    fn is_open(&self, product_id: &str) -> bool {
        self.catalog.entry(product_id).is_some_and(|entry| self.rules.level(entry.stock) != StockLevel::Normal)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    fn take_chunk(&mut self, chunk: &Chunk) {
        if self.old_before.is_none() {
            self.old_before = Some((*chunk.ends).clone());
        }
        chunk.records.iter().for_each(|record| self.take(record));
        self.positions.clone_from(&chunk.positions);
    }

    fn take(&mut self, record: &Record) {
        let place = record.topic_partition();
        if self.positions.get(&place).is_some_and(|next| record.offset < *next) {
            return;
        }
        // Moved first, so that a record that ends the actor is not read again.
        self.positions.insert(place, record.offset + 1);
        let Some(Ok(alert)) = record.value.as_deref().map(alert_event::decode) else {
            self.counts.unreadable += 1;
            return;
        };
        let is_new = self.old_before.as_ref().and_then(|old| old.get(&place)).is_none_or(|end| record.offset >= *end);
        self.count(&alert);
        if is_new && alert.severity == Severity::Critical.as_str() {
            tracing::warn!(kartshoppe.product.id = alert.product_id, alert = alert.alert_type, "{}", alert.message);
        }
        self.remember(Arc::new(alert));
    }

    fn count(&mut self, alert: &AlertEvent) {
        let counts = &mut self.counts;
        match alert.severity.as_str() {
            "CRITICAL" => counts.critical += 1,
            "WARNING" => counts.warning += 1,
            _ => counts.info += 1,
        }
    }

    fn remember(&mut self, alert: Arc<AlertEvent>) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(alert.clone());
        if alert.alert_type == PRICE_DROP {
            return;
        }
        if self.by_product.len() >= STOCK_ALERTS_MAX && !self.by_product.contains_key(&alert.product_id) {
            self.counts.forgotten += 1;
            return;
        }
        self.by_product.insert(alert.product_id.clone(), alert);
    }
}

/// What the desk handles.
#[derive(Debug)]
pub enum AlertDeskMsg {
    Read(Followed),
}

/// The actor.
pub struct AlertDesk {
    log: Arc<dyn EventLog>,
    handle: AlertHandle,
    vitals: Vitals,
}

/// What an incarnation keeps.
#[derive(Debug)]
pub struct AlertDeskState {
    mailbox: Mailbox<AlertDeskMsg>,
    follower: Follower,
}

impl AlertDesk {
    /// How a role starts the actor behind this handle.
    #[must_use]
    pub fn child(context: &SupervisionContext, log: Arc<dyn EventLog>, handle: &AlertHandle) -> ChildSpec {
        let vitals = context.vitals(ActorKind::AlertDesk, ID);
        let handle = handle.clone();
        let make = move || (Self { log: log.clone(), handle: handle.clone(), vitals: vitals.clone() }, ());
        ChildSpec::new(ActorKind::AlertDesk, ID, context.restart, make)
    }

    fn follow(&self, mailbox: &Mailbox<AlertDeskMsg>) -> Follower {
        let (log, desk, mailbox) = (self.log.clone(), self.handle.desk.clone(), mailbox.clone());
        let open: OpenReader = Box::new(move || {
            let log = log.clone();
            let positions = desk.lock().unwrap_or_else(PoisonError::into_inner).positions.clone();
            Box::pin(async move {
                if positions.is_empty() {
                    return read_topics(&*log, &[Topic::InventoryAlerts], Start::Beginning, Stop::Never).await;
                }
                let from: Vec<_> = positions.iter().map(|(place, offset)| (*place, Start::Offset(*offset))).collect();
                log.reader(&from, Stop::Never).await
            })
        });
        let deliver = move |followed| mailbox.tell(AlertDeskMsg::Read(followed));
        Follower::start(self.log.clone(), open, Stop::Never, deliver)
    }
}

impl Actor for AlertDesk {
    type Msg = AlertDeskMsg;
    type State = AlertDeskState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<AlertDeskMsg>, (): ()) -> Result<AlertDeskState, ActorProcessingErr> {
        self.vitals.starting()?;
        let mailbox = Mailbox::of_incarnation(&myself, &self.vitals);
        Ok(AlertDeskState { follower: self.follow(&mailbox), mailbox })
    }

    async fn handle(
        &self,
        myself: ActorRef<AlertDeskMsg>,
        message: AlertDeskMsg,
        state: &mut AlertDeskState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = self.vitals.begin(&myself).await?;
        match message {
            AlertDeskMsg::Read(Followed::Chunk(chunk)) => self.handle.take_chunk(&chunk),
            AlertDeskMsg::Read(Followed::Lost(error)) => {
                tracing::warn!(%error, "alerts were deleted before they were read: continuing with the oldest one left");
                self.handle.desk().positions.clear();
                state.follower = self.follow(&state.mailbox);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::actors::catalog_view::testing::TestCatalogue;
    use crate::log::Headers;

    fn record(offset: Offset, alert_type: &str, product_id: &str, severity: &str) -> Record {
        let alert = AlertEvent {
            alert_type: alert_type.to_owned(),
            product_id: product_id.to_owned(),
            message: "Low stock".to_owned(),
            severity: severity.to_owned(),
            timestamp: offset,
        };
        Record {
            topic: Topic::InventoryAlerts,
            partition: 0,
            offset,
            append_time_ms: 0,
            key: None,
            value: Some(Bytes::from(serde_json::to_vec(&alert).unwrap())),
            headers: Headers::none(),
        }
    }

    #[test]
    fn a_record_is_taken_once_and_the_latest_of_a_product_counts() {
        let mut desk = Desk::default();
        desk.take(&record(0, "LOW_STOCK", "A", "WARNING"));
        desk.take(&record(1, "OUT_OF_STOCK", "A", "CRITICAL"));
        desk.take(&record(1, "OUT_OF_STOCK", "A", "CRITICAL"));
        desk.take(&record(2, PRICE_DROP, "A", "INFO"));
        desk.take(&Record { value: Some(Bytes::from_static(b"{")), ..record(3, "", "", "") });
        let counts = AlertCounts { info: 1, warning: 1, critical: 1, unreadable: 1, forgotten: 0 };
        assert_eq!((desk.counts, desk.recent.len()), (counts, 3));
        assert_eq!(desk.by_product["A"].alert_type, "OUT_OF_STOCK");
        (4..2000).for_each(|offset| desk.take(&record(offset, "LOW_STOCK", "B", "WARNING")));
        assert_eq!((desk.recent.len(), desk.recent[0].timestamp), (RECENT_MAX, 1000));
    }

    #[test]
    fn alerts_that_are_no_longer_open_make_room_for_others() {
        let shop = TestCatalogue::restored(0);
        let rules = Rules::default();
        let handle = AlertHandle::new(shop.catalog.clone(), rules);
        shop.whole("OPEN", 1, 0);
        shop.whole("CLOSED", 1, 1_000);
        let mut desk = handle.desk();
        for (offset, id) in [(0, "OPEN"), (1, "CLOSED"), (2, "GONE")] {
            desk.take(&record(offset, "OUT_OF_STOCK", id, "CRITICAL"));
        }
        let recent = i64::try_from(RECENT_MAX).unwrap();
        (3..3 + recent).for_each(|offset| desk.take(&record(offset, "LOW_STOCK", "NEW", "WARNING")));
        handle.forget_closed(&mut desk);
        assert_eq!(desk.by_product.keys().collect::<Vec<_>>(), ["NEW", "OPEN"], "the newest are kept in any case");
    }

    #[test]
    fn nothing_is_open_that_the_catalogue_does_not_have() {
        let handle = AlertHandle::new(CatalogHandle::new(), Rules::default());
        handle.desk().take(&record(0, "LOW_STOCK", "A", "WARNING"));
        assert_eq!((handle.open().len(), handle.recent().len()), (0, 1));
    }
}
