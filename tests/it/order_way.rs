//! One order's way as operators see it, and orders as they find them.

use serde_json::{Value, json};

use crate::support::place::{Place, on_each_log};
use crate::support::raw::PATIENCE;
use crate::support::server::Server;
use crate::support::shopper::Shopper;

on_each_log!(an_order_is_found_and_its_way_leads_to_every_record, an_order_that_is_stuck_says_where);

async fn get(server: &Server, path: &str) -> Value {
    let answer = server.http.get(server.admin(path)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

/// The way, once its item has come to a stop.
async fn way(server: &Server, order: &str, reached: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let way = get(server, &format!("/admin/orders/{order}")).await;
        if reached(&way) {
            return way;
        }
        assert!(tokio::time::Instant::now() < deadline, "{way}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn an_order_is_found_and_its_way_leads_to_every_record(place: Place) {
    let server = Server::start_filled(place.options()).await;
    for use_cdc in [false, true] {
        let shopper = Shopper::new(&format!("secret-{use_cdc}"));
        let session = shopper.session.clone();
        shopper.add(&server, "PROD_0001", 2).await;
        shopper.add(&server, "PROD_0002", 1).await;
        let (_, order) = shopper.checkout(&server, use_cdc).await;
        let id = order["orderId"].as_str().unwrap();
        shopper.settled(&server, id).await;
        let way = way(&server, id, |way| way["complete"] == true).await;
        assert_eq!(way["status"], "CONFIRMED", "{way}");
        assert!(!way.to_string().contains(&session), "a session's id is a credential");
        for item in way["items"].as_array().unwrap() {
            let product = item["productId"].as_str().unwrap();
            assert_eq!((&item["waitsFor"], &item["publishVia"]), (&Value::Null, &json!(if use_cdc { "wal" } else { "direct" })));
            let steps = item["steps"].as_array().unwrap();
            let stops: Vec<&str> = steps.iter().map(|step| step["stop"].as_str().unwrap()).collect();
            assert_eq!(stops, ["placed", "published", "answered", "stored", "pushed", "settled"]);
            assert!(steps.iter().all(|step| step["at"].is_i64()), "{item}");
            assert!(steps[1..].iter().all(|step| step["gapMs"].as_i64() >= Some(0)), "{item}");
            for (step, topic) in steps[1..5].iter().zip(["order-events", "inventory-events", "products", "websocket_fanout"]) {
                let (partition, offset) = (&step["place"]["partition"], &step["place"]["offset"]);
                let path = format!("/admin/topics/{topic}/records?partition={partition}&from={offset}&limit=1");
                assert_eq!(
                    (&step["place"]["topic"], &get(&server, &path).await["records"][0]["key"]),
                    (&json!(topic), &json!(product))
                );
            }
        }
        // By session with a header only.
        let request = server.http.get(server.admin("/admin/orders")).header("X-KartShoppe-Session", &session);
        let found: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!((found["orders"].as_array().unwrap().len(), &found["orders"][0]["orderId"]), (1, &json!(id)));
        assert!(!found.to_string().contains(&session), "{found}");
        let url = server.admin(&format!("/admin/orders?session={session}"));
        assert_eq!(server.http.get(url).send().await.unwrap().status(), 400);
    }
    let all = get(&server, "/admin/orders?product=PROD_0001&status=confirmed&youngerThan=1h").await;
    assert_eq!((all["orders"].as_array().unwrap().len(), &all["cursor"]), (2, &Value::Null), "{all}");
    let first = get(&server, "/admin/orders?limit=1").await;
    let rest = get(&server, &format!("/admin/orders?limit=1&cursor={}", first["cursor"].as_str().unwrap())).await;
    assert_eq!(json!([first["orders"][0], rest["orders"][0]])[1]["orderId"], all["orders"][1]["orderId"]);
    assert_eq!(rest["cursor"], Value::Null);
    for (query, count) in [("olderThan=1h", 0), ("status=PENDING", 0), ("product=PROD_0009", 0), ("id=nothing", 0)] {
        assert_eq!(get(&server, &format!("/admin/orders?{query}")).await["orders"].as_array().unwrap().len(), count, "{query}");
    }
    for (path, status) in [
        ("/admin/orders/nothing", 404),
        ("/admin/orders?status=odd", 400),
        ("/admin/orders?olderThan=x", 400),
        ("/admin/orders?cursor=x", 400),
        ("/admin/orders?limit=0", 400),
    ] {
        assert_eq!(server.http.get(server.admin(path)).send().await.unwrap().status(), status, "{path}");
    }
}

async fn an_order_that_is_stuck_says_where(place: Place) {
    let server = Server::start_filled(place.options()).await;
    for (role, use_cdc, actor) in [("inventory", false, "product/PROD_0003"), ("cdc", true, "wal-reader")] {
        assert_eq!(server.operate(&format!("/admin/roles/{role}/stop"), &Value::Null).await.0, 200);
        let shopper = Shopper::new(&format!("stuck-{role}"));
        shopper.add(&server, "PROD_0003", 1).await;
        let (_, order) = shopper.checkout(&server, use_cdc).await;
        let id = order["orderId"].as_str().unwrap();
        let stuck = way(&server, id, |way| way["items"][0]["waitsFor"]["actor"] == actor).await;
        assert_eq!((&stuck["items"][0]["steps"][5]["at"], &stuck["status"]), (&Value::Null, &json!("PENDING")));
        let waiting = get(&server, "/admin/orders?status=PENDING").await;
        assert_eq!((&waiting["orders"][0]["orderId"], &waiting["orders"][0]["waiting"]), (&json!(id), &json!(1)));
        assert_eq!(server.operate(&format!("/admin/roles/{role}/start"), &Value::Null).await.0, 200);
        shopper.settled(&server, id).await;
        way(&server, id, |way| way["items"][0]["waitsFor"].is_null()).await;
    }
}
