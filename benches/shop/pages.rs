//! A thousand pages on real sockets while products change: frames per CPU-second of the server, and what a connection costs it in
//! memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Extent;
use super::figures::{cpu, per_second, resident, thousands};
use super::reference::Reference;
use super::server::{Options, Server};
use super::table::Table;

/// Products that change at once, and how often.
const AT_ONCE: usize = 20;
const TICK: Duration = Duration::from_millis(20);
const TICKS: usize = 250;
/// A page's frame of one product, about as the shop sends it.
const FRAME_BYTES: usize = 1_200;

/// Measures the shop, and the plain way with frames of the same size.
pub async fn measure(table: &mut Table, extent: &Extent) {
    assert!(kartshoppe::api::server::raise_file_limit() > 3 * extent.pages as u64, "too few files may be open");
    let (plain, plain_bytes) = plain(extent.pages).await;
    let server = Server::start_filled(Options::default()).await;
    let pid = server.info.pid;
    let empty = resident(pid);
    let pages = Pages::open(server.info.http.unwrap(), extent.pages).await;
    // Each is greeted with the whole catalogue first.
    pages.quiet_after(extent.pages).await;
    let bytes = resident(pid).saturating_sub(empty) / extent.pages as u64;
    let state = server.get("/api/ecommerce/products?limit=1000").await;
    let mut products = state.as_array().unwrap().clone();
    let (frames_before, cpu_before, began) = (pages.frames(), cpu(pid), Instant::now());
    let mut clock = tokio::time::interval(TICK);
    for tick in 0..TICKS {
        clock.tick().await;
        change(&server, &mut products, tick).await;
    }
    pages.quiet_after(frames_before).await;
    let (frames, used, took) = (pages.frames() - frames_before, cpu(pid) - cpu_before, began.elapsed());
    let rate = per_second(frames, used);
    let what = format!("fan-out, {} pages, {} changes/s", extent.pages, AT_ONCE * 1000 / TICK.as_millis() as usize);
    let measured = format!("{} frames/CPU-s", thousands(rate));
    let reference = format!("plain WebSockets {} frames/CPU-s", thousands(plain));
    table.aimed(what, measured, reference, ">= 500,000 frames/CPU-s", rate >= 500_000.0);
    let sent = format!("{} frames/s", thousands(per_second(frames, took)));
    table.info(
        "  sent, with inventory and all on the same CPUs",
        sent,
        format!("{} of {} changes x pages", frames, AT_ONCE * TICKS * extent.pages),
    );
    let measured = format!("{:.1} KB", bytes as f64 / 1024.0);
    let reference = format!("plain WebSockets {:.1} KB", plain_bytes as f64 / 1024.0);
    table.aimed("memory per connected page", measured, reference, "<= 8 KB", bytes <= 8 * 1024);
}

/// A few products get another stock.
async fn change(server: &Server, products: &mut [Value], tick: usize) {
    let count = products.len();
    let places = (0..AT_ONCE).map(|n| (tick * AT_ONCE + n) % count);
    let changed: Vec<Value> = places
        .map(|place| {
            products[place]["inventory"] = json!(tick % 1000 + 20);
            json!({"key": products[place]["productId"], "value": products[place]})
        })
        .collect();
    let (status, answer) = server.operate("/admin/topics/product-updates/records", &json!({"records": changed})).await;
    assert_eq!(status, 200, "{answer}");
}

/// The same number of pages and messages the plain way: frames per CPU-second, bytes per page.
async fn plain(count: usize) -> (f64, u64) {
    let mut reference = Reference::start("pages");
    let empty = resident(reference.pid());
    let pages = Pages::open(reference.address, count).await;
    let cpu_before = cpu(reference.pid());
    let mut clock = tokio::time::interval(TICK);
    // Less of it: the plain way would be busy for minutes.
    for _ in 0..TICKS / 5 {
        clock.tick().await;
        for _ in 0..AT_ONCE {
            reference.push(FRAME_BYTES);
        }
    }
    pages.quiet_after(0).await;
    let used = cpu(reference.pid()) - cpu_before;
    (per_second(pages.frames(), used), resident(reference.pid()).saturating_sub(empty) / count as u64)
}

/// Connected pages that count frames and throw them away.
struct Pages {
    frames: Arc<AtomicUsize>,
    _readers: JoinSet<()>,
}

impl Pages {
    async fn open(address: SocketAddr, count: usize) -> Self {
        let (frames, mut readers) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for number in 0..count {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let text = format!(
                "GET /ecommerce/page-{number}/guest HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            stream.write_all(text.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
            readers.spawn(count_frames(stream, frames.clone()));
        }
        Self { frames, _readers: readers }
    }

    fn frames(&self) -> usize {
        self.frames.load(Ordering::Relaxed)
    }

    /// Waits until there are more frames than these, and then no more of them for a while.
    async fn quiet_after(&self, least: usize) {
        let mut seen = 0;
        while seen <= least || seen != self.frames() {
            seen = self.frames();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// Counts text frames; what is in them is skipped.
async fn count_frames(mut stream: TcpStream, frames: Arc<AtomicUsize>) {
    let (mut buffer, mut filled) = (vec![0_u8; 32 * 1024], 0);
    let mut skip = 0;
    while let Ok(count) = stream.read(&mut buffer[filled..]).await {
        if count == 0 {
            return;
        }
        let (end, mut at) = (filled + count, 0);
        loop {
            let skipped = skip.min(end - at);
            at += skipped;
            skip -= skipped;
            let Some((header, payload)) = header(&buffer[at..end]) else { break };
            frames.fetch_add(usize::from(buffer[at] & 0x0f == 1), Ordering::Relaxed);
            at += header;
            skip = payload;
        }
        buffer.copy_within(at..end, 0);
        filled = end - at;
    }
}

/// Length of a frame's header and of its payload, once the header is there.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? {
        126 => Some((4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())))),
        127 => Some((10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap())).unwrap())),
        short => Some((2, usize::from(*short))),
    }
}
