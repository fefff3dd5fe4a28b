//! The operators' listener and the commands that use it, against the real server.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::place::{Place, on_each_log};
use crate::support::raw::{PATIENCE, request};
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

const MARKER: (&str, &str) = ("X-KartShoppe-Operator", "test");

async fn get(server: &Server, path: &str) -> Value {
    let answer = server.http.get(server.admin(path)).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.unwrap()
}

/// Runs a command on the server's data directory.
fn command(server: &Server, arguments: &[&str], input: &str) -> Output {
    let mut command = server.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).unwrap()
}

on_each_log!(at length:
    operators_see_roles_actors_alerts_and_figures,
    only_operators_change_anything,
    faults_strike_and_are_removed,
    topics_are_listed_read_written_and_kept,
);

async fn operators_see_roles_actors_alerts_and_figures(place: Place) {
    let server = Server::start_filled(place.options()).await;
    let roles = get(&server, "/admin/roles").await;
    let names: Vec<&str> = roles.as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    assert!(["api", "inventory", "cdc"].iter().all(|name| names.contains(name)), "{roles}");
    let actors = get(&server, "/admin/actors").await;
    assert!(actors.as_array().unwrap().iter().any(|actor| actor["id"] == "committer" && actor["running"] == true), "{actors}");
    assert_eq!(get(&server, "/admin/actors/committer").await["kind"], "committer");
    let mut listed = 0;
    for shard in 0..4 {
        listed += get(&server, &format!("/admin/actors?shard={shard}")).await.as_array().unwrap().len();
    }
    assert_eq!(listed, 200, "every product belongs to one shard");
    assert_eq!(get(&server, "/admin/actors/product/PROD_0001").await["product"]["stock"], 17);
    for (path, status) in [("/admin/actors/nobody", 404), ("/admin/actors?shard=99", 404), ("/admin/actors?shard=x", 400)] {
        assert_eq!(server.http.get(server.admin(path)).send().await.unwrap().status(), status, "{path}");
    }

    let shopper = Shopper::new("alarming");
    shopper.add(&server, "PROD_0001", 13).await;
    let (_, order) = shopper.checkout(&server, false).await;
    shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let alerts = get(&server, "/admin/alerts").await;
        let open = alerts["open"].as_array().unwrap().iter().find(|alert| alert["productId"] == "PROD_0001").cloned();
        if let Some(alert) = open {
            assert_eq!((&alert["alertType"], &alert["severity"]), (&json!("LOW_STOCK"), &json!("CRITICAL")), "{alert}");
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{alerts}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    for number in 0..5 {
        server.http.get(server.url(&format!("/api/ecommerce/product/PROD_{number:04}"))).send().await.unwrap();
        server.http.get(server.url(&format!("/api/ecommerce/nothing/{number}"))).send().await.unwrap();
    }
    let metrics = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("http_route=\"/api/ecommerce/product/{id}\"") && metrics.contains("http_route=\"unmatched\""),
        "{metrics}"
    );
    assert!(!metrics.contains("PROD_0") && !metrics.contains("/nothing/"), "labels are templates");
    assert!(metrics.trim_end().ends_with("# EOF"));
    let names: Vec<&str> = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let mut distinct = names.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(names.len(), distinct.len(), "each family is there once");
}

async fn only_operators_change_anything(place: Place) {
    let server = Server::start_filled(place.options()).await;
    let admin = server.info.admin;
    let stop = "/admin/roles/cdc/stop";
    assert_eq!(request(admin, "POST", stop, &[], b"").await.status, 403);
    let spoofed = format!(
        "POST {stop} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nX-KartShoppe-Operator: 1\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(crate::support::raw::exchange(admin, spoofed.as_bytes()).await.status, 403);
    assert_eq!(request(admin, "POST", stop, &[MARKER, ("Origin", "http://evil.example")], b"").await.status, 403);
    assert_eq!(request(admin, "DELETE", "/admin/faults", &[], b"").await.status, 403);
    assert_eq!(
        request(admin, "OPTIONS", stop, &[("Origin", "http://evil.example"), ("Access-Control-Request-Method", "POST")], b"")
            .await
            .status,
        403
    );
    let disabled = request(admin, "POST", "/admin/faults", &[MARKER], br#"{"target":"committer","fault":"kill"}"#).await;
    assert!(disabled.status == 403 && disabled.body.contains("faults_disabled"), "{disabled:?}");
    for (path, status) in [("/admin/roles/nothing/stop", 404), ("/admin/topics/nothing/records", 404)] {
        assert_eq!(server.operate(path, &json!({"value": 1})).await.0, status, "{path}");
    }
    for (body, field) in [
        (json!({"value": 1, "colour": "red"}), "colour"),
        (json!({"records": [{"value": 1}], "key": "a"}), "key"),
        (json!({"records": [{"value": 1, "headers": 3}]}), "headers"),
        (json!({"records": []}), "records"),
        (json!([{"value": 1}]), "object"),
    ] {
        let (status, answer) = server.operate("/admin/topics/ecommerce_events/records", &body).await;
        assert!(status == 400 && answer.to_string().contains(field), "{body}: {status} {answer}");
    }
    // Topics that one part of the shop alone writes, where the caller asks to be refused.
    let topics = get(&server, "/admin/topics").await;
    let topics = topics.as_array().unwrap();
    let owned: Vec<&Value> = topics.iter().filter(|topic| topic["owner"].is_string()).collect();
    // The topic of trial writes is made on Kafka when a process first needs it.
    assert!(matches!(owned.len(), 6 | 7), "{topics:?}");
    for topic in owned {
        let name = topic["topic"].as_str().unwrap();
        let path = format!("/admin/topics/{name}/records");
        let ends = |topics: &Value| {
            let topic = topics.as_array().unwrap().iter().find(|topic| topic["topic"] == name).unwrap().clone();
            topic["partitions"].as_array().unwrap().iter().map(|partition| partition["end"].as_i64().unwrap()).sum::<i64>()
        };
        let record = json!({"key": "FOREIGN", "value": {"a": 1}});
        let before = get(&server, "/admin/topics").await;
        let (status, answer) = server.operate(&format!("{path}?foreign=false"), &record).await;
        assert_eq!((status, &answer["code"], &answer["owner"]), (409, &json!("owned_topic"), &topic["owner"]), "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(name), "{answer}");
        // Trial writes of the health check go on.
        assert!(name == "health" || ends(&before) == ends(&get(&server, "/admin/topics").await), "{name}");
        assert_eq!(server.operate(&format!("{path}?foreign=perhaps"), &record).await.0, 400);
    }
    assert_eq!(server.operate("/admin/topics/products/records", &json!({"key": "FOREIGN", "value": {}})).await.0, 200);
    assert_eq!(server.operate("/admin/topics/ecommerce_events/records", &json!({"value": 1})).await.0, 200);
    assert_eq!(server.operate(stop, &Value::Null).await.0, 200);
    assert_eq!(
        server.http.get(server.admin("/readyz")).send().await.unwrap().status(),
        200,
        "a role stopped on purpose is no trouble"
    );
}

async fn faults_strike_and_are_removed(place: Place) {
    let server = Server::start_filled(place.options().set("KARTSHOPPE__FAULTS__ENABLED", true)).await;
    let arm = async |fault: Value| server.operate("/admin/faults", &fault).await;
    for bad in [
        json!({"target": "nobody", "fault": "kill"}),
        json!({"target": "committer", "fault": "tickle"}),
        json!({"target": "committer", "fault": "kill", "count": 0}),
        json!({"target": "committer", "fault": "kill", "ttl": "soon"}),
        json!({"fault": "kill"}),
        json!({"target": "committer", "fault": "kill", "extra": 1}),
    ] {
        assert_eq!(arm(bad.clone()).await.0, 400, "{bad}");
    }
    let before = get(&server, "/admin/actors/committer").await["incarnation"].as_u64().unwrap();
    let (status, answer) = arm(json!({"target": "committer", "fault": "kill", "count": 1, "ttl": "30s"})).await;
    assert_eq!((status, &answer["struck"]), (200, &json!(1)), "{answer}");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while get(&server, "/admin/actors/committer").await["incarnation"].as_u64().unwrap() == before {
        assert!(tokio::time::Instant::now() < deadline, "the committer is not restarted");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let (_, answer) = arm(json!({"target": "product/PROD_0007", "fault": "panic", "count": 3})).await;
    assert_eq!(answer["armed"].as_array().unwrap().len(), 1, "{answer}");
    let cleared = server.http.delete(server.admin("/admin/faults")).header(MARKER.0, MARKER.1).send().await.unwrap();
    assert_eq!(cleared.json::<Value>().await.unwrap()["cleared"], 1);
    assert_eq!(get(&server, "/admin/faults").await, json!([]));
}

async fn topics_are_listed_read_written_and_kept(place: Place) {
    let mut server = Server::start_filled(place.options()).await;
    let list = text(&command(&server, &["topics", "list"], ""));
    // On Kafka the markers of transactions have offsets, too.
    let products = list.lines().find(|line| line.starts_with("products ")).unwrap();
    let offsets: usize = products.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!((200..300).contains(&offsets), "{list}");
    assert!(!list.contains("basket-patterns"));
    assert!(text(&command(&server, &["topics", "create", "--all"], "")).contains("basket-patterns"));
    assert!(text(&command(&server, &["topics", "create", "--all"], "")).contains("every topic exists already"));

    let one = text(&command(&server, &["topics", "tail", "products", "--where", ".value.productId == \"PROD_0001\""], ""));
    let records: Vec<Value> = one.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((records.len(), &records[0]["key"], &records[0]["value"]["inventory"]), (1, &json!("PROD_0001"), &json!(17)));
    assert_eq!(records[0]["value"].as_object().unwrap().len(), 11, "exactly the contract's fields");
    let many = text(&command(
        &server,
        &["topics", "tail", "products", "inventory-events", "--where", ".value.price > 2000 or .value.currentPrice > 2000"],
        "",
    ));
    assert!(many.lines().count() >= 2);
    assert_eq!(text(&command(&server, &["topics", "tail", "products", "--from", "-1h"], "")).lines().count(), 200);
    assert_eq!(text(&command(&server, &["topics", "tail", "products", "--from", "end"], "")), "");
    assert!(text(&command(&server, &["topics", "tail", "products", "--from", "-2"], "")).lines().count() <= 8);
    for (arguments, reason) in [
        (vec!["topics", "tail", "nothing"], "there is no topic nothing"),
        (vec!["topics", "tail", "products", "--where", ".a =="], "character"),
        (vec!["topics", "tail", "products", "--from", "yesterday"], "expected start"),
        (vec!["topics", "delete", "--all"], "stop it first"),
        (vec!["topics", "delete"], "name the topics"),
        (vec!["topics", "produce", "product-updates"], "not one JSON value"),
    ] {
        let complaint = refused(&command(&server, &arguments, "{broken"));
        assert!(complaint.contains(reason), "{arguments:?}: {complaint}");
    }

    let two = json!([
        {"productId": "NEW_1", "name": "New one", "price": 1.5, "inventory": 3},
        {"productId": "NEW_2", "name": "New two", "price": 2.5, "inventory": 4},
    ]);
    let said = text(&command(&server, &["topics", "produce", "product-updates"], &two.to_string()));
    assert!(said.starts_with("product-updates/"), "{said}");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let is_there = async |id: &str| {
        server.http.get(server.url(&format!("/api/ecommerce/product/{id}"))).send().await.unwrap().status() == 200
    };
    while !(is_there("NEW_1").await && is_there("NEW_2").await) {
        assert!(tokio::time::Instant::now() < deadline, "the array's products do not appear\n{}", server.log_tail());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // The text of a value stays: its digits, the order of its keys, its spaces.
    let typed = r#"{"zeta": 1.50, "alpha": 18446744073709551616, "nested": {"b":-0,"a":"\u0041"}, "zeta": 1e2}"#;
    text(&command(&server, &["topics", "produce", "ecommerce_events"], &format!("\n {typed}\n")));
    for body in [format!(r#"{{"value": {typed}}}"#), format!(r#"{{"records": [{{"value":{typed}}}, {{"value":{typed}}}]}}"#)] {
        let call =
            server.http.post(server.admin("/admin/topics/ecommerce_events/records")).header("X-KartShoppe-Operator", "test");
        let answer = call.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let kept = text(&command(&server, &["topics", "tail", "ecommerce_events"], ""));
    assert_eq!(kept.matches(&format!("\"value\":{typed},")).count(), 4, "{kept}");
    text(&command(&server, &["topics", "produce", "product-updates", "--key", "NEW_1"], "null"));
    while is_there("NEW_1").await {
        assert!(tokio::time::Instant::now() < deadline, "the tombstone removes nothing\n{}", server.log_tail());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(refused(&command(&server, &["topics", "produce", "product-updates"], "null")).contains("--key"));

    server.terminate();
    assert!(refused(&command(&server, &["topics", "produce", "product-updates"], "{}")).contains("no shop is running"));
    assert!(text(&command(&server, &["topics", "delete", "basket-patterns"], "")).contains("basket-patterns"));
    assert!(!text(&command(&server, &["topics", "list"], "")).contains("basket-patterns"));
}

#[tokio::test]
async fn a_port_in_use_names_its_holder_and_our_key() {
    let server = Server::start_filled(Options::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kartshoppe"))
        .args(["serve"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("KARTSHOPPE__DATA_DIR", folder.path())
        .env("KARTSHOPPE__HTTP__LISTEN", server.info.http.unwrap().to_string())
        .env("KARTSHOPPE__ADMIN__LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let complaint = refused(&output);
    assert!(
        complaint.contains("KARTSHOPPE__HTTP__LISTEN") && complaint.contains(&format!("process {}", server.info.pid)),
        "{complaint}"
    );
}
