//! Supervision of our own: which actors there are, how a child is started, and when it is started again.
//!
//! ractor tells a supervisor that a child ended; the rest is ours. [`Children`] keeps an ordered list of children for an actor that
//! supervises (a role, the root): started in order, restarted by [`RestartPolicy`], stopped in reverse order and waited for.
//! It covers the three ways to go: `ActorFailed` (panic, `Err`), `ActorTerminated` (killed), and a failed `pre_start` (no event).

mod children;
mod policy;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ractor::{Actor, ActorCell, SpawnErr, SupervisionEvent};

pub use children::{ChildReport, ChildState, Children, Verdict};
pub use policy::{RestartPolicy, Restarts};

/// The kinds of actors: labels of metrics and targets of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActorKind {
    Root,
    Role,
    LogSource,
    Shard,
    Product,
    Committer,
    WalReader,
    CatalogView,
    Fanout,
    AlertDesk,
    OrderPublisher,
    OrderTracker,
    HttpListener,
}

impl ActorKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Root,
        Self::Role,
        Self::LogSource,
        Self::Shard,
        Self::Product,
        Self::Committer,
        Self::WalReader,
        Self::CatalogView,
        Self::Fanout,
        Self::AlertDesk,
        Self::OrderPublisher,
        Self::OrderTracker,
        Self::HttpListener,
    ];

    /// As labels and fault targets write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Role => "role",
            Self::LogSource => "log-source",
            Self::Shard => "shard",
            Self::Product => "product",
            Self::Committer => "committer",
            Self::WalReader => "wal-reader",
            Self::CatalogView => "catalog-view",
            Self::Fanout => "fanout",
            Self::AlertDesk => "alert-desk",
            Self::OrderPublisher => "order-publisher",
            Self::OrderTracker => "order-tracker",
            Self::HttpListener => "http-listener",
        }
    }

    /// Reads what [`ActorKind::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Why an actor ended, or did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndCause {
    Panic,
    Error,
    Killed,
    /// Killed by the watchdog, because it handled one message for too long.
    Hung,
    /// Its task was cancelled by the runtime.
    Cancelled,
    /// `pre_start` failed, panicked or took too long.
    Start,
    /// Stopped on purpose, or of itself.
    Stopped,
}

impl EndCause {
    /// Every cause, in the order of [`EndCause::index`].
    pub const ALL: [Self; 7] = [Self::Panic, Self::Error, Self::Killed, Self::Hung, Self::Cancelled, Self::Start, Self::Stopped];

    /// Its place in an array with one place per cause.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// As labels write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Error => "error",
            Self::Killed => "killed",
            Self::Hung => "hung",
            Self::Cancelled => "cancelled",
            Self::Start => "start",
            Self::Stopped => "stopped",
        }
    }
}

/// What a supervision event says about an end: who, why, and the text for operators. `None` for events that are no end.
#[must_use]
pub fn end_of(event: &SupervisionEvent) -> Option<(&ActorCell, EndCause, Option<String>)> {
    match event {
        SupervisionEvent::ActorFailed(cell, error) => {
            // ractor boxes a panic's text; typed errors print their name first. Only a label hangs on this.
            let cause = if format!("{error:?}").starts_with('"') { EndCause::Panic } else { EndCause::Error };
            Some((cell, cause, Some(error.to_string())))
        }
        SupervisionEvent::ActorTerminated(cell, _, reason) => {
            let cause = match reason.as_deref() {
                Some("killed") => EndCause::Killed,
                Some("actor_task_cancelled") => EndCause::Cancelled,
                Some(_) | None => EndCause::Stopped,
            };
            Some((cell, cause, reason.clone()))
        }
        SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => None,
    }
}

/// What starting a child gives.
pub type Starting = Pin<Box<dyn Future<Output = Result<ActorCell, SpawnErr>> + Send>>;

/// How to start one child, as often as needed. Cheap to clone.
#[derive(Clone)]
pub struct ChildSpec {
    pub kind: ActorKind,
    /// Unique in the process: `committer`, `shard/3`.
    pub id: String,
    pub restart: RestartPolicy,
    /// Spawns the actor linked to the given supervisor.
    pub start: Arc<dyn Fn(ActorCell) -> Starting + Send + Sync>,
}

impl ChildSpec {
    /// A child whose handler and arguments are made anew for each incarnation.
    pub fn new<A, F>(kind: ActorKind, id: impl Into<String>, restart: RestartPolicy, make: F) -> Self
    where
        A: Actor,
        F: Fn() -> (A, A::Arguments) + Send + Sync + 'static,
    {
        let start = move |supervisor: ActorCell| -> Starting {
            let (handler, arguments) = make();
            Box::pin(async move {
                let (actor, _) = Actor::spawn_linked(None, handler, arguments, supervisor).await?;
                Ok(actor.get_cell())
            })
        };
        Self { kind, id: id.into(), restart, start: Arc::new(start) }
    }
}

impl std::fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChildSpec({})", self.id)
    }
}
