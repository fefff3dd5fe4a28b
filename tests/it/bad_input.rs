//! Input that no proper client sends, over raw sockets against the real server: each case gets its status or close code, no other
//! client is affected, and the process is unchanged afterwards.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::raw::{self, RawSocket, handshake, masked, request};
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn start() -> Server {
    let options = Options::default()
        .set("KARTSHOPPE__HTTP__HEADER_TIMEOUT", "500ms")
        .set("KARTSHOPPE__HTTP__BODY_TIMEOUT", "1s")
        .set("KARTSHOPPE__HTTP__IDLE_TIMEOUT", "2s")
        .set("KARTSHOPPE__WS__HEARTBEAT_INTERVAL", "500ms")
        .set("KARTSHOPPE__WS__WRITE_TIMEOUT", "2s");
    Server::start_filled(options).await
}

/// The shop is unchanged: same stock, same process, still ready.
async fn undisturbed(server: &Server) {
    assert_eq!(server.get("/api/ecommerce/product/PROD_0001").await["inventory"], 17);
    assert_eq!(server.http.get(server.url("/readyz")).send().await.unwrap().status(), 200, "{}", server.log_tail());
    assert!(!server.log_tail().contains("panicked"), "{}", server.log_tail());
}

#[tokio::test]
async fn heads_and_bodies_that_no_client_sends() {
    let server = start().await;
    let shop = server.info.http.unwrap();
    let long_path = format!("/{}", "x".repeat(2100));
    let long_header = format!("X-Long: {}\r\n", "y".repeat(17_000));
    let many_headers: String = (0..65).map(|n| format!("X-{n}: y\r\n")).collect();
    let post = "POST /api/ecommerce/checkout HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let cases: Vec<(&str, String, u16)> = vec![
        ("no HTTP", "HELO shop\r\n\r\n".into(), 400),
        ("no host", "GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(), 400),
        ("long path", format!("GET {long_path} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414),
        ("long header", format!("GET / HTTP/1.1\r\nHost: localhost\r\n{long_header}\r\n"), 431),
        ("many headers", format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many_headers}\r\n"), 431),
        ("folded header", "GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n".into(), 400),
        ("two lengths", format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}} "), 400),
        ("negative length", format!("{post}Content-Length: -2\r\n\r\n"), 400),
        ("body too large", format!("{post}Content-Length: 65537\r\n\r\n{{"), 413),
        ("body announced in terabytes", format!("{post}Content-Length: 99999999999999\r\n\r\n{{"), 413),
        (
            "chunked body too large",
            format!(
                "{post}Transfer-Encoding: chunked\r\n\r\n{}",
                "4000\r\n".to_owned()
                    + &"x".repeat(16384)
                    + "\r\n4000\r\n"
                    + &"x".repeat(16384)
                    + "\r\n4000\r\n"
                    + &"x".repeat(16384)
                    + "\r\n4001\r\n"
                    + &"x".repeat(16385)
                    + "\r\n"
            ),
            413,
        ),
        ("broken chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), 400),
        ("unknown coding", format!("{post}Transfer-Encoding: gzip\r\n\r\n"), 400),
        ("body that never comes", format!("{post}Content-Length: 50\r\n\r\n{{\"sess"), 408),
        ("chunks that never end", format!("{post}Transfer-Encoding: chunked\r\n\r\n2\r\n{{ \r\n"), 408),
        ("slow head", "GET / HTTP/1.1\r\nHost: localhost\r\nX-Sl".into(), 0),
        ("nothing", String::new(), 0),
    ];
    for (name, bytes, status) in cases {
        let answer = raw::exchange(shop, bytes.as_bytes()).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
    }
    let smuggled = format!(
        "{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    );
    let answer = raw::exchange(shop, smuggled.as_bytes()).await;
    assert!(answer.head.contains("connection: close") && !answer.body.contains("HTTP/1.1"), "the rest is no request: {answer:?}");
    undisturbed(&server).await;
}

#[tokio::test]
async fn slow_and_silent_clients_delay_no_other_client() {
    let server = start().await;
    let shop = server.info.http.unwrap();
    let mut held = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(shop).await.unwrap();
        let bytes: &[u8] = match number % 3 {
            0 => b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Sl",
            1 => b"POST /api/ecommerce/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
            _ => b"",
        };
        stream.write_all(bytes).await.unwrap();
        held.push(stream);
    }
    undisturbed(&server).await;
    for stream in held {
        raw::until_closed(stream).await;
    }
    undisturbed(&server).await;
}

#[tokio::test]
async fn requests_with_wrong_content() {
    let server = start().await;
    let shop = server.info.http.unwrap();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let huge_name = format!("{{\"productId\":\"PROD_0001\",\"userId\":\"{}\"}}", "x".repeat(60_000));
    let add = "/api/ecommerce/cart/bad-input/add";
    let bodies: Vec<(&str, String, u16)> = vec![
        (add, String::new(), 400),
        (add, "{".into(), 400),
        (add, "null".into(), 400),
        (add, "[]".into(), 400),
        (add, "\"x\"".into(), 400),
        (add, "{}".into(), 400),
        (add, "{} {}".into(), 400),
        (add, deep.clone(), 400),
        (add, "\u{feff}{\"productId\":\"PROD_0001\"}".into(), 400),
        (add, r#"{"productId":"PROD_0001","quantity":0}"#.into(), 400),
        (add, r#"{"productId":"PROD_0001","quantity":-1}"#.into(), 400),
        (add, r#"{"productId":"PROD_0001","quantity":1001}"#.into(), 400),
        (add, r#"{"productId":"PROD_0001","quantity":1000000000}"#.into(), 400),
        (add, r#"{"productId":"PROD_0001","quantity":1e400}"#.into(), 400),
        (add, r#"{"productId":"PROD_0001","quantity":99999999999999999999}"#.into(), 400),
        (add, r#"{"productId":"PROD_0001","quantity":1.5}"#.into(), 400),
        (add, r#"{"productId":"PROD_0001","quantity":"2"}"#.into(), 400),
        (add, r#"{"productId":"PROD_0001","quantity":true}"#.into(), 400),
        (add, r#"{"productId":"PROD_0001","quantity":NaN}"#.into(), 400),
        (add, r#"{"productId":"PROD_0001","productId":"PROD_0002"}"#.into(), 400),
        (add, r#"{"productId":7}"#.into(), 400),
        (add, r#"{"productId":""}"#.into(), 400),
        (add, "{\"productId\":\"PROD_0001\\u0000\"}".into(), 400),
        (add, r#"{"productId":"РROD_0001"}"#.into(), 404),
        (add, r#"{"productId":"prod_0001"}"#.into(), 404),
        (add, r#"{"productId":"' OR 1=1--"}"#.into(), 404),
        (add, huge_name, 400),
        ("/api/ecommerce/checkout", r#"{"sessionId":"nobody"}"#.into(), 400),
        ("/api/ecommerce/checkout", r#"{"sessionId":""}"#.into(), 400),
        ("/api/ecommerce/checkout", r#"{"sessionId":"s","useCdc":"yes"}"#.into(), 400),
        ("/api/ecommerce/checkout", r#"{"sessionId":"s","expectedTotal":-1}"#.into(), 400),
        ("/api/ecommerce/checkout", r#"{"sessionId":"s","shippingAddress":{"street":"Elm\u00001"}}"#.into(), 400),
        ("/api/ecommerce/checkout", "{\"sessionId\":\"\\ud800\"}".into(), 400),
        ("/api/ecommerce/events", "{}".into(), 400),
        ("/api/ecommerce/events", r#"{"events":7}"#.into(), 400),
        ("/api/ecommerce/events", deep, 400),
        ("/api/ecommerce/events", r#"{"events":[7,null,{"eventType":{"a":1}}]}"#.into(), 202),
    ];
    for (path, body, status) in bodies {
        let answer = request(shop, "POST", path, &[JSON], body.as_bytes()).await;
        assert_eq!(answer.status, status, "{path} {body:.80}: {answer:?}");
        if status >= 400 {
            let problem: Value = serde_json::from_str(&answer.body).unwrap();
            assert!(answer.head.contains("application/problem+json"), "{answer:?}");
            assert_eq!(problem["status"], status, "{problem}");
            assert!(problem["code"].is_string() && problem["traceId"].as_str().is_some_and(|id| id.len() == 32), "{problem}");
            assert!(!answer.body.contains("sqlx") && !answer.body.contains("src/") && answer.body.len() < 2000, "{problem}");
        }
    }
    let not_utf8 = request(shop, "POST", add, &[JSON], b"{\"productId\":\"\xff\xfe\"}").await;
    assert_eq!(not_utf8.status, 400, "{not_utf8:?}");
    let own = format!("http://{shop}");
    for media in
        ["text/html", "text/plain", "Text/Plain; charset=utf-8", "multipart/form-data", "application/x-www-form-urlencoded"]
    {
        for (method, path) in
            [("POST", add), ("PUT", "/api/ecommerce/cart/bad-input/items/PROD_0001"), ("POST", "/api/ecommerce/checkout")]
        {
            let refused = request(shop, method, path, &[("Content-Type", media), ("Origin", &own)], b"{}").await;
            assert!(refused.status == 415 && refused.body.contains("application/json"), "{method} {path} {media}: {refused:?}");
        }
    }
    assert_eq!(request(shop, "POST", add, &[("Origin", &own)], b"{}").await.status, 415, "a page's body without a type");
    let beacon =
        request(shop, "POST", "/api/ecommerce/events", &[("Content-Type", "text/plain;charset=UTF-8")], b"{\"events\":[]}");
    assert_eq!(beacon.await.status, 202);
    assert_eq!(request(shop, "POST", add, &[JSON, ("Content-Encoding", "gzip")], b"{}").await.status, 415);
    let cart = server.get("/api/ecommerce/cart/bad-input").await;
    assert_eq!(cart["items"], json!([]), "nothing bad went into the cart");
    undisturbed(&server).await;
}

#[tokio::test]
async fn paths_methods_and_parameters_that_do_not_exist() {
    let server = start().await;
    let shop = server.info.http.unwrap();
    let long_id = "x".repeat(300);
    for (method, path, status) in [
        ("GET", "/api/ecommerce/product/nothing", 404),
        ("GET", "/api/ecommerce/product/%00", 404),
        ("GET", "/api/ecommerce/product/%2e%2e%2fsecret", 404),
        ("GET", "/api/ecommerce/product/%ff", 400),
        ("GET", "/api/ecommerce/product/PROD_0001/", 404),
        ("GET", "/API/ecommerce/products", 404),
        ("GET", "/api/ecommerce/nothing", 404),
        ("GET", "/api", 404),
        ("POST", "/api/ecommerce/products", 405),
        ("DELETE", "/api/ecommerce/product/PROD_0001", 405),
        ("PATCH", "/api/ecommerce/checkout", 405),
        ("BREW", "/api/ecommerce/products", 405),
        ("TRACE", "/api/ecommerce/products", 405),
        ("GET", "/api/ecommerce/products?limit=-1", 400),
        ("GET", "/api/ecommerce/products?limit=1001", 400),
        ("GET", "/api/ecommerce/products?limit=abc", 400),
        ("GET", "/api/ecommerce/products?limit=", 400),
        ("GET", "/api/ecommerce/products?limit=99999999999999999999", 400),
        ("GET", "/api/ecommerce/products?page=0", 400),
        ("GET", "/api/ecommerce/products?page=4294967295&limit=1000", 200),
        ("GET", "/api/ecommerce/products?minPrice=NaN", 400),
        ("GET", "/api/ecommerce/products?maxPrice=-1", 400),
        ("GET", "/api/ecommerce/products?inStock=maybe", 400),
        ("GET", "/api/ecommerce/products?sort=random", 400),
        ("GET", "/api/ecommerce/products?search=%ff%fe", 200),
        ("GET", "/api/ecommerce/products?a[]=1&a[]=2&limit=0", 200),
        ("GET", "/api/ecommerce/product/PROD_0001/history?minutes=0", 400),
        ("GET", "/api/ecommerce/orders", 400),
        ("GET", "/api/ecommerce/orders/nothing", 404),
        ("GET", "/api/ecommerce/orders/nothing?sessionId=s", 404),
        ("GET", "/api/ecommerce/cart/a%00b", 400),
        ("GET", &format!("/api/ecommerce/cart/{long_id}"), 400),
        ("GET", "/api/ecommerce/cart/%20%F0%9F%9B%92", 200),
        ("GET", "/api/ecommerce/recommendations/a%0Ab", 400),
        ("GET", "/api/chat/status", 404),
        ("POST", "/api/chat/shopping-assistant", 404),
        ("GET", "/ws/chat", 404),
        ("GET", "/chat/anna", 404),
        ("GET", "/admin/roles", 404),
        ("GET", "/metrics", 404),
        ("GET", "/ecommerce/s/u", 426),
        ("POST", "/ecommerce/s/u", 405),
    ] {
        let answer = request(shop, method, path, &[], b"").await;
        let expected = if path.starts_with("/API") && answer.status == 503 { 503 } else { status };
        assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
        assert!(!answer.head.contains("\r\nserver:"), "{answer:?}");
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{method} {path}: {answer:?}");
        if path.starts_with("/api") {
            assert!(answer.head.contains("cache-control: no-cache"), "{method} {path}: {answer:?}");
        }
    }
    let probe = handshake(shop, "/ws/chat", "").replace("Connection: Upgrade", "Connection: close, Upgrade");
    assert_eq!(raw::exchange(shop, probe.as_bytes()).await.status, 404, "chat is not offered");
    undisturbed(&server).await;
}

#[tokio::test]
async fn handshakes_and_frames_that_break_the_rules() {
    let server = start().await;
    let shop = server.info.http.unwrap();
    let good = handshake(shop, "/ecommerce/s/u", "Connection: close\r\n");
    let handshakes = [
        (good.replace("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"), 426),
        (good.replace("Upgrade: websocket", "Upgrade: h2c"), 426),
        (good.replace("HTTP/1.1", "HTTP/1.0"), 426),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400),
        (good.replace("/ecommerce/s/u", "/ecommerce/a%00b/u"), 400),
        (good.replace("/ecommerce/s/u", "/ecommerce/s"), 404),
        (good.replace("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n"), 403),
        (good.replace("\r\n\r\n", "\r\nOrigin: null\r\n\r\n"), 403),
    ];
    for (text, status) in handshakes {
        let answer = raw::exchange(shop, text.as_bytes()).await;
        assert_eq!(answer.status, status, "{text}: {answer:?}");
    }
    let mut unmasked = masked(0x81, b"{}");
    unmasked[1] &= 0x7f;
    let flood: Vec<u8> = (0..1000).flat_map(|_| masked(0x89, b"")).collect();
    let fragments: Vec<u8> = masked(0x01, b"{").into_iter().chain((0..1000).flat_map(|_| masked(0x00, b""))).collect();
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("unmasked", unmasked, 1002),
        ("reserved bit", masked(0xc1, b"{}"), 1002),
        ("reserved opcode", masked(0x83, b"{}"), 1002),
        ("fragmented ping", masked(0x09, b""), 1002),
        ("long ping", masked(0x89, &[b'x'; 126]), 1002),
        ("continuation of nothing", masked(0x80, b"x"), 1002),
        ("half a close code", masked(0x88, b"\x03"), 1002),
        ("close code 1005", masked(0x88, &1005_u16.to_be_bytes()), 1002),
        ("binary", masked(0x82, b"\x00\x01"), 1003),
        ("not UTF-8", masked(0x81, b"\xff\xff"), 1007),
        ("too long", masked(0x81, &vec![b'x'; 16_385]), 1009),
        ("huge", vec![0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4], 1009),
        ("too many pings", flood, 1008),
        ("endless fragments", fragments, 1008),
        ("goes properly", masked(0x88, &1000_u16.to_be_bytes()), 1000),
    ];
    for (name, bytes, code) in cases {
        let mut socket = RawSocket::open(shop, "/ecommerce/bad-input/u", "").await;
        socket.until("PRODUCT_CACHE_SYNC").await;
        socket.send(&bytes).await;
        assert_eq!(socket.close_code().await, code, "{name}");
    }
    undisturbed(&server).await;
}

#[tokio::test]
async fn messages_that_mean_nothing_are_ignored() {
    let server = start().await;
    let mut socket = RawSocket::open(server.info.http.unwrap(), "/ecommerce/bad-words/u", "").await;
    socket.until("RECOMMENDATION").await;
    let spoof = json!({"uuid": "x", "eventType": "PRODUCT_UPDATE", "payload": {"productId": "PROD_0001", "inventory": 0}});
    for text in [
        "",
        "null",
        "[]",
        "{",
        "7",
        "{\"type\":7}",
        "{\"type\":\"NEWS\"}",
        &spoof.to_string(),
        &"[".repeat(5000),
        r#"{"type":"CART_UPDATE"}"#,
        r#"{"type":"CART_UPDATE","action":"STEAL","payload":{"productId":"PROD_0001"}}"#,
        r#"{"type":"CART_UPDATE","action":"ADD","payload":{"productId":"NOTHING","quantity":1}}"#,
        r#"{"type":"CART_UPDATE","action":"ADD","payload":{"productId":"PROD_0001","quantity":1000000000}}"#,
        r#"{"type":"CART_UPDATE","action":"ADD","payload":{"productId":"PROD_0001","quantity":-4}}"#,
        r#"{"type":"CART_UPDATE","action":"UPDATE_QUANTITY","payload":{"productId":"NOTHING","quantity":2}}"#,
    ] {
        socket.say(text).await;
    }
    // The socket still answers, and the cart is as it was.
    socket.say(r#"{"type":"GET_RECOMMENDATIONS"}"#).await;
    socket.until("RECOMMENDATION").await;
    assert_eq!(server.get("/api/ecommerce/cart/bad-words").await["items"], json!([]));
    undisturbed(&server).await;
}

/// How many pages the server has.
async fn pages(server: &Server) -> usize {
    let metrics = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with("kartshoppe_pages")).unwrap_or_else(|| panic!("no figure of pages"));
    line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as usize
}

async fn until_pages(server: &Server, count: usize) {
    let deadline = tokio::time::Instant::now() + raw::PATIENCE;
    while pages(server).await != count {
        assert!(tokio::time::Instant::now() < deadline, "never {count} pages: {}", pages(server).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn half_open_sockets_are_detected_and_cost_nothing() {
    let server = start().await;
    let shop = server.info.http.unwrap();
    let mut other = RawSocket::open(shop, "/ecommerce/reader/u", "").await;
    other.until("PRODUCT_CACHE_SYNC").await;
    // A client that has sent everything and only reads still gets the answer.
    let mut listens = TcpStream::connect(shop).await.unwrap();
    listens.write_all(b"GET /api/ecommerce/product/PROD_0001 HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    listens.shutdown().await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(raw::PATIENCE, listens.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // A page that can never send anything again, and one that vanishes without closing.
    let mut pages = Vec::new();
    for session in ["mute", "vanished"] {
        let mut page = TcpStream::connect(shop).await.unwrap();
        page.write_all(handshake(shop, &format!("/ecommerce/{session}/u"), "").as_bytes()).await.unwrap();
        pages.push(page);
    }
    until_pages(&server, 3).await;
    let vanished = pages.pop().unwrap();
    vanished.set_zero_linger().unwrap();
    drop(vanished);
    until_pages(&server, 2).await;
    let mut mute = pages.pop().unwrap();
    mute.shutdown().await.unwrap();
    until_pages(&server, 1).await;
    raw::until_closed(mute).await;
    // A lost handshake and a lost request are released after their time limits.
    let half = TcpStream::connect(shop).await.unwrap();
    half.set_zero_linger().unwrap();
    drop(half);
    let shopper = Shopper::new("half-open-neighbour");
    shopper.add(&server, "PROD_0002", 1).await;
    assert_eq!(shopper.checkout(&server, false).await.0, 200);
    assert!(other.until("PRODUCT_UPDATE").await["payload"]["productId"].is_string(), "the reader goes on");
    undisturbed(&server).await;
}

#[tokio::test]
async fn a_page_that_reads_nothing_is_disconnected() {
    let server = start().await;
    let shop = server.info.http.unwrap();
    let mut other = RawSocket::open(shop, "/ecommerce/reader/u", "").await;
    other.until("PRODUCT_CACHE_SYNC").await;
    // Its window closes as soon as unread data fills its buffers.
    let deaf = tokio::net::TcpSocket::new_v4().unwrap();
    deaf.set_recv_buffer_size(4096).unwrap();
    let mut deaf = deaf.connect(shop).await.unwrap();
    deaf.write_all(handshake(shop, "/ecommerce/deaf/u", "").as_bytes()).await.unwrap();
    let shopper = Shopper::new("deaf-neighbour");
    let deadline = tokio::time::Instant::now() + raw::PATIENCE;
    until_pages(&server, 2).await;
    while pages(&server).await > 1 {
        assert!(tokio::time::Instant::now() < deadline, "the deaf page is still connected");
        shopper.add(&server, "PROD_0002", 1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (status, order) = shopper.checkout(&server, false).await;
    assert_eq!(status, 200, "{order}");
    assert!(other.until("PRODUCT_UPDATE").await["payload"]["productId"].is_string(), "the reader goes on");
    drop(deaf);
}

async fn produce(server: &Server, topic: &str, record: Value) {
    let (status, answer) = server.operate(&format!("/admin/topics/{topic}/records"), &record).await;
    assert_eq!(status, 200, "{topic} {record}: {answer}");
}

#[tokio::test]
async fn poison_records_become_dead_letters_and_nothing_else() {
    let mut server = start().await;
    let item = |quantity: Value| json!({"orderId": "o", "productId": "PROD_0001", "quantity": quantity, "timestamp": 1});
    let product = |field: &str, value: Value| {
        let mut product = json!({"productId": "PROD_0001", "name": "x", "price": 1, "inventory": 5});
        product[field] = value;
        product
    };
    let deep: Value = serde_json::from_str(&format!("{}{}", "[".repeat(120), "]".repeat(120))).unwrap();
    let mut poison: Vec<(&str, Value)> = Vec::new();
    for topic in ["order-events", "product-updates"] {
        poison.extend([
            (topic, json!({"key": "PROD_0001", "valueBase64": "/w=="})),
            (topic, json!({"key": "PROD_0001", "valueBase64": "AAAAAAE="})),
            (topic, json!({"key": "PROD_0001", "valueBase64": ""})),
            (topic, json!({"key": "PROD_0001", "value": "text"})),
            (topic, json!({"key": "PROD_0001", "value": 7})),
            (topic, json!({"key": "PROD_0001", "value": {}})),
            (topic, json!({"key": "PROD_0001", "value": {"a": deep}})),
        ]);
    }
    for quantity in [json!(0), json!(-1), json!(5.5), json!("5"), json!(true), json!(1e30), json!(null)] {
        poison.push(("order-events", json!({"key": "PROD_0001", "value": item(quantity)})));
    }
    poison.push(("order-events", json!({"key": "PROD_0002", "value": item(json!(1))})));
    poison.push(("order-events", json!({"key": "PROD_0001", "value": null})));
    for (field, value) in [
        ("inventory", json!(-5)),
        ("inventory", json!(1.5)),
        ("inventory", json!(1e15)),
        ("inventory", json!(null)),
        ("price", json!(-1)),
        ("price", json!("19,99")),
        ("price", json!(0.001)),
        ("inventory", json!(1_000_000_000_001_i64)),
        ("name", json!(" \u{200b}")),
        ("name", json!("")),
        ("name", json!("x".repeat(1_000_000))),
        ("productId", json!("")),
        ("rating", json!(-0.1)),
    ] {
        poison.push(("product-updates", json!({"key": "PROD_0001", "value": product(field, value)})));
    }
    // A field that is given twice is ambiguous.
    let twice = [
        ("order-events", r#"{"orderId":"o","productId":"PROD_0001","quantity":1,"quantity":2,"timestamp":1}"#),
        ("product-updates", r#"{"productId":"PROD_0001","name":"x","price":1,"inventory":5,"inventory":6}"#),
    ];
    for (topic, text) in twice {
        poison.push((topic, json!({"key": "PROD_0001", "valueBase64": BASE64_STANDARD.encode(text)})));
    }
    let expected = poison.len();
    for (topic, record) in poison {
        produce(&server, topic, record).await;
    }
    // Our own outputs and other programs' topics: followers ignore whatever they cannot use.
    let followed = ["products", "inventory-events", "inventory-alerts", "shopping-cart-events"];
    for topic in followed.into_iter().chain(["ecommerce_events", "websocket_fanout", "dead-letters"]) {
        produce(&server, topic, json!({"key": "PROD_0001", "valueBase64": "/w=="})).await;
        produce(&server, topic, json!({"key": "PROD_0001", "value": {"eventType": "SHOPPING_CART", "payload": []}})).await;
    }
    let deadline = tokio::time::Instant::now() + raw::PATIENCE;
    let letters = loop {
        let answer = server.http.get(server.admin("/admin/dead-letters?limit=10000")).send().await.unwrap();
        let mut letters: Value = answer.json().await.unwrap();
        let letters = letters["records"].take();
        let ours: Vec<Value> = letters
            .as_array()
            .unwrap()
            .iter()
            .filter(|letter| letter["headers"]["__streams.errors.topic"].is_string())
            .cloned()
            .collect();
        if ours.len() >= expected {
            break ours;
        }
        assert!(tokio::time::Instant::now() < deadline, "{} of {expected} dead letters\n{}", ours.len(), server.log_tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(letters.len(), expected);
    for letter in &letters {
        let reason = letter["headers"]["__streams.errors.message"].as_str().unwrap();
        assert!(!reason.is_empty() && reason.len() < 1000, "{letter}");
    }
    undisturbed(&server).await;
    let shopper = Shopper::new("after-poison");
    shopper.add(&server, "PROD_0001", 1).await;
    let (_, order) = shopper.checkout(&server, false).await;
    assert_eq!(shopper.settled(&server, order["orderId"].as_str().unwrap()).await["status"], "CONFIRMED");
    // A restart that reads everything again from the start ignores it too.
    server.kill();
    server.resume().await;
    server.until_products(200).await;
    assert_eq!(server.get("/api/ecommerce/product/PROD_0001").await["inventory"], 16);
}
