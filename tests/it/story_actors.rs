//! Every kind of actor of a selling shop, with every fault: each recovers, and nothing is lost or doubled.
//!
//! Inventory and api run in this process on a real log and PostgreSQL; buyers and a merchant never pause. There is no WAL reader:
//! an item whose publisher died is flipped to it after its expiry, counted, and the only one that stays open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kartshoppe::actors::faults::{Fault, Target};
use kartshoppe::actors::order_publisher::PublishMode;
use kartshoppe::actors::role::SupervisionContext;
use kartshoppe::log::EventLog;
use kartshoppe::store::{Checkout, CheckoutRequest, Order, PublishVia, Store};
use sqlx::Row;
use tokio::time::Instant;

use crate::support::api_role::{ApiRole, until};
use crate::support::engine::{Ledger, Setup, Shop, eventually, ids, product};
use crate::support::handle_page::{Page, rows};
use crate::support::place::{Place, on_each_log};
use crate::support::postgres::{count, database, product as id_of, request, session, ten};

const PRODUCTS: usize = 24;
const STOCK: i64 = 1_000_000;
const BUYERS: usize = 4;
/// Updates by the merchant, so that there always is an alert in progress.
const WAVERING: [&str; 3] = ["M0", "M1", "M2"];
/// The actors of the inventory, and those of the api.
const INVENTORY: [&str; 5] = ["product", "shard", "committer", "log-source", "role/inventory"];
const API: [&str; 6] = ["catalog-view", "fanout", "alert-desk", "order-publisher", "order-tracker", "role/api"];
const FAULTS: [Fault; 5] = [Fault::Kill, Fault::Panic, Fault::Error, Fault::Hang, Fault::Start];
/// An order that is not settled by then has lost its publisher.
const CANARY_PATIENCE: Duration = Duration::from_secs(1);
const OPEN_ITEMS: &str = "SELECT count(*) FROM order_items WHERE outcome IS NULL AND publish_via = 'direct'";

struct Rig {
    shop: Shop,
    api: ApiRole,
    store: Store,
    over: AtomicBool,
    numbers: AtomicU64,
}

on_each_log!(at length: every_actor_struck_under_load_recovers_and_nothing_is_lost);

async fn every_actor_struck_under_load_recovers_and_nothing_is_lost(place: Place) {
    let shop = Shop::open(&place, &Setup { batch_max_records: 200, ..Setup::default() }).await;
    shop.stock(ids(PRODUCTS), STOCK).await;
    let store = database().await.store;
    let log: Arc<dyn EventLog> = shop.log.clone();
    let api = ApiRole::start(&log, Some(&store)).await;
    until("direct publishing is open", || api.publisher.mode() == PublishMode::Direct).await;
    let rig = Arc::new(Rig { shop, api, store, over: AtomicBool::new(false), numbers: AtomicU64::new(0) });
    let mut page = Page::open(&rig.api.fanout, "watching", true);

    let buyers: Vec<_> = (0..BUYERS).map(|_| tokio::spawn(buy(rig.clone()))).collect();
    let merchant = tokio::spawn(waver(rig.clone()));
    println!("{:15} {:6} {:>14} {:>14} {:>14}", "struck", "by", "open items", "back after", "sells after");
    for (targets, context) in [(&INVENTORY[..], &rig.shop.supervision), (&API[..], &rig.api.context)] {
        for target in targets {
            let mut met = 0;
            for fault in FAULTS {
                met += strike(&rig, context, target, fault).await;
            }
            assert!(met > 0, "{target} was never struck with work in flight");
        }
    }
    rig.over.store(true, Ordering::SeqCst);
    for buyer in buyers {
        buyer.await.unwrap();
    }
    merchant.await.unwrap();

    let patience = Instant::now() + Duration::from_secs(120);
    while count(&rig.store, OPEN_ITEMS).await > 0 {
        assert!(Instant::now() < patience, "{} items stay open", count(&rig.store, OPEN_ITEMS).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let flipped = count(&rig.store, "SELECT count(*) FROM order_items WHERE publish_via = 'wal'").await;
    let items = count(&rig.store, "SELECT count(*) FROM order_items").await;
    println!("{items} items, {flipped} of them left to the WAL reader as their publisher died");
    rig.shop.settle().await;
    let ledger = rig.shop.ledger().await;
    ledger.check_chains();
    assert_eq!(ledger.dead_letters, 0, "no command was to blame");
    sql_and_log_agree(&rig, &ledger).await;
    everybody_shows(&rig, &ledger, &mut page).await;
    rig.api.stop().await;
}

/// Strikes, prints how long recovery took, and returns how many items were in flight.
async fn strike(rig: &Arc<Rig>, context: &SupervisionContext, target: &str, fault: Fault) -> i64 {
    let lives = || context.directory.find(target).map_or(0, |entry| entry.report().incarnation);
    let ends = || -> u64 { rig.shop.inventory.metrics.product_ends.iter().map(|count| count.load(Ordering::Relaxed)).sum() };
    let (lives_before, ends_before, began) = (lives(), ends(), Instant::now());
    // Several at once where there are many; a single one otherwise.
    let strikes = if target == "product" && fault != Fault::Hang { 5 } else { 1 };
    let arm = |fault, strikes| {
        let target: Target = target.parse().unwrap();
        context.faults.inject(&context.directory, target, fault, strikes, Duration::from_secs(60))
    };
    if fault == Fault::Start {
        // Two starts fail after the kill that makes them necessary.
        arm(Fault::Start, 2);
        arm(Fault::Kill, strikes);
    } else {
        arm(fault, strikes);
    }
    let open = count(&rig.store, OPEN_ITEMS).await;
    eventually(|| async { context.faults.list().is_empty() }).await;
    let is_back = || match context.directory.find(target) {
        Some(entry) => lives() > lives_before && entry.report().running,
        // Products and shards in the plural have no entry of that name.
        None => target != "product" || ends() > ends_before,
    };
    eventually(|| async { is_back() }).await;
    let away = context.directory.find(target).and_then(|entry| entry.last_recovery());
    let away = away.map_or_else(|| "-".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1000.0));
    sells(rig).await;
    println!("{target:15} {:6} {open:>14} {away:>14} {:>11.1} ms", format!("{fault:?}"), began.elapsed().as_secs_f64() * 1000.0);
    open
}

/// Waits for an order that is placed now, or for the next one if its publisher dies.
async fn sells(rig: &Arc<Rig>) {
    loop {
        let order = place(rig).await;
        let deadline = Instant::now() + CANARY_PATIENCE;
        while Instant::now() < deadline {
            if rig.store.order(&order.order_id, None).await.unwrap().unwrap().status != "PENDING" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// One order of two products, placed as the api does it.
async fn place(rig: &Rig) -> Order {
    let number = rig.numbers.fetch_add(1, Ordering::Relaxed);
    let session_id = format!("s{number}");
    for step in [0, 7] {
        let id = format!("P{:05}", (number + step) % PRODUCTS as u64);
        while let Err(error) = rig.store.add_to_cart(&session(&session_id), None, &id_of(&id), 1).await {
            assert!(format!("{error:?}").contains("Store"), "{error:?}");
        }
    }
    let asked = CheckoutRequest { publish_via: PublishVia::Direct, ..request(&session_id) };
    match rig.store.checkout(&asked, ten).await.unwrap() {
        Checkout::Placed(order, _) => {
            rig.api.publisher.publish(&order, None);
            order
        }
        Checkout::Replayed(_) => panic!("there was no key"),
    }
}

async fn buy(rig: Arc<Rig>) {
    while !rig.over.load(Ordering::SeqCst) {
        place(&rig).await;
    }
}

/// Low and plenty in turn; at the end two are low.
async fn waver(rig: Arc<Rig>) {
    let mut low = false;
    while !rig.over.load(Ordering::SeqCst) {
        low = !low;
        rig.shop.append(WAVERING.iter().map(|id| product(id, if low { 3 } else { 30 })).collect()).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rig.shop.append(vec![product("M0", 4), product("M1", 40), product("M2", 0)]).await;
}

/// Each outcome of the log is in SQL and no other, and each product's stock is reduced by what was sold.
async fn sql_and_log_agree(rig: &Rig, ledger: &Ledger) {
    let sql = "SELECT order_item_id, product_id, allocated::bigint, shortfall::bigint FROM order_items WHERE outcome IS NOT NULL";
    let rows = sqlx::query(sql).fetch_all(rig.store.pool()).await.unwrap();
    let written: BTreeMap<String, (i64, i64)> = rows.iter().map(|row| (row.get(0), (row.get(2), row.get(3)))).collect();
    assert_eq!(ledger.outcomes(), written);
    assert!(written.len() > 1_000, "too little load: {}", written.len());
    for id in ids(PRODUCTS) {
        let sold: i64 = rows.iter().filter(|row| row.get::<String, _>(1) == id).map(|row| row.get::<i64, _>(2)).sum();
        assert_eq!(ledger.products[&id].0, STOCK - sold, "{id}");
    }
}

/// Read model, page and alert desk show what the log says.
async fn everybody_shows(rig: &Rig, ledger: &Ledger, page: &mut Page) {
    let expected: BTreeMap<String, i64> = ledger.products.iter().map(|(id, known)| (id.clone(), known.0)).collect();
    let shown = || -> BTreeMap<String, i64> {
        let bodies: Vec<_> = rig.api.catalog.all().map(|entry| serde_json::from_slice(entry.body()).unwrap()).collect();
        rows(bodies.iter()).into_iter().map(|(id, row)| (id, row.0)).collect()
    };
    until("the view shows what the log says", || shown() == expected).await;
    until("the page shows it too", || {
        page.read_due();
        page.rows().into_iter().map(|(id, row)| (id, row.0)).collect::<BTreeMap<_, _>>() == expected
    })
    .await;
    let low: BTreeSet<_> = ["M0".to_owned(), "M2".to_owned()].into();
    until("the low ones are on the alert desk", || {
        rig.api.alerts.open().iter().map(|alert| alert.product_id.clone()).collect::<BTreeSet<_>>() == low
    })
    .await;
}
