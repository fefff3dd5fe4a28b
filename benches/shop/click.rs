//! From the click on "Place order" to the new stock on another page.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::Extent;
use super::figures::{Times, fsyncs, millis};
use super::server::{Options, Server};
use super::table::Table;

/// Between the cart's last change and the click, so that the machine is quiet.
const BETWEEN: Duration = Duration::from_millis(10);

/// Measures both paths, one order at a time.
pub async fn measure(table: &mut Table, extent: &Extent) {
    let server = Server::start_filled(Options::default()).await;
    let fsync = fsyncs(server.data());
    let direct = clicks(&server, extent.clicks, false).await;
    let reference = format!("its answer: {}; one fsync {fsync}", direct.answered);
    let (at, aim) = (direct.seen.at(50), "p50 <= 15 ms");
    table.aimed("checkout to another page's frame", direct.seen.to_string(), reference, aim, at <= Duration::from_millis(15));
    let wal = clicks(&server, extent.clicks, true).await;
    let reference = format!("its answer: {}; direct p50 {}", wal.answered, millis(at));
    let met = wal.seen.at(50) <= at + Duration::from_millis(5);
    table.aimed("  the same through the WAL", wal.seen.to_string(), reference, "p50 <= direct + 5 ms", met);
}

struct Clicks {
    answered: Times,
    seen: Times,
}

async fn clicks(server: &Server, orders: usize, use_cdc: bool) -> Clicks {
    let (mut page, _) = tokio_tungstenite::connect_async(server.socket_url("watching")).await.unwrap();
    let (mut answered, mut seen) = (Vec::new(), Vec::new());
    let in_stock = server.get("/api/ecommerce/products?limit=1000&inStock=true").await;
    let mut shelf: Vec<(String, i64)> = in_stock.as_array().unwrap().iter().map(row).collect();
    for number in 0..orders {
        // One that is still there: a product that is sold out gives no frame.
        let place = number % shelf.len();
        let session = format!("click-{use_cdc}-{number}");
        let line = json!({"productId": shelf[place].0, "quantity": 1});
        shelf[place].1 -= 1;
        shelf.retain(|(_, stock)| *stock > 0);
        assert_eq!(server.post(&format!("/api/ecommerce/cart/{session}/add"), &line).await.0, 200);
        tokio::time::sleep(BETWEEN).await;
        let began = Instant::now();
        let body = json!({"sessionId": session, "userId": "guest", "useCdc": use_cdc});
        let (status, order) = server.post("/api/ecommerce/checkout", &body).await;
        answered.push(began.elapsed());
        assert_eq!(status, 200, "{order}");
        loop {
            let Message::Text(text) = page.next().await.unwrap().unwrap() else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["eventType"] == "PRODUCT_UPDATE" && frame["payload"]["change"]["orderId"] == order["orderId"] {
                break;
            }
        }
        seen.push(began.elapsed());
    }
    Clicks { answered: Times::new(answered), seen: Times::new(seen) }
}

fn row(product: &Value) -> (String, i64) {
    (product["productId"].as_str().unwrap().to_owned(), product["inventory"].as_i64().unwrap())
}
