//! What every routed request leaves behind: a figure by route, and a span if its trace is sampled or traces are on.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::Instrument;

use super::figures::Figures;
use crate::telemetry::context::TraceContext;
use crate::telemetry::names::span;
use crate::telemetry::spans;

/// The trace that a request belongs to, for handlers and for problems.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trace(pub Option<TraceContext>);

/// The route of what no route answers: the page and its files, and what is not there.
const UNMATCHED: &str = "unmatched";

/// What observing needs.
#[derive(Debug, Clone)]
pub struct Observer {
    pub figures: Figures,
    /// Spans leave this process.
    pub tracing: bool,
}

impl Observer {
    fn wants_span(&self, trace: Option<TraceContext>) -> bool {
        // A caller that decided against sampling is not overruled.
        trace.map_or(self.tracing, |trace| trace.is_sampled())
    }
}

/// Around each routed request.
pub async fn observe(State(observer): State<Arc<Observer>>, mut request: Request, next: Next) -> Response {
    let _active = observer.figures.begin();
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| UNMATCHED.to_owned(), |path| path.as_str().to_owned());
    let Trace(mut trace) = request.extensions().get::<Trace>().copied().unwrap_or_default();
    let mut response = if observer.wants_span(trace) {
        let span = tracing::info_span!(
            span::HTTP_REQUEST,
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = tracing::field::Empty,
            http.request.method = %method,
            http.route = &route,
            url.path = shown_path(&route),
            http.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        if let Some(parent) = &trace {
            spans::set_parent(&span, parent);
        }
        trace = spans::context_of(&span).or(trace);
        request.extensions_mut().insert(Trace(trace));
        let response = next.run(request).instrument(span.clone()).await;
        note(&span, response.status());
        response
    } else {
        next.run(request).await
    };
    response.extensions_mut().insert(Trace(trace));
    observer.figures.note(&method, &route, response.status(), started.elapsed());
    response
}

/// The path as a span shows it: the route's, since the path itself may hold a session's id, which is all that a cart and its
/// orders are protected by. Of what no route answers nothing is known.
fn shown_path(route: &str) -> &str {
    if route == UNMATCHED { "/" } else { route }
}

fn note(span: &tracing::Span, status: axum::http::StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", status.as_str());
    }
}
