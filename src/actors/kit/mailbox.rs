//! How messages reach an actor: an address that survives restarts for callers, and one of a single incarnation for its own tasks.
//!
//! Callers never see an `ActorRef`: after a restart the old one is dead for ever. They hold a [`Mailbox`] that each incarnation
//! of the actor opens when it starts. Typed handles (one per actor, with async methods) are thin layers over it. What the actor's
//! own tasks and timers hold is the mailbox that `open` returns: once its incarnation has ended, it takes nothing.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ractor::{ActorRef, Message};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::actors::message_times::MessageQueue;
use crate::actors::stats::Vitals;

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

/// The address of an actor, across its restarts or of one incarnation. Cheap to clone.
pub struct Mailbox<M> {
    address: Arc<Address<M>>,
}

struct Address<M> {
    actor: Arc<str>,
    target: ArcSwapOption<Incarnation<M>>,
}

struct Incarnation<M> {
    actor: ActorRef<M>,
    queue: Arc<MessageQueue>,
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone() }
    }
}

impl<M> std::fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mailbox({})", self.address.actor)
    }
}

impl<M: Message> Mailbox<M> {
    /// An address that no incarnation has opened yet.
    #[must_use]
    pub fn new(actor: &str) -> Self {
        Self { address: Arc::new(Address { actor: Arc::from(actor), target: ArcSwapOption::empty() }) }
    }

    /// The id of the actor behind it.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.address.actor
    }

    /// The mailbox of an incarnation that only its own tasks send to; for its `pre_start`.
    #[must_use]
    pub fn of_incarnation(myself: &ActorRef<M>, vitals: &Vitals) -> Self {
        Self::new(&vitals.entry().id).open(myself, vitals)
    }

    /// Called by each incarnation in its `pre_start`: from now on messages go to it, and its [`Vitals`] count them. Returns the
    /// mailbox of this incarnation alone, for its own tasks and timers.
    pub fn open(&self, myself: &ActorRef<M>, vitals: &Vitals) -> Self {
        let target = Arc::new(Incarnation { actor: myself.clone(), queue: vitals.new_mailbox() });
        self.address.target.store(Some(target.clone()));
        let (actor, target) = (self.address.actor.clone(), ArcSwapOption::new(Some(target)));
        Self { address: Arc::new(Address { actor, target }) }
    }

    /// Puts a message into the mailbox. `Ok` means accepted, not handled: it is lost if the actor ends first.
    ///
    /// # Errors
    /// [`CallError::NotRunning`].
    pub fn tell(&self, message: M) -> Result<(), CallError> {
        let target = self.address.target.load();
        let Some(target) = target.as_ref() else { return Err(self.not_running()) };
        target.queue.add();
        target.actor.send_message(message).map_err(|_| {
            target.queue.refused();
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
            Ok(Err(_)) => Err(CallError::Ended { actor: self.address.actor.clone() }),
            Err(_) => Err(CallError::Deadline { actor: self.address.actor.clone(), waited: patience }),
        }
    }

    /// Puts a message into the mailbox after a wait; if no actor is running by then, it is dropped. Abort the handle to call it
    /// off.
    pub fn tell_after(&self, wait: Duration, message: M) -> JoinHandle<()> {
        let mailbox = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = mailbox.tell(message);
        })
    }

    fn not_running(&self) -> CallError {
        CallError::NotRunning { actor: self.address.actor.clone() }
    }
}

/// Where an answer goes. If it is dropped, the caller learns that none will come.
#[derive(Debug)]
pub struct Answer<R>(oneshot::Sender<R>);

impl<R> Answer<R> {
    /// Answers; a caller that has given up is no error.
    pub fn give(self, value: R) {
        let _ = self.0.send(value);
    }
}

#[cfg(test)]
mod tests {
    use ractor::Actor;

    use super::*;
    use crate::actors::faults::FaultBoard;
    use crate::actors::stats::Directory;
    use crate::actors::supervision::ActorKind;

    /// Answers with what it was asked; the first incarnation's own mailbox is handed out.
    struct Echo {
        mailbox: Mailbox<Answer<u32>>,
        vitals: Vitals,
    }

    impl Actor for Echo {
        type Msg = Answer<u32>;
        type State = u32;
        type Arguments = (u32, oneshot::Sender<Mailbox<Answer<u32>>>);

        async fn pre_start(
            &self,
            myself: ActorRef<Answer<u32>>,
            (number, own): Self::Arguments,
        ) -> Result<u32, ractor::ActorProcessingErr> {
            let _ = own.send(self.mailbox.open(&myself, &self.vitals));
            Ok(number)
        }

        async fn handle(
            &self,
            _myself: ActorRef<Answer<u32>>,
            answer: Answer<u32>,
            number: &mut u32,
        ) -> Result<(), ractor::ActorProcessingErr> {
            let _handling = self.vitals.handling();
            answer.give(*number);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_late_message_of_an_ended_incarnation_does_not_reach_the_next() {
        const PATIENCE: Duration = Duration::from_secs(30);
        let vitals = Directory::default().vitals(ActorKind::Shard, "echo", &FaultBoard::default());
        let mailbox = Mailbox::new("echo");
        let start = async |number| {
            let (own, opened) = oneshot::channel();
            let echo = Echo { mailbox: mailbox.clone(), vitals: vitals.clone() };
            let (actor, _) = Actor::spawn(None, echo, (number, own)).await.unwrap();
            (actor, opened.await.unwrap())
        };
        let (first, own) = start(1).await;
        assert_eq!((mailbox.ask(PATIENCE, |answer| answer).await, own.ask(PATIENCE, |answer| answer).await), (Ok(1), Ok(1)));
        first.stop_and_wait(None, None).await.unwrap();
        let (_second, _) = start(2).await;
        assert_eq!(mailbox.ask(PATIENCE, |answer| answer).await, Ok(2));
        let late = own.ask(PATIENCE, |answer| answer).await;
        assert_eq!(late, Err(CallError::NotRunning { actor: Arc::from("echo") }));
        assert_eq!(vitals.entry().depth(), 0, "what was refused does not count as waiting");
    }
}
