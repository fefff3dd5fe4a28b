//! What the order tracker writes: one transaction per batch, idempotent and safe beside other trackers.
//!
//! ```text
//!  lock the touched orders, in id order ─► write missing outcomes ─► flip expired items that still wait
//!      ─► settle orders whose items all have one ─► advance the positions ─► commit
//! ```
//! Every api process runs a tracker over the same events. The slower ones find the outcomes already written, and still learn
//! which orders were touched, to notify their own pages.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use sqlx::{PgConnection, Postgres, Transaction};

use super::breaches;
use super::positions::move_forward;
use super::rescue::flip;
use super::tracker_batch::{Outcome, Recorded, TouchedOrder, TrackerBatch};
use super::{Store, StoreError, traced};
use crate::bugs::{self, Bug};
use crate::domain::EpochMs;
use crate::domain::order::OrderStatus;
use crate::telemetry::names::span;
use crate::telemetry::spans::Span;

impl Store {
    /// Records a batch below these spans, one for each sampled trace in it.
    ///
    /// # Errors
    /// Those of [`Store::record_outcomes`].
    pub async fn record_traced(&self, batch: &TrackerBatch, below: &[Span]) -> Result<Recorded, StoreError> {
        let statement = |span: &Span| self.statement(span::OUTCOME_UPDATE, span.context().as_ref());
        let mut spans: Vec<Span> = below.iter().map(statement).collect();
        let recorded = self.record_outcomes(batch).await;
        if let Err(error) = &recorded {
            spans.iter_mut().for_each(|span| traced::note(span, error));
        }
        recorded
    }

    /// Records a batch atomically.
    ///
    /// # Errors
    /// The errors common to all calls; the batch can be recorded again.
    pub async fn record_outcomes(&self, batch: &TrackerBatch) -> Result<Recorded, StoreError> {
        self.run("record outcomes", || async {
            let mut transaction = self.begin().await?;
            if bugs::is(Bug::TrackerPositionFirst) {
                move_forward(&mut transaction, &batch.positions).await?;
                transaction.commit().await?;
                transaction = self.begin().await?;
            }
            let recorded = record(&mut transaction, batch).await?;
            transaction.commit().await?;
            Ok(recorded)
        })
        .await
    }
}

async fn record(transaction: &mut Transaction<'_, Postgres>, batch: &TrackerBatch) -> Result<Recorded, sqlx::Error> {
    let order_ids = touched_orders(batch);
    let mut recorded = Recorded::default();
    if !order_ids.is_empty() {
        recorded.orders = lock_orders(transaction, &order_ids).await?;
        if bugs::is(Bug::FlipBeforeOutcome) {
            recorded.flipped = flip(transaction, batch).await?;
        }
        let written = write_outcomes(transaction, &batch.outcomes).await?;
        recorded.outcomes_written = written.len() as u64;
        recorded.applied_late = written.into_iter().filter(|is_late| *is_late).count() as u64;
        recorded.flipped.extend(flip(transaction, batch).await?);
        recorded.settled_after = settle(transaction, &order_ids, &mut recorded.orders).await?;
        breaches::find(transaction, batch, &mut recorded).await?;
    }
    move_forward(transaction, &batch.positions).await?;
    Ok(recorded)
}

fn touched_orders(batch: &TrackerBatch) -> Vec<String> {
    let ids = batch.outcomes.iter().map(|outcome| &outcome.order_id).chain(batch.expired.iter().map(|(order_id, _)| order_id));
    ids.map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect()
}

/// All trackers lock in the same order, so they cannot deadlock. Items are written only under their order's lock.
async fn lock_orders(connection: &mut PgConnection, order_ids: &[String]) -> Result<Vec<TouchedOrder>, sqlx::Error> {
    sqlx::query_as!(
        TouchedOrder,
        r#"SELECT order_id, session_id, coalesce(status, 'PENDING') AS "status!", false AS "settled_now!"
           FROM orders WHERE order_id = ANY ($1) ORDER BY order_id FOR NO KEY UPDATE"#,
        order_ids
    )
    .fetch_all(connection)
    .await
}

/// The first outcome of an item counts, in the log and here. Rows older than KartShoppe have none. Returns for each written
/// one whether units were taken by an event that was appended after its expiry. An item that was taken back has another expiry
/// than its first event.
async fn write_outcomes(connection: &mut PgConnection, outcomes: &[Outcome]) -> Result<Vec<bool>, sqlx::Error> {
    let mut seen = HashSet::new();
    let firsts: Vec<&Outcome> = outcomes.iter().filter(|outcome| seen.insert(&outcome.order_item_id)).collect();
    let text = |of: fn(&Outcome) -> String| firsts.iter().map(|outcome| of(outcome)).collect::<Vec<_>>();
    sqlx::query_scalar!(
        r#"UPDATE order_items i
         SET outcome = o.kind, allocated = o.allocated, shortfall = o.shortfall, outcome_event_id = o.event_id,
             outcome_reason = o.reason, settled_at = clock_timestamp(),
             published_at_ms = o.published_at_ms, applied_at_ms = o.applied_at_ms
         FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::bigint[])
              AS o (item_id, order_id, kind, allocated, shortfall, event_id, reason, published_at_ms, applied_at_ms)
         WHERE i.order_item_id = o.item_id AND i.order_id = o.order_id AND i.outcome IS NULL AND i.publish_via <> 'history'
         RETURNING coalesce(i.publish_via = 'direct' AND i.taken_back IS NULL AND o.allocated > 0
                            AND o.published_at_ms > kartshoppe_ms(i.expires_at), false) AS "is_late!""#,
        &text(|outcome| outcome.order_item_id.to_string()),
        &text(|outcome| outcome.order_id.to_string()),
        &text(|outcome| outcome.kind.as_str().to_owned()),
        &firsts.iter().map(|outcome| outcome.allocated).collect::<Vec<_>>(),
        &firsts.iter().map(|outcome| outcome.shortfall).collect::<Vec<_>>(),
        &text(|outcome| outcome.event_id.clone()),
        &firsts.iter().map(|outcome| outcome.reason.clone()).collect::<Vec<_>>() as &[Option<String>],
        &firsts.iter().map(|outcome| outcome.published_at_ms).collect::<Vec<_>>() as &[Option<EpochMs>],
        &firsts.iter().map(|outcome| outcome.applied_at_ms).collect::<Vec<_>>() as &[Option<EpochMs>]
    )
    .fetch_all(connection)
    .await
}

/// Sets the status of each pending order whose items all have an outcome, as the domain computes it. Returns how long after their
/// checkout those were settled.
async fn settle(
    connection: &mut PgConnection,
    order_ids: &[String],
    orders: &mut [TouchedOrder],
) -> Result<Vec<Duration>, sqlx::Error> {
    let items = sqlx::query!(
        "SELECT order_id, quantity, allocated FROM order_items WHERE order_id = ANY ($1) AND publish_via <> 'history'",
        order_ids
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut by_order: BTreeMap<&str, Vec<(i64, Option<i64>)>> = BTreeMap::new();
    for item in &items {
        by_order.entry(&item.order_id).or_default().push((i64::from(item.quantity), item.allocated));
    }
    let pending = OrderStatus::Pending.as_str();
    for order in orders.iter_mut().filter(|order| order.status == pending) {
        let Some(items) = by_order.remove(order.order_id.as_str()) else { continue };
        let status = OrderStatus::of(items);
        order.settled_now = status != OrderStatus::Pending;
        status.as_str().clone_into(&mut order.status);
    }
    let (settled, statuses): (Vec<String>, Vec<String>) =
        orders.iter().filter(|order| order.settled_now).map(|order| (order.order_id.clone(), order.status.clone())).unzip();
    if settled.is_empty() {
        return Ok(Vec::new());
    }
    // A time that was set to infinity by hand has no age.
    let took_ms = sqlx::query_scalar!(
        r#"UPDATE orders o SET status = s.status, updated_at = clock_timestamp()
           FROM unnest($1::text[], $2::text[]) AS s (order_id, status) WHERE o.order_id = s.order_id
           RETURNING CASE WHEN isfinite(o.created_at)
                          THEN (extract(epoch FROM clock_timestamp() - o.created_at) * 1000)::bigint END AS "took_ms?""#,
        &settled,
        &statuses
    )
    .fetch_all(connection)
    .await?;
    // One that lies ahead counts as now.
    let took = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    Ok(took_ms.into_iter().flatten().map(took).collect())
}
