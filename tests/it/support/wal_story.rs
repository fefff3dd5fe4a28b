//! The real shop with faults enabled and injected from outside, and the verdict on its data.

use std::collections::BTreeMap;
use std::time::Duration;

use kartshoppe::actors::inventory::INVENTORY_GROUP;
use kartshoppe::check;
use kartshoppe::log::Topic;
use kartshoppe::store::private_server::{self, Status};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use super::log::read_all;
use super::place::Place;
use super::server::{Options, Server};
use super::shopper::Shopper;
use super::wal::value;

/// Rescue and recovery take tens of seconds at most.
const PATIENCE: Duration = Duration::from_secs(120);

/// A shop with faults enabled.
pub struct BreakableShop {
    pub server: Server,
    pub pool: PgPool,
    place: Place,
    buyers: usize,
}

/// Faults are enabled, a hang lasts until the process is killed, and rescue has short time limits.
fn options(place: &Place, roles: &str) -> Options {
    let options = place
        .options()
        .set("KARTSHOPPE__FAULTS__ENABLED", "true")
        .set("KARTSHOPPE__SUPERVISION__HANG_AFTER", "10m")
        .set("KARTSHOPPE__ORDERS__PUBLISH_TIMEOUT", "2s")
        .set("KARTSHOPPE__ORDERS__DIRECT_EXPIRY", "3s")
        .set("KARTSHOPPE__ORDERS__PROBE_INTERVAL", "1s");
    Options { arguments: vec!["--roles".to_owned(), roles.to_owned()], ..options }
}

impl BreakableShop {
    /// Opens the shop with its 200 products.
    pub async fn open(place: Place, roles: &str) -> Self {
        let server = Server::start_filled(options(&place, roles)).await;
        let pool = PgPool::connect(&server.database_url()).await.unwrap();
        Self { server, pool, place, buyers: 0 }
    }

    /// Buys one unit of a product in its own order; returns the order's id.
    pub async fn buy(&mut self, product: &str, use_cdc: bool) -> String {
        let shopper = self.next_shopper();
        shopper.add(&self.server, product, 1).await;
        let (status, order) = shopper.checkout(&self.server, use_cdc).await;
        assert_eq!(status, 200, "{order}");
        order["orderId"].as_str().unwrap().to_owned()
    }

    /// A shopper with its own session.
    pub fn next_shopper(&mut self) -> Shopper {
        self.buyers += 1;
        Shopper::new(&format!("buyer-{}", self.buyers))
    }

    /// Arms a fault.
    pub async fn arm(&self, target: &str, fault: &str) {
        let order = json!({"target": target, "fault": fault, "count": 1, "ttl": "10m"});
        let (status, body) = self.server.operate("/admin/faults", &order).await;
        assert_eq!(status, 200, "{target}: {body}");
    }

    /// Waits until every armed fault has struck.
    pub async fn until_struck(&self, what: &str) {
        self.until(what, async || self.read_admin("/admin/faults").await == json!([])).await;
    }

    /// Starts a role of the process.
    pub async fn start_role(&self, role: &str) {
        let (status, body) = self.server.operate(&format!("/admin/roles/{role}/start"), &Value::Null).await;
        assert_eq!(status, 200, "{role}: {body}");
    }

    /// Sets the clock of the process, and so of the log, ahead of the database's.
    pub async fn step_clock(&self, ahead: i64) {
        let (status, body) = self.server.operate("/admin/faults/clock", &json!({"aheadMs": ahead})).await;
        assert_eq!(status, 200, "{body}");
    }

    /// `kill -9` of the shop and of its database.
    pub fn kill_everything(&mut self) {
        self.server.kill();
        self.kill_database();
    }

    /// `kill -9` of the database.
    pub fn kill_database(&self) {
        let Status::Running { pid, .. } = private_server::status(self.server.data()).unwrap() else { return };
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }

    /// One text from the database; an empty one for none.
    pub async fn ask(&self, question: &str) -> String {
        let answer = sqlx::query_scalar(AssertSqlSafe(question)).fetch_optional(&self.pool).await.unwrap();
        answer.flatten().unwrap_or_default()
    }

    /// The same as a number.
    pub async fn count(&self, question: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&self.pool).await.unwrap()
    }

    /// The order's status.
    pub async fn status_of(&self, order: &str) -> String {
        self.ask(&format!("SELECT status FROM orders WHERE order_id = '{order}'")).await
    }

    /// GET on the operators' listener.
    pub async fn read_admin(&self, path: &str) -> Value {
        self.server.http.get(self.server.admin(path)).send().await.unwrap().json().await.unwrap()
    }

    /// One figure of `/metrics`, as it is written: `name{label="x"}`.
    pub async fn figure(&self, name: &str) -> f64 {
        let text = self.server.http.get(self.server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        line.unwrap_or_else(|| panic!("no figure {name} in\n{text}"))
    }

    /// Waits for a condition.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds().await {
            assert!(tokio::time::Instant::now() < deadline, "never: {what}\n{}", self.server.log_tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until every item has an outcome, then judges: each item was applied once, `wal` items were published once, and the
    /// ledger adds up.
    pub async fn everything_settles_once(&self) {
        let open = "SELECT count(*) FROM order_items WHERE outcome IS NULL";
        self.until("every item has its outcome", async || self.count(open).await == 0).await;
        self.until("every order is settled", async || {
            self.count("SELECT count(*) FROM orders WHERE status = 'PENDING'").await == 0
        })
        .await;
        let log = self.place.log_of(&self.server).await;
        let mut published = BTreeMap::<String, usize>::new();
        for record in read_all(&*log, Topic::OrderEvents).await {
            let event = value(&record);
            if event["source"] == "wal" {
                *published.entry(event["orderItemId"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        let twice: Vec<_> = published.iter().filter(|(_, times)| **times != 1).collect();
        assert!(twice.is_empty(), "published more than once: {twice:?}");
        let rows: Vec<String> = sqlx::query_scalar("SELECT order_item_id FROM order_items WHERE publish_via = 'wal'")
            .fetch_all(&self.pool)
            .await
            .unwrap();
        let unpublished: Vec<_> = rows.iter().filter(|id| !published.contains_key(*id)).collect();
        assert!(unpublished.is_empty(), "settled without an event: {unpublished:?}");
        let state = self.server.get("/api/ecommerce/inventory/state").await;
        let subject = check::Subject {
            log: &*log,
            group: INVENTORY_GROUP,
            thresholds: check::Thresholds { critical_max: 5, warning_max: 9 },
            pool: Some(&self.pool),
            read_model: state["products"].as_array().cloned(),
            patience: check::PATIENCE,
        };
        let report = check::run(&subject).await.unwrap();
        assert!(report.holds(), "{report}");
    }
}
