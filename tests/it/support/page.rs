//! A page: a WebSocket client that keeps the latest state of every product, as a browser does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a test waits for an expected event.
const PATIENCE: Duration = Duration::from_secs(60);

/// An open page.
pub struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Latest whole product by id.
    pub products: BTreeMap<String, Value>,
    /// Every frame in the order of arrival.
    pub frames: Vec<Value>,
}

impl Page {
    /// Connects and waits for the first sync.
    pub async fn open(url: &str) -> Self {
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut page = Self { socket, products: BTreeMap::new(), frames: Vec::new() };
        page.until("the first sync", |page| page.frames.iter().any(|frame| frame["eventType"] == "PRODUCT_CACHE_SYNC")).await;
        page
    }

    /// Reads frames until the condition holds.
    pub async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !done(self) {
            let next = tokio::time::timeout_at(deadline, self.read()).await;
            assert!(matches!(next, Ok(true)), "the page waits in vain for {what}; last frame {:?}", self.frames.last());
        }
    }

    /// Reads one frame; `false` if the socket has ended.
    pub async fn read(&mut self) -> bool {
        use futures_util::StreamExt;
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                self.take(&frame);
                self.frames.push(frame);
                true
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => true,
            _ => false,
        }
    }

    /// Stock of a product as this page shows it.
    pub fn stock(&self, product: &str) -> Option<i64> {
        self.products.get(product).and_then(|product| product["inventory"].as_i64())
    }

    fn take(&mut self, frame: &Value) {
        let payload = &frame["payload"];
        if frame["eventType"] == "PRODUCT_CACHE_SYNC" {
            self.products =
                payload["products"].as_array().unwrap().iter().map(|product| (id(product), product.clone())).collect();
        } else if frame["eventType"] == "PRODUCT_UPDATE" {
            self.products.insert(id(payload), payload.clone());
        }
    }
}

fn id(product: &Value) -> String {
    product["productId"].as_str().unwrap().to_owned()
}
