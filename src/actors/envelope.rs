//! How messages reach an actor: a mailbox address that survives restarts, and an envelope that carries more than the body.
//!
//! Callers never see an `ActorRef`: after a restart the old one is dead for ever. They hold a [`Mailbox`], whose slot each
//! incarnation of the actor fills when it starts. Typed handles (one per actor, with async methods) are thin layers over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ractor::{ActorRef, Message};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::stats::Vitals;
use crate::telemetry::context::TraceContext;

/// A message body with what travels beside it.
#[derive(Debug)]
pub struct Envelope<T> {
    pub body: T,
    /// The trace that the body belongs to, if there is one.
    pub trace: Option<TraceContext>,
    pub enqueued_at: Instant,
    /// Credit for work under way. It comes back when the envelope is dropped: handled, or lost with its actor.
    pub permit: Option<OwnedSemaphorePermit>,
}

impl<T> Envelope<T> {
    /// Wraps a body, now.
    #[must_use]
    pub fn new(body: T) -> Self {
        Self { body, trace: None, enqueued_at: Instant::now(), permit: None }
    }

    /// With the trace it belongs to.
    #[must_use]
    pub fn traced(mut self, trace: Option<TraceContext>) -> Self {
        self.trace = trace;
        self
    }

    /// With the credit it uses.
    #[must_use]
    pub fn with_permit(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// How long it has waited in the mailbox.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.enqueued_at.elapsed()
    }
}

/// Why an actor gave no answer. Both are worth a retry: its supervisor restarts it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It is not running just now: not started yet, stopped, or between two incarnations.
    #[error("{actor} is not running")]
    NotRunning { actor: Arc<str> },
    /// It ended before it answered; whether the request was carried out is unknown.
    #[error("{actor} ended before it answered")]
    Ended { actor: Arc<str> },
    /// No answer in time; the request may still be carried out.
    #[error("{actor} did not answer within {waited:?}")]
    Deadline { actor: Arc<str>, waited: Duration },
}

/// The address of one actor across its restarts. Cheap to clone.
pub struct Mailbox<M> {
    slot: Arc<Slot<M>>,
}

struct Slot<M> {
    actor: Arc<str>,
    target: ArcSwapOption<Target<M>>,
}

struct Target<M> {
    actor: ActorRef<M>,
    depth: Arc<AtomicU64>,
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone() }
    }
}

impl<M> std::fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mailbox({})", self.slot.actor)
    }
}

impl<M: Message> Mailbox<M> {
    /// An address nobody answers at yet.
    #[must_use]
    pub fn new(actor: &str) -> Self {
        Self { slot: Arc::new(Slot { actor: Arc::from(actor), target: ArcSwapOption::empty() }) }
    }

    /// The id of the actor behind it.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.slot.actor
    }

    /// Called by each incarnation in its `pre_start`: from now on messages go to it. Its [`Vitals`] count them.
    pub fn open(&self, myself: &ActorRef<M>, vitals: &Vitals) {
        let depth = vitals.new_mailbox();
        self.slot.target.store(Some(Arc::new(Target { actor: myself.clone(), depth })));
    }

    /// Puts a message into the mailbox. `Ok` means accepted, not handled: it is lost if the actor ends first.
    ///
    /// # Errors
    /// [`CallError::NotRunning`].
    pub fn tell(&self, message: M) -> Result<(), CallError> {
        let target = self.slot.target.load();
        let Some(target) = target.as_ref() else { return Err(self.not_running()) };
        target.depth.fetch_add(1, Ordering::Relaxed);
        target.actor.send_message(message).map_err(|_| {
            target.depth.fetch_sub(1, Ordering::Relaxed);
            self.not_running()
        })
    }

    /// Asks and waits for the answer, for at most `patience`.
    ///
    /// # Errors
    /// [`CallError`]: not running, ended before the answer, or no answer in time.
    pub async fn ask<R>(&self, patience: Duration, message: impl FnOnce(Answer<R>) -> M) -> Result<R, CallError> {
        let (answer, answered) = oneshot::channel();
        self.tell(message(Answer(answer)))?;
        match tokio::time::timeout(patience, answered).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(CallError::Ended { actor: self.slot.actor.clone() }),
            Err(_) => Err(CallError::Deadline { actor: self.slot.actor.clone(), waited: patience }),
        }
    }

    /// Puts a message into the mailbox after a wait; if nobody is there by then, it is dropped. Abort the handle to call it off.
    pub fn tell_after(&self, wait: Duration, message: M) -> JoinHandle<()> {
        let mailbox = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = mailbox.tell(message);
        })
    }

    fn not_running(&self) -> CallError {
        CallError::NotRunning { actor: self.slot.actor.clone() }
    }
}

/// Where an answer goes. Dropping it tells the caller that none will come.
#[derive(Debug)]
pub struct Answer<R>(oneshot::Sender<R>);

impl<R> Answer<R> {
    /// Answers; a caller that has given up is no error.
    pub fn give(self, value: R) {
        let _ = self.0.send(value);
    }

    /// Whether the caller has given up, so that the work can be spared.
    #[must_use]
    pub fn is_unwanted(&self) -> bool {
        self.0.is_closed()
    }
}
