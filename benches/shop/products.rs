//! Many products: how soon a killed shop serves the right stock again, and what a product costs in memory.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use kartshoppe::log::embedded::EmbeddedLog;
use kartshoppe::log::{Start, Stop, Topic, read_topics};
use serde_json::json;
use tokio::time::Instant;

use super::Extent;
use super::figures::{Times, per_second, resident, seconds, thousands};
use super::server::{Options, Server};
use super::table::Table;

const STOCK: i64 = 100;
/// Records of one read of the reference.
const CHUNK: usize = 10_000;

/// `kill -9`, start, right stock of the last product sold; beside nothing but reading the states from the log.
pub async fn measure_restart(table: &mut Table, extent: &Extent) {
    let products = extent.restarted_products;
    let (mut server, _folder) = with_products(products).await;
    let last = products - 1;
    assert_eq!(server.post("/api/ecommerce/cart/restart/add", &json!({"productId": id(last), "quantity": 3})).await.0, 200);
    assert_eq!(server.post("/api/ecommerce/checkout", &json!({"sessionId": "restart", "userId": "guest"})).await.0, 200);
    until_stock(&server, last, STOCK - 3).await;
    let (mut times, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..extent.restarts {
        server.kill();
        reads.push(bare_read(&server).await);
        let began = Instant::now();
        server.resume().await;
        until_stock(&server, last, STOCK - 3).await;
        times.push(began.elapsed());
    }
    let (times, reads) = (Times::new(times), Times::new(reads));
    let what = format!("kill -9 to right stock, {} products", thousands(products as f64));
    let measured = format!("p50 {}, max {}", seconds(times.at(50)), seconds(times.at(100)));
    let reference = format!("only reading the states: p50 {}", seconds(reads.at(50)));
    table.aimed(what, measured, reference, "p50 <= 2 s", times.at(50) <= Duration::from_secs(2));
}

/// Reads `products` of the dead shop to its end.
async fn bare_read(server: &Server) -> Duration {
    let began = Instant::now();
    let log = EmbeddedLog::open_read_only(&server.data().join("log")).await.unwrap();
    let mut reader = read_topics(&log, &[Topic::Products], Start::Beginning, Stop::AtEnd).await.unwrap();
    while !reader.caught_up() {
        reader.read(CHUNK, Duration::from_secs(10)).await.unwrap();
    }
    began.elapsed()
}

/// Resident memory of api and inventory with so many products, less that with the shop's own 200, restarted and after the
/// bootstrap.
pub async fn measure_memory(table: &mut Table, extent: &Extent) {
    let products = extent.weighed_products;
    let small = {
        let server = Server::start_filled(Options::default()).await;
        resident(server.info.pid)
    };
    let began = Instant::now();
    let (mut server, _folder) = with_products(products).await;
    let (took, bootstrapped) = (began.elapsed(), resident(server.info.pid));
    server.kill();
    let began = Instant::now();
    server.resume().await;
    until_shown(&server, products).await;
    let (restarted, again) = (began.elapsed(), resident(server.info.pid));
    let each = |resident: u64| resident.saturating_sub(small) / products as u64;
    let what = format!("memory per product, api and inventory, {} products", thousands(products as f64));
    let measured = format!("{} bytes ({} MB)", each(again), again >> 20);
    let reference = format!("an idle ractor actor alone 8 KB; {} MB with 200 products", small >> 20);
    table.aimed(what, measured, reference, "<= 1.5 KB", each(again) <= 1536);
    let measured = format!("{} bytes ({} MB)", each(bootstrapped), bootstrapped >> 20);
    table.info("  right after the bootstrap", measured, "100,000 live actors among them".to_owned());
    let measured = format!("{} products/s", thousands(per_second(products, took)));
    table.info(
        "  bootstrap from the file, first start and database included",
        measured,
        format!("restarted in {}", seconds(restarted)),
    );
}

async fn with_products(products: usize) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("products.json");
    write(&file, products);
    let server = Server::start(Options::default().set("KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE", file.display())).await;
    until_shown(&server, products).await;
    (server, folder)
}

/// Until inventory and read model have all of them.
async fn until_shown(server: &Server, products: usize) {
    // The last ones of the file first: to ask for all of them costs the shop megabytes.
    for number in products - 20..products {
        until_stock(server, number, STOCK).await;
    }
    loop {
        let metrics = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
        let counts = metrics.lines().filter_map(|line| line.strip_prefix("kartshoppe_inventory_products{")?.split_once("} "));
        let known: f64 = counts.map(|(_, count)| count.parse::<f64>().unwrap()).sum();
        let listed = server.get("/api/ecommerce/products?limit=0").await;
        if known as usize == products && listed.is_array() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_stock(server: &Server, number: usize, units: i64) {
    while stock(server, number).await != Some(units) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn stock(server: &Server, number: usize) -> Option<i64> {
    let answer = server.http.get(server.url(&format!("/api/ecommerce/product/{}", id(number)))).send().await.ok()?;
    answer.json::<serde_json::Value>().await.ok()?["inventory"].as_i64()
}

fn id(number: usize) -> String {
    format!("PROD_{number:07}")
}

fn write(path: &Path, products: usize) {
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    for number in 0..products {
        let product = json!({"productId": id(number), "name": format!("Product number {number}"),
            "description": "A thing worth having, and worth a line or two of description.", "category": "Electronics",
            "brand": "FutureTech", "price": 19.99, "inventory": STOCK, "tags": ["thing", "worth"], "rating": 4.5, "reviewCount": 12});
        let mark = if number == 0 { '[' } else { ',' };
        write!(file, "{mark}{product}").unwrap();
    }
    file.write_all(b"]").unwrap();
    file.flush().unwrap();
}
