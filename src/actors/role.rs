//! A role: the supervisor of an ordered list of children that `app` handed to it, without knowing what they are.
//!
//! Children are started in order and stopped in reverse order; a child that ends is restarted alone. The role also is their
//! watchdog.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::faults::FaultBoard;
use super::kit::{Answer, CallError, Mailbox};
use super::stats::{Directory, Vitals};
use super::supervision::{ActorKind, ChildReport, ChildSpec, Children, RestartDecision, RestartPolicy};
use crate::telemetry::alarms::Alarms;

/// Checking for hung children costs a few loads per child; a tenth of `hang_after` is precise enough.
const CHECKS_PER_PATIENCE: u32 = 10;

/// Makes the children of a role at each start of it.
pub type MakeChildren = std::sync::Arc<dyn Fn() -> Vec<ChildSpec> + Send + Sync>;

/// What every supervisor of this process shares.
#[derive(Debug, Clone)]
pub struct SupervisionContext {
    pub directory: Directory,
    pub faults: FaultBoard,
    pub alarms: Alarms,
    pub restart: RestartPolicy,
    /// A handler that takes longer is hung.
    pub hang_after: Duration,
}

impl SupervisionContext {
    /// How often a supervisor checks for hung children.
    #[must_use]
    pub fn check_every(&self) -> Duration {
        self.hang_after / CHECKS_PER_PATIENCE
    }

    /// The vitals of an actor of this process.
    #[must_use]
    pub fn vitals(&self, kind: ActorKind, id: &str) -> Vitals {
        self.directory.vitals(kind, id, &self.faults)
    }
}

/// What a role handles.
#[derive(Debug)]
pub enum RoleMsg {
    StartChildren,
    Restart {
        index: usize,
        attempt: u64,
    },
    Check,
    Report(Answer<Vec<ChildReport>>),
    /// An operator wants a new incarnation of the child of this id.
    Replace(String, Answer<Result<(), NotReplaced>>),
}

/// Why an actor has no new incarnation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReplaced {
    #[error("{0} is stopped: start its role")]
    Stopped(String),
    #[error("there is no actor {0}")]
    Unknown(String),
}

/// A child may take long to stop in order, and to start.
const REPLACE_PATIENCE: Duration = Duration::from_secs(30);

/// How to ask a role from outside.
#[derive(Debug, Clone)]
pub struct RoleHandle(Mailbox<RoleMsg>);

impl RoleHandle {
    /// How its children are doing, in the order of their start.
    ///
    /// # Errors
    /// [`CallError`], when the role is not running or busy for longer than `patience`.
    pub async fn report(&self, patience: Duration) -> Result<Vec<ChildReport>, CallError> {
        self.0.ask(patience, RoleMsg::Report).await
    }

    /// Replaces the incarnation of a child, and waits until it has been done.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn replace(&self, id: &str) -> Result<Result<(), NotReplaced>, CallError> {
        self.0.ask(REPLACE_PATIENCE, |answer| RoleMsg::Replace(id.to_owned(), answer)).await
    }
}

/// The actor of a role.
pub struct Role {
    context: SupervisionContext,
    vitals: Vitals,
    mailbox: Mailbox<RoleMsg>,
    make_children: MakeChildren,
}

/// What a role keeps while it runs.
pub struct RoleState {
    /// Of this incarnation alone: a restart or check that the last one scheduled must not reach the next.
    mailbox: Mailbox<RoleMsg>,
    children: Children,
}

impl Role {
    /// How the root starts a role, and a handle to it.
    #[must_use]
    pub fn child(name: &str, context: &SupervisionContext, make_children: MakeChildren) -> (ChildSpec, RoleHandle) {
        let id = format!("role/{name}");
        let mailbox = Mailbox::new(&id);
        let vitals = context.vitals(ActorKind::Role, &id);
        let (owned, handle) = (context.clone(), RoleHandle(mailbox.clone()));
        for child in make_children() {
            context.directory.entry(child.kind, &child.id).set_parent(&id);
        }
        let make = move || {
            let (mailbox, make_children) = (mailbox.clone(), make_children.clone());
            (Self { context: owned.clone(), vitals: vitals.clone(), mailbox, make_children }, ())
        };
        (ChildSpec::new(ActorKind::Role, id, context.restart, make), handle)
    }

    async fn start_children(&self, myself: &ActorRef<RoleMsg>, state: &mut RoleState) {
        for index in 0..state.children.len() {
            let decision = state.children.start(&myself.get_cell(), index).await;
            schedule(&state.mailbox, decision);
            self.vitals.progress();
        }
    }

    async fn replace(&self, myself: &ActorRef<RoleMsg>, state: &mut RoleState, id: &str) -> Result<(), NotReplaced> {
        let index = state.children.index_of(id).ok_or_else(|| NotReplaced::Unknown(id.to_owned()))?;
        let owner = myself.get_cell();
        let mut replacing = std::pin::pin!(state.children.replace(&owner, index));
        let replaced = loop {
            tokio::select! {
                replaced = &mut replacing => break replaced,
                // A child that stops in order may take longer than the patience of those who watch this role.
                () = tokio::time::sleep(self.context.check_every()) => self.vitals.progress(),
            }
        };
        let decision = replaced.ok_or_else(|| NotReplaced::Stopped(id.to_owned()))?;
        schedule(&state.mailbox, decision);
        Ok(())
    }
}

impl Actor for Role {
    type Msg = RoleMsg;
    type State = RoleState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<RoleMsg>, (): ()) -> Result<RoleState, ActorProcessingErr> {
        self.vitals.starting()?;
        let mailbox = self.mailbox.open(&myself, &self.vitals);
        let specs = (self.make_children)();
        Ok(RoleState { mailbox, children: Children::new(specs, self.context.directory.clone(), self.context.hang_after) })
    }

    async fn post_start(&self, _myself: ActorRef<RoleMsg>, state: &mut RoleState) -> Result<(), ActorProcessingErr> {
        state.mailbox.tell(RoleMsg::StartChildren)?;
        state.mailbox.tell_after(self.context.check_every(), RoleMsg::Check);
        Ok(())
    }

    async fn handle(&self, myself: ActorRef<RoleMsg>, message: RoleMsg, state: &mut RoleState) -> Result<(), ActorProcessingErr> {
        let _handling = self.vitals.begin(&myself).await?;
        match message {
            RoleMsg::StartChildren => self.start_children(&myself, state).await,
            RoleMsg::Restart { index, attempt } => {
                let decision = state.children.restart(&myself.get_cell(), index, attempt).await;
                schedule(&state.mailbox, decision);
            }
            RoleMsg::Check => {
                state.children.kill_hung();
                state.mailbox.tell_after(self.context.check_every(), RoleMsg::Check);
            }
            RoleMsg::Report(answer) => answer.give(state.children.report()),
            RoleMsg::Replace(id, answer) => answer.give(self.replace(&myself, state, &id).await),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<RoleMsg>,
        event: SupervisionEvent,
        state: &mut RoleState,
    ) -> Result<(), ActorProcessingErr> {
        let decision = state.children.on_event(&event);
        schedule(&state.mailbox, decision);
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<RoleMsg>, state: &mut RoleState) -> Result<(), ActorProcessingErr> {
        state.children.stop_all().await;
        self.context.alarms.clear_role(self.mailbox.actor().trim_start_matches("role/"));
        Ok(())
    }
}

fn schedule(mailbox: &Mailbox<RoleMsg>, decision: RestartDecision) {
    if let RestartDecision::Restart { index, attempt, wait } = decision {
        mailbox.tell_after(wait, RoleMsg::Restart { index, attempt });
    }
}
