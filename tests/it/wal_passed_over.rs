//! Items that the WAL reader published and whose events were skipped, because the inventory's position was moved without a trace.
//!
//! Everything is real: inventory, tracker, WAL reader, PostgreSQL. Nothing is published again before the inventory has answered
//! that no earlier event can still be applied.

use std::sync::atomic::Ordering;
use std::time::Duration;

use kartshoppe::actors::inventory::INVENTORY_GROUP;
use kartshoppe::actors::root::RootHandle;
use kartshoppe::check;
use kartshoppe::log::{Batch, Polled, Position, Positions, SessionConfig, TopicPartition};
use kartshoppe::store::StoreOptions;
use kartshoppe::wire::topics::Topic;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::support::api_role::ApiRole;
use super::support::engine::{product, until_committed};
use super::support::log::{append, within};
use super::support::place::{Place, on_each_log};
use super::support::postgres::{count, database_with};
use super::support::wal::{Reader, WalShop, start_inventory, value};

on_each_log!(items_that_were_passed_over_are_published_again_and_settle_once, items_that_are_merely_waiting_are_applied_once,);

const STOCK: i64 = 100;
const HANG_AFTER: Duration = Duration::from_secs(20);
const OPEN: &str = "SELECT count(*) FROM order_items WHERE outcome IS NULL";

struct Shop {
    wal: WalShop,
    reader: Reader,
}

impl Shop {
    /// A shop whose items are asked about after a second, with its WAL reader.
    async fn open(place: &Place) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let slot = format!("passed_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let options = StoreOptions { probe_interval: Duration::from_secs(1), slot: slot.clone(), ..StoreOptions::default() };
        let mut wal = WalShop::over(place, database_with(options).await).await;
        wal.config.slot = slot;
        let reader = wal.reader().await;
        reader.streams().await;
        Self { wal, reader }
    }

    /// Products as the orders of these tests name them.
    async fn stock(&self) {
        append(&*self.wal.log, (0..3).map(|n| product(&format!("PROD_{n}"), STOCK)).collect()).await;
        within(until_committed(&*self.wal.log)).await;
    }

    async fn until(&self, what: &str, sql: &'static str, wanted: i64) {
        within(async {
            while count(&self.wal.database.store, sql).await != wanted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        println!("{what}");
    }

    /// Moves the positions of the closed inventory to the ends of its inputs, with a metadata text as written by versions that
    /// trusted any position.
    async fn move_positions(&self, place: &Place) {
        let log = &self.wal.log;
        within(super::support::engine::eventually(|| async { log.live_members(INVENTORY_GROUP).await.unwrap() == 0 })).await;
        let mut ends = Positions::new();
        for info in log.topics().await.unwrap().into_iter().filter(|info| info.topic == Topic::OrderEvents) {
            for (partition, bounds) in (0..).zip(info.partitions) {
                let text = "highest-append-ms=0".to_owned();
                ends.insert(TopicPartition::new(info.topic, partition), Position { offset: bounds.end, metadata: text });
            }
        }
        if let Place::Kafka { .. } = place {
            return commit_as_a_consumer(place, &ends);
        }
        let config = SessionConfig {
            identity: "somebody-else".to_owned(),
            group: Some(INVENTORY_GROUP.to_owned()),
            topics: vec![Topic::ProductUpdates, Topic::OrderEvents],
            writes: Vec::new(),
        };
        let session = log.session(config).await.unwrap();
        while !matches!(session.poll(1, Duration::from_secs(1)).await.unwrap(), Polled::Assigned(_)) {}
        session.commit(Batch { records: Vec::new(), positions: ends }).await.unwrap();
        session.close().await.unwrap();
    }

    /// Every item took its unit once.
    async fn each_once(&self, items: i64) {
        self.until("every item has its outcome", OPEN, 0).await;
        let store = &self.wal.database.store;
        assert_eq!(count(store, "SELECT count(*) FROM order_items").await, items);
        assert_eq!(count(store, "SELECT sum(allocated)::bigint FROM order_items").await, items);
        assert_eq!(count(store, "SELECT count(*) FROM orders WHERE status = 'CONFIRMED'").await, items);
        within(until_committed(&*self.wal.log)).await;
        let mut left = std::collections::BTreeMap::new();
        for record in super::support::log::read_all(&*self.wal.log, Topic::Products).await {
            left.insert(record.key.clone().unwrap(), value(&record)["inventory"].as_i64().unwrap());
        }
        assert_eq!(left.values().sum::<i64>(), 3 * STOCK - items);
        assert_eq!(count(store, "SELECT count(*) FROM order_items WHERE taken_back OR publish_via <> 'wal'").await, 0);
    }

    async fn check(&self) -> String {
        let subject = check::Subject {
            log: &*self.wal.log,
            group: INVENTORY_GROUP,
            thresholds: check::Thresholds { critical_max: 5, warning_max: 9 },
            pool: Some(self.wal.database.store.pool()),
            read_model: None,
            patience: check::PATIENCE,
        };
        check::run(&subject).await.unwrap().to_string()
    }

    async fn end(self, inventory: RootHandle, roles: Vec<ApiRole>) {
        for role in roles {
            role.stop().await;
        }
        inventory.stop_all().await.unwrap();
        self.wal.end([self.reader]).await;
    }
}

fn commit_as_a_consumer(place: &Place, positions: &Positions) {
    let (servers, name) = place.reach(Topic::OrderEvents);
    let group = name.replace(Topic::OrderEvents.name(), INVENTORY_GROUP);
    let mut config = ClientConfig::new();
    let consumer: BaseConsumer = config.set("bootstrap.servers", servers).set("group.id", group).create().unwrap();
    let mut list = TopicPartitionList::new();
    for (at, position) in positions {
        list.add_partition_offset(&name, at.partition, Offset::Offset(position.offset)).unwrap();
        list.find_partition(&name, at.partition).unwrap().set_metadata(&position.metadata);
    }
    consumer.commit(&list, CommitMode::Sync).unwrap();
}

async fn items_that_were_passed_over_are_published_again_and_settle_once(place: Place) {
    let shop = Shop::open(&place).await;
    let inventory = start_inventory(shop.wal.log(), HANG_AFTER).await;
    shop.stock().await;
    let roles = vec![
        ApiRole::start(&shop.wal.log(), Some(&shop.wal.database.store)).await,
        ApiRole::start(&shop.wal.log(), Some(&shop.wal.database.store)).await,
    ];
    let mut ids = shop.wal.orders("well", 3).await;
    shop.until("they settle", OPEN, 0).await;
    inventory.stop_all().await.unwrap();

    ids.extend(shop.wal.orders("passed", 7).await);
    shop.wal.await_published(&ids).await;
    shop.move_positions(&place).await;
    // Later items are handled, so that states and outputs prove a position behind the others.
    let inventory = start_inventory(shop.wal.log(), HANG_AFTER).await;
    assert!(shop.check().await.contains("expected an outcome, found none"), "they are passed over");
    ids.extend(shop.wal.orders("later", 3).await);
    shop.each_once(i64::try_from(ids.len()).unwrap()).await;
    let flipped: u64 = roles.iter().map(|role| role.tracker.counts().flipped.load(Ordering::Relaxed)).sum();
    assert_eq!(flipped, 7);
    let report = shop.check().await;
    assert!(!report.contains("BROKEN"), "{report}");
    shop.end(inventory, roles).await;
}

/// The inventory stands still for longer than every time limit: what is taken back meanwhile is handled once it goes on, and only
/// once.
async fn items_that_are_merely_waiting_are_applied_once(place: Place) {
    let shop = Shop::open(&place).await;
    let inventory = start_inventory(shop.wal.log(), HANG_AFTER).await;
    shop.stock().await;
    inventory.stop_all().await.unwrap();
    let roles = vec![
        ApiRole::start(&shop.wal.log(), Some(&shop.wal.database.store)).await,
        ApiRole::start(&shop.wal.log(), Some(&shop.wal.database.store)).await,
    ];
    let ids = shop.wal.orders("waiting", 5).await;
    shop.wal.await_published(&ids).await;
    shop.until("they are taken back", "SELECT count(*) FROM order_items WHERE taken_back", 5).await;
    let probes = async || shop.wal.events().await.iter().map(value).filter(|event| event["probe"] == true).count();
    within(async {
        while probes().await < 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let inventory = start_inventory(shop.wal.log(), HANG_AFTER).await;
    shop.until("every item has its outcome", OPEN, 0).await;
    let published = shop.wal.events().await.iter().map(value).filter(|event| event["source"] == "wal").count();
    assert_eq!(published, 5, "nothing was published again");
    assert_eq!(count(&shop.wal.database.store, "SELECT sum(allocated)::bigint FROM order_items").await, 5);
    let report = shop.check().await;
    assert!(!report.contains("BROKEN"), "{report}");
    shop.end(inventory, roles).await;
}
