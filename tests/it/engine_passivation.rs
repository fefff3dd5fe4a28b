//! Many more products than actors: the longest idle are passivated, without any effect on the results.

use std::sync::atomic::Ordering;

use kartshoppe::actors::faults::Fault;

use crate::support::engine::{Setup, Shop, eventually, ids, order};
use crate::support::place::{Place, on_each_log};

on_each_log!(at length: ten_thousand_products_and_a_hundred_actors);

async fn ten_thousand_products_and_a_hundred_actors(place: Place) {
    const PRODUCTS: usize = 10_000;
    const ORDERS: usize = 20_000;
    let shop = Shop::open(&place, &Setup { max_live_products: 100, batch_max_records: 1_000, ..Setup::default() }).await;
    shop.stock(ids(PRODUCTS), 5).await;
    shop.settle().await;
    let live = || shop.inventory.shards.iter().map(|shard| shard.gauge().live.load(Ordering::Relaxed)).sum::<u64>();
    eventually(|| async { live() <= 100 }).await;
    // Every product twice, far apart, with actors killed now and then.
    shop.arm("product", Fault::Kill, 50);
    let orders = (0..ORDERS).map(|n| order(n, &format!("P{:05}", n * 7_919 % PRODUCTS), 1)).collect();
    shop.append(orders).await;
    shop.settle().await;
    shop.ledger().await.check_conservation(PRODUCTS, 5, ORDERS);
    assert!(shop.inventory.metrics.passivated.load(Ordering::Relaxed) > 20_000);
    eventually(|| async { live() <= 100 }).await;
    // Listed on demand, live or not.
    let mut listed = 0;
    for shard in shop.inventory.shards.iter() {
        let products = shard.list(PRODUCTS).await.unwrap();
        listed += products.len();
        assert!(products.iter().all(|product| product.stock == 3 && product.version == 3), "{:?}", products.first());
    }
    assert_eq!(listed, PRODUCTS);
    shop.close().await;
}
