//! Items that the WAL reader published and no inventory will read, because the inventory's committed position was moved past
//! them.
//!
//! ```text
//!  wal, long without outcome ── mark: the end of the WAL now ──► wal, marked
//!      ▲                                                             │ the reader's stored position is behind the mark
//!      │                                                             ▼
//!      └── flip: the answer to a probe names this expiry, ◄───── taken back (direct, with a new expiry)
//!          and no outcome came before it
//! ```
//! Nothing is published again on a guess. Once the reader has passed the mark, every event of the item is on the log, so a probe
//! sent after that lies behind all of them, and its answer behind every outcome (docs/adr/0022-items-that-were-passed-over.md).

use super::unusable::RawId;
use super::{Store, StoreError};
use crate::wire::topics::cdc_position::CdcPosition;

impl Store {
    /// The slot whose reader publishes `wal` rows.
    #[must_use]
    pub fn slot(&self) -> &str {
        &self.options.slot
    }

    /// Marks `wal` items that have waited for longer than [`probe_interval`](super::StoreOptions::probe_interval), and returns
    /// how many marked ones are waiting, at most `limit`.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn mark_waiting(&self, limit: i64) -> Result<i64, StoreError> {
        let passed_over = self.unusables.passed_over();
        let (waited_ms, passed_over) = (self.probe_interval_ms(), &passed_over);
        let find = || async {
            sqlx::query_scalar!(
                r#"SELECT convert_to(order_item_id, getdatabaseencoding()) AS "id!"
                   FROM order_items, (SELECT max(noticed_at) AS noticed_at FROM order_tracker_gaps) AS gap
                   WHERE publish_via = 'wal' AND outcome IS NULL AND inserted_before IS NULL
                     AND coalesce(greatest(inserted_at, last_probe_at), '-infinity')
                         < clock_timestamp() - $2::bigint * interval '1 millisecond'
                     AND coalesce(inserted_at > gap.noticed_at, gap.noticed_at IS NULL)
                     AND convert_to(order_item_id, getdatabaseencoding()) <> ALL ($3::bytea[])
                   LIMIT greatest($1::bigint - (
                       SELECT count(*) FROM order_items
                       WHERE inserted_before IS NOT NULL AND outcome IS NULL AND publish_via = 'wal'), 0)"#,
                limit,
                waited_ms,
                passed_over
            )
            .fetch_all(&self.pool)
            .await
        };
        let ids = self.run("look for items that wait for the inventory", find).await?;
        self.for_usable(ids, |ids| self.mark(ids)).await?;
        let count = || async {
            sqlx::query_scalar!(
                r#"SELECT count(*) AS "waiting!" FROM order_items
                   WHERE inserted_before IS NOT NULL AND outcome IS NULL AND publish_via = 'wal'"#
            )
            .fetch_one(&self.pool)
            .await
        };
        self.run("count items that wait for the inventory", count).await
    }

    /// A transaction that sees a row reads an end of the WAL that lies behind the commit of its INSERT.
    async fn mark(&self, ids: Vec<RawId>) -> Result<Vec<()>, StoreError> {
        let ids = &ids;
        let mark = || async {
            sqlx::query!(
                "WITH due AS (
                     SELECT order_item_id FROM order_items
                     WHERE order_item_id IN (SELECT convert_from(id, getdatabaseencoding()) FROM unnest($1::bytea[]) AS id)
                       AND publish_via = 'wal' AND outcome IS NULL AND inserted_before IS NULL
                     FOR UPDATE SKIP LOCKED
                 )
                 UPDATE order_items i SET inserted_before = pg_current_wal_insert_lsn() FROM due WHERE i.order_item_id = due.order_item_id",
                ids
            )
            .execute(&self.pool)
            .await
        };
        self.run("mark items that wait for the inventory", mark).await?;
        Ok(Vec::new())
    }

    /// Takes the marked items back whose INSERTs the reader has published up to this position, if the position is one of this
    /// server. Returns how many. At most `limit` of the last minute wait for an answer: while the inventory is stopped or lags,
    /// probes must not add to its load.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn take_back(&self, published: &CdcPosition, limit: i64) -> Result<u64, StoreError> {
        let passed_over = self.unusables.passed_over();
        let (lsn, timeline) = (published.resume_lsn.to_string(), i64::from(published.timeline));
        let (lsn, timeline, passed_over) = (&lsn, timeline, &passed_over);
        let find = || async {
            sqlx::query_scalar!(
                r#"SELECT convert_to(order_item_id, getdatabaseencoding()) AS "id!"
                   FROM order_items, (SELECT max(noticed_at) AS noticed_at FROM order_tracker_gaps) AS gap,
                        pg_control_system() AS server, pg_control_checkpoint() AS history
                   WHERE inserted_before <= $1::text::pg_lsn AND outcome IS NULL AND publish_via = 'wal'
                     AND coalesce(inserted_at > gap.noticed_at, gap.noticed_at IS NULL)
                     AND server.system_identifier::text = $2 AND history.timeline_id::bigint = $3
                     AND convert_to(order_item_id, getdatabaseencoding()) <> ALL ($5::bytea[])
                   LIMIT greatest($4::bigint - (
                       SELECT count(*) FROM order_items
                       WHERE inserted_before IS NOT NULL AND outcome IS NULL AND taken_back
                         AND expires_at > clock_timestamp() - interval '1 minute'), 0)"#,
                lsn,
                published.system_id,
                timeline,
                limit,
                passed_over
            )
            .fetch_all(&self.pool)
            .await
        };
        let ids = self.run("look for items that were passed over", find).await?;
        let taken = self.for_usable(ids, |ids| self.take_back_of(ids, lsn)).await?;
        Ok(taken.len() as u64)
    }

    /// An item's expiry is never reused, even if the clock goes back: it distinguishes answers to earlier probes from later ones.
    async fn take_back_of(&self, ids: Vec<RawId>, lsn: &str) -> Result<Vec<i32>, StoreError> {
        let ids = &ids;
        let take = || async {
            sqlx::query_scalar!(
                r#"WITH due AS (
                       SELECT order_item_id FROM order_items
                       WHERE order_item_id IN (SELECT convert_from(id, getdatabaseencoding()) FROM unnest($1::bytea[]) AS id)
                         AND inserted_before <= $2::text::pg_lsn AND outcome IS NULL AND publish_via = 'wal'
                       FOR UPDATE SKIP LOCKED
                   )
                   UPDATE order_items i
                   SET publish_via = 'direct', taken_back = true, last_probe_at = NULL,
                       expires_at = greatest(clock_timestamp(), CASE WHEN last_probe_at IS NOT NULL THEN expires_at + interval '1 millisecond' END)
                   FROM due WHERE i.order_item_id = due.order_item_id RETURNING 1 AS "one!""#,
                ids,
                lsn
            )
            .fetch_all(&self.pool)
            .await
        };
        self.run("take back items that were passed over", take).await
    }
}
