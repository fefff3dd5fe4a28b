//! The root: supervisor of the roles, which are started and stopped while the process runs.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};

use super::kit::{Answer, CallError, Mailbox};
use super::role::{MakeChildren, NotReplaced, Role, RoleHandle, SupervisionContext};
use super::stats::Vitals;
use super::supervision::{ActorKind, ChildReport, ChildSpec, Children, RestartDecision};

/// Starting a role is quick; stopping one waits for its children, each of which has its own limit.
const PATIENCE: Duration = Duration::from_secs(120);

/// A role that this process may run.
pub struct RoleSpec {
    /// `inventory`, `cdc`, `api`.
    pub name: &'static str,
    pub children: MakeChildren,
}

/// What the root handles.
#[derive(Debug)]
pub enum RootMsg {
    Start(String, Answer<Result<(), UnknownRole>>),
    Stop(String, Answer<Result<(), UnknownRole>>),
    StopAll(Answer<()>),
    Restart {
        index: usize,
        attempt: u64,
    },
    Check,
    Report(Answer<Vec<ChildReport>>),
    /// An operator wants a new incarnation of this role.
    Replace(String, Answer<Result<(), NotReplaced>>),
}

/// This process has no such role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role {0}")]
pub struct UnknownRole(pub String);

/// Why a role could not be started or stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    #[error(transparent)]
    Unknown(#[from] UnknownRole),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    NotReplaced(#[from] NotReplaced),
}

/// How to ask the root from outside. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RootHandle {
    mailbox: Mailbox<RootMsg>,
    roles: std::sync::Arc<Vec<(&'static str, RoleHandle)>>,
}

impl RootHandle {
    /// Spawns the root with all roles stopped.
    ///
    /// # Errors
    /// Only if the runtime is shutting down.
    pub async fn spawn(context: &SupervisionContext, roles: Vec<RoleSpec>) -> Result<Self, SpawnErr> {
        let mailbox = Mailbox::new("root");
        let (mut specs, mut handles) = (Vec::new(), Vec::new());
        for role in roles {
            let (spec, handle) = Role::child(role.name, context, role.children);
            context.directory.entry(spec.kind, &spec.id).set_parent("root");
            specs.push(spec);
            handles.push((role.name, handle));
        }
        let root = Root { context: context.clone(), vitals: context.vitals(ActorKind::Root, "root"), mailbox: mailbox.clone() };
        let (actor, _) = Actor::spawn(None, root, specs).await?;
        context.directory.entry(ActorKind::Root, "root").started(&actor.get_cell());
        Ok(Self { mailbox, roles: std::sync::Arc::new(handles) })
    }

    /// Starts a role; does nothing if it runs. Its children follow by themselves.
    ///
    /// # Errors
    /// [`RoleError`].
    pub async fn start(&self, role: &str) -> Result<(), RoleError> {
        Ok(self.mailbox.ask(PATIENCE, |answer| RootMsg::Start(role.to_owned(), answer)).await??)
    }

    /// Stops a role and waits until its last child has stopped.
    ///
    /// # Errors
    /// [`RoleError`].
    pub async fn stop(&self, role: &str) -> Result<(), RoleError> {
        Ok(self.mailbox.ask(PATIENCE, |answer| RootMsg::Stop(role.to_owned(), answer)).await??)
    }

    /// Stops all roles in reverse order of their list.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn stop_all(&self) -> Result<(), CallError> {
        self.mailbox.ask(PATIENCE, RootMsg::StopAll).await
    }

    /// Replaces the incarnation of an actor, and waits until it has been done: a role by the root, its child by the role.
    ///
    /// # Errors
    /// [`RoleError`].
    pub async fn replace(&self, id: &str, parent: &str) -> Result<(), RoleError> {
        if id.starts_with("role/") {
            return Ok(self.mailbox.ask(PATIENCE, |answer| RootMsg::Replace(id.to_owned(), answer)).await??);
        }
        let role = parent.strip_prefix("role/").and_then(|name| self.role(name));
        Ok(role.ok_or_else(|| NotReplaced::Unknown(id.to_owned()))?.replace(id).await??)
    }

    /// How the roles are doing, in the order of their list; ids are `role/<name>`.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn report(&self, patience: Duration) -> Result<Vec<ChildReport>, CallError> {
        self.mailbox.ask(patience, RootMsg::Report).await
    }

    /// The handle of a role.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&RoleHandle> {
        self.roles.iter().find(|(known, _)| *known == name).map(|(_, handle)| handle)
    }
}

/// The actor of the root. Faults do not strike it: with it the process would end.
pub struct Root {
    context: SupervisionContext,
    vitals: Vitals,
    mailbox: Mailbox<RootMsg>,
}

/// What the root keeps.
pub struct RootState {
    /// Of this incarnation alone: a restart or check that the last one scheduled must not reach the next.
    mailbox: Mailbox<RootMsg>,
    roles: Children,
}

impl Root {
    fn find(state: &RootState, name: &str) -> Result<usize, UnknownRole> {
        state.roles.index_of(&format!("role/{name}")).ok_or_else(|| UnknownRole(name.to_owned()))
    }

    async fn start(&self, myself: &ActorRef<RootMsg>, state: &mut RootState, name: &str) -> Result<(), UnknownRole> {
        let index = Self::find(state, name)?;
        let decision = state.roles.start(&myself.get_cell(), index).await;
        schedule(&state.mailbox, decision);
        Ok(())
    }

    async fn stop(&self, state: &mut RootState, name: &str) -> Result<(), UnknownRole> {
        let index = Self::find(state, name)?;
        state.roles.stop(index).await;
        Ok(())
    }

    async fn replace(&self, myself: &ActorRef<RootMsg>, state: &mut RootState, id: &str) -> Result<(), NotReplaced> {
        let index = state.roles.index_of(id).ok_or_else(|| NotReplaced::Unknown(id.to_owned()))?;
        let decision = state.roles.replace(&myself.get_cell(), index).await;
        schedule(&state.mailbox, decision.ok_or_else(|| NotReplaced::Stopped(id.to_owned()))?);
        Ok(())
    }
}

impl Actor for Root {
    type Msg = RootMsg;
    type State = RootState;
    type Arguments = Vec<ChildSpec>;

    async fn pre_start(&self, myself: ActorRef<RootMsg>, roles: Vec<ChildSpec>) -> Result<RootState, ActorProcessingErr> {
        let mailbox = self.mailbox.open(&myself, &self.vitals);
        Ok(RootState { mailbox, roles: Children::new(roles, self.context.directory.clone(), self.context.hang_after) })
    }

    async fn post_start(&self, _myself: ActorRef<RootMsg>, state: &mut RootState) -> Result<(), ActorProcessingErr> {
        state.mailbox.tell_after(self.context.check_every(), RootMsg::Check);
        Ok(())
    }

    async fn handle(&self, myself: ActorRef<RootMsg>, message: RootMsg, state: &mut RootState) -> Result<(), ActorProcessingErr> {
        let _handling = self.vitals.handling();
        match message {
            RootMsg::Start(name, answer) => answer.give(self.start(&myself, state, &name).await),
            RootMsg::Stop(name, answer) => answer.give(self.stop(state, &name).await),
            RootMsg::StopAll(answer) => {
                state.roles.stop_all().await;
                answer.give(());
            }
            RootMsg::Restart { index, attempt } => {
                let decision = state.roles.restart(&myself.get_cell(), index, attempt).await;
                schedule(&state.mailbox, decision);
            }
            RootMsg::Check => {
                state.roles.kill_hung();
                state.mailbox.tell_after(self.context.check_every(), RootMsg::Check);
            }
            RootMsg::Report(answer) => answer.give(state.roles.report()),
            RootMsg::Replace(id, answer) => answer.give(self.replace(&myself, state, &id).await),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<RootMsg>,
        event: SupervisionEvent,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        let decision = state.roles.on_event(&event);
        schedule(&state.mailbox, decision);
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<RootMsg>, state: &mut RootState) -> Result<(), ActorProcessingErr> {
        state.roles.stop_all().await;
        Ok(())
    }
}

fn schedule(mailbox: &Mailbox<RootMsg>, decision: RestartDecision) {
    if let RestartDecision::Restart { index, attempt, wait } = decision {
        mailbox.tell_after(wait, RootMsg::Restart { index, attempt });
    }
}
