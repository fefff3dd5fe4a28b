//! Reads cart and idempotency key in one snapshot: an emptied cart is never seen without the key of the checkout that emptied it.

use super::batcher::Batchable;
use crate::domain::ids::SessionId;
use crate::store::carts::CartRow;
use crate::store::{Cart, CheckoutRequest, Store, StoreError};

/// What a checkout reads first: its session's cart and its key.
#[derive(Debug, Clone)]
pub struct CartLookup {
    session_id: SessionId,
    key: Option<String>,
    /// The key in the format that older versions stored.
    unscoped_key: Option<String>,
}

/// What the lookup returns.
#[derive(Debug)]
pub struct CartAndKey {
    pub cart: Cart,
    pub known: Option<KnownKey>,
}

/// The order placed under the key.
#[derive(Debug)]
pub struct KnownKey {
    pub fingerprint: Vec<u8>,
    pub order_id: String,
}

impl CartLookup {
    pub fn of(request: &CheckoutRequest) -> Self {
        let key = request.idempotency_key.as_ref();
        let unscoped_key = key.map(|key| key.own().to_owned());
        Self { session_id: request.session_id.clone(), key: key.map(|key| key.stored().to_owned()), unscoped_key }
    }
}

impl Batchable for CartLookup {
    /// A cart that cannot be read is its own checkout's error.
    type Answer = Result<CartAndKey, StoreError>;

    fn claims(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    async fn run_together(store: &Store, calls: &[Self]) -> Result<Vec<Self::Answer>, StoreError> {
        let session_ids: Vec<String> = calls.iter().map(|call| call.session_id.to_string()).collect();
        let keys: Vec<Option<String>> = calls.iter().map(|call| call.key.clone()).collect();
        let unscoped_keys: Vec<Option<String>> = calls.iter().map(|call| call.unscoped_key.clone()).collect();
        let read = || async {
            sqlx::query!(
                r#"SELECT c.user_id AS "user_id?", c.product_ids AS "product_ids?", c.quantities AS "quantities?",
                          c.added_at_ms AS "added_at_ms?", c.shown::text AS shown, c.version AS "version?",
                          kartshoppe_ms(c.created_at) AS created_at_ms,
                          kartshoppe_ms(c.updated_at) AS updated_at_ms,
                          (extract(epoch FROM now()) * 1000)::bigint AS "now_ms!",
                          k.fingerprint AS "fingerprint?", k.order_id AS "order_id?"
                   FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS call (session_id, key, unscoped_key, number)
                   LEFT JOIN carts c ON c.session_id = call.session_id
                   LEFT JOIN LATERAL (
                       SELECT known.fingerprint, known.order_id FROM idempotency_keys known
                       WHERE known.key = ANY (ARRAY[call.key, call.unscoped_key])
                         AND known.created_at >= now() - interval '24 hours'
                         AND (known.key = call.key OR EXISTS (
                             SELECT FROM orders o WHERE o.order_id = known.order_id AND o.session_id = call.session_id))
                       ORDER BY known.key = call.key DESC LIMIT 1
                   ) AS k ON true
                   ORDER BY call.number"#,
                &session_ids,
                &keys as &[Option<String>],
                &unscoped_keys as &[Option<String>]
            )
            .fetch_all(&store.pool)
            .await
        };
        let rows = store.run("read the cart", read).await?;
        let found = calls.iter().zip(rows).map(|(call, row)| {
            let known = row.fingerprint.zip(row.order_id).map(|(fingerprint, order_id)| KnownKey { fingerprint, order_id });
            let cart = CartRow {
                user_id: row.user_id,
                product_ids: row.product_ids,
                quantities: row.quantities,
                added_at_ms: row.added_at_ms,
                shown: row.shown,
                version: row.version,
                created_at_ms: row.created_at_ms,
                updated_at_ms: row.updated_at_ms,
                now_ms: row.now_ms,
            };
            Ok(CartAndKey { cart: cart.into_cart(&call.session_id)?, known })
        });
        Ok(found.collect())
    }
}
