//! Java's clients and the shop: the same partitions, their records in our shop wherever they were written, and our records read
//! by them.

use std::collections::{BTreeMap, BTreeSet};

use kartshoppe::log::partitioner::partition_of;
use kartshoppe::wire::topics::Topic;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};

use crate::support::engine::{Setup, Shop, ids, order, product};
use crate::support::java::{Written, consume, produce};
use crate::support::kafka::{Broker, prefix};
use crate::support::place::Place;

const PARTITIONS: i32 = 7;

#[tokio::test]
async fn a_java_producer_sends_each_key_where_we_do() {
    let Some(broker) = Broker::shared() else { return };
    let topic = prefix("java") + "keys";
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", &broker.address).create().unwrap();
    let new = NewTopic::new(&topic, PARTITIONS, TopicReplication::Fixed(1));
    admin.create_topics([&new], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();

    let mut keys: Vec<_> = (0..200).map(|n| format!("PROD_{n:04}")).collect();
    keys.extend(["a", "ab", "abc", "abcd", "Größe", "商品", "🛒"].map(str::to_owned));
    let records: Vec<_> = keys.iter().map(|key| Written { partition: None, key: Some(key), value: "{}" }).collect();
    let theirs = produce(&broker.address, &topic, &records);
    let ours: Vec<_> = keys.iter().map(|key| partition_of(key.as_bytes(), PARTITIONS)).collect();
    assert_eq!(theirs, ours);

    let read = consume(&broker.address, &topic);
    assert_eq!(read.len(), keys.len());
    for record in read {
        assert_eq!(record.partition, partition_of(record.key.unwrap().as_bytes(), PARTITIONS));
    }
}

const PRODUCTS: usize = 8;
const STOCK: i64 = 100;
const ORDERS: usize = 60;

/// The value of one of our own records as text.
fn json(record: kartshoppe::log::NewRecord) -> String {
    String::from_utf8(record.value.unwrap().to_vec()).unwrap()
}

/// Writes these like a Java producer; returns how many landed on another partition than their product's.
fn strays(place: &Place, topic: Topic, records: &[(Option<i32>, Option<&str>, &str, String)]) -> usize {
    let (address, name) = place.reach(topic);
    let written: Vec<_> =
        records.iter().map(|(partition, key, _, value)| Written { partition: *partition, key: *key, value }).collect();
    let landed = produce(address, &name, &written);
    landed.iter().zip(records).filter(|(at, (_, _, id, _))| **at != partition_of(id.as_bytes(), 4)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_a_java_producer_are_put_right_wherever_they_land() {
    let Some(place) = Place::kafka() else { return };
    let shop = Shop::open(&place, &Setup::default()).await;
    let names: Vec<String> = ids(PRODUCTS).collect();
    let products: Vec<_> = names.iter().map(|id| (None, None, id.as_str(), json(product(id, STOCK)))).collect();
    let mut moved = strays(&place, Topic::ProductUpdates, &products);
    // The records that are written again are read again.
    shop.settle().await;
    shop.settle().await;
    // In turn: without a key, with a key but on a wrong partition, and as our own producer would.
    let orders: Vec<_> = (0..ORDERS)
        .map(|number| {
            let id = names[number / 3 % PRODUCTS].as_str();
            let wrong = (partition_of(id.as_bytes(), 4) + 1) % 4;
            let (partition, key) = [(None, None), (Some(wrong), Some(id)), (None, Some(id))][number % 3];
            (partition, key, id, json(order(number, id, 1)))
        })
        .collect();
    moved += strays(&place, Topic::OrderEvents, &orders);
    shop.settle().await;
    shop.settle().await;
    let ledger = shop.ledger().await;
    ledger.check_conservation(PRODUCTS, STOCK, ORDERS);
    assert!(moved >= ORDERS / 3, "{moved} strays are too few to prove anything");
    shop.counts([("moved", moved as u64)]).await;
    shop.close().await;

    // A Java consumer reads what we wrote: each product on its key's partition, with exactly the fields that strict readers know.
    let (address, name) = place.reach(Topic::Products);
    let mut last = BTreeMap::new();
    for record in consume(address, &name) {
        let id = record.key.clone().unwrap();
        assert_eq!(record.partition, partition_of(id.as_bytes(), 4));
        last.insert(id, serde_json::from_str::<serde_json::Value>(&record.value.unwrap()).unwrap());
    }
    let fields = "productId name description category brand price inventory imageUrl tags rating reviewCount";
    for (id, (stock, _)) in &ledger.products {
        let theirs = last.remove(id).unwrap();
        assert_eq!(theirs["inventory"], *stock, "{id}");
        let names: BTreeSet<&str> = theirs.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, fields.split(' ').collect());
    }
    assert!(last.is_empty(), "{last:?}");
    let (address, name) = place.reach(Topic::InventoryEvents);
    let events = consume(address, &name);
    assert_eq!(events.len(), ledger.events.len(), "committed records, and those alone");
    assert!(events.iter().all(|event| event.headers.contains_key("kartshoppe-cause")), "every output names its cause");
}
