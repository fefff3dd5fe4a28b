//! Asks the inventory about direct items that are past their expiry and have no outcome: their publisher may have died.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::handle::TrackerHandle;
use crate::bugs::{self, Bug};
use crate::domain::EpochMs;
use crate::log::EventLog;
use crate::store::{Probe, Store, StoreError, TrackerBatch};
use crate::wire::topics::order_event::{OrderEvent, OrderSource, Wish};

/// Probes of one append, oldest first.
const PROBES: usize = 1_000;
/// Appends of one check; the rest comes with the next. While a broker is down for half a minute, tens of thousands of items
/// expire.
const APPENDS: usize = 20;
/// How long an append of probes may take. What is not appended is asked again a minute later.
const APPEND_TIMEOUT: Duration = Duration::from_secs(5);

/// One check: queries items that are due, and appends a probe for each. Several processes may do so; an item is asked about once
/// a minute by all of them together.
pub async fn probe_due(log: &dyn EventLog, store: &Store, handle: &TrackerHandle, now_ms: EpochMs) {
    for _ in 0..APPENDS {
        if probe_oldest(log, store, handle, now_ms).await < PROBES {
            return;
        }
    }
}

/// A database that does not answer has an alarm of its own, and is queried again every second or two.
pub(super) fn query_failed(error: &StoreError, wanted: &str) {
    let cause = error as &dyn std::error::Error;
    if error.is_retryable() {
        tracing::debug!(error = cause, "cannot query {wanted}; trying again");
    } else {
        tracing::warn!(error = cause, "cannot query {wanted}; trying again");
    }
}

/// Asks about the oldest that are due; returns how many items were asked about for certain.
async fn probe_oldest(log: &dyn EventLog, store: &Store, handle: &TrackerHandle, now_ms: EpochMs) -> usize {
    let due = match store.due_probes(i64::try_from(PROBES).unwrap_or(i64::MAX)).await {
        Ok(due) => due,
        Err(error) => {
            query_failed(&error, "order items to rescue");
            return 0;
        }
    };
    if due.is_empty() {
        return 0;
    }
    tracing::info!(items = due.len(), "asking the inventory about order items whose expiry has passed without an outcome");
    handle.counts.probes.fetch_add(due.len() as u64, Ordering::Relaxed);
    if bugs::is(Bug::RescueWithoutProbe) {
        let expired = due.into_iter().map(|probe| (probe.order_id, probe.order_item_id)).collect();
        let _ = store.record_outcomes(&TrackerBatch { expired, ..TrackerBatch::default() }).await;
        return 0;
    }
    let before = store.now_ms().await;
    let appended = log.append(due.iter().map(|probe| record(probe, now_ms)).collect(), APPEND_TIMEOUT).await;
    match (appended, before, store.now_ms().await) {
        (Ok(appended), Ok(from_ms), Ok(to_ms)) => {
            appended.iter().all(|one| handle.gate.compare(one.append_time_ms, from_ms, to_ms));
            appended.len()
        }
        (Err(error), ..) => {
            tracing::warn!(%error, "it is unknown whether the inventory was asked; asking again in a minute");
            0
        }
        (Ok(appended), ..) => appended.len(),
    }
}

/// The probe: the item's own event with nothing to take, with the same key.
fn record(probe: &Probe, now_ms: EpochMs) -> crate::log::NewRecord {
    let event = OrderEvent {
        order_id: probe.order_id.clone(),
        product_id: probe.product_id.clone(),
        wish: Wish::Probe,
        timestamp_ms: Some(now_ms),
        order_item_id: Some(probe.order_item_id.clone()),
        source: Some(OrderSource::Direct),
        expires_at_ms: Some(probe.expires_at_ms),
    };
    event.record(probe.trace.as_ref())
}
