//! The engine without faults: inputs, outputs, and how inputs are counted.

use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::headers;

use crate::support::engine::{Setup, Shop, ids, order};
use crate::support::log::read_all;
use crate::support::place::{Place, on_each_log};

on_each_log!(at length: orders_take_stock_and_every_output_names_its_cause);

async fn orders_take_stock_and_every_output_names_its_cause(place: Place) {
    let shop = Shop::open(&place, &Setup::default()).await;
    shop.stock(ids(20), 10).await;
    shop.append((0..100).map(|n| order(n, &format!("P{:05}", n % 20), 1)).collect()).await;
    shop.settle().await;
    let ledger = shop.ledger().await;
    ledger.check_conservation(20, 10, 100);
    assert!(ledger.products.values().all(|known| *known == (5, 6)), "{:?}", ledger.products);
    for topic in [Topic::InventoryEvents, Topic::Products, Topic::WebsocketFanout, Topic::InventoryAlerts] {
        let records = read_all(&*shop.log, topic).await;
        assert!(!records.is_empty(), "{topic}");
        assert!(records.iter().all(|record| record.headers.get(headers::CAUSE).is_some()), "{topic}");
    }
    // Ten units are sufficient; at nine there is a warning, at five the level is critical, in between it does not change.
    assert_eq!((ledger.alerts, ledger.dead_letters), (2 * 20, 0));
    shop.counts([("applied", 120), ("duplicate", 0), ("dead_lettered", 0)]).await;
    shop.close().await;
}
