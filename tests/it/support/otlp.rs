//! A receiver of spans, log records and metrics: OTLP over HTTP or gRPC, like a collector.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::server::Options;

/// Everything that was received, in order of arrival.
pub struct OtlpReceiver {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

#[derive(Debug, Default)]
struct Received {
    spans: Vec<Span>,
    /// The `service.name` of spans, by the span's id.
    services: Vec<(Vec<u8>, String)>,
    /// Log records with the attributes of their resource.
    logs: Vec<(LogRecord, Vec<KeyValue>)>,
    /// The metrics of the last export, and the attributes of their resource.
    metrics: (Vec<Metric>, Vec<KeyValue>),
    /// The headers of each request.
    headers: Vec<HeaderMap>,
}

impl OtlpReceiver {
    /// Listens on a free port as long as the test's runtime exists.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Received>> = Arc::default();
        let taken = received.clone();
        let take = move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
            let body = if headers.get("content-encoding").is_some_and(|it| it == "gzip") { unpacked(&body) } else { body };
            let mut received = taken.lock().unwrap();
            received.headers.push(headers);
            received.keep(uri.path(), &body);
            StatusCode::OK
        };
        let router = Router::new()
            .route("/v1/traces", post(take.clone()))
            .route("/v1/logs", post(take.clone()))
            .route("/v1/metrics", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, received }
    }

    /// The same by gRPC.
    pub async fn start_grpc() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Received>> = Arc::default();
        let all = received.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let received = all.clone();
                let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let received = received.clone();
                    async move {
                        let (parts, body) = request.into_parts();
                        let message = body.collect().await.unwrap().to_bytes();
                        // A flag (compressed), four bytes of length, the message.
                        let body = message.slice(5..);
                        let body = if message[0] == 1 { unpacked(&body) } else { body };
                        let mut received = received.lock().unwrap();
                        received.headers.push(parts.headers);
                        received.keep(parts.uri.path(), &body);
                        Ok::<_, std::convert::Infallible>(hyper::Response::new(accepted()))
                    }
                });
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, received }
    }

    /// Makes a server send its spans here.
    pub fn of(&self, options: Options) -> Options {
        options
            .set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address))
            .set("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .set("OTEL_BSP_SCHEDULE_DELAY", 50)
    }

    /// The same for log lines and metrics.
    pub fn of_all(&self, options: Options) -> Options {
        self.of(options)
            .set("OTEL_LOGS_EXPORTER", "otlp")
            .set("OTEL_BLRP_SCHEDULE_DELAY", 50)
            .set("OTEL_METRICS_EXPORTER", "otlp")
            .set("OTEL_METRIC_EXPORT_INTERVAL", 200)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All spans so far.
    pub fn all(&self) -> Vec<Span> {
        self.received.lock().unwrap().spans.clone()
    }

    /// The service that a span came from.
    pub fn service(&self, span: &Span) -> String {
        let received = self.received.lock().unwrap();
        received.services.iter().find(|(id, _)| *id == span.span_id).map(|(_, service)| service.clone()).unwrap_or_default()
    }

    /// Everything that came, as text.
    pub fn text(&self) -> String {
        format!("{:?}", self.received.lock().unwrap())
    }

    /// All log records so far, each with the attributes of its resource.
    pub fn logs(&self) -> Vec<(LogRecord, Vec<KeyValue>)> {
        self.received.lock().unwrap().logs.clone()
    }

    /// Waits until a log record like this has arrived.
    pub async fn log(&self, what: &str, wanted: impl Fn(&LogRecord) -> bool) -> LogRecord {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let all = self.logs();
            if let Some((record, _)) = all.iter().find(|(record, _)| wanted(record)) {
                return record.clone();
            }
            let lines: Vec<_> = all.iter().map(|(record, _)| body_of(record)).collect();
            assert!(tokio::time::Instant::now() < deadline, "no log record {what} comes; these did: {lines:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The metrics of the last export, and the attributes of their resource.
    pub fn metrics(&self) -> (Vec<Metric>, Vec<KeyValue>) {
        self.received.lock().unwrap().metrics.clone()
    }

    /// Whether a request had this header.
    pub fn saw_header(&self, name: &str, value: &str) -> bool {
        self.received.lock().unwrap().headers.iter().any(|headers| headers.get(name).is_some_and(|it| it == value))
    }

    /// Waits until a span like this has arrived.
    pub async fn span(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let all = self.received.lock().unwrap().spans.clone();
            if let Some(span) = all.iter().find(|span| wanted(span)) {
                return span.clone();
            }
            let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let names: Vec<_> = all
                .iter()
                .map(|span| format!("{} {} below {}", span.name, hex(&span.span_id), hex(&span.parent_span_id)))
                .collect();
            assert!(tokio::time::Instant::now() < deadline, "no span {what} comes; these did: {names:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the span of this name below that one.
    pub async fn child(&self, parent: &Span, name: &str) -> Span {
        let below = |span: &Span| span.name == name && span.parent_span_id == parent.span_id && span.trace_id == parent.trace_id;
        self.span(&format!("{name} below {}", parent.name), below).await
    }
}

/// An attribute's value as text, with its type before it where it is no string.
pub fn text_of(attribute: &KeyValue) -> String {
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => format!("int {number}"),
        other => format!("{other:?}"),
    }
}

/// A span's attribute as text.
pub fn attribute(span: &Span, key: &str) -> Option<String> {
    span.attributes.iter().find(|it| it.key == key).map(text_of)
}

fn unpacked(body: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body), &mut plain).unwrap();
    plain.into()
}

/// An empty message, and the status behind it.
fn accepted() -> impl hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> {
    let status = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(status)];
    StreamBody::new(futures_util::stream::iter(frames.map(Ok)))
}

impl Received {
    /// The path is that of HTTP or the method of gRPC.
    fn keep(&mut self, path: &str, body: &[u8]) {
        match path {
            "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => self.keep_spans(body),
            "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
                for logs in ExportLogsServiceRequest::decode(body).unwrap().resource_logs {
                    let resource = logs.resource.unwrap_or_default().attributes;
                    let records = logs.scope_logs.into_iter().flat_map(|scope| scope.log_records);
                    self.logs.extend(records.map(|record| (record, resource.clone())));
                }
            }
            "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
                let mut all = ExportMetricsServiceRequest::decode(body).unwrap().resource_metrics;
                let one = all.remove(0);
                let metrics = one.scope_metrics.into_iter().flat_map(|scope| scope.metrics).collect();
                self.metrics = (metrics, one.resource.unwrap_or_default().attributes);
            }
            other => panic!("no signal goes to {other}"),
        }
    }

    fn keep_spans(&mut self, body: &[u8]) {
        for resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let service = attributes.iter().find(|it| it.key == "service.name").map(text_of).unwrap_or_default();
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.services.push((span.span_id.clone(), service.clone()));
                self.spans.push(span);
            }
        }
    }
}

/// What a log record says.
pub fn body_of(record: &LogRecord) -> String {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}
