//! Many products: how soon a killed shop serves the right stock again, and what a product costs in memory.

use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::json;
use tokio::time::Instant;

use super::figures::{per_second, resident};
use super::server::{Options, Server};

/// `kill -9`, start, right stock of the last product sold.
pub async fn measure_restart(products: usize) {
    let (mut server, _folder) = with_products(products).await;
    let line = json!({"productId": id(products - 1), "quantity": 3});
    assert_eq!(server.post("/api/ecommerce/cart/restart/add", &line).await.0, 200);
    assert_eq!(server.post("/api/ecommerce/checkout", &json!({"sessionId": "restart", "userId": "guest"})).await.0, 200);
    while stock(&server, products - 1).await != Some(97) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mut times = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        server.kill();
        server.resume().await;
        while stock(&server, products - 1).await != Some(97) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        times.push(began.elapsed());
    }
    super::figures::print_times(&format!("kill -9 to right stock, {products} products"), times);
}

/// Resident memory with so many products, less that with the shop's own 200.
pub async fn measure_memory(products: usize) {
    let small = {
        let server = Server::start_filled(Options::default()).await;
        resident(server.info.pid)
    };
    let began = Instant::now();
    let (server, _folder) = with_products(products).await;
    println!("{:<44} {:>9.0} products/s", format!("bootstrap of {products}"), per_second(products, began.elapsed()));
    let large = resident(server.info.pid);
    let each = large.saturating_sub(small) / products as u64;
    println!("{:<44} {each:>9} bytes ({} MB in all; {} MB with 200)", "memory per product", large >> 20, small >> 20);
    // The same shop started again holds no product's actor and nothing of the bootstrap.
    let mut server = server;
    server.kill();
    let began = Instant::now();
    server.resume().await;
    until_shown(&server, products).await;
    let again = resident(server.info.pid);
    let each = again.saturating_sub(small) / products as u64;
    println!(
        "{:<44} {each:>9} bytes ({} MB; right again after {:.1?})",
        "memory per product, restarted",
        again >> 20,
        began.elapsed()
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

/// Until the inventory has all of them, and the read model the last ones of the file.
async fn until_shown(server: &Server, products: usize) {
    for number in products - 20..products {
        while stock(server, number).await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    loop {
        let metrics = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
        let listed = metrics
            .lines()
            .find_map(|line| line.strip_prefix("kartshoppe_inventory_products{state=\"known\"} ")?.parse::<usize>().ok());
        if listed == Some(products) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
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
            "brand": "FutureTech", "price": 19.99, "inventory": 100, "tags": ["thing", "worth"], "rating": 4.5, "reviewCount": 12});
        let mark = if number == 0 { '[' } else { ',' };
        write!(file, "{mark}{product}").unwrap();
    }
    file.write_all(b"]").unwrap();
    file.flush().unwrap();
}
