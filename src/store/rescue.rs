//! Direct items whose publisher may have died between commit and publish.
//!
//! Nobody publishes such an item a second time on a guess. The tracker asks the shard by a probe; only after the shard's answer,
//! which comes behind everything that was ever applied of the item, the row is given to the WAL reader
//! ([`super::outcomes`], in the transaction that moves past the answer).

use std::time::Duration;

use sqlx::PgConnection;

use super::{Store, StoreError};
use crate::domain::EpochMs;
use crate::domain::ids::{InvalidValue, OrderId, OrderItemId, ProductId};
use crate::telemetry::context::TraceContext;

/// An item to ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub order_id: OrderId,
    pub order_item_id: OrderItemId,
    pub product_id: ProductId,
    /// The value of the item's own event.
    pub expires_at_ms: EpochMs,
    pub trace: Option<TraceContext>,
}

/// Items without an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Of these the WAL reader is the publisher.
    pub wal: i64,
    /// Direct items whose time has not run out.
    pub direct: i64,
    /// Direct items past their time: being rescued.
    pub expired: i64,
    /// Expired items from before a gap: never flipped, a human decides.
    pub stranded: i64,
}

/// Items without an outcome that should have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overdue {
    pub direct: i64,
    pub wal: i64,
    /// For how long the oldest of them should have been published.
    pub oldest: Duration,
}

/// An item from before a gap, past its time: whether its event was ever applied, only the log can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranded {
    pub order_id: String,
    pub order_item_id: String,
    pub product_id: String,
    pub quantity: i64,
    pub expired_at_ms: EpochMs,
}

struct ProbeRow {
    order_id: String,
    order_item_id: String,
    product_id: String,
    expires_at_ms: EpochMs,
    traceparent: Option<String>,
}

impl Store {
    /// The items to probe now, oldest first, at most `limit`. Each is marked, so that nobody asks about it again before
    /// [`probe_interval`](super::StoreOptions::probe_interval) is over.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn due_probes(&self, limit: i64) -> Result<Vec<Probe>, StoreError> {
        let interval_ms = i64::try_from(self.options.probe_interval.as_millis()).unwrap_or(i64::MAX);
        let mark = || async {
            sqlx::query_as!(
                ProbeRow,
                r#"WITH due AS (
                       SELECT order_item_id FROM order_items
                       WHERE publish_via = 'direct' AND outcome IS NULL AND expires_at < clock_timestamp()
                         AND (last_probe_at IS NULL OR last_probe_at < clock_timestamp() - $2::bigint * interval '1 millisecond')
                         AND inserted_at > coalesce((SELECT max(noticed_at) FROM order_tracker_gaps), '-infinity')
                       ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
                   ), marked AS (
                       UPDATE order_items i SET last_probe_at = clock_timestamp() FROM due
                       WHERE i.order_item_id = due.order_item_id
                       RETURNING i.order_id, i.order_item_id, i.product_id, i.expires_at, i.traceparent
                   )
                   SELECT order_id, order_item_id, product_id, traceparent,
                          kartshoppe_ms(expires_at) AS "expires_at_ms!"
                   FROM marked ORDER BY expires_at, order_item_id"#,
                limit,
                interval_ms
            )
            .fetch_all(&self.pool)
            .await
        };
        let rows = self.run("look for items to rescue", mark).await?;
        // One that cannot be read is passed over: it must not keep the others from being rescued.
        let readable = |row: ProbeRow| {
            let complain = |error: &StoreError| tracing::error!(%error, "an order item cannot be rescued: put its row right");
            row.into_probe().inspect_err(complain).ok()
        };
        Ok(rows.into_iter().filter_map(readable).collect())
    }

    /// How many items wait for an outcome, and for what.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn waiting(&self) -> Result<Waiting, StoreError> {
        let count = || async {
            sqlx::query_as!(
                Waiting,
                r#"SELECT count(*) FILTER (WHERE publish_via = 'wal') AS "wal!",
                          count(*) FILTER (WHERE publish_via = 'direct' AND expires_at >= clock_timestamp()) AS "direct!",
                          count(*) FILTER (WHERE publish_via = 'direct' AND expires_at < clock_timestamp() AND inserted_at > gap)
                              AS "expired!",
                          count(*) FILTER (WHERE publish_via = 'direct' AND expires_at < clock_timestamp() AND inserted_at <= gap)
                              AS "stranded!"
                   FROM (SELECT publish_via, expires_at, inserted_at,
                                coalesce((SELECT max(noticed_at) FROM order_tracker_gaps), '-infinity') AS gap
                         FROM order_items WHERE outcome IS NULL AND publish_via <> 'history') AS waiting"#
            )
            .fetch_one(&self.pool)
            .await
        };
        self.run("count waiting items", count).await
    }

    /// Items whose outcome is overdue: they should have been published longer than `after` ago. Asks the index of waiting items, and
    /// counts at most 1,000 of each kind.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn overdue(&self, after: Duration) -> Result<Overdue, StoreError> {
        let after_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let count = || async {
            // Items from before a gap are left to a human. A time that somebody set to infinity has no age.
            let sql = "SELECT count(*) FILTER (WHERE publish_via = 'direct'), count(*) FILTER (WHERE publish_via = 'wal'),
                       coalesce(max(extract(epoch FROM clock_timestamp() - due)) FILTER (WHERE isfinite(due)), 0)::bigint
                FROM (
                    (SELECT publish_via, expires_at AS due FROM order_items
                     WHERE outcome IS NULL AND publish_via = 'direct'
                       AND expires_at < clock_timestamp() - $1 * interval '1 millisecond'
                       AND inserted_at > coalesce((SELECT max(noticed_at) FROM order_tracker_gaps), '-infinity')
                     ORDER BY expires_at LIMIT 1000)
                    UNION ALL
                    (SELECT publish_via, greatest(inserted_at, expires_at) AS due FROM order_items
                     WHERE outcome IS NULL AND publish_via = 'wal'
                       AND greatest(inserted_at, expires_at) < clock_timestamp() - $1 * interval '1 millisecond'
                     LIMIT 1000)
                ) AS overdue";
            sqlx::query_as::<_, (i64, i64, i64)>(sql).bind(after_ms).fetch_one(&self.pool).await
        };
        let (direct, wal, oldest_s) = self.run("count overdue items", count).await?;
        Ok(Overdue { direct, wal, oldest: Duration::from_secs(u64::try_from(oldest_s).unwrap_or_default()) })
    }

    /// The stranded items, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn stranded(&self, limit: i64) -> Result<Vec<Stranded>, StoreError> {
        let list = || async {
            sqlx::query_as!(
                Stranded,
                r#"SELECT order_id, order_item_id, product_id, quantity::bigint AS "quantity!",
                          kartshoppe_ms(expires_at) AS "expired_at_ms!"
                   FROM order_items
                   WHERE publish_via = 'direct' AND outcome IS NULL AND expires_at < clock_timestamp()
                     AND inserted_at <= (SELECT max(noticed_at) FROM order_tracker_gaps)
                   ORDER BY expires_at, order_item_id LIMIT $1"#,
                limit
            )
            .fetch_all(&self.pool)
            .await
        };
        self.run("list stranded items", list).await
    }
}

/// Gives expired items to the WAL reader: those that are still `direct`, without an outcome, and not from before a gap. Their
/// orders are locked.
pub(super) async fn flip(
    connection: &mut PgConnection,
    expired: &[(OrderId, OrderItemId)],
) -> Result<Vec<OrderItemId>, sqlx::Error> {
    if expired.is_empty() {
        return Ok(Vec::new());
    }
    let flipped = sqlx::query_scalar!(
        "UPDATE order_items i SET publish_via = 'wal'
         FROM unnest($1::text[], $2::text[]) AS e (order_id, item_id)
         WHERE i.order_item_id = e.item_id AND i.order_id = e.order_id AND i.publish_via = 'direct' AND i.outcome IS NULL
           AND i.inserted_at > coalesce((SELECT max(noticed_at) FROM order_tracker_gaps), '-infinity')
         RETURNING i.order_item_id",
        &expired.iter().map(|(order_id, _)| order_id.to_string()).collect::<Vec<_>>(),
        &expired.iter().map(|(_, item_id)| item_id.to_string()).collect::<Vec<_>>()
    )
    .fetch_all(connection)
    .await?;
    Ok(expired.iter().map(|(_, item_id)| item_id).filter(|id| flipped.iter().any(|one| one == id.as_str())).cloned().collect())
}

impl ProbeRow {
    fn into_probe(self) -> Result<Probe, StoreError> {
        let corrupt = |error: InvalidValue| StoreError::Corrupt {
            table: "order_items",
            id: self.order_item_id.clone(),
            reason: error.to_string(),
        };
        Ok(Probe {
            order_id: OrderId::new(&self.order_id).map_err(corrupt)?,
            order_item_id: OrderItemId::new(&self.order_item_id).map_err(corrupt)?,
            product_id: ProductId::new(&self.product_id).map_err(corrupt)?,
            expires_at_ms: self.expires_at_ms,
            trace: self.traceparent.as_deref().and_then(TraceContext::parse),
        })
    }
}
