//! The first complete story, with the real binary and its private database: bootstrap, order, the other page, settlement,
//! restart.

use crate::support::page::Page;
use crate::support::place::{Place, on_each_log};
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

on_each_log!(
    an_order_settles_and_every_open_page_sees_it,
    an_order_through_the_wal_settles_and_moves_the_other_page,
    a_shortfall_is_reported_and_stock_is_never_negative,
    roles_come_and_go_while_the_process_runs,
);

async fn an_order_settles_and_every_open_page_sees_it(place: Place) {
    let mut server = Server::start_filled(place.options()).await;
    let products = server.get("/api/ecommerce/products?limit=1000").await;
    assert_eq!(products.as_array().unwrap().len(), 200);

    let mut other = Page::open(&server.socket_url("session-other")).await;
    assert_eq!(other.products.len(), 200);
    assert_eq!(other.stock("PROD_0001"), Some(17));

    let shopper = Shopper::new("buyer");
    let cart = shopper.add(&server, "PROD_0001", 2).await;
    assert_eq!(cart["totalAmount"], 3799.98);
    let (status, order) = shopper.checkout(&server, false).await;
    assert_eq!((status, order["status"].as_str()), (200, Some("PENDING")), "{order}");
    let id = order["orderId"].as_str().unwrap().to_owned();

    other.until("the stock to fall", |page| page.stock("PROD_0001") == Some(15)).await;
    let settled = shopper.settled(&server, &id).await;
    assert_eq!(settled["status"], "CONFIRMED");
    assert_eq!(settled["items"][0]["allocated"], 2);

    server.kill();
    server.resume().await;
    assert_eq!(server.get("/api/ecommerce/product/PROD_0001").await["inventory"], 15);
    assert_eq!(shopper.settled(&server, &id).await["status"], "CONFIRMED");
    assert_eq!(server.terminate(), Some(0), "a stop is no failure\n{}", server.log_tail());
}

async fn an_order_through_the_wal_settles_and_moves_the_other_page(place: Place) {
    let server = Server::start_filled(place.options()).await;
    let mut other = Page::open(&server.socket_url("session-other")).await;
    let shopper = Shopper::new("captured");
    shopper.add(&server, "PROD_0003", 1).await;
    let before = other.stock("PROD_0003").unwrap();
    let (status, order) = shopper.checkout(&server, true).await;
    assert_eq!(status, 200, "{order}");
    other.until("the stock to fall", |page| page.stock("PROD_0003") == Some(before - 1)).await;
    assert_eq!(shopper.settled(&server, order["orderId"].as_str().unwrap()).await["status"], "CONFIRMED");
}

async fn a_shortfall_is_reported_and_stock_is_never_negative(place: Place) {
    let server = Server::start_filled(place.options()).await;
    let (greedy, late) = (Shopper::new("greedy"), Shopper::new("late"));
    greedy.add(&server, "PROD_0084", 9).await;
    late.add(&server, "PROD_0084", 1).await;
    let (_, first) = greedy.checkout(&server, false).await;
    let first = greedy.settled(&server, first["orderId"].as_str().unwrap()).await;
    assert_eq!(first["status"], "BACKORDERED");
    assert_eq!((&first["items"][0]["allocated"], &first["items"][0]["shortfall"]), (&5.into(), &4.into()));
    let (_, second) = late.checkout(&server, false).await;
    let second = late.settled(&server, second["orderId"].as_str().unwrap()).await;
    assert_eq!(second["status"], "REJECTED");
    assert_eq!(server.get("/api/ecommerce/product/PROD_0084").await["inventory"], 0);
}

async fn roles_come_and_go_while_the_process_runs(place: Place) {
    let options = Options { arguments: vec!["--roles".to_owned(), "api".to_owned()], ..place.options() };
    let server = Server::start(options).await;
    server.until_inventory("stopped").await;
    assert_eq!(server.get("/api/ecommerce/status").await["catalog"], "empty");

    let mut page = Page::open(&server.socket_url("session-early")).await;
    assert!(page.products.is_empty());
    assert_eq!(server.operate("/admin/roles/inventory/start", &serde_json::Value::Null).await.0, 200);
    page.until("the shop to fill by itself", |page| page.products.len() == 200).await;

    assert_eq!(server.operate("/admin/roles/inventory/stop", &serde_json::Value::Null).await.0, 200);
    server.until_inventory("stopped").await;
    let shopper = Shopper::new("patient");
    shopper.add(&server, "PROD_0002", 1).await;
    let (code, order) = shopper.checkout(&server, false).await;
    assert_eq!(code, 200, "checkout does not need the inventory: {order}");
    assert_eq!(server.operate("/admin/roles/inventory/start", &serde_json::Value::Null).await.0, 200);
    assert_eq!(shopper.settled(&server, order["orderId"].as_str().unwrap()).await["status"], "CONFIRMED");
}
