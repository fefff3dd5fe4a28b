//! Pages: WebSocket clients that apply the frames they receive, record them, and reconnect when they are cut off.
//!
//! Every second page can resume. It disconnects now and then right after it received a cursor: a change that the cursor wrongly
//! covers is then never sent to it. A connected page must receive what other pages received, within a bounded time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_util::sync::CancellationToken;

use super::record::{Breach, DrillRecord, Revision};

/// Wait before a page that was cut off reconnects.
const AGAIN: Duration = Duration::from_millis(300);
/// Silence, without even a ping, after which the connection counts as dead.
const SILENCE: Duration = Duration::from_secs(30);
/// The subprotocol of the shop's own page, which can resume.
const RESUMING: HeaderValue = HeaderValue::from_static("kartshoppe.v1");

/// A resuming page disconnects after this many cursors.
const LEAVES_AFTER: u32 = 3;
/// What one page was sent, every connected page must be sent within this time.
const SHOWN_WITHIN: Duration = Duration::from_secs(15);
const COMPARE_EVERY: Duration = Duration::from_secs(1);

/// Stock of each product as a page shows it, with life and version.
type ShownStock = BTreeMap<String, (u64, u64, i64)>;

/// State of one page.
#[derive(Debug, Default)]
struct WatchingPage {
    shown: ShownStock,
    /// Since when it has been connected without a break.
    connected: Option<Instant>,
    /// Products that it was found to be behind on: reported once each.
    behind: BTreeSet<String>,
}

/// All pages.
pub struct Gallery {
    base: String,
    record: Arc<DrillRecord>,
    pages: Mutex<BTreeMap<u32, WatchingPage>>,
}

impl Gallery {
    /// No page is connected yet.
    #[must_use]
    pub fn new(base: String, record: Arc<DrillRecord>) -> Self {
        Self { base, record, pages: Mutex::default() }
    }

    /// Runs a page until `over`. Every second page uses the subprotocol that can resume.
    pub async fn watch(self: Arc<Self>, place: u32, over: CancellationToken) {
        self.with(place, |_| ());
        let resumes = place % 2 == 1;
        let mut cursor = None;
        while !over.is_cancelled() {
            over.run_until_cancelled(self.visit(place, resumes, &mut cursor)).await;
            self.with(place, |page| page.connected = None);
            over.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
        }
    }

    /// Checks regularly that all connected pages receive the same, until `over`.
    pub async fn compare(self: Arc<Self>, over: CancellationToken) {
        while over.run_until_cancelled(tokio::time::sleep(COMPARE_EVERY)).await.is_some() {
            let known = self.record.known_for(SHOWN_WITHIN);
            let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
            for (place, page) in pages.iter_mut() {
                if page.connected.is_some_and(|since| since.elapsed() > SHOWN_WITHIN) {
                    page.compare(*place, &known, &self.record);
                }
            }
        }
    }

    /// Pages that do not show this stock, with the first difference.
    #[must_use]
    pub fn differences(&self, stock: &BTreeMap<String, i64>) -> Vec<String> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let difference = |(place, page): (&u32, &WatchingPage)| {
            let shown = &page.shown;
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
        self.with(place, |page| page.connected = Some(Instant::now()));
        let mut cursors = 0;
        while let Ok(Some(Ok(message))) = tokio::time::timeout(SILENCE, socket.next()).await {
            if let Message::Text(text) = message {
                self.record.frame();
                match serde_json::from_str::<Value>(&text) {
                    Ok(frame) => {
                        self.take(place, &frame, cursor);
                        cursors += u32::from(frame["eventType"] == "HEARTBEAT" && cursor.is_some());
                        if cursors == LEAVES_AFTER {
                            return;
                        }
                    }
                    Err(_) => self.record.breach(Breach::FrameWrong, format!("page {place} received a frame that is not JSON")),
                }
            }
        }
    }

    fn take(&self, place: u32, frame: &Value, cursor: &mut Option<String>) {
        let payload = &frame["payload"];
        match frame["eventType"].as_str() {
            Some("PRODUCT_CACHE_SYNC") => {
                let products = payload["products"].as_array().into_iter().flatten();
                let shown: ShownStock = products.filter_map(|product| self.read(product)).collect();
                self.with(place, |page| page.shown = shown);
            }
            Some("PRODUCT_UPDATE") => {
                let Some((product, now)) = self.read(payload) else { return };
                let before = self.with(place, |page| page.shown.insert(product.clone(), now));
                if let Some(before) = before
                    && (before.0, before.1) > (now.0, now.1)
                {
                    let what =
                        format!("page {place} was sent version {}.{} of {product} after {}.{}", now.0, now.1, before.0, before.1);
                    self.record.breach(Breach::FrameWrong, what);
                }
            }
            Some("HEARTBEAT") => {
                // A page that must reload everything has nothing to resume from.
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

    fn with<T>(&self, place: u32, change: impl FnOnce(&mut WatchingPage) -> T) -> T {
        change(self.pages.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_default())
    }
}

impl WatchingPage {
    /// Compares it with what others have shown for long. A product that it does not show at all may have been removed.
    fn compare(&mut self, place: u32, known: &BTreeMap<String, Revision>, record: &DrillRecord) {
        for (product, revision) in known {
            let Some(shown) = self.shown.get(product).map(|shown| (shown.0, shown.1)) else { continue };
            if shown < *revision && self.behind.insert(product.clone()) {
                let what =
                    format!("page {place} shows {product} at {shown:?}, others have shown {revision:?} for {SHOWN_WITHIN:?}");
                record.breach(Breach::PageBehind, what);
            }
        }
    }
}
