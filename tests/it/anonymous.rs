//! What anonymous clients may send, and that session ids are never disclosed: the id alone protects a session's cart and orders.

use serde_json::json;

use crate::support::otlp::OtlpReceiver;
use crate::support::raw::{RawSocket, request};
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

#[tokio::test]
async fn no_span_log_line_or_figure_shows_a_sessions_id() {
    let receiver = OtlpReceiver::start().await;
    let server = Server::start_filled(receiver.of_all(Options::default()).set("RUST_LOG", "debug")).await;
    let shopper = Shopper::new("SECRET");
    shopper.add(&server, "PROD_0003", 1).await;
    let (status, order) = shopper.checkout(&server, false).await;
    assert_eq!(status, 200, "{order}");
    shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
    let address = server.info.http.unwrap();
    let long = "SECRET".repeat(40);
    for path in [
        "/api/ecommerce/cart/session-SECRET",
        "/api/ecommerce/cart/session-SECRET/nothing",
        "/api/ecommerce/cart/SECRET%00x",
        "/api/ecommerce/orders?sessionId=session-SECRET",
        "/api/ecommerce/recommendations/user?sessionId=session-SECRET",
        "/ecommerce/session-SECRET",
        "/ecommerce/session-SECRET/guest",
        "/ecommerce/session-SECRET/guest/more",
        "/session-SECRET",
        &format!("/api/ecommerce/cart/{long}"),
    ] {
        request(address, "GET", path, &[], b"").await;
    }
    let mut page = RawSocket::open(address, "/ecommerce/session-SECRET/guest", "").await;
    page.until("RECOMMENDATION").await;
    page.say(r#"{"type":"CART_UPDATE","action":"ADD","payload":{"productId":"NONE"}}"#).await;
    page.say(r#"{"type":"EVENT","sessionId":"session-SECRET"}"#).await;
    let store = sqlx::PgPool::connect(&server.database_url()).await.unwrap();
    shopper.add(&server, "PROD_0004", 1).await;
    let spoilt = sqlx::query("UPDATE carts SET user_id = '' WHERE session_id = 'session-SECRET'").execute(&store).await.unwrap();
    assert_eq!(spoilt.rows_affected(), 1);
    assert!(request(address, "GET", "/api/ecommerce/cart/session-SECRET", &[], b"").await.status >= 500);
    server.get("/api/ecommerce/status").await;
    receiver.span("of the last request", |span| span.name == "GET /api/ecommerce/status").await;
    let figures = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    let log = std::fs::read_to_string(server.data().join("stderr.log")).unwrap();
    assert!(!receiver.logs().is_empty() && !receiver.metrics().0.is_empty(), "all signals are looked at");
    for (what, text) in [("a signal", receiver.text()), ("a figure", figures), ("the log", log)] {
        // Session, address, payload: what the shopper said is in no signal.
        for said in ["SECRET", "1 Main St", "A Shopper"] {
            let shown = text.find(said).map(|at| text.get(at.saturating_sub(300)..at + 6).unwrap_or_default().to_owned());
            assert_eq!(shown, None, "{what} shows {said}");
        }
    }
}

#[tokio::test]
async fn a_well_formed_batch_is_always_taken() {
    let server = Server::start(Options::default()).await;
    let address = server.info.http.unwrap();
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let long = format!("\"{}\"", "s".repeat(60_000));
    for event in
        [r#"{"x":"\ud83d"}"#, r#"{"x":1e400}"#, r#"{"\udc00":-0e-1}"#, "7", "null", &deep, &format!("{{\"sessionId\":{long}}}")]
    {
        let body = format!("{{\"events\":[{event}]}}");
        let answer =
            request(address, "POST", "/api/ecommerce/events", &[("Content-Type", "application/json")], body.as_bytes()).await;
        assert_eq!(answer.status / 100, 2, "{event:.80}: {}", answer.body);
    }
    for body in ["", "{", "{\"events\":[}", "{\"events\":[01]}", "{}", "{\"events\":7}", "{\"events\":[\"\\x\"]}"] {
        let answer =
            request(address, "POST", "/api/ecommerce/events", &[("Content-Type", "application/json")], body.as_bytes()).await;
        assert_eq!(answer.status, 400, "{body}");
    }
}

#[tokio::test]
async fn personal_data_depends_on_the_session_and_not_on_a_name() {
    let server = Server::start_filled(Options::default()).await;
    let shopper = Shopper::new("alices");
    let body = json!({"productId": "PROD_0001", "userId": "alice", "quantity": 1});
    assert_eq!(server.post("/api/ecommerce/cart/session-alices/add", &body).await.0, 200);
    let mut checkout = shopper.checkout_body(false);
    checkout["userId"] = json!("alice");
    assert_eq!(server.post("/api/ecommerce/checkout", &checkout).await.0, 200);
    let kind =
        async |path: &str| server.get(&format!("/api/ecommerce/recommendations/{path}")).await["recommendationType"].clone();
    assert_eq!(kind("alice?sessionId=session-alices").await, "PERSONALIZED");
    assert_eq!(kind("alice").await, "TRENDING_NOW");
    assert_eq!(kind("alice?sessionId=session-mallorys").await, "TRENDING_NOW");
    let mut page = RawSocket::open(server.info.http.unwrap(), "/ecommerce/session-mallorys/alice", "").await;
    assert_eq!(page.until("RECOMMENDATION").await["payload"]["recommendationType"], "TRENDING_NOW");
}
