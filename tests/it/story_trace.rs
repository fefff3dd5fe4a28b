//! One purchase is one trace: from the click's request to the other page's frame, by either path of the order.

use std::collections::BTreeMap;

use kartshoppe::telemetry::names::attribute::ALL as ATTRIBUTES;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::support::otlp::{OtlpReceiver, attribute};
use crate::support::page::Page;
use crate::support::place::{Place, on_each_log};
use crate::support::raw::request;
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

on_each_log!(a_purchase_is_one_trace_by_the_direct_path, a_purchase_is_one_trace_by_the_wal_path);

async fn a_purchase_is_one_trace_by_the_direct_path(place: Place) {
    purchase(&place, false, "kartshoppe-api").await;
}

async fn a_purchase_is_one_trace_by_the_wal_path(place: Place) {
    purchase(&place, true, "kartshoppe-cdc").await;
}

async fn purchase(place: &Place, use_cdc: bool, publisher: &str) {
    let receiver = OtlpReceiver::start().await;
    let server = Server::start_filled(receiver.of(place.options())).await;
    let mut other = Page::open(&server.socket_url("session-other")).await;
    let shopper = Shopper::new("traced");
    shopper.add(&server, "PROD_0003", 1).await;
    let before = other.stock("PROD_0003").unwrap();
    let (status, order) = shopper.checkout(&server, use_cdc).await;
    assert_eq!(status, 200, "{order}");
    other.until("the stock to fall", |page| page.stock("PROD_0003") == Some(before - 1)).await;
    shopper.settled(&server, order["orderId"].as_str().unwrap()).await;

    let request = receiver.span("of the checkout", |span| span.name == "POST /api/ecommerce/checkout").await;
    assert!(request.parent_span_id.is_empty(), "the click is the root");
    let checkout = receiver.child(&request, "checkout").await;
    receiver.child(&checkout, "SELECT carts").await;
    let insert = receiver.child(&checkout, "INSERT orders").await;
    let published = receiver.child(&checkout, "send order-events").await;
    let processed = receiver.child(&published, "process order-events").await;
    let polled = receiver.child(&published, "poll order-events").await;
    assert!(
        polled.start_time_unix_nano <= polled.end_time_unix_nano && polled.end_time_unix_nano == processed.start_time_unix_nano
    );
    let applied = receiver.child(&processed, "product.apply").await;
    let settled = receiver.child(&applied, "order.settle").await;
    receiver.child(&settled, "UPDATE order_items").await;
    let pushed = receiver.child(&applied, "fanout.push").await;
    let committed = receiver.child(&processed, "record.commit").await;
    let links_to = |span: &Span, to: &Span| span.links.iter().any(|link| link.span_id == to.span_id);
    let is_linked = |span: &Span| span.name == "inventory.commit" && links_to(span, &applied) && links_to(span, &committed);
    let batch = receiver.span("inventory.commit linked to product.apply", is_linked).await;
    assert!(links_to(&committed, &batch), "and back");
    assert!(batch.parent_span_id.is_empty() && batch.trace_id != request.trace_id, "a trace of its own");

    server.get("/api/ecommerce/orders?sessionId=session-traced").await;
    let listed = receiver.span("of the list", |span| span.name == "GET /api/ecommerce/orders").await;
    receiver.child(&listed, "SELECT orders").await;

    let service = |span: &Span| receiver.service(span);
    assert_eq!([&request, &checkout, &insert, &settled, &pushed].map(service), ["kartshoppe-api"; 5]);
    assert_eq!(service(&published), publisher);
    assert_eq!([&processed, &applied, &committed, &batch].map(service), ["kartshoppe-inventory"; 4]);
    let kinds = [(&request, SpanKind::Server), (&insert, SpanKind::Client), (&published, SpanKind::Producer)];
    for (span, kind) in
        kinds.into_iter().chain([(&processed, SpanKind::Consumer), (&applied, SpanKind::Internal), (&polled, SpanKind::Client)])
    {
        assert_eq!(span.kind, kind as i32, "{}", span.name);
    }
    let of = |span, keys: &[&str]| keys.iter().map(|key| attribute(span, key).unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(
        of(&request, &["http.route", "http.response.status_code", "url.scheme"]),
        ["/api/ecommerce/checkout", "int 200", "http"]
    );
    assert_eq!(of(&insert, &["db.system.name", "db.operation.name", "db.collection.name"]), ["postgresql", "INSERT", "orders"]);
    assert!(of(&insert, &["db.namespace", "server.address"]).iter().all(|said| !said.is_empty()));
    assert_eq!(of(&published, &["messaging.destination.name", "messaging.operation.type"]), ["order-events", "send"]);
    assert_eq!(of(&published, &["kartshoppe.order.id"]), [order["orderId"].as_str().unwrap()]);
    assert_eq!(of(&processed, &["messaging.operation.type", "messaging.destination.name"]), ["process", "order-events"]);
    assert_eq!(of(&polled, &["messaging.operation.name", "messaging.operation.type"]), ["poll", "receive"]);
    assert!(of(&processed, &["messaging.kafka.offset"])[0].starts_with("int "));
    // Flags say whether a parent is in another process: the parents in this one are not.
    const IS_REMOTE: u32 = 0x200;
    assert_eq!([&checkout, &insert, &applied, &committed].map(|span| span.flags & IS_REMOTE), [0; 4]);
    assert_eq!(processed.flags & IS_REMOTE, IS_REMOTE);
    assert_names_and_types(&receiver);

    // On Kafka the state may arrive before the event that gives the reason.
    let named = serde_json::Value::from(traceparent(&applied));
    let names = |frame: &serde_json::Value| frame["eventType"] == "PRODUCT_UPDATE" && frame["payload"]["traceparent"] == named;
    other.until("the page to name what moved it", |page| page.frames.iter().any(names)).await;
}

/// Every attribute is one of the module of names, with its type.
fn assert_names_and_types(receiver: &OtlpReceiver) {
    let types: BTreeMap<&str, &str> = ATTRIBUTES.iter().map(|(key, kind, _)| (*key, *kind)).collect();
    for span in receiver.all() {
        for it in &span.attributes {
            let said = attribute(&span, &it.key).unwrap();
            let kind = if said.starts_with("int ") { "int" } else { "string" };
            assert_eq!(types.get(it.key.as_str()), Some(&kind), "{} of {}", it.key, span.name);
        }
    }
}

fn traceparent(span: &Span) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id))
}

const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

#[tokio::test]
async fn a_clients_context_is_kept_and_its_flag_is_not_obeyed() {
    let receiver = OtlpReceiver::start().await;
    let server = Server::start_filled(receiver.of(Options::default()).set("KARTSHOPPE__TELEMETRY__STREAM_SAMPLE_RATIO", 0)).await;
    let address = server.info.http.unwrap();
    let shopper = Shopper::new("joined");
    shopper.add(&server, "PROD_0003", 1).await;
    let sampled = format!("{CLIENT}-03");
    let [random, other] = ["03", "01"].map(|flags| ("traceparent", format!("{CLIENT}-{flags}")));
    let state = [("traceparent", sampled.as_str()), ("tracestate", "vendor=abc")];
    request(address, "GET", "/api/ecommerce/products", &state, b"").await;
    let body = shopper.checkout_body(true).to_string();
    let json = [state[0], state[1], ("Content-Type", "application/json")];
    assert_eq!(request(address, "POST", "/api/ecommerce/checkout", &json, body.as_bytes()).await.status, 200);
    let settled = receiver.span("of the settlement", |span| span.name == "UPDATE order_items").await;
    for span in [&settled, &receiver.span("of the checkout", |span| span.name == "POST /api/ecommerce/checkout").await] {
        let hex = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!((hex.as_str(), span.trace_state.as_str()), (&CLIENT[3..35], "vendor=abc"), "{}", span.name);
        assert_eq!(span.flags & 0xff, 3, "the random flag, too, is kept through the WAL and the log");
    }
    // It is not known which of the two is meant.
    let twice = [(random.0, random.1.as_str()), (other.0, other.1.as_str())];
    request(address, "GET", "/api/ecommerce/cart/session-joined", &twice, b"").await;
    let cart = receiver.span("of the cart", |span| span.name == "GET /api/ecommerce/cart/{sessionId}").await;
    assert!(cart.parent_span_id.is_empty() && cart.trace_id != settled.trace_id);
    receiver.child(&cart, "SELECT carts").await;
    assert!(receiver.all().iter().all(|span| span.name != "GET /api/ecommerce/products"), "not because a client asks for it");
}

#[tokio::test]
async fn a_failure_is_shown_where_it_happens() {
    let receiver = OtlpReceiver::start().await;
    let server = Server::start_filled(receiver.of(Options::default())).await;
    let shopper = Shopper::new("unlucky");
    shopper.add(&server, "PROD_0003", 1).await;
    let store = sqlx::PgPool::connect(&server.database_url()).await.unwrap();
    sqlx::query("ALTER TABLE orders ADD CONSTRAINT refused CHECK (status <> 'PENDING') NOT VALID").execute(&store).await.unwrap();
    let (status, _) = shopper.checkout(&server, false).await;
    assert!(status >= 500, "{status}");
    let insert = receiver.span("of the statement", |span| span.name == "INSERT orders").await;
    let said = |key| attribute(&insert, key);
    assert_eq!(insert.status.as_ref().map(|status| status.code), Some(2));
    assert_eq!((said("error.type").as_deref(), said("db.response.status_code").as_deref()), (Some("23514"), Some("23514")));
    for name in ["checkout", "POST /api/ecommerce/checkout"] {
        let span = receiver.span(name, |span| span.name == name).await;
        assert_eq!(span.status.as_ref().map(|status| status.code), Some(2), "{name}");
        assert!(attribute(&span, "error.type").is_some(), "{name}");
    }
}
