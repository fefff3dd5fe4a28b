//! Traffic that the reader must handle: tables that other programs create and change, and a transaction of 100,000 items.

use kartshoppe::actors::faults::Fault;
use kartshoppe::store::StoreOptions;
use kartshoppe::wire::topics::Topic;

use super::support::log::within;
use super::support::place::{Place, on_each_log};
use super::support::postgres::empty_database;
use super::support::wal::{WalShop, value};

on_each_log!(at length:
    columns_in_any_order_come_and_go,
    a_transaction_of_100_000_items_comes_once_though_the_reader_dies_in_its_middle,
);

/// The platform's tables as another program creates them: other columns, and in another order.
const PLATFORM: &str = "
    CREATE TABLE orders (total numeric(10,2) NOT NULL, notes text, customer_id varchar(50) NOT NULL, status varchar(50), tax numeric(10,2),
        shipping numeric(10,2), order_date timestamp, subtotal numeric(10,2) NOT NULL, payment_method varchar(50), shipping_address text,
        tracking_number varchar(100), warehouse text, order_id varchar(50) PRIMARY KEY);
    CREATE TABLE order_items (line_total numeric(10,2) NOT NULL, gift text DEFAULT 'no', product_id varchar(50), discount numeric(10,2),
        quantity integer, weight double precision, order_id varchar(50), unit_price numeric(10,2) NOT NULL,
        order_item_id varchar(50) PRIMARY KEY);
    INSERT INTO orders (order_id, customer_id, subtotal, total) VALUES ('order-old', 'guest', 1, 1);
    INSERT INTO order_items (order_item_id, order_id, product_id, quantity, unit_price, line_total) VALUES ('old', 'order-old', 'P', 1, 1, 1),
        ('nobodys', NULL, 'P', 1, 1, 1);";

async fn columns_in_any_order_come_and_go(place: Place) {
    let database = empty_database(StoreOptions::default()).await;
    sqlx::raw_sql(PLATFORM).execute(database.store.pool()).await.unwrap();
    database.store.migrate().await.unwrap();
    let shop = WalShop::over(&place, database).await;
    let reader = shop.reader().await;
    reader.streams().await;
    let mut ids = shop.orders("one", 2).await;
    for (number, change) in [
        "DROP COLUMN gift",
        "ADD COLUMN colour text NOT NULL DEFAULT 'red', DROP COLUMN weight",
        // Added again, a column is at the end of the row.
        "DROP COLUMN discount, ADD COLUMN discount numeric(10, 2) DEFAULT 0",
        "ALTER COLUMN unit_price TYPE numeric(12, 4)",
    ]
    .into_iter()
    .enumerate()
    {
        shop.sql(format!("ALTER TABLE order_items {change}")).await;
        ids.extend(shop.orders(&format!("change-{number}"), 2).await);
        // Within one transaction: rows of the old shape, then of the new one.
        shop.sql(format!(
            "BEGIN; INSERT INTO order_items (order_item_id, order_id, product_id, quantity, unit_price, line_total)
                 VALUES ('before-{number}', 'order-one-0', 'P', {number} + 1, 1, 1);
             ALTER TABLE order_items ADD COLUMN extra_{number} int DEFAULT 7;
             INSERT INTO order_items (order_item_id, order_id, product_id, quantity, unit_price, line_total)
                 VALUES ('after-{number}', 'order-one-0', 'P', {number} + 1, 1, 1); COMMIT"
        ))
        .await;
        ids.extend([format!("before-{number}"), format!("after-{number}")]);
    }
    shop.await_exactly(&ids).await;
    for event in shop.events().await.iter().map(value) {
        let id = event["orderItemId"].as_str().unwrap();
        let expected = id.strip_prefix("before-").or(id.strip_prefix("after-")).map_or(1, |n| n.parse::<i64>().unwrap() + 1);
        assert_eq!(event["quantity"], expected, "{event}");
    }
    assert_eq!(reader.lives(), 1, "nothing of it ended the reader");
    let refused =
        "INSERT INTO order_items (order_item_id, product_id, quantity, unit_price, line_total) VALUES ('x', 'P', 1, 1, 1)";
    assert!(sqlx::raw_sql(refused).execute(shop.database.store.pool()).await.is_err(), "an item of no order");
    shop.end([reader]).await;
}

async fn a_transaction_of_100_000_items_comes_once_though_the_reader_dies_in_its_middle(place: Place) {
    const ITEMS: usize = 100_000;
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    shop.order(&["zero".to_owned()]).await;
    shop.await_exactly([&"zero".to_owned()]).await;
    for fault in [Fault::Kill, Fault::Panic] {
        reader.strike("wal-reader/committed", fault);
    }
    shop.sql(format!(
        "INSERT INTO order_items (order_item_id, order_id, product_id, unit_price, line_total)
         SELECT 'bulk-' || n, 'order-zero', 'P' || n % 200, 1, 1 FROM generate_series(1, {ITEMS}) AS n"
    ))
    .await;
    within(async {
        while shop.event_count().await <= i64::try_from(ITEMS).unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let mut expected: Vec<String> = (1..=ITEMS).map(|n| format!("bulk-{n}")).chain(["zero".to_owned()]).collect();
    expected.sort();
    assert!(shop.published().await == expected, "each of them once");
    assert_eq!(reader.lives(), 3);
    shop.end([reader]).await;
}

impl WalShop {
    /// Records on `order-events`, without reading them.
    async fn event_count(&self) -> i64 {
        let topics = self.log.topics().await.unwrap();
        let events = topics.iter().find(|info| info.topic == Topic::OrderEvents).unwrap();
        events.partitions.iter().map(|partition| partition.end).sum()
    }
}
