//! Publishes the items of `direct` orders: each event is handed to the log exactly once, and never again whatever comes of it.
//!
//! ```text
//!  api::shop::checkout ── after the SQL commit ──► PublisherHandle ─► OrderPublisher ─► log: order-events
//!                                                   (credit)            (batches)           │ append times
//!                                                                                           ▼
//!                                                                      Gate: direct, or wal while the clocks differ
//! ```
//! A checkout never waits for this: its order is durable in SQL. Items without credit, or lost with the actor, are left to the
//! order tracker's rescue, which asks the inventory before an item is published a second time.

mod actor;
mod gate;
mod handle;

pub use actor::{OrderPublisher, OrderPublisherState};
pub use gate::{Gate, PublishMode, WalReason};
pub use handle::{AppendReport, Handover, OrderPublisherMsg, PublishCounts, PublisherHandle, PublisherSettings};
