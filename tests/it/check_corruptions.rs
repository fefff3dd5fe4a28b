//! The checker is judged by what it finds: a clean run holds, and each falsification of its data is named by the check that is
//! meant to find it.

use kartshoppe::check::{Check, Findings};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection, PgPool};

use crate::support::postgres::{TestDatabase, empty_database};
use crate::support::ruin::{Tampered, clean_run};

type Corruption = (&'static str, Check, fn(&Tampered));

/// Ways to falsify the log. `PROD_0001` was sold from 17 to 15 and 14, `PROD_0084` from 5 to 0 of 9 wanted.
const OF_THE_LOG: &[Corruption] = &[
    ("an outcome is lost", Check::InputAccounted, |log| log.drop(&log.sale("PROD_0001", 15))),
    ("the last outcome is lost", Check::InputAccounted, |log| log.drop(&log.sale("PROD_0001", 14))),
    ("an outcome is doubled", Check::OneOutcome, |log| log.repeat(&log.sale("PROD_0001", 14))),
    ("an outcome of nothing", Check::InputAccounted, |log| {
        let outcome = log.value(&log.sale("PROD_0001", 15));
        log.drop(&log.find("order-events", |event| event["orderItemId"] == outcome["orderItemId"]));
    }),
    ("an outcome of nothing that stood in between", Check::InputAccounted, |log| {
        let outcome = log.value(&log.sale("PROD_0003", 25));
        log.drop(&log.find("order-events", |event| event["orderItemId"] == outcome["orderItemId"]));
    }),
    ("two outcomes changed places", Check::StockChain, |log| log.swap(&log.sale("PROD_0001", 15), &log.sale("PROD_0001", 14))),
    ("a stock is negative", Check::StockNeverNegative, |log| {
        log.edit(&log.sale("PROD_0084", 0), "currentInventory", json!(-4));
    }),
    ("a version is left out", Check::VersionChain, |log| {
        let sale = log.sale("PROD_0001", 15);
        log.edit(&sale, "version", json!(log.value(&sale)["version"].as_u64().unwrap() + 1));
    }),
    ("a life begins by itself", Check::VersionChain, |log| log.edit(&log.sale("PROD_0001", 15), "life", json!(99))),
    ("more was given than asked", Check::OrderArithmetic, |log| log.edit(&log.sale("PROD_0001", 15), "allocated", json!(3))),
    ("a shortfall is missing", Check::OrderArithmetic, |log| log.edit(&log.sale("PROD_0084", 0), "shortfall", json!(0))),
    ("an outcome is another order's", Check::OrderMatchesInput, |log| {
        log.edit(&log.sale("PROD_0001", 15), "orderId", json!("somebody-elses"));
    }),
    ("an outcome is of another quantity", Check::OrderMatchesInput, |log| {
        log.edit(&log.sale("PROD_0001", 15), "quantity", json!(8));
    }),
    ("an alert is missing", Check::AlertsRecomputed, |log| log.drop(&log.alert("PROD_0084"))),
    ("an alert is doubled", Check::AlertsRecomputed, |log| log.repeat(&log.alert("PROD_0084"))),
    ("an alert is of the wrong severity", Check::AlertsRecomputed, |log| {
        log.edit(&log.alert("PROD_0005"), "severity", json!("CRITICAL"));
    }),
    ("an event has the wrong level", Check::AlertsRecomputed, |log| {
        log.edit(&log.sale("PROD_0084", 0), "alertLevel", json!("WARNING"));
    }),
    ("a state has another stock", Check::ProductsHoldTheLast, |log| log.edit(&log.state("PROD_0001"), "inventory", json!(17))),
    ("a state is older than its events", Check::ProductsHoldTheLast, |log| {
        let newest = log.value(&log.state("PROD_0001"))["inventory"].clone();
        let states = log.states("PROD_0001").into_iter().filter(|state| log.value(state)["inventory"] == newest);
        states.for_each(|state| log.drop(&state));
    }),
    ("a state has another price", Check::ProductsHoldTheLast, |log| log.edit(&log.state("PROD_0005"), "price", json!(9.99))),
    ("a state is missing", Check::ProductsHoldTheLast, |log| log.states("PROD_0001").iter().for_each(|state| log.drop(state))),
    ("a product left with another version", Check::ProductsHoldTheLast, |log| {
        log.edit_headers(&log.find("products", Value::is_null), "0;2", "0;4");
    }),
    ("a price comes from nowhere", Check::PriceChain, |log| {
        log.edit(&log.event("PROD_0005", "PRICE_CHANGED"), "previousPrice", json!(0.5));
    }),
    ("an update has no event", Check::InputAccounted, |log| {
        let later = |event: &Value| event["productId"] == "PROD_0006" && event["eventType"] != "PRODUCT_ADDED";
        log.all("inventory-events", later).iter().for_each(|event| log.drop(event));
    }),
    ("an event of no update", Check::InputAccounted, |log| {
        log.drop(&log.find("product-updates", |update| update["productId"] == "PROD_0006"));
    }),
    ("an event has another stock than its update", Check::OrderMatchesInput, |log| {
        log.edit(&log.find("product-updates", |update| update["productId"] == "PROD_0006"), "inventory", json!(778));
    }),
    ("a state is another product's", Check::ProductsHoldTheLast, |log| {
        log.edit(&log.state("PROD_0005"), "productId", json!("PROD_0004"));
    }),
    ("a dead letter is missing", Check::InputAccounted, |log| log.drop(&log.find("dead-letters", |_| true))),
    ("no event says that a product went stale", Check::ProductsHoldTheLast, |log| {
        log.drop(&log.event("PROD_0150", "STALE_INVENTORY"));
    }),
    ("a product goes stale twice", Check::StaleOnce, |log| log.repeat(&log.event("PROD_0150", "STALE_INVENTORY"))),
    ("a deadline is passed over", Check::StaleInTurn, |log| {
        // On a slow machine it also went stale before it was sold.
        let stale = log.all("inventory-events", |event| event["eventType"] == "STALE_INVENTORY");
        let later = stale.iter().rfind(|place| log.value(place)["productId"] == "PROD_0001").unwrap();
        let earlier = stale.iter().find(|place| place.table == later.table && place.offset < later.offset).unwrap();
        let product = log.value(earlier)["productId"].as_str().unwrap().to_owned();
        log.drop(&log.state(&product));
        log.drop(earlier);
    }),
    ("an output names no cause", Check::CauseNamed, |log| log.forget_headers(&log.sale("PROD_0001", 15))),
    ("an event is cut off", Check::Readable, |log| log.write(&log.sale("PROD_0001", 15), b"{\"productId\":")),
];

/// Ways to falsify the tables.
const OF_THE_TABLES: &[(&str, Check, &str)] = &[
    (
        "a row has more than it got",
        Check::DatabaseOutcome,
        "UPDATE order_items SET allocated = allocated + 1, shortfall = shortfall - 1 WHERE shortfall > 0",
    ),
    (
        "an outcome was never written",
        Check::DatabaseOutcome,
        "UPDATE order_items SET allocated = NULL, shortfall = NULL, outcome = NULL, outcome_event_id = NULL, outcome_reason = NULL,
         settled_at = NULL WHERE product_id = 'PROD_0084'",
    ),
    (
        "an outcome was written by another event",
        Check::DatabaseOutcome,
        "UPDATE order_items SET outcome_event_id = 'another' WHERE product_id = 'PROD_0084'",
    ),
    ("a short order is confirmed", Check::DatabaseSettled, "UPDATE orders SET status = 'CONFIRMED' WHERE status = 'BACKORDERED'"),
    ("an item has no row", Check::NoPhantomItem, "DELETE FROM order_items WHERE product_id = 'PROD_0084'"),
    ("a row wants another quantity", Check::NoPhantomItem, "UPDATE order_items SET quantity = 8 WHERE product_id = 'PROD_0084'"),
    (
        "two keys made one order",
        Check::OneOrderPerKey,
        "UPDATE idempotency_keys SET order_id = (SELECT min(order_id) FROM idempotency_keys)",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_falsification_is_named_by_its_check() {
    let ruin = clean_run().await;
    let admin = empty_database(kartshoppe::store::StoreOptions::default()).await;
    let pool = PgPool::connect(&ruin.database.url).await.unwrap();
    let folder = ruin.log_file().parent().unwrap().to_owned();
    let clean = ruin.judge(&folder, Some(&pool), Some(ruin.read_model.clone())).await;
    assert!(clean.holds() && clean.is_whole(), "a clean run holds:\n{clean}");
    sqlx::query("UPDATE orders SET status = 'SHIPPED' WHERE status = 'CONFIRMED'").execute(&pool).await.unwrap();
    let shipped = ruin.judge(&folder, Some(&pool), Some(ruin.read_model.clone())).await;
    assert!(
        shipped.holds() && shipped.figures["orders with a status of others"] > 0,
        "what others do with an order later:\n{shipped}"
    );
    sqlx::query("UPDATE orders SET status = 'PENDING' WHERE status = 'SHIPPED'").execute(&pool).await.unwrap();
    let pending = ruin.judge(&folder, Some(&pool), Some(ruin.read_model.clone())).await;
    assert!(!pending.holds() && !pending.to_string().contains("Some("), "{pending}");
    sqlx::query("UPDATE orders SET status = 'CONFIRMED' WHERE status = 'PENDING'").execute(&pool).await.unwrap();
    let alone = ruin.judge(&folder, None, None).await;
    assert!(alone.holds() && !alone.is_whole(), "what cannot be compared is no proof:\n{alone}");
    let said = alone.to_string();
    assert!(said.ends_with("what was checked adds up, but some of it could not be checked\n"), "{said}");
    assert_eq!(said.matches("  ?  ").count(), 5, "{said}");
    for figure in ["events", "order-events taken", "updates unchanged", "items in PostgreSQL"] {
        assert!(clean.figures.get(figure).is_some_and(|count| *count > 0), "{figure} was judged:\n{clean}");
    }

    let mut missed = Vec::new();
    let mut judge = |name: &str, check: Check, report: Findings| {
        let named = report.breaches.iter().find(|breach| breach.check == check);
        match named {
            Some(breach) => assert!(breach.expected != breach.found && !breach.position.is_empty(), "{name}: {breach}"),
            None => missed.push(format!("{name}: expected {check:?}, got\n{report}")),
        }
    };
    for (name, check, tamper) in OF_THE_LOG {
        let (copy, log) = Tampered::copy_of(&ruin);
        tamper(&log);
        drop(log);
        judge(name, *check, ruin.judge(copy.path(), Some(&pool), Some(ruin.read_model.clone())).await);
    }
    let mut shown = ruin.read_model.clone();
    shown[0]["inventory"] = json!(123_456);
    judge("a page is shown another stock", Check::ReadModel, ruin.judge(&folder, Some(&pool), Some(shown)).await);
    let mut shown = ruin.read_model.clone();
    shown.remove(0);
    judge("a page lacks a product", Check::ReadModel, ruin.judge(&folder, Some(&pool), Some(shown)).await);

    pool.close().await;
    for (number, (name, check, sql)) in OF_THE_TABLES.iter().enumerate() {
        let url = altered_copy(&ruin.database, &admin, number, sql).await;
        let pool = PgPool::connect(&url).await.unwrap();
        judge(name, *check, ruin.judge(&folder, Some(&pool), Some(ruin.read_model.clone())).await);
        pool.close().await;
    }
    assert!(missed.is_empty(), "{} were not named:\n{}", missed.len(), missed.join("\n"));
}

/// A copy of the database with this change.
async fn altered_copy(database: &TestDatabase, admin: &TestDatabase, number: usize, sql: &str) -> String {
    let name = |url: &str| url.rsplit_once('/').unwrap().1.split('?').next().unwrap().to_owned();
    let (original, copy) = (name(&database.url), format!("{}_altered_{number}", name(&database.url)));
    let mut connection = PgConnection::connect(&admin.admin_url).await.unwrap();
    connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {copy} TEMPLATE {original}")))).await.unwrap();
    let url = database.admin_url.replace(&format!("/{original}?"), &format!("/{copy}?"));
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let altered = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
    assert!(altered.rows_affected() > 0, "{sql}");
    url
}
