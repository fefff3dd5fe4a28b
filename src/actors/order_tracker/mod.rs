//! Follows what became of order items, writes it down in PostgreSQL, tells this process's pages, and rescues items that got lost.
//!
//! ```text
//!  log: inventory-events ─► OrderTracker ─► settle (pure) ─► store: one transaction a batch ─► fan-out: ORDER_UPDATE
//!                                │                                  (outcomes, orders, flips, positions)
//!                                └─ every few seconds ─► passed_over: wal items that wait for long ─► taken back: direct, expired
//!                                                     ─► rescue: items past their expiry ─► probes on order-events
//! ```
//! Every api process reads all events, so each can tell its own pages; whoever writes first, writes. Nothing is kept here that the log
//! and the tables don't have, but for orders whose pages are still to be told.

mod actor;
mod handle;
pub mod opening;
mod passed_over;
mod record;
mod rescue;
mod settle;

pub use actor::{OrderTracker, OrderTrackerMsg, OrderTrackerState, TrackerParts};
pub use handle::{RenderOrder, TrackerCounts, TrackerHandle};
