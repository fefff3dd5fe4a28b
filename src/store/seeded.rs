//! The code of this module's seeded bugs that is more than an `if`.

use sqlx::PgPool;

use crate::bugs::{self, Bug};

type CartLines = (Vec<String>, Vec<i64>, Vec<i64>);

/// Empties the cart in a statement of its own before the order is written; the lines are restored for the statement that buys
/// them.
pub(super) async fn empty_cart_first(pool: &PgPool, session_id: &str, version: i64) {
    if !bugs::is(Bug::CartOutsideOrder) {
        return;
    }
    const READ: &str = "SELECT product_ids, quantities, added_at_ms FROM carts WHERE session_id = $1 AND version = $2";
    const WRITE: &str =
        "UPDATE carts SET product_ids = $3, quantities = $4, added_at_ms = $5 WHERE session_id = $1 AND version = $2";
    let Ok(Some(bought)) = sqlx::query_as::<_, CartLines>(READ).bind(session_id).bind(version).fetch_optional(pool).await else {
        return;
    };
    for (products, quantities, added_at_ms) in [CartLines::default(), bought] {
        let write = sqlx::query(WRITE).bind(session_id).bind(version).bind(products).bind(quantities).bind(added_at_ms);
        let _ = write.execute(pool).await;
    }
}
