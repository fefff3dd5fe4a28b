//! A whole inventory on a log, and a ledger that judges its outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kartshoppe::actors::faults::{Fault, FaultBoard, Target};
use kartshoppe::actors::inventory::{INVENTORY_GROUP, Inventory, InventoryConfig};
use kartshoppe::actors::role::SupervisionContext;
use kartshoppe::actors::root::{RoleSpec, RootHandle};
use kartshoppe::actors::stats::Directory;
use kartshoppe::actors::supervision::RestartPolicy;
use kartshoppe::clock::Clock;
use kartshoppe::domain::inventory::{EventKind, Rules};
use kartshoppe::log::{EventLog, NewRecord, Offset, Start, TopicPartition};
use kartshoppe::sources::log_source::feed_from_log;
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::inventory_event::{self, EventType, InventoryFact};
use kartshoppe::wire::topics::product_record::{self, Restored};

use super::log::{append, read_all, read_from, record, within};
use super::place::{Opened, Place};

/// A Monday; the manual clock starts here.
pub const START_MS: i64 = 1_732_500_000_000;
/// The role's name.
pub const ROLE: &str = "inventory";

/// Settings of a test's shop.
pub struct Setup {
    pub clock: Clock,
    pub rules: Rules,
    pub max_live_products: usize,
    pub bootstrap_file: Option<PathBuf>,
    pub batch_max_records: usize,
    pub hang_after: Duration,
    pub restart: RestartPolicy,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            rules: Rules::default(),
            max_live_products: 100_000,
            bootstrap_file: None,
            batch_max_records: 10_000,
            hang_after: Duration::from_millis(500),
            restart: RestartPolicy { backoff_max: Duration::from_millis(200), ..RestartPolicy::default() },
        }
    }
}

/// Inserts a layer between engine and log.
pub type Wrap = Box<dyn FnOnce(Arc<dyn EventLog>) -> Arc<dyn EventLog>>;

/// A running inventory.
pub struct Shop {
    pub log: Arc<dyn EventLog>,
    pub supervision: SupervisionContext,
    pub inventory: Inventory,
    pub root: RootHandle,
    opened: Opened,
}

impl Shop {
    /// Opens the log of this place and starts the inventory on it.
    pub async fn open(place: &Place, setup: &Setup) -> Self {
        Self::open_with(place, setup, Box::new(|log| log)).await
    }

    /// The same with a layer between engine and log.
    pub async fn open_with(place: &Place, setup: &Setup, wrap: Wrap) -> Self {
        let opened = place.open(&setup.clock).await;
        let log = opened.log.clone();
        let supervision = SupervisionContext {
            alarms: kartshoppe::telemetry::alarms::Alarms::default(),
            directory: Directory::default(),
            faults: FaultBoard::default(),
            restart: setup.restart,
            hang_after: setup.hang_after,
        };
        let config = InventoryConfig {
            instance: "test".to_owned(),
            rules: setup.rules,
            max_live_products: setup.max_live_products,
            bootstrap_file: setup.bootstrap_file.clone(),
            batch_max_records: setup.batch_max_records,
        };
        let inventory = Inventory::new(wrap(log.clone()), &config, setup.clock.clone(), &supervision, feed_from_log);
        let role = RoleSpec { name: ROLE, children: inventory.children.clone() };
        let root = RootHandle::spawn(&supervision, vec![role]).await.unwrap();
        root.start(ROLE).await.unwrap();
        Self { log, supervision, inventory, root, opened }
    }

    /// Has the log compact what it can.
    pub async fn compact(&self) {
        self.opened.compact().await;
    }

    /// Stops the inventory in order, and closes the log.
    pub async fn close(self) {
        within(self.root.stop_all()).await.unwrap();
        self.opened.close().await;
    }

    /// Ends everything at once, as far as possible without killing the process.
    pub async fn crash(self) {
        let role = self.supervision.directory.find("role/inventory").unwrap();
        role.kill();
        self.opened.close().await;
    }

    /// Appends products of these ids with this stock, and waits until the shop has them: the two inputs have no order between
    /// them.
    pub async fn stock(&self, ids: impl IntoIterator<Item = String>, units: i64) {
        let records: Vec<_> = ids.into_iter().map(|id| product(&id, units)).collect();
        self.append(records).await;
        self.settle().await;
    }

    /// Appends records in chunks.
    pub async fn append(&self, records: Vec<NewRecord>) {
        for chunk in records.chunks(5000) {
            append(&*self.log, chunk.to_vec()).await;
        }
    }

    /// Waits until all current inputs are committed.
    pub async fn settle(&self) {
        within(until_committed(&*self.log)).await;
    }

    /// Records of the inputs that are not committed yet.
    pub async fn behind(&self) -> i64 {
        let committed = self.log.committed(INVENTORY_GROUP).await.unwrap();
        let behind = |(at, end): (&TopicPartition, &Offset)| *end - committed.get(at).map_or(0, |at| at.offset);
        self.input_ends().await.iter().map(behind).sum()
    }

    async fn input_ends(&self) -> BTreeMap<TopicPartition, Offset> {
        let mut ends = BTreeMap::new();
        for info in self.log.topics().await.unwrap() {
            if matches!(info.topic, Topic::ProductUpdates | Topic::OrderEvents) {
                for (partition, place) in (0..).zip(info.partitions) {
                    ends.insert(TopicPartition::new(info.topic, partition), place.end);
                }
            }
        }
        ends
    }

    /// Arms a fault for a minute.
    pub fn arm(&self, target: &str, fault: Fault, count: u64) {
        self.supervision.faults.arm(target.parse::<Target>().unwrap(), fault, count, Duration::from_secs(60));
    }

    /// Waits until every armed fault has struck.
    pub async fn struck(&self) {
        eventually(|| async { self.supervision.faults.list().is_empty() }).await;
    }

    /// Waits until the inputs are counted like this. A batch is counted just after its commit, which may be visible before.
    pub async fn counts<const N: usize>(&self, expected: [(&str, u64); N]) {
        let counted = async || {
            let inputs: BTreeMap<_, _> = self.inventory.metrics.inputs().into_iter().collect();
            expected.iter().all(|(outcome, count)| inputs[outcome].load(Ordering::Relaxed) == *count)
        };
        eventually(counted).await;
    }

    /// The outputs.
    pub async fn ledger(&self) -> Ledger {
        Ledger::read(&*self.log).await
    }
}

/// Waits until the inventory has committed all its inputs.
pub async fn until_committed(log: &dyn EventLog) {
    let mut open = BTreeMap::new();
    for info in log.topics().await.unwrap() {
        if matches!(info.topic, Topic::ProductUpdates | Topic::OrderEvents) {
            open.extend(
                (0..).zip(info.partitions).map(|(partition, place)| (TopicPartition::new(info.topic, partition), place.end)),
            );
        }
    }
    loop {
        let committed = match log.committed(INVENTORY_GROUP).await {
            Ok(committed) => committed,
            // A broker that has just started, on a loaded machine, may still be finding its coordinator.
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                continue;
            }
        };
        let at = |partition: &TopicPartition| committed.get(partition).map_or(0, |position| position.offset);
        open.retain(|partition, end| at(partition) < *end);
        // Kafka's end also counts transaction markers: the rest may contain no record.
        let mut read = Vec::new();
        for partition in open.keys() {
            if read_from(log, *partition, Start::Offset(at(partition))).await.is_empty() {
                read.push(*partition);
            }
        }
        open.retain(|partition, _| !read.contains(partition));
        if open.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits for a condition.
pub async fn eventually<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within(met).await;
}

/// A product record.
pub fn product(id: &str, units: i64) -> NewRecord {
    let json = format!(
        r#"{{"productId":"{id}","name":"Product {id}","description":"A thing worth having, number {id}.","category":"Things","brand":"Maker","price":19.99,"inventory":{units},"imageUrl":"","tags":["thing"],"rating":4.5,"reviewCount":12}}"#
    );
    record(Topic::ProductUpdates, id, &json)
}

/// An order item of `units`; its order is `o-{number}`.
pub fn order(number: usize, product: &str, units: i64) -> NewRecord {
    let json = format!(
        r#"{{"orderId":"o-{number}","productId":"{product}","quantity":{units},"timestamp":{START_MS},"orderItemId":"i-{number}"}}"#
    );
    record(Topic::OrderEvents, product, &json)
}

/// The ids of this many products.
pub fn ids(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("P{n:05}"))
}

/// All outputs of the inventory, decoded.
pub struct Ledger {
    pub events: Vec<InventoryFact>,
    /// Stock and version by product, as `products` holds them.
    pub products: BTreeMap<String, (i64, u64)>,
    pub alerts: usize,
    pub dead_letters: usize,
}

impl Ledger {
    pub async fn read(log: &dyn EventLog) -> Self {
        let events = read_all(log, Topic::InventoryEvents).await;
        let events = events.iter().map(|record| inventory_event::decode(record.value.as_ref().unwrap()).unwrap()).collect();
        let mut products = BTreeMap::new();
        for record in read_all(log, Topic::Products).await {
            match product_record::decode(&record, 0).unwrap() {
                Restored::Ours(state) => {
                    let known = (state.product.stock.units(), state.revision.version);
                    products.insert(state.product.id.to_string(), known);
                }
                Restored::Removed(id, _) => {
                    products.remove(id.as_str());
                }
                Restored::Foreign(state) => panic!("a state without a header: {state:?}"),
            }
        }
        let alerts = read_all(log, Topic::InventoryAlerts).await.len();
        let dead_letters = read_all(log, Topic::DeadLetters).await.len();
        Self { events, products, alerts, dead_letters }
    }

    /// Events of this kind.
    pub fn count(&self, kind: EventKind) -> usize {
        self.events.iter().filter(|event| event.event_type == EventType::Known(kind)).count()
    }

    /// Each order item's outcome: units allocated and missing. An expiry is no outcome.
    pub fn outcomes(&self) -> BTreeMap<String, (i64, i64)> {
        let mut outcomes = BTreeMap::new();
        let expired = EventType::Known(EventKind::OrderExpired);
        let said = self.events.iter().filter(|event| event.event_type != expired);
        for outcome in said.filter_map(|event| event.order.as_ref()) {
            let item = outcome.order_item_id.as_ref().unwrap().to_string();
            let previous = outcomes.insert(item.clone(), (outcome.allocated, outcome.shortfall));
            assert_eq!(previous, None, "{item} has two outcomes");
        }
        outcomes
    }

    /// Nothing lost, nothing doubled: `orders` items of one unit each, on `products` products of `stock` units.
    pub fn check_conservation(&self, products: usize, stock: i64, orders: usize) {
        self.check_chains();
        let outcomes = self.outcomes();
        assert_eq!(outcomes.len(), orders, "each order item has an outcome");
        let allocated: i64 = outcomes.values().map(|(allocated, _)| allocated).sum();
        let left: i64 = self.products.values().map(|(stock, _)| stock).sum();
        assert_eq!(self.products.len(), products, "products that the shop has");
        assert_eq!(left, i64::try_from(products).unwrap() * stock - allocated, "stock is what was not allocated");
    }

    /// Per product: stock follows from stock, versions follow without a gap, ids are unique, and `products` holds the last.
    pub fn check_chains(&self) {
        let mut last: BTreeMap<&str, (i64, u64, i64)> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for event in &self.events {
            assert!(seen.insert(event.event_id.clone().unwrap()), "{:?} twice", event.event_id);
            let Some(revision) = event.revision else { continue };
            let (stock, at) = (event.current_stock.unwrap().units(), revision.version);
            if let Some((stock_before, before, life)) = last.insert(event.product_id.as_str(), (stock, at, revision.life))
                && life == revision.life
            {
                assert!(at == before || at == before + 1, "{}: version {before}, then {at}", event.product_id);
                assert_eq!(event.previous_stock, Some(stock_before), "{} version {at}", event.product_id);
            }
        }
        for (id, (stock, version)) in &self.products {
            let known = last.get(id.as_str()).map(|(stock, version, _)| (*stock, *version));
            assert_eq!(known, Some((*stock, *version)), "{id} on products is as its last event says");
        }
    }
}
