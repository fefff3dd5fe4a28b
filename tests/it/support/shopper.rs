//! A shopper over HTTP: cart, checkout, order.

use std::time::Duration;

use serde_json::{Value, json};

use super::server::Server;

/// One session of one shopper.
pub struct Shopper {
    pub session: String,
}

impl Shopper {
    pub fn new(name: &str) -> Self {
        Self { session: format!("session-{name}") }
    }

    /// Puts units of a product into the cart.
    pub async fn add(&self, server: &Server, product: &str, quantity: i64) -> Value {
        let body = json!({"productId": product, "userId": "guest", "quantity": quantity});
        let (status, cart) = server.post(&format!("/api/ecommerce/cart/{}/add", self.session), &body).await;
        assert_eq!(status, 200, "{cart}");
        cart
    }

    /// Checks the cart out; status and body.
    pub async fn checkout(&self, server: &Server, use_cdc: bool) -> (u16, Value) {
        server.post("/api/ecommerce/checkout", &self.checkout_body(use_cdc)).await
    }

    /// The body of this session's checkout.
    pub fn checkout_body(&self, use_cdc: bool) -> Value {
        json!({
            "sessionId": self.session, "userId": "guest", "useCdc": use_cdc, "paymentMethod": "card",
            "shippingAddress": {"name": "A Shopper", "street": "1 Main St", "city": "Town", "state": "TS", "zipCode": "12345", "country": "US"},
        })
    }

    /// Waits until the order has left PENDING; its body.
    pub async fn settled(&self, server: &Server, order: &str) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let body = server.get(&format!("/api/ecommerce/orders/{order}?sessionId={}", self.session)).await;
            if body["status"] != "PENDING" {
                return body;
            }
            assert!(tokio::time::Instant::now() < deadline, "order {order} never settles: {body}\n{}", server.log_tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
