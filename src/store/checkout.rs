//! Checkout: a cart becomes an order, once, in one statement.
//!
//! ```text
//!  read cart and key ──► price it from the catalogue ──► one statement: lock the cart at that version, take the key,
//!        ▲                                                empty the cart, write order and items ──► commit
//!        └────────────── the cart changed or the key was taken meanwhile: nothing was written ◄──┘
//! ```
//! One statement is one transaction and one round trip, so an order is whole or absent, whatever dies. Locks are always taken
//! in the order cart, key, so two checkouts never wait for each other in a circle.
//! The caller publishes the items of a [`Checkout::Placed`] direct order, and never those of a [`Checkout::Replayed`] one.

use uuid::Uuid;

use super::carts::CartRow;
use super::orders::{ItemOutcome, Order, OrderItem, PublishVia};
use super::{Cart, IdempotencyKey, Store, StoreError};
use crate::bugs::{self, Bug};
use crate::domain::EpochMs;
use crate::domain::ids::{InvalidValue, OrderId, OrderItemId, ProductId, SessionId, UserId};
use crate::domain::money::Cents;
use crate::domain::order::{OrderStatus, Totals};
use crate::telemetry::context::TraceContext;

/// How often a checkout starts over because its cart changed under it. A shopper has two hands.
const ATTEMPTS: usize = 20;
/// Longest payment method in characters: the column's width.
const PAYMENT_METHOD_MAX_CHARS: usize = 50;
/// Longest address and payment information, in bytes.
const TEXT_MAX_BYTES: usize = 4_096;

/// What a checkout asks for. Texts are kept as they are and come back with the order.
#[derive(Debug, Clone)]
pub struct CheckoutRequest {
    pub session_id: SessionId,
    pub user_id: UserId,
    /// Who will publish the items: [`PublishVia::Direct`] or [`PublishVia::Wal`].
    pub publish_via: PublishVia,
    pub shipping_address: Option<String>,
    pub payment_method: Option<String>,
    pub payment_info: Option<String>,
    /// Refuse the order if it would cost anything else.
    pub expected_total: Option<Cents>,
    pub idempotency_key: Option<IdempotencyKey>,
    /// Travels in the rows, and so through the WAL.
    pub trace: Option<TraceContext>,
}

/// What the catalogue says of a product at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub name: String,
    pub price: Cents,
}

/// How a checkout ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkout {
    /// A new order, committed.
    Placed(Order),
    /// The order that this key placed before, as it was then. Nothing was written; nothing may be published.
    Replayed(Order),
}

/// Why there is no order.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// There is nothing in the cart, perhaps because another checkout was faster.
    #[error("the cart is empty")]
    EmptyCart,
    /// The catalogue no longer has these products.
    #[error("the cart holds products that are no longer sold")]
    ProductGone { product_ids: Vec<ProductId>, cart: Box<Cart> },
    /// The order would cost something else than the page showed.
    #[error("the order's total is {}", totals.total)]
    TotalChanged { totals: Totals, cart: Box<Cart> },
    /// The key belongs to another session or body.
    #[error("this Idempotency-Key was used for another checkout")]
    KeyMismatch,
    /// More money than the tables hold.
    #[error("the order's total is too large")]
    TooExpensive,
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The order that holds a key.
struct KnownKey {
    fingerprint: Vec<u8>,
    order_id: String,
}

/// When the order was written, and when its direct items expire.
struct Written {
    created_at_ms: EpochMs,
    expires_at_ms: Option<EpochMs>,
}

impl Store {
    /// Buys what is in the session's cart at the catalogue's prices; `offer` is asked for each product and says `None` for one
    /// that is no longer sold. Returns when the order is durable.
    ///
    /// # Errors
    /// [`CheckoutError`]; nothing was written then, except that after a [retryable](StoreError::is_retryable) store error the
    /// order may stand: ask again with the same key.
    pub async fn checkout(
        &self,
        request: &CheckoutRequest,
        offer: impl Fn(&ProductId) -> Option<Offer>,
    ) -> Result<Checkout, CheckoutError> {
        request.check()?;
        for _ in 0..ATTEMPTS {
            let (cart, known) = self.cart_and_key(request).await?;
            if let Some(known) = known {
                return self.replay(request, &known).await;
            }
            let mut order = draft(request, &cart, &offer)?;
            if let Some(written) = self.write_order(request, &order, cart.version).await? {
                order.stamp(&written);
                return Ok(Checkout::Placed(order));
            }
        }
        Err(StoreError::Contended { doing: "check out" }.into())
    }

    /// Cart and key as of one moment: an emptied cart is never seen without the key that emptied it.
    async fn cart_and_key(&self, request: &CheckoutRequest) -> Result<(Cart, Option<KnownKey>), StoreError> {
        let read = async {
            sqlx::query!(
                r#"SELECT c.user_id AS "user_id?", c.product_ids AS "product_ids?", c.quantities AS "quantities?",
                          c.added_at_ms AS "added_at_ms?", c.version AS "version?",
                          (extract(epoch FROM c.created_at) * 1000)::bigint AS created_at_ms,
                          (extract(epoch FROM c.updated_at) * 1000)::bigint AS updated_at_ms,
                          (extract(epoch FROM now()) * 1000)::bigint AS "now_ms!",
                          k.fingerprint AS "fingerprint?", k.order_id AS "order_id?"
                   FROM (VALUES (1)) AS always
                   LEFT JOIN carts c ON c.session_id = $1
                   LEFT JOIN idempotency_keys k ON k.key = $2 AND k.created_at >= now() - interval '24 hours'"#,
                request.session_id.as_str(),
                request.idempotency_key.as_ref().map(IdempotencyKey::as_str)
            )
            .fetch_one(&self.pool)
            .await
        };
        let row = self.run("read the cart", read).await?;
        let known = row.fingerprint.zip(row.order_id).map(|(fingerprint, order_id)| KnownKey { fingerprint, order_id });
        let cart = CartRow {
            user_id: row.user_id,
            product_ids: row.product_ids,
            quantities: row.quantities,
            added_at_ms: row.added_at_ms,
            version: row.version,
            created_at_ms: row.created_at_ms,
            updated_at_ms: row.updated_at_ms,
            now_ms: row.now_ms,
        };
        Ok((cart.into_cart(&request.session_id)?, known))
    }

    /// The answer that the key got before.
    async fn replay(&self, request: &CheckoutRequest, known: &KnownKey) -> Result<Checkout, CheckoutError> {
        if request.idempotency_key.as_ref().is_none_or(|key| key.fingerprint() != known.fingerprint) {
            return Err(CheckoutError::KeyMismatch);
        }
        let order = self.orders(std::slice::from_ref(&known.order_id)).await?.pop();
        let order = order.ok_or_else(|| StoreError::Corrupt {
            table: "idempotency_keys",
            id: known.order_id.clone(),
            reason: "its order is gone".to_owned(),
        })?;
        Ok(Checkout::Replayed(order.back_to_placed()))
    }

    /// Writes everything, or nothing if the cart is no longer at that version or the key was taken.
    async fn write_order(&self, request: &CheckoutRequest, order: &Order, version: i64) -> Result<Option<Written>, StoreError> {
        #[cfg(feature = "seeded-bugs")]
        super::seeded::empty_cart_first(&self.pool, request.session_id.as_str(), version).await;
        let columns = Columns::of(&order.items);
        let key = request.idempotency_key.as_ref().filter(|_| !bugs::is(Bug::KeyNotKept));
        let direct_expiry_ms = i64::try_from(self.options.direct_expiry.as_millis()).unwrap_or(i64::MAX);
        let write = async {
            // The clock is read after the cart's lock and the key's: no wait can eat into the time until a direct item expires.
            // The key's own insert waits for another one of the same key to commit or fail.
            sqlx::query_as!(
                Written,
                r#"WITH cart AS (
                       SELECT session_id FROM carts
                       WHERE session_id = $1 AND version = $2 AND cardinality(product_ids) > 0 FOR UPDATE
                   ), key AS (
                       INSERT INTO idempotency_keys AS known (key, fingerprint, order_id)
                       SELECT $3, $4, $5 FROM cart WHERE $3::text IS NOT NULL
                       ON CONFLICT (key) DO UPDATE
                       SET fingerprint = excluded.fingerprint, order_id = excluded.order_id, created_at = now()
                       WHERE known.created_at < now() - interval '24 hours'
                       RETURNING key
                   ), granted AS (
                       SELECT session_id FROM cart WHERE $3::text IS NULL OR EXISTS (SELECT FROM key)
                   ), emptied AS (
                       UPDATE carts c
                       SET product_ids = '{}', quantities = '{}', added_at_ms = '{}', version = c.version + 1, updated_at = now()
                       FROM granted g WHERE c.session_id = g.session_id
                       RETURNING date_trunc('milliseconds', clock_timestamp()) AS at
                   ), placed AS (
                       INSERT INTO orders (order_id, customer_id, order_date, status, subtotal, tax, shipping, total,
                                           payment_method, shipping_address, session_id, payment_info, created_at, updated_at)
                       SELECT $5, $6, at, $7, $8::bigint::numeric / 100, $9::bigint::numeric / 100, $10::bigint::numeric / 100,
                              $11::bigint::numeric / 100, $12, $13, $1, $14, at, at
                       FROM emptied
                       RETURNING created_at AS at,
                                 CASE WHEN $15 = 'direct' THEN created_at + $16::bigint * interval '1 millisecond' END AS expires_at
                   ), items AS (
                       INSERT INTO order_items (order_item_id, order_id, product_id, quantity, unit_price, line_total, publish_via,
                                                expires_at, traceparent, product_name)
                       SELECT item.id, $5, item.product_id, item.quantity, item.unit_price::numeric / 100,
                              item.line_total::numeric / 100, $15, placed.expires_at, $17, item.name
                       FROM placed, unnest($18::text[], $19::text[], $20::int[], $21::bigint[], $22::bigint[], $23::text[])
                                    AS item (id, product_id, quantity, unit_price, line_total, name)
                   )
                   SELECT (extract(epoch FROM at) * 1000)::bigint AS "created_at_ms!",
                          (extract(epoch FROM expires_at) * 1000)::bigint AS expires_at_ms
                   FROM placed"#,
                request.session_id.as_str(),
                version,
                key.map(IdempotencyKey::as_str),
                key.map(IdempotencyKey::fingerprint),
                order.order_id.as_str(),
                order.user_id,
                order.status,
                order.totals.subtotal.cents(),
                order.totals.tax.cents(),
                order.totals.shipping.cents(),
                order.totals.total.cents(),
                order.payment_method,
                order.shipping_address,
                order.payment_info,
                request.publish_via.as_str(),
                direct_expiry_ms,
                request.trace.map(|trace| trace.to_string()),
                &columns.ids,
                &columns.product_ids,
                &columns.quantities,
                &columns.unit_prices,
                &columns.line_totals,
                &columns.names
            )
            .fetch_optional(&self.pool)
            .await
        };
        self.run("place the order", write).await
    }
}

impl CheckoutRequest {
    fn check(&self) -> Result<(), InvalidValue> {
        let bounded = |field: &'static str, text: &Option<String>, max: usize| {
            let Some(text) = text else { return Ok(()) };
            if text.contains('\0') {
                return Err(InvalidValue::ControlCharacter { field });
            }
            if text.len() > max {
                return Err(InvalidValue::TooLong { field, chars: text.len(), max });
            }
            Ok(())
        };
        bounded("paymentMethod", &self.payment_method, PAYMENT_METHOD_MAX_CHARS)?;
        bounded("shippingAddress", &self.shipping_address, TEXT_MAX_BYTES)?;
        bounded("paymentInfo", &self.payment_info, TEXT_MAX_BYTES)
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
        created_at_ms: 0,
        updated_at_ms: 0,
    })
}

/// Unique across machines, and rising: the newest keys of an index lie together, and items keep the cart's order.
fn new_id() -> String {
    Uuid::now_v7().to_string()
}

impl Order {
    fn stamp(&mut self, written: &Written) {
        (self.created_at_ms, self.updated_at_ms) = (written.created_at_ms, written.created_at_ms);
        for item in &mut self.items {
            item.expires_at_ms = written.expires_at_ms;
        }
    }

    /// The order as it was when it was placed: the same answer for the same key, whatever became of it since.
    fn back_to_placed(mut self) -> Self {
        self.status = OrderStatus::Pending.as_str().to_owned();
        self.updated_at_ms = self.created_at_ms;
        for item in &mut self.items {
            item.outcome = None::<ItemOutcome>;
        }
        self
    }
}

/// Items as the columns of an `unnest`.
#[derive(Default)]
struct Columns {
    ids: Vec<String>,
    product_ids: Vec<String>,
    quantities: Vec<i32>,
    unit_prices: Vec<i64>,
    line_totals: Vec<i64>,
    names: Vec<String>,
}

impl Columns {
    fn of(items: &[OrderItem]) -> Self {
        let mut columns = Self::default();
        for item in items {
            columns.ids.push(item.order_item_id.to_string());
            columns.product_ids.push(item.product_id.to_string());
            columns.quantities.push(i32::try_from(item.quantity).unwrap_or(i32::MAX));
            columns.unit_prices.push(item.unit_price.cents());
            columns.line_totals.push(item.line_total.cents());
            columns.names.push(item.product_name.clone().unwrap_or_default());
        }
        columns
    }
}
