//! What a batch of outcomes shows of broken promises, asked in its own transaction and only where there is a suspicion.

use std::collections::HashSet;

use sqlx::PgConnection;

use super::tracker_batch::{Outcome, Recorded, TrackerBatch};

/// Fills in what is wrong with the batch that was just written.
pub(super) async fn find(
    connection: &mut PgConnection,
    batch: &TrackerBatch,
    recorded: &mut Recorded,
) -> Result<(), sqlx::Error> {
    let answered: HashSet<_> = batch.outcomes.iter().map(|outcome| &outcome.order_item_id).collect();
    recorded.flipped_with_outcome = recorded.flipped.iter().filter(|item| answered.contains(item)).count() as u64;
    if recorded.outcomes_written < answered.len() as u64 {
        recorded.contradicted = contradicted(connection, &batch.outcomes).await?;
    }
    Ok(())
}

/// A replay names the same event; another process's tracker has written the same one.
async fn contradicted(connection: &mut PgConnection, outcomes: &[Outcome]) -> Result<u64, sqlx::Error> {
    let (items, events): (Vec<_>, Vec<_>) =
        outcomes.iter().map(|outcome| (outcome.order_item_id.to_string(), outcome.event_id.clone())).unzip();
    let sql = "SELECT count(*) FROM order_items i, unnest($1::text[], $2::text[]) AS o (item_id, event_id)
               WHERE i.order_item_id = o.item_id AND i.publish_via <> 'history' AND i.outcome_event_id <> o.event_id";
    let count: i64 = sqlx::query_scalar(sql).bind(items).bind(events).fetch_one(connection).await?;
    Ok(count.unsigned_abs())
}
