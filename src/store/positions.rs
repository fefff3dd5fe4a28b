//! The order tracker's positions, and the gaps it noticed.

use sqlx::PgConnection;

use super::{Store, StoreError};
use crate::domain::EpochMs;

/// The last record of a partition of `inventory-events` whose outcome is in the tables. It is read again at start and must still
/// have the same event id; otherwise outcomes may be missing, and [`Store::note_gap`] records that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerPosition {
    pub partition: i32,
    /// The offset of that record, not of the next one.
    pub offset: i64,
    pub event_id: String,
}

/// A point in time before which outcomes may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub partition: i32,
    pub reason: String,
    pub noticed_at_ms: EpochMs,
}

impl Store {
    /// The stored positions, by partition; none for a partition that was never read.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn tracker_positions(&self) -> Result<Vec<TrackerPosition>, StoreError> {
        let read = || async {
            sqlx::query_as!(
                TrackerPosition,
                r#"SELECT partition, record_offset AS offset, event_id FROM order_tracker_positions ORDER BY partition"#
            )
            .fetch_all(&self.pool)
            .await
        };
        self.run("read the order tracker's positions", read).await
    }

    /// Whether this database has the positions table.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn has_positions_table(&self) -> Result<bool, StoreError> {
        let ask = || async {
            sqlx::query_scalar("SELECT to_regclass('order_tracker_positions') IS NOT NULL").fetch_one(&self.pool).await
        };
        self.run("look for the order tracker's positions", ask).await
    }

    /// Records that outcomes may be missing in a partition, and where the tracker resumes (`None`: at the beginning). From now on
    /// no direct item inserted before this moment is flipped.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn note_gap(&self, partition: i32, reason: &str, go_on_at: Option<&TrackerPosition>) -> Result<(), StoreError> {
        self.run("note a gap", || async {
            let mut transaction = self.begin().await?;
            sqlx::query!("INSERT INTO order_tracker_gaps (partition, reason) VALUES ($1, $2)", partition, reason)
                .execute(&mut *transaction)
                .await?;
            sqlx::query!("DELETE FROM order_tracker_positions WHERE partition = $1", partition)
                .execute(&mut *transaction)
                .await?;
            move_forward(&mut transaction, &go_on_at.cloned().into_iter().collect::<Vec<_>>()).await?;
            transaction.commit().await
        })
        .await
    }

    /// The recorded gaps, newest first, at most 100.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn gaps(&self) -> Result<Vec<Gap>, StoreError> {
        let read = || async {
            sqlx::query_as!(
                Gap,
                r#"SELECT partition, reason, kartshoppe_ms(noticed_at) AS "noticed_at_ms!"
                   FROM order_tracker_gaps ORDER BY gap_id DESC LIMIT 100"#
            )
            .fetch_all(&self.pool)
            .await
        };
        self.run("read the gaps", read).await
    }
}

/// Moves positions forward, never back: another tracker may be ahead. Rows are locked in one order, so trackers cannot deadlock.
pub(super) async fn move_forward(connection: &mut PgConnection, positions: &[TrackerPosition]) -> Result<(), sqlx::Error> {
    if positions.is_empty() {
        return Ok(());
    }
    let mut positions: Vec<&TrackerPosition> = positions.iter().collect();
    positions.sort_by_key(|position| (position.partition, std::cmp::Reverse(position.offset)));
    positions.dedup_by_key(|position| position.partition);
    sqlx::query!(
        "INSERT INTO order_tracker_positions AS stored (partition, record_offset, event_id)
         SELECT * FROM unnest($1::int[], $2::bigint[], $3::text[])
         ON CONFLICT (partition) DO UPDATE
         SET record_offset = excluded.record_offset, event_id = excluded.event_id, moved_at = now()
         WHERE stored.record_offset < excluded.record_offset",
        &positions.iter().map(|position| position.partition).collect::<Vec<_>>(),
        &positions.iter().map(|position| position.offset).collect::<Vec<_>>(),
        &positions.iter().map(|position| position.event_id.clone()).collect::<Vec<_>>()
    )
    .execute(connection)
    .await?;
    Ok(())
}
