//! Log lines and metrics by OTLP, and the trace that a log line names.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use serde_json::{Value, json};

use crate::support::otlp::{OtlpReceiver, body_of, text_of};
use crate::support::raw::PATIENCE;
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a KeyValue> {
    attributes.iter().find(|it| it.key == key)
}

/// A request that fails in the database, inside its sampled trace.
async fn fails(server: &Server) {
    let store = sqlx::PgPool::connect(&server.database_url()).await.unwrap();
    sqlx::query("ALTER TABLE orders ADD CONSTRAINT refused CHECK (status <> 'PENDING') NOT VALID").execute(&store).await.unwrap();
    let shopper = Shopper::new("refused");
    shopper.add(server, "PROD_0004", 1).await;
    let (status, _) = shopper.checkout(server, false).await;
    assert!(status >= 500, "{status}");
}

#[tokio::test]
async fn a_log_line_names_its_trace_on_standard_error_in_the_file_and_by_otlp() {
    let receiver = OtlpReceiver::start().await;
    let options = receiver.of_all(Options::default()).set("KARTSHOPPE__TELEMETRY__LOG_FORMAT", "json");
    let server = Server::start_filled(options.set("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a%20b")).await;
    fails(&server).await;

    let request = receiver.span("of the refused checkout", |span| {
        span.name == "POST /api/ecommerce/checkout" && span.status.as_ref().is_some_and(|status| status.code == 2)
    });
    let request = request.await;
    let failed = receiver.log("of the failure", |record| body_of(record) == "a request failed").await;
    assert_eq!((hex(&failed.trace_id), hex(&failed.span_id)), (hex(&request.trace_id), hex(&request.span_id)));
    assert_eq!((failed.severity_text.as_str(), failed.flags & 1), ("WARN", 1));
    assert_eq!(
        named(&failed.attributes, "kartshoppe.status").map(text_of),
        Some(format!("int {}", status_of(&request.attributes)))
    );
    assert_eq!(named(&failed.attributes, "trace_id"), None, "it is the record's own field");

    let (_, resource) = receiver.logs().remove(0);
    let said = |key: &str| named(&resource, key).map(text_of);
    assert_eq!(said("service.name").as_deref(), Some("kartshoppe"), "a line is of the process, whatever its roles");
    assert!(said("service.instance.id").is_some() && said("service.version").is_some(), "{resource:?}");
    assert!(receiver.saw_header("x-team", "a b"), "OTEL_EXPORTER_OTLP_HEADERS");

    let file = std::fs::read_to_string(server.data().join("logs/kartshoppe.log")).unwrap();
    for log in [file, std::fs::read_to_string(server.log_path()).unwrap()] {
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let line = lines.into_iter().find(|line| line["message"] == "a request failed").expect("the line of the failure");
        assert_eq!((&line["trace_id"], &line["span_id"]), (&json!(hex(&request.trace_id)), &json!(hex(&request.span_id))));
    }
}

fn status_of(attributes: &[KeyValue]) -> String {
    named(attributes, "http.response.status_code").map(text_of).unwrap().replace("int ", "")
}

#[tokio::test]
async fn what_a_product_says_of_an_order_is_in_the_orders_trace() {
    let receiver = OtlpReceiver::start_grpc().await;
    let options = receiver
        .of_all(Options::default())
        .set("KARTSHOPPE__FAULTS__ENABLED", true)
        .set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .set("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    let server = Server::start_filled(options).await;
    let shopper = Shopper::new("poisoned");
    shopper.add(&server, "PROD_0003", 1).await;
    // The item is handled when the role starts again, with the fault already there.
    assert_eq!(server.operate("/admin/roles/inventory/stop", &Value::Null).await.0, 200);
    let (_, order) = shopper.checkout(&server, false).await;
    let order = order["orderId"].as_str().unwrap();
    let fault = json!({"target": format!("order/{order}"), "fault": "panic", "count": 1000});
    assert_eq!(server.operate("/admin/faults", &fault).await.0, 200);
    assert_eq!(server.operate("/admin/roles/inventory/start", &Value::Null).await.0, 200);
    let letter = receiver.log("of the dead letter", |record| body_of(record).starts_with("input could not be used")).await;
    assert_eq!(named(&letter.attributes, "kartshoppe.reason").map(text_of).as_deref(), Some("PoisonCommand"));
    let root = receiver.span("of the checkout", |span| span.name == "POST /api/ecommerce/checkout").await;
    for said in ["a product's actor ended", "a command failed again and becomes a dead letter"] {
        let record = receiver.log(said, |record| body_of(record) == said && record.trace_id == root.trace_id).await;
        assert_eq!(named(&record.attributes, "kartshoppe.product.id").map(text_of).as_deref(), Some("PROD_0003"));
        assert_eq!(record.span_id.len(), 8, "{record:?}");
    }
}

#[tokio::test]
async fn metrics_go_out_with_the_figures_of_the_exposition() {
    let receiver = OtlpReceiver::start().await;
    let server = Server::start_filled(receiver.of_all(Options::default()).set("OTEL_SERVICE_NAME", "my-shop")).await;
    let shopper = Shopper::new("counted");
    shopper.add(&server, "PROD_0003", 1).await;
    let (_, order) = shopper.checkout(&server, false).await;
    shopper.settled(&server, order["orderId"].as_str().unwrap()).await;

    let sum = |all: &[Metric], name: &str| match &all.iter().find(|metric| metric.name == name)?.data {
        Some(metric::Data::Sum(sum)) => Some(sum.data_points.iter().map(value_of).sum::<f64>()),
        Some(metric::Data::Gauge(gauge)) => Some(gauge.data_points.iter().map(value_of).sum::<f64>()),
        Some(metric::Data::Histogram(histogram)) => Some(histogram.data_points.iter().map(|point| point.count as f64).sum()),
        _ => None,
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let (all, resource) = loop {
        let (all, resource) = receiver.metrics();
        if sum(&all, "kartshoppe_orders") == Some(1.0) && sum(&all, "kartshoppe_order_settle_seconds") == Some(1.0) {
            break (all, resource);
        }
        assert!(tokio::time::Instant::now() < deadline, "the order is not counted: {all:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(named(&resource, "service.name").map(text_of).as_deref(), Some("my-shop"));
    let text = server.http.get(server.admin("/metrics")).send().await.unwrap().text().await.unwrap();
    let exposed: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    for metric in &all {
        let exposed_name = metric.name.replace('.', "_");
        let is_there = |name: &str| exposed.contains_key(name) || exposed.contains_key(&*format!("{name}_seconds"));
        assert!(is_there(&exposed_name), "{} is not on /metrics", metric.name);
    }
    assert!(all.len() > 40, "{}", all.len());
    let requests = all.iter().find(|metric| metric.name == "http.server.request.duration").expect("the convention's name");
    assert_eq!(requests.unit, "s");
    let Some(metric::Data::Histogram(histogram)) = &requests.data else { panic!("{requests:?}") };
    for point in &histogram.data_points {
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count, "{point:?}");
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert!(named(&point.attributes, "http.response.status_code").is_some_and(|it| text_of(it).starts_with("int ")));
    }
    let ids = ["PROD_0003", "session-counted", order["orderId"].as_str().unwrap()];
    let shown = format!("{all:?}");
    assert!(ids.iter().all(|id| !shown.contains(id)), "no label per product, session or order");
}

fn value_of(point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint) -> f64 {
    match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_collector_that_takes_no_log_lines_costs_them_alone() {
    let receiver = OtlpReceiver::start().await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let options = receiver.of_all(Options::default()).set("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &nowhere);
    let mut server = Server::start_filled(options).await;
    let dropped = |all: &[Metric]| {
        let metric = all.iter().find(|metric| metric.name == "kartshoppe_log_lines_dropped")?;
        let Some(metric::Data::Sum(sum)) = &metric.data else { return None };
        let is_collectors = |it: &KeyValue| text_of(it) == "the collector";
        sum.data_points.iter().find(|point| point.attributes.iter().any(is_collectors)).map(value_of)
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while dropped(&receiver.metrics().0).is_none_or(|count| count == 0.0) {
        assert!(tokio::time::Instant::now() < deadline, "dropped lines are not counted");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    assert_eq!(log.matches("the collector does not take log lines").count(), 1, "{log}");
    assert!(!log.contains("does not take spans") && !log.contains("does not take metrics"), "{log}");
    assert_eq!(server.terminate(), Some(0));
}
