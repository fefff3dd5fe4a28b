//! Claims on dead letters: at most one copy of each is ever appended.

use std::collections::BTreeSet;

use super::{Store, StoreError};
use crate::domain::EpochMs;

/// A dead letter of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayPlace {
    pub log_id: String,
    pub partition: i32,
    pub offset: i64,
}

/// A claim that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    pub partition: i32,
    pub offset: i64,
    pub operator: String,
    pub claimed_at_ms: EpochMs,
    pub copy_topic: String,
    /// Where the copy is; `None` if that was not recorded: it may be on the log or not.
    pub copy: Option<(i32, i64)>,
}

/// The result of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is ours: append the copy, once.
    Made,
    /// It was claimed before.
    Before(Replay),
    /// Another letter that names the same order item was claimed before: an item has one outcome.
    ItemTaken,
}

type ReplayRow = (i32, i64, String, EpochMs, String, Option<i32>, Option<i64>);

fn replay((partition, offset, operator, claimed_at_ms, copy_topic, copy_partition, copy_offset): ReplayRow) -> Replay {
    Replay { partition, offset, operator, claimed_at_ms, copy_topic, copy: copy_partition.zip(copy_offset) }
}

impl Store {
    /// Claims a dead letter for a replay. Durable when it returns, so that a crash afterwards is seen.
    ///
    /// # Errors
    /// Those of every call. After one the claim may have been made; the letter is then shown as unclear.
    pub async fn claim_replay(
        &self,
        place: &ReplayPlace,
        operator: &str,
        copy_topic: &str,
        order_item_id: Option<&str>,
    ) -> Result<Claim, StoreError> {
        let insert = || async {
            let sql = "INSERT INTO dead_letter_replays (log_id, partition, record_offset, operator, copy_topic, order_item_id)
                VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(sql).bind(&place.log_id).bind(place.partition).bind(place.offset);
            Ok(insert.bind(operator).bind(copy_topic).bind(order_item_id).execute(&self.pool).await?.rows_affected())
        };
        if self.run("claim a dead letter", insert).await? == 1 {
            return Ok(Claim::Made);
        }
        let before = self.replay_of(place).await?;
        match before {
            Some(before) => Ok(Claim::Before(before)),
            None if order_item_id.is_some() => Ok(Claim::ItemTaken),
            None => Err(StoreError::Corrupt {
                table: "dead_letter_replays",
                id: format!("{}/{}", place.partition, place.offset),
                reason: "it was claimed, and the claim has disappeared".to_owned(),
            }),
        }
    }

    /// The claim on a dead letter, if there is one.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn replay_of(&self, place: &ReplayPlace) -> Result<Option<Replay>, StoreError> {
        let read = || async {
            let sql =
                "SELECT partition, record_offset, operator, kartshoppe_ms(claimed_at), copy_topic, copy_partition, copy_offset
                FROM dead_letter_replays WHERE log_id = $1 AND partition = $2 AND record_offset = $3";
            let row = sqlx::query_as::<_, ReplayRow>(sql);
            row.bind(&place.log_id).bind(place.partition).bind(place.offset).fetch_optional(&self.pool).await
        };
        Ok(self.run("read a claim on a dead letter", read).await?.map(replay))
    }

    /// All claims on dead letters of a log, newest first, at most 10,000.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn replays(&self, log_id: &str) -> Result<Vec<Replay>, StoreError> {
        let read = || async {
            let sql =
                "SELECT partition, record_offset, operator, kartshoppe_ms(claimed_at), copy_topic, copy_partition, copy_offset
                FROM dead_letter_replays WHERE log_id = $1 ORDER BY claimed_at DESC LIMIT 10000";
            sqlx::query_as::<_, ReplayRow>(sql).bind(log_id).fetch_all(&self.pool).await
        };
        Ok(self.run("read the claims on dead letters", read).await?.into_iter().map(replay).collect())
    }

    /// Which of these order items have their outcome here, as pairs of order and item.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn answered_items(&self, items: &[String]) -> Result<BTreeSet<(String, String)>, StoreError> {
        let read = || async {
            let sql = "SELECT order_id, order_item_id FROM order_items WHERE order_item_id = ANY($1) AND outcome IS NOT NULL";
            sqlx::query_as::<_, (String, String)>(sql).bind(items).fetch_all(&self.pool).await
        };
        Ok(self.run("read outcomes of items that dead letters name", read).await?.into_iter().collect())
    }

    /// Records where the copy is.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn mark_replayed(&self, place: &ReplayPlace, copy: (i32, i64)) -> Result<(), StoreError> {
        let mark = || async {
            let sql = "UPDATE dead_letter_replays SET copy_partition = $4, copy_offset = $5
                WHERE log_id = $1 AND partition = $2 AND record_offset = $3 AND copy_offset IS NULL";
            let mark = sqlx::query(sql).bind(&place.log_id).bind(place.partition).bind(place.offset);
            mark.bind(copy.0).bind(copy.1).execute(&self.pool).await.map(|_| ())
        };
        self.run("record a replay", mark).await
    }
}
