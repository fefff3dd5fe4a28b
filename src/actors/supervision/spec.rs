//! How a child is started, and what a supervision event says when it ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ractor::{Actor, ActorCell, SpawnErr, SupervisionEvent};

use super::policy::RestartPolicy;
use crate::actors::kinds::{ActorKind, EndCause};

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
    /// A child whose handler and arguments are made for each incarnation.
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
