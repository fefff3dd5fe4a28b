//! The merchant: catalogue updates while everything else goes on, for products of its own, which nobody buys.
//!
//! An update says how many there are, so what it leaves behind depends on which of them came last: the ledger checker judges
//! that, and pages must show what the read model shows. Some products it removes at the beginning, for good: they must never come
//! back. Changes of stock across every level also keep the alert desk busy.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::operator::Operator;
use super::plan::Plan;

const PRODUCTS: u32 = 20;
/// One of each level: sold out, critical, low, plenty.
const STOCKS: [i64; 4] = [0, 3, 8, 50];
const PRICES: [f64; 3] = [10.0, 19.99, 25.5];
/// One update in so many removes the product.
const REMOVES_EVERY: u32 = 25;
const PAUSE: Duration = Duration::from_millis(40);

/// Takes the products away that are retired: each until the shop has it in writing.
async fn retire(operator: &Operator, over: &CancellationToken) {
    for id in Plan::retired() {
        while !over.is_cancelled() && operator.append("product-updates", &id, None).await.is_err() {
            over.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
    }
}

/// Updates one product after another until it is over. What fails is not tried again: the next one comes soon.
pub async fn trade(operator: Operator, seed: u64, over: CancellationToken) {
    retire(&operator, &over).await;
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(2));
    while !over.is_cancelled() {
        let id = format!("MERCHANT_{:02}", random.random_range(0..PRODUCTS));
        let value = if random.random_ratio(1, REMOVES_EVERY) {
            None
        } else {
            let stock = STOCKS.choose(&mut random).copied().unwrap_or_default();
            let price = PRICES.choose(&mut random).copied().unwrap_or_default();
            Some(
                json!({"productId": id, "name": format!("Merchant's {id}"), "price": price, "inventory": stock, "category": "Drill"}),
            )
        };
        let _ = operator.append("product-updates", &id, value.as_ref()).await;
        over.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
    }
}
