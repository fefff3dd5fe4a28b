//! Orders as operators look for them: newest first, page by page.

use std::time::Duration;

use super::{Store, StoreError};
use crate::clock::in_ms;
use crate::domain::ids::SessionId;
use crate::telemetry::names::span;

/// Which orders to find; `None` does not restrict the search.
#[derive(Debug, Clone, Default)]
pub struct OrderSearch {
    pub order_id: Option<String>,
    pub session_id: Option<SessionId>,
    /// One of the order's items is of this product.
    pub product_id: Option<String>,
    pub status: Option<String>,
    pub older_than: Option<Duration>,
    pub younger_than: Option<Duration>,
    /// Only orders after this one in the list.
    pub after: Option<OrderCursor>,
    pub limit: i64,
}

/// Some 1,500 years from the epoch, in microseconds: within PostgreSQL's times.
const LATEST_US: u64 = 50_000_000_000_000_000;

/// An order's place in the list: when it was placed, in microseconds, and its id. Orders from before KartShoppe have no time,
/// and come last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderCursor {
    pub created_us: Option<i64>,
    pub order_id: String,
}

impl OrderCursor {
    /// Reads what [`Display`](std::fmt::Display) wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (time, order_id) = text.split_once('.')?;
        let created_us: Option<i64> = if time == "-" { None } else { Some(time.parse().ok()?) };
        // PostgreSQL could not have returned such a time or text, so no answer contained it.
        let is_ours = created_us.is_none_or(|us| us.unsigned_abs() < LATEST_US) && !order_id.contains('\0');
        is_ours.then(|| Self { created_us, order_id: order_id.to_owned() })
    }
}

impl std::fmt::Display for OrderCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.created_us {
            Some(created_us) => write!(f, "{created_us}.{}", self.order_id),
            None => write!(f, "-.{}", self.order_id),
        }
    }
}

impl Store {
    /// The places of the matching orders, newest first.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn find_orders(&self, search: &OrderSearch) -> Result<Vec<OrderCursor>, StoreError> {
        let find = || async {
            let sql = "SELECT (extract(epoch FROM created_at) * 1000000)::bigint, order_id FROM orders o
                WHERE ($1::text IS NULL OR order_id = $1)
                  AND ($2::text IS NULL OR session_id = $2)
                  AND ($3::text IS NULL OR EXISTS (SELECT FROM order_items i WHERE i.order_id = o.order_id AND i.product_id = $3))
                  AND ($4::text IS NULL OR coalesce(status, 'PENDING') = $4)
                  AND ($5::bigint IS NULL OR created_at <= clock_timestamp() - $5 * interval '1 millisecond')
                  AND ($6::bigint IS NULL OR created_at >= clock_timestamp() - $6 * interval '1 millisecond')
                  AND ($8::text IS NULL
                       OR ($7::bigint IS NULL AND created_at IS NULL AND order_id < $8)
                       OR ($7 IS NOT NULL AND (created_at IS NULL
                           OR (created_at, order_id) < ('epoch'::timestamptz + $7 * interval '1 microsecond', $8))))
                ORDER BY created_at DESC NULLS LAST, order_id DESC LIMIT $9";
            let ms = |age: Option<Duration>| age.map(in_ms);
            let query = sqlx::query_as::<_, (Option<i64>, String)>(sql)
                .bind(&search.order_id)
                .bind(search.session_id.as_ref().map(SessionId::as_str))
                .bind(&search.product_id)
                .bind(&search.status)
                .bind(ms(search.older_than))
                .bind(ms(search.younger_than))
                .bind(search.after.as_ref().and_then(|after| after.created_us))
                .bind(search.after.as_ref().map(|after| &after.order_id))
                .bind(search.limit);
            query.fetch_all(&self.pool).await
        };
        let found = self.traced_here(span::ORDER_SELECT, self.run("search for orders", find)).await?;
        Ok(found.into_iter().map(|(created_us, order_id)| OrderCursor { created_us, order_id }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for created_us in [Some(1_732_500_000_000_001), None] {
            let cursor = OrderCursor { created_us, order_id: "o.1".to_owned() };
            assert_eq!(OrderCursor::parse(&cursor.to_string()), Some(cursor));
        }
        assert_eq!(OrderCursor::parse("x.y"), None);
    }
}
