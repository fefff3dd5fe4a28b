//! Direct items whose publisher may have died between commit and publish, and those that were taken back (`passed_over`).
//!
//! No such item is published a second time on a guess. The tracker sends the shard a probe; the shard's answer comes behind
//! everything that was ever applied of the item, and only then the row is handed to the WAL reader ([`super::outcomes`], in the
//! transaction that moves past the answer).

use std::time::Duration;

use sqlx::PgConnection;

use super::unusable::RawId;
use super::{Store, StoreError, TrackerBatch};
use crate::clock::in_ms;
use crate::domain::EpochMs;
use crate::domain::ids::{InvalidValue, OrderId, OrderItemId, ProductId};
use crate::telemetry::context::TraceContext;

/// Upper bound on an item's expiry, whatever the configuration of the process that inserted it.
const FARTHEST_EXPIRY_MIN: Duration = Duration::from_secs(60 * 60);

/// An item to probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub order_id: OrderId,
    pub order_item_id: OrderItemId,
    pub product_id: ProductId,
    /// The value that the item's own event has.
    pub expires_at_ms: EpochMs,
    pub trace: Option<TraceContext>,
}

/// Counts of items without an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WaitingCounts {
    /// Of these the WAL reader is the publisher.
    pub wal: i64,
    /// Direct, not expired yet.
    pub direct: i64,
    /// Direct and expired: being rescued.
    pub expired: i64,
    /// From before a gap, and overdue: never published again, an operator decides.
    pub stranded: i64,
}

/// Waiting items that are read at most to count pending orders: about a tenth of a second.
const PENDING_ITEMS: i64 = 100_000;

/// Orders that are waiting for outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    pub orders: u64,
    /// Age of the oldest, if any.
    pub oldest: Option<Duration>,
}

/// Counts of items whose outcome is overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overdue {
    pub direct: i64,
    pub wal: i64,
    /// How long ago the oldest of them should have been published.
    pub oldest: Duration,
}

/// An overdue item from before a gap: only the log can tell whether its event was applied.
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
    tracestate: Option<String>,
}

impl Store {
    /// The items to probe now, oldest first, at most `limit`. Each is marked, so that no tracker probes it again within
    /// [`probe_interval`](super::StoreOptions::probe_interval). Unusable items are passed over ([`Store::unusable_items`]).
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn due_probes(&self, limit: i64) -> Result<Vec<Probe>, StoreError> {
        self.end_far_expiries(limit).await?;
        let passed_over = self.unusables.passed_over();
        let (interval_ms, passed_over) = (self.probe_interval_ms(), &passed_over);
        let find = || async {
            sqlx::query_scalar!(
                r#"SELECT convert_to(order_item_id, getdatabaseencoding()) AS "id!"
                   FROM order_items, (SELECT max(noticed_at) AS noticed_at FROM order_tracker_gaps) AS gap
                   WHERE publish_via = 'direct' AND outcome IS NULL AND expires_at < clock_timestamp()
                     AND (last_probe_at IS NULL OR last_probe_at < clock_timestamp() - $2::bigint * interval '1 millisecond')
                     AND coalesce(inserted_at > gap.noticed_at, gap.noticed_at IS NULL)
                     AND convert_to(order_item_id, getdatabaseencoding()) <> ALL ($3::bytea[])
                   ORDER BY expires_at LIMIT $1"#,
                limit,
                interval_ms,
                passed_over
            )
            .fetch_all(&self.pool)
            .await
        };
        let ids = self.run("query items to rescue", find).await?;
        self.for_usable(ids, |ids| self.probes(ids, interval_ms)).await
    }

    /// Expires items now whose expiry, written by another program, is so far away that they would stay pending. No item of ours
    /// has such an expiry, so no publisher of ours relies on it.
    async fn end_far_expiries(&self, limit: i64) -> Result<(), StoreError> {
        let passed_over = self.unusables.passed_over();
        let (farthest_ms, passed_over) = (self.farthest_expiry_ms(), &passed_over);
        let find = || async {
            let sql = "SELECT convert_to(order_item_id, getdatabaseencoding()) FROM order_items
                WHERE publish_via = 'direct' AND outcome IS NULL
                  AND expires_at > clock_timestamp() + $2 * interval '1 millisecond'
                  AND convert_to(order_item_id, getdatabaseencoding()) <> ALL ($3)
                LIMIT $1";
            let ids = sqlx::query_scalar::<_, RawId>(sql).bind(limit).bind(farthest_ms).bind(passed_over);
            ids.fetch_all(&self.pool).await
        };
        let ids = self.run("query items that expire too late", find).await?;
        if ids.is_empty() {
            return Ok(());
        }
        let ended = self.for_usable(ids, |ids| self.expire(ids, farthest_ms)).await?;
        tracing::warn!(
            items = ended.len(),
            "items that another program inserted would have expired in days or never: they expire now"
        );
        Ok(())
    }

    async fn expire(&self, ids: Vec<RawId>, farthest_ms: i64) -> Result<Vec<RawId>, StoreError> {
        let ids = &ids;
        let expire = || async {
            let sql = "UPDATE order_items SET expires_at = clock_timestamp()
                WHERE order_item_id IN (SELECT convert_from(id, getdatabaseencoding()) FROM unnest($1::bytea[]) AS id)
                  AND publish_via = 'direct' AND outcome IS NULL
                  AND expires_at > clock_timestamp() + $2 * interval '1 millisecond'
                RETURNING convert_to(order_item_id, getdatabaseencoding())";
            sqlx::query_scalar::<_, RawId>(sql).bind(ids).bind(farthest_ms).fetch_all(&self.pool).await
        };
        self.run("expire items", expire).await
    }

    /// How far ahead an item of ours may expire, with a margin for clocks and for another process's configuration.
    fn farthest_expiry_ms(&self) -> i64 {
        let farthest = (self.options.direct_expiry * 4).max(FARTHEST_EXPIRY_MIN);
        in_ms(farthest)
    }

    async fn probes(&self, ids: Vec<RawId>, interval_ms: i64) -> Result<Vec<Probe>, StoreError> {
        let ids = &ids;
        let mark = || async {
            let mut transaction = self.begin().await?;
            let rows = mark_probed(&mut transaction, ids, interval_ms).await;
            let probes = rows.map(|rows| rows.into_iter().map(ProbeRow::into_probe).collect::<Result<Vec<_>, _>>());
            // Awaited before the rest is tried, which must not find its rows locked.
            if matches!(probes, Ok(Ok(_))) {
                transaction.commit().await?
            } else {
                transaction.rollback().await?
            }
            probes
        };
        self.run("mark items to rescue", mark).await?
    }

    pub(super) fn probe_interval_ms(&self) -> i64 {
        in_ms(self.options.probe_interval)
    }

    /// How many items are waiting for an outcome, by kind.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn waiting(&self) -> Result<WaitingCounts, StoreError> {
        let waited_ms = self.probe_interval_ms();
        let count = || async {
            sqlx::query_as!(
                WaitingCounts,
                r#"SELECT count(*) FILTER (WHERE publish_via = 'wal' AND (rescued OR NOT overdue)) AS "wal!",
                          count(*) FILTER (WHERE publish_via = 'direct' AND NOT overdue) AS "direct!",
                          count(*) FILTER (WHERE publish_via = 'direct' AND overdue AND rescued) AS "expired!",
                          count(*) FILTER (WHERE overdue AND NOT rescued) AS "stranded!"
                   FROM (SELECT publish_via, coalesce(inserted_at > gap.noticed_at, gap.noticed_at IS NULL) AS rescued,
                                CASE publish_via WHEN 'direct' THEN expires_at < clock_timestamp()
                                     ELSE coalesce(inserted_at < clock_timestamp() - $1::bigint * interval '1 millisecond', true) END AS overdue
                         FROM order_items, (SELECT max(noticed_at) AS noticed_at FROM order_tracker_gaps) AS gap
                         WHERE outcome IS NULL AND publish_via <> 'history') AS waiting"#,
                waited_ms
            )
            .fetch_one(&self.pool)
            .await
        };
        self.run("count waiting items", count).await
    }

    /// Items whose outcome is overdue: they should have been published more than `after` ago. Uses the index of waiting items,
    /// and counts at most 1,000 of each kind.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn overdue(&self, after: Duration) -> Result<Overdue, StoreError> {
        let after_ms = in_ms(after);
        let count = || async {
            // Items from before a gap are left to an operator. An infinite time has no age.
            let sql = "WITH gap AS (SELECT max(noticed_at) AS noticed_at FROM order_tracker_gaps)
                SELECT count(*) FILTER (WHERE publish_via = 'direct'), count(*) FILTER (WHERE publish_via = 'wal'),
                       coalesce(max(extract(epoch FROM clock_timestamp() - due)) FILTER (WHERE isfinite(due)), 0)::bigint
                FROM (
                    (SELECT publish_via, expires_at AS due FROM order_items, gap
                     WHERE outcome IS NULL AND publish_via = 'direct'
                       AND expires_at < clock_timestamp() - $1 * interval '1 millisecond'
                       AND coalesce(inserted_at > gap.noticed_at, gap.noticed_at IS NULL)
                     ORDER BY expires_at LIMIT 1000)
                    UNION ALL
                    (SELECT publish_via, greatest(inserted_at, expires_at) AS due FROM order_items, gap
                     WHERE outcome IS NULL AND publish_via = 'wal'
                       AND coalesce(greatest(inserted_at, expires_at), '-infinity') < clock_timestamp() - $1 * interval '1 millisecond'
                       AND coalesce(inserted_at > gap.noticed_at, gap.noticed_at IS NULL)
                     LIMIT 1000)
                ) AS overdue";
            sqlx::query_as::<_, (i64, i64, i64)>(sql).bind(after_ms).fetch_one(&self.pool).await
        };
        let (direct, wal, oldest_s) = self.run("count overdue items", count).await?;
        Ok(Overdue { direct, wal, oldest: Duration::from_secs(u64::try_from(oldest_s).unwrap_or_default()) })
    }

    /// The orders that wait for outcomes; looks at [`PENDING_ITEMS`] waiting items at most.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn pending(&self) -> Result<Pending, StoreError> {
        let count = || async {
            // A time that was set to infinity by hand has no age.
            let sql = "SELECT count(DISTINCT order_id),
                              (extract(epoch FROM clock_timestamp() - min(inserted_at) FILTER (WHERE isfinite(inserted_at))) * 1000)::bigint
                       FROM (SELECT order_id, inserted_at FROM order_items
                             WHERE outcome IS NULL AND publish_via <> 'history' LIMIT $1) AS waiting";
            sqlx::query_as::<_, (i64, Option<i64>)>(sql).bind(PENDING_ITEMS).fetch_one(&self.pool).await
        };
        let (orders, oldest_ms) = self.run("count pending orders", count).await?;
        let oldest = oldest_ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default()));
        Ok(Pending { orders: orders.unsigned_abs(), oldest })
    }

    /// The stranded items, oldest first, at most `limit`.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn stranded(&self, limit: i64) -> Result<Vec<Stranded>, StoreError> {
        let waited_ms = self.probe_interval_ms();
        let find = || async {
            sqlx::query_scalar!(
                r#"SELECT convert_to(order_item_id, getdatabaseencoding()) AS "id!"
                   FROM order_items, (SELECT max(noticed_at) AS noticed_at FROM order_tracker_gaps) AS gap
                   WHERE publish_via <> 'history' AND outcome IS NULL
                     AND CASE publish_via WHEN 'direct' THEN expires_at < clock_timestamp()
                              ELSE coalesce(inserted_at < clock_timestamp() - $2::bigint * interval '1 millisecond', true) END
                     AND NOT coalesce(inserted_at > gap.noticed_at, gap.noticed_at IS NULL)
                   ORDER BY coalesce(expires_at, inserted_at), order_item_id LIMIT $1"#,
                limit,
                waited_ms
            )
            .fetch_all(&self.pool)
            .await
        };
        let ids = self.run("query stranded items", find).await?;
        self.for_usable(ids, |ids| self.stranded_of(ids)).await
    }

    async fn stranded_of(&self, ids: Vec<RawId>) -> Result<Vec<Stranded>, StoreError> {
        let ids = &ids;
        let list = || async {
            sqlx::query_as!(
                Stranded,
                r#"SELECT order_id, order_item_id, product_id, coalesce(quantity, 0)::bigint AS "quantity!",
                          kartshoppe_ms(coalesce(expires_at, inserted_at, '-infinity')) AS "expired_at_ms!"
                   FROM order_items
                   WHERE order_item_id IN (SELECT convert_from(id, getdatabaseencoding()) FROM unnest($1::bytea[]) AS id)
                   ORDER BY coalesce(expires_at, inserted_at), order_item_id"#,
                ids
            )
            .fetch_all(&self.pool)
            .await
        };
        self.run("list stranded items", list).await
    }
}

async fn mark_probed(connection: &mut PgConnection, ids: &[RawId], interval_ms: i64) -> Result<Vec<ProbeRow>, sqlx::Error> {
    sqlx::query_as!(
        ProbeRow,
        r#"WITH due AS (
               SELECT order_item_id FROM order_items
               WHERE order_item_id IN (SELECT convert_from(id, getdatabaseencoding()) FROM unnest($1::bytea[]) AS id)
                 AND publish_via = 'direct' AND outcome IS NULL
                 AND (last_probe_at IS NULL OR last_probe_at < clock_timestamp() - $2::bigint * interval '1 millisecond')
               FOR UPDATE SKIP LOCKED
           ), marked AS (
               UPDATE order_items i SET last_probe_at = clock_timestamp() FROM due
               WHERE i.order_item_id = due.order_item_id
               RETURNING i.order_id, i.order_item_id, i.product_id, i.expires_at, i.traceparent, i.tracestate
           )
           SELECT order_id, order_item_id, product_id, traceparent, tracestate, kartshoppe_ms(expires_at) AS "expires_at_ms!"
           FROM marked ORDER BY expires_at, order_item_id"#,
        ids,
        interval_ms
    )
    .fetch_all(connection)
    .await
}

/// Hands expired items to the WAL reader: those that are still `direct`, without an outcome, and not from before a gap. An item
/// that was taken back is handed over only if the answer names its current expiry, as the answer to an earlier probe says nothing
/// about later events. Their orders are locked.
pub(super) async fn flip(connection: &mut PgConnection, batch: &TrackerBatch) -> Result<Vec<OrderItemId>, sqlx::Error> {
    let TrackerBatch { expired, named_expiries, .. } = batch;
    if expired.is_empty() {
        return Ok(Vec::new());
    }
    let flipped = sqlx::query_scalar!(
        "UPDATE order_items i SET publish_via = 'wal', taken_back = NULL, inserted_before = NULL
         FROM unnest($1::text[], $2::text[], $3::bigint[]) AS e (order_id, item_id, expiry_ms),
              (SELECT max(noticed_at) AS noticed_at FROM order_tracker_gaps) AS gap
         WHERE i.order_item_id = e.item_id AND i.order_id = e.order_id AND i.publish_via = 'direct' AND i.outcome IS NULL
           AND CASE WHEN e.expiry_ms IS NULL THEN i.taken_back IS NULL ELSE kartshoppe_ms(i.expires_at) = e.expiry_ms END
           AND coalesce(i.inserted_at > gap.noticed_at, gap.noticed_at IS NULL)
         RETURNING i.order_item_id",
        &expired.iter().map(|(order_id, _)| order_id.to_string()).collect::<Vec<_>>(),
        &expired.iter().map(|(_, item_id)| item_id.to_string()).collect::<Vec<_>>(),
        &expired.iter().map(|(_, item_id)| named_expiries.get(item_id).copied()).collect::<Vec<_>>() as &[Option<EpochMs>]
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
            trace: TraceContext::of(self.traceparent.as_deref(), self.tracestate.as_deref()),
        })
    }
}
