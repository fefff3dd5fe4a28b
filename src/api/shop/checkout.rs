//! Checkout: validated, priced by the catalogue, committed by the store, and only then answered and published.
//!
//! ```text
//!  body, key ──► checks ──► store: one statement, one commit ──┬──► publisher (direct items) ──► order-events
//!                                                              ├──► the emptied cart, to the session's pages
//!                                                              └──► 200
//! ```
//! The work runs in a task of its own: a client that goes away does not tear it apart between commit and publishing. A replayed
//! order is answered and never published again.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName};
use opentelemetry::trace::SpanKind;
use serde_json::json;

use super::cart;
use super::orders;
use crate::actors::order_publisher::PublishMode;
use crate::api::body::JsonBody;
use crate::api::failure::Failure;
use crate::api::observe::Trace;
use crate::api::problem::Problem;
use crate::api::state::Shop;
use crate::config::RoleName;
use crate::domain::ids::{ProductId, SessionId, UserId};
use crate::domain::money::Cents;
use crate::store::{Checkout, CheckoutError, CheckoutRequest, IdempotencyKey, Offer, PublishVia};
use crate::telemetry::context::TraceContext;
use crate::telemetry::names::{attribute, span};
use crate::telemetry::spans::{self, Span};
use crate::wire::pages::order::{self, GUEST};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Buys what is in the session's cart.
#[utoipa::path(post, path = "/api/ecommerce/checkout", tag = "orders",
    params(("Idempotency-Key" = Option<String>, Header, description = "the same key and body give the same order for 24 hours")),
    request_body = order::CheckoutRequest, responses((status = 200, body = order::Order)))]
pub async fn place(
    State(shop): State<Arc<Shop>>,
    Extension(Trace(trace)): Extension<Trace>,
    headers: HeaderMap,
    JsonBody { value: body, bytes }: JsonBody<order::CheckoutRequest>,
) -> Result<Json<order::Order>, Failure> {
    body.check()?;
    if shop.log.refusal().is_some() {
        // The order would stay pending: the log's own alarm says what to do.
        return Err(Problem::unavailable("log_unavailable", "orders cannot be taken: the event log may not be written").into());
    }
    let session = SessionId::new(&body.session_id)?;
    let key = idempotency_key(&headers)?.map(|key| IdempotencyKey::new(&key, &session, &bytes)).transpose()?;
    let request = CheckoutRequest {
        user_id: UserId::new(body.user_id.as_deref().filter(|user| !user.is_empty()).unwrap_or(GUEST))?,
        publish_via: publish_via(&shop, body.use_cdc),
        shipping_address: body.shipping_address.as_ref().map(|address| json!(address).to_string()),
        payment_method: body.payment_method.clone(),
        // A request names its payment method and nothing more about the payment.
        payment_info: None,
        expected_total: body.expected_total.map(|total| Cents::new(total.cents())).transpose()?,
        idempotency_key: key,
        trace,
        session_id: session,
    };
    let task = shop.lifeline.tasks.spawn(buy(shop.clone(), request));
    match task.await {
        Ok(bought) => bought.map(Json),
        // The task panicked: whether the order exists is unknown, and the key makes a retry safe.
        Err(_) => {
            Err(Problem::unavailable("checkout_interrupted", "the checkout was interrupted; repeat it with the same key").into())
        }
    }
}

/// The checkout within its span.
async fn buy(shop: Arc<Shop>, mut request: CheckoutRequest) -> Result<order::Order, Failure> {
    let mut span = Span::child(RoleName::Api, SpanKind::Internal, span::CHECKOUT, request.trace.as_ref());
    // The rows carry it too, so that whichever part publishes them continues this trace.
    request.trace = span.below(request.trace);
    let trace = request.trace.clone().filter(TraceContext::is_sampled);
    let done = spans::scope(trace.as_ref(), order_and_publish(shop, request)).await;
    match &done {
        Ok(order) => span.set(attribute::ORDER_ID, order.order_id.clone()),
        Err(failure) => {
            let problem = failure.problem();
            if problem.status.is_server_error() {
                span.fail(problem.code);
            }
        }
    }
    done
}

/// Commits the order, then hands its direct items to the publisher and sends the emptied cart to the session's pages.
async fn order_and_publish(shop: Arc<Shop>, request: CheckoutRequest) -> Result<order::Order, Failure> {
    let offer = |id: &ProductId| {
        let listing = shop.catalog.listing(id.as_str())?;
        Some(Offer { name: listing.name, price: listing.price })
    };
    let outcome = shop.store.checkout(&request, offer).await;
    let order = match outcome.map_err(|error| refusal(&shop, error))? {
        Checkout::Replayed(order) => order,
        Checkout::Placed(order, emptied) => {
            shop.figures.placed.count(request.publish_via);
            shop.publisher.publish(&order, request.trace.clone());
            // The cart as pages see it is the answer of cart requests; this answer is the order.
            let _ = cart::changed(&shop, &emptied, request.trace);
            order
        }
    };
    Ok(orders::view(&order, &shop.catalog, &shop.clock, &shop.traces))
}

/// While direct publishing is suspended, orders go through change data capture, whatever was requested.
fn publish_via(shop: &Shop, use_cdc: bool) -> PublishVia {
    match shop.publisher.mode() {
        PublishMode::Direct if !use_cdc => PublishVia::Direct,
        PublishMode::Direct | PublishMode::Wal(_) => PublishVia::Wal,
    }
}

/// A refusal, with the present cart if the page should show it.
fn refusal(shop: &Shop, source: CheckoutError) -> Failure {
    let cart = match &source {
        CheckoutError::ProductGone { cart, .. } | CheckoutError::TotalChanged { cart, .. } => {
            Some(json!(cart::view(cart, &shop.catalog)))
        }
        CheckoutError::EmptyCart
        | CheckoutError::KeyMismatch
        | CheckoutError::TooExpensive
        | CheckoutError::Invalid(_)
        | CheckoutError::Store(_) => None,
    };
    Failure::Checkout { source, cart }
}

/// The key, with or without the quotes of a structured field.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let refused = |message: &str| Err(Problem::field("Idempotency-Key", message));
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return refused("is given twice");
    }
    let Ok(text) = value.to_str() else { return refused("expected printable ASCII") };
    let text = text.trim();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    Ok(Some(bare.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_quoted_or_not() {
        let key = |value: &str| {
            let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, value.parse().unwrap())]);
            idempotency_key(&headers).map_err(|problem| problem.fields)
        };
        assert_eq!(key("\"8e03\""), Ok(Some("8e03".to_owned())));
        assert_eq!(key(" 8e03 "), Ok(Some("8e03".to_owned())));
        assert_eq!(key("\"half"), Ok(Some("\"half".to_owned())));
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
        let mut twice = HeaderMap::from_iter([(IDEMPOTENCY_KEY, "a".parse().unwrap())]);
        twice.append(IDEMPOTENCY_KEY, "b".parse().unwrap());
        assert!(idempotency_key(&twice).is_err());
    }
}
