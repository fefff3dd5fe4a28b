//! The cart: its content comes from the store, its prices from the catalogue at this moment.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};

use super::products::unknown;
use crate::actors::catalog_view::{CatalogHandle, Listing};
use crate::api::body::JsonBody;
use crate::api::failure::Failure;
use crate::api::observe::Trace;
use crate::api::state::Shop;
use crate::domain::ids::{InvalidValue, ProductId, SessionId, UserId};
use crate::domain::money::Cents;
use crate::domain::order::Totals;
use crate::store::{Cart, CartAddition, CartLine, ShownProduct};
use crate::telemetry::context::TraceContext;
use crate::wire::Money;
use crate::wire::pages::cart::{self, CartAdd, CartItem, CartSet, Quote};
use crate::wire::pages::order::GUEST;
use crate::wire::product::generated_image_url;

/// Longest image URL that is stored with a cart, in bytes: `data:` URLs are not.
const KEPT_URL_MAX: usize = 300;

/// The session's cart; an empty one for an unknown session.
#[utoipa::path(get, path = "/api/ecommerce/cart/{sessionId}", tag = "cart", params(("sessionId" = String, Path)),
    responses((status = 200, body = cart::Cart)))]
pub async fn read(State(shop): State<Arc<Shop>>, Path(session): Path<String>) -> Result<Json<cart::Cart>, Failure> {
    let cart = shop.store.cart(&SessionId::new(&session)?).await?;
    Ok(Json(view(&cart, &shop.catalog)))
}

/// Puts units of a product into the cart. One line per product: adding adds up.
#[utoipa::path(post, path = "/api/ecommerce/cart/{sessionId}/add", tag = "cart", params(("sessionId" = String, Path)),
    request_body = CartAdd, responses((status = 200, body = cart::Cart)))]
pub async fn add(
    State(shop): State<Arc<Shop>>,
    Path(session): Path<String>,
    Extension(Trace(trace)): Extension<Trace>,
    JsonBody { value: wanted, .. }: JsonBody<CartAdd>,
) -> Result<Json<cart::Cart>, Failure> {
    let session = SessionId::new(&session)?;
    let user = user(wanted.user_id.as_deref())?;
    let product = ProductId::new(&wanted.product_id)?;
    let quantity = crate::wire::pages::client_message::cart_quantity(wanted.quantity.unwrap_or(1))?;
    let shown = shown(&shop.catalog, &product).ok_or_else(|| unknown(product.as_str()))?;
    let wanted = CartAddition { product_id: &product, shown: Some(&shown) };
    let cart = shop.store.add_to_cart(&session, user.as_ref(), wanted, quantity).await?;
    Ok(Json(changed(&shop, &cart, trace)))
}

/// Sets a line's quantity; 0 or less removes it, also if its product is no longer sold.
#[utoipa::path(put, path = "/api/ecommerce/cart/{sessionId}/items/{productId}", tag = "cart",
    params(("sessionId" = String, Path), ("productId" = String, Path)),
    request_body = CartSet, responses((status = 200, body = cart::Cart)))]
pub async fn set(
    State(shop): State<Arc<Shop>>,
    Path((session, product)): Path<(String, String)>,
    Extension(Trace(trace)): Extension<Trace>,
    JsonBody { value: wanted, .. }: JsonBody<CartSet>,
) -> Result<Json<cart::Cart>, Failure> {
    let (session, product) = (SessionId::new(&session)?, ProductId::new(&product)?);
    let user = user(wanted.user_id.as_deref())?;
    let cart = if wanted.quantity <= 0 {
        shop.store.remove_from_cart(&session, &product).await?
    } else {
        let shown = shown(&shop.catalog, &product).ok_or_else(|| unknown(product.as_str()))?;
        let line = CartAddition { product_id: &product, shown: Some(&shown) };
        shop.store.set_cart_quantity(&session, user.as_ref(), line, wanted.quantity).await?
    };
    Ok(Json(changed(&shop, &cart, trace)))
}

/// Removes a product from the cart, whether or not it is there or still sold.
#[utoipa::path(delete, path = "/api/ecommerce/cart/{sessionId}/items/{productId}", tag = "cart",
    params(("sessionId" = String, Path), ("productId" = String, Path)), responses((status = 200, body = cart::Cart)))]
pub async fn remove(
    State(shop): State<Arc<Shop>>,
    Path((session, product)): Path<(String, String)>,
    Extension(Trace(trace)): Extension<Trace>,
) -> Result<Json<cart::Cart>, Failure> {
    let (session, product) = (SessionId::new(&session)?, ProductId::new(&product)?);
    let cart = shop.store.remove_from_cart(&session, &product).await?;
    Ok(Json(changed(&shop, &cart, trace)))
}

/// The product data that a cart stores; `None` if the catalogue does not have it.
pub fn shown(catalog: &CatalogHandle, product: &ProductId) -> Option<ShownProduct> {
    let Listing { name, price, image_url, .. } = catalog.listing(product.as_str())?;
    let image_url = if image_url.len() > KEPT_URL_MAX { String::new() } else { image_url };
    Some(ShownProduct { name, price, image_url })
}

fn user(id: Option<&str>) -> Result<Option<UserId>, InvalidValue> {
    id.filter(|user| !user.is_empty()).map(UserId::new).transpose()
}

/// A changed cart: sent to its session's pages, and returned as they see it.
pub fn changed(shop: &Shop, cart: &Cart, trace: Option<TraceContext>) -> cart::Cart {
    let shown = view(cart, &shop.catalog);
    shop.recorder.note_cart(&shown, trace);
    shown
}

/// A cart at the catalogue's prices.
#[must_use]
pub fn view(cart: &Cart, catalog: &CatalogHandle) -> cart::Cart {
    let items: Vec<(CartItem, Money)> = cart.lines.iter().map(|line| item(line, catalog)).collect();
    let subtotal: Money = items.iter().map(|(_, subtotal)| *subtotal).sum();
    // A raised price may lift the total above the limit of an order: checkout refuses that, but the cart still shows it.
    let totals = Cents::new(subtotal.cents()).ok().and_then(Totals::of);
    let quote = totals.map_or_else(|| Quote { subtotal, total_amount: subtotal, ..Quote::default() }, Quote::from);
    cart::Cart {
        cart_id: cart.id(),
        session_id: cart.session_id.to_string(),
        user_id: cart.user_id.as_ref().map_or(GUEST, UserId::as_str).to_owned(),
        items: items.into_iter().map(|(item, _)| item).collect(),
        total_amount: subtotal,
        created_at: cart.created_at_ms,
        updated_at: cart.updated_at_ms,
        status: cart::ACTIVE.to_owned(),
        quote,
    }
}

/// A line with its price. A product that is no longer sold keeps its old texts and price, and is left out of the totals.
fn item(line: &CartLine, catalog: &CatalogHandle) -> (CartItem, Money) {
    let listing = catalog.listing(line.product_id.as_str());
    let available = listing.is_some();
    let ShownProduct { name, price, image_url } = match listing {
        Some(Listing { name, price, image_url, .. }) => ShownProduct { name, price, image_url },
        None => line.shown.clone().unwrap_or_else(|| ShownProduct {
            name: line.product_id.to_string(),
            price: Cents::ZERO,
            image_url: String::new(),
        }),
    };
    let quantity = line.quantity.units();
    let subtotal = if available { Money::of_units(price, quantity) } else { Money::default() };
    let item = CartItem {
        product_id: line.product_id.to_string(),
        product_name: name,
        price: price.into(),
        quantity,
        subtotal,
        image_url: if image_url.is_empty() && !available { generated_image_url(&line.product_id) } else { image_url },
        added_at: line.added_at_ms,
        available,
    };
    (item, subtotal)
}
