//! A page's messages and its greeting: work that ends with frames for this page.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use opentelemetry::trace::SpanKind;

use super::{Page, SocketCounts};
use crate::api::shop::{cart, recommendations};
use crate::api::state::Shop;
use crate::config::RoleName;
use crate::domain::ids::{SessionId, UserId};
use crate::store::{Cart, CartAddition, CartError};
use crate::telemetry::names::{attribute, span};
use crate::telemetry::sampling::Root;
use crate::telemetry::spans::{self, Span};
use crate::wire::pages::client_message::{self, CartChange, ClientMessage};
use crate::wire::pages::frame::Frame;
use crate::wire::pages::tracked_event::said;
use crate::wire::pages::websocket;

/// Work in progress for one page, which returns the frames to send.
pub(super) type Work = Pin<Box<dyn Future<Output = Bytes> + Send>>;

/// After the catalogue: a recommendation, and the cart unless it is empty.
pub(super) fn greeting(page: &Page) -> Work {
    let (shop, session, user) = owned(page);
    Box::pin(async move {
        // Without a database there is no cart to send now; it is sent with its next change.
        let cart = shop.store.cart(&session).await.ok();
        let mut frames = recommendation(&shop, &session, &user, cart.as_ref()).await.to_vec();
        if let Some(cart) = cart.filter(|cart| !cart.lines.is_empty()) {
            frames.extend_from_slice(&frame(&shop, &Frame::ShoppingCart(&cart::view(&cart, &shop.catalog))));
        }
        Bytes::from(frames)
    })
}

/// Begins the work of a message; `None` if that is done at once.
pub(super) fn begin(page: &Page, text: &str) -> Option<Work> {
    let counts = &page.shop.figures.sockets;
    let message = match client_message::decode(text) {
        Ok(message) => message,
        Err(reason) => {
            SocketCounts::count(&counts.ignored);
            tracing::debug!(%reason, "a page's message is ignored");
            return None;
        }
    };
    SocketCounts::count(&counts.messages);
    let (shop, session, user) = owned(page);
    match message {
        ClientMessage::Event(event) => {
            let uuid = uuid::Uuid::new_v4().to_string();
            let _ = shop.recorder.note(said(&event, &session, &user, &uuid, shop.clock.now_ms()));
            None
        }
        ClientMessage::GetRecommendations => Some(Box::pin(async move {
            let cart = shop.store.cart(&session).await.ok();
            recommendation(&shop, &session, &user, cart.as_ref()).await
        })),
        ClientMessage::Cart(change) => Some(Box::pin(async move {
            let mut span = Span::of_root(RoleName::Api, SpanKind::Server, span::PAGE_MESSAGE, Root::Few)
                .with(attribute::PAGE_ACTION, action(&change));
            let trace = span.context();
            match spans::scope(trace.as_ref(), change_cart(&shop, &session, &user, &change)).await {
                // The change is sent to all pages of the session, this one included.
                Ok(Some(cart)) => drop(cart::changed(&shop, &cart, trace)),
                Ok(None) => SocketCounts::count(&shop.figures.sockets.ignored),
                Err(error) => {
                    if let CartError::Store(error) = &error {
                        span.fail(error.kind());
                    }
                    SocketCounts::count(&shop.figures.sockets.ignored);
                    tracing::debug!(%error, "a page's cart stays as it was");
                }
            }
            Bytes::new()
        })),
    }
}

fn action(change: &CartChange) -> &'static str {
    match change {
        CartChange::Add { .. } => "add",
        CartChange::SetQuantity { .. } => "set_quantity",
        CartChange::Remove { .. } => "remove",
        CartChange::Clear => "clear",
    }
}

/// Changes the cart; `None` for a product that the catalogue does not have.
async fn change_cart(shop: &Shop, session: &SessionId, user: &UserId, change: &CartChange) -> Result<Option<Cart>, CartError> {
    match change {
        CartChange::Add { product_id, quantity } => {
            let Some(shown) = cart::shown(&shop.catalog, product_id) else { return Ok(None) };
            let wanted = CartAddition { product_id, shown: Some(&shown) };
            shop.store.add_to_cart(session, Some(user), wanted, *quantity).await.map(Some)
        }
        // A product that is no longer sold can still be removed.
        CartChange::SetQuantity { product_id, quantity } if *quantity <= 0 => {
            shop.store.remove_from_cart(session, product_id).await.map(Some)
        }
        CartChange::SetQuantity { product_id, quantity } => {
            let Some(shown) = cart::shown(&shop.catalog, product_id) else { return Ok(None) };
            let wanted = CartAddition { product_id, shown: Some(&shown) };
            shop.store.set_cart_quantity(session, Some(user), wanted, *quantity).await.map(Some)
        }
        CartChange::Remove { product_id } => shop.store.remove_from_cart(session, product_id).await.map(Some),
        CartChange::Clear => shop.store.clear_cart(session).await.map(Some),
    }
}

async fn recommendation(shop: &Shop, session: &SessionId, user: &UserId, cart: Option<&Cart>) -> Bytes {
    let shopper = recommendations::Shopper { user, session: Some(session), cart };
    frame(shop, &Frame::Recommendation(&recommendations::recommend(shop, &shopper).await))
}

fn frame(shop: &Shop, frame: &Frame<'_>) -> Bytes {
    websocket::encode(websocket::TEXT, &frame.to_json(&uuid::Uuid::new_v4().to_string(), shop.clock.now_ms()))
}

fn owned(page: &Page) -> (Arc<Shop>, SessionId, UserId) {
    (page.shop.clone(), page.session.clone(), page.user.clone())
}
