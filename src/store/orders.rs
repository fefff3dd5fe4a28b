//! Orders as they stand, with what became of each item.

use super::{Store, StoreError};
use crate::domain::EpochMs;
use crate::domain::ids::{InvalidValue, OrderId, OrderItemId, ProductId, SessionId};
use crate::domain::money::Cents;
use crate::domain::order::Totals;

/// Orders of one session that are listed: the newest.
const LISTED_ORDERS: i64 = 100;

/// An order with its items, as the tables hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub order_id: OrderId,
    /// The customer: a user's id, or `guest`. Free text, as rows may be made by hand.
    pub user_id: String,
    /// `None` for a row made by hand.
    pub session_id: Option<SessionId>,
    pub items: Vec<OrderItem>,
    pub totals: Totals,
    /// [`OrderStatus::as_str`](crate::domain::order::OrderStatus::as_str) of ours; rows made by hand may say anything.
    pub status: String,
    /// As the caller of checkout gave them.
    pub shipping_address: Option<String>,
    pub payment_method: Option<String>,
    pub payment_info: Option<String>,
    pub created_at_ms: EpochMs,
    /// The last time its status changed.
    pub updated_at_ms: EpochMs,
}

/// One row of `order_items`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    pub order_item_id: OrderItemId,
    pub product_id: ProductId,
    /// What the product was called at checkout; `None` for a row made by hand.
    pub product_name: Option<String>,
    pub quantity: i64,
    pub unit_price: Cents,
    pub line_total: Cents,
    pub publish_via: PublishVia,
    /// When a direct item's event must be on the log.
    pub expires_at_ms: Option<EpochMs>,
    /// `None` until the inventory has answered.
    pub outcome: Option<ItemOutcome>,
}

/// Who publishes an item; nobody else ever does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublishVia {
    /// The WAL reader.
    Wal,
    /// The request that inserted it, once, right after the commit.
    Direct,
    /// Nobody: it was there before KartShoppe.
    History,
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemOutcome {
    pub kind: OutcomeKind,
    pub allocated: i64,
    pub shortfall: i64,
    /// Why, where it was rejected.
    pub reason: Option<String>,
    pub settled_at_ms: EpochMs,
}

/// How an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutcomeKind {
    /// In full.
    Allocated,
    /// Some or all units were missing.
    Short,
    /// The inventory could not take it at all: an unknown product, or a record that could not be used.
    Rejected,
}

impl PublishVia {
    /// As the table writes it.
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
    /// As the table writes it.
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
struct Row {
    order_id: String,
    customer_id: String,
    session_id: Option<String>,
    status: String,
    subtotal: i64,
    tax: i64,
    shipping: i64,
    total: i64,
    shipping_address: Option<String>,
    payment_method: Option<String>,
    payment_info: Option<String>,
    created_at_ms: EpochMs,
    updated_at_ms: EpochMs,
    item: Option<String>,
    product_id: Option<String>,
    product_name: Option<String>,
    quantity: Option<i32>,
    unit_price: Option<i64>,
    line_total: Option<i64>,
    publish_via: Option<String>,
    expires_at_ms: Option<EpochMs>,
    outcome: Option<String>,
    allocated: Option<i64>,
    shortfall: Option<i64>,
    outcome_reason: Option<String>,
    settled_at_ms: Option<EpochMs>,
}

impl Store {
    /// One order; with a session, only if it is that session's.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn order(&self, order_id: &OrderId, session_id: Option<&SessionId>) -> Result<Option<Order>, StoreError> {
        let found = self.orders(&[order_id.as_str().to_owned()]).await?.pop();
        Ok(found.filter(|order| session_id.is_none_or(|wanted| order.session_id.as_ref() == Some(wanted))))
    }

    /// The session's orders, newest first, at most 100.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn orders_of_session(&self, session_id: &SessionId) -> Result<Vec<Order>, StoreError> {
        let list = async {
            sqlx::query_scalar!(
                "SELECT order_id FROM orders WHERE session_id = $1 ORDER BY created_at DESC, order_id DESC LIMIT $2",
                session_id.as_str(),
                LISTED_ORDERS
            )
            .fetch_all(&self.pool)
            .await
        };
        let order_ids = self.run("list the session's orders", list).await?;
        self.orders(&order_ids).await
    }

    /// These orders, newest first; unknown ids are left out.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn orders(&self, order_ids: &[String]) -> Result<Vec<Order>, StoreError> {
        let read = async {
            sqlx::query_as!(
                Row,
                r#"SELECT o.order_id, o.customer_id, o.session_id, coalesce(o.status, 'PENDING') AS "status!",
                          (o.subtotal * 100)::bigint AS "subtotal!", (coalesce(o.tax, 0) * 100)::bigint AS "tax!",
                          (coalesce(o.shipping, 0) * 100)::bigint AS "shipping!", (o.total * 100)::bigint AS "total!",
                          o.shipping_address, o.payment_method, o.payment_info,
                          (extract(epoch FROM coalesce(o.created_at, o.order_date, 'epoch')) * 1000)::bigint AS "created_at_ms!",
                          (extract(epoch FROM coalesce(o.updated_at, o.order_date, 'epoch')) * 1000)::bigint AS "updated_at_ms!",
                          i.order_item_id AS "item?", i.product_id AS "product_id?", i.product_name, i.quantity AS "quantity?",
                          (i.unit_price * 100)::bigint AS unit_price, (i.line_total * 100)::bigint AS line_total,
                          i.publish_via AS "publish_via?", (extract(epoch FROM i.expires_at) * 1000)::bigint AS expires_at_ms,
                          i.outcome, i.allocated, i.shortfall, i.outcome_reason,
                          (extract(epoch FROM i.settled_at) * 1000)::bigint AS settled_at_ms
                   FROM orders o LEFT JOIN order_items i USING (order_id)
                   WHERE o.order_id = ANY ($1)
                   ORDER BY coalesce(o.created_at, o.order_date, 'epoch') DESC, o.order_id DESC, i.order_item_id"#,
                order_ids
            )
            .fetch_all(&self.pool)
            .await
        };
        gather(self.run("read orders", read).await?)
    }
}

/// Puts the rows of each order together; they come order by order.
fn gather(rows: Vec<Row>) -> Result<Vec<Order>, StoreError> {
    let mut orders: Vec<Order> = Vec::new();
    for row in rows {
        let corrupt =
            |error: InvalidValue| StoreError::Corrupt { table: "orders", id: row.order_id.clone(), reason: error.to_string() };
        let item = row.item().map_err(corrupt)?;
        if orders.last().is_none_or(|order| order.order_id.as_str() != row.order_id) {
            orders.push(row.order().map_err(corrupt)?);
        }
        if let Some(order) = orders.last_mut() {
            order.items.extend(item);
        }
    }
    Ok(orders)
}

impl Row {
    fn order(&self) -> Result<Order, InvalidValue> {
        Ok(Order {
            order_id: OrderId::new(&self.order_id)?,
            user_id: self.customer_id.clone(),
            session_id: self.session_id.as_deref().map(SessionId::new).transpose()?,
            items: Vec::new(),
            totals: Totals {
                subtotal: Cents::new(self.subtotal)?,
                tax: Cents::new(self.tax)?,
                shipping: Cents::new(self.shipping)?,
                total: Cents::new(self.total)?,
            },
            status: self.status.clone(),
            shipping_address: self.shipping_address.clone(),
            payment_method: self.payment_method.clone(),
            payment_info: self.payment_info.clone(),
            created_at_ms: self.created_at_ms,
            updated_at_ms: self.updated_at_ms,
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
            quantity: self.quantity.unwrap_or_default().into(),
            unit_price: Cents::new(self.unit_price.unwrap_or_default())?,
            line_total: Cents::new(self.line_total.unwrap_or_default())?,
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
            settled_at_ms: self.settled_at_ms?,
        })
    }
}
