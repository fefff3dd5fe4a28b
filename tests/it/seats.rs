//! Connection limits: a client that holds all connections keeps no other out, and only the slowest of the peer with the most are
//! closed.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::raw::{PATIENCE, RawSocket, request};
use crate::support::server::{Options, Server};

const ATTACKER: [u8; 4] = [127, 0, 0, 2];
const PROXY: [u8; 4] = [127, 0, 0, 3];

/// Options under which a connection is closed only for a limit.
fn patient() -> Options {
    ["HEADER_TIMEOUT", "BODY_TIMEOUT", "IDLE_TIMEOUT"]
        .into_iter()
        .fold(Options::default(), |options, key| options.set(&format!("KARTSHOPPE__HTTP__{key}"), "1h"))
        .set("KARTSHOPPE__HTTP__MIN_RATE", 1)
}

async fn connect_from(source: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    socket.connect(address).await.unwrap()
}

async fn send_from(source: [u8; 4], address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = connect_from(source, address).await;
    let _ = stream.write_all(text.as_bytes()).await;
    stream
}

/// Whether the server has ended the connection: it sends nothing else in between.
async fn is_ended(stream: &mut TcpStream) -> bool {
    match timeout(Duration::from_millis(1), stream.read(&mut [0; 4096])).await {
        Err(_) => false,
        Ok(read) => !read.is_ok_and(|count| count > 0),
    }
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

/// The head of a checkout whose body never comes.
fn endless(headers: &str) -> String {
    format!("POST /api/ecommerce/checkout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n{headers}\r\n{{")
}

async fn status(stream: &mut TcpStream) -> u16 {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(Ok(byte)) = timeout(PATIENCE, stream.read_u8()).await else { return 0 };
        head.push(byte);
    }
    String::from_utf8_lossy(&head).split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_shopper_connects_however_an_attacker_holds_the_connections() {
    let server = Server::start_filled(patient().set("KARTSHOPPE__HTTP__MAX_CONNECTIONS", 30)).await;
    let address = server.info.http.unwrap();
    let mut regular = send_from([127, 0, 0, 1], address, &get("/api/ecommerce/status", "")).await;
    assert_eq!(status(&mut regular).await, 200);
    for kind in ["", "GET /api/ecommerce/status HTTP/1.1\r\nX-", &endless("")] {
        let mut held = Vec::new();
        for _ in 0..60 {
            held.push(send_from(ATTACKER, address, kind).await);
        }
        for _ in 0..5 {
            let answer = request(address, "GET", "/api/ecommerce/product/PROD_0001", &[], b"").await;
            assert_eq!(answer.status, 200, "{kind:?}");
        }
        assert!(!is_ended(&mut regular).await, "{kind:?}: another peer's connection is ended");
        regular.write_all(get("/livez", "").as_bytes()).await.unwrap();
        assert_eq!(status(&mut regular).await, 200);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        // A page that was sent its close reason is seen to be ended by the next check.
        while futures_util::future::join_all(held.iter_mut().map(is_ended)).await.iter().filter(|ended| **ended).count() < 31 {
            assert!(tokio::time::Instant::now() < deadline, "{kind:?}");
        }
    }
    // Also from the address that holds the rest.
    let mut same = send_from(ATTACKER, address, &get("/livez", "")).await;
    assert_eq!(status(&mut same).await, 200);
    let figures = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(figures.contains("kartshoppe_connection_cuts_total{cause=\"seat\"}"), "{figures}");
}

#[tokio::test]
async fn an_attacker_behind_a_trusted_proxy_disconnects_no_other_shopper() {
    let options = patient().set("KARTSHOPPE__HTTP__MAX_CONNECTIONS", 20).set("KARTSHOPPE__HTTP__TRUSTED_PROXIES", "127.0.0.3/32");
    let server = Server::start_filled(options).await;
    let address = server.info.http.unwrap();
    let by_proxy = |client: usize| format!("X-Forwarded-For: 192.0.2.99, 203.0.113.{client}\r\n");
    let mut shoppers = Vec::new();
    for client in 1..=5 {
        let mut stream = send_from(PROXY, address, &get("/livez", &by_proxy(client))).await;
        assert_eq!(status(&mut stream).await, 200);
        shoppers.push(stream);
    }
    let mut held = Vec::new();
    for number in 0..40 {
        // Only the last address comes from the proxy; one test uses the standard's header.
        let header =
            if number % 2 == 0 { by_proxy(66) } else { "Forwarded: for=1.2.3.4, for=203.0.113.66;proto=https\r\n".to_owned() };
        held.push(send_from(PROXY, address, &endless(&header)).await);
        // Until its head was read the connection counts for the proxy.
        let mut latest = send_from(PROXY, address, &get("/livez", &by_proxy(100))).await;
        assert_eq!(status(&mut latest).await, 200);
    }
    for shopper in &mut shoppers {
        assert!(!is_ended(shopper).await, "a shopper of the same proxy is ended");
        shopper.write_all(get("/livez", &by_proxy(1)).as_bytes()).await.unwrap();
        assert_eq!(status(shopper).await, 200);
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_may_name_the_client() {
    let options = patient().set("KARTSHOPPE__HTTP__MAX_CONNECTIONS", 20).set("KARTSHOPPE__HTTP__TRUSTED_PROXIES", "127.0.0.3");
    let server = Server::start_filled(options).await;
    let address = server.info.http.unwrap();
    let mut shopper = send_from([127, 0, 0, 1], address, &get("/livez", "")).await;
    assert_eq!(status(&mut shopper).await, 200);
    // One peer under many names is still the one with the most.
    for number in 0..40 {
        send_from(ATTACKER, address, &endless(&format!("X-Forwarded-For: 203.0.113.{number}\r\n"))).await;
    }
    assert!(!is_ended(&mut shopper).await);

    let admin = server.info.admin;
    let line_of = async |source: [u8; 4], operator: &str| {
        let text = format!(
            "POST /admin/topics HTTP/1.1\r\nHost: {admin}\r\nX-KartShoppe-Operator: {operator}\r\nForwarded: for=\"[2001:db8::7]:1\"\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let mut stream = send_from(source, admin, &text).await;
        status(&mut stream).await;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let log = server.log_tail();
            if let Some(line) = log.lines().find(|line| line.contains(&format!("operator=\"{operator}\""))) {
                return line.to_owned();
            }
            assert!(tokio::time::Instant::now() < deadline, "no line of {operator}:\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let line = line_of(PROXY, "ann").await;
    assert!(line.contains("peer=\"2001:db8::7 by 127.0.0.3:"), "{line}");
    let line = line_of(ATTACKER, "bob").await;
    assert!(line.contains("peer=\"127.0.0.2:") && !line.contains("2001"), "{line}");
}

#[tokio::test]
async fn a_page_connects_while_silent_ones_hold_all_connections() {
    let options = Options::default().set("KARTSHOPPE__WS__MAX_PAGES", 20).set("KARTSHOPPE__WS__HEARTBEAT_INTERVAL", "500ms");
    let server = Server::start_filled(options).await;
    let address = server.info.http.unwrap();
    let mut regular = RawSocket::open(address, "/ecommerce/regular/guest", "").await;
    regular.until("RECOMMENDATION").await;
    let mut held = Vec::new();
    for number in 0..19 {
        let stream = connect_from(ATTACKER, address).await;
        held.push(RawSocket::over(stream, &format!("/ecommerce/held-{number}/guest"), "").await);
    }
    let mut shopper = RawSocket::open(address, "/ecommerce/new/guest", "").await;
    shopper.until("RECOMMENDATION").await;
    assert_eq!(held[0].close_code().await, 1013, "the longest silent one made room");
    shopper.say("{}").await;
    regular.say("{}").await;
    // From the attacker's own address too, once it is known which pages are silent.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut stream = connect_from(ATTACKER, address).await;
        let handshake = crate::support::raw::handshake(address, "/ecommerce/same/guest", "");
        stream.write_all(handshake.as_bytes()).await.unwrap();
        match status(&mut stream).await {
            101 => break,
            status => assert_eq!(status, 503),
        }
        assert!(tokio::time::Instant::now() < deadline, "silent pages of the same peer keep their seats");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(held[1].close_code().await, 1013);
}

#[tokio::test]
async fn a_page_that_reads_nothing_gets_the_reason_of_its_close() {
    let options = Options::default().set("KARTSHOPPE__WS__WRITE_TIMEOUT", "1s");
    let server = Server::start_filled(options).await;
    let mut page = RawSocket::open_narrow(server.info.http.unwrap(), "/ecommerce/stalled/guest", "").await;
    page.until("RECOMMENDATION").await;
    let product = |n: usize| {
        json!({"productId": "PROD_0001", "name": "A long one", "description": "x".repeat(3_000), "category": "Books", "brand": "B",
               "price": 9.5, "inventory": 10 + n, "imageUrl": "", "tags": [], "rating": 4.0, "reviewCount": 1})
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for round in 0.. {
        let records: Vec<_> = (0..50).map(|n| json!({"key": "PROD_0001", "value": product(round * 50 + n)})).collect();
        let (status, told) = server.operate("/admin/topics/product-updates/records", &json!({"records": records})).await;
        assert_eq!(status, 200, "{told}");
        let figures = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
        if figures.contains("kartshoppe_page_cuts_total{cause=\"stalled\"} 1") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "a page that takes nothing is kept:\n{figures}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(page.close_code().await, 1008);
}

#[tokio::test]
async fn a_trickling_body_is_refused_and_a_slow_one_is_accepted() {
    let options = Options::default().set("KARTSHOPPE__HTTP__BODY_TIMEOUT", "1h");
    let server = Server::start_filled(options).await;
    let address = server.info.http.unwrap();
    let mut trickling = send_from(ATTACKER, address, &endless("")).await;
    let status_of = async |stream: &mut TcpStream, bytes: &[u8]| loop {
        if stream.write_all(bytes).await.is_err() {
            return 0;
        }
        if let Ok(status) = timeout(Duration::from_millis(200), status(stream)).await {
            return status;
        }
    };
    assert_eq!(status_of(&mut trickling, b" ").await, 408);
    let body = format!("{{\"events\":[\"{}\"]}}", "x".repeat(40_000));
    let head = format!("POST /api/ecommerce/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut slow = send_from(ATTACKER, address, &head).await;
    for part in body.as_bytes().chunks(4_000) {
        slow.write_all(part).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(status(&mut slow).await / 100, 2);
}
