//! What telemetry costs: CPU of the server per read, per product update and per purchase, with spans off, with the default sampling
//! and with every trace sampled; and what a collector that never answers changes under load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Extent;
use super::figures::{cpu, per_second, resident, thousands};
use super::reading::reads;
use super::server::{Options, Server};
use super::table::Table;

const PAIRS: usize = 7;
/// Of a collector that is frozen, and as many of one that is not.
const TURNS: u32 = 3;
const UPDATES_AT_ONCE: usize = 50;
const BUYERS: usize = 8;

/// Compares servers that live side by side, as the machine drifts.
pub async fn measure(table: &mut Table, extent: &Extent) {
    let (_answers, is_frozen) = watch::channel(false);
    let collector = collector(is_frozen).await;
    let off = Server::start_filled(Options::default()).await;
    let sampled = Server::start_filled(sent_to(collector)).await;
    let full = Server::start_filled(sent_to(collector).set("OTEL_TRACES_SAMPLER", "always_on")).await;
    let shops = [Arc::new(off), Arc::new(sampled), Arc::new(full)];
    let loads = [
        ("read", extent.reads / 8),
        ("product update", extent.steady.as_secs() as usize * 1_000),
        ("purchase", extent.checkouts / 10),
    ];
    for (what, count) in loads {
        let mut costs = [const { Vec::new() }; 3];
        for pair in 0..PAIRS {
            // Each begins as often as it comes last.
            for place in 0..shops.len() {
                let mode = (pair + place) % shops.len();
                costs[mode].push(cost(&shops[mode], what, count, pair).await);
            }
        }
        let ratio = |mode: usize| median(costs[mode].iter().zip(&costs[0]).map(|(with, without)| with / without).collect());
        let (by_default, always) = (ratio(1), ratio(2));
        let measured = format!("x {by_default:.3}, every trace x {always:.3}");
        let reference = format!("off: {:.1} us of CPU each, {PAIRS} pairs", median(costs[0].clone()) * 1e6);
        table.aimed(format!("telemetry, CPU per {what}"), measured, reference, "default <= x 1.03", by_default <= 1.03);
    }
    drop(shops);
    frozen(table, extent).await;
}

fn sent_to(collector: SocketAddr) -> Options {
    Options::default().set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// CPU seconds of the server for each.
async fn cost(shop: &Arc<Server>, what: &str, count: usize, round: usize) -> f64 {
    let pid = shop.info.pid;
    if what == "read" {
        return 1.0 / reads(shop.info.http.unwrap(), pid, "", "200", count).await;
    }
    let before = cpu(pid);
    match what {
        "product update" => update(shop, count, round).await,
        _ => {
            purchases(shop, Until::Count(count)).await;
        }
    };
    // The last events are handled and their spans sent a moment later.
    quiet(shop).await;
    (cpu(pid) - before).as_secs_f64() / count as f64
}

/// Waits until every reader has passed the end.
async fn quiet(shop: &Server) {
    loop {
        let text = shop.http.get(shop.admin("/metrics")).send().await.unwrap().text().await.unwrap();
        let lags = text.lines().filter(|line| line.starts_with("kartshoppe_reader_lag_records{"));
        if lags.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum::<f64>() == 0.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn update(shop: &Server, count: usize, round: usize) {
    let mut products = shop.get("/api/ecommerce/products?limit=200").await.as_array().unwrap().clone();
    for batch in 0..count / UPDATES_AT_ONCE {
        let places = (0..UPDATES_AT_ONCE).map(|place| (batch * UPDATES_AT_ONCE + place) % 200);
        let records: Vec<Value> = places
            .map(|place| {
                products[place]["inventory"] = json!((round * 31 + batch) % 1_000 + 10_000);
                json!({"key": products[place]["productId"], "value": products[place]})
            })
            .collect();
        let (status, answer) = shop.operate("/admin/topics/product-updates/records", &json!({"records": records})).await;
        assert_eq!(status, 200, "{answer}");
    }
}

#[derive(Clone, Copy)]
enum Until {
    Count(usize),
    Time(Instant),
}

/// Purchases, each with its cart; how many.
async fn purchases(shop: &Arc<Server>, until: Until) -> usize {
    let next = Arc::new(AtomicUsize::new(0));
    let buyer = |_| {
        let (shop, next) = (shop.clone(), next.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let is_over = match until {
                    Until::Count(count) => number >= count,
                    Until::Time(end) => Instant::now() >= end,
                };
                if is_over {
                    next.fetch_sub(1, Ordering::Relaxed);
                    return;
                }
                buy(&shop, number).await;
            }
        })
    };
    for buyer in (0..BUYERS).map(buyer).collect::<Vec<_>>() {
        buyer.await.unwrap();
    }
    next.load(Ordering::Relaxed)
}

async fn buy(shop: &Server, number: usize) {
    let session = format!("telemetry-{}", uuid::Uuid::new_v4().simple());
    let line = json!({"productId": format!("PROD_{:04}", number % 200 + 1), "quantity": 1});
    let (status, cart) = shop.post(&format!("/api/ecommerce/cart/{session}/add"), &line).await;
    assert_eq!(status, 200, "{cart}");
    let body = json!({"sessionId": session, "userId": "guest", "useCdc": false, "paymentMethod": "card"});
    let (status, order) = shop.post("/api/ecommerce/checkout", &body).await;
    assert_eq!(status, 200, "{order}");
}

/// A collector that stops answering and goes on, in turns, below one process: purchases a second, memory, and what was dropped.
async fn frozen(table: &mut Table, extent: &Extent) {
    // A minute of it in a full run, in turns that outlast the exporter's time limit of ten seconds.
    let turn = if extent.pages >= 1_000 { Duration::from_secs(60) / TURNS } else { extent.steady * 2 };
    let (freeze, is_frozen) = watch::channel(false);
    let options = sent_to(collector(is_frozen).await).set("OTEL_TRACES_SAMPLER", "always_on");
    let shop = Arc::new(Server::start_filled(options).await);
    purchases(&shop, Until::Count(200)).await;
    let before = resident(shop.info.pid);
    let mut turns = [const { Vec::new() }; 2];
    for place in 0..2 * TURNS {
        // Each begins as often as it comes last.
        let is_frozen = (place / 2 + place) % 2 == 1;
        freeze.send_replace(is_frozen);
        turns[usize::from(is_frozen)].push(Turn::of(&shop, turn).await);
    }
    freeze.send_replace(false);
    let [well, frozen] = turns;
    let rate = |turns: &[Turn]| median(turns.iter().map(|turn| turn.rate).collect());
    let ratio = median(frozen.iter().zip(&well).map(|(frozen, well)| frozen.rate / well.rate).collect());
    let sum = |turns: &[Turn], of: fn(&Turn) -> f64| turns.iter().map(of).sum::<f64>();
    let grown = |turns: &[Turn]| sum(turns, |turn| turn.grown) / 1024.0 / 1024.0;
    let dropped = |turns: &[Turn]| thousands(sum(turns, |turn| turn.dropped));
    table.info(
        format!("collector frozen for {} s in {TURNS} turns, every trace", (turn * TURNS).as_secs()),
        format!(
            "{:.0} purchases/s (x {ratio:.3}), {:.0} MB more, {} spans dropped",
            rate(&frozen),
            grown(&frozen),
            dropped(&frozen)
        ),
        format!(
            "while it answers: {:.0}/s, {:.0} MB more, {} dropped; resident {} MB before, {} MB after",
            rate(&well),
            grown(&well),
            dropped(&well),
            before / 1024 / 1024,
            resident(shop.info.pid) / 1024 / 1024
        ),
    );
}

/// What a while of purchases showed.
struct Turn {
    rate: f64,
    /// Bytes of resident memory.
    grown: f64,
    dropped: f64,
}

impl Turn {
    async fn of(shop: &Arc<Server>, time: Duration) -> Self {
        let (memory, dropped, began) = (resident(shop.info.pid), dropped(shop).await, Instant::now());
        let count = purchases(shop, Until::Time(began + time)).await;
        let rate = per_second(count, began.elapsed());
        let grown = resident(shop.info.pid) as f64 - memory as f64;
        Self { rate, grown, dropped: self::dropped(shop).await - dropped }
    }
}

/// Spans that did not reach the collector so far.
async fn dropped(shop: &Server) -> f64 {
    let text = shop.http.get(shop.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    let dropped = text.lines().filter(|line| line.starts_with("kartshoppe_telemetry_spans_dropped_total{"));
    dropped.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

/// Takes everything over HTTP and says that it is well, but reads and says nothing while it is frozen.
async fn collector(is_frozen: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, is_frozen.clone()));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, mut is_frozen: watch::Receiver<bool>) {
    let mut head = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let end = loop {
            if is_frozen.wait_for(|is_frozen| !is_frozen).await.is_err() {
                return;
            }
            if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(got) => head.extend_from_slice(&buffer[..got]),
            }
        };
        let text = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok()).unwrap_or(0);
        while head.len() < end + length {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(got) => head.extend_from_slice(&buffer[..got]),
            }
        }
        head.drain(..end + length);
        if is_frozen.wait_for(|is_frozen| !is_frozen).await.is_err() {
            return;
        }
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
            return;
        }
    }
}
