//! An ordered list of supervised children: the part that roles and the root have in common.
//!
//! Starts in order, stops in reverse order. The owner passes supervision events in, and sends itself a message for every
//! [`RestartDecision::Restart`]; the number of the attempt in it makes a restart void that a stop has overtaken.

use std::time::Duration;

use ractor::{ActorCell, SupervisionEvent};
use serde::Serialize;
use tokio::time::Instant;

use super::policy::Restarts;
use super::spec::{ChildSpec, end_of};
use crate::actors::kinds::{ActorKind, EndCause};
use crate::actors::stats::{ActorState, Directory};

/// A child that has not stopped by then is killed: its peers wait.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// A role has several children to stop, one after the other.
const ROLE_STOP_PATIENCE: Duration = Duration::from_secs(60);

/// What the owner has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum RestartDecision {
    Nothing,
    /// Call [`Children::restart`] with these after the wait.
    Restart {
        index: usize,
        attempt: u64,
        wait: Duration,
    },
}

/// How a child is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChildState {
    Running,
    /// Ended, and waiting to be started again.
    Restarting,
    Stopped,
}

/// One child as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChildReport {
    pub id: String,
    pub state: ChildState,
    /// More restarts in the window than the policy calls normal.
    pub failing: bool,
}

/// The children of one supervisor.
#[derive(Debug)]
pub struct Children {
    directory: Directory,
    hang_after: Duration,
    children: Vec<Child>,
}

#[derive(Debug)]
struct Child {
    spec: ChildSpec,
    cell: Option<ActorCell>,
    state: ChildState,
    attempt: u64,
    restarts: Restarts,
    /// Since when it runs.
    started: Option<Instant>,
    /// The log has reported that it keeps failing, which is not repeated until it has recovered.
    is_reported: bool,
    hung: bool,
}

impl Children {
    /// None runs yet. A child that handles one message for longer than `hang_after` will be killed by [`Children::kill_hung`].
    #[must_use]
    pub fn new(specs: Vec<ChildSpec>, directory: Directory, hang_after: Duration) -> Self {
        let child = |spec| Child {
            spec,
            cell: None,
            state: ChildState::Stopped,
            attempt: 0,
            restarts: Restarts::default(),
            started: None,
            is_reported: false,
            hung: false,
        };
        Self { directory, hang_after, children: specs.into_iter().map(child).collect() }
    }

    /// How many children there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// The place of a child.
    #[must_use]
    pub fn index_of(&self, id: &str) -> Option<usize> {
        self.children.iter().position(|child| child.spec.id == id)
    }

    /// Starts a child that is stopped; does nothing if it runs.
    pub async fn start(&mut self, owner: &ActorCell, index: usize) -> RestartDecision {
        let Some(child) = self.children.get_mut(index).filter(|child| child.cell.is_none()) else {
            return RestartDecision::Nothing;
        };
        let entry = self.directory.entry(child.spec.kind, &child.spec.id);
        let failure = match tokio::time::timeout(self.hang_after, (child.spec.start)(owner.clone())).await {
            Ok(Ok(cell)) => {
                entry.started(&cell);
                child.cell = Some(cell);
                child.state = ChildState::Running;
                child.started = Some(Instant::now());
                child.hung = false;
                return RestartDecision::Nothing;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("did not start within {:?}", self.hang_after),
        };
        entry.ended(EndCause::Start, Some(&failure));
        let decision = child.await_restart(index);
        entry.set_failing(child.is_failing());
        child.log_end(EndCause::Start, Some(&failure));
        decision
    }

    /// Starts a child again, unless it was stopped or started meanwhile.
    pub async fn restart(&mut self, owner: &ActorCell, index: usize, attempt: u64) -> RestartDecision {
        let wanted =
            self.children.get(index).is_some_and(|child| child.attempt == attempt && child.state == ChildState::Restarting);
        if wanted { self.start(owner, index).await } else { RestartDecision::Nothing }
    }

    /// Replaces the incarnation of a child that is not stopped, because an operator asked for it: no failure, so neither backoff
    /// nor restart window know of it. `None`: it is stopped.
    pub async fn replace(&mut self, owner: &ActorCell, index: usize) -> Option<RestartDecision> {
        let child = self.children.get_mut(index).filter(|child| child.state != ChildState::Stopped)?;
        // A restart that is scheduled already must not come on top.
        child.attempt += 1;
        child.state = ChildState::Restarting;
        if let Some(cell) = child.cell.take() {
            child.end(&cell).await;
            self.directory.entry(child.spec.kind, &child.spec.id).ended(EndCause::Restarted, None);
            tracing::info!(kartshoppe.actor.id = child.spec.id, "an actor is restarted on request");
        }
        Some(self.start(owner, index).await)
    }

    /// Takes note of a supervision event: an end that was not asked for leads to a restart.
    pub fn on_event(&mut self, event: &SupervisionEvent) -> RestartDecision {
        let Some((cell, cause, reason)) = end_of(event) else { return RestartDecision::Nothing };
        let found = self.children.iter_mut().enumerate().find(|(_, child)| child.cell.as_ref() == Some(cell));
        let Some((index, child)) = found else { return RestartDecision::Nothing };
        let cause = if child.hung && cause == EndCause::Killed { EndCause::Hung } else { cause };
        let entry = self.directory.entry(child.spec.kind, &child.spec.id);
        entry.ended(cause, reason.as_deref());
        child.cell = None;
        let decision = child.await_restart(index);
        entry.set_failing(child.is_failing());
        child.log_end(cause, reason.as_deref());
        decision
    }

    /// Kills the children that have handled one message for too long; their ends arrive as events. Also notes which are failing.
    pub fn kill_hung(&mut self) {
        for child in &mut self.children {
            let entry = self.directory.entry(child.spec.kind, &child.spec.id);
            entry.set_failing(child.is_failing());
            let Some(cell) = &child.cell else { continue };
            if entry.handling_for().is_some_and(|time| time >= self.hang_after) {
                child.hung = true;
                cell.kill();
            }
        }
    }

    /// Stops a child, so that its `post_stop` runs, and waits for it.
    pub async fn stop(&mut self, index: usize) {
        let Some(child) = self.children.get_mut(index) else { return };
        child.state = ChildState::Stopped;
        child.attempt += 1;
        child.restarts = Restarts::default();
        (child.started, child.is_reported) = (None, false);
        let entry = self.directory.entry(child.spec.kind, &child.spec.id);
        entry.set_failing(false);
        match child.cell.take() {
            Some(cell) => child.end(&cell).await,
            // It waits for a restart that will not come.
            None if entry.state() == ActorState::Restarting => {}
            None => return,
        }
        entry.stopped();
    }

    /// Stops all children in reverse order.
    pub async fn stop_all(&mut self) {
        for index in (0..self.children.len()).rev() {
            self.stop(index).await;
        }
    }

    /// How the children are doing, in order.
    #[must_use]
    pub fn report(&self) -> Vec<ChildReport> {
        let report = |child: &Child| ChildReport { id: child.spec.id.clone(), state: child.state, failing: child.is_failing() };
        self.children.iter().map(report).collect()
    }
}

impl Child {
    /// Has an incarnation stop in order, or kills it.
    async fn end(&self, cell: &ActorCell) {
        let patience = if self.spec.kind == ActorKind::Role { ROLE_STOP_PATIENCE } else { STOP_PATIENCE };
        if cell.stop_and_wait(None, Some(patience)).await.is_err() {
            // It has ended already, or does not handle the stop: then it must not run beside its successor.
            let _ = cell.kill_and_wait(Some(STOP_PATIENCE)).await;
        }
    }

    fn await_restart(&mut self, index: usize) -> RestartDecision {
        self.state = ChildState::Restarting;
        self.attempt += 1;
        self.is_reported &= self.is_failing();
        let (now, started) = (Instant::now(), self.started.take());
        let wait = self.restarts.next_wait(&self.spec.restart, now, rand::random());
        self.restarts.note_life(started.map_or(Duration::ZERO, |started| now.duration_since(started)));
        RestartDecision::Restart { index, attempt: self.attempt, wait }
    }

    fn is_failing(&self) -> bool {
        self.restarts.is_failing(&self.spec.restart, self.started, Instant::now())
    }

    /// One restart is business as usual for a supervisor; too many are not, which is reported once.
    fn log_end(&mut self, cause: EndCause, reason: Option<&str>) {
        let (id, is_failing) = (&self.spec.id, self.is_failing());
        let (what, reason) = (cause.as_str(), reason.unwrap_or_default());
        if is_failing && self.is_reported {
            tracing::debug!(kartshoppe.actor.id = id, cause = what, reason, "an actor ended again");
        } else if is_failing {
            tracing::error!(
                kartshoppe.actor.id = id,
                cause = what,
                reason,
                "an actor keeps ending and is restarted with the longest backoff"
            );
        } else if cause == EndCause::Start {
            tracing::warn!(kartshoppe.actor.id = id, reason, "an actor could not start");
        } else {
            tracing::warn!(kartshoppe.actor.id = id, cause = what, reason, "an actor ended and is restarted");
        }
        self.is_reported = is_failing;
    }
}
