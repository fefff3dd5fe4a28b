//! Follows the outcomes of order items, writes them to PostgreSQL, notifies this process's pages, and rescues lost items.
//!
//! ```text
//!  log: inventory-events ─► OrderTracker ─► settle (pure) ─► store: one transaction a batch ─► fan-out: ORDER_UPDATE
//!                                │                                  (outcomes, orders, flips, positions)
//!                                └─ every few seconds ─► passed_over: wal items that wait for long ─► direct again, expired
//!                                                     ─► rescue: items past their expiry ─► probes on order-events
//! ```
//! Every api process reads all events, so each can notify its own pages; the first to write an outcome writes it. Nothing is kept
//! here that log and tables don't have, but for orders that are still to be sent to their pages.

mod actor;
mod handle;
pub mod opening;
mod passed_over;
mod record;
mod rescue;
mod settle;

pub use actor::{OrderTracker, OrderTrackerMsg, OrderTrackerState, TrackerParts};
pub use handle::{RenderOrder, TrackerCounts, TrackerHandle};
