//! What actors are made of: how messages reach them, and how they read topics.
//!
//! An actor's tasks and timers hold the [`Mailbox`] of one incarnation alone ([`Mailbox::open`], [`Mailbox::of_incarnation`]),
//! and the actor's state holds their [`tokio_util::task::AbortOnDropHandle`]s: so they end with it, and no late message of theirs
//! reaches the next incarnation. Waits between two tries are [`crate::clock::Backoff`]s.

mod follower;
mod mailbox;

pub use follower::{Chunk, Followed, Follower, OpenReader};
pub use mailbox::{Answer, CallError, Mailbox};
