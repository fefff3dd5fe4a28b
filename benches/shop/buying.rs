//! Checkouts a second, beside `pgbench` that only inserts the same rows.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::time::Instant;

use super::Extent;
use super::figures::{per_second, percent, thousands};
use super::server::{Options, Server};
use super::table::Table;

const BUYERS: usize = 16;
const ITEMS: usize = 2;
const PGBENCH_SECONDS: u32 = 5;
/// What a checkout inserts: order, items, key. Rows of the past, which are not published.
const SCRIPT: &str = "
\\set number random(1, 1000000000)
WITH key AS (
    INSERT INTO idempotency_keys (key, fingerprint, order_id) VALUES (gen_random_uuid()::text, '\\x00', gen_random_uuid()::text) RETURNING order_id
), placed AS (
    INSERT INTO orders (order_id, customer_id, subtotal, tax, shipping, total, payment_method, shipping_address, session_id, created_at, updated_at)
    SELECT order_id, 'pgbench', 19.98, 1.6, 5.99, 27.57, 'card', NULL, 'pgbench-' || :number, now(), now() FROM key RETURNING order_id
)
INSERT INTO order_items (order_item_id, order_id, product_id, quantity, unit_price, line_total, publish_via, product_name)
SELECT gen_random_uuid()::text, order_id, 'PROD_000' || item, 1, 9.99, 9.99, 'history', 'A product' FROM placed, generate_series(1, 2) AS item;
";

/// Measures: pgbench, the shop, pgbench again, since the machine drifts.
pub async fn measure(table: &mut Table, extent: &Extent) {
    let orders = extent.checkouts;
    let server = Arc::new(Server::start_filled(Options::default()).await);
    let url = server.database_url();
    fill_carts(&server, orders).await;
    let reference = pgbench(server.data(), &url);
    let (began, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let buyers: Vec<_> = (0..BUYERS).map(|_| tokio::spawn(buy(server.clone(), next.clone(), orders))).collect();
    for buyer in buyers {
        buyer.await.unwrap();
    }
    let rate = per_second(orders, began.elapsed());
    let again = pgbench(server.data(), &url);
    let (what, measured) = (format!("checkouts, {BUYERS} buyers, {ITEMS} items each"), format!("{} /s", thousands(rate)));
    match reference.zip(again) {
        Some((before, after)) => {
            let middle = f64::midpoint(before, after);
            let reference =
                format!("pgbench, same inserts: {}, then {} /s ({})", thousands(before), thousands(after), percent(rate, middle));
            table.aimed(what, measured, reference, ">= 80 % of pgbench", rate >= 0.8 * middle);
        }
        None => table.info(what, measured, "SKIPPED pgbench: apt-get install postgresql-contrib".to_owned()),
    }
}

async fn fill_carts(server: &Arc<Server>, orders: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let fill = |_| {
        let (server, next) = (server.clone(), next.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= orders {
                    return;
                }
                for item in 0..ITEMS {
                    let line = json!({"productId": format!("PROD_{:04}", (number * ITEMS + item) % 200 + 1), "quantity": 1});
                    let (status, cart) = server.post(&format!("/api/ecommerce/cart/bench-{number}/add"), &line).await;
                    assert_eq!(status, 200, "{cart}");
                }
            }
        })
    };
    for filler in (0..BUYERS).map(fill).collect::<Vec<_>>() {
        filler.await.unwrap();
    }
}

async fn buy(server: Arc<Server>, next: Arc<AtomicUsize>, orders: usize) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= orders {
            return;
        }
        let body = json!({"sessionId": format!("bench-{number}"), "userId": "guest", "useCdc": false, "paymentMethod": "card"});
        let request =
            server.http.post(server.url("/api/ecommerce/checkout")).header("idempotency-key", format!("bench-{number}"));
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap();
    }
}

/// Transactions a second; `None` where there is no pgbench.
fn pgbench(folder: &Path, url: &str) -> Option<f64> {
    let program = [std::env::var("KARTSHOPPE__POSTGRES__BIN_DIR").unwrap_or_default(), "/usr/bin".to_owned()]
        .map(|folder| PathBuf::from(folder).join("pgbench"))
        .into_iter()
        .find(|program| program.exists())?;
    let script = folder.join("pgbench.sql");
    std::fs::write(&script, SCRIPT).unwrap();
    let output = Command::new(program)
        .args([
            "--no-vacuum",
            "--protocol=prepared",
            "--jobs=2",
            &format!("--client={BUYERS}"),
            &format!("--time={PGBENCH_SECONDS}"),
        ])
        .arg(format!("--file={}", script.display()))
        .arg(url)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    Some(rate.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr))))
}
