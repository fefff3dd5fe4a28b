//! A slot from nothing: the first start, and the repair of a lost slot.
//!
//! ```text
//!  drop what is left of a slot ─► make it, with a snapshot ─► in the snapshot: rows that wait
//!      ─► one commit: their events, first position
//! ```
//! The snapshot is the database as it was just before the slot's first transaction, so no row is in both and none in neither. A
//! crash before the commit leaves a slot without a position, and the next start begins here again.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use serde::Deserialize;
use sqlx::{AssertSqlSafe, Connection, Executor, FromRow};

use super::alarm::Alarm;
use super::names::Xid;
use super::position::read_chunk;
use super::server::{Server, ServerError};
use super::stream::{NewSlot, StreamError};
use super::transactions::{PublishedItem, record};
use super::{ReadError, Step, WalConfig};
use crate::domain::EpochMs;
use crate::log::cdc_position::gap_record;
use crate::log::{Batch, EventLog, NewRecord, Positions, Session, Start, Stop, read_topics};
use crate::telemetry::spans::Span;
use crate::wire::topics::Topic;
use crate::wire::topics::cdc_position::{CdcPosition, Lsn};
use crate::wire::topics::order_event::OrderSource;

/// A slot that is not created by then is waiting for other transactions.
pub(super) const NAME_BLOCKERS_AFTER: Duration = Duration::from_secs(5);
/// Rows that the reader has to publish: neither an event nor an outcome of them exists.
const WAITING: &str = "
SELECT order_item_id, coalesce(order_id, '') AS order_id, coalesce(product_id, '') AS product_id, coalesce(quantity, 0)::bigint AS quantity, traceparent, tracestate,
       (extract(epoch FROM CASE WHEN isfinite(inserted_at) THEN inserted_at ELSE clock_timestamp() END) * 1000)::bigint AS inserted_at_ms, xmin::text::bigint AS xid
FROM order_items WHERE publish_via = 'wal' AND outcome IS NULL ORDER BY inserted_at, order_item_id";

#[derive(Debug, FromRow)]
struct WaitingRow {
    order_item_id: String,
    order_id: String,
    product_id: String,
    quantity: i64,
    traceparent: Option<String>,
    tracestate: Option<String>,
    inserted_at_ms: EpochMs,
    /// Who wrote it.
    xid: i64,
}

/// What a new slot began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    pub position: CdcPosition,
    /// Items that had not been published before and are published now.
    pub published: usize,
}

/// Where the work is announced, so that faults can strike between its steps.
pub trait Steps: Send + Sync {
    /// Returns when the work may go on.
    fn at(&self, step: Step) -> impl Future<Output = Result<(), ReadError>> + Send;

    /// The work waits for other transactions.
    fn stalled(&self, alarm: &Alarm) {
        tracing::warn!(%alarm, "the replication slot cannot be created yet");
    }
}

/// Creates a new slot and publishes the items that wait. The session must have been opened before: it keeps other readers from
/// writing.
///
/// # Errors
/// [`ReadError`]; nothing was published then, and the call can be repeated.
pub async fn begin(
    config: &WalConfig,
    log: &dyn EventLog,
    session: &dyn Session,
    server: &mut Server,
    steps: &impl Steps,
) -> Result<Begun, ReadError> {
    if !server.may_make(&config.slot).await? {
        return Err(StreamError::SlotInUse.into());
    }
    server.drop_slot(&config.slot).await?;
    let slot = make_slot(config, server, steps).await?;
    steps.at(Step::SlotMade).await?;
    let mut waiting = waiting_rows(&config.url, &slot.snapshot).await?;
    if !waiting.is_empty() {
        let ids = waiting.iter().map(|row| row.order_item_id.clone()).collect();
        let unpublished = without_event(log, ids).await?;
        waiting.retain(|row| unpublished.contains(&row.order_item_id));
    }
    // The slot's snapshot shows what is committed, also what others cannot see yet.
    let writers: BTreeSet<Xid> = waiting.iter().filter_map(|row| Xid::try_from(row.xid).ok()).collect();
    server.await_visible(&writers.into_iter().collect::<Vec<_>>()).await?;
    steps.at(Step::SnapshotRead).await?;
    let position = CdcPosition {
        system_id: slot.identity.system_id.clone(),
        timeline: slot.identity.timeline,
        resume_lsn: slot.starts_at,
        part_commit_lsn: None,
        part_index: 0,
    };
    let (mut records, spans): (Vec<NewRecord>, Vec<_>) = waiting.iter().map(|row| row.record(slot.starts_at)).unzip();
    records.push(position.record(&config.slot));
    records.push(gap_record(&config.slot, None));
    session.commit(Batch { records, positions: Positions::new() }).await?;
    drop(spans);
    server.has_made().await?;
    steps.at(Step::Begun).await?;
    Ok(Begun { position, published: waiting.len() })
}

/// Creates the slot. PostgreSQL waits for every transaction that was open before, in any database: after a while the alarm names
/// them.
async fn make_slot(config: &WalConfig, server: &mut Server, steps: &impl Steps) -> Result<NewSlot, ReadError> {
    let (mut making, mut reported) = (pin!(NewSlot::create(&config.url, &config.slot)), None);
    loop {
        tokio::select! {
            made = &mut making => return Ok(made?),
            () = tokio::time::sleep(NAME_BLOCKERS_AFTER) => {
                let alarm = server.slot_waits(&config.slot).await?;
                if reported.as_ref() != Some(&alarm) {
                    steps.stalled(&alarm);
                    reported = Some(alarm);
                }
            }
        }
    }
}

impl WaitingRow {
    fn record(&self, read_at: Lsn) -> (NewRecord, Option<Span>) {
        let item = PublishedItem {
            order_item_id: &self.order_item_id,
            order_id: &self.order_id,
            product_id: &self.product_id,
            quantity: self.quantity,
            traceparent: self.traceparent.as_deref(),
            tracestate: self.tracestate.as_deref(),
        };
        record(&item, self.inserted_at_ms, read_at)
    }
}

/// The rows that wait, as the snapshot shows them.
async fn waiting_rows(url: &str, snapshot: &str) -> Result<Vec<WaitingRow>, ReadError> {
    let reading = || ServerError::sql("read the waiting rows");
    let mut connection = Server::connect(url).await?.connection;
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(reading())?;
    // The name is PostgreSQL's own: hexadecimal digits and dashes.
    let name: String = snapshot.chars().filter(|letter| letter.is_ascii_hexdigit() || *letter == '-').collect();
    let set = sqlx::raw_sql(AssertSqlSafe(format!("SET TRANSACTION SNAPSHOT '{name}'")));
    transaction.execute(set).await.map_err(reading())?;
    let rows = sqlx::query_as(WAITING).fetch_all(&mut *transaction).await.map_err(reading())?;
    transaction.rollback().await.map_err(reading())?;
    Ok(rows)
}

/// Those of these items that no `wal` event on `order-events` names. Probes and direct events do not count.
async fn without_event(log: &dyn EventLog, mut ids: BTreeSet<String>) -> Result<BTreeSet<String>, ReadError> {
    let mut reader = read_topics(log, &[Topic::OrderEvents], Start::Beginning, Stop::AtEnd).await?;
    loop {
        let records = read_chunk(&mut *reader).await?;
        if records.is_empty() {
            return Ok(ids);
        }
        for named in records.iter().filter_map(|record| record.value.as_deref()).filter_map(wal_item) {
            ids.remove(&named);
        }
    }
}

/// The item that a `wal` event names, read as leniently as it was written.
fn wal_item(value: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        source: Option<String>,
        order_item_id: Option<String>,
    }
    let named: Named = serde_json::from_slice(value).ok()?;
    named.order_item_id.filter(|_| named.source.as_deref() == Some(OrderSource::Wal.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_of_the_wal_count_as_published() {
        for (value, item) in [
            (r#"{"orderId":"o","productId":"p","quantity":1,"orderItemId":"i","source":"wal"}"#, Some("i")),
            (r#"{"orderId":"","productId":"p","quantity":-1,"orderItemId":"i","source":"wal"}"#, Some("i")),
            (r#"{"orderId":"o","productId":"p","quantity":1,"orderItemId":"i","source":"direct"}"#, None),
            (r#"{"orderId":"o","productId":"p","quantity":0,"orderItemId":"i","probe":true}"#, None),
            (r#"{"orderId":"o","productId":"p","quantity":1,"source":"wal"}"#, None),
            ("wal", None),
        ] {
            assert_eq!(wal_item(value.as_bytes()).as_deref(), item, "{value}");
        }
    }
}
