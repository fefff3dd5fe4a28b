//! Stores carts: one row per session, updated only at the version that was read.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use super::cart::{Cart, CartAddition, CartError, CartLine, ShownProduct};
use super::{CALL_DEADLINE, Store, StoreError};
use crate::domain::EpochMs;
use crate::domain::ids::{InvalidValue, ProductId, Quantity, SessionId, UserId};
use crate::telemetry::names::span;

/// A cart's columns. For a session without a row all are empty except the clock.
pub(super) struct CartRow {
    pub user_id: Option<String>,
    pub product_ids: Option<Vec<String>>,
    pub quantities: Option<Vec<i64>>,
    pub added_at_ms: Option<Vec<i64>>,
    /// JSON, by product id.
    pub shown: Option<String>,
    pub version: Option<i64>,
    pub created_at_ms: Option<EpochMs>,
    pub updated_at_ms: Option<EpochMs>,
    pub now_ms: EpochMs,
}

impl Store {
    /// The session's cart; an empty one if the session is unknown.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn cart(&self, session_id: &SessionId) -> Result<Cart, StoreError> {
        Ok(self.read_cart(session_id).await?.0)
    }

    /// Adds 1 to 1,000 units of a product; the caller has checked that the product exists.
    ///
    /// # Errors
    /// Those of [`Cart::add`] and those common to all calls.
    pub async fn add_to_cart<'a>(
        &self,
        session_id: &SessionId,
        user_id: Option<&UserId>,
        wanted: impl Into<CartAddition<'a>>,
        units: i64,
    ) -> Result<Cart, CartError> {
        let wanted = wanted.into();
        let add = |cart: &mut Cart, now_ms| {
            cart.add(wanted.product_id, units, now_ms)?;
            cart.show(wanted);
            Ok(())
        };
        self.change_cart(session_id, user_id, add).await
    }

    /// Sets a line's quantity; 0 or less removes the line.
    ///
    /// # Errors
    /// Those of [`Cart::set_quantity`] and those common to all calls.
    pub async fn set_cart_quantity<'a>(
        &self,
        session_id: &SessionId,
        user_id: Option<&UserId>,
        wanted: impl Into<CartAddition<'a>>,
        units: i64,
    ) -> Result<Cart, CartError> {
        let wanted = wanted.into();
        let set = |cart: &mut Cart, now_ms| {
            cart.set_quantity(wanted.product_id, units, now_ms)?;
            cart.show(wanted);
            Ok(())
        };
        self.change_cart(session_id, user_id, set).await
    }

    /// Removes a product from the cart, if it is there.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn remove_from_cart(&self, session_id: &SessionId, product_id: &ProductId) -> Result<Cart, CartError> {
        let remove = |cart: &mut Cart, _| {
            cart.remove(product_id);
            Ok(())
        };
        self.change_cart(session_id, None, remove).await
    }

    /// Empties the cart.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn clear_cart(&self, session_id: &SessionId) -> Result<Cart, CartError> {
        let clear = |cart: &mut Cart, _| {
            cart.clear();
            Ok(())
        };
        self.change_cart(session_id, None, clear).await
    }

    /// Changes the cart by optimistic concurrency: retries until no other change came between read and write. No lock is held in
    /// between, so a process that freezes here blocks no other.
    async fn change_cart(
        &self,
        session_id: &SessionId,
        user_id: Option<&UserId>,
        change: impl Fn(&mut Cart, EpochMs) -> Result<(), CartError>,
    ) -> Result<Cart, CartError> {
        let change_until_kept = async {
            loop {
                let (before, now_ms) = self.read_cart(session_id).await?;
                let mut cart = before.clone();
                change(&mut cart, now_ms)?;
                if cart.lines == before.lines {
                    return Ok(before);
                }
                cart.check_costs(&before)?;
                cart.user_id = user_id.cloned().or(cart.user_id);
                if let Some(kept) = self.keep_cart(cart).await? {
                    return Ok(kept);
                }
            }
        };
        let changed = tokio::time::timeout(CALL_DEADLINE, change_until_kept).await;
        changed.unwrap_or(Err(CartError::Store(StoreError::Contended { doing: "change the cart" })))
    }

    /// The cart, and the database's current time.
    async fn read_cart(&self, session_id: &SessionId) -> Result<(Cart, EpochMs), StoreError> {
        let read = || async {
            sqlx::query_as!(
                CartRow,
                r#"SELECT user_id AS "user_id?", product_ids AS "product_ids?", quantities AS "quantities?",
                          added_at_ms AS "added_at_ms?", shown::text AS shown, version AS "version?",
                          kartshoppe_ms(created_at) AS created_at_ms,
                          kartshoppe_ms(updated_at) AS updated_at_ms,
                          (extract(epoch FROM now()) * 1000)::bigint AS "now_ms!"
                   FROM (VALUES (1)) AS always LEFT JOIN carts ON session_id = $1"#,
                session_id.as_str()
            )
            .fetch_one(&self.pool)
            .await
        };
        let row = self.traced_here(span::CART_SELECT, self.run("read the cart", read)).await?;
        let now_ms = row.now_ms;
        Ok((row.into_cart(session_id)?, now_ms))
    }

    /// Writes a changed cart, unless its version has changed since it was read.
    async fn keep_cart(&self, mut cart: Cart) -> Result<Option<Cart>, StoreError> {
        let product_ids: Vec<String> = cart.lines.iter().map(|line| line.product_id.to_string()).collect();
        let quantities: Vec<i64> = cart.lines.iter().map(|line| line.quantity.units()).collect();
        let added_at_ms: Vec<EpochMs> = cart.lines.iter().map(|line| line.added_at_ms).collect();
        let shown: BTreeMap<&str, &ShownProduct> =
            cart.lines.iter().filter_map(|line| Some((line.product_id.as_str(), line.shown.as_ref()?))).collect();
        // Serialising strings and numbers to memory cannot fail.
        let shown = serde_json::to_string(&shown).unwrap_or_else(|_| "{}".to_owned());
        let keep = || async {
            sqlx::query!(
                r#"INSERT INTO carts AS kept (session_id, user_id, product_ids, quantities, added_at_ms, shown)
                   VALUES ($1, $2, $3, $4, $5, $7::text::jsonb)
                   ON CONFLICT (session_id) DO UPDATE
                   SET user_id = excluded.user_id, product_ids = excluded.product_ids, quantities = excluded.quantities,
                       added_at_ms = excluded.added_at_ms, shown = excluded.shown, version = kept.version + 1, updated_at = now()
                   WHERE kept.version = $6
                   RETURNING version, kartshoppe_ms(created_at) AS "created_at_ms!",
                             kartshoppe_ms(updated_at) AS "updated_at_ms!""#,
                cart.session_id.as_str(),
                cart.user_id.as_ref().map(UserId::as_str),
                &product_ids,
                &quantities,
                &added_at_ms,
                cart.version,
                shown
            )
            .fetch_optional(&self.pool)
            .await
        };
        Ok(self.traced_here(span::CART_UPSERT, self.run("keep the cart", keep)).await?.map(|row| {
            (cart.version, cart.created_at_ms, cart.updated_at_ms) = (row.version, row.created_at_ms, row.updated_at_ms);
            cart
        }))
    }

    /// Deletes carts that were not changed for 30 days, at most `at_most`.
    pub(super) async fn sweep_carts(&self, at_most: i64) -> Result<u64, StoreError> {
        let sweep = || async {
            sqlx::query!(
                "DELETE FROM carts WHERE session_id IN (
                     SELECT session_id FROM carts
                     WHERE created_at < now() - interval '30 days' AND updated_at < now() - interval '30 days'
                     ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
                at_most
            )
            .execute(&self.pool)
            .await
        };
        Ok(self.run("delete old carts", sweep).await?.rows_affected())
    }
}

/// Names a row for those who can read the table, and not for those who read the log: the session's id opens cart and orders. It is
/// the beginning of `encode(sha256(session_id::bytea), 'hex')`.
fn digest(session_id: &SessionId) -> String {
    let hash = Sha256::digest(session_id.as_str().as_bytes());
    hash[..6].iter().fold("sha256 ".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

impl CartRow {
    /// The cart of that session.
    pub(super) fn into_cart(self, session_id: &SessionId) -> Result<Cart, StoreError> {
        let corrupt =
            |error: InvalidValue| StoreError::Corrupt { table: "carts", id: digest(session_id), reason: error.to_string() };
        // What a line shows is no reason to lose the cart.
        let shown = self.shown.as_deref().and_then(|json| serde_json::from_str::<HashMap<String, ShownProduct>>(json).ok());
        let mut shown = shown.unwrap_or_default();
        let lines = self.product_ids.unwrap_or_default().into_iter().zip(self.quantities.unwrap_or_default());
        let lines = lines.zip(self.added_at_ms.unwrap_or_default()).map(|((product_id, quantity), added_at_ms)| {
            let (shown, quantity) = (shown.remove(&product_id), Quantity::new(quantity)?);
            Ok(CartLine { product_id: ProductId::new(&product_id)?, quantity, added_at_ms, shown })
        });
        Ok(Cart {
            session_id: session_id.clone(),
            user_id: self.user_id.map(|id| UserId::new(&id)).transpose().map_err(corrupt)?,
            lines: lines.collect::<Result<_, _>>().map_err(corrupt)?,
            version: self.version.unwrap_or(0),
            created_at_ms: self.created_at_ms.unwrap_or(self.now_ms),
            updated_at_ms: self.updated_at_ms.unwrap_or(self.now_ms),
        })
    }
}
