//! Recent orders' products, and what a session has bought, for recommendations.

use super::{Store, StoreError};
use crate::domain::ids::SessionId;
use crate::telemetry::names::span;

/// Most products of a session that are considered.
const BOUGHT_MAX: i64 = 50;

/// One order's products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basket {
    /// `None` for an order inserted by hand.
    pub session_id: Option<String>,
    pub product_ids: Vec<String>,
}

impl Store {
    /// The products of the latest orders, at most `limit` orders. Order ids are time-ordered, so the primary key finds the
    /// latest.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn recent_baskets(&self, limit: u32) -> Result<Vec<Basket>, StoreError> {
        let read = || async {
            sqlx::query_as!(
                Basket,
                r#"SELECT o.session_id AS "session_id?", array_agg(i.product_id) AS "product_ids!"
                   FROM (SELECT order_id, session_id FROM orders ORDER BY order_id DESC LIMIT $1) AS o
                   JOIN order_items i USING (order_id)
                   GROUP BY o.order_id, o.session_id"#,
                i64::from(limit)
            )
            .fetch_all(&self.pool)
            .await
        };
        self.run("read the latest orders", read).await
    }

    /// Products that a session has bought.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn bought_in(&self, session_id: &SessionId) -> Result<Vec<String>, StoreError> {
        let read = || async {
            sqlx::query_scalar!(
                "SELECT DISTINCT i.product_id FROM orders o JOIN order_items i USING (order_id) WHERE o.session_id = $1 LIMIT $2",
                session_id.as_str(),
                BOUGHT_MAX
            )
            .fetch_all(&self.pool)
            .await
        };
        self.traced_here(span::ORDER_SELECT, self.run("read what the session bought", read)).await
    }
}
