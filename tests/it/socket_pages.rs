//! The page's socket as the existing client uses it, and the additions for our own page.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::place::{Place, on_each_log};
use crate::support::raw::{Frame, RawSocket, masked};
use crate::support::server::Server;
use crate::support::shopper::Shopper;

on_each_log!(at length:
    a_page_is_greeted_in_order_and_shares_its_cart,
    order_updates_reach_their_session_and_stock_updates_every_page,
    our_own_page_receives_cursors_and_resumes,
    a_stop_closes_pages_and_finishes_running_requests,
);

const V1: &str = "Sec-WebSocket-Protocol: kartshoppe.v1\r\n";

async fn open(server: &Server, session: &str) -> RawSocket {
    RawSocket::open(server.info.http.unwrap(), &format!("/ecommerce/{session}/guest"), "").await
}

fn assert_envelope(message: &Value) {
    let keys: BTreeSet<&str> = message.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, "uuid timestamp key toUserId eventType payload".split(' ').collect());
}

/// Text messages up to the one of this kind, by kind.
async fn kinds_until(socket: &mut RawSocket, last: &str) -> Vec<String> {
    let mut kinds = Vec::new();
    loop {
        let Frame { opcode, payload } = socket.next().await.unwrap();
        if opcode != 1 {
            continue;
        }
        let message: Value = serde_json::from_slice(&payload).unwrap();
        assert_envelope(&message);
        kinds.push(message["eventType"].as_str().unwrap().to_owned());
        if kinds.last().is_some_and(|kind| kind == last) {
            return kinds;
        }
    }
}

async fn a_page_is_greeted_in_order_and_shares_its_cart(place: Place) {
    let server = Server::start_filled(place.options()).await;
    let mut fresh = open(&server, "session-fresh").await;
    let sync = fresh.until("PRODUCT_CACHE_SYNC").await;
    assert_eq!(sync["payload"]["products"].as_array().unwrap().len(), 200, "the whole catalogue");
    assert_eq!(kinds_until(&mut fresh, "RECOMMENDATION").await, ["RECOMMENDATION"]);

    let shopper = Shopper::new("shared");
    shopper.add(&server, "PROD_0009", 2).await;
    let mut first = open(&server, &shopper.session).await;
    assert_eq!(kinds_until(&mut first, "SHOPPING_CART").await, ["PRODUCT_CACHE_SYNC", "RECOMMENDATION", "SHOPPING_CART"]);
    let mut second = open(&server, &shopper.session).await;
    second.until("SHOPPING_CART").await;

    let cart = format!("/api/ecommerce/cart/{}", shopper.session);
    let change = |action: &str, payload: Value| json!({"type": "CART_UPDATE", "action": action, "payload": payload}).to_string();
    let add = json!({"productId": "PROD_0010", "quantity": 3, "productName": "cheap", "price": 0.01, "imageUrl": "http://x"});
    for (message, expected) in [
        (change("ADD", add), json!([["PROD_0009", 2], ["PROD_0010", 3]])),
        (change("ADD", json!({"productId": "PROD_0010", "quantity": 1})), json!([["PROD_0009", 2], ["PROD_0010", 4]])),
        (
            change("UPDATE_QUANTITY", json!({"productId": "PROD_0009", "quantity": 7})),
            json!([["PROD_0009", 7], ["PROD_0010", 4]]),
        ),
        (change("UPDATE_QUANTITY", json!({"productId": "PROD_0009", "quantity": 0})), json!([["PROD_0010", 4]])),
        (change("REMOVE", json!({"productId": "PROD_0010"})), json!([])),
        (change("ADD", json!({"productId": "PROD_0011"})), json!([["PROD_0011", 1]])),
        (change("CLEAR", json!({})), json!([])),
    ] {
        first.say(&message).await;
        let lines = |cart: &Value| -> Value {
            cart["items"].as_array().unwrap().iter().map(|item| json!([item["productId"], item["quantity"]])).collect()
        };
        for page in [&mut first, &mut second] {
            loop {
                let shown = page.until("SHOPPING_CART").await;
                if lines(&shown["payload"]) == expected {
                    break;
                }
            }
        }
        assert_eq!(lines(&server.get(&cart).await), expected, "REST shows the same cart after {message}");
    }
    // A cart over REST is the same cart.
    shopper.add(&server, "PROD_0012", 1).await;
    let shown = second.until("SHOPPING_CART").await;
    assert_eq!(shown["payload"]["items"][0]["productId"], "PROD_0012");
    assert_ne!(shown["payload"]["items"][0]["price"], 0.01);
}

async fn order_updates_reach_their_session_and_stock_updates_every_page(place: Place) {
    let server = Server::start_filled(place.options()).await;
    let shopper = Shopper::new("buyer");
    let mut mine = open(&server, &shopper.session).await;
    let mut other = open(&server, "session-bystander").await;
    mine.until("RECOMMENDATION").await;
    other.until("RECOMMENDATION").await;
    shopper.add(&server, "PROD_0001", 2).await;
    mine.until("SHOPPING_CART").await;
    let (_, order) = shopper.checkout(&server, false).await;
    let order_id = order["orderId"].as_str().unwrap();

    let mut seen = BTreeSet::new();
    while !(seen.contains("ORDER_UPDATE") && seen.contains("PRODUCT_UPDATE") && seen.contains("SHOPPING_CART")) {
        let frame = mine.next().await.unwrap();
        if frame.opcode != 1 {
            continue;
        }
        let message = frame.json();
        match message["eventType"].as_str().unwrap() {
            "ORDER_UPDATE" => {
                assert_eq!(
                    (&message["payload"]["orderId"], &message["payload"]["status"]),
                    (&json!(order_id), &json!("CONFIRMED"))
                );
                let rest = shopper.settled(&server, order_id).await;
                let without_time = |order: &Value| {
                    let mut order = order.clone();
                    order.as_object_mut().unwrap().remove("timestamp");
                    order
                };
                assert_eq!(without_time(&message["payload"]), without_time(&rest), "the frame is what REST says");
                seen.insert("ORDER_UPDATE");
            }
            "PRODUCT_UPDATE" => drop(seen.insert("PRODUCT_UPDATE")),
            "SHOPPING_CART" => {
                assert_eq!(message["payload"]["items"], json!([]), "checkout has emptied the cart");
                seen.insert("SHOPPING_CART");
            }
            _ => {}
        }
    }
    let update = other.until("PRODUCT_UPDATE").await;
    assert_envelope(&update);
    let product = &update["payload"];
    assert_eq!(
        (&product["productId"], &product["inventory"], &product["name"]),
        (&json!("PROD_0001"), &json!(15), &json!("FutureTech UltraBook Pro 15"))
    );
    assert_eq!((&product["change"]["type"], &product["change"]["orderId"]), (&json!("INVENTORY_DECREASED"), &json!(order_id)));
    other.say(r#"{"type":"GET_RECOMMENDATIONS"}"#).await;
    let kinds = kinds_until(&mut other, "RECOMMENDATION").await;
    assert!(
        kinds.iter().all(|kind| kind == "PRODUCT_UPDATE" || kind == "RECOMMENDATION"),
        "no frame of another session: {kinds:?}"
    );
}

async fn our_own_page_receives_cursors_and_resumes(place: Place) {
    let options = place.options().set("KARTSHOPPE__WS__HEARTBEAT_INTERVAL", "200ms");
    let server = Server::start_filled(options).await;
    let shop = server.info.http.unwrap();
    let mut v1 = RawSocket::open(shop, "/ecommerce/session-v1/guest", V1).await;
    let mut heartbeat = v1.until("HEARTBEAT").await;
    let status = |heartbeat: &Value, of: &str| heartbeat["payload"]["status"][of].clone();
    while status(&heartbeat, "inventory") != "running" || status(&heartbeat, "catalog") != "live" {
        heartbeat = v1.until("HEARTBEAT").await;
    }
    assert_eq!(heartbeat["payload"]["reload"], false);
    let cursor = v1.until("HEARTBEAT").await["payload"]["cursor"].as_str().unwrap().to_owned();
    v1.send(&masked(0x88, &1000_u16.to_be_bytes())).await;
    assert_eq!(v1.close_code().await, 1000);

    let shopper = Shopper::new("meanwhile");
    shopper.add(&server, "PROD_0013", 1).await;
    let (_, order) = shopper.checkout(&server, false).await;
    shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
    let mut back = RawSocket::open(shop, &format!("/ecommerce/session-v1/guest?resume={cursor}"), V1).await;
    let kinds = kinds_until(&mut back, "PRODUCT_UPDATE").await;
    assert!(!kinds.contains(&"PRODUCT_CACHE_SYNC".to_owned()), "only what it missed: {kinds:?}");
    for cursor in ["garbage", "%00", &"A".repeat(1000)] {
        let mut lost = RawSocket::open(shop, &format!("/ecommerce/session-v1/guest?resume={cursor}"), V1).await;
        lost.until("PRODUCT_CACHE_SYNC").await;
    }
    // Other pages never receive a heartbeat as text, only Pings.
    let mut plain = RawSocket::open(shop, &format!("/ecommerce/session-plain/guest?resume={cursor}"), "").await;
    let mut pings = 0;
    while pings < 3 {
        let frame = plain.next().await.unwrap();
        match frame.opcode {
            9 => pings += 1,
            1 => assert_ne!(frame.json()["eventType"], "HEARTBEAT"),
            other => panic!("opcode {other}"),
        }
    }
}

async fn a_stop_closes_pages_and_finishes_running_requests(place: Place) {
    let mut server = Server::start_filled(place.options()).await;
    let mut page = open(&server, "session-last").await;
    page.until("RECOMMENDATION").await;
    let told = tokio::spawn(async move { page.close_code().await });
    let shopper = Shopper::new("last");
    shopper.add(&server, "PROD_0014", 1).await;
    let (status, order) = shopper.checkout(&server, false).await;
    assert_eq!(status, 200);
    assert_eq!(server.terminate(), Some(0), "{}", server.log_tail());
    assert!(matches!(told.await.unwrap(), 1001 | 1012));
    server.resume().await;
    let settled = shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
    assert_eq!(settled["status"], "CONFIRMED", "what was committed is there");
}
