//! PostgreSQL: frozen, read-only, refusing, and with rows written by other programs.

use kartshoppe::store::StoreOptions;
use kartshoppe::telemetry::alarms::Cause;
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::support::alarm::{all_over, stands};
use crate::support::page::Page;
use crate::support::postgres::{TestDatabase, database, empty_database, signal_all};
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

fn options() -> Options {
    Options::default().set("KARTSHOPPE__HEALTH__STALLED_AFTER", "4s")
}

fn on(database: &TestDatabase) -> Options {
    options().set("DATABASE_URL", &database.url).set("KARTSHOPPE__CDC__DATABASE_URL", &database.cdc_url)
}

async fn admin(database: &TestDatabase, sql: &str) {
    let mut admin = PgConnection::connect(&database.admin_url).await.unwrap();
    admin.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    admin.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_postgresql_raises_an_alarm_until_it_is_back() {
    let mut server = Server::start_filled(options()).await;
    let caught = Shopper::new("caught");
    caught.add(&server, "PROD_0001", 1).await;
    signal_all(server.data(), Signal::STOP);
    stands(&server, Cause::Database, &["database: ", "check PostgreSQL"]).await;
    let (status, problem) = caught.checkout(&server, false).await;
    assert_eq!(status, 503, "{problem}");
    assert!(!problem.to_string().contains("postgres"), "no path and no cause: {problem}");
    let metrics = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.lines().any(|line| line.starts_with("kartshoppe_ready") && line.ends_with(" 0.0")), "{metrics}");
    assert_eq!(server.get("/api/ecommerce/product/PROD_0001").await["productId"], "PROD_0001", "reads need no database");
    signal_all(server.data(), Signal::CONT);
    all_over(&mut server, &[Cause::Database, Cause::WalReader, Cause::RoleFailing, Cause::WalReaderStarting]).await;
    let shopper = Shopper::new("afterwards");
    shopper.add(&server, "PROD_0001", 1).await;
    assert_eq!(shopper.checkout(&server, true).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_raises_an_alarm_until_it_is_writable() {
    let mut server = Server::start_filled(options()).await;
    let url = server.database_url();
    for (setting, is_read_only) in [("on", true), ("off", false)] {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection.execute("SET default_transaction_read_only = off").await.unwrap();
        let sql = format!("ALTER ROLE current_user SET default_transaction_read_only = {setting}");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
        let end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kartshoppe'";
        connection.execute(end_all).await.unwrap();
        if is_read_only {
            stands(&server, Cause::DatabaseReadOnly, &["database: it is read-only", "point the shop to the primary"]).await;
        }
    }
    all_over(&mut server, &[Cause::DatabaseReadOnly]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_cannot_be_created_raise_an_alarm_until_they_can() {
    let database = empty_database(StoreOptions::default()).await;
    admin(&database, "CREATE VIEW orders AS SELECT 1 AS one").await;
    let mut server = Server::launch(on(&database).set("KARTSHOPPE__CDC__SLOT", "alarms_of_tables"));
    server.until_not_ready_because("database").await;
    let words = ["the database could not be migrated", "waiting does not help"];
    stands(&server, Cause::DatabaseMigration, &words).await;
    stands(&server, Cause::DatabaseBehind, &["its tables are not migrated to this version", "kartshoppe db migrate"]).await;
    admin(&database, "DROP VIEW orders").await;
    all_over(&mut server, &[Cause::DatabaseMigration, Cause::DatabaseBehind, Cause::WalReader]).await;
    server.terminate();
    admin(&database, "SELECT pg_drop_replication_slot('alarms_of_tables')").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_order_raises_an_alarm_until_it_is_corrected() {
    let database = database().await;
    let options = Options { arguments: ["--roles", "api,inventory"].map(str::to_owned).to_vec(), ..on(&database) };
    let mut server = Server::start_filled(options).await;
    admin(&database, "ALTER TABLE orders DROP CONSTRAINT orders_money_sane").await;
    // The tracker reads the order when its outcome arrives: the inventory is stopped until the row is damaged.
    let (status, _) = server.operate("/admin/roles/inventory/stop", &serde_json::Value::Null).await;
    assert_eq!(status, 200);
    let shopper = Shopper::new("odd");
    // Orders are read for the pages that show them.
    let _page = Page::open(&server.socket_url(&shopper.session)).await;
    shopper.add(&server, "PROD_0001", 1).await;
    let (status, order) = shopper.checkout(&server, false).await;
    assert_eq!(status, 200, "{order}");
    let id = order["orderId"].as_str().unwrap();
    admin(&database, "UPDATE orders SET tax = 'NaN'").await;
    let (status, _) = server.operate("/admin/roles/inventory/start", &serde_json::Value::Null).await;
    assert_eq!(status, 200);
    stands(&server, Cause::OrderUnreadable, &[id]).await;
    admin(&database, "UPDATE orders SET tax = 0.5").await;
    all_over(&mut server, &[Cause::OrderUnreadable]).await;
    shopper.settled(&server, id).await;
}

/// Also when the role is stopped while the alarm is raised.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wal_reader_without_permission_raises_an_alarm_until_it_is_granted() {
    let database = database().await;
    let mut server = Server::start_filled(on(&database).set("KARTSHOPPE__CDC__SLOT", "alarms_of_the_reader")).await;
    let words = ["orders are not read from the WAL", "GRANT SELECT ON order_items"];
    for stopped in [false, true] {
        admin(&database, "REVOKE SELECT ON order_items FROM PUBLIC, kartshoppe_cdc").await;
        stands(&server, Cause::WalReader, &words).await;
        if stopped {
            let (status, _) = server.operate("/admin/roles/cdc/stop", &serde_json::Value::Null).await;
            assert_eq!(status, 200);
            all_over(&mut server, &[Cause::WalReader]).await;
        } else {
            admin(&database, "GRANT SELECT ON order_items TO kartshoppe_cdc").await;
            all_over(&mut server, &[Cause::WalReader]).await;
        }
    }
    server.terminate();
    admin(&database, "SELECT pg_drop_replication_slot('alarms_of_the_reader')").await;
}

/// A shop whose inventory is stopped, with one order without an outcome, whose items are past their time.
async fn waiting(database: &TestDatabase) -> (Server, Shopper, String) {
    let mut options = Options { arguments: ["--roles", "api,inventory"].map(str::to_owned).to_vec(), ..on(database) };
    for (key, value) in [("DIRECT_EXPIRY", "5s"), ("PUBLISH_TIMEOUT", "2s"), ("PROBE_INTERVAL", "1s")] {
        options = options.set(&format!("KARTSHOPPE__ORDERS__{key}"), value);
    }
    let server = Server::start_filled(options).await;
    assert_eq!(server.operate("/admin/roles/inventory/stop", &serde_json::Value::Null).await.0, 200);
    let shopper = Shopper::new("waiting");
    shopper.add(&server, "PROD_0001", 1).await;
    let (status, order) = shopper.checkout(&server, false).await;
    assert_eq!(status, 200, "{order}");
    let id = order["orderId"].as_str().unwrap().to_owned();
    (server, shopper, id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_cannot_be_rescued_raises_an_alarm_until_it_can() {
    let database = database().await;
    let (mut server, shopper, id) = waiting(&database).await;
    // As in a database from before this constraint existed: the row violates it, so it cannot be updated.
    let spoil = "UPDATE order_items SET unit_price = 'NaN';
         ALTER TABLE order_items ADD CONSTRAINT alarms_money CHECK (unit_price <> 'NaN') NOT VALID";
    admin(&database, "ALTER TABLE order_items DROP CONSTRAINT IF EXISTS order_items_money_sane").await;
    admin(&database, spoil).await;
    stands(&server, Cause::ItemUnusable, &["cannot be rescued", "alarms_money"]).await;
    admin(&database, "ALTER TABLE order_items DROP CONSTRAINT alarms_money; UPDATE order_items SET unit_price = 1").await;
    assert_eq!(server.operate("/admin/roles/inventory/start", &serde_json::Value::Null).await.0, 200);
    all_over(&mut server, &[Cause::ItemUnusable]).await;
    shopper.settled(&server, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_from_before_a_gap_raise_an_alarm_until_they_have_outcomes() {
    let database = database().await;
    let (mut server, shopper, id) = waiting(&database).await;
    admin(&database, "INSERT INTO order_tracker_gaps (partition, reason) VALUES (0, 'a test')").await;
    stands(&server, Cause::ItemsStranded, &["before a gap", "/admin/rescue"]).await;
    assert_eq!(server.operate("/admin/roles/inventory/start", &serde_json::Value::Null).await.0, 200);
    shopper.settled(&server, &id).await;
    all_over(&mut server, &[Cause::ItemsStranded]).await;
}
