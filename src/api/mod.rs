//! The outside of the shop: REST and WebSocket for shoppers and their pages, another listener for operators.
//!
//! ```text
//!  shoppers  ─► server (limits) ─► front (origin, hot path, problems) ─► routes ─► shop/, socket, page
//!  operators ─► server (limits) ─► front (host, marker header)        ─► routes ─► operators/, page
//! ```
//! Handlers call handles, views and the store; they know no actor, no log client and no SQL. [`serve_shop`] and
//! [`serve_operators`] open the two listeners; `app` calls them and drains what they return.

pub mod body;
pub mod docs;
mod encoding;
pub mod failure;
pub mod figures;
mod front;
pub mod gate;
pub mod health;
pub mod observe;
pub mod operators;
pub mod packed;
pub mod page;
pub mod problem;
pub mod recorder;
pub mod server;
mod shared_body;
pub mod shop;
pub mod socket;
pub mod state;
pub mod tracked_budget;
mod waiting_body;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method, Uri};
use axum::{Extension, Router, middleware, routing};
use tokio::net::TcpListener;

use body::BodyLimits;
use front::{OperatorsFront, ShopFront};
use gate::{OperatorsGate, ShopGate};
use observe::observe;
use server::{Lifeline, Limits, Seats, Server};
use state::{Operators, Shop};

/// A table of routes: the router, and the list of methods and paths, which a test compares with the document.
macro_rules! table {
    ($(#[$doc:meta])* $list:ident, $router:ident($state:ty): $($method:ident $path:literal => $handler:path,)*) => {
        $(#[$doc])*
        pub const $list: &[(&str, &str)] = &[$((stringify!($method), $path)),*];

        fn $router() -> Router<$state> {
            Router::new()$(.route($path, routing::$method($handler)))*
        }
    };
}

table! {
    /// What shoppers and their pages call.
    SHOP_ROUTES, shop_routes(Arc<Shop>):
    // Products
    get    "/api/ecommerce/products"                   => shop::products::list,
    get    "/api/ecommerce/products/facets"            => shop::products::facets,
    get    "/api/ecommerce/products/featured"          => shop::products::featured,
    get    "/api/ecommerce/products/trending"          => shop::products::trending,
    get    "/api/ecommerce/product/{id}"               => shop::products::one,
    get    "/api/ecommerce/product/{id}/history"       => shop::products::history,
    get    "/api/ecommerce/product/{id}/image"         => shop::products::image,
    get    "/api/ecommerce/front"                      => shop::front::read,
    get    "/api/ecommerce/inventory/state"            => shop::inventory_state::read,
    get    "/api/ecommerce/recommendations/{userId}"   => shop::recommendations::read,
    get    "/api/ecommerce/recommendations/product/{id}" => shop::recommendations::of_product,
    // Cart and orders
    get    "/api/ecommerce/cart/{sessionId}"           => shop::cart::read,
    post   "/api/ecommerce/cart/{sessionId}/add"       => shop::cart::add,
    put    "/api/ecommerce/cart/{sessionId}/items/{productId}" => shop::cart::set,
    delete "/api/ecommerce/cart/{sessionId}/items/{productId}" => shop::cart::remove,
    post   "/api/ecommerce/checkout"                   => shop::checkout::place,
    get    "/api/ecommerce/orders"                     => shop::orders::list,
    get    "/api/ecommerce/orders/{orderId}"           => shop::orders::one,
    // Tracked events, and status for pages
    post   "/api/ecommerce/events"                     => shop::events::track,
    post   "/api/ecommerce/traces"                     => shop::traces::take,
    get    "/api/ecommerce/status"                     => shop::status::read,
    get    "/ecommerce/{sessionId}/{userId}"           => socket::open,
    // Probes
    get    "/livez"                                    => health::livez,
    get    "/readyz"                                   => health::readyz,
}

table! {
    /// What operators call, on their own listener.
    OPERATORS_ROUTES, operators_routes(Arc<Operators>):
    get    "/admin/console"                            => operators::console::read,
    get    "/admin/roles"                              => operators::roles::list,
    post   "/admin/roles/{role}/start"                 => operators::roles::start,
    post   "/admin/roles/{role}/stop"                  => operators::roles::stop,
    get    "/admin/actors"                             => operators::actors::list,
    get    "/admin/actors/{*id}"                       => operators::actors::one,
    post   "/admin/actors/{*id}"                       => operators::actors::restart,
    get    "/admin/flow"                               => operators::flow::read,
    get    "/admin/cdc"                                => operators::settings::cdc,
    get    "/admin/config"                             => operators::settings::config,
    get    "/admin/logs"                               => operators::logs::read,
    get    "/admin/logs/tail"                          => operators::logs::tail,
    get    "/admin/live"                               => operators::flow::watch,
    get    "/admin/faults"                             => operators::faults::list,
    post   "/admin/faults"                             => operators::faults::arm,
    delete "/admin/faults"                             => operators::faults::clear,
    post   "/admin/faults/clock"                       => operators::faults::step_clock,
    get    "/admin/alerts"                             => operators::alerts::list,
    get    "/admin/rescue"                             => operators::rescue::read,
    get    "/admin/dead-letters"                       => operators::records::dead_letters,
    get    "/admin/dead-letters/groups"                => operators::letters::groups,
    get    "/admin/dead-letters/{partition}/{offset}"  => operators::letters::one,
    post   "/admin/dead-letters/{partition}/{offset}/replay" => operators::letters::replay,
    get    "/admin/orders"                             => operators::orders::list,
    get    "/admin/orders/{id}"                        => operators::order_way::read,
    get    "/admin/products/{id}/timeline"             => operators::timeline::read,
    get    "/admin/records/{topic}/{partition}/{offset}" => operators::records::one,
    get    "/admin/search"                             => operators::search::read,
    get    "/admin/tail"                               => operators::tail::read,
    get    "/admin/topics"                             => operators::topics::list,
    post   "/admin/topics"                             => operators::topics::create,
    get    "/admin/topics/{topic}/records"             => operators::records::read,
    post   "/admin/topics/{topic}/records"             => operators::records::append,
    get    "/admin/workshop"                           => operators::workshop::list,
    get    "/admin/workshop/{place}"                   => operators::workshop::read,
    post   "/admin/workshop/{place}/start"             => operators::workshop::start,
    post   "/admin/workshop/{place}/check"             => operators::workshop::check,
    get    "/metrics"                                  => operators::metrics::read,
    get    "/livez"                                    => health::livez,
    get    "/readyz"                                   => health::readyz_in_full,
}

/// Operators append whole catalogues.
const OPERATORS_MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
const OPERATORS_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the shop on this listener.
///
/// # Errors
/// If the listener does not know its address.
pub fn serve_shop(listener: TcpListener, shop: Arc<Shop>, limits: Limits) -> std::io::Result<Server> {
    let http = &shop.config.http;
    let figures = &shop.figures.http;
    let observer = figures.clone();
    let routes = shop_routes().route_layer(middleware::from_fn_with_state(shop.clone(), shop::until_restored));
    let router = observed(routes, observer, docs::shop(), page_fallback).with_state(shop.clone());
    let body = BodyLimits { max_bytes: http.max_body_bytes, timeout: http.body_timeout, min_rate: http.min_rate };
    let front = ShopFront::new(router, body, ShopGate::new(http), shop.catalog.clone(), figures);
    let seats = Seats::of_connections(limits.max_connections, limits.min_rate, shop.figures.connections.clone());
    spawn_curb(&shop, seats.clone());
    Server::start(listener, Arc::new(front), limits, seats, shop.lifeline.clone())
}

/// Bounds the bytes that wait for slow readers, until the server stops.
fn spawn_curb(shop: &Arc<Shop>, connections: Arc<Seats>) {
    let (shop, waiting, stop) = (shop.clone(), shop.catalog.waiting().clone(), shop.lifeline.stop.clone());
    waiting.limit_to(shop.config.http.max_waiting_bytes);
    let all = [connections, shop.seats.clone()];
    let spare = move || {
        shop.fanout.forget_sync();
        shop.packed.forget();
    };
    tokio::spawn(async move { stop.run_until_cancelled(server::end_slow_readers(&waiting, all, spare)).await });
}

/// Opens the operators' listener; if there is a token, every call must carry it.
///
/// # Errors
/// If the listener does not know its address.
pub fn serve_operators(
    listener: TcpListener,
    operators: Arc<Operators>,
    token: Option<String>,
    limits: Limits,
    lifeline: Lifeline,
) -> std::io::Result<Server> {
    let figures = operators.figures.clone();
    figures::register_alerts(&operators.metrics, &operators.alerts);
    let router = observed(
        operators_routes()
            .route_layer(middleware::from_fn_with_state(operators.clone(), operators::audit::audit))
            .route_layer(Extension(lifeline.clone())),
        figures,
        docs::operators(),
        console_fallback,
    )
    .with_state(operators.clone());
    let body = BodyLimits {
        max_bytes: OPERATORS_MAX_BODY_BYTES,
        timeout: OPERATORS_BODY_TIMEOUT,
        min_rate: operators.config.http.min_rate,
    };
    let gate = OperatorsGate::new(&operators.config.admin.allowed_hosts, listener.local_addr()?, token);
    let seats = Seats::of_connections(limits.max_connections, limits.min_rate, Arc::default());
    Server::start(listener, Arc::new(OperatorsFront::new(router, body, gate)), limits, seats, lifeline)
}

type Fallback = fn(Method, Uri, HeaderMap) -> std::future::Ready<axum::response::Response>;

fn observed<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    observer: figures::Figures,
    documents: Router<S>,
    fallback: Fallback,
) -> Router<S> {
    routes.merge(documents).fallback(fallback).layer(middleware::from_fn_with_state(Arc::new(observer), observe))
}

fn page_fallback(method: Method, uri: Uri, headers: HeaderMap) -> std::future::Ready<axum::response::Response> {
    ready(page::SHOP.answer(&method, &uri, &headers))
}

fn console_fallback(method: Method, uri: Uri, headers: HeaderMap) -> std::future::Ready<axum::response::Response> {
    ready(page::CONSOLE.answer(&method, &uri, &headers))
}
