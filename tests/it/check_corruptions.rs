//! The checker is worth what it finds: a clean run holds, and each way to falsify what the run left behind is named by the check
//! that is there for it. The files and tables are altered underneath, as a bug or a bad disk would.

use std::path::{Path, PathBuf};

use kartshoppe::check::{self, Check, Report, Subject, Thresholds};
use kartshoppe::log::embedded::EmbeddedLog;
use kartshoppe::log::{Record, Topic};
use kartshoppe::sources::inventory::INVENTORY_GROUP;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection, PgPool};

use crate::support::log::{read_all, within};
use crate::support::postgres::{TestDatabase, database, empty_database};
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

const PARTITIONS: i32 = 4;
const THRESHOLDS: Thresholds = Thresholds { critical_max: 5, warning_max: 9 };

/// What a run left behind.
struct Ruin {
    server: Server,
    database: TestDatabase,
    read_model: Vec<Value>,
}

/// Orders that are confirmed, short and refused; updates that change, change nothing and are broken; products that go stale.
async fn clean_run() -> Ruin {
    let database = database().await;
    let options = Options { arguments: vec!["--roles".to_owned(), "api,inventory".to_owned()], ..Options::default() }
        .set("KARTSHOPPE__POSTGRES__DATABASE_URL", &database.url)
        .set("KARTSHOPPE__INVENTORY__STALE_AFTER", "3s");
    let mut server = Server::start_filled(options).await;
    for (name, product, units) in [("one", "PROD_0001", 2), ("two", "PROD_0001", 1), ("three", "PROD_0084", 9)] {
        let shopper = Shopper::new(name);
        shopper.add(&server, product, units).await;
        shopper.add(&server, "PROD_0003", 1).await;
        let request = server.http.post(server.url("/api/ecommerce/checkout")).header("idempotency-key", name);
        let order: Value = request.json(&shopper.checkout_body(false)).send().await.unwrap().json().await.unwrap();
        shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
    }
    let whole = async |product: &str, field: &str, value: Value| {
        let mut product = server.get(&format!("/api/ecommerce/product/{product}")).await;
        product[field] = value;
        product
    };
    let unchanged = server.get("/api/ecommerce/product/PROD_0007").await["inventory"].clone();
    for (topic, key, value) in [
        ("product-updates", "PROD_0005", whole("PROD_0005", "price", json!(1.5)).await),
        ("product-updates", "PROD_0006", whole("PROD_0006", "inventory", json!(777)).await),
        ("product-updates", "PROD_0007", whole("PROD_0007", "inventory", unchanged).await),
        ("product-updates", "PROD_0008", whole("PROD_0008", "name", json!("Renamed")).await),
        ("product-updates", "PROD_0009", json!({"productId": "PROD_0009"})),
        ("order-events", "NOPE", json!({"orderId": "stranger", "productId": "NOPE", "quantity": 1, "timestamp": 1})),
    ] {
        let (status, answer) =
            server.operate(&format!("/admin/topics/{topic}/records"), &json!({"key": key, "value": value})).await;
        assert_eq!(status, 200, "{answer}");
    }
    for (product, kind) in [("PROD_0005", "PRICE_CHANGED"), ("PROD_0150", "STALE_INVENTORY"), ("PROD_0001", "STALE_INVENTORY")] {
        until_event(&server, product, kind).await;
    }
    let state = server.get("/api/ecommerce/inventory/state").await;
    let read_model = state["products"].as_array().unwrap().clone();
    assert_eq!(server.terminate(), Some(0), "{}", server.log_tail());
    database.store.close().await;
    Ruin { server, database, read_model }
}

/// Waits until the log tells of this.
async fn until_event(server: &Server, product: &str, kind: &str) {
    let log = EmbeddedLog::open_read_only(&kartshoppe::app::event_log_folder(server.data())).await.unwrap();
    within(async {
        let told = |record: &Record| {
            let event: Value = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
            event["productId"] == product && event["eventType"] == kind
        };
        while !read_all(&log, Topic::InventoryEvents).await.iter().any(told) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}

impl Ruin {
    fn log_file(&self) -> PathBuf {
        kartshoppe::app::event_log_folder(self.server.data()).join("kartshoppe.log.sqlite")
    }

    /// Judges the log in this folder with that database.
    async fn judge(&self, folder: &Path, pool: &PgPool, read_model: Vec<Value>) -> Report {
        let log = EmbeddedLog::open_read_only(folder).await.unwrap();
        let read_model = Some(read_model);
        let subject = Subject { log: &log, group: INVENTORY_GROUP, thresholds: THRESHOLDS, pool: Some(pool), read_model };
        check::run(&subject).await.unwrap()
    }
}

/// A log's file, to be altered.
struct Tampered(Connection);

/// Where a record is.
#[derive(Clone)]
struct Place {
    table: String,
    offset: i64,
}

impl Tampered {
    /// The records of a topic whose value is like this, each partition in its order.
    fn all(&self, topic: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Place> {
        let mut found = Vec::new();
        for partition in 0..PARTITIONS {
            let table = format!("{topic}/{partition}");
            let mut select = self.0.prepare(&format!("SELECT \"offset\", value FROM \"{table}\" ORDER BY 1")).unwrap();
            let rows = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))).unwrap();
            for (offset, value) in rows.map(Result::unwrap) {
                let value = value.and_then(|value| serde_json::from_slice(&value).ok()).unwrap_or(Value::Null);
                if wanted(&value) {
                    found.push(Place { table: table.clone(), offset });
                }
            }
        }
        assert!(!found.is_empty(), "no such record on {topic}");
        found
    }

    /// The first of them.
    fn find(&self, topic: &str, wanted: impl Fn(&Value) -> bool) -> Place {
        self.all(topic, wanted).swap_remove(0)
    }

    fn value(&self, place: &Place) -> Value {
        let sql = format!("SELECT value FROM \"{}\" WHERE \"offset\" = ?", place.table);
        let value: Vec<u8> = self.0.query_row(&sql, [place.offset], |row| row.get(0)).unwrap();
        serde_json::from_slice(&value).unwrap()
    }

    fn write(&self, place: &Place, value: &[u8]) {
        let sql = format!("UPDATE \"{}\" SET value = ? WHERE \"offset\" = ?", place.table);
        assert_eq!(self.0.execute(&sql, params![value, place.offset]).unwrap(), 1);
    }

    fn edit(&self, place: &Place, field: &str, value: Value) {
        let mut record = self.value(place);
        assert_ne!(record[field], value, "nothing would change");
        record[field] = value;
        self.write(place, record.to_string().as_bytes());
    }

    fn drop(&self, place: &Place) {
        assert_eq!(self.0.execute(&format!("DELETE FROM \"{}\" WHERE \"offset\" = ?", place.table), [place.offset]).unwrap(), 1);
    }

    /// Writes the record once more, at the end.
    fn repeat(&self, place: &Place) {
        let (topic, partition) = place.table.rsplit_once('/').unwrap();
        let next = "SELECT next FROM partitions WHERE topic = ? AND partition = ?";
        let next: i64 = self.0.query_row(next, params![topic, partition], |row| row.get(0)).unwrap();
        let copy = format!(
            "INSERT INTO \"{0}\" SELECT ?, time_ms, peak_ms, key, headers, value FROM \"{0}\" WHERE \"offset\" = ?",
            place.table
        );
        assert_eq!(self.0.execute(&copy, [next, place.offset]).unwrap(), 1);
        let moved = "UPDATE partitions SET next = next + 1 WHERE topic = ? AND partition = ?";
        assert_eq!(self.0.execute(moved, params![topic, partition]).unwrap(), 1);
    }

    fn swap(&self, one: &Place, other: &Place) {
        let (first, second) = (self.value(one), self.value(other));
        assert_eq!(one.table, other.table);
        self.write(one, second.to_string().as_bytes());
        self.write(other, first.to_string().as_bytes());
    }

    fn forget_headers(&self, place: &Place) {
        let sql = format!("UPDATE \"{}\" SET headers = x'' WHERE \"offset\" = ?", place.table);
        assert_eq!(self.0.execute(&sql, [place.offset]).unwrap(), 1);
    }

    /// An outcome of an order, by its product and what is left.
    fn sale(&self, product: &str, left: i64) -> Place {
        self.find("inventory-events", |event| {
            event["productId"] == product && event["currentInventory"] == left && event["orderId"].is_string()
        })
    }

    fn event(&self, product: &str, kind: &str) -> Place {
        self.find("inventory-events", |event| event["productId"] == product && event["eventType"] == kind)
    }

    fn alert(&self, product: &str) -> Place {
        self.find("inventory-alerts", |alert| alert["productId"] == product)
    }

    /// The states of a product, the last one last.
    fn states(&self, product: &str) -> Vec<Place> {
        self.all("products", |record| record["productId"] == product)
    }

    fn state(&self, product: &str) -> Place {
        self.states(product).pop().unwrap()
    }
}

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
    ("a shortfall is not told", Check::OrderArithmetic, |log| log.edit(&log.sale("PROD_0084", 0), "shortfall", json!(0))),
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
    ("an event tells the wrong level", Check::AlertsRecomputed, |log| {
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
    ("an event tells another stock than its update", Check::OrderMatchesInput, |log| {
        log.edit(&log.find("product-updates", |update| update["productId"] == "PROD_0006"), "inventory", json!(778));
    }),
    ("a state is another product's", Check::ProductsHoldTheLast, |log| {
        log.edit(&log.state("PROD_0005"), "productId", json!("PROD_0004"));
    }),
    ("a dead letter is missing", Check::InputAccounted, |log| log.drop(&log.find("dead-letters", |_| true))),
    ("nobody was told that a product went stale", Check::ProductsHoldTheLast, |log| {
        log.drop(&log.event("PROD_0150", "STALE_INVENTORY"));
    }),
    ("a product goes stale twice", Check::StaleOnce, |log| log.repeat(&log.event("PROD_0150", "STALE_INVENTORY"))),
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
    let clean = ruin.judge(&folder, &pool, ruin.read_model.clone()).await;
    assert!(clean.holds(), "a clean run holds:\n{clean}");
    for figure in ["events", "order-events taken", "updates unchanged", "items in PostgreSQL"] {
        assert!(clean.figures.get(figure).is_some_and(|count| *count > 0), "{figure} was judged:\n{clean}");
    }

    let mut missed = Vec::new();
    let mut judge = |name: &str, check: Check, report: Report| {
        let named = report.breaches.iter().find(|breach| breach.check == check);
        match named {
            Some(breach) => assert!(breach.expected != breach.found && !breach.position.is_empty(), "{name}: {breach}"),
            None => missed.push(format!("{name}: expected {check:?}, got\n{report}")),
        }
    };
    for (name, check, tamper) in OF_THE_LOG {
        let copy = tempfile::tempdir().unwrap();
        let file = copy.path().join("kartshoppe.log.sqlite");
        std::fs::copy(ruin.log_file(), &file).unwrap();
        tamper(&Tampered(Connection::open(&file).unwrap()));
        judge(name, *check, ruin.judge(copy.path(), &pool, ruin.read_model.clone()).await);
    }
    let mut shown = ruin.read_model.clone();
    shown[0]["inventory"] = json!(123_456);
    judge("a page is shown another stock", Check::ReadModel, ruin.judge(&folder, &pool, shown).await);
    let mut shown = ruin.read_model.clone();
    shown.remove(0);
    judge("a page lacks a product", Check::ReadModel, ruin.judge(&folder, &pool, shown).await);

    pool.close().await;
    for (number, (name, check, sql)) in OF_THE_TABLES.iter().enumerate() {
        let url = altered_copy(&ruin.database, &admin, number, sql).await;
        let pool = PgPool::connect(&url).await.unwrap();
        judge(name, *check, ruin.judge(&folder, &pool, ruin.read_model.clone()).await);
        pool.close().await;
    }
    assert!(missed.is_empty(), "{} were not named:\n{}", missed.len(), missed.join("\n"));
}

/// A copy of the database in which this was done.
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
