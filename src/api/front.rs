//! The front of each listener: what happens to a request before its route, and to every answer after it.
//!
//! ```text
//!  request ─► head ─► origin or operator ─┬─► hot path: GET /api/ecommerce/product/{id} ────────────┬─► headers ─► answer
//!                                         └─► router ─► observe ─► handler (problem as extension) ──┘
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{Either, Full};
use hyper::Request;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;
use tower::ServiceExt;

use super::body::BodyLimits;
use super::figures::Figures;
use super::gate::{self, OperatorsGate, ShopGate};
use super::health::NOT_READY;
use super::observe::{Head, Trace, set_status};
use super::page;
use super::problem::Problem;
use super::server::{Handler, OutBody, Peer, Reply, RequestBody};
use super::waiting_body::{IsCounted, WaitingBody};
use crate::actors::catalog_view::CatalogHandle;
use crate::actors::waiting::WaitingOutput;
use crate::telemetry::context::{TRACEPARENT, TRACESTATE, TraceContext};
use crate::telemetry::sampling::Root;
use crate::telemetry::seldom::Seldom;
use crate::telemetry::spans::{self, Entry};

const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// For answers about one session: no cache between the shop and the page may store them.
const ONE_READER: HeaderValue = HeaderValue::from_static("no-cache, private");
/// For documents without a policy of their own, such as a picture.
pub(super) const NOTHING_RUNS: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
/// Media types that a browser renders as a document in which scripts could run.
const DOCUMENTS: [&str; 4] = ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml"];
const NO_SNIFF_NAME: HeaderName = HeaderName::from_static("x-content-type-options");
/// The hot path's prefix, and its route as figures name it.
const PRODUCT_PREFIX: &str = "/api/ecommerce/product/";
pub(super) const PRODUCT_ROUTE: &str = "/api/ecommerce/product/{id}";
/// Prefixes of answers that are the same for all clients; every other answer below `/api` and `/admin` concerns a session or
/// operators.
const PUBLIC_PREFIXES: [&str; 6] = [
    PRODUCT_PREFIX,
    "/api/ecommerce/products",
    "/api/ecommerce/front",
    "/api/ecommerce/inventory/",
    "/api/ecommerce/recommendations/product/",
    "/api/ecommerce/status",
];

/// The shop's listener.
pub struct ShopFront {
    gate: ShopGate,
    catalog: CatalogHandle,
    hot: HotFigures,
    requests: Arc<AtomicU64>,
    inner: Arc<SharedFront>,
}

/// The operators' listener.
pub struct OperatorsFront {
    gate: OperatorsGate,
    inner: Arc<SharedFront>,
}

struct SharedFront {
    router: Router,
    limits: BodyLimits,
    /// Counts the bytes of answers. Not set for operators, who are few.
    waiting: Option<WaitingOutput>,
}

/// Figures of the hot path, found once.
struct HotFigures {
    ok: Histogram,
    unchanged: Histogram,
}

impl ShopFront {
    /// Puts the front before the routes.
    #[must_use]
    pub fn new(router: Router, limits: BodyLimits, gate: ShopGate, catalog: CatalogHandle, figures: &Figures) -> Self {
        let of = |status| figures.of(&Method::GET, PRODUCT_ROUTE, status);
        let hot = HotFigures { ok: of(StatusCode::OK), unchanged: of(StatusCode::NOT_MODIFIED) };
        let waiting = Some(catalog.waiting().clone());
        let requests = figures.requests.clone();
        Self { gate, catalog, hot, requests, inner: Arc::new(SharedFront { router, limits, waiting }) }
    }

    /// A plain request for an existing product, with its span where it is recorded. Everything else takes the slow path.
    fn hot_path(&self, parts: &Parts, recorded: Option<&Entry>) -> Option<Response<OutBody>> {
        let headers = &parts.headers;
        let id = parts.uri.path().strip_prefix(PRODUCT_PREFIX)?;
        let plain = parts.method == Method::GET
            && !id.bytes().any(|byte| matches!(byte, b'/' | b'%'))
            && !headers.contains_key(header::ORIGIN);
        if !plain {
            return None;
        }
        let started = Instant::now();
        let product = self.catalog.get_unless(id, |tag| page::matches(headers, tag))?;
        let unchanged = product.body.is_empty();
        let tag = HeaderValue::try_from(product.etag).ok()?;
        let mut response = Response::new(Either::Left(Full::new(product.body)));
        let head = Head { method: &parts.method, version: parts.version, headers };
        let mut span = recorded.map(|entry| head.span(Some(PRODUCT_ROUTE), entry.trace.as_ref()));
        let answer = response.headers_mut();
        answer.reserve(5);
        answer.insert(header::ETAG, tag);
        answer.insert(header::CACHE_CONTROL, NO_CACHE);
        answer.insert(NO_SNIFF_NAME, NO_SNIFFING);
        answer.insert(header::VARY, gate::BY_ORIGIN);
        let figure = if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            &self.hot.unchanged
        } else {
            answer.insert(header::CONTENT_TYPE, JSON);
            &self.hot.ok
        };
        span.iter_mut().for_each(|span| set_status(span, response.status()));
        figure.observe(started.elapsed().as_secs_f64());
        Some(response)
    }
}

impl Handler for ShopFront {
    fn call(&self, request: Request<RequestBody>, peer: Peer) -> Reply {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let (parts, body) = request.into_parts();
        let origin = match gate::check_head(&parts).and_then(|()| self.gate.admit(&parts, peer)) {
            Ok(origin) => origin,
            Err(problem) => return refuse(problem, &parts, Cors::Of(None)),
        };
        let is_recorded = Entry::decide(root_of(&parts), || parent_of(&parts.headers));
        let entry = || Entry::of_client(is_recorded, trace_of(&parts.headers));
        let recorded = is_recorded.then(entry);
        if let Some(response) = self.hot_path(&parts, recorded.as_ref()) {
            return Reply::Ready(response);
        }
        if gate::is_preflight(&parts) {
            let mut response = StatusCode::NO_CONTENT.into_response();
            gate::put_preflight(response.headers_mut());
            return Reply::Ready(finish(response, &RequestFacts::of(&parts, Cors::Of(origin))));
        }
        let entry = recorded.unwrap_or_else(entry);
        self.inner.clone().route(parts, body, Cors::Of(origin), peer, entry)
    }
}

impl OperatorsFront {
    /// Puts the front before the routes.
    #[must_use]
    pub fn new(router: Router, limits: BodyLimits, gate: OperatorsGate) -> Self {
        Self { gate, inner: Arc::new(SharedFront { router, limits, waiting: None }) }
    }
}

impl Handler for OperatorsFront {
    fn call(&self, request: Request<RequestBody>, peer: Peer) -> Reply {
        let (parts, body) = request.into_parts();
        match gate::check_head(&parts).and_then(|()| self.gate.admit(&parts, peer)) {
            Ok(()) => {
                let entry = Entry { trace: trace_of(&parts.headers), is_recorded: false };
                self.inner.clone().route(parts, body, Cors::Never, peer, entry)
            }
            Err(problem) => refuse(problem, &parts, Cors::Never),
        }
    }
}

impl SharedFront {
    fn route(self: Arc<Self>, mut parts: Parts, body: RequestBody, cors: Cors, peer: Peer, entry: Entry) -> Reply {
        let asked = RequestFacts { trace: entry.trace.clone(), ..RequestFacts::of(&parts, cors) };
        parts.extensions.insert(peer);
        parts.extensions.insert(self.limits);
        parts.extensions.insert(entry);
        let request = Request::from_parts(parts, Body::new(body));
        Reply::Later(Box::pin(async move {
            let response = match self.router.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            finish(self.counted(response), &asked)
        }))
    }

    /// Counts the bytes of the answer that wait for the client.
    fn counted(&self, response: Response) -> Response {
        match &self.waiting {
            Some(waiting) if response.extensions().get::<IsCounted>().is_none() => {
                response.map(|body| WaitingBody::wrap(body, waiting))
            }
            _ => response,
        }
    }
}

/// Which pages of other origins may read the answers.
enum Cors {
    /// None: the operators' listener.
    Never,
    /// Those of this allowed origin, if the request named one.
    Of(Option<HeaderValue>),
}

/// The facts about a request that its answer needs.
struct RequestFacts {
    caching: Option<HeaderValue>,
    is_head: bool,
    chunked: bool,
    cors: Cors,
    trace: Option<TraceContext>,
}

impl RequestFacts {
    fn of(parts: &Parts, cors: Cors) -> Self {
        Self {
            caching: caching(parts.uri.path()),
            is_head: parts.method == Method::HEAD,
            chunked: parts.headers.contains_key(header::TRANSFER_ENCODING),
            cors,
            trace: trace_of(&parts.headers),
        }
    }
}

/// The trace that a request says it belongs to, without its `tracestate`. Several contradict each other, so none counts.
fn parent_of(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    TraceContext::parse(parent.to_str().ok()?)
}

/// The same with its `tracestate`, which may be split over several headers.
fn trace_of(headers: &HeaderMap) -> Option<TraceContext> {
    let parent = parent_of(headers)?;
    let states: Option<Vec<&str>> = headers.get_all(TRACESTATE).iter().map(|state| state.to_str().ok()).collect();
    Some(parent.with_state(states.map(|states| states.join(",")).as_deref()))
}

/// The kind of a request, for sampling: carts and orders are few, catalogue reads are many, and probes are not interesting.
fn root_of(parts: &Parts) -> Root {
    const FEW: [&str; 4] = ["/api/ecommerce/cart/", "/api/ecommerce/checkout", "/api/ecommerce/orders", "/api/ecommerce/status"];
    let path = parts.uri.path();
    if path.starts_with(PRODUCT_PREFIX) {
        return Root::Stream;
    }
    if matches!(path, "/livez" | "/readyz") {
        return Root::Never;
    }
    if FEW.iter().any(|prefix| path.starts_with(prefix)) { Root::Few } else { Root::Stream }
}

/// Failures of one kind come by the hundred while a database is down: one line every ten seconds reports them, and how many
/// more there were.
static FAILURES: Seldom = Seldom::new(Duration::from_secs(10));

/// The cache policy of an answer whose route sets none.
fn caching(path: &str) -> Option<HeaderValue> {
    if PUBLIC_PREFIXES.iter().any(|prefix| path.starts_with(prefix)) || matches!(path, "/livez" | "/readyz" | "/metrics") {
        return Some(NO_CACHE);
    }
    (path.starts_with("/api") || path.starts_with("/admin")).then_some(ONE_READER)
}

fn refuse(problem: Problem, parts: &Parts, cors: Cors) -> Reply {
    Reply::Ready(finish(problem.into_response(), &RequestFacts::of(parts, cors)))
}

/// Renders a problem, and puts the headers that every answer has.
fn finish(mut response: Response, asked: &RequestFacts) -> Response<OutBody> {
    let trace = response.extensions_mut().remove::<Trace>().and_then(|Trace(trace)| trace).or_else(|| asked.trace.clone());
    let problem = response.extensions_mut().remove::<Problem>().or_else(|| bare_problem(&response));
    if let Some(problem) = problem {
        let trace_id = trace.as_ref().map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), |trace| trace.trace_id_hex());
        // "Not ready" is a valid answer, and probes repeat it while a start lasts.
        if problem.status.is_server_error()
            && problem.code != NOT_READY
            && let Some(untold) = FAILURES.due(problem.code)
        {
            spans::within(trace.as_ref(), || {
                tracing::warn!(
                    trace_id,
                    untold,
                    status = problem.status.as_u16(),
                    code = problem.code,
                    cause = problem.cause,
                    "a request failed"
                );
            });
        }
        let body = if asked.is_head { Vec::new() } else { problem.body(&trace_id) };
        *response.status_mut() = problem.status;
        response.headers_mut().remove(header::CONTENT_LENGTH);
        problem.put_headers(response.headers_mut());
        *response.body_mut() = Body::from(body);
    }
    let headers = response.headers_mut();
    headers.insert(NO_SNIFF_NAME, NO_SNIFFING);
    if DOCUMENTS.iter().any(|document| has_type(headers, document)) && !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, NOTHING_RUNS);
    }
    if let Some(caching) = &asked.caching {
        headers.insert(header::CACHE_CONTROL, caching.clone());
    }
    if let Cors::Of(origin) = &asked.cors {
        gate::put_cors(headers, origin.as_ref());
    }
    if asked.chunked {
        // A proxy in front may have read another length: nothing after this body is treated as a request.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(Either::Right)
}

/// The framework answers some errors with only a status.
fn bare_problem(response: &Response) -> Option<Problem> {
    let status = response.status();
    let is_bare = status.is_client_error() || status.is_server_error();
    let written = has_type(response.headers(), "application/problem+json") || has_type(response.headers(), "text/html");
    (is_bare && !written).then(|| Problem::of_status(status, ""))
}

fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(wanted.as_bytes()))
}
