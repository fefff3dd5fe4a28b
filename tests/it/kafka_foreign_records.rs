//! What other programs do to the topics of a shop on Kafka: codecs, records too large to be moved, policies.

use std::time::Duration;

use bytes::Bytes;
use kartshoppe::actors::catalog_view::CatalogState;
use kartshoppe::actors::inventory::INVENTORY_GROUP;
use kartshoppe::check;
use kartshoppe::log::kafka::{KafkaConfig, KafkaLog};
use kartshoppe::log::{EventLog, NewRecord, Topic};
use kartshoppe::telemetry::alarms::{Alarm, Alarms};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::Arc;

use crate::support::api_role::ApiRole;
use crate::support::engine::{Setup, Shop, eventually, ids, order, product};
use crate::support::kafka::{Broker, prefix};
use crate::support::log::{read_all, within};
use crate::support::place::Place;

const STOCK: i64 = 1_000;

/// A foreign producer with this compression and without a size limit.
fn producer(place: &Place, codec: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", place.reach(Topic::OrderEvents).0).set("compression.codec", codec);
    config.set("partitioner", "murmur2_random").set("message.max.bytes", "60000000").create().unwrap()
}

fn send(producer: &BaseProducer, place: &Place, record: &NewRecord) {
    let name = place.reach(record.topic).1;
    let mut sent = BaseRecord::<[u8], [u8]>::to(&name).payload(record.value.as_deref().unwrap());
    sent.key = record.key.as_deref();
    sent.partition = record.partition;
    producer.send(sent).map_err(|(error, _)| error).unwrap();
    producer.flush(Duration::from_secs(30)).unwrap();
}

/// Records compressed with every codec that producers have are read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_every_codec_are_read() {
    let Some(place) = Place::kafka() else { return };
    let shop = Shop::open(&place, &Setup::default()).await;
    for (number, codec) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let (producer, id) = (producer(&place, codec), format!("P{number:05}"));
        send(&producer, &place, &product(&id, STOCK));
        within(eventually(|| async { shop.ledger().await.products.len() > number })).await;
        send(&producer, &place, &order(number, &id, 1));
        within(eventually(|| async { shop.ledger().await.outcomes().len() > number })).await;
    }
    shop.close().await;
}

/// The shop reads back its own records, however a broker compresses them: states by a restore and the read model, events by the
/// checker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_and_events_of_every_codec_are_read_back() {
    let (Some(place), Some(broker)) = (Place::kafka(), Broker::shared()) else { return };
    let named = |topic| place.reach(topic).1;
    let mut ordered = 0;
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let shop = Shop::open(&place, &Setup::default()).await;
        alter(broker, &named(Topic::Products), &[("cleanup.policy", "compact"), ("compression.type", codec)]).await;
        alter(broker, &named(Topic::InventoryEvents), &[("retention.ms", "-1"), ("compression.type", codec)]).await;
        if ordered == 0 {
            shop.stock(ids(8), STOCK).await;
        }
        shop.append(ids(8).enumerate().map(|(number, id)| order(ordered + number, &id, 1)).collect()).await;
        ordered += 8;
        shop.settle().await;
        shop.close().await;
    }
    // A restart reads all of them.
    let shop = Shop::open(&place, &Setup::default()).await;
    shop.append(ids(8).enumerate().map(|(number, id)| order(ordered + number, &id, 1)).collect()).await;
    shop.settle().await;
    shop.ledger().await.check_conservation(8, STOCK, ordered + 8);
    let role = ApiRole::start(&shop.log, None).await;
    within(eventually(|| async { role.catalog.progress().products == 8 && role.catalog.state() == CatalogState::Live })).await;
    role.stop().await;
    let subject = check::Subject {
        log: &*shop.log,
        group: INVENTORY_GROUP,
        thresholds: check::Thresholds { critical_max: 5, warning_max: 9 },
        pool: None,
        read_model: None,
        patience: check::PATIENCE,
    };
    let report = check::run(&subject).await.unwrap();
    assert!(report.holds(), "{report}");
    assert_eq!(shop.supervision.alarms.list(), []);
    shop.close().await;
}

/// A record on the wrong partition that is too large to be moved: a dead letter, its item rejected, and everything else
/// continues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_too_large_to_be_moved_becomes_a_dead_letter() {
    let Some(place) = Place::kafka() else { return };
    let shop = Shop::open(&place, &Setup::default()).await;
    shop.stock(ids(8), STOCK).await;
    let producer = producer(&place, "gzip");
    for partition in 0..4 {
        // Compressed it is small.
        let padding = "x".repeat(9 << 20);
        let json = format!(
            r#"{{"orderId":"big-{partition}","productId":"P00001","quantity":1,"timestamp":1,"orderItemId":"b-{partition}","padding":"{padding}"}}"#
        );
        let big = NewRecord { key: None, partition: Some(partition), value: Some(Bytes::from(json)), ..order(0, "P00001", 1) };
        send(&producer, &place, &big);
        let update = format!(r#"[{{"productId":"P00002","name":"P","price":1,"inventory":5,"imageUrl":"{padding}"}}]"#);
        let update =
            NewRecord { key: None, partition: Some(partition), value: Some(Bytes::from(update)), ..product("P00002", 1) };
        send(&producer, &place, &update);
    }
    shop.append(ids(8).enumerate().map(|(n, id)| order(n, &id, 1)).collect()).await;
    within(eventually(|| async { shop.ledger().await.outcomes().len() == 12 })).await;
    let ledger = shop.ledger().await;
    assert!(ledger.dead_letters >= 3, "{}", ledger.dead_letters);
    assert!(read_all(&*shop.log, Topic::DeadLetters).await.iter().all(|letter| letter.value.as_ref().unwrap().len() < 1 << 20));
    assert_eq!(shop.supervision.alarms.list(), []);
    shop.close().await;
}

pub async fn alter(broker: &Broker, name: &str, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &broker.address).create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(name));
    let change = settings.iter().fold(change, |change, (key, value)| change.set(key, value));
    for altered in admin.alter_configs(&[change], &AdminOptions::new()).await.unwrap() {
        altered.unwrap();
    }
}

/// A policy that loses states stops the shop until it is corrected; one that shortens the ledger is a warning; the listing shows
/// both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_loses_states_is_refused_until_it_is_put_right() {
    let Some(broker) = Broker::shared() else { return };
    let topic_prefix = prefix("policy");
    let products = format!("{topic_prefix}products");
    let config = KafkaConfig {
        bootstrap_servers: broker.address.clone(),
        topic_prefix: topic_prefix.clone(),
        properties: [].into(),
        partitions: 4,
    };
    let alarms = Alarms::default();
    let log = Arc::new(KafkaLog::open_with(config.clone(), alarms.clone()).await.unwrap());
    log.oversee().await;
    let told = |wanted: bool| {
        let alarms = alarms.clone();
        move || {
            let found: Vec<Alarm> =
                alarms.list().into_iter().filter(|(about, _)| about.cause == "topic-policy").map(|(_, alarm)| alarm).collect();
            async move { found.iter().any(|alarm| alarm.blocks) == wanted }
        }
    };
    assert_eq!(alarms.list(), []);
    assert_eq!(log.trouble(), None);

    // While the shop runs, and at a start.
    alter(broker, &products, &[("cleanup.policy", "compact,delete"), ("retention.ms", "600000")]).await;
    within(eventually(told(true))).await;
    within(eventually(|| async { log.trouble().is_some_and(|trouble| trouble.contains("cleanup.policy is compact,delete")) }))
        .await;
    assert_eq!(log.kept().await.unwrap()[&Topic::Products], "the last of each key, for 10m");
    let again = Alarms::default();
    let second = Arc::new(KafkaLog::open_with(config, again.clone()).await.unwrap());
    second.oversee().await;
    assert!(second.trouble().is_some_and(|trouble| trouble.contains("cleanup.policy")), "{:?}", second.trouble());

    alter(broker, &products, &[("cleanup.policy", "compact"), ("max.compaction.lag.ms", "3600000")]).await;
    within(eventually(told(false))).await;
    within(eventually(|| async { log.trouble().is_none() && second.trouble().is_none() })).await;

    // A shorter ledger is the operator's choice.
    alter(broker, &format!("{topic_prefix}order-events"), &[("cleanup.policy", "delete"), ("retention.ms", "600000")]).await;
    let warned = || alarms.list().iter().any(|(about, alarm)| about.topic.as_deref() == Some("order-events") && !alarm.blocks);
    within(eventually(|| async { warned() })).await;
    assert_eq!(log.trouble(), None);
}

/// Topics that anonymous clients can write are bounded on the brokers' disks: from the start, with a warning if the bound is
/// removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracked_topics_are_created_with_a_bound_and_one_without_is_a_warning() {
    let Some(broker) = Broker::shared() else { return };
    let topic_prefix = prefix("retained");
    let carts = format!("{topic_prefix}shopping-cart-events");
    let config = KafkaConfig { bootstrap_servers: broker.address.clone(), topic_prefix, properties: [].into(), partitions: 4 };
    let alarms = Alarms::default();
    let log = Arc::new(KafkaLog::open_with(config, alarms.clone()).await.unwrap());
    log.limit_tracked(40 << 20);
    log.oversee().await;
    // A topic that was made without the bound would raise a warning.
    assert_eq!(alarms.list(), []);
    let told = |wanted: bool| {
        let is_requested = alarms.list().iter().any(|(about, alarm)| {
            about.topic.as_deref() == Some("shopping-cart-events") && alarm.text.contains("retention.bytes") && !alarm.blocks
        });
        async move { is_requested == wanted }
    };
    alter(broker, &carts, &[("retention.bytes", "-1")]).await;
    within(eventually(|| told(true))).await;
    assert_eq!(log.trouble(), None);
    alter(broker, &carts, &[("retention.bytes", "10485760")]).await;
    within(eventually(|| told(false))).await;
}
