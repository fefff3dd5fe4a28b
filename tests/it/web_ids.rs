//! Every id that the inventory accepts is a product on every route; an id that no address can contain is a dead letter.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::raw::{PATIENCE, request};
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

const IDS: [&str; 18] = [
    "SKU:1",
    "A&B",
    "C++",
    "a/b",
    "a%2Fb",
    "50%",
    "x?y#z",
    "..a",
    "...",
    "%2E%2E",
    "a b",
    " ",
    "\"quoted\"",
    "back\\slash",
    "a,b;c=d@e$",
    "\u{202e}עברית",
    "图书📚",
    "../../admin",
];

/// Like `encodeURIComponent`: encodes every byte except letters, digits and a few marks.
fn encoded(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    id.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Repeats the request until the product is there.
async fn shown(server: &Server, path: &str) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = request(server.info.http.unwrap(), "GET", path, &[], b"").await;
        if answer.status == 200 {
            return serde_json::from_str(&answer.body).unwrap();
        }
        assert!(tokio::time::Instant::now() < deadline, "{path}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn put(server: &Server, id: &str) {
    let product = json!({"productId": id, "name": format!("Product {id}"), "price": 2.5, "inventory": 7});
    let (status, said) = server.operate("/admin/topics/product-updates/records", &json!({"key": id, "value": product})).await;
    assert_eq!(status, 200, "{said}");
}

#[tokio::test]
async fn every_id_works_on_every_route() {
    let server = Server::start_filled(Options::default()).await;
    let shop = server.info.http.unwrap();
    for id in IDS {
        put(&server, id).await;
    }
    for (number, id) in IDS.into_iter().enumerate() {
        let path = format!("/api/ecommerce/product/{}", encoded(id));
        let product = shown(&server, &path).await;
        assert_eq!(product["productId"], id);
        assert!(shown(&server, &format!("{path}/history")).await.is_array(), "{id}");
        let image = request(shop, "GET", &format!("{path}/image"), &[], b"").await;
        assert!(image.status == 200 && image.head.contains("image/svg+xml"), "{id}: {image:?}");

        let actor = format!("/admin/actors/product/{}", encoded(id));
        let report = request(server.info.admin, "GET", &actor, &[], b"").await;
        assert_eq!(report.status, 200, "{id}: {report:?}");
        assert_eq!(serde_json::from_str::<Value>(&report.body).unwrap()["product"]["id"], id);

        let shopper = Shopper::new(&format!("ids-{number}"));
        assert_eq!(shopper.add(&server, id, 2).await["items"][0]["productId"], id);
        let (status, order) = shopper.checkout(&server, number % 2 == 0).await;
        assert_eq!(status, 200, "{id}: {order}");
        let order = shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
        assert_eq!((&order["status"], &order["items"][0]["productId"]), (&json!("CONFIRMED"), &json!(id)), "{order}");
    }
}

#[tokio::test]
async fn an_id_that_no_address_can_name_is_a_dead_letter() {
    let server = Server::start_filled(Options::default()).await;
    for id in [".", ".."] {
        put(&server, id).await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = server.http.get(server.admin("/admin/dead-letters")).send().await.unwrap();
            let letters = answer.text().await.unwrap();
            if letters.contains(&format!("productId is \\\"{id}\\\", which no web address can name")) {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{letters}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (status, refused) =
            server.post("/api/ecommerce/cart/dots/add", &json!({"productId": id, "userId": "guest", "quantity": 1})).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (400, &json!("productId")), "{refused}");
    }
}
