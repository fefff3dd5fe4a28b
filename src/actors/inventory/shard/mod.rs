//! One shard: routes the commands of one partition to its products, and supervises their actors.
//!
//! ```text
//!  source ── Begin(part) ──► shard ── ProductWork ──► product …    one message per product and batch
//!                              ▲                         │
//!                              └── Collected ◄── collector ◄──┘    the last reply wakes the shard
//!                              │
//!                              └── ShardOutput ──► committer ── Transaction ──► source ── Committed ──► shard
//! ```
//! Keeps the last *committed* state of every product. A batch starts from these states and gives new ones, which replace them
//! when the batch is committed, and only then. Until then its products are neither passivated nor restarted from anything but the
//! state before the batch; a reply that was given counts, whatever happens to its actor afterwards. If the shard itself dies, the
//! source gives the batch up, and the next incarnation restores the partition from the log.
//!
//! In reading order:
//! - `handle`: the messages; `state`: what a shard keeps; `actor`: which method handles which message;
//! - a partition: `own_partition` (taken, restored, released), with `restore`, `restored`, `resume` and `position_text`;
//! - a batch: `begin_batch`, `retry_product` (a product's actor ended), `deliver_output`, `settle_batch`;
//! - what these work on: `slots` (all products), `reminders` (stale deadlines), `flight` (the batch under way).

mod actor;
mod begin_batch;
mod deliver_output;
mod flight;
mod handle;
mod own_partition;
mod position_text;
mod reminders;
mod report;
mod restore;
mod restored;
mod resume;
mod retry_product;
#[cfg(feature = "seeded-bugs")]
mod seeded;
mod settle_batch;
mod slots;
mod state;

pub use handle::{ShardGauge, ShardHandle};
pub use report::ProductReport;
pub(crate) use state::{Shard, ShardContext};
