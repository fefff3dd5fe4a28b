//! Shoppers: they fill a cart, check out with a unique key, and repeat the request with the same key until there is an answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::plan::Plan;
use super::record::{Breach, CheckoutAnswer, DrillRecord, Purchase};
use super::storefront::{Said, Storefront};

/// Wait before a request without an answer is repeated.
const AGAIN: Duration = Duration::from_millis(50);
/// Time limit of a shopper's checkout before it is repeated.
const PATIENCE: Duration = Duration::from_secs(15);
/// Shorter for a canary, which measures recovery.
const CANARY_PATIENCE: Duration = Duration::from_secs(2);
/// If a canary is not settled within this time, another one is sent.
const CANARY_PAIR: Duration = Duration::from_millis(500);
/// One in this many orders is followed by a second checkout of the same cart.
const BUYS_TWICE_EVERY: u64 = 5;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The shoppers.
pub struct Crowd {
    seed: u64,
    items_per_order: usize,
    wal_share: f64,
    pause: Duration,
    products: Vec<String>,
    storefront: Storefront,
    record: Arc<DrillRecord>,
    canaries: AtomicU64,
}

impl Crowd {
    /// No shopper buys yet.
    #[must_use]
    pub fn new(plan: &Plan, storefront: Storefront, record: Arc<DrillRecord>) -> Self {
        Self {
            seed: plan.seed,
            items_per_order: plan.load.items_per_order as usize,
            wal_share: plan.load.wal_share,
            pause: plan.load.pause,
            products: record.catalogue.keys().cloned().collect(),
            storefront,
            record,
            canaries: AtomicU64::new(0),
        }
    }

    /// Buys one order after another until `over`.
    pub async fn shop(self: Arc<Self>, shopper: u32, over: CancellationToken) {
        let mut random = StdRng::seed_from_u64(self.seed ^ (u64::from(shopper) << 32));
        let mut number = 0_u64;
        while !over.is_cancelled() {
            number += 1;
            let purchase = self.shopping_list(&format!("{shopper}-{number}"), &mut random);
            match self.buy(&purchase, &over).await {
                Some(order) if number.is_multiple_of(BUYS_TWICE_EVERY) => self.buy_again(&order, &purchase).await,
                Some(_) => {}
                // If it was never requested, the cart's content is unknown, and it is abandoned.
                None => tokio::time::sleep(AGAIN).await,
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    /// Checks the cart out once more, under another key: the cart must be empty.
    async fn buy_again(&self, order: &str, bought: &Purchase) {
        let again = Purchase { key: format!("{}-again", bought.key), ..bought.clone() };
        if let Said::Yes(second) = self.storefront.checkout(&again, PATIENCE).await {
            let what = format!("the cart of order {order} gave another one, {}", second["orderId"]);
            self.record.breach(Breach::Doubled, what);
        }
    }

    /// Repeats every checkout without an answer; returns how many still have none.
    pub async fn ask_again(&self) -> usize {
        for (place, purchase) in self.record.unclear() {
            self.ask(place, &purchase, PATIENCE).await;
        }
        self.record.unclear().len()
    }

    /// Sends canary orders by a path until one is settled; returns how long after `from`. `None` if none is within `limit`.
    pub async fn canary(&self, by_wal: bool, from: Instant, limit: Duration) -> Option<Duration> {
        let deadline = Instant::now() + limit;
        let mut flying: Vec<(String, String)> = Vec::new();
        while Instant::now() < deadline {
            let number = self.canaries.fetch_add(1, Ordering::Relaxed);
            let mut purchase = self.purchase(&format!("canary-{number}"), by_wal);
            purchase.lines.insert(self.products[0].clone(), 1);
            if self.fill(&purchase).await {
                let place = self.record.asked(purchase.clone());
                if self.ask(place, &purchase, CANARY_PATIENCE).await
                    && let CheckoutAnswer::Promised(order) = self.record.answer_of(place)
                {
                    flying.push((order, purchase.session));
                }
            }
            let next = Instant::now() + CANARY_PAIR;
            while Instant::now() < next {
                for (order, session) in &flying {
                    if let Said::Yes(order) = self.storefront.order(order, session).await
                        && order["status"] != "PENDING"
                    {
                        return Some(from.elapsed());
                    }
                }
                tokio::time::sleep(if flying.is_empty() { AGAIN } else { LOOK_EVERY }).await;
                if flying.is_empty() {
                    break;
                }
            }
        }
        None
    }

    /// A random list of products to buy.
    pub(super) fn shopping_list(&self, name: &str, random: &mut StdRng) -> Purchase {
        let mut purchase = self.purchase(name, random.random_bool(self.wal_share));
        for _ in 0..random.random_range(1..=self.items_per_order) {
            let product = &self.products[random.random_range(0..self.products.len())];
            purchase.lines.insert(product.clone(), random.random_range(1..=5));
        }
        purchase
    }

    /// Buys once, with as many attempts as needed; returns the order's id, or `None` if it was refused or `over` came first.
    pub(super) async fn buy(&self, purchase: &Purchase, over: &CancellationToken) -> Option<String> {
        if !self.fill(purchase).await {
            return None;
        }
        let place = self.record.asked(purchase.clone());
        while !self.ask(place, purchase, PATIENCE).await {
            if over.is_cancelled() {
                return None;
            }
            tokio::time::sleep(AGAIN).await;
        }
        match self.record.answer_of(place) {
            CheckoutAnswer::Promised(order) => Some(order),
            CheckoutAnswer::Unclear | CheckoutAnswer::Refused(_) => None,
        }
    }

    fn purchase(&self, name: &str, by_wal: bool) -> Purchase {
        let user = format!("drill-{name}");
        Purchase {
            session: format!("{user}-{:x}", self.seed),
            key: format!("{user}-{:x}-key", self.seed),
            user,
            lines: BTreeMap::new(),
            by_wal,
            answer: CheckoutAnswer::Unclear,
        }
    }

    /// Whether the cart holds exactly the purchase's lines.
    async fn fill(&self, purchase: &Purchase) -> bool {
        for (product, quantity) in &purchase.lines {
            match self.storefront.add(purchase, product, *quantity).await {
                Said::Yes(_) => {}
                Said::No(code) => {
                    self.record.breach(Breach::BadAnswer, format!("a product of the catalogue is refused: {code}"));
                    return false;
                }
                Said::Unclear => return false,
            }
        }
        true
    }

    /// Requests the order; returns whether there is an answer now.
    async fn ask(&self, place: usize, purchase: &Purchase, patience: Duration) -> bool {
        match self.storefront.checkout(purchase, patience).await {
            Said::Unclear => false,
            Said::No(code) => {
                self.record.breach(Breach::BadAnswer, format!("a full cart is refused: {code} ({})", purchase.user));
                self.record.answered(place, CheckoutAnswer::Refused(code));
                true
            }
            Said::Yes(order) => {
                let Some(id) = order["orderId"].as_str() else {
                    self.record.breach(Breach::Altered, format!("an order without an id for {}", purchase.user));
                    return true;
                };
                if lines_of(&order) != as_set(&purchase.lines) {
                    self.record.breach(Breach::Altered, format!("order {id} of {} has other lines", purchase.user));
                }
                self.record.answered(place, CheckoutAnswer::Promised(id.to_owned()));
                true
            }
        }
    }
}

fn as_set(lines: &BTreeMap<String, i64>) -> BTreeSet<(&str, i64)> {
    lines.iter().map(|(product, quantity)| (product.as_str(), *quantity)).collect()
}

fn lines_of(order: &Value) -> BTreeSet<(&str, i64)> {
    let items = order["items"].as_array().into_iter().flatten();
    items.filter_map(|item| Some((item["productId"].as_str()?, item["quantity"].as_i64()?))).collect()
}
