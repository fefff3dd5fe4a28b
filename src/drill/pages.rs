//! Pages: WebSocket clients that hold what they are told, write every frame down, and come back when they are cut off.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_util::sync::CancellationToken;

use super::record::{Breach, Record};

/// A page that is cut off comes back after this time.
const AGAIN: Duration = Duration::from_millis(300);
/// Nothing for so long, not even a ping: the line is dead.
const SILENCE: Duration = Duration::from_secs(30);
/// The protocol of our own page: it can resume where it was.
const RESUMING: HeaderValue = HeaderValue::from_static("kartshoppe.v1");

/// Stock of each product as a page shows it, with life and version.
type Shown = BTreeMap<String, (u64, u64, i64)>;

/// All pages.
pub struct Gallery {
    base: String,
    record: Arc<Record>,
    shown: Mutex<BTreeMap<u32, Shown>>,
}

impl Gallery {
    /// Nobody watches yet.
    #[must_use]
    pub fn new(base: String, record: Arc<Record>) -> Self {
        Self { base, record, shown: Mutex::default() }
    }

    /// Watches until it is over. Every second page speaks the protocol that can resume.
    pub async fn watch(self: Arc<Self>, place: u32, over: CancellationToken) {
        self.with(place, |_| ());
        let resumes = place % 2 == 1;
        let mut cursor = None;
        while !over.is_cancelled() {
            over.run_until_cancelled(self.visit(place, resumes, &mut cursor)).await;
            over.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
        }
    }

    /// Pages that do not show this stock, with the first difference.
    #[must_use]
    pub fn differences(&self, stock: &BTreeMap<String, i64>) -> Vec<String> {
        let pages = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let difference = |(place, shown): (&u32, &Shown)| {
            let differs = stock.iter().find(|(product, stock)| shown.get(*product).map(|shown| shown.2) != Some(**stock));
            differs.map(|(product, stock)| {
                let found = shown.get(product).map_or("nothing".to_owned(), |shown| shown.2.to_string());
                format!("page {place} shows {found} of {product}, the shop has {stock}")
            })
        };
        pages.iter().filter_map(difference).collect()
    }

    /// One connection, to its end.
    async fn visit(&self, place: u32, resumes: bool, cursor: &mut Option<String>) {
        let resume = cursor.as_ref().map_or(String::new(), |cursor| format!("?resume={cursor}"));
        let url = format!("{}/ecommerce/drill-page-{place}/guest{resume}", self.base);
        let Ok(mut request) = url.into_client_request() else { return };
        if resumes {
            request.headers_mut().insert("sec-websocket-protocol", RESUMING);
        }
        let Ok((mut socket, _)) = tokio_tungstenite::connect_async(request).await else { return };
        while let Ok(Some(Ok(message))) = tokio::time::timeout(SILENCE, socket.next()).await {
            if let Message::Text(text) = message {
                self.record.frame();
                match serde_json::from_str::<Value>(&text) {
                    Ok(frame) => self.take(place, &frame, cursor),
                    Err(_) => self.record.breach(Breach::FrameWrong, format!("page {place} got what is no JSON")),
                }
            }
        }
    }

    fn take(&self, place: u32, frame: &Value, cursor: &mut Option<String>) {
        let payload = &frame["payload"];
        match frame["eventType"].as_str() {
            Some("PRODUCT_CACHE_SYNC") => {
                let products = payload["products"].as_array().into_iter().flatten();
                let shown: Shown = products.filter_map(|product| self.read(product)).collect();
                self.with(place, |page| *page = shown);
            }
            Some("PRODUCT_UPDATE") => {
                let Some((product, now)) = self.read(payload) else { return };
                let before = self.with(place, |page| page.insert(product.clone(), now));
                if let Some(before) = before
                    && (before.0, before.1) > (now.0, now.1)
                {
                    let what =
                        format!("page {place} was told version {}.{} of {product} after {}.{}", now.0, now.1, before.0, before.1);
                    self.record.breach(Breach::FrameWrong, what);
                }
            }
            Some("HEARTBEAT") => {
                // A page that must read everything again has nothing to resume from.
                *cursor = if payload["reload"] == true { None } else { payload["cursor"].as_str().map(str::to_owned) };
            }
            Some(_) | None => {}
        }
    }

    fn read(&self, product: &Value) -> Option<(String, (u64, u64, i64))> {
        let id = product["productId"].as_str()?;
        let (life, version) = (product["life"].as_u64()?, product["version"].as_u64()?);
        let stock = product["inventory"].as_i64()?;
        self.record.seen(id, life, version, stock);
        Some((id.to_owned(), (life, version, stock)))
    }

    fn with<T>(&self, place: u32, change: impl FnOnce(&mut Shown) -> T) -> T {
        change(self.shown.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_default())
    }
}
