//! The read model and the pages behind it, on a real log: restore, follow, race, removal, and recovery after actors die.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kartshoppe::actors::catalog_view::{CatalogHandle, CatalogState};
use kartshoppe::actors::faults::Fault;
use kartshoppe::log::{Headers, NewRecord};
use kartshoppe::wire::topics::Topic;
use serde_json::{Value, json};

use crate::support::api_role::{ApiRole, until};
use crate::support::handle_page::{Page, rows};
use crate::support::log::within;
use crate::support::place::{Place, on_each_log};
use crate::support::tiny_engine::{TinyEngine, deduct, remove, upsert};

on_each_log!(at length:
    the_view_restores_follows_and_answers,
    an_empty_log_is_an_empty_shop_that_fills,
    foreign_and_malformed_records_do_no_harm,
    alerts_are_open_as_long_as_the_stock_is_low,
    a_cursor_is_good_in_every_process,
    a_product_leaves_with_the_same_version_in_every_process,
    all_pages_converge_after_a_storm_with_faults,
);

/// Product id → stock, price and name, as the view returns them.
fn view_rows(catalog: &CatalogHandle) -> BTreeMap<String, (i64, String, String)> {
    let bodies: Vec<Value> = catalog.all().map(|entry| serde_json::from_slice(entry.body()).unwrap()).collect();
    rows(bodies.iter())
}

/// The same as the engine has them.
fn engine_rows(engine: &TinyEngine) -> BTreeMap<String, (i64, String, String)> {
    let bodies = engine.states.values().map(|state| {
        let product = &state.product;
        json!({"productId": product.id.as_str(), "inventory": product.stock.units(), "price": product.price.to_units(),
               "name": product.details.name})
    });
    rows(bodies.collect::<Vec<_>>().iter())
}

async fn converges(role: &ApiRole, engine: &TinyEngine) {
    let expected = engine_rows(engine);
    until("the view shows what the engine has", || view_rows(&role.catalog) == expected).await;
}

async fn the_view_restores_follows_and_answers(place: Place) {
    let log = place.log().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 10, 950, "Mug"), upsert("B", 4, 1000, "Pot"), upsert("C", 1, 1, "Gone")]).await;
    engine.commit(vec![remove("C"), deduct("A", 3, "o-1", None)]).await;
    let role = ApiRole::start(&log, None).await;
    until("the view is live", || role.catalog.state() == CatalogState::Live).await;
    assert_eq!(view_rows(&role.catalog), engine_rows(&engine));
    assert_eq!((role.catalog.progress().products, role.catalog.get("C")), (2, None));

    let before = role.catalog.get("A").unwrap();
    engine.commit(vec![deduct("A", 2, "o-2", None)]).await;
    converges(&role, &engine).await;
    let after = role.catalog.get("A").unwrap();
    assert_ne!(after.etag, before.etag);
    assert!(after.etag.starts_with('"') && after.etag.ends_with('"'));
    until("the history is complete", || role.catalog.history("A", 0).is_some_and(|history| history.len() == 3)).await;
    let history = role.catalog.history("A", 0).unwrap();
    assert_eq!(history[0].order_id.as_ref().unwrap().as_str(), "o-2");
    assert_eq!((history[0].previous_stock, history[0].current_stock), (Some(7), 5));
    assert_eq!(role.catalog.categories().iter().map(|name| &**name).collect::<Vec<_>>(), ["Mugs"]);

    engine.commit(vec![remove("A"), upsert("D", 7, 5, "New")]).await;
    converges(&role, &engine).await;
    engine.commit(vec![upsert("A", 3, 950, "Mug again")]).await;
    converges(&role, &engine).await;
    role.stop().await;
}

async fn an_empty_log_is_an_empty_shop_that_fills(place: Place) {
    let log = place.log().await;
    let role = ApiRole::start(&log, None).await;
    until("the view has read to the end", || role.catalog.state() == CatalogState::Empty).await;
    let mut page = Page::open(&role.fanout, "s", false);
    page.read_next().await;
    assert_eq!((page.frames, page.shown.len()), (1, 0));
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 10, 950, "Mug")]).await;
    within(async {
        while page.rows() != engine_rows(&engine) {
            page.read_next().await;
        }
    })
    .await;
    role.stop().await;
}

async fn foreign_and_malformed_records_do_no_harm(place: Place) {
    let log = place.log().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 10, 950, "Mug")]).await;
    let role = ApiRole::start(&log, None).await;
    until("the view is live", || role.catalog.state() == CatalogState::Live).await;
    let record = |topic, key: &str, value: &str| NewRecord {
        topic,
        partition: None,
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Headers::none(),
    };
    let unknown = r#"{"productId":"NOBODY","eventType":"INVENTORY_DECREASED","currentInventory":1,"life":0,"version":9}"#;
    let other_life = r#"{"productId":"A","eventType":"INVENTORY_DECREASED","currentInventory":1,"life":77,"version":9}"#;
    let nested = "[".repeat(5000);
    let rubbish = vec![
        record(Topic::InventoryEvents, "NOBODY", unknown),
        record(Topic::InventoryEvents, "A", other_life),
        record(Topic::InventoryEvents, "A", "{"),
        record(Topic::InventoryEvents, "A", &nested),
        record(Topic::Products, "A", r#"{"productId":"B"}"#),
        record(Topic::Products, "", ""),
        record(Topic::InventoryAlerts, "A", "null"),
        record(Topic::ShoppingCartEvents, "s", r#"{"eventType":7}"#),
        record(Topic::Products, "F", r#"{"productId":"F","name":"Foreign","price":1.5,"inventory":2}"#),
    ];
    engine.commit_records(rubbish).await;
    engine.commit(vec![deduct("A", 1, "o", None)]).await;
    until("the view took the good ones", || {
        role.catalog.entry("F").is_some() && role.catalog.listing("A").is_some_and(|listing| listing.stock.units() == 9)
    })
    .await;
    assert_eq!(role.catalog.entry("NOBODY"), None);
    let tallies = role.catalog.tallies();
    let count = |tally: &std::sync::atomic::AtomicU64| tally.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((count(&tallies.unknown), count(&tallies.other_life), count(&tallies.unreadable)), (1, 1, 4));
    until("the alert desk passed over it", || role.alerts.counts().unreadable == 1).await;
    assert_eq!(role.restarts("catalog-view") + role.restarts("fanout") + role.restarts("alert-desk"), 0);
    role.stop().await;
}

async fn alerts_are_open_as_long_as_the_stock_is_low(place: Place) {
    let log = place.log().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 20, 950, "Mug"), upsert("B", 3, 1000, "Pot")]).await;
    let role = ApiRole::start(&log, None).await;
    until("B is low", || role.alerts.open().len() == 1).await;
    engine.commit(vec![deduct("A", 20, "o", None), upsert("B", 3, 800, "Pot")]).await;
    until("A is sold out", || role.alerts.open().len() == 2).await;
    role.strike("alert-desk", Fault::Kill);
    engine.commit(vec![upsert("A", 30, 950, "Mug")]).await;
    until("A is back", || role.alerts.open().iter().all(|alert| alert.product_id == "B")).await;
    until("the price drop has its alert", || role.alerts.recent().len() == 3).await;
    let counts = role.alerts.counts();
    assert_eq!((counts.critical, counts.warning, counts.info), (2, 0, 1));
    role.stop().await;
}

/// Twenty pages, five of them slow and five that reconnect, a storm of ten thousand changes, and every actor killed repeatedly.
async fn all_pages_converge_after_a_storm_with_faults(place: Place) {
    const PRODUCTS: u32 = 40;
    const CHANGES: u32 = 10_000;
    let log = place.log().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit((0..PRODUCTS).map(|n| upsert(&format!("P{n}"), 1000, 1000, "first")).collect()).await;
    let role = Arc::new(ApiRole::start(&log, None).await);
    until("the view is live", || role.catalog.state() == CatalogState::Live).await;
    let (over, is_over) = tokio::sync::watch::channel(false);
    let pages: Vec<_> = (0..20).map(|place| tokio::spawn(browse(role.clone(), place, is_over.clone()))).collect();

    let faults = [Fault::Kill, Fault::Panic, Fault::Error, Fault::Hang];
    for step in 0..CHANGES / 10 {
        engine.commit((0..10).map(|n| change(step * 10 + n, PRODUCTS)).collect()).await;
        if step % 100 == 50 {
            let fault = faults[(step / 100) as usize % faults.len()];
            role.strike("catalog-view", fault);
            role.strike("fanout", fault);
        }
    }
    converges(&role, &engine).await;
    over.send(true).unwrap();
    let expected = Arc::new(engine_rows(&engine));
    for (place, page) in pages.into_iter().enumerate() {
        let mut page = within(page).await.unwrap();
        let reached = async {
            while in_stock(&page.rows()) != in_stock(&expected) {
                page.read_next().await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), reached).await.is_err() {
            panic!("page {place} does not converge: {:?}", differences(&page.rows(), &expected));
        }
    }
    assert!(role.restarts("catalog-view") >= 4 && role.restarts("fanout") >= 4, "the faults struck");
    println!("restarts: view {}, fan-out {}", role.restarts("catalog-view"), role.restarts("fanout"));
    role.stop().await;
}

/// A removed product is shown as sold out: neither is in stock.
fn in_stock(rows: &BTreeMap<String, (i64, String, String)>) -> BTreeMap<String, (i64, String, String)> {
    rows.iter().filter(|(_, row)| row.0 > 0).map(|(id, row)| (id.clone(), row.clone())).collect()
}

fn differences(
    shown: &BTreeMap<String, (i64, String, String)>,
    expected: &BTreeMap<String, (i64, String, String)>,
) -> Vec<String> {
    let (shown, expected) = (in_stock(shown), in_stock(expected));
    let ids: std::collections::BTreeSet<_> = shown.keys().chain(expected.keys()).collect();
    let differ = ids.into_iter().filter(|id| shown.get(*id) != expected.get(*id));
    differ.map(|id| format!("{id}: {:?} instead of {:?}", shown.get(id), expected.get(id))).collect()
}

fn change(step: u32, products: u32) -> (kartshoppe::domain::ids::ProductId, kartshoppe::domain::inventory::Command) {
    let id = format!("P{}", step.wrapping_mul(2_654_435_761) % products);
    match step % 23 {
        0 => remove(&id),
        1..5 => upsert(&id, i64::from(step % 90 + 10), i64::from(500 + step % 100), &format!("name {step}")),
        _ => deduct(&id, 1, &format!("o-{step}"), None),
    }
}

/// Reads until it is over: the first five pages seldom, the next five lose their connection again and again.
async fn browse(role: Arc<ApiRole>, place: u32, mut is_over: tokio::sync::watch::Receiver<bool>) -> Page {
    let mut page = Page::open(&role.fanout, &format!("s{place}"), true);
    let mut reads = 0_u32;
    loop {
        tokio::select! {
            _ = is_over.wait_for(|over| *over) => return page,
            () = page.read_next() => reads += 1,
        }
        if place < 5 {
            tokio::time::sleep(Duration::from_millis(150)).await;
        } else if place < 10 && reads % 7 == place % 7 {
            page.reconnect(&role.fanout);
        }
    }
}

async fn a_cursor_is_good_in_every_process(place: Place) {
    let log = place.log().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit((0..30).map(|n| upsert(&format!("P{n}"), 10, 950, "Mug")).collect()).await;
    let (here, there) = (ApiRole::start(&log, None).await, ApiRole::start(&log, None).await);
    for role in [&here, &there] {
        until("the view is live", || role.catalog.state() == CatalogState::Live).await;
    }
    let mut page = Page::open(&here.fanout, "s", true);
    within(async {
        while page.cursor.is_none() || page.shown.len() < 30 {
            page.read_next().await;
        }
    })
    .await;
    engine.commit(vec![deduct("P7", 1, "o", None), remove("P8")]).await;
    converges(&there, &engine).await;
    let frames = page.frames;
    page.reconnect(&there.fanout);
    within(async {
        while in_stock(&page.rows()) != engine_rows(&engine) {
            page.read_next().await;
        }
    })
    .await;
    assert!(page.frames - frames < 10, "it got what it missed, not everything");
    here.stop().await;
    there.stop().await;
}

/// Three steps of one batch: each has an event, and `products` only the tombstone. Which a view reads first is random.
async fn a_product_leaves_with_the_same_version_in_every_process(place: Place) {
    let log = place.log().await;
    let mut engine = TinyEngine::open(&*log).await;
    engine.commit(vec![upsert("A", 10, 950, "Mug"), upsert("B", 4, 1000, "Pot")]).await;
    let (here, there) = (ApiRole::start(&log, None).await, ApiRole::start(&log, None).await);
    let mut pages = [Page::open(&here.fanout, "one", true), Page::open(&there.fanout, "two", true)];
    for page in &mut pages {
        within(async {
            while page.cursor.is_none() || page.shown.len() < 2 {
                page.read_next().await;
            }
        })
        .await;
    }
    engine.commit(vec![deduct("A", 1, "o-1", None), deduct("A", 2, "o-2", None), remove("A")]).await;
    for page in &mut pages {
        within(async {
            while page.shown["A"]["inventory"] != 0 {
                page.read_next().await;
            }
        })
        .await;
        assert_eq!((&page.shown["A"]["version"], &page.shown["B"]["version"]), (&4.into(), &1.into()));
    }
    here.stop().await;
    there.stop().await;
}
