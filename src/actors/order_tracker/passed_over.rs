//! Takes back items that the WAL reader published but the inventory does not process, so that the rescue asks about them.
//!
//! The inventory's position may have been moved over the event, or an earlier version may have trusted such a position. Only what
//! is on the log for certain is taken back: its INSERT lies before the reader's stored position, which is written in the commit
//! of the events that it covers.

use std::sync::atomic::Ordering;

use super::handle::TrackerHandle;
use super::rescue;
use crate::log::EventLog;
use crate::log::cdc_position::{self, Stored};
use crate::store::Store;

/// Items that are marked, and that are asked about in the same minute.
const ITEMS: i64 = 1_000;

/// One check: marks items that have waited for long, and takes back those that are proven to be on the log.
pub async fn take_back(log: &dyn EventLog, store: &Store, handle: &TrackerHandle) {
    match store.mark_waiting(ITEMS).await {
        Ok(0) => return,
        Ok(_) => {}
        Err(error) => return rescue::query_failed(&error, "order items that wait for the inventory"),
    }
    let position = match cdc_position::read(log, store.slot()).await {
        Ok(Stored { position: Some(position), gap: None }) => position,
        // While the reader may have missed rows, its position proves nothing; without a position it has published nothing.
        Ok(Stored { .. }) => return,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            return tracing::warn!(error, "cannot read how far the WAL reader has come; trying again");
        }
    };
    match store.take_back(&position, ITEMS).await {
        Ok(0) => {}
        Ok(items) => {
            handle.counts.taken_back.fetch_add(items, Ordering::Relaxed);
            tracing::warn!(
                items,
                kartshoppe.pg.lsn = %position.resume_lsn,
                "order items have been on the log for long without an outcome: asking the inventory about them"
            );
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "cannot take back order items that were passed over; trying again");
        }
    }
}
