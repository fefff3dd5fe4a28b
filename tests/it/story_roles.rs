//! Roles that start and stop while the process runs: an open page shows which is missing, and fills by itself when the inventory
//! starts.

use serde_json::{Value, json};

use crate::support::page::Page;
use crate::support::place::{Place, on_each_log};
use crate::support::raw::RawSocket;
use crate::support::server::Server;
use crate::support::shopper::Shopper;

const V1: &str = "Sec-WebSocket-Protocol: kartshoppe.v1\r\n";

/// What the page's heartbeat says of inventory and catalogue.
async fn until_status(page: &mut RawSocket, inventory: &str, catalog: &str) {
    loop {
        let heartbeat = page.until("HEARTBEAT").await;
        let status = &heartbeat["payload"]["status"];
        if (&status["inventory"], &status["catalog"]) == (&json!(inventory), &json!(catalog)) {
            return;
        }
    }
}

async fn act(server: &Server, role: &str, act: &str) {
    let (status, answer) = server.operate(&format!("/admin/roles/{role}/{act}"), &Value::Null).await;
    assert_eq!(status, 200, "{act} {role}: {answer}");
}

on_each_log!(an_api_alone_says_so_and_fills_when_the_inventory_starts);

async fn an_api_alone_says_so_and_fills_when_the_inventory_starts(place: Place) {
    let mut options = place.options().set("KARTSHOPPE__WS__HEARTBEAT_INTERVAL", "200ms");
    options.arguments = vec!["--roles".to_owned(), "api".to_owned()];
    let server = Server::start(options).await;
    let mut raw = RawSocket::open(server.info.http.unwrap(), "/ecommerce/session-roles/guest", V1).await;
    until_status(&mut raw, "stopped", "empty").await;
    let mut page = Page::open(&server.socket_url("session-other")).await;
    assert_eq!(page.products.len(), 0, "an empty shop is an empty shop, not an error");

    act(&server, "inventory", "start").await;
    page.until("all products, without a reload", |page| page.products.len() == 200).await;
    until_status(&mut raw, "running", "live").await;

    // Without it the shop still sells; the order waits, and settles once the inventory is back.
    act(&server, "inventory", "stop").await;
    until_status(&mut raw, "stopped", "live").await;
    let shopper = Shopper::new("patient");
    shopper.add(&server, "PROD_0001", 2).await;
    let (status, order) = shopper.checkout(&server, false).await;
    assert_eq!((status, &order["status"]), (200, &json!("PENDING")), "{order}");
    let id = order["orderId"].as_str().unwrap();
    let waiting = server.get(&format!("/api/ecommerce/orders/{id}?sessionId={}", shopper.session)).await;
    assert_eq!(waiting["status"], "PENDING");
    act(&server, "inventory", "start").await;
    assert_eq!(shopper.settled(&server, id).await["status"], "CONFIRMED");
    page.until("the stock to fall", |page| page.stock("PROD_0001") == Some(15)).await;
}
