//! Rows become events: each insert is published once, in commit order, and nothing else is.

use kartshoppe::sources::wal::{Phase, WalConfig};
use kartshoppe::wire::topics::Topic;

use sqlx::{Connection, PgConnection};

use super::support::log::{read_all, within};
use super::support::wal::{WalShop, value};
use crate::support::place::{Place, on_each_log};

on_each_log!(at length:
    a_row_inserted_by_hand_becomes_an_event,
    orders_older_than_the_reader_are_published_once_and_history_never,
    a_rescued_item_arrives_as_an_insert_and_outcomes_pass,
    rollbacks_savepoints_truncate_other_tables_and_new_columns_do_no_harm,
    large_transactions_are_published_in_parts_and_whole_again_after_each_cut,
    copied_rows_share_an_lsn_and_come_once_each,
    the_slot_of_an_idle_table_moves_on,
    a_second_reader_stands_by_and_takes_over,
);

async fn a_row_inserted_by_hand_becomes_an_event(place: Place) {
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    shop.sql(
        "INSERT INTO orders (order_id, customer_id, subtotal, total) VALUES ('o-1', 'guest', 10, 10);
         INSERT INTO order_items (order_item_id, order_id, product_id, quantity, unit_price, line_total, traceparent, expires_at)
         VALUES ('i-1', 'o-1', 'PROD_0001', 3, 10, 30, '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', now())",
    )
    .await;
    shop.await_exactly([&"i-1".to_owned()]).await;
    let events = shop.events().await;
    let event = value(&events[0]);
    let expected = serde_json::json!({
        "orderId": "o-1", "productId": "PROD_0001", "quantity": 3, "orderItemId": "i-1", "source": "wal",
        "timestamp": event["timestamp"],
    });
    assert_eq!(event, expected);
    let committed_at = event["timestamp"].as_i64().unwrap();
    assert!((events[0].append_time_ms - committed_at).abs() < 60_000, "the commit's time: {committed_at}");
    assert_eq!(events[0].key.as_deref(), Some(b"PROD_0001".as_slice()));
    assert_eq!(events[0].headers.get_str("traceparent"), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    reader.reports(|report| report.rows == 1 && report.lag_bytes == Some(0)).await;
    shop.end([reader]).await;
}

async fn orders_older_than_the_reader_are_published_once_and_history_never(place: Place) {
    let shop = WalShop::open(&place).await;
    let mut ids = shop.orders("before", 5).await;
    shop.sql(
        "INSERT INTO order_items (order_item_id, order_id, product_id, unit_price, line_total, publish_via, expires_at) VALUES
         ('old', 'order-before-0', 'P', 1, 1, 'history', NULL), ('direct', 'order-before-0', 'P', 1, 1, 'direct', now())",
    )
    .await;
    let reader = shop.reader().await;
    reader.streams().await;
    ids.extend(shop.orders("after", 5).await);
    shop.await_exactly(&ids).await;
    reader.stop().await;
    ids.extend(shop.orders("meanwhile", 5).await);
    let again = shop.reader().await;
    shop.await_exactly(&ids).await;
    shop.end([again]).await;
}

async fn a_rescued_item_arrives_as_an_insert_and_outcomes_pass(place: Place) {
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    shop.order(&["first".to_owned()]).await;
    shop.sql(
        "INSERT INTO order_items (order_item_id, order_id, product_id, unit_price, line_total, publish_via, expires_at)
         VALUES ('rescued', 'order-first', 'P', 1, 1, 'direct', now())",
    )
    .await;
    shop.sql("UPDATE order_items SET publish_via = 'wal' WHERE order_item_id = 'rescued'").await;
    shop.sql(
        "UPDATE order_items SET outcome = 'ALLOCATED', allocated = 1, shortfall = 0, outcome_event_id = 'e', settled_at = now()
         WHERE publish_via = 'wal'",
    )
    .await;
    shop.order(&["last".to_owned()]).await;
    shop.await_exactly(&["first".to_owned(), "rescued".to_owned(), "last".to_owned()]).await;
    let rescued = shop.events().await.iter().map(value).find(|event| event["orderItemId"] == "rescued").unwrap();
    assert_eq!(rescued.get("expiresAt"), None, "a wal event never expires");
    shop.end([reader]).await;
}

async fn rollbacks_savepoints_truncate_other_tables_and_new_columns_do_no_harm(place: Place) {
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    let insert = |id: &str| {
        format!(
            "INSERT INTO order_items (order_item_id, order_id, product_id, unit_price, line_total) VALUES ('{id}', 'order-a', 'P', 1, 1);"
        )
    };
    shop.order(&["a".to_owned()]).await;
    shop.sql(format!("BEGIN; {} ROLLBACK", insert("rolled-back"))).await;
    let (b, undone, c) = (insert("b"), insert("undone"), insert("c"));
    shop.sql(format!("BEGIN; {b} SAVEPOINT s; {undone} ROLLBACK TO s; {c} COMMIT")).await;
    shop.sql("ALTER TABLE order_items ADD COLUMN gift text DEFAULT 'no'").await;
    shop.sql(format!("CREATE TABLE other (id int); INSERT INTO other SELECT generate_series(1, 1000); {}", insert("d"))).await;
    shop.sql(format!("ALTER TABLE order_items DROP COLUMN gift; TRUNCATE order_items; {}", insert("e"))).await;
    shop.await_exactly(&["a", "b", "c", "d", "e"].map(str::to_owned)).await;
    assert_eq!(reader.lives(), 1, "nothing of it ended the reader");
    shop.end([reader]).await;
}

async fn large_transactions_are_published_in_parts_and_whole_again_after_each_cut(place: Place) {
    let shop = WalShop::open(&place).await;
    let config = WalConfig { batch_max_rows: 700, ..shop.config.clone() };
    let reader = shop.reader_with(config, shop.log()).await;
    reader.streams().await;
    shop.order(&["zero".to_owned()]).await;
    for (prefix, count) in [("bulk", 20_000), ("more", 1_500)] {
        reader.strike("wal-reader/committed", kartshoppe::actors::faults::Fault::Panic);
        shop.sql(format!(
            "INSERT INTO order_items (order_item_id, order_id, product_id, unit_price, line_total)
             SELECT '{prefix}-' || n, 'order-zero', 'P' || n % 7, 1, 1 FROM generate_series(1, {count}) AS n"
        ))
        .await;
        within(async {
            while shop.position().await.is_none_or(|position| position.part_commit_lsn.is_none()) && reader.faults.is_armed() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        shop.cut().await;
    }
    let ids =
        (1..=20_000).map(|n| format!("bulk-{n}")).chain((1..=1_500).map(|n| format!("more-{n}"))).chain(["zero".to_owned()]);
    let ids: Vec<_> = ids.collect();
    shop.await_exactly(&ids).await;
    assert!(reader.lives() > 1);
    let positions = read_all(&*shop.log, Topic::CdcPositions).await;
    let parts = positions.iter().filter(|record| record.value.is_some() && value(record)["partIndex"] != 0).count();
    assert!(parts > 20, "parts were stored: {parts}");
    shop.end([reader]).await;
}

async fn copied_rows_share_an_lsn_and_come_once_each(place: Place) {
    let shop = WalShop::open(&place).await;
    let config = WalConfig { batch_max_rows: 3, ..shop.config.clone() };
    let reader = shop.reader_with(config, shop.log()).await;
    reader.streams().await;
    shop.order(&["zero".to_owned()]).await;
    reader.strike("wal-reader/committed", kartshoppe::actors::faults::Fault::Error);
    let mut connection = PgConnection::connect(&shop.database.url).await.unwrap();
    let mut copy = connection
        .copy_in_raw("COPY order_items (order_item_id, order_id, product_id, quantity, unit_price, line_total) FROM STDIN")
        .await
        .unwrap();
    let ids: Vec<_> = (0..50).map(|n| format!("copied-{n}")).collect();
    let rows: String = ids.iter().map(|id| format!("{id}\torder-zero\tP\t1\t1\t1\n")).collect();
    copy.send(rows.as_bytes()).await.unwrap();
    copy.finish().await.unwrap();
    shop.await_exactly(ids.iter().chain([&"zero".to_owned()])).await;
    assert!(reader.lives() > 1);
    shop.end([reader]).await;
}

async fn the_slot_of_an_idle_table_moves_on(place: Place) {
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    let before = shop.position().await.unwrap();
    shop.sql("CREATE TABLE noise (t text); INSERT INTO noise SELECT repeat('x', 500) FROM generate_series(1, 20000)").await;
    let written = shop.ask("SELECT pg_current_wal_flush_lsn()::text").await.unwrap();
    let is_past =
        format!("SELECT 'yes' FROM pg_replication_slots WHERE slot_name = 'SLOT' AND confirmed_flush_lsn >= '{written}'");
    within(async {
        while shop.ask(&is_past).await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let after = shop.position().await.unwrap();
    assert!(after.resume_lsn > before.resume_lsn);
    let is_behind = format!(
        "SELECT 'yes' FROM pg_replication_slots WHERE slot_name = 'SLOT' AND confirmed_flush_lsn <= '{}'",
        shop.position().await.unwrap().resume_lsn
    );
    assert!(shop.ask(&is_behind).await.is_some(), "acknowledged is only what is stored");
    shop.end([reader]).await;
}

async fn a_second_reader_stands_by_and_takes_over(place: Place) {
    let shop = WalShop::open(&place).await;
    let first = shop.reader().await;
    first.streams().await;
    let second = shop.reader().await;
    second.reports(|report| matches!(report.phase, Phase::WaitingForSlot { .. })).await;
    assert!(second.wal.report().is_ready(), "standing by is being ready");
    let mut ids = shop.orders("one", 5).await;
    shop.await_exactly(&ids).await;
    assert_eq!(first.lives(), 1, "who stands by leaves the other alone");
    first.stop().await;
    second.streams().await;
    ids.extend(shop.orders("two", 5).await);
    shop.await_exactly(&ids).await;
    assert!(shop.log.topics().await.is_ok());
    shop.end([second]).await;
}
