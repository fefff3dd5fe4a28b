//! One purchase is one trace: from the click's request to the other page's frame, whichever way the order goes.

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::support::otlp::OtlpReceiver;
use crate::support::page::Page;
use crate::support::place::{Place, on_each_log};
use crate::support::server::Server;
use crate::support::shopper::Shopper;

on_each_log!(a_purchase_is_one_trace_by_the_direct_path, a_purchase_is_one_trace_by_the_wal_path);

async fn a_purchase_is_one_trace_by_the_direct_path(place: Place) {
    purchase(&place, false, "send order-events").await;
}

async fn a_purchase_is_one_trace_by_the_wal_path(place: Place) {
    purchase(&place, true, "wal.read").await;
}

async fn purchase(place: &Place, use_cdc: bool, publishing: &str) {
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
    receiver.child(&checkout, "INSERT orders").await;
    let published = receiver.child(&checkout, publishing).await;
    let applied = receiver.child(&published, "product.apply").await;
    receiver.child(&applied, "order.settle").await;
    receiver.child(&applied, "fanout.push").await;
    let is_linked =
        |span: &Span| span.name == "inventory.commit" && span.links.iter().any(|link| link.span_id == applied.span_id);
    receiver.span("inventory.commit linked to product.apply", is_linked).await;

    // On Kafka the state may come before the event that says why.
    let named = serde_json::Value::from(traceparent(&applied));
    let names = |frame: &serde_json::Value| frame["eventType"] == "PRODUCT_UPDATE" && frame["payload"]["traceparent"] == named;
    other.until("the page to name what moved it", |page| page.frames.iter().any(names)).await;
}

fn traceparent(span: &Span) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id))
}
