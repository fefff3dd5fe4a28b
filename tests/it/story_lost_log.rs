//! The log is moved away from the shop, running or stopped: no order is accepted that could not be settled, and no stock is sold
//! twice.

use std::fs;

use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

async fn buy(server: &Server, name: &str) -> u16 {
    let shopper = Shopper::new(name);
    shopper.add(server, "PROD_0001", 1).await;
    let (status, order) = shopper.checkout(server, false).await;
    if status == 200 {
        shopper.settled(server, order["orderId"].as_str().unwrap()).await;
    }
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_whose_log_is_elsewhere_sells_nothing_until_it_is_back() {
    let mut server = Server::start_filled(Options::default()).await;
    assert_eq!(buy(&server, "first").await, 200);
    let (log, elsewhere) = (server.data().join("log"), server.data().join("elsewhere"));
    fs::rename(&log, &elsewhere).unwrap();
    assert_eq!(buy(&server, "meanwhile").await, 503);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    fs::rename(&elsewhere, &log).unwrap();
    while buy(&server, "afterwards").await != 200 {
        assert!(tokio::time::Instant::now() < deadline, "no orders though the log is back\n{}", server.log_tail());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let stock = server.get("/api/ecommerce/product/PROD_0001").await["inventory"].clone();

    // Stopped, and the log moved away: an empty log would fill the shop again.
    assert_eq!(server.terminate(), Some(0));
    fs::rename(&log, &elsewhere).unwrap();
    let mut again = server.command(&["serve"]);
    again.env("KARTSHOPPE__HTTP__LISTEN", "127.0.0.1:0").env("KARTSHOPPE__ADMIN__LISTEN", "127.0.0.1:0");
    let output = again.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("put the right log back") && told.contains("db reset"), "{told}");
    assert!(!log.join("kartshoppe.log.sqlite").exists(), "nothing was made in its place");
    fs::remove_dir_all(&log).unwrap();
    fs::rename(&elsewhere, &log).unwrap();
    server.resume().await;
    assert_eq!(server.get("/api/ecommerce/product/PROD_0001").await["inventory"], stock);
}
