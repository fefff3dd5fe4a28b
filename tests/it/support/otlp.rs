//! A receiver of spans: OTLP over HTTP, like Jaeger or a collector.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::server::Options;

/// Every received span, in order of arrival.
pub struct OtlpReceiver {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    /// The `service.name` of each.
    services: Services,
}

/// The `service.name` of spans, by the span's id.
type Services = Arc<Mutex<Vec<(Vec<u8>, String)>>>;

impl OtlpReceiver {
    /// Listens on a free port as long as the test's runtime exists.
    pub async fn start() -> Self {
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = spans.clone();
        let services = Services::default();
        let named = services.clone();
        let take = move |headers: HeaderMap, body: Bytes| async move {
            let body = if headers.get("content-encoding").is_some_and(|it| it == "gzip") { unpacked(&body) } else { body };
            keep(&body, &taken, &named);
            StatusCode::OK
        };
        let router = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, spans, services }
    }

    /// The same by gRPC.
    pub async fn start_grpc() -> Self {
        let receiver = Self { spans: Arc::default(), services: Arc::default(), address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let listener = tokio::net::TcpListener::bind(receiver.address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (spans, services) = (receiver.spans.clone(), receiver.services.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (spans, services) = (spans.clone(), services.clone());
                let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let (spans, services) = (spans.clone(), services.clone());
                    async move {
                        let message = request.into_body().collect().await.unwrap().to_bytes();
                        // A flag (compressed), four bytes of length, the message.
                        let body = message.slice(5..);
                        keep(&if message[0] == 1 { unpacked(&body) } else { body }, &spans, &services);
                        Ok::<_, std::convert::Infallible>(hyper::Response::new(accepted()))
                    }
                });
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, ..receiver }
    }

    /// Makes a server send its spans here.
    pub fn of(&self, options: Options) -> Options {
        options
            .set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address))
            .set("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .set("OTEL_BSP_SCHEDULE_DELAY", 50)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All spans so far.
    pub fn all(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    /// The service that a span came from.
    pub fn service(&self, span: &Span) -> String {
        let services = self.services.lock().unwrap();
        services.iter().find(|(id, _)| *id == span.span_id).map(|(_, service)| service.clone()).unwrap_or_default()
    }

    /// Everything that came, as text.
    pub fn text(&self) -> String {
        format!("{:?}", self.spans.lock().unwrap())
    }

    /// Waits until a span like this has arrived.
    pub async fn span(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let all = self.spans.lock().unwrap().clone();
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

fn keep(body: &[u8], spans: &Mutex<Vec<Span>>, services: &Services) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for resource in request.resource_spans {
        let service = resource.resource.iter().flat_map(|resource| &resource.attributes).find(|it| it.key == "service.name");
        let service = service.map(text_of).unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            services.lock().unwrap().push((span.span_id.clone(), service.clone()));
            spans.lock().unwrap().push(span);
        }
    }
}
