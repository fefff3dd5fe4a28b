//! The shop's HTTP API as a shopper uses it. An answer is yes, no, or unclear; a failure that no fault excuses is recorded.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::record::{Breach, DrillRecord, Purchase};

/// Time limit of a shopper's request.
const PATIENCE: Duration = Duration::from_secs(15);

/// The shop's answer.
#[derive(Debug)]
pub enum Said {
    Yes(Value),
    /// A definite refusal, with its code.
    No(String),
    /// An error of server or connection: the request may have taken effect or not.
    Unclear,
}

/// A client of the shop. Cheap to clone.
#[derive(Clone)]
pub struct Storefront {
    http: reqwest::Client,
    base: String,
    record: Arc<DrillRecord>,
}

impl Storefront {
    /// A client for the shop at this URL.
    #[must_use]
    pub fn new(base: String, record: Arc<DrillRecord>) -> Self {
        Self { http: reqwest::Client::new(), base, record }
    }

    /// Puts units of a product into a cart.
    pub async fn add(&self, purchase: &Purchase, product: &str, quantity: i64) -> Said {
        let body = json!({"productId": product, "userId": purchase.user, "quantity": quantity});
        let path = format!("/api/ecommerce/cart/{}/add", purchase.session);
        self.send(self.http.post(self.url(&path)).json(&body), PATIENCE).await
    }

    /// Checks a cart out, for the first time or again.
    pub async fn checkout(&self, purchase: &Purchase, patience: Duration) -> Said {
        let body = json!({"sessionId": purchase.session, "userId": purchase.user, "useCdc": purchase.by_wal,
                          "paymentMethod": "card", "shippingAddress": null});
        let request = self.http.post(self.url("/api/ecommerce/checkout")).header("idempotency-key", &purchase.key);
        self.send(request.json(&body), patience).await
    }

    /// An order, as its session may see it.
    pub async fn order(&self, order: &str, session: &str) -> Said {
        let path = format!("/api/ecommerce/orders/{order}?sessionId={session}");
        self.send(self.http.get(self.url(&path)), PATIENCE).await
    }

    /// All products as the read model has them.
    pub async fn products(&self) -> Said {
        self.send(self.http.get(self.url("/api/ecommerce/inventory/state")), PATIENCE).await
    }

    async fn send(&self, request: reqwest::RequestBuilder, patience: Duration) -> Said {
        // Asked before and after: a fault may end while the answer is on its way.
        let excused = self.record.is_excused();
        let answer = request.timeout(patience).send().await;
        let said = match answer {
            Ok(answer) => {
                let status = answer.status();
                match (status, answer.json::<Value>().await) {
                    (status, Ok(body)) if status.is_success() => Ok(Said::Yes(body)),
                    (status, Ok(body)) if status.is_client_error() => {
                        Ok(Said::No(format!("{} {}", status.as_u16(), body["code"].as_str().unwrap_or_default())))
                    }
                    (status, Ok(_)) if matches!(status.as_u16(), 503 | 504) => Err((status.as_str().to_owned(), true)),
                    (status, Ok(body)) => Err((format!("{} {}", status.as_u16(), body["code"]), false)),
                    (status, Err(_)) => Err((format!("{} cut off", status.as_u16()), true)),
                }
            }
            Err(error) if error.is_timeout() => Err(("no answer in time".to_owned(), true)),
            Err(error) if error.is_connect() => Err(("no connection".to_owned(), true)),
            Err(_) => Err(("connection cut".to_owned(), true)),
        };
        match said {
            Ok(said) => {
                self.record.count_answer(if matches!(said, Said::Yes(_)) { "yes" } else { "no" });
                said
            }
            Err((what, may_be)) => {
                self.record.count_answer(&what);
                if !may_be || !(excused || self.record.is_excused()) {
                    self.record.breach(Breach::BadAnswer, what);
                }
                Said::Unclear
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}
