//! Checkout: turns a cart into an order exactly once, in one statement.
//!
//! ```text
//!  read cart and key    ──► price it from the catalogue ──► one statement: lock the cart at that version, take the key,
//!        ▲                                                   empty the cart, write order and items ──► commit
//!        └────────────── the cart changed or the key was taken: nothing was written ◄────────┘
//! ```
//! One statement is one transaction and one round trip, so an order is written whole or not at all, whichever process dies.
//! Concurrent checkouts share both the lookup and the statement ([`batcher`]); each gets its own answer.
//! The caller publishes the items of a [`Checkout::Placed`] direct order, and never those of a [`Checkout::Replayed`] one.

mod batcher;
mod cart_lookup;
mod write;

use uuid::Uuid;

use self::batcher::Batcher;
use self::cart_lookup::{CartAndKey, CartLookup, KnownKey};
use self::write::{Write, WrittenOrder};
use super::orders::{ItemOutcome, Order, OrderItem, Orders, PublishVia};
use super::{Cart, IdempotencyKey, Store, StoreError};
use crate::bugs::{self, Bug};
use crate::domain::ids::{InvalidValue, OrderId, OrderItemId, ProductId, SessionId, UserId};
use crate::domain::money::Cents;
use crate::domain::order::{OrderStatus, Totals};
use crate::telemetry::context::TraceContext;
use crate::telemetry::names::span;

/// Groups running at once: while one waits for its commit, the next is built.
const WRITES_AT_ONCE: usize = 2;
/// The same for lookups, which have no commit to wait for.
const LOOKUPS_AT_ONCE: usize = 2;
/// How often a checkout starts over because its cart changed in between. More than one shopper's own clicks can cause.
const ATTEMPTS: usize = 20;
/// Longest payment method in characters: the column's width.
const PAYMENT_METHOD_MAX_CHARS: usize = 50;
/// Longest address and payment information, in characters.
const TEXT_MAX_CHARS: usize = 4_096;

/// A checkout request. Texts are stored unchanged and returned with the order.
#[derive(Debug, Clone)]
pub struct CheckoutRequest {
    pub session_id: SessionId,
    pub user_id: UserId,
    /// How the items will be published: [`PublishVia::Direct`] or [`PublishVia::Wal`].
    pub publish_via: PublishVia,
    pub shipping_address: Option<String>,
    pub payment_method: Option<String>,
    pub payment_info: Option<String>,
    /// The total that the shopper saw; the order is refused if it would differ.
    pub expected_total: Option<Cents>,
    pub idempotency_key: Option<IdempotencyKey>,
    /// Stored with the items, and so carried through the WAL.
    pub trace: Option<TraceContext>,
}

/// The catalogue's current name and price of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub name: String,
    pub price: Cents,
}

/// The batchers of a checkout's two statements.
#[derive(Debug)]
pub(super) struct Batchers {
    lookups: Batcher<CartLookup>,
    writes: Batcher<Write>,
}

impl Default for Batchers {
    fn default() -> Self {
        Self { lookups: Batcher::new(LOOKUPS_AT_ONCE), writes: Batcher::new(WRITES_AT_ONCE) }
    }
}

/// Result of a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkout {
    /// A new order, committed, and the cart that it emptied.
    Placed(Order, Cart),
    /// The order that this key placed before, as it was then. Nothing was written; nothing may be published.
    Replayed(Order),
}

/// Why there is no order.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// The cart is empty, perhaps because a concurrent checkout emptied it.
    #[error("the cart is empty")]
    EmptyCart,
    /// Products in the cart are no longer in the catalogue.
    #[error("the cart holds products that are no longer sold")]
    ProductGone { product_ids: Vec<ProductId>, cart: Box<Cart> },
    /// The total differs from the one that the page showed.
    #[error("the order's total is {}", totals.total)]
    TotalChanged { totals: Totals, cart: Box<Cart> },
    /// The session already used the key with another request body.
    #[error("this Idempotency-Key was used for another checkout")]
    KeyMismatch,
    /// The total exceeds what its column can hold.
    #[error("the order's total is too large")]
    TooExpensive,
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Orders the content of the session's cart at the catalogue's prices; `offer` looks up each product and returns `None` for
    /// one that is no longer sold. Returns when the order is durable.
    ///
    /// # Errors
    /// [`CheckoutError`]; nothing was written then, except that after a [retryable](StoreError::is_retryable) store error the
    /// order may have been placed: retry with the same key.
    pub async fn checkout(
        &self,
        request: &CheckoutRequest,
        offer: impl Fn(&ProductId) -> Option<Offer>,
    ) -> Result<Checkout, CheckoutError> {
        request.check()?;
        for _ in 0..ATTEMPTS {
            let lookup = self.batchers.lookups.ask(self, CartLookup::of(request));
            let CartAndKey { cart, known } = self.traced(span::CART_SELECT, request.trace.as_ref(), lookup).await??;
            if let Some(known) = known {
                return self.replay(request, &known).await;
            }
            let order = draft(request, &cart, &offer)?;
            if let Some(placed) = self.place(request, order, cart).await? {
                return Ok(placed);
            }
        }
        Err(StoreError::Contended { doing: "check out" }.into())
    }

    /// Writes everything, or nothing if the cart is no longer as it was seen or the key was taken.
    async fn place(&self, request: &CheckoutRequest, mut order: Order, mut cart: Cart) -> Result<Option<Checkout>, StoreError> {
        #[cfg(feature = "seeded-bugs")]
        super::seeded::empty_cart_first(&self.pool, request.session_id.as_str(), cart.version).await;
        let key = request.idempotency_key.clone().filter(|_| !bugs::is(Bug::KeyNotKept));
        let write = Write::of(request, order.clone(), cart.version, key);
        let write = self.batchers.writes.ask(self, write);
        Ok(self.traced(span::ORDER_INSERT, request.trace.as_ref(), write).await?.map(|written| {
            order.stamp(&written);
            cart.clear();
            (cart.version, cart.updated_at_ms) = (written.cart_version, written.cart_updated_at_ms);
            Checkout::Placed(order, cart)
        }))
    }

    /// The answer that the key's first checkout got.
    async fn replay(&self, request: &CheckoutRequest, known: &KnownKey) -> Result<Checkout, CheckoutError> {
        if request.idempotency_key.as_ref().is_none_or(|key| key.fingerprint() != known.fingerprint) {
            return Err(CheckoutError::KeyMismatch);
        }
        let Orders { mut found, unreadable } = self.orders(std::slice::from_ref(&known.order_id)).await?;
        if let Some(unreadable) = unreadable.into_iter().next() {
            return Err(StoreError::from(unreadable).into());
        }
        let order = found.pop();
        let order = order.ok_or_else(|| StoreError::Corrupt {
            table: "idempotency_keys",
            id: known.order_id.clone(),
            reason: "its order is gone".to_owned(),
        })?;
        Ok(Checkout::Replayed(order.back_to_placed()))
    }
}

impl CheckoutRequest {
    /// What the columns can store. Callers check the rest: they know which field of their request is wrong.
    fn check(&self) -> Result<(), InvalidValue> {
        let bounded = |field: &'static str, text: &Option<String>, max: usize| {
            let Some(text) = text else { return Ok(()) };
            if text.contains('\0') {
                return Err(InvalidValue::ControlCharacter { field });
            }
            let chars = text.chars().count();
            if chars > max { Err(InvalidValue::TooLong { field, chars, max }) } else { Ok(()) }
        };
        bounded("paymentMethod", &self.payment_method, PAYMENT_METHOD_MAX_CHARS)?;
        bounded("shippingAddress", &self.shipping_address, TEXT_MAX_CHARS)?;
        bounded("paymentInfo", &self.payment_info, TEXT_MAX_CHARS)
    }
}

/// The order that this cart would become, at the catalogue's prices.
fn draft(request: &CheckoutRequest, cart: &Cart, offer: &impl Fn(&ProductId) -> Option<Offer>) -> Result<Order, CheckoutError> {
    if cart.lines.is_empty() {
        return Err(CheckoutError::EmptyCart);
    }
    let mut items = Vec::with_capacity(cart.lines.len());
    let mut gone = Vec::new();
    let mut subtotal = Cents::ZERO;
    for line in &cart.lines {
        let Some(Offer { name, price }) = offer(&line.product_id) else {
            gone.push(line.product_id.clone());
            continue;
        };
        let quantity = line.quantity.units();
        let line_total = price.checked_mul(quantity).ok_or(CheckoutError::TooExpensive)?;
        subtotal = subtotal.checked_add(line_total).ok_or(CheckoutError::TooExpensive)?;
        items.push(OrderItem {
            order_item_id: OrderItemId::new(&new_id())?,
            product_id: line.product_id.clone(),
            product_name: Some(name),
            quantity,
            unit_price: price,
            line_total,
            added_at_ms: Some(line.added_at_ms),
            publish_via: request.publish_via,
            expires_at_ms: None,
            outcome: None,
        });
    }
    if !gone.is_empty() {
        return Err(CheckoutError::ProductGone { product_ids: gone, cart: Box::new(cart.clone()) });
    }
    let totals = Totals::of(subtotal).ok_or(CheckoutError::TooExpensive)?;
    if request.expected_total.is_some_and(|expected| expected != totals.total) {
        return Err(CheckoutError::TotalChanged { totals, cart: Box::new(cart.clone()) });
    }
    Ok(Order {
        order_id: OrderId::new(&new_id())?,
        user_id: request.user_id.to_string(),
        session_id: Some(request.session_id.clone()),
        items,
        totals,
        status: OrderStatus::Pending.as_str().to_owned(),
        shipping_address: request.shipping_address.clone(),
        payment_method: request.payment_method.clone(),
        payment_info: request.payment_info.clone(),
        // Set by `stamp`: the database's clock decides, in the statement that writes the order.
        created_at_ms: 0,
        updated_at_ms: 0,
        trace_id: request.trace.as_ref().and_then(TraceContext::sampled_id),
    })
}

/// Globally unique and time-ordered (UUIDv7): new index entries are adjacent, and items keep the cart's order.
fn new_id() -> String {
    Uuid::now_v7().to_string()
}

impl Order {
    /// Adds the times that the database gave the order.
    fn stamp(&mut self, written: &WrittenOrder) {
        (self.created_at_ms, self.updated_at_ms) = (written.created_at_ms, written.created_at_ms);
        for item in self.items.iter_mut().filter(|item| item.publish_via == PublishVia::Direct) {
            item.expires_at_ms = Some(written.direct_expires_at_ms);
        }
    }

    /// The order as it was when it was placed: a repeated key gets the same answer, whatever its status is now.
    fn back_to_placed(mut self) -> Self {
        self.status = OrderStatus::Pending.as_str().to_owned();
        self.updated_at_ms = self.created_at_ms;
        for item in &mut self.items {
            item.outcome = None::<ItemOutcome>;
        }
        self
    }
}
