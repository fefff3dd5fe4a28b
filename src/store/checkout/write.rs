//! The one statement that turns carts into orders.
//!
//! Each order is written whole or not at all. Locks are always taken in the same order, carts by id and then keys by name, so
//! groups cannot deadlock. The clock is read after all locks: no lock wait shortens the time until a direct item expires.

use std::collections::HashMap;

use serde::Serialize;

use super::batcher::Batchable;
use crate::clock::in_ms;
use crate::domain::EpochMs;
use crate::domain::ids::SessionId;
use crate::store::{CheckoutRequest, IdempotencyKey, Order, OrderItem, Store, StoreError};
use crate::telemetry::context::TraceContext;

/// An order to write if its cart still has that version and its key is free.
#[derive(Debug, Clone)]
pub struct Write {
    pub order: Order,
    pub session_id: SessionId,
    pub cart_version: i64,
    pub key: Option<IdempotencyKey>,
    pub trace: Option<TraceContext>,
}

/// When the order was written, and the state of its cart afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenOrder {
    pub created_at_ms: EpochMs,
    /// When its items expire, for direct items.
    pub direct_expires_at_ms: EpochMs,
    pub cart_version: i64,
    pub cart_updated_at_ms: EpochMs,
}

impl Write {
    pub fn of(request: &CheckoutRequest, order: Order, cart_version: i64, key: Option<IdempotencyKey>) -> Self {
        Self { order, session_id: request.session_id.clone(), cart_version, key, trace: request.trace.clone() }
    }
}

impl Batchable for Write {
    /// Nothing, if nothing was written.
    type Answer = Option<WrittenOrder>;

    /// One cart becomes one order, and one key (of one session) stands for one: a single statement cannot decide between two of
    /// its own rows.
    fn claims(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.session_id.as_str())
    }

    async fn run_together(store: &Store, calls: &[Self]) -> Result<Vec<Self::Answer>, StoreError> {
        let orders = json(calls.iter().map(OrderRow::of));
        let items = json(calls.iter().flat_map(|call| call.order.items.iter().map(|item| ItemRow::of(call, item))));
        let direct_expiry_ms = in_ms(store.options.direct_expiry);
        let write = || async {
            // `cart` locks each cart that still has its version; `key` takes the free and the expired keys; `emptied` empties the
            // carts whose key was taken or not needed; `moment` reads the clock after all locks; `granted` are the orders that
            // result, which `placed` and `items` insert. An insert of a key waits for a concurrent one to commit or roll back.
            sqlx::query!(
                r#"WITH asked AS MATERIALIZED (
                       SELECT * FROM json_to_recordset($1::text::json) AS asked (
                           session_id text, cart_version bigint, key text, fingerprint text, order_id text, customer_id text,
                           status text, subtotal bigint, tax bigint, shipping bigint, total bigint, payment_method text,
                           shipping_address text, payment_info text)
                   ), cart AS (
                       SELECT c.session_id FROM carts c JOIN asked a ON c.session_id = a.session_id AND c.version = a.cart_version
                       WHERE cardinality(c.product_ids) > 0 ORDER BY c.session_id FOR UPDATE OF c
                   ), key AS (
                       INSERT INTO idempotency_keys AS known (key, fingerprint, order_id)
                       SELECT a.key, decode(a.fingerprint, 'hex'), a.order_id FROM asked a JOIN cart USING (session_id)
                       WHERE a.key IS NOT NULL ORDER BY a.key
                       ON CONFLICT (key) DO UPDATE
                       SET fingerprint = excluded.fingerprint, order_id = excluded.order_id, created_at = now()
                       WHERE known.created_at < now() - interval '24 hours'
                       RETURNING key
                   ), emptied AS (
                       UPDATE carts c
                       SET product_ids = '{}', quantities = '{}', added_at_ms = '{}', shown = '{}', version = c.version + 1, updated_at = now()
                       FROM asked a JOIN cart USING (session_id)
                       WHERE c.session_id = a.session_id AND (a.key IS NULL OR a.key IN (SELECT key FROM key))
                       RETURNING c.session_id, c.version, c.updated_at
                   ), moment AS (
                       SELECT count(*), date_trunc('milliseconds', clock_timestamp()) AS at FROM emptied
                   ), granted AS (
                       SELECT a.*, m.at, e.version AS emptied_version, e.updated_at AS emptied_at
                       FROM moment m, asked a JOIN emptied e USING (session_id)
                   ), placed AS (
                       INSERT INTO orders (order_id, customer_id, order_date, status, subtotal, tax, shipping, total,
                                           payment_method, shipping_address, session_id, payment_info, created_at, updated_at)
                       SELECT order_id, customer_id, at, status, subtotal::numeric / 100, tax::numeric / 100,
                              shipping::numeric / 100, total::numeric / 100, payment_method, shipping_address,
                              session_id, payment_info, at, at
                       FROM granted
                   ), items AS (
                       INSERT INTO order_items (order_item_id, order_id, product_id, quantity, unit_price, line_total, publish_via,
                                                expires_at, traceparent, tracestate, product_name, added_at_ms)
                       SELECT i.order_item_id, i.order_id, i.product_id, i.quantity, i.unit_price::numeric / 100,
                              i.line_total::numeric / 100, i.publish_via,
                              CASE WHEN i.publish_via = 'direct' THEN g.at + $3::bigint * interval '1 millisecond' END,
                              i.traceparent, i.tracestate, i.product_name, i.added_at_ms
                       FROM json_to_recordset($2::text::json) AS i (
                           order_item_id text, order_id text, product_id text, quantity int, unit_price bigint, line_total bigint,
                           publish_via text, traceparent text, tracestate text, product_name text, added_at_ms bigint)
                       JOIN granted g USING (order_id)
                   )
                   SELECT order_id AS "order_id!", (extract(epoch FROM at) * 1000)::bigint AS "at_ms!",
                          emptied_version AS "cart_version!",
                          (extract(epoch FROM emptied_at) * 1000)::bigint AS "cart_updated_at_ms!"
                   FROM granted"#,
                orders,
                items,
                direct_expiry_ms
            )
            .fetch_all(&store.pool)
            .await
        };
        let rows = store.run("place the order", write).await?;
        let rows: HashMap<String, _> = rows.into_iter().map(|row| (row.order_id.clone(), row)).collect();
        let written = calls.iter().map(|call| {
            rows.get(call.order.order_id.as_str()).map(|row| WrittenOrder {
                created_at_ms: row.at_ms,
                direct_expires_at_ms: row.at_ms.saturating_add(direct_expiry_ms),
                cart_version: row.cart_version,
                cart_updated_at_ms: row.cart_updated_at_ms,
            })
        });
        Ok(written.collect())
    }
}

/// A row of `orders` with its cart and key; amounts in cents.
#[derive(Serialize)]
struct OrderRow<'a> {
    session_id: &'a str,
    cart_version: i64,
    key: Option<&'a str>,
    fingerprint: Option<String>,
    order_id: &'a str,
    customer_id: &'a str,
    status: &'a str,
    subtotal: i64,
    tax: i64,
    shipping: i64,
    total: i64,
    payment_method: Option<&'a str>,
    shipping_address: Option<&'a str>,
    payment_info: Option<&'a str>,
}

/// A row of `order_items`; amounts in cents.
#[derive(Serialize)]
struct ItemRow<'a> {
    order_item_id: &'a str,
    order_id: &'a str,
    product_id: &'a str,
    quantity: i64,
    unit_price: i64,
    line_total: i64,
    publish_via: &'a str,
    traceparent: Option<String>,
    tracestate: Option<&'a str>,
    product_name: Option<&'a str>,
    added_at_ms: Option<EpochMs>,
}

impl<'a> OrderRow<'a> {
    fn of(Write { order, session_id, cart_version, key, .. }: &'a Write) -> Self {
        Self {
            session_id: session_id.as_str(),
            cart_version: *cart_version,
            key: key.as_ref().map(IdempotencyKey::stored),
            fingerprint: key.as_ref().map(|key| key.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect()),
            order_id: order.order_id.as_str(),
            customer_id: &order.user_id,
            status: &order.status,
            subtotal: order.totals.subtotal.cents(),
            tax: order.totals.tax.cents(),
            shipping: order.totals.shipping.cents(),
            total: order.totals.total.cents(),
            payment_method: order.payment_method.as_deref(),
            shipping_address: order.shipping_address.as_deref(),
            payment_info: order.payment_info.as_deref(),
        }
    }
}

impl<'a> ItemRow<'a> {
    fn of(Write { order, trace, .. }: &'a Write, item: &'a OrderItem) -> Self {
        Self {
            order_item_id: item.order_item_id.as_str(),
            order_id: order.order_id.as_str(),
            product_id: item.product_id.as_str(),
            quantity: item.quantity,
            unit_price: item.unit_price.cents(),
            line_total: item.line_total.cents(),
            publish_via: item.publish_via.as_str(),
            traceparent: trace.as_ref().map(TraceContext::to_string),
            tracestate: trace.as_ref().and_then(|trace| trace.state.as_deref()),
            product_name: item.product_name.as_deref(),
            added_at_ms: item.added_at_ms,
        }
    }
}

/// Rows as one text for `json_to_recordset`. These types always serialise.
fn json(rows: impl Iterator<Item = impl Serialize>) -> String {
    serde_json::to_string(&rows.collect::<Vec<_>>()).unwrap_or_default()
}
