//! The order tracker on real PostgreSQL and a real log: each outcome once, despite repeated reads, several trackers, and kills.

use std::sync::atomic::Ordering;
use std::time::Duration;

use kartshoppe::actors::faults::Fault;
use kartshoppe::domain::ids::{OrderItemId, ProductId};

use kartshoppe::domain::inventory::{Cause, InputPosition, InputTopic, ProbedItem, Rules, order_expired};
use kartshoppe::log::{EventLog, Record};
use kartshoppe::store::{CartError, Checkout, CheckoutRequest, Order, PublishVia, Store, StoreOptions};
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::inventory_event;
use kartshoppe::wire::topics::order_event::{self, OrderEvent, OrderSource, Wish};

use crate::support::api_role::{ApiRole, until};
use crate::support::handle_page::Page;
use crate::support::log::{read_all, within};
use crate::support::place::{Place, on_each_log};
use crate::support::postgres::{count, database, database_with, product, request, session, ten};
use crate::support::tiny_engine::{TinyEngine, deduct, upsert};

on_each_log!(at length:
    orders_settle_and_their_pages_are_notified,
    outcomes_are_written_once_by_two_trackers_that_are_struck_again_and_again,
    a_log_that_is_not_what_it_was_is_a_gap_and_the_tracker_goes_on,
    an_item_that_was_never_published_is_rescued_and_one_that_was_is_not,
    direct_items_are_published_once_whatever_happens_to_the_publisher,
    an_order_for_the_wal_is_never_published_directly,
    outcomes_wait_for_the_database,
    an_unreadable_order_silences_no_other_and_is_sent_once_it_is_corrected,
);

/// Places an order of one session: these products, two units each. Asks again where that can help, as a page would.
async fn order_of(store: &Store, session_id: &str, products: &[&str], publish_via: PublishVia) -> Order {
    for product_id in products {
        while let Err(error) = store.add_to_cart(&session(session_id), None, &product(product_id), 2).await {
            assert!(matches!(&error, CartError::Store(error) if error.is_retryable()), "{error:?}");
        }
    }
    match store.checkout(&CheckoutRequest { publish_via, ..request(session_id) }, ten).await.unwrap() {
        Checkout::Placed(order, _) => order,
        Checkout::Replayed(_) => panic!("there was no key"),
    }
}

/// The commands that the inventory gets for an order.
fn commands(order: &Order) -> Vec<(ProductId, kartshoppe::domain::inventory::Command)> {
    let item = |item: &kartshoppe::store::OrderItem| {
        deduct(item.product_id.as_str(), item.quantity, order.order_id.as_str(), Some(&item.order_item_id))
    };
    order.items.iter().map(item).collect()
}

async fn status(store: &Store, order: &Order) -> String {
    store.order(&order.order_id, None).await.unwrap().unwrap().status
}

async fn settled(store: &Store) -> i64 {
    count(store, "SELECT count(*) FROM orders WHERE status <> 'PENDING'").await
}

async fn until_settled(store: &Store, orders: i64) {
    within(async {
        while settled(store).await < orders {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn orders_settle_and_their_pages_are_notified(place: Place) {
    let log = place.log().await;
    let db = database().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 10, 950, "Mug"), upsert("B", 1, 950, "Pot")]).await;
    let role = ApiRole::start(&log, Some(&db.store)).await;
    let mut mine = Page::open(&role.fanout, "mine", false);
    let mut other = Page::open(&role.fanout, "other", false);
    let full = order_of(&db.store, "mine", &["A"], PublishVia::Wal).await;
    let short = order_of(&db.store, "mine", &["A", "B"], PublishVia::Wal).await;
    let none = order_of(&db.store, "mine", &["UNKNOWN"], PublishVia::Wal).await;
    for order in [&full, &short, &none] {
        engine.commit(commands(order)).await;
    }
    until_settled(&db.store, 3).await;
    assert_eq!(status(&db.store, &full).await, "CONFIRMED");
    assert_eq!(status(&db.store, &short).await, "BACKORDERED");
    assert_eq!(status(&db.store, &none).await, "REJECTED");
    within(async {
        while !mine.orders.iter().any(|order| order["orderId"] == none.order_id.as_str() && order["status"] == "REJECTED") {
            mine.read_next().await;
        }
    })
    .await;
    other.read_due();
    assert!(other.orders.is_empty(), "orders are their session's alone");
    role.stop().await;
}

/// Two processes read everything, events are duplicated, trackers are killed in the middle: each outcome is written once and
/// correctly.
async fn outcomes_are_written_once_by_two_trackers_that_are_struck_again_and_again(place: Place) {
    const ORDERS: usize = 120;
    let log = place.log().await;
    let db = database().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 150, 950, "Mug"), upsert("B", 10_000, 950, "Pot")]).await;
    let roles = [ApiRole::start(&log, Some(&db.store)).await, ApiRole::start(&log, Some(&db.store)).await];
    let faults = [Fault::Kill, Fault::Panic, Fault::Error, Fault::Hang];
    for number in 0..ORDERS {
        let order = order_of(&db.store, &format!("s{number}"), &["A", "B"], PublishVia::Wal).await;
        engine.commit(commands(&order)).await;
        if number % 10 == 5 {
            repeat_last_events(&*log, &engine, 4).await;
            roles[number / 10 % 2].strike("order-tracker", faults[number / 20 % faults.len()]);
        }
    }
    until_settled(&db.store, i64::try_from(ORDERS).unwrap()).await;
    for role in &roles {
        until("every tracker is through", || role.tracker.is_caught_up()).await;
    }
    let sold = count(&db.store, "SELECT sum(allocated)::bigint FROM order_items WHERE product_id = 'A'").await;
    assert_eq!(sold, 150, "all that was there, and nothing twice");
    let left = engine.states.values().map(|state| state.product.stock.units()).collect::<Vec<_>>();
    let sold_b = count(&db.store, "SELECT sum(allocated)::bigint FROM order_items WHERE product_id = 'B'").await;
    assert_eq!(left, [0, 10_000 - sold_b]);
    let wrong = "SELECT count(*) FROM orders o JOIN order_items i USING (order_id)
                 WHERE (o.status = 'CONFIRMED') <> (SELECT bool_and(allocated = quantity) FROM order_items x WHERE x.order_id = o.order_id)";
    assert_eq!(count(&db.store, wrong).await, 0);
    let written: u64 = roles.iter().map(|role| role.tracker.counts().outcomes.load(Ordering::Relaxed)).sum();
    // A tracker that dies between commit and count has written an outcome that was not counted.
    assert!(written <= 2 * ORDERS as u64);
    assert!(roles.iter().all(|role| role.restarts("order-tracker") >= 2), "the faults struck");
    assert_eq!(roles.iter().map(|role| role.tracker.counts().gaps.load(Ordering::Relaxed)).sum::<u64>(), 0);
    for role in &roles {
        role.stop().await;
    }
}

/// Writes the last events once more, as a log without transactions might.
async fn repeat_last_events(log: &dyn EventLog, engine: &TinyEngine, events: usize) {
    let all = read_all(log, Topic::InventoryEvents).await;
    let again = all.into_iter().rev().take(events).map(|record| kartshoppe::log::NewRecord {
        topic: record.topic,
        partition: Some(record.partition),
        key: record.key,
        value: record.value,
        headers: record.headers,
    });
    engine.commit_records(again.collect()).await;
}

async fn a_log_that_is_not_what_it_was_is_a_gap_and_the_tracker_goes_on(place: Place) {
    let log = place.log().await;
    let db = database().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 10, 950, "Mug")]).await;
    let first = order_of(&db.store, "s", &["A"], PublishVia::Wal).await;
    engine.commit(commands(&first)).await;
    let role = ApiRole::start(&log, Some(&db.store)).await;
    until_settled(&db.store, 1).await;
    role.stop().await;
    assert_eq!(count(&db.store, "SELECT count(*) FROM order_tracker_gaps").await, 0);

    // Another log behind the same tables.
    let elsewhere = place.another();
    let log = elsewhere.log().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 10, 950, "Mug")]).await;
    let second = order_of(&db.store, "s", &["A"], PublishVia::Wal).await;
    engine.commit(commands(&second)).await;
    let role = ApiRole::start(&log, Some(&db.store)).await;
    until_settled(&db.store, 2).await;
    assert_eq!(role.tracker.counts().gaps.load(Ordering::Relaxed), 1);
    let gaps = db.store.gaps().await.unwrap();
    assert_eq!(gaps.len(), 1);
    assert!(
        gaps[0].reason.contains("no longer in the log")
            || gaps[0].reason.contains("was read there")
            || gaps[0].reason.contains("outside the log"),
        "{gaps:?}"
    );
    role.stop().await;
}

/// An item whose publisher died is probed, answered, and handed to the WAL reader; one with an outcome is left alone.
async fn an_item_that_was_never_published_is_rescued_and_one_that_was_is_not(place: Place) {
    let log = place.log().await;
    let options = StoreOptions { direct_expiry: Duration::ZERO, ..StoreOptions::default() };
    let db = database_with(options).await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 10, 950, "Mug")]).await;
    let lost = order_of(&db.store, "lost", &["A"], PublishVia::Direct).await;
    let late = order_of(&db.store, "late", &["A"], PublishVia::Direct).await;
    let role = ApiRole::start(&log, Some(&db.store)).await;
    let probes = probes_of(&*log, 2).await;
    // The late one was applied before its probe; both probes are answered.
    engine.commit(commands(&late)).await;
    let answers = probes.iter().map(|record| answer(&engine, record)).collect();
    engine.commit_records(answers).await;
    let via = |order: &Order| {
        let (store, order_id) = (db.store.clone(), order.order_id.clone());
        Box::pin(async move { store.order(&order_id, None).await.unwrap().unwrap().items[0].publish_via })
    };
    within(async {
        while via(&lost).await != PublishVia::Wal {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    until_settled(&db.store, 1).await;
    assert_eq!((via(&late).await, status(&db.store, &late).await.as_str()), (PublishVia::Direct, "CONFIRMED"));
    let counts = role.tracker.counts();
    assert_eq!((counts.probes.load(Ordering::Relaxed), counts.flipped.load(Ordering::Relaxed)), (2, 1));
    // What is published now settles it, once.
    engine.commit(commands(&lost)).await;
    until_settled(&db.store, 2).await;
    assert_eq!(engine.states.values().next().unwrap().product.stock.units(), 6);
    role.stop().await;
}

/// Waits until this many probes are on the log.
async fn probes_of(log: &dyn EventLog, wanted: usize) -> Vec<Record> {
    within(async {
        loop {
            let probes = read_all(log, Topic::OrderEvents).await;
            if probes.len() >= wanted {
                assert_eq!(probes.len(), wanted, "an item is asked about once a minute");
                return probes;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// A shard's answer to a probe past its expiry.
fn answer(engine: &TinyEngine, record: &Record) -> kartshoppe::log::NewRecord {
    let probe = order_event::decode(record).unwrap();
    assert_eq!((probe.wish, probe.source), (Wish::Probe, Some(OrderSource::Direct)));
    assert!(probe.expires_at_ms.unwrap() <= record.append_time_ms);
    let position = InputPosition { offset: record.offset, index: 0 };
    let cause = Cause::Record { topic: InputTopic::OrderEvents, partition: record.partition, position };
    let item = ProbedItem { product_id: &probe.product_id, cause, outcome: probe.probed() };
    let state = engine.states.get(&probe.product_id);
    inventory_event::record(&order_expired(&Rules::default(), state, &item, record.append_time_ms), None)
}

async fn direct_items_are_published_once_whatever_happens_to_the_publisher(place: Place) {
    let log = place.log().await;
    let db = database().await;
    let role = ApiRole::start(&log, Some(&db.store)).await;
    until("direct publishing is open", || role.publisher.mode() == kartshoppe::actors::order_publisher::PublishMode::Direct)
        .await;
    let mut placed = Vec::new();
    for number in 0..60 {
        let order = order_of(&db.store, &format!("s{number}"), &["A", "B"], PublishVia::Direct).await;
        role.publisher.publish(&order, None);
        if number % 10 == 3 {
            role.strike("order-publisher", [Fault::Kill, Fault::Panic, Fault::Error][number / 10 % 3]);
        }
        placed.push(order);
    }
    let counts = role.publisher.counts();
    until("every item is accounted for", || {
        counts.published.load(Ordering::Relaxed) + counts.left_to_rescue.load(Ordering::Relaxed) == 120
    })
    .await;
    let published = read_all(&*log, Topic::OrderEvents).await;
    assert_eq!(published.len() as u64, counts.published.load(Ordering::Relaxed));
    let events: Vec<OrderEvent> = published.iter().map(|record| order_event::decode(record).unwrap()).collect();
    let mut items: Vec<&OrderItemId> = events.iter().filter_map(|event| event.order_item_id.as_ref()).collect();
    items.sort();
    items.dedup();
    assert_eq!(items.len(), published.len(), "no item twice");
    let event = &events[0];
    let row = placed
        .iter()
        .flat_map(|order| &order.items)
        .find(|item| Some(&item.order_item_id) == event.order_item_id.as_ref())
        .unwrap();
    assert_eq!((event.source, event.expires_at_ms), (Some(OrderSource::Direct), row.expires_at_ms));
    assert!(role.restarts("order-publisher") >= 1);
    role.stop().await;
}

async fn an_order_for_the_wal_is_never_published_directly(place: Place) {
    let log = place.log().await;
    let db = database().await;
    let role = ApiRole::start(&log, Some(&db.store)).await;
    let order = order_of(&db.store, "s", &["A"], PublishVia::Wal).await;
    role.publisher.publish(&order, None);
    let direct = order_of(&db.store, "s", &["A"], PublishVia::Direct).await;
    role.publisher.publish(&direct, None);
    let counts = role.publisher.counts();
    until("the direct one is on the log", || counts.published.load(Ordering::Relaxed) == 1).await;
    let published = read_all(&*log, Topic::OrderEvents).await;
    assert_eq!(published.len(), 1);
    assert_eq!(order_event::decode(&published[0]).unwrap().order_id, direct.order_id);
    role.stop().await;
}

/// A database that goes down while outcomes arrive: nothing is lost.
async fn outcomes_wait_for_the_database(place: Place) {
    let log = place.log().await;
    let db = database().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 100, 950, "Mug")]).await;
    let role = ApiRole::start(&log, Some(&db.store)).await;
    until("the tracker follows", || role.tracker.is_caught_up()).await;
    let order = order_of(&db.store, "s", &["A"], PublishVia::Wal).await;
    // Nothing can be written while this lock is held, so the tracker's transaction times out.
    let mut blocker = db.store.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").execute(&mut *blocker).await.unwrap();
    engine.commit(commands(&order)).await;
    until("the tracker was sent away", || role.tracker.counts().retries.load(Ordering::Relaxed) > 0).await;
    assert_eq!(role.restarts("order-tracker"), 0);
    drop(blocker);
    until_settled(&db.store, 1).await;
    assert_eq!(status(&db.store, &order).await, "CONFIRMED");
    role.stop().await;
}

async fn an_unreadable_order_silences_no_other_and_is_sent_once_it_is_corrected(place: Place) {
    let log = place.log().await;
    let db = database().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 10, 950, "Mug")]).await;
    let role = ApiRole::start(&log, Some(&db.store)).await;
    let mut page = Page::open(&role.fanout, "mine", false);
    let odd = order_of(&db.store, "mine", &["A"], PublishVia::Wal).await;
    let well = order_of(&db.store, "mine", &["A"], PublishVia::Wal).await;
    sqlx::query("ALTER TABLE orders DROP CONSTRAINT orders_money_sane").execute(db.store.pool()).await.unwrap();
    let tax = |tax: &'static str| {
        sqlx::query("UPDATE orders SET tax = $2::numeric WHERE order_id = $1").bind(odd.order_id.to_string()).bind(tax)
    };
    tax("NaN").execute(db.store.pool()).await.unwrap();
    for order in [&odd, &well] {
        engine.commit(commands(order)).await;
    }
    within(async {
        while !page.orders.iter().any(|order| order["orderId"] == well.order_id.as_str()) {
            page.read_next().await;
        }
    })
    .await;
    until("the alarm names the order", || {
        let alarms = role.context.alarms.list();
        alarms.iter().any(|(about, alarm)| about.cause == "order-unreadable" && alarm.text.contains(odd.order_id.as_str()))
    })
    .await;
    // No other event arrives: the next round finds the order corrected.
    tax("0.5").execute(db.store.pool()).await.unwrap();
    within(async {
        while !page.orders.iter().any(|order| order["orderId"] == odd.order_id.as_str() && order["status"] == "CONFIRMED") {
            page.read_next().await;
        }
    })
    .await;
    until("the alarm is over", || role.context.alarms.list().is_empty()).await;
    role.stop().await;
}
