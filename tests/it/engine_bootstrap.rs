//! The bootstrap file, and rules that depend on a record's position: wrong partitions, expiries, probes.

use std::path::Path;

use kartshoppe::actors::faults::Fault;
use kartshoppe::actors::inventory::INVENTORY_GROUP;
use kartshoppe::clock::Clock;
use kartshoppe::domain::inventory::EventKind;
use kartshoppe::log::NewRecord;
use kartshoppe::log::partitioner::partition_of;
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::headers;
use kartshoppe::wire::topics::inventory_event::EventType;

use crate::support::engine::{START_MS, Setup, Shop, eventually, ids, order, product};
use crate::support::log::{read_all, record, text};
use crate::support::place::{Place, on_each_log};

on_each_log!(at length:
    the_file_counts_once_and_comes_before_the_log,
    engine_actors_killed_while_the_bootstrap_file_is_read_lose_nothing,
    a_broken_bootstrap_file_keeps_the_shop_closed_until_it_is_corrected,
    records_on_the_wrong_partition_are_written_again_to_the_right_one,
);

fn write_file(path: &Path, count: usize, units: i64) {
    let products: Vec<_> = ids(count).map(|id| String::from_utf8(product(&id, units).value.unwrap().to_vec()).unwrap()).collect();
    std::fs::write(path, format!("[{}]", products.join(","))).unwrap();
}

/// Waits until every partition has a committed position.
async fn opened(shop: &Shop) {
    eventually(|| async { shop.log.committed(INVENTORY_GROUP).await.unwrap().len() == 8 }).await;
}

async fn the_file_counts_once_and_comes_before_the_log(place: Place) {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("initial-products.json");
    write_file(&path, 300, 10);
    let setup = Setup { bootstrap_file: Some(path.clone()), batch_max_records: 20, ..Setup::default() };
    let shop = Shop::open(&place, &setup).await;
    // Orders that were on the log before the file was complete still find their products.
    shop.append((0..300).map(|n| order(n, &format!("P{n:05}"), 1)).collect()).await;
    opened(&shop).await;
    shop.settle().await;
    let ledger = shop.ledger().await;
    ledger.check_conservation(300, 10, 300);
    assert_eq!((ledger.count(EventKind::ProductAdded), ledger.count(EventKind::OrderRejected)), (300, 0));
    // A removed product and sold stock do not come back, whatever the file contains now.
    shop.append(vec![NewRecord { value: None, ..product("P00007", 0) }]).await;
    shop.settle().await;
    shop.close().await;
    write_file(&path, 400, 99);
    let shop = Shop::open(&place, &setup).await;
    shop.append(vec![order(300, "P00001", 1)]).await;
    shop.settle().await;
    let ledger = shop.ledger().await;
    assert_eq!((ledger.products.len(), ledger.products.get("P00001").map(|known| known.0)), (299, Some(8)));
    assert_eq!(ledger.count(EventKind::ProductAdded), 300);
    shop.close().await;
}

async fn engine_actors_killed_while_the_bootstrap_file_is_read_lose_nothing(place: Place) {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("initial-products.json");
    write_file(&path, 2_000, 10);
    let setup = Setup { bootstrap_file: Some(path), batch_max_records: 30, ..Setup::default() };
    let shop = Shop::open(&place, &setup).await;
    for (kind, fault) in
        [("product", Fault::Panic), ("shard", Fault::Kill), ("committer", Fault::Kill), ("log-source", Fault::Panic)]
    {
        shop.arm(kind, fault, 3);
    }
    opened(&shop).await;
    let ledger = shop.ledger().await;
    ledger.check_conservation(2_000, 10, 0);
    assert_eq!(ledger.count(EventKind::ProductAdded), 2_000);
    shop.close().await;
}

async fn a_broken_bootstrap_file_keeps_the_shop_closed_until_it_is_corrected(place: Place) {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("initial-products.json");
    std::fs::write(&path, "[{}]").unwrap();
    let setup = Setup { bootstrap_file: Some(path.clone()), ..Setup::default() };
    let shop = Shop::open(&place, &setup).await;
    shop.append(vec![order(1, "P00001", 1)]).await;
    assert!(shop.log.committed(INVENTORY_GROUP).await.unwrap().is_empty());
    write_file(&path, 3, 10);
    opened(&shop).await;
    shop.settle().await;
    shop.ledger().await.check_conservation(3, 10, 1);
    shop.close().await;
}

async fn records_on_the_wrong_partition_are_written_again_to_the_right_one(place: Place) {
    let shop = Shop::open(&place, &Setup::default()).await;
    let products: Vec<_> = ids(8).map(|id| String::from_utf8(product(&id, 10).value.unwrap().to_vec()).unwrap()).collect();
    let array =
        NewRecord { key: None, partition: Some(3), ..record(Topic::ProductUpdates, "", &format!("[{}]", products.join(","))) };
    shop.append(vec![array]).await;
    shop.settle().await;
    shop.settle().await;
    // Without a key, all on partition 0.
    let stray = |n: usize| NewRecord { key: None, partition: Some(0), ..order(n, &format!("P{:05}", n % 8), 1) };
    shop.append((0..40).map(stray).collect()).await;
    shop.settle().await;
    shop.settle().await;
    shop.ledger().await.check_conservation(8, 10, 40);
    let orders = read_all(&*shop.log, Topic::OrderEvents).await;
    let moved: Vec<_> = orders.iter().filter(|record| record.headers.get(headers::MOVED_FROM).is_some()).collect();
    assert!(!moved.is_empty());
    for record in &moved {
        let key = record.key.as_deref().unwrap();
        assert_eq!(partition_of(key, 4), record.partition);
        assert!(text(record).contains(std::str::from_utf8(key).unwrap()));
        assert!(record.headers.get_str(headers::MOVED_FROM).unwrap().starts_with("order-events/0/"));
    }
    let updates = read_all(&*shop.log, Topic::ProductUpdates).await.len() - 1;
    shop.counts([("moved", (moved.len() + updates) as u64)]).await;
    shop.close().await;
}

fn direct(number: usize, expires_at_ms: i64, probe: bool) -> NewRecord {
    let (quantity, probe) = if probe { (0, r#","probe":true"#) } else { (1, "") };
    let json = format!(
        r#"{{"orderId":"o-{number}","productId":"P00000","quantity":{quantity},"timestamp":{START_MS},"orderItemId":"i-{number}","source":"direct","expiresAt":{expires_at_ms}{probe}}}"#
    );
    record(Topic::OrderEvents, "P00000", &json)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_expire_by_the_logs_clock_and_probes_are_answered_only_then() {
    let (place, clock) = (Place::embedded(), Clock::manual(START_MS));
    let setup = Setup { clock: clock.clone(), ..Setup::default() };
    let shop = Shop::open(&place, &setup).await;
    shop.stock(ids(1), 10).await;
    shop.settle().await;
    // In time, by its own append time; a probe before the expiry gets no answer.
    shop.append(vec![direct(0, START_MS, false), direct(0, START_MS, true)]).await;
    shop.settle().await;
    assert_eq!((shop.ledger().await.products["P00000"].0, shop.ledger().await.count(EventKind::OrderExpired)), (9, 0));
    // Past it: absorbed, and the probe is answered.
    clock.set_ms(START_MS + 100);
    shop.append(vec![direct(1, START_MS + 99, false), direct(1, START_MS + 99, true)]).await;
    shop.settle().await;
    // The log's clock steps back; the partition remembers the highest time it has seen, also over a restart.
    clock.set_ms(START_MS + 50);
    shop.append(vec![direct(2, START_MS + 99, false)]).await;
    shop.settle().await;
    shop.close().await;
    let shop = Shop::open(&place, &setup).await;
    shop.append(vec![direct(3, START_MS + 99, false), direct(3, START_MS + 99, true), direct(4, START_MS + 100, false)]).await;
    // An event without an expiry is applied at any time.
    shop.append(vec![order(5, "P00000", 1)]).await;
    shop.settle().await;
    let ledger = shop.ledger().await;
    ledger.check_chains();
    assert_eq!(ledger.products["P00000"].0, 7);
    let expired: Vec<_> =
        ledger.events.iter().filter(|event| event.event_type == EventType::Known(EventKind::OrderExpired)).collect();
    let orders: Vec<_> = expired.iter().map(|event| event.order.as_ref().unwrap().order_id.as_str()).collect();
    assert_eq!(orders, ["o-1", "o-3"]);
    assert!(expired.iter().all(|event| event.timestamp_ms == START_MS + 100 && event.reason.contains("expired")), "{expired:?}");
    shop.counts([("expired", 1), ("probe", 1), ("applied", 2)]).await;
    shop.close().await;
}
