//! Where spans go: a receiver of OTLP over HTTP, as Jaeger or a collector is one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::server::Options;

/// Every span that came, in the order of arrival.
pub struct OtlpReceiver {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl OtlpReceiver {
    /// Listens on a free port, as long as the test's runtime lives.
    pub async fn start() -> Self {
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = spans.clone();
        let take = move |body: Bytes| async move {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            taken.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
            StatusCode::OK
        };
        let router = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, spans }
    }

    /// Makes a server send its spans here.
    pub fn of(&self, options: Options) -> Options {
        options
            .set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address))
            .set("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .set("OTEL_BSP_SCHEDULE_DELAY", 50)
    }

    /// Everything that came, as text.
    pub fn text(&self) -> String {
        format!("{:?}", self.spans.lock().unwrap())
    }

    /// Waits until a span like this has come.
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
