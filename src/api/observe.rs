//! Measures every routed request by route, and traces it if its trace is sampled.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::trace::SpanKind;
use tokio::time::Instant;

use super::figures::{Figures, OTHER_METHOD, known_method};
use crate::config::RoleName;
use crate::telemetry::context::TraceContext;
use crate::telemetry::names::attribute;
use crate::telemetry::spans::{self, Entry, Span};

/// The trace that a request belongs to, for handlers and for problems.
#[derive(Debug, Clone, Default)]
pub struct Trace(pub Option<TraceContext>);

/// The label of requests without a route: the page and its files, and unknown paths.
const UNMATCHED: &str = "unmatched";

/// Around each routed request.
pub async fn observe(State(figures): State<Arc<Figures>>, mut request: Request, next: Next) -> Response {
    let _active = figures.begin();
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let Entry { trace, is_recorded } = request.extensions().get::<Entry>().cloned().unwrap_or_default();
    let asked = Head { method: request.method(), version: request.version(), headers: request.headers() };
    let mut span = if is_recorded { asked.span(route.as_deref(), trace.as_ref()) } else { Span::none() };
    let trace = span.below(trace);
    request.extensions_mut().insert(Trace(trace.clone()));
    let mut response = match trace.as_ref().filter(|trace| trace.is_sampled()) {
        Some(trace) => spans::scope(Some(trace), next.run(request)).await,
        None => next.run(request).await,
    };
    set_status(&mut span, response.status());
    if response.status().is_server_error() {
        span.fail(response.status().as_str().to_owned());
    }
    response.extensions_mut().insert(Trace(trace));
    figures.note(&method, route.as_deref().unwrap_or(UNMATCHED), response.status(), started.elapsed());
    response
}

/// What a request's span is made of.
pub(super) struct Head<'a> {
    pub method: &'a Method,
    pub version: Version,
    pub headers: &'a HeaderMap,
}

impl Head<'_> {
    /// The span of a request. It shows the route's template and not the path, which may hold a session's id, the only thing
    /// that protects a cart and its orders; for a path without a route it shows nothing.
    pub fn span(&self, route: Option<&str>, parent: Option<&TraceContext>) -> Span {
        let method = known_method(self.method);
        let shown = if method == OTHER_METHOD { "HTTP" } else { method };
        let name = route.map_or_else(|| shown.to_owned(), |route| format!("{shown} {route}"));
        let mut span = Span::root(RoleName::Api, SpanKind::Server, name, parent)
            .with(attribute::HTTP_REQUEST_METHOD, method)
            .with(attribute::URL_SCHEME, "http")
            .with(attribute::URL_PATH, route.unwrap_or("/").to_owned());
        if let Some(route) = route {
            span.set(attribute::HTTP_ROUTE, route.to_owned());
        }
        let version = match self.version {
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        };
        span.set(attribute::NETWORK_PROTOCOL_VERSION, version);
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
        if let Some(authority) = host {
            span.set(attribute::SERVER_ADDRESS, authority.host().to_owned());
            if let Some(port) = authority.port_u16() {
                span.set(attribute::SERVER_PORT, i64::from(port));
            }
        }
        span
    }
}

/// The answer's status, in the span.
pub(super) fn set_status(span: &mut Span, status: StatusCode) {
    span.set(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()));
}
