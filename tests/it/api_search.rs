//! Searching, following and showing records over the operators' listener, against the real server.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::place::{Place, on_each_log};
use crate::support::raw::PATIENCE;
use crate::support::server::Server;

on_each_log!(at length: several_topics_are_searched_followed_and_shown_to_the_digit);

/// A request of the operators' listener with parameters.
async fn get(server: &Server, path: &str, parameters: &[(&str, &str)]) -> (u16, String) {
    let answer = server.http.get(server.admin(&with(path, parameters))).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn with(path: &str, parameters: &[(&str, &str)]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let encoded = |text: &str| {
        text.bytes()
            .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect::<String>()
    };
    let pairs: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

async fn search(server: &Server, parameters: &[(&str, &str)]) -> Value {
    let (status, text) = get(server, "/admin/search", parameters).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn append(server: &Server, topic: &str, record: &Value) -> Value {
    let (status, said) = server.operate(&format!("/admin/topics/{topic}/records"), record).await;
    assert_eq!(status, 200, "{said}");
    said["appended"][0].clone()
}

fn places(page: &Value) -> Vec<String> {
    let place = |record: &Value| format!("{}/{}/{}", record["topic"].as_str().unwrap(), record["partition"], record["offset"]);
    page["records"].as_array().unwrap().iter().map(place).collect()
}

async fn several_topics_are_searched_followed_and_shown_to_the_digit(place: Place) {
    let mut server = Server::start_filled(place.options()).await;
    let both = [("topics", "products,inventory-events"), ("direction", "newest")];
    let whole = search(&server, &[&both[..], &[("limit", "10000")]].concat()).await;
    assert_eq!(
        (&whole["complete"], &whole["cursor"], &whole["scanned"]),
        (&json!(true), &Value::Null, &whole["total"]),
        "{whole}"
    );
    let all = places(&whole);
    assert!(all.len() >= 400, "{}", all.len());
    let times: Vec<i64> =
        whole["records"].as_array().unwrap().iter().map(|record| record["timestamp"].as_i64().unwrap()).collect();
    assert!(times.is_sorted_by(|left, right| left >= right), "newest first over all topics and partitions");
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = search(&server, &[&both[..], &[("limit", "150"), ("cursor", &cursor)]].concat()).await;
        paged.extend(places(&page));
        let Some(next) = page["cursor"].as_str() else { break };
        assert_eq!((&page["endedBy"], &page["complete"]), (&json!("limit"), &json!(false)));
        next.clone_into(&mut cursor);
    }
    assert_eq!(paged, all);

    let one = [("topics", "products,inventory-events"), ("where", r#".value.productId == "PROD_0001""#)];
    assert_eq!(search(&server, &one).await["records"].as_array().unwrap().len(), 2, "the product and its first event");
    for (name, value, status, field) in [
        ("where", ".a ==", 400, "where"),
        ("from", "yesterday", 400, "from"),
        ("order", "size", 400, "order"),
        ("direction", "up", 400, "direction"),
        ("cursor", "x", 400, "cursor"),
        ("partition", "99", 400, "partition"),
        ("limit", "0", 400, "limit"),
        ("maxMs", "1", 400, "maxMs"),
        ("values", "raw", 400, "values"),
    ] {
        let (answered, text) = get(&server, "/admin/search", &[("topics", "products"), (name, value)]).await;
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((answered, &problem["errors"][0]["field"]), (status, &json!(field)), "{text}");
        assert_eq!(problem["at"].as_i64(), (name == "where").then_some(6), "{text}");
    }
    assert_eq!(get(&server, "/admin/search", &[]).await.0, 400);
    assert_eq!(get(&server, "/admin/search", &[("topics", "nothing")]).await.0, 404);

    let exact = r#"{"b":1.50,"a":9007199254740993}"#;
    let bytes = "eyJiIjoxLjUwLCJhIjo5MDA3MTk5MjU0NzQwOTkzfQ==";
    let at =
        append(&server, "ecommerce_events", &json!({"partition": 0, "key": "k", "valueBase64": bytes, "headers": {"h": "<b>"}}))
            .await;
    let path = format!("/admin/records/ecommerce_events/{}/{}", at["partition"], at["offset"]);
    let (status, text) = get(&server, &path, &[]).await;
    assert!(status == 200 && text.contains(&format!("\"value\":{exact}")), "{text}");
    let shown: Value = serde_json::from_str(&get(&server, &path, &[("values", "text")]).await.1).unwrap();
    assert_eq!(
        (&shown["record"]["value"], &shown["raw"]["value"], &shown["raw"]["key"]),
        (&json!(exact), &json!(bytes), &json!("aw=="))
    );
    let (_, found) =
        get(&server, "/admin/search", &[("topics", "ecommerce_events"), ("where", ".header.h startswith \"<\"")]).await;
    assert!(found.contains(exact), "{found}");
    for (path, status) in [
        ("/admin/records/ecommerce_events/0/999999", 404),
        ("/admin/records/ecommerce_events/99/0", 404),
        ("/admin/records/nothing/0/0", 404),
    ] {
        assert_eq!(get(&server, path, &[]).await.0, status, "{path}");
    }

    tail_follows(&server).await;
    // A stream that is still read does not hold the shutdown.
    let mut held = server.http.get(server.admin("/admin/tail?topics=products")).timeout(PATIENCE).send().await.unwrap();
    let following = tokio::spawn(async move { while let Ok(Some(_)) = held.chunk().await {} });
    assert_eq!(server.terminate(), Some(0));
    following.await.unwrap();
}

async fn tail_follows(server: &Server) {
    let parameters = [("topics", "ecommerce_events,shopping-cart-events"), ("where", ".value.n >= 10")];
    let mut answer = server.http.get(server.admin(&with("/admin/tail", &parameters))).timeout(PATIENCE).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let (mut text, mut appended) = (String::new(), false);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        text.push_str(std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            let batch: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
            seen.extend(batch["records"].as_array().unwrap().iter().map(|record| record["value"]["n"].as_i64().unwrap()));
            text = rest.to_owned();
        }
        if !appended {
            // The first event says that the stream stands.
            for (topic, n) in [("ecommerce_events", 9), ("ecommerce_events", 10), ("shopping-cart-events", 11)] {
                append(server, topic, &json!({"value": {"n": n}})).await;
            }
            appended = true;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [10, 11]);
    drop(answer);
    assert_eq!(get(server, "/admin/tail", &[]).await.0, 400);
    // Viewers who left make room: there are eight places.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for _ in 0..20 {
        loop {
            let answer = server.http.get(server.admin("/admin/tail?topics=products")).send().await.unwrap();
            if answer.status() == 200 {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "those who left still have their places");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
