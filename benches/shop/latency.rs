//! From the click on "Place order" to the new stock on another page.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::figures::print_times;
use super::server::{Options, Server};

const ORDERS: usize = 300;
const BETWEEN: Duration = Duration::from_millis(10);
/// A page of the log's file, as its commits write them.
const PAGE: usize = 4096;

/// Measures both paths, one order at a time.
pub async fn measure() {
    let server = Server::start_filled(Options::default()).await;
    print_times("one fsync of the same disk", fsyncs(server.data()));
    let (mut page, _) = tokio_tungstenite::connect_async(server.socket_url("watching")).await.unwrap();
    for use_cdc in [false, true] {
        let (mut answers, mut frames) = (Vec::new(), Vec::new());
        for number in 0..ORDERS {
            let session = format!("latency-{use_cdc}-{number}");
            let product = format!("PROD_{:04}", number % 200 + 1);
            let line = json!({"productId": product, "quantity": 1});
            let (status, _) = server.post(&format!("/api/ecommerce/cart/{session}/add"), &line).await;
            assert_eq!(status, 200);
            tokio::time::sleep(BETWEEN).await;
            let began = Instant::now();
            let body = json!({"sessionId": session, "userId": "guest", "useCdc": use_cdc});
            let (status, order) = server.post("/api/ecommerce/checkout", &body).await;
            answers.push(began.elapsed());
            assert_eq!(status, 200, "{order}");
            loop {
                let Message::Text(text) = page.next().await.unwrap().unwrap() else { continue };
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["eventType"] == "PRODUCT_UPDATE" && frame["payload"]["change"]["orderId"] == order["orderId"] {
                    break;
                }
                // A product that is sold out gives no frame: the next one.
                if frame["eventType"] == "PRODUCT_UPDATE" && frame["payload"]["inventory"] == 0 {
                    break;
                }
            }
            frames.push(began.elapsed());
        }
        let path = if use_cdc { "through the WAL" } else { "directly" };
        print_times(&format!("checkout to its answer, {path}"), answers);
        print_times(&format!("checkout to another page's frame, {path}"), frames);
    }
}

#[expect(clippy::disallowed_methods, reason = "the disk's own time, on a thread of its own")]
fn fsyncs(folder: &Path) -> Vec<Duration> {
    let mut file = std::fs::File::create(folder.join("fsync")).unwrap();
    let page = [7_u8; PAGE];
    let sync = |_| {
        let began = std::time::Instant::now();
        file.write_all(&page).unwrap();
        file.sync_data().unwrap();
        began.elapsed()
    };
    (0..ORDERS).map(sync).collect()
}
