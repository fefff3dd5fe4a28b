//! The actors, and which supervises which.
//!
//! ```text
//!  root ─┬─ role inventory ─┬─ committer
//!        │                  ├─ shard/0 ─┬─ product/PROD_0001
//!        │                  │           └─ product/… (spawned on the first message, passivated when idle)
//!        │                  ├─ shard/1 …
//!        │                  └─ log-source
//!        ├─ role cdc ─ …
//!        └─ role api ─ …
//! ```
//! Rules that measurement taught (ractor 0.16.5):
//! 1. A panic or `Err` is `ActorFailed`, a kill is `ActorTerminated("killed")` with half-applied state: both mean "restart from
//!    what is committed", and the state in the event is never used. A failure in `pre_start` sends no event: the spawner retries.
//! 2. An `Err` in `handle_supervisor_evt` would kill the supervisor and everything below it: no `?` there.
//! 3. A parent that ends kills its children: they are stopped first, in reverse order, and waited for.
//! 4. Mailboxes are unbounded: work is bounded where it enters (batches, chunks and credit hold permits), and depth is counted by
//!    us.
//! 5. An old `ActorRef` is dead for ever: only an actor's supervisor holds one. Callers hold a [`kit::Mailbox`].
//! 6. A handler never waits long: I/O runs in a task of the actor, which reports back with a message. An actor that handles one
//!    message for longer than `supervision.hang_after` counts as hung, is killed and restarted.

pub mod alert_desk;
pub mod catalog_view;
pub mod fanout;
pub mod faults;
pub mod inventory;
pub(crate) mod kinds;
pub(crate) mod kit;
mod message_times;
pub mod order_publisher;
pub mod order_tracker;
mod past_ends;
pub mod role;
pub mod root;
pub mod stats;
pub mod supervision;
pub(crate) mod waiting;
