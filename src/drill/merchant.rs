//! The merchant: catalogue updates during the whole drill, for its own products, which no shopper buys.
//!
//! An update sets an absolute stock, so the final stock depends on which update came last: the ledger checker judges that, and
//! pages must show what the read model shows. Some products are removed for good at the beginning and must never come back. Stock
//! changes across every level also keep the alert desk busy.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::operator::Operator;
use super::plan::Plan;

const PRODUCTS: u32 = 20;
/// One stock of each level: sold out, critical, low, plenty.
const STOCKS: [i64; 4] = [0, 3, 8, 50];
const PRICES: [f64; 3] = [10.0, 19.99, 25.5];
/// One in this many updates removes the product.
const REMOVES_EVERY: u32 = 25;
const PAUSE: Duration = Duration::from_millis(40);

/// Removes the retired products: each until the shop has acknowledged it.
async fn retire(operator: &Operator, over: &CancellationToken) {
    for id in Plan::retired() {
        while !over.is_cancelled() && operator.append("product-updates", &id, None).await.is_err() {
            over.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
    }
}

/// Updates one product after another until `over`. Failures are not retried: the next update follows soon.
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
