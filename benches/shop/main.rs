//! The whole shop from outside: the real program, its database, HTTP and WebSocket, on this machine.
//!
//! `cargo bench --bench shop [-- PRODUCTS]`: from a checkout to another page's frame by both paths, beside one fsync of the same disk;
//! checkouts a second beside `pgbench` with the same inserts; product reads per CPU-second of the shop; restart after `kill -9` with
//! 100,000 products; memory with PRODUCTS of them (default 1,000,000).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark stops where it fails")]

mod buying;
mod figures;
mod latency;
mod products;
mod reading;
#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/it/support/server.rs"]
mod server;

fn main() {
    let asked = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let million = asked.map_or(1_000_000, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        latency::measure().await;
        buying::measure().await;
        reading::measure().await;
        products::measure_restart(100_000).await;
        products::measure_memory(million).await;
    });
}
