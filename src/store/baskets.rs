//! What was lately bought together, for recommendations.

use super::{Store, StoreError};

/// One order's products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basket {
    pub user_id: String,
    pub product_ids: Vec<String>,
}

impl Store {
    /// The products of the latest orders, at most `limit` orders. Ids of our orders rise with time, so the primary key finds them.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn recent_baskets(&self, limit: u32) -> Result<Vec<Basket>, StoreError> {
        let read = || async {
            sqlx::query_as!(
                Basket,
                r#"SELECT o.customer_id AS user_id, array_agg(i.product_id) AS "product_ids!"
                   FROM (SELECT order_id, customer_id FROM orders ORDER BY order_id DESC LIMIT $1) AS o
                   JOIN order_items i USING (order_id)
                   GROUP BY o.order_id, o.customer_id"#,
                i64::from(limit)
            )
            .fetch_all(&self.pool)
            .await
        };
        self.run("read the latest orders", read).await
    }
}
