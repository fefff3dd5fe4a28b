use std::sync::Arc;

use super::*;
use crate::domain::ids::Quantity;
use crate::domain::inventory::{Command, Effect, Input, InputPosition, InputTopic, OrderItem, ProductState, Rules, apply};
use crate::domain::inventory::{ProbedItem, order_expired};
use crate::domain::product::{Details, Product};

const NOW: EpochMs = 1_732_500_000_000;

fn product(stock: i64, cents: i64) -> Product {
    let details = Details { name: "Mug".into(), category: "Home".into(), ..Details::default() };
    Product {
        id: ProductId::new("PROD_0007").unwrap(),
        price: Cents::new(cents).unwrap(),
        stock: Stock::new(stock).unwrap(),
        details: Arc::new(details),
    }
}

fn record_cause(topic: InputTopic, offset: i64) -> Cause {
    Cause::Record { topic, partition: 2, position: InputPosition { offset, index: 0 } }
}

/// What applying this command gives, as JSON lines.
fn written(state: Option<&ProductState>, command: Command, cause: Cause) -> (Option<ProductState>, String) {
    let input = Input { product_id: ProductId::new("PROD_0007").unwrap(), command, cause, at_ms: NOW };
    let result = apply(&Rules::default(), state, &input);
    let lines: Vec<String> = result
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Publish(event) => Some(serde_json::to_string(&InventoryEventValue::from(event)).unwrap()),
            Effect::Raise(_) => None,
        })
        .collect();
    (result.next, lines.join("\n"))
}

fn order(units: i64) -> Command {
    Command::Deduct(OrderItem {
        order_id: OrderId::new("o-1").unwrap(),
        order_item_id: Some(OrderItemId::new("i-1").unwrap()),
        quantity: Quantity::new(units).unwrap(),
    })
}

#[test]
fn every_kind_is_written_as_the_contract_says() {
    let (mug, added) = written(None, Command::Upsert(product(10, 2000)), Cause::File { index: 17 });
    insta::assert_snapshot!(added, @r#"{"productId":"PROD_0007","productName":"Mug","eventType":"PRODUCT_ADDED","previousInventory":0,"currentInventory":10,"previousPrice":0.0,"currentPrice":20.0,"timestamp":1732500000000,"changeReason":"New product added to the catalog","alertLevel":null,"critical":false,"category":"Home","isInitialLoad":true,"inventoryChange":10,"priceChange":20.0,"life":0,"version":1,"eventId":"file/17/PROD_0007/0"}"#);

    let (mug, sold) = written(mug.as_ref(), order(2), record_cause(InputTopic::OrderEvents, 1234));
    insta::assert_snapshot!(sold, @r#"{"productId":"PROD_0007","productName":"Mug","eventType":"INVENTORY_DECREASED","previousInventory":10,"currentInventory":8,"previousPrice":20.0,"currentPrice":20.0,"timestamp":1732500000000,"changeReason":"Order o-1: 2 units sold","alertLevel":"WARNING","critical":false,"category":"Home","isInitialLoad":false,"inventoryChange":-2,"priceChange":0.0,"life":0,"version":2,"eventId":"order-events/2/1234/0/0","orderId":"o-1","orderItemId":"i-1","quantity":2,"allocated":2,"shortfall":0}"#);

    let (_, changed) = written(mug.as_ref(), Command::Upsert(product(4, 1750)), record_cause(InputTopic::ProductUpdates, 5));
    insta::assert_snapshot!(changed, @r#"
    {"productId":"PROD_0007","productName":"Mug","eventType":"INVENTORY_DECREASED","previousInventory":8,"currentInventory":4,"previousPrice":20.0,"currentPrice":17.5,"timestamp":1732500000000,"changeReason":"Catalog update: stock 8 to 4","alertLevel":"CRITICAL","critical":true,"category":"Home","isInitialLoad":false,"inventoryChange":-4,"priceChange":-2.5,"life":0,"version":3,"eventId":"product-updates/2/5/0/0"}
    {"productId":"PROD_0007","productName":"Mug","eventType":"PRICE_CHANGED","previousInventory":4,"currentInventory":4,"previousPrice":20.0,"currentPrice":17.5,"timestamp":1732500000000,"changeReason":"Catalog update: price 20.00 to 17.50","alertLevel":"CRITICAL","critical":true,"category":"Home","isInitialLoad":false,"inventoryChange":0,"priceChange":-2.5,"life":0,"version":3,"eventId":"product-updates/2/5/0/1"}
    "#);

    let (_, short) = written(mug.as_ref(), order(9), record_cause(InputTopic::OrderEvents, 1235));
    insta::assert_snapshot!(short, @r#"{"productId":"PROD_0007","productName":"Mug","eventType":"OUT_OF_STOCK","previousInventory":8,"currentInventory":0,"previousPrice":20.0,"currentPrice":20.0,"timestamp":1732500000000,"changeReason":"Order o-1: 8 of 9 units sold, 1 short","alertLevel":"OUT_OF_STOCK","critical":true,"category":"Home","isInitialLoad":false,"inventoryChange":-8,"priceChange":0.0,"life":0,"version":3,"eventId":"order-events/2/1235/0/0","orderId":"o-1","orderItemId":"i-1","quantity":9,"allocated":8,"shortfall":1}"#);

    let (_, unknown) = written(None, order(1), record_cause(InputTopic::OrderEvents, 7));
    insta::assert_snapshot!(unknown, @r#"{"productId":"PROD_0007","productName":"Unknown Product","eventType":"ORDER_REJECTED","previousInventory":0,"currentInventory":0,"previousPrice":null,"currentPrice":null,"timestamp":1732500000000,"changeReason":"Order o-1: unknown product","alertLevel":null,"critical":false,"category":"","isInitialLoad":false,"inventoryChange":0,"priceChange":0.0,"eventId":"order-events/2/7/0/0","orderId":"o-1","orderItemId":"i-1","quantity":1,"allocated":0,"shortfall":1}"#);

    let deadline_ms = NOW + 3_600_000;
    let (_, stale) = written(mug.as_ref(), Command::CheckStale { deadline_ms }, Cause::Timer { deadline_ms });
    assert!(stale.contains(r#""eventType":"STALE_INVENTORY""#), "{stale}");
    assert!(stale.contains(r#""eventId":"timer/1732503600000/PROD_0007/0""#), "{stale}");

    let (_, gone) = written(mug.as_ref(), Command::Remove, record_cause(InputTopic::ProductUpdates, 6));
    insta::assert_snapshot!(gone, @r#"{"productId":"PROD_0007","productName":"Mug","eventType":"PRODUCT_REMOVED","previousInventory":8,"currentInventory":0,"previousPrice":20.0,"currentPrice":20.0,"timestamp":1732500000000,"changeReason":"Product removed from the catalog","alertLevel":"OUT_OF_STOCK","critical":true,"category":"Home","isInitialLoad":false,"inventoryChange":-8,"priceChange":0.0,"life":0,"version":3,"eventId":"product-updates/2/6/0/0"}"#);
}

#[test]
fn the_answer_to_a_probe_of_an_unknown_product_says_nothing_of_stock() {
    let product_id = ProductId::new("PROD_0007").unwrap();
    let outcome =
        OrderOutcome { order_id: OrderId::new("o-1").unwrap(), order_item_id: None, quantity: 0, allocated: 0, shortfall: 0 };
    let probed = ProbedItem { product_id: &product_id, cause: record_cause(InputTopic::OrderEvents, 9), outcome };
    let event = order_expired(&Rules::default(), None, &probed, NOW);
    insta::assert_snapshot!(serde_json::to_string(&InventoryEventValue::from(&event)).unwrap(), @r#"{"productId":"PROD_0007","productName":"Unknown Product","eventType":"ORDER_EXPIRED","previousInventory":0,"currentInventory":0,"previousPrice":null,"currentPrice":null,"timestamp":1732500000000,"changeReason":"Order o-1: expired before it was published","alertLevel":null,"critical":false,"category":"","isInitialLoad":false,"inventoryChange":0,"priceChange":0.0,"eventId":"order-events/2/9/0/0","orderId":"o-1","quantity":0,"allocated":0,"shortfall":0}"#);
}

#[test]
fn readers_get_back_what_was_written() {
    let (mug, _) = written(None, Command::Upsert(product(10, 2000)), Cause::File { index: 0 });
    let (_, sold) = written(mug.as_ref(), order(2), record_cause(InputTopic::OrderEvents, 1234));
    let fact = decode(sold.as_bytes()).unwrap();
    assert_eq!(fact.event_type, EventType::Known(EventKind::InventoryDecreased));
    assert_eq!((fact.previous_stock, fact.current_stock.map(Stock::units)), (Some(10), Some(8)));
    assert_eq!(fact.current_price, Cents::new(2000).ok());
    assert_eq!(fact.revision, Some(Revision { life: 0, version: 2 }));
    assert_eq!(fact.event_id.as_deref(), Some("order-events/2/1234/0/0"));
    let order = fact.order.unwrap();
    assert_eq!((order.quantity, order.allocated, order.shortfall), (2, 2, 0));
}

#[test]
fn events_of_other_programs_are_read_too() {
    let foreign = r#"{"productId":"P","productName":"x","eventType":"LOW_STOCK_ALERT","previousInventory":null,"currentInventory":4,
        "previousPrice":null,"currentPrice":1899.99,"currentProduct":{"productId":"P"},"critical":true}"#;
    let fact = decode(foreign.as_bytes()).unwrap();
    assert_eq!((fact.event_type, fact.revision, fact.order), (EventType::LowStockAlert, None, None));
    let other = decode(br#"{"productId":"P","eventType":"MOVED"}"#).unwrap();
    assert_eq!((other.event_type.as_str(), other.current_stock), ("MOVED", None));
    for bad in [
        "{}",
        "[]",
        "null",
        r#"{"productId":"P"}"#,
        r#"{"productId":"","eventType":"X"}"#,
        r#"{"productId":"P","eventType":"X","currentInventory":-1}"#,
    ] {
        assert!(decode(bad.as_bytes()).is_err(), "{bad}");
    }
}
