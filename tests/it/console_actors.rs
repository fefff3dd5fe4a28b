//! Actors in the console: the tree, top lists, and restarts on request, against the real server.

use serde_json::{Value, json};

use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

async fn get(server: &Server, path: &str) -> (u16, Value) {
    let answer = server.http.get(server.admin(path)).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn restart(server: &Server, id: &str) -> (u16, Value) {
    server.operate(&format!("/admin/actors/{id}/restart"), &Value::Null).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_actor_but_the_root_is_restarted_on_request_and_none_counts_as_failing() {
    let server = Server::start_filled(Options::default()).await;
    let (_, actors) = get(&server, "/admin/actors").await;
    let actors = actors.as_array().unwrap();
    let ids: Vec<&str> = actors.iter().map(|actor| actor["id"].as_str().unwrap()).collect();
    for actor in actors {
        let parent = actor["parent"].as_str();
        assert!(parent.map_or(actor["id"] == "root", |parent| ids.contains(&parent)), "{actor}");
    }
    let shopper = Shopper::new("undisturbed");
    let mut orders = Vec::new();
    for id in ids.iter().filter(|id| **id != "root") {
        let (_, before) = get(&server, &format!("/admin/actors/{id}")).await;
        // The shop's listener goes with its actor: what an order needs is there again when the answer comes.
        let (status, after) = restart(&server, id).await;
        assert_eq!(status, 200, "{id}: {after}");
        assert!(after["incarnation"].as_u64().unwrap() > before["incarnation"].as_u64().unwrap(), "{after}");
        assert_eq!((&after["state"], &after["ends"]["restarted"]), (&json!("running"), &json!(1)), "{after}");
        let last = &after["lastEnds"][0];
        assert_eq!(last["cause"], "restarted", "{after}");
        assert!(last["recoveryUs"].is_u64(), "{after}");
        shopper_buys(&server, &shopper, &mut orders).await;
    }
    for order in &orders {
        shopper.settled(&server, order).await;
    }
    // More often than the restart window allows.
    for _ in 0..15 {
        assert_eq!(restart(&server, "committer").await.0, 200);
    }
    let (_, committer) = get(&server, "/admin/actors/committer").await;
    assert_eq!((&committer["state"], &committer["restarts"]), (&json!("running"), &json!(16)), "{committer}");
    let (_, roles) = get(&server, "/admin/roles").await;
    let failing = |of: &Value| of["failing"] == true;
    let children = roles.as_array().unwrap().iter().flat_map(|role| role["children"].as_array().unwrap());
    assert!(!children.into_iter().any(failing), "{roles}");

    let (_, top) = get(&server, "/admin/actors?top=restarts&limit=1").await;
    assert_eq!(top.as_array().unwrap().iter().map(|actor| &actor["id"]).collect::<Vec<_>>(), ["committer"]);
    assert_eq!(get(&server, "/admin/actors?top=height").await.0, 400);
    for (id, status) in [("root", 409), ("nobody", 404), ("product/NOBODY", 404)] {
        assert_eq!(restart(&server, id).await.0, status, "{id}");
    }
    assert_eq!(server.operate("/admin/actors/committer", &Value::Null).await.0, 404);
    assert_eq!(server.operate("/admin/roles/inventory/stop", &Value::Null).await.0, 200);
    for id in ["role/inventory", "committer", "shard/0"] {
        let (status, refusal) = restart(&server, id).await;
        assert!(matches!(status, 409 | 503), "{id}: {refusal}");
    }
    let (_, stopped) = get(&server, "/admin/actors/committer").await;
    assert_eq!((&stopped["state"], &stopped["running"]), (&json!("stopped"), &json!(false)), "{stopped}");
    let said = std::fs::read_to_string(server.log_path()).unwrap();
    assert!(said.contains("restarted committer: incarnation"), "every restart leaves a line with who asked for it");
}

/// Waits for a listener that is on its way: a shopper tries again as well.
async fn shopper_buys(server: &Server, shopper: &Shopper, orders: &mut Vec<String>) {
    let item = json!({"productId": "PROD_0003", "userId": "guest", "quantity": 1});
    for _ in 0..600 {
        let added =
            server.http.post(server.url(&format!("/api/ecommerce/cart/{}/add", shopper.session))).json(&item).send().await;
        if added.is_ok_and(|answer| answer.status().is_success()) {
            let (status, order) = shopper.checkout(server, false).await;
            assert_eq!(status, 200, "{order}");
            orders.push(order["orderId"].as_str().unwrap().to_owned());
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the shop does not sell\n{}", server.log_tail());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_that_hangs_is_freed_by_a_restart_and_its_order_settles_once() {
    // Nothing else frees it in the time of this test.
    let options = Options::default().set("KARTSHOPPE__FAULTS__ENABLED", true).set("KARTSHOPPE__SUPERVISION__HANG_AFTER", "10m");
    let server = Server::start_filled(options).await;
    let shopper = Shopper::new("stuck");
    for fault in ["hang", "slow"] {
        let armed = json!({"target": "product/PROD_0001", "fault": fault, "ttl": "10m"});
        assert_eq!(server.operate("/admin/faults", &armed).await.0, 200);
        shopper.add(&server, "PROD_0001", 2).await;
        let (_, order) = shopper.checkout(&server, false).await;
        loop {
            let (_, faults) = get(&server, "/admin/faults").await;
            if faults.as_array().unwrap().is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let (_, before) = get(&server, "/admin/actors/product/PROD_0001").await;
        let (status, after) = restart(&server, "product/PROD_0001").await;
        assert_eq!(status, 200, "{after}");
        let settled = shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
        assert_eq!(settled["status"], "CONFIRMED", "{settled}");
        assert!(after["product"]["incarnation"].as_u64() >= before["product"]["incarnation"].as_u64(), "{before} {after}");
        assert_eq!(after["product"]["restarted"], false, "no failure: {after}");
    }
    let (_, product) = get(&server, "/admin/actors/product/PROD_0001").await;
    assert_eq!(product["product"]["stock"], 17 - 4, "{product}");
    let metrics = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("kartshoppe_product_restarts_total{cause=\"restarted\"} 2.0"), "{metrics}");
    assert!(metrics.contains("kartshoppe_product_restarts_total{cause=\"hung\"} 0.0"), "{metrics}");
}
