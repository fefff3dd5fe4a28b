//! Rows written by other programs: an unreadable row hides no other.

use std::time::Duration;

use kartshoppe::domain::ids::OrderId;
use kartshoppe::store::{Checkout, CheckoutRequest, PublishVia, Store, StoreOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::support::log::within;
use crate::support::postgres::{TestDatabase, count, database, database_with, product, request, session, ten};

/// Without the constraints for new rows: older rows may hold anything.
const AS_BEFORE: &str = "
    ALTER TABLE orders DROP CONSTRAINT orders_times_finite, DROP CONSTRAINT orders_money_sane;
    ALTER TABLE order_items DROP CONSTRAINT order_items_times_finite, DROP CONSTRAINT order_items_money_sane,
        DROP CONSTRAINT order_items_ids_usable, DROP CONSTRAINT order_items_product_named;
    ALTER TABLE order_items DROP CONSTRAINT order_items_order_id_fkey;
    ALTER TABLE orders ALTER COLUMN subtotal TYPE numeric, ALTER COLUMN total TYPE numeric(12, 2);
    ALTER TABLE order_items ALTER COLUMN unit_price TYPE numeric(12, 2);";

async fn sql(db: &TestDatabase, text: &str) {
    let mut connection = PgConnection::connect(&db.url).await.unwrap();
    connection.execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned()))).await.unwrap();
}

async fn order(store: &Store, publish_via: PublishVia) -> String {
    store.add_to_cart(&session("s"), None, &product("P"), 1).await.unwrap();
    match store.checkout(&CheckoutRequest { publish_via, ..request("s") }, ten).await.unwrap() {
        Checkout::Placed(order, _) => order.order_id.to_string(),
        Checkout::Replayed(_) => panic!("there was no key"),
    }
}

/// The session's orders as its page lists them.
async fn listed(store: &Store) -> Vec<String> {
    let mut ids: Vec<_> =
        store.orders_of_session(&session("s")).await.unwrap().iter().map(|order| order.order_id.to_string()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_time_without_an_end_is_shown_as_a_far_one() {
    let db = database().await;
    sql(&db, AS_BEFORE).await;
    let (well, odd) = (order(&db.store, PublishVia::Wal).await, order(&db.store, PublishVia::Wal).await);
    for infinity in ["infinity", "-infinity"] {
        for change in ["orders SET created_at", "orders SET updated_at", "orders SET created_at = NULL, order_date"] {
            sql(&db, &format!("UPDATE {change} = '{infinity}' WHERE order_id = '{odd}'")).await;
            assert_eq!(listed(&db.store).await, [well.as_str(), odd.as_str()], "{change} {infinity}");
        }
        for column in ["inserted_at", "expires_at", "last_probe_at"] {
            sql(&db, &format!("UPDATE order_items SET {column} = '{infinity}' WHERE order_id = '{odd}'")).await;
            assert_eq!(listed(&db.store).await.len(), 2, "{column} {infinity}");
            let shown = db.store.order(&OrderId::new(&odd).unwrap(), Some(&session("s"))).await.unwrap().unwrap();
            assert!((-62_135_596_800_000..=253_402_300_799_999).contains(&shown.created_at_ms));
        }
    }
}

#[tokio::test]
async fn a_time_beyond_every_calendar_of_a_page_is_shown_as_a_far_one() {
    let db = database().await;
    let odd = order(&db.store, PublishVia::Wal).await;
    for far in ["294000-01-01", "275761-01-01", "4000-01-01 BC"] {
        sql(&db, &format!("UPDATE orders SET created_at = '{far}', updated_at = '{far}' WHERE order_id = '{odd}'")).await;
        sql(&db, &format!("UPDATE order_items SET added_at_ms = 9e18::bigint, expires_at = '{far}' WHERE order_id = '{odd}'"))
            .await;
        let shown = db.store.order(&OrderId::new(&odd).unwrap(), Some(&session("s"))).await.unwrap().unwrap();
        let item = &shown.items[0];
        for at in [shown.created_at_ms, shown.updated_at_ms, item.added_at_ms.unwrap(), item.expires_at_ms.unwrap()] {
            assert!((-62_135_596_800_000..=253_402_300_799_999).contains(&at), "{far}: {at}");
        }
    }
}

#[tokio::test]
async fn an_item_that_would_never_expire_is_rescued_like_any_other() {
    let db = database().await;
    let (far, ours) = (order(&db.store, PublishVia::Direct).await, order(&db.store, PublishVia::Direct).await);
    sql(&db, &format!("UPDATE order_items SET expires_at = '9999-01-01' WHERE order_id = '{far}'")).await;
    let mut due = Vec::new();
    while due.is_empty() {
        due = db.store.due_probes(10).await.unwrap();
    }
    assert_eq!(due.iter().map(|probe| probe.order_id.as_str()).collect::<Vec<_>>(), [far.as_str()], "{ours} has its time");
    assert_eq!(count(&db.store, "SELECT count(*) FROM order_items WHERE expires_at > now() + interval '1 hour'").await, 0);
}

#[tokio::test]
async fn a_negative_outcome_is_refused_and_older_ones_do_not_stop_the_start() {
    let db = database().await;
    order(&db.store, PublishVia::Wal).await;
    let negative =
        "UPDATE order_items SET outcome = 'SHORT', allocated = -1, shortfall = 2, outcome_event_id = 'e', settled_at = now()";
    let refused = sqlx::query(negative).execute(db.store.pool()).await.unwrap_err();
    assert!(refused.to_string().contains("order_items_outcome_not_negative"), "{refused}");
    let again = "ALTER TABLE order_items DROP CONSTRAINT order_items_outcome_not_negative;
        DELETE FROM _sqlx_migrations WHERE version = 11;";
    sql(&db, again).await;
    sql(&db, negative).await;
    db.store.migrate().await.unwrap();
    assert_eq!(count(&db.store, "SELECT count(*) FROM order_items WHERE allocated < 0").await, 1, "it stays as it is");
}

#[tokio::test]
async fn an_order_that_cannot_be_shown_hides_no_other() {
    let db = database().await;
    sql(&db, AS_BEFORE).await;
    let well = order(&db.store, PublishVia::Wal).await;
    for change in [
        "orders SET subtotal = 'NaN'",
        "orders SET subtotal = 'Infinity'",
        "orders SET subtotal = 1e300",
        "orders SET total = 9999999999.99",
        "orders SET tax = -1",
        "order_items SET unit_price = 'NaN'",
        "order_items SET unit_price = 9999999999.99",
        "order_items SET product_id = ''",
        "order_items SET order_item_id = E'two\\nlines'",
    ] {
        let odd = order(&db.store, PublishVia::Wal).await;
        sql(&db, &format!("UPDATE {change} WHERE order_id = '{odd}'")).await;
        assert_eq!(listed(&db.store).await, [well.as_str()], "{change}");
        let id = OrderId::new(&odd).unwrap();
        let refusal = db.store.order(&id, Some(&session("s"))).await.unwrap_err();
        assert!(refusal.to_string().contains(&odd) && !refusal.is_retryable(), "{refusal}");
        assert_eq!(db.store.order(&id, Some(&session("other"))).await.unwrap(), None, "others learn nothing of it");
        sql(&db, &format!("DELETE FROM order_items WHERE order_id = '{odd}'; DELETE FROM orders WHERE order_id = '{odd}'")).await;
    }
    let odd = order(&db.store, PublishVia::Wal).await;
    for session_id in ["''", "repeat('x', 2000)", "E'a\\nb'"] {
        sql(&db, &format!("UPDATE orders SET session_id = {session_id} WHERE order_id = '{odd}'")).await;
        let shown = db.store.order(&OrderId::new(&odd).unwrap(), None).await.unwrap().unwrap();
        assert_eq!(shown.session_id, None, "{session_id} is no session's id");
    }
}

/// A database whose encoding allows any bytes: one text that is not UTF-8 makes PostgreSQL's client refuse the whole answer.
#[tokio::test]
async fn a_row_that_the_client_cannot_decode_hides_no_other() {
    let db = database().await;
    let mut admin = PgConnection::connect(&db.admin_url).await.unwrap();
    let name = format!("{}_ascii", db.url.rsplit_once('/').unwrap().1.split('?').next().unwrap());
    let create =
        format!("CREATE DATABASE {name} OWNER kartshoppe ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    admin.execute(sqlx::raw_sql(AssertSqlSafe(create))).await.unwrap();
    let (server, _) = db.url.rsplit_once('/').unwrap();
    let parameters = db.url.split_once('?').map_or(String::new(), |(_, parameters)| format!("?{parameters}"));
    let store = Store::new(&format!("{server}/{name}{parameters}"), StoreOptions::default()).unwrap();
    store.migrate().await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(order(&store, PublishVia::Wal).await);
    }
    let odd = ids.remove(2);
    let spoil =
        format!("SET client_encoding = 'SQL_ASCII'; UPDATE orders SET shipping_address = E'\\xff' WHERE order_id = '{odd}'");
    store.pool().acquire().await.unwrap().detach().execute(sqlx::raw_sql(AssertSqlSafe(spoil))).await.unwrap();
    assert_eq!(listed(&store).await, ids);
    ids.push(odd.clone());
    let orders = store.orders(&ids).await.unwrap();
    assert_eq!(orders.unreadable.iter().map(|one| one.order_id.clone()).collect::<Vec<_>>(), [odd.as_str()]);
    assert_eq!(orders.found.len(), 4);
    store.close().await;
}

#[tokio::test]
async fn an_item_that_cannot_be_read_keeps_no_other_from_being_rescued() {
    let db = database_with(StoreOptions { direct_expiry: Duration::ZERO, ..StoreOptions::default() }).await;
    sql(&db, AS_BEFORE).await;
    let well = order(&db.store, PublishVia::Direct).await;
    for change in ["expires_at = '-infinity'", "product_id = ''"] {
        let odd = order(&db.store, PublishVia::Direct).await;
        sql(&db, &format!("UPDATE order_items SET {change} WHERE order_id = '{odd}'")).await;
        sql(&db, "UPDATE order_items SET last_probe_at = NULL").await;
        let due = db.store.due_probes(10).await.unwrap();
        assert!(due.iter().any(|probe| probe.order_id.as_str() == well), "{change}");
    }
}

#[tokio::test]
async fn new_rows_have_times_that_end() {
    let db = database().await;
    let odd = order(&db.store, PublishVia::Wal).await;
    for change in ["orders SET created_at", "orders SET updated_at", "order_items SET expires_at", "order_items SET inserted_at"]
    {
        let refused = sqlx::query(AssertSqlSafe(format!("UPDATE {change} = 'infinity' WHERE order_id = '{odd}'")));
        assert!(refused.execute(db.store.pool()).await.is_err(), "{change}");
    }
    assert_eq!(count(&db.store, "SELECT count(*) FROM orders WHERE NOT isfinite(created_at)").await, 0);
}

/// A row that already violates a constraint, or that a trigger protects: no statement over many rows may fail because of it.
#[tokio::test]
async fn an_item_that_may_not_be_changed_keeps_no_other_from_being_rescued() {
    let options = StoreOptions { direct_expiry: Duration::ZERO, probe_interval: Duration::ZERO, ..StoreOptions::default() };
    let db = database_with(options).await;
    sql(&db, AS_BEFORE).await;
    let (well, odd) = (order(&db.store, PublishVia::Direct).await, order(&db.store, PublishVia::Direct).await);
    let (well_wal, odd_wal) = (order(&db.store, PublishVia::Wal).await, order(&db.store, PublishVia::Wal).await);
    sql(
        &db,
        &format!(
            "UPDATE order_items SET product_id = repeat('x', 50), unit_price = 'NaN' WHERE order_id IN ('{odd}', '{odd_wal}');
             ALTER TABLE order_items ADD CONSTRAINT order_items_money_sane CHECK (unit_price <> 'NaN') NOT VALID"
        ),
    )
    .await;
    for _ in 0..3 {
        let due: Vec<_> = db.store.due_probes(10).await.unwrap().into_iter().map(|probe| probe.order_id.to_string()).collect();
        assert_eq!(due, [well.as_str()]);
    }
    assert_eq!(db.store.mark_waiting(10).await.unwrap(), 1, "{well_wal}");
    let unusable = db.store.unusable_items();
    assert_eq!(unusable.len(), 2, "{unusable:?}");
    assert!(unusable.iter().all(|item| item.reason.contains("order_items_money_sane")), "{unusable:?}");
    // Once corrected, they are rescued like any other when they are retried.
    sql(&db, "ALTER TABLE order_items DROP CONSTRAINT order_items_money_sane; UPDATE order_items SET unit_price = 1").await;
    within(async {
        while db.store.due_probes(10).await.unwrap().len() < 2 || db.store.mark_waiting(10).await.unwrap() < 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(db.store.unusable_items(), []);
}

/// Times and quantities that this program never writes: queries over all items still succeed.
#[tokio::test]
async fn queries_over_all_items_survive_invalid_rows() {
    let options = StoreOptions { direct_expiry: Duration::ZERO, probe_interval: Duration::ZERO, ..StoreOptions::default() };
    let db = database_with(options).await;
    sql(&db, AS_BEFORE).await;
    sql(&db, "ALTER TABLE order_items DROP CONSTRAINT order_items_quantity_positive, ALTER COLUMN quantity DROP NOT NULL").await;
    for change in ["inserted_at = NULL", "inserted_at = '-infinity'", "quantity = NULL", "product_id = repeat('x', 50)"] {
        let odd = order(&db.store, PublishVia::Direct).await;
        sql(&db, &format!("UPDATE order_items SET {change} WHERE order_id = '{odd}'")).await;
        let due = db.store.due_probes(10).await.unwrap();
        assert!(due.iter().any(|probe| probe.order_id.as_str() == odd), "{change}: it is rescued");
    }
    assert_eq!(db.store.waiting().await.unwrap().expired, 4);
    assert_eq!(db.store.overdue(Duration::ZERO).await.unwrap().direct, 4);
    db.store.note_gap(0, "a test", None).await.unwrap();
    assert_eq!(db.store.stranded(10).await.unwrap().len(), 4);
    assert_eq!(db.store.waiting().await.unwrap().stranded, 4);
}
