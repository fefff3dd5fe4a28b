//! The data of a clean run, and edits that falsify it: the files are altered underneath, as a bug or a bad disk would.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kartshoppe::actors::inventory::INVENTORY_GROUP;
use kartshoppe::check::{self, Findings, Subject, Thresholds};
use kartshoppe::log::embedded::EmbeddedLog;
use kartshoppe::log::{EventLog, Record, Topic};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::log::{read_all, within};
use super::postgres::{TestDatabase, database};
use super::server::{Options, Server};
use super::shopper::Shopper;

const PARTITIONS: i32 = 4;
/// The stock of PROD_0001 after its sales.
const SOLD_DOWN_TO: i64 = 14;
const THRESHOLDS: Thresholds = Thresholds { critical_max: 5, warning_max: 9 };

/// The data of a run.
pub struct Ruin {
    server: Server,
    pub database: TestDatabase,
    pub read_model: Vec<Value>,
}

/// Orders that are confirmed, short and refused; updates that change, change nothing and are broken; products that go stale.
pub async fn clean_run() -> Ruin {
    let database = database().await;
    let options = Options { arguments: vec!["--roles".to_owned(), "api,inventory".to_owned()], ..Options::default() }
        .set("KARTSHOPPE__POSTGRES__DATABASE_URL", &database.url)
        .set("KARTSHOPPE__INVENTORY__STALE_AFTER", "3s");
    let mut server = Server::start_filled(options).await;
    // Products that are sold must go stale after all the others, and not in one batch with them, even on a busy machine.
    tokio::time::sleep(Duration::from_secs(1)).await;
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
        ("product-updates", "PROD_0010", Value::Null),
        ("order-events", "NOPE", json!({"orderId": "stranger", "productId": "NOPE", "quantity": 1, "timestamp": 1})),
    ] {
        let (status, answer) =
            server.operate(&format!("/admin/topics/{topic}/records"), &json!({"key": key, "value": value})).await;
        assert_eq!(status, 200, "{answer}");
    }
    until_event(&server, |event| event["productId"] == "PROD_0005" && event["eventType"] == "PRICE_CHANGED").await;
    let is_stale = |event: &Value, product: &str| event["productId"] == product && event["eventType"] == "STALE_INVENTORY";
    until_event(&server, |event| is_stale(event, "PROD_0150")).await;
    // On a slow machine it also went stale before it was sold.
    until_event(&server, |event| is_stale(event, "PROD_0001") && event["currentInventory"] == SOLD_DOWN_TO).await;
    let state = server.get("/api/ecommerce/inventory/state").await;
    let read_model = state["products"].as_array().unwrap().clone();
    assert_eq!(server.terminate(), Some(0), "{}", server.log_tail());
    database.store.close().await;
    Ruin { server, database, read_model }
}

/// Waits until the log contains this.
async fn until_event(server: &Server, wanted: impl Fn(&Value) -> bool) {
    let log = EmbeddedLog::open_read_only(&kartshoppe::app::event_log_folder(server.data())).await.unwrap();
    within(async {
        let told = |record: &Record| wanted(&serde_json::from_slice(record.value.as_ref().unwrap()).unwrap());
        while !read_all(&log, Topic::InventoryEvents).await.iter().any(told) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

impl Ruin {
    pub fn log_file(&self) -> PathBuf {
        kartshoppe::app::event_log_folder(self.server.data()).join("kartshoppe.log.sqlite")
    }

    /// Judges the log in this folder with that database.
    pub async fn judge(&self, folder: &Path, pool: Option<&PgPool>, read_model: Option<Vec<Value>>) -> Findings {
        let log = EmbeddedLog::open_read_only(folder).await.unwrap();
        self.judge_log(&log, pool, read_model, check::PATIENCE).await
    }

    /// Judges this log with that database; a partition without progress for this long is left out.
    pub async fn judge_log(
        &self,
        log: &dyn EventLog,
        pool: Option<&PgPool>,
        read_model: Option<Vec<Value>>,
        patience: Duration,
    ) -> Findings {
        let subject = Subject { log, group: INVENTORY_GROUP, thresholds: THRESHOLDS, pool, read_model, patience };
        check::run(&subject).await.unwrap()
    }
}

/// A log's file, to be altered.
pub struct Tampered(Connection);

/// The location of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub table: String,
    pub offset: i64,
}

impl Tampered {
    /// A copy of the log in its own folder.
    pub fn copy_of(ruin: &Ruin) -> (tempfile::TempDir, Self) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kartshoppe.log.sqlite");
        std::fs::copy(ruin.log_file(), &file).unwrap();
        let connection = Connection::open(&file).unwrap();
        (folder, Self(connection))
    }

    /// The records of a topic whose value is like this, each partition in its order.
    pub fn all(&self, topic: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Place> {
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
    pub fn find(&self, topic: &str, wanted: impl Fn(&Value) -> bool) -> Place {
        self.all(topic, wanted).swap_remove(0)
    }

    /// The value as it stands; empty for a tombstone.
    pub fn text(&self, place: &Place) -> Vec<u8> {
        let sql = format!("SELECT value FROM \"{}\" WHERE \"offset\" = ?", place.table);
        self.0.query_row(&sql, [place.offset], |row| row.get::<_, Option<Vec<u8>>>(0)).unwrap().unwrap_or_default()
    }

    /// The value, if it is JSON.
    pub fn json(&self, place: &Place) -> Option<Value> {
        serde_json::from_slice(&self.text(place)).ok()
    }

    pub fn value(&self, place: &Place) -> Value {
        self.json(place).unwrap()
    }

    /// Whether the record is the last one of its key.
    pub fn is_last_state(&self, place: &Place) -> bool {
        let sql = format!(
            "SELECT max(\"offset\") = ?1 FROM \"{0}\" WHERE key = (SELECT key FROM \"{0}\" WHERE \"offset\" = ?1)",
            place.table
        );
        self.0.query_row(&sql, [place.offset], |row| row.get(0)).unwrap()
    }

    /// Whether all states of the record's product are the same, but for their headers.
    pub fn never_changed(&self, place: &Place) -> bool {
        let sql = format!(
            "SELECT count(*) > 1 AND count(DISTINCT value) = 1 FROM \"{0}\"
                WHERE key = (SELECT key FROM \"{0}\" WHERE \"offset\" = ?1)",
            place.table
        );
        self.0.query_row(&sql, [place.offset], |row| row.get(0)).unwrap()
    }

    /// Whether an update says what the product was already.
    pub fn changed_nothing(&self, place: &Place) -> bool {
        let update = self.value(place);
        let product = update["productId"].as_str().unwrap_or_default().to_owned();
        let states = self.all("products", |state| state["productId"] == *product);
        let first = self.value(&states[0]);
        ["inventory", "price", "name", "description"].iter().all(|field| first[*field] == update[*field])
    }

    pub fn write(&self, place: &Place, value: &[u8]) {
        let sql = format!("UPDATE \"{}\" SET value = ? WHERE \"offset\" = ?", place.table);
        assert_eq!(self.0.execute(&sql, params![value, place.offset]).unwrap(), 1);
    }

    pub fn edit(&self, place: &Place, field: &str, value: Value) {
        let mut record = self.value(place);
        assert_ne!(record[field], value, "nothing would change");
        record[field] = value;
        self.write(place, record.to_string().as_bytes());
    }

    pub fn drop(&self, place: &Place) {
        assert_eq!(self.0.execute(&format!("DELETE FROM \"{}\" WHERE \"offset\" = ?", place.table), [place.offset]).unwrap(), 1);
    }

    /// Writes the record once more, at the end.
    pub fn repeat(&self, place: &Place) {
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

    pub fn swap(&self, one: &Place, other: &Place) {
        let (first, second) = (self.text(one), self.text(other));
        assert_eq!(one.table, other.table);
        self.write(one, &second);
        self.write(other, &first);
    }

    pub fn forget_headers(&self, place: &Place) {
        let sql = format!("UPDATE \"{}\" SET headers = x'' WHERE \"offset\" = ?", place.table);
        assert_eq!(self.0.execute(&sql, [place.offset]).unwrap(), 1);
    }

    /// Writes another text of the same length into the headers.
    pub fn edit_headers(&self, place: &Place, from: &str, to: &str) {
        let sql = format!("SELECT headers FROM \"{}\" WHERE \"offset\" = ?", place.table);
        let mut headers: Vec<u8> = self.0.query_row(&sql, [place.offset], |row| row.get(0)).unwrap();
        let start = headers.windows(from.len()).position(|text| text == from.as_bytes()).unwrap();
        headers[start..start + from.len()].copy_from_slice(to.as_bytes());
        let sql = format!("UPDATE \"{}\" SET headers = ? WHERE \"offset\" = ?", place.table);
        assert_eq!(self.0.execute(&sql, params![headers, place.offset]).unwrap(), 1);
    }

    /// An outcome of an order, by its product and what is left.
    pub fn sale(&self, product: &str, left: i64) -> Place {
        self.find("inventory-events", |event| {
            event["productId"] == product && event["currentInventory"] == left && event["orderId"].is_string()
        })
    }

    pub fn event(&self, product: &str, kind: &str) -> Place {
        self.find("inventory-events", |event| event["productId"] == product && event["eventType"] == kind)
    }

    pub fn alert(&self, product: &str) -> Place {
        self.find("inventory-alerts", |alert| alert["productId"] == product)
    }

    /// The states of a product, the last one last.
    pub fn states(&self, product: &str) -> Vec<Place> {
        self.all("products", |record| record["productId"] == product)
    }

    pub fn state(&self, product: &str) -> Place {
        self.states(product).pop().unwrap()
    }
}
