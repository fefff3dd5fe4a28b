//! Orders with their current status and each item's outcome.

use super::{Store, StoreError};
use crate::domain::ids::{InvalidValue, OrderId, OrderItemId, ProductId, SessionId};
use crate::domain::money::Cents;
use crate::domain::order::Totals;
use crate::domain::{EpochMs, shown_ms};
use crate::telemetry::context::TraceContext;
use crate::telemetry::names::span;

/// Most orders listed for a session: the newest.
const LISTED_ORDERS: i64 = 100;

/// An order with its items, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub order_id: OrderId,
    /// The customer: a user's id, or `guest`. Free text, as rows may be inserted by hand.
    pub user_id: String,
    /// `None` for a row inserted by hand.
    pub session_id: Option<SessionId>,
    pub items: Vec<OrderItem>,
    pub totals: Totals,
    /// [`OrderStatus::as_str`](crate::domain::order::OrderStatus::as_str) for our orders; rows inserted by hand may hold any
    /// text.
    pub status: String,
    /// As the checkout request gave them.
    pub shipping_address: Option<String>,
    pub payment_method: Option<String>,
    pub payment_info: Option<String>,
    pub created_at_ms: EpochMs,
    /// When the status last changed.
    pub updated_at_ms: EpochMs,
    /// Of the trace that the order belongs to, in hex, if that trace is sampled.
    pub trace_id: Option<String>,
}

/// One row of `order_items`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    pub order_item_id: OrderItemId,
    pub product_id: ProductId,
    /// The product's name at checkout; `None` for a row inserted by hand.
    pub product_name: Option<String>,
    pub quantity: i64,
    pub unit_price: Cents,
    pub line_total: Cents,
    /// When its line was added to the cart; `None` for a row inserted by hand.
    pub added_at_ms: Option<EpochMs>,
    pub publish_via: PublishVia,
    /// Deadline for a direct item's event to be on the log.
    pub expires_at_ms: Option<EpochMs>,
    /// `None` until the inventory has answered.
    pub outcome: Option<ItemOutcome>,
}

/// The only part of the shop that publishes an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublishVia {
    /// The WAL reader.
    Wal,
    /// The request that inserted it, once, right after the commit.
    Direct,
    /// Not published: the row is older than KartShoppe.
    History,
}

/// The inventory's answer to an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemOutcome {
    pub kind: OutcomeKind,
    pub allocated: i64,
    pub shortfall: i64,
    /// The reason of a rejection.
    pub reason: Option<String>,
    /// Log append times of the record that orders the item and of the answer; `None` for older rows.
    pub published_at_ms: Option<EpochMs>,
    pub applied_at_ms: Option<EpochMs>,
    /// When the outcome was written, by the database's clock.
    pub settled_at_ms: EpochMs,
}

/// Kind of an item's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutcomeKind {
    /// Allocated in full.
    Allocated,
    /// Some or all units are missing.
    Short,
    /// Rejected: the product is unknown, or the record could not be used.
    Rejected,
}

impl PublishVia {
    /// The column's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wal => "wal",
            Self::Direct => "direct",
            Self::History => "history",
        }
    }

    fn parse(text: &str) -> Self {
        [Self::Wal, Self::Direct].into_iter().find(|via| via.as_str() == text).unwrap_or(Self::History)
    }
}

impl OutcomeKind {
    /// The column's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allocated => "ALLOCATED",
            Self::Short => "SHORT",
            Self::Rejected => "REJECTED",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Allocated, Self::Short, Self::Rejected].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One item with its order's columns, or an order without items.
struct JoinedRow {
    order_id: String,
    customer_id: String,
    session_id: Option<String>,
    status: String,
    subtotal: Option<i64>,
    tax: Option<i64>,
    shipping: Option<i64>,
    total: Option<i64>,
    shipping_address: Option<String>,
    payment_method: Option<String>,
    payment_info: Option<String>,
    created_at_ms: EpochMs,
    updated_at_ms: EpochMs,
    item: Option<String>,
    product_id: Option<String>,
    product_name: Option<String>,
    quantity: Option<i64>,
    unit_price: Option<i64>,
    line_total: Option<i64>,
    added_at_ms: Option<EpochMs>,
    publish_via: Option<String>,
    traceparent: Option<String>,
    expires_at_ms: Option<EpochMs>,
    outcome: Option<String>,
    allocated: Option<i64>,
    shortfall: Option<i64>,
    outcome_reason: Option<String>,
    published_at_ms: Option<EpochMs>,
    applied_at_ms: Option<EpochMs>,
    settled_at_ms: Option<EpochMs>,
}

/// The result of a query for orders.
#[derive(Debug, Default)]
pub struct Orders {
    /// Newest first; unknown ids are left out.
    pub found: Vec<Order>,
    /// Orders with values that our orders never have. Rows may be inserted by hand, and one of them must not hide the others.
    pub unreadable: Vec<Unreadable>,
}

/// An order that cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub order_id: String,
    pub session_id: Option<SessionId>,
    pub reason: String,
}

impl From<Unreadable> for StoreError {
    fn from(Unreadable { order_id: id, reason, .. }: Unreadable) -> Self {
        Self::Corrupt { table: "orders", id, reason }
    }
}

impl Store {
    /// One order; with a session, only if the order belongs to it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it cannot be read; those of every call.
    pub async fn order(&self, order_id: &OrderId, session_id: Option<&SessionId>) -> Result<Option<Order>, StoreError> {
        let Orders { mut found, mut unreadable } = self.orders(&[order_id.as_str().to_owned()]).await?;
        let is_theirs = |owner: &Option<SessionId>| session_id.is_none_or(|wanted| owner.as_ref() == Some(wanted));
        match unreadable.pop() {
            Some(unreadable) if is_theirs(&unreadable.session_id) => Err(unreadable.into()),
            Some(_) => Ok(None),
            None => Ok(found.pop().filter(|order| is_theirs(&order.session_id))),
        }
    }

    /// The session's orders, newest first, at most 100. Orders that cannot be read are left out and logged as errors.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn orders_of_session(&self, session_id: &SessionId) -> Result<Vec<Order>, StoreError> {
        let list = || async {
            sqlx::query_scalar!(
                "SELECT order_id FROM orders WHERE session_id = $1 ORDER BY created_at DESC, order_id DESC LIMIT $2",
                session_id.as_str(),
                LISTED_ORDERS
            )
            .fetch_all(&self.pool)
            .await
        };
        let order_ids = self.traced_here(span::ORDER_SELECT, self.run("list the session's orders", list)).await?;
        let Orders { found, unreadable } = self.orders(&order_ids).await?;
        for Unreadable { order_id, reason, .. } in unreadable {
            tracing::error!(kartshoppe.order.id = order_id, reason, "an order cannot be shown: correct its rows in PostgreSQL");
        }
        Ok(found)
    }

    /// The orders with these ids.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn orders(&self, order_ids: &[String]) -> Result<Orders, StoreError> {
        match self.order_rows(order_ids).await {
            Ok(rows) => Ok(gather(&rows)),
            Err(error) if error.is_of_a_row() => match order_ids {
                [order_id] => {
                    let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                    let unreadable = Unreadable { order_id: order_id.clone(), session_id: None, reason };
                    Ok(Orders { unreadable: vec![unreadable], ..Orders::default() })
                }
                several => {
                    let (front, back) = several.split_at(several.len() / 2);
                    let mut orders = Box::pin(self.orders(front)).await?;
                    let rest = Box::pin(self.orders(back)).await?;
                    orders.found.extend(rest.found);
                    orders
                        .found
                        .sort_by(|one, other| (other.created_at_ms, &other.order_id).cmp(&(one.created_at_ms, &one.order_id)));
                    orders.unreadable.extend(rest.unreadable);
                    Ok(orders)
                }
            },
            Err(error) => Err(error),
        }
    }

    async fn order_rows(&self, order_ids: &[String]) -> Result<Vec<JoinedRow>, StoreError> {
        let read = || async {
            sqlx::query_as!(
                JoinedRow,
                r#"SELECT o.order_id, o.customer_id, o.session_id, coalesce(o.status, 'PENDING') AS "status!",
                          kartshoppe_cents(o.subtotal) AS subtotal, kartshoppe_cents(coalesce(o.tax, 0)) AS tax,
                          kartshoppe_cents(coalesce(o.shipping, 0)) AS shipping, kartshoppe_cents(o.total) AS total,
                          o.shipping_address, o.payment_method, o.payment_info,
                          kartshoppe_ms(coalesce(o.created_at, o.order_date, 'epoch')) AS "created_at_ms!",
                          kartshoppe_ms(coalesce(o.updated_at, o.order_date, 'epoch')) AS "updated_at_ms!",
                          i.order_item_id AS "item?", i.product_id AS "product_id?", i.product_name, i.quantity::bigint AS quantity,
                          kartshoppe_cents(i.unit_price) AS unit_price, kartshoppe_cents(i.line_total) AS line_total,
                          i.added_at_ms AS "added_at_ms?",
                          i.publish_via AS "publish_via?", i.traceparent AS "traceparent?", kartshoppe_ms(i.expires_at) AS expires_at_ms,
                          i.outcome, i.allocated, i.shortfall, i.outcome_reason,
                          i.published_at_ms, i.applied_at_ms, kartshoppe_ms(i.settled_at) AS settled_at_ms
                   FROM orders o LEFT JOIN order_items i USING (order_id)
                   WHERE o.order_id = ANY ($1)
                   ORDER BY coalesce(o.created_at, o.order_date, 'epoch') DESC, o.order_id DESC, i.order_item_id"#,
                order_ids
            )
            .fetch_all(&self.pool)
            .await
        };
        self.traced_here(span::ORDER_SELECT, self.run("read orders", read)).await
    }
}

/// Puts the rows of each order together; they come order by order.
fn gather(rows: &[JoinedRow]) -> Orders {
    let mut orders = Orders::default();
    for of_one in rows.chunk_by(|one, next| one.order_id == next.order_id) {
        let Some(first) = of_one.first() else { continue };
        match whole(first, of_one) {
            Ok(order) => orders.found.push(order),
            Err(error) => orders.unreadable.push(Unreadable {
                order_id: first.order_id.clone(),
                session_id: first.session_id(),
                reason: error.to_string(),
            }),
        }
    }
    orders
}

fn whole(first: &JoinedRow, rows: &[JoinedRow]) -> Result<Order, InvalidValue> {
    let mut order = first.order()?;
    for row in rows {
        order.items.extend(row.item()?);
        if order.trace_id.is_none() {
            order.trace_id = row.traceparent.as_deref().and_then(TraceContext::parse).and_then(|trace| trace.sampled_id());
        }
    }
    Ok(order)
}

/// An amount as the tables hold it.
fn money(field: &'static str, cents: Option<i64>) -> Result<Cents, InvalidValue> {
    let cents =
        cents.ok_or_else(|| InvalidValue::OutOfRange { field, value: "no number".to_owned(), expected: "0 to 99999999.99" })?;
    Cents::new(cents)
}

impl JoinedRow {
    /// The order's session. A text that is not a session id counts as no session, as no request can name it.
    fn session_id(&self) -> Option<SessionId> {
        self.session_id.as_deref().and_then(|id| SessionId::new(id).ok())
    }

    fn order(&self) -> Result<Order, InvalidValue> {
        Ok(Order {
            order_id: OrderId::new(&self.order_id)?,
            user_id: self.customer_id.clone(),
            session_id: self.session_id(),
            items: Vec::new(),
            totals: Totals {
                subtotal: money("subtotal", self.subtotal)?,
                tax: money("tax", self.tax)?,
                shipping: money("shipping", self.shipping)?,
                total: money("total", self.total)?,
            },
            status: self.status.clone(),
            shipping_address: self.shipping_address.clone(),
            payment_method: self.payment_method.clone(),
            payment_info: self.payment_info.clone(),
            created_at_ms: self.created_at_ms,
            updated_at_ms: self.updated_at_ms,
            trace_id: None,
        })
    }

    fn item(&self) -> Result<Option<OrderItem>, InvalidValue> {
        let (Some(order_item_id), Some(product_id)) = (&self.item, &self.product_id) else {
            return Ok(None);
        };
        Ok(Some(OrderItem {
            order_item_id: OrderItemId::new(order_item_id)?,
            product_id: ProductId::new(product_id)?,
            product_name: self.product_name.clone(),
            quantity: self.quantity.unwrap_or_default(),
            unit_price: money("unit_price", self.unit_price)?,
            line_total: money("line_total", self.line_total)?,
            added_at_ms: self.added_at_ms.map(shown_ms),
            publish_via: PublishVia::parse(self.publish_via.as_deref().unwrap_or_default()),
            expires_at_ms: self.expires_at_ms,
            outcome: self.outcome(),
        }))
    }

    fn outcome(&self) -> Option<ItemOutcome> {
        Some(ItemOutcome {
            kind: OutcomeKind::parse(self.outcome.as_deref()?)?,
            allocated: self.allocated?,
            shortfall: self.shortfall?,
            reason: self.outcome_reason.clone(),
            published_at_ms: self.published_at_ms.map(shown_ms),
            applied_at_ms: self.applied_at_ms.map(shown_ms),
            settled_at_ms: self.settled_at_ms?,
        })
    }
}
