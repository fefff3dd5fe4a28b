//! Supervision of our own: how a child is started, and when it is started again.
//!
//! ractor notifies a supervisor that a child ended; the rest is ours. [`Children`] keeps an ordered list of children for an actor
//! that supervises (a role, the root): started in order, restarted by [`RestartPolicy`], stopped in reverse order and waited for.
//! It covers the three ways to end: `ActorFailed` (panic, `Err`), `ActorTerminated` (killed), and a failed `pre_start` (no
//! event).

mod children;
mod policy;
mod spec;
#[cfg(test)]
mod tests;

pub use children::{ChildReport, ChildState, Children, RestartDecision};
pub use policy::{RestartPolicy, Restarts};
pub use spec::{ChildSpec, Starting, end_of};

pub use super::kinds::{ActorKind, EndCause};
