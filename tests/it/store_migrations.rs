//! The tables as other programs use them: rows inserted by hand, a database of the existing platform, and what the WAL reader
//! will see.

use kartshoppe::store::{Checkout, CheckoutRequest, PublishVia, Store, StoreOptions, TrackerBatch};
use sqlx::{Connection, Executor, PgConnection, Row};

use crate::support::postgres::{count, database, empty_database, product, request, session, ten};

async fn refused(store: &Store, sql: &'static str) -> bool {
    sqlx::query(sql).execute(store.pool()).await.is_err()
}

#[tokio::test]
async fn minimal_rows_inserted_by_hand_are_orders_like_any_other() {
    let db = database().await;
    let least = "INSERT INTO orders (order_id, customer_id, subtotal, total) VALUES ('by-hand', 'me', 10, 10);
                 INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('by-hand', 'PROD_0001', 2, 5, 10);
                 INSERT INTO order_items (order_id, product_id, unit_price, line_total) VALUES ('by-hand', 'PROD_0002', 5, 5);";
    db.store.pool().execute(least).await.unwrap();
    let id = kartshoppe::domain::ids::OrderId::new("by-hand").unwrap();
    let order = db.store.order(&id, None).await.unwrap().unwrap();
    assert_eq!(
        (order.status.as_str(), order.session_id, order.totals.tax.cents(), order.totals.total.cents()),
        ("PENDING", None, 0, 1_000)
    );
    assert!(order.items.iter().all(|item| item.publish_via == PublishVia::Wal && item.outcome.is_none()));
    assert_eq!(order.items.iter().map(|item| item.quantity).sum::<i64>(), 3);
    assert_eq!(db.store.waiting().await.unwrap().wal, 2);
}

#[tokio::test]
async fn rows_that_could_not_be_handled_are_refused() {
    let db = database().await;
    db.store
        .pool()
        .execute("INSERT INTO orders (order_id, customer_id, subtotal, total) VALUES ('o', 'me', 1, 1)")
        .await
        .unwrap();
    for bad in [
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('o', 'P', 0, 1, 1)",
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('o', 'P', NULL, 1, 1)",
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('o', '', 1, 1, 1)",
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('o', NULL, 1, 1, 1)",
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('o', E'two\\nlines', 1, 1, 1)",
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('o', U&'\\0085', 1, 1, 1)",
        "INSERT INTO order_items (order_item_id, order_id, product_id, unit_price, line_total) VALUES ('', 'o', 'P', 1, 1)",
        "INSERT INTO order_items (order_item_id, order_id, product_id, unit_price, line_total) VALUES (E'a\\tb', 'o', 'P', 1, 1)",
        "INSERT INTO order_items (order_id, product_id, unit_price, line_total, traceparent) VALUES ('o', 'P', 1, 1, repeat('x', 300))",
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('o', 'P', 1, 'NaN', 1)",
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('o', 'P', 1, 1, 'NaN')",
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('nobody', 'P', 1, 1, 1)",
        "INSERT INTO order_items (order_id, product_id, unit_price, line_total, publish_via) VALUES ('o', 'P', 1, 1, 'direct')",
        "INSERT INTO order_items (order_id, product_id, unit_price, line_total, publish_via) VALUES ('o', 'P', 1, 1, 'pigeon')",
        "INSERT INTO order_items (order_id, product_id, unit_price, line_total, outcome) VALUES ('o', 'P', 1, 1, 'ALLOCATED')",
        "INSERT INTO orders (order_id, customer_id, subtotal, total) VALUES ('p', 'me', 'NaN', 1)",
    ] {
        assert!(refused(&db.store, bad).await, "{bad}");
    }
    assert_eq!(count(&db.store, "SELECT count(*) FROM order_items").await, 0);
}

#[tokio::test]
async fn migrations_run_once_when_repeated_and_when_concurrent() {
    let db = empty_database(StoreOptions::default()).await;
    assert!(!db.store.is_migrated().await.unwrap());
    let all: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn({
                let store = db.store.clone();
                async move { store.migrate().await }
            })
        })
        .collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    db.store.migrate().await.unwrap();
    assert!(db.store.is_migrated().await.unwrap());
}

/// The tables as the platform creates them: numbered items, lower-case status, keys to customers and products.
const PLATFORM: &str = "
    CREATE TABLE customers (customer_id varchar(50) PRIMARY KEY);
    CREATE TABLE products (product_id varchar(50) PRIMARY KEY);
    CREATE TABLE orders (
        order_id varchar(50) PRIMARY KEY, customer_id varchar(50) NOT NULL REFERENCES customers (customer_id),
        order_date timestamp DEFAULT CURRENT_TIMESTAMP, status varchar(50) DEFAULT 'pending', subtotal numeric(10,2) NOT NULL,
        tax numeric(10,2) DEFAULT 0.00, shipping numeric(10,2) DEFAULT 0.00, total numeric(10,2) NOT NULL,
        payment_method varchar(50), shipping_address text, tracking_number varchar(100), notes text);
    CREATE TABLE order_items (
        order_item_id serial PRIMARY KEY, order_id varchar(50) NOT NULL REFERENCES orders (order_id),
        product_id varchar(50) NOT NULL REFERENCES products (product_id), quantity integer NOT NULL DEFAULT 1,
        unit_price numeric(10,2) NOT NULL, discount numeric(10,2) DEFAULT 0.00, line_total numeric(10,2) NOT NULL);
    CREATE INDEX idx_order_items_order ON order_items (order_id);
    INSERT INTO customers VALUES ('cust_001');
    INSERT INTO products VALUES ('prod_001');
    INSERT INTO orders (order_id, customer_id, order_date, status, subtotal, total)
        VALUES ('old', 'cust_001', '2025-01-02 03:04:05', 'shipped', 5, 5);
    INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('old', 'prod_001', 0, 5, 'NaN');";

#[tokio::test]
async fn a_database_of_the_platform_is_taken_over_with_its_past_left_alone() {
    let db = empty_database(StoreOptions::default()).await;
    let mut admin = PgConnection::connect(&db.admin_url).await.unwrap();
    admin.execute("CREATE PUBLICATION platform_cdc FOR ALL TABLES").await.unwrap();
    db.store.pool().execute(PLATFORM).await.unwrap();
    db.store.migrate().await.unwrap();
    let old =
        sqlx::query("SELECT order_item_id, publish_via, quantity FROM order_items").fetch_one(db.store.pool()).await.unwrap();
    assert_eq!((old.get::<&str, _>(0), old.get::<&str, _>(1), old.get::<i32, _>(2)), ("1", "history", 0));
    // The platform's own writers continue, and ours begin, with customers and products that only the event log knows.
    db.store.pool().execute("UPDATE orders SET status = 'delivered' WHERE order_id = 'old'").await.unwrap();
    db.store.add_to_cart(&session("s"), None, &product("PROD_0001"), 2).await.unwrap();
    let direct = CheckoutRequest { publish_via: PublishVia::Direct, ..request("s") };
    let Checkout::Placed(order, _) = db.store.checkout(&direct, ten).await.unwrap() else { panic!("there was no key") };
    let by_hand = "INSERT INTO orders (order_id, customer_id, subtotal, total) VALUES ('hand', 'who', 1, 1);
                   INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('hand', 'what', 1, 1, 1);";
    db.store.pool().execute(by_hand).await.unwrap();
    assert_eq!(count(&db.store, "SELECT count(*) FROM order_items WHERE publish_via = 'wal'").await, 1);
    assert_eq!(count(&db.store, "SELECT count(*) FROM orders WHERE status = 'PENDING'").await, 2);
    assert!(
        refused(
            &db.store,
            "INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('old', 'x', 0, 1, 1)"
        )
        .await
    );
    let orders = db.store.orders(&["old".to_owned(), order.order_id.to_string()]).await.unwrap();
    assert_eq!(orders.found.iter().map(|order| order.order_id.clone()).collect::<Vec<_>>(), [order.order_id]);
    assert_eq!(orders.unreadable[0].order_id, "old", "a past row with NaN is reported, not shown as something else");
    // A reset deletes our rows and keeps the older ones.
    db.store.reset().await.unwrap();
    assert_eq!(count(&db.store, "SELECT count(*) FROM order_items WHERE publish_via = 'history'").await, 1);
    assert_eq!(count(&db.store, "SELECT count(*) FROM orders").await, 1);
    assert_eq!(count(&db.store, "SELECT (SELECT count(*) FROM order_items) + (SELECT count(*) FROM carts)").await, 1);
}

#[tokio::test]
async fn the_wal_reader_sees_wal_rows_and_flips_as_inserts_and_nothing_else_as_one() {
    let db = empty_database(StoreOptions { direct_expiry: std::time::Duration::ZERO, ..StoreOptions::default() }).await;
    db.store.migrate().await.unwrap();
    let mut admin = PgConnection::connect(&db.admin_url).await.unwrap();
    let slot: String = sqlx::query_scalar("SELECT 'it_' || current_database()").fetch_one(&mut admin).await.unwrap();
    sqlx::query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')").bind(&slot).execute(&mut admin).await.unwrap();
    let mut items = Vec::new();
    for (id, publish_via) in [("w", PublishVia::Wal), ("d", PublishVia::Direct)] {
        db.store.add_to_cart(&session(id), None, &product("A"), 1).await.unwrap();
        let Checkout::Placed(order, _) = db.store.checkout(&CheckoutRequest { publish_via, ..request(id) }, ten).await.unwrap()
        else {
            panic!("there was no key")
        };
        items.push((order.order_id, order.items[0].order_item_id.clone()));
    }
    assert_eq!(changes(&mut admin, &slot).await, ["I"], "the direct row is not sent");
    db.store.due_probes(10).await.unwrap();
    db.store.record_outcomes(&TrackerBatch { expired: vec![items[1].clone()], ..TrackerBatch::default() }).await.unwrap();
    assert_eq!(changes(&mut admin, &slot).await, ["I"], "the flip is an insert");
    let outcomes = items.iter().map(|(order_id, order_item_id)| kartshoppe::store::Outcome {
        order_id: order_id.clone(),
        order_item_id: order_item_id.clone(),
        kind: kartshoppe::store::OutcomeKind::Allocated,
        allocated: 1,
        shortfall: 0,
        event_id: "e".to_owned(),
        reason: None,
        published_at_ms: None,
        applied_at_ms: None,
    });
    db.store.record_outcomes(&TrackerBatch { outcomes: outcomes.collect(), ..TrackerBatch::default() }).await.unwrap();
    assert_eq!(changes(&mut admin, &slot).await, ["U", "U"], "outcomes are updates");
    sqlx::query("SELECT pg_drop_replication_slot($1)").bind(&slot).execute(&mut admin).await.unwrap();
}

/// The row changes since the last call, as pgoutput's letters.
async fn changes(admin: &mut PgConnection, slot: &str) -> Vec<String> {
    let sql = "SELECT chr(get_byte(data, 0)) FROM pg_logical_slot_get_binary_changes($1, NULL, NULL, 'proto_version', '1',
               'publication_names', 'kartshoppe_order_items') WHERE chr(get_byte(data, 0)) IN ('I', 'U', 'D', 'T')";
    sqlx::query_scalar(sql).bind(slot).fetch_all(admin).await.unwrap()
}

#[tokio::test]
async fn the_wal_readers_role_reads_items_and_nothing_more() {
    let db = database().await;
    let mut cdc = PgConnection::connect(&db.cdc_url).await.unwrap();
    cdc.execute("SELECT count(*) FROM order_items").await.unwrap();
    for denied in ["SELECT * FROM carts", "SELECT * FROM orders", "DELETE FROM order_items", "CREATE TABLE mine (x int)"] {
        assert!(cdc.execute(denied).await.is_err(), "{denied}");
    }
}
