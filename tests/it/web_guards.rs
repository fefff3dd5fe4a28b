//! Foreign web pages: names, origins and documents of both listeners, as requested by browsers and proxies.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::raw::{PATIENCE, RawSocket, exchange, request};
use crate::support::server::{Options, Server};

/// The status line of the answer to a request with exactly these lines.
async fn status_of(address: SocketAddr, line: &str, headers: &str) -> u16 {
    let text = format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    exchange(address, text.as_bytes()).await.status
}

#[tokio::test]
async fn no_name_but_the_shops_own_reaches_either_listener() {
    let options = Options::default().set("KARTSHOPPE__HTTP__ALLOWED_HOSTS", "shop.example");
    let server = Server::start_filled(options).await;
    let (shop, admin) = (server.info.http.unwrap(), server.info.admin);
    let (product, socket) = ("/api/ecommerce/product/PROD_0001", "/ecommerce/s/u");
    let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (host, ok) in [("shop.example", true), ("localhost:1", true), ("[::1]", true), ("evil.example", false)] {
        let status = if ok { 200 } else { 403 };
        let headers = format!("Host: {host}\r\n");
        for line in
            [format!("GET {product}"), format!("HEAD {product}"), "GET /docs/".to_owned(), format!("GET http://{host}{product}")]
        {
            assert_eq!(status_of(shop, &line, &headers).await, status, "{line} {host}");
        }
        let preflight = format!("{headers}Origin: http://{host}\r\nAccess-Control-Request-Method: POST\r\n");
        assert_eq!(status_of(shop, "OPTIONS /api/ecommerce/checkout", &preflight).await, if ok { 204 } else { 403 }, "{host}");
        let handshake =
            format!("GET {socket} HTTP/1.1\r\n{headers}Origin: http://{host}\r\nConnection: Upgrade\r\n{upgrade}\r\n");
        if ok {
            RawSocket::open(shop, socket, &format!("Origin: http://{shop}\r\n")).await;
        } else {
            assert_eq!(exchange(shop, handshake.as_bytes()).await.status, 403, "{host}");
        }
    }
    let rewritten = "Host: kartshoppe_upstream\r\nOrigin: http://localhost:3000\r\n";
    assert_eq!(status_of(shop, &format!("GET {product}"), rewritten).await, 200, "a listed page behind a proxy");
    assert_eq!(status_of(shop, &format!("GET http://evil.example{product}"), "Host: localhost\r\n").await, 400);
    for address in [shop, admin] {
        assert_eq!(status_of(address, "GET /livez", "Host: anything\r\n").await, 200);
        assert_eq!(status_of(address, "GET /readyz", "Host: any_thing:80\r\n").await, 200);
    }
    for path in ["/admin/topics/shopping-cart-events/records", "/admin/roles", "/docs/", "/openapi.json", "/nothing"] {
        assert_eq!(status_of(admin, &format!("GET {path}"), "Host: evil.example:9464\r\n").await, 403, "{path}");
        assert_eq!(status_of(admin, &format!("HEAD {path}"), "Host: shop.example\r\n").await, 403, "{path}");
    }
    assert_eq!(status_of(admin, "GET /metrics", "Host: app:9464\r\n").await, 200);
    let image = format!("Host: {admin}\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n");
    assert_eq!(status_of(admin, "GET /admin/topics/products/records", &image).await, 403);

    let refused = request(shop, "POST", "/api/ecommerce/checkout", &[("Origin", "https://www.example")], b"{}").await;
    let problem: Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!((&problem["code"], &problem["setting"]), (&json!("origin_refused"), &json!("http.allowed_origins")), "{problem}");
    assert_eq!((&problem["origin"], &problem["host"]), (&json!("https://www.example"), &json!(shop.to_string())), "{problem}");
}

#[tokio::test]
async fn every_document_says_what_may_run_in_it() {
    let server = Server::start_filled(Options::default()).await;
    let (shop, admin) = (server.info.http.unwrap(), server.info.admin);
    let documents = [
        (shop, "/"),
        (shop, "/product/PROD_0001"),
        (shop, "/docs/"),
        (shop, "/docs/index.html"),
        (shop, "/favicon.svg"),
        (shop, "/api/ecommerce/product/PROD_0001/image"),
        (admin, "/docs/"),
    ];
    for (address, path) in documents {
        let answer = request(address, "GET", path, &[("Accept", "text/html,image/svg+xml")], b"").await;
        let policy = answer.head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap_or_default();
        assert!(policy.contains("default-src '") && policy.contains("frame-ancestors 'none'"), "{path}: {}", answer.head);
        assert!(!policy.contains("ws:") && !policy.contains('*') && !policy.contains("script-src 'unsafe"), "{path}: {policy}");
        assert!(path.starts_with("/docs/") || !policy.contains("unsafe"), "{path}: {policy}");
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{path}: {}", answer.head);
    }
}

#[tokio::test]
async fn caches_keep_no_answer_for_another_page_or_another_shopper() {
    let server = Server::start_filled(Options::default()).await;
    let shop = server.info.http.unwrap();
    let product = "/api/ecommerce/product/PROD_0001";
    let public = [product, "/api/ecommerce/products?limit=30", "/api/ecommerce/front", "/livez", "/readyz"];
    let personal = ["/api/ecommerce/cart/s", "/api/ecommerce/orders?sessionId=s", "/api/ecommerce/recommendations/u"];
    let named = [("Origin", "http://localhost:3000")];
    for path in public.into_iter().chain(personal).chain(["/", "/nothing", "/api/nothing"]) {
        for headers in [&[][..], &named, &[("Origin", "http://evil.example")]] {
            let answer = request(shop, "GET", path, headers, b"").await;
            let mut varies = answer.head.lines().filter_map(|line| line.strip_prefix("vary: "));
            assert!(varies.any(|by| by == "origin"), "{path} {headers:?}: {}", answer.head);
        }
        let head = request(shop, "GET", path, &[], b"").await.head;
        assert_eq!(
            head.contains("cache-control: no-cache, private"),
            personal.contains(&path) || path == "/api/nothing",
            "{path}: {head}"
        );
    }
    for path in public {
        let head = request(shop, "GET", path, &[], b"").await.head;
        assert!(head.contains("cache-control: no-cache\r\n"), "{path}: {head}");
    }
    let unchanged = request(shop, "GET", product, &[("If-None-Match", "*")], b"").await;
    assert!(unchanged.status == 304 && unchanged.head.contains("vary: origin"), "{unchanged:?}");
}

#[tokio::test]
async fn a_path_that_leads_nowhere_says_so_and_shows_the_page() {
    let server = Server::start_filled(Options::default()).await;
    let open = async |path: &str| request(server.info.http.unwrap(), "GET", path, &[("Accept", "text/html")], b"").await;
    let page = open("/").await;
    // Without a built page a placeholder says so.
    if page.status == 503 {
        return;
    }
    for route in ["/cart", "/checkout", "/orders", "/orders/0194", "/product/a%2Fb"] {
        assert_eq!(open(route).await.status, 200, "{route}");
    }
    for nowhere in ["/nothing", "/product", "/wp-login.php", "/cart/more"] {
        let answer = open(nowhere).await;
        assert_eq!((answer.status, &answer.body), (404, &page.body), "{nowhere}");
    }
    let policy = page.head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap();
    assert!(!policy.contains("unsafe-inline") && policy.contains("connect-src 'self';"), "{policy}");
    let script = page.body.split('"').find(|text| text.starts_with("/assets/") && text.ends_with(".js")).unwrap();
    let mut tags = std::collections::BTreeSet::new();
    for (accepts, named) in [("gzip, br", "br"), ("gzip", "gzip"), ("identity", ""), ("br;q=0", "")] {
        let packed = request(server.info.http.unwrap(), "GET", script, &[("Accept-Encoding", accepts)], b"").await;
        let value =
            |name: &str| packed.head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
        assert_eq!((packed.status, value("content-encoding:").as_str()), (200, named), "{accepts}: {}", packed.head);
        assert_eq!((value("vary:").as_str(), value("content-type:").contains("javascript")), ("accept-encoding", true));
        let tag = value("etag:");
        let asked = [("Accept-Encoding", accepts), ("If-None-Match", tag.as_str())];
        assert_eq!(request(server.info.http.unwrap(), "GET", script, &asked, b"").await.status, 304, "{accepts}");
        tags.insert(tag);
    }
    assert_eq!(tags.len(), 3, "one tag for each form");
    let robots = open("/robots.txt").await;
    assert!(robots.status == 200 && robots.body.to_lowercase().contains("user-agent: *"), "{robots:?}");
}

#[tokio::test]
async fn a_search_holds_the_newest_and_no_more_than_an_answer_may() {
    let server = Server::start_filled(Options::default()).await;
    let path = "/admin/topics/ecommerce_events/records";
    let value = "x".repeat(1_000_000);
    for number in 0..4 {
        let records: Vec<Value> = (0..6).map(|part| json!({"partition": 0, "value": [number * 6 + part, value]})).collect();
        let (status, said) = server.operate(path, &json!({"records": records})).await;
        assert_eq!(status, 200, "{said}");
    }
    let read = async |query: &str| {
        let answer = server.http.get(server.admin(&format!("{path}?partition=0&{query}"))).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{query}");
        let text = answer.text().await.unwrap();
        assert!(text.len() < 9_000_000, "{query}: {}", text.len());
        let page: Value = serde_json::from_str(&text).unwrap();
        let numbers: Vec<i64> =
            page["records"].as_array().unwrap().iter().filter_map(|record| record["value"][0].as_i64()).collect();
        (numbers, page["complete"].as_bool().unwrap(), page["endedBy"].clone())
    };
    assert_eq!(read("from=-4294967295&limit=3").await, (vec![21, 22, 23], true, Value::Null));
    assert_eq!(read("from=-4294967295&limit=3&where=.value[0]<9").await.0, [6, 7, 8]);
    assert_eq!(read("from=-4294967295&limit=10000").await, ((16..24).collect(), false, json!("bytes")));
    assert_eq!(read("from=start&limit=10000").await, ((0..8).collect(), false, json!("bytes")));
    assert_eq!(read("from=start&limit=2").await, (vec![0, 1], false, json!("limit")));
    assert_eq!(read("from=-1&where=false").await, (vec![], true, Value::Null));
}

#[tokio::test]
async fn every_change_requested_by_an_operator_is_logged() {
    let server = Server::start_filled(Options::default().set("KARTSHOPPE__FAULTS__ENABLED", true)).await;
    let admin = server.info.admin;
    let who = ("X-KartShoppe-Operator", "ann");
    let changes: [(&str, &str, &[u8]); 9] = [
        ("POST", "/admin/roles/cdc/stop", b""),
        ("POST", "/admin/roles/cdc/start", b""),
        ("POST", "/admin/roles/nothing/stop", b""),
        ("POST", "/admin/topics", b"{\"topics\":[\"basket-patterns\"]}"),
        ("POST", "/admin/topics", b""),
        ("POST", "/admin/topics/ecommerce_events/records", b"{\"value\":1}"),
        ("POST", "/admin/faults", b"{\"target\":\"committer\",\"fault\":\"kill\",\"count\":1}"),
        ("POST", "/admin/faults/clock", b"{\"aheadMs\":0}"),
        ("DELETE", "/admin/faults", b""),
    ];
    for (method, path, body) in changes {
        let answer = request(admin, method, path, &[who], body).await;
        let wanted = format!("asked for a change: {method} {path}");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let line = loop {
            let log = server.log_tail();
            if let Some(line) = log.lines().rev().find(|line| line.contains(&wanted)) {
                break line.to_owned();
            }
            assert!(tokio::time::Instant::now() < deadline, "{method} {path} leaves no line:\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(line.contains("operator=\"ann\"") && line.contains("peer=\"127.0.0.1:"), "{line}");
        assert!(line.contains(&format!("status={}", answer.status)), "{answer:?}: {line}");
    }
}

#[tokio::test]
async fn operators_bodies_have_limits() {
    let server = Server::start_filled(Options::default()).await;
    let admin = server.info.admin;
    for path in ["/admin/topics", "/admin/topics/ecommerce_events/records"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: {admin}\r\nX-KartShoppe-Operator: test\r\n");
        let huge = format!("{head}Content-Length: 99999999\r\n\r\n");
        assert_eq!(exchange(admin, huge.as_bytes()).await.status, 413, "{path}");
        let endless = format!("{head}Content-Length: 9\r\n\r\n{{");
        assert_eq!(exchange(admin, endless.as_bytes()).await.status, 408, "{path}");
        let html = format!("{head}Content-Type: text/html\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}");
        assert_eq!(exchange(admin, html.as_bytes()).await.status, 415, "{path}");
    }
}
