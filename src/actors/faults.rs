//! The fault board: where drills say which fault strikes which actor, and what actors check before they handle a message.
//!
//! Costs one relaxed load per message while nothing is armed. The operators' routes decide who may arm faults. A fault strikes at
//! the start of a message, with the mailbox behind it still full; an injected panic or error is therefore never the failure of a
//! command. The one exception is the target `order/<orderId>`, which strikes while that order's item is handled.

use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ractor::{ActorCell, ActorProcessingErr};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::kinds::ActorKind;

/// Target of `slow` faults that hold commits open; the log is no actor.
pub const EVENT_LOG: &str = "event-log";
/// How much longer a `slow` actor takes per message.
pub const SLOWNESS: Duration = Duration::from_millis(100);

/// What happens to the actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// Killed without notice, half-way.
    Kill,
    /// Its handler panics.
    Panic,
    /// Its handler returns an error.
    Error,
    /// Its handler never returns; the watchdog ends it.
    Hang,
    /// Its handler takes [`SLOWNESS`] longer.
    Slow,
    /// Its `pre_start` fails.
    Start,
}

/// What a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every actor of a kind.
    Kind(ActorKind),
    /// One actor by its id: `committer`, `shard/3`, `role/inventory`.
    Actor(String),
    /// One product's actor: `product/PROD_0001`.
    Product(String),
    /// Whichever product handles an item of this order: `order/<orderId>`.
    Order(String),
}

impl FromStr for Target {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match (ActorKind::parse(text), text.split_once('/')) {
            (Some(kind), _) => Self::Kind(kind),
            (None, Some(("product", id))) => Self::Product(id.to_owned()),
            (None, Some(("order", id))) => Self::Order(id.to_owned()),
            (None, _) => Self::Actor(text.to_owned()),
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kind(kind) => f.write_str(kind.as_str()),
            Self::Actor(id) => f.write_str(id),
            Self::Product(id) => write!(f, "product/{id}"),
            Self::Order(id) => write!(f, "order/{id}"),
        }
    }
}

/// An actor that is about to handle a message. A product's id is its product id alone.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    pub kind: ActorKind,
    pub id: &'a str,
}

/// A fault that waits for its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Armed {
    pub target: Target,
    pub fault: Fault,
    /// Strikes that are left.
    pub count: u64,
    pub until: Instant,
}

/// The actors that run, as far as faults need them.
pub trait Living {
    /// Kills the actor of this id; false if none is running.
    fn kill(&self, id: &str) -> bool;
}

/// The error that an injected fault gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("injected error: {0}")]
pub struct InjectedError(String);

/// The armed faults of this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct FaultBoard(Arc<ArmedFaults>);

#[derive(Debug, Default)]
struct ArmedFaults {
    armed: AtomicUsize,
    faults: Mutex<Vec<Armed>>,
}

impl FaultBoard {
    /// Arms a fault for `count` strikes within `ttl`.
    pub fn arm(&self, target: Target, fault: Fault, count: u64, ttl: Duration) {
        let mut faults = self.0.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(Armed { target, fault, count, until: Instant::now() + ttl });
        self.0.armed.store(faults.len(), Ordering::Relaxed);
    }

    /// Arms a fault; a kill strikes a living actor of that id at once, even if it is idle. Returns how many were struck at once.
    pub fn inject(&self, living: &impl Living, target: Target, fault: Fault, count: u64, ttl: Duration) -> u64 {
        let id = match &target {
            Target::Actor(id) => Some(id.as_str()),
            // An actor that is the only one of its kind is named after it.
            Target::Kind(kind) => Some(kind.as_str()),
            Target::Product(_) | Target::Order(_) => None,
        };
        let strikes = fault == Fault::Kill && count > 0;
        let idle_kill = id.filter(|_| strikes).is_some_and(|id| living.kill(id));
        let struck = u64::from(idle_kill);
        if count > struck {
            self.arm(target, fault, count - struck, ttl);
        }
        struck
    }

    /// Disarms all faults; returns how many there were. An actor that hangs already is ended by the watchdog.
    pub fn clear(&self) -> usize {
        let mut faults = self.0.faults.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.armed.store(0, Ordering::Relaxed);
        let count = faults.len();
        faults.clear();
        count
    }

    /// The faults that are still armed.
    #[must_use]
    pub fn list(&self) -> Vec<Armed> {
        let mut faults = self.0.faults.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.forget_spent(&mut faults);
        faults.clone()
    }

    /// Whether anything is armed at all.
    #[inline]
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.0.armed.load(Ordering::Relaxed) != 0
    }

    /// Lets an armed fault strike this actor: returns at once, late, never, with an error, or not at all.
    ///
    /// # Errors
    /// The injected error, to be passed on with `?`.
    #[expect(clippy::panic, reason = "an injected panic is what was asked for")]
    pub async fn strike(&self, who: &Who<'_>, myself: &ActorCell) -> Result<(), ActorProcessingErr> {
        match self.take(|armed| armed.fault != Fault::Start && armed.target.is(who)) {
            None | Some(Fault::Start) => Ok(()),
            Some(Fault::Kill) => {
                myself.kill();
                std::future::pending().await
            }
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Panic) => panic!("injected panic"),
            Some(Fault::Error) => Err(InjectedError("as asked".to_owned()).into()),
            Some(Fault::Slow) => {
                tokio::time::sleep(SLOWNESS).await;
                Ok(())
            }
        }
    }

    /// Lets an armed `start` fault strike this actor.
    ///
    /// # Errors
    /// The injected failure.
    pub fn strike_start(&self, who: &Who<'_>) -> Result<(), ActorProcessingErr> {
        let struck = self.is_armed() && self.take(|armed| armed.fault == Fault::Start && armed.target.is(who)).is_some();
        if struck { Err(InjectedError("the start fails as asked".to_owned()).into()) } else { Ok(()) }
    }

    /// How long the event log is to hold its next commit open: a `slow` fault on `event-log`, which is no actor.
    #[must_use]
    pub fn hold_commit(&self) -> Option<Duration> {
        let slow = |armed: &Armed| armed.fault == Fault::Slow && matches!(&armed.target, Target::Actor(id) if id == EVENT_LOG);
        (self.is_armed() && self.take(slow).is_some()).then_some(SLOWNESS)
    }

    /// Lets an armed fault strike while an item of this order is handled.
    ///
    /// # Errors
    /// The injected error, to be passed on with `?`.
    #[expect(clippy::panic, reason = "an injected panic is what was asked for")]
    pub fn strike_order(&self, order_id: &str) -> Result<(), ActorProcessingErr> {
        match self.take(|armed| matches!(&armed.target, Target::Order(id) if id == order_id)) {
            Some(Fault::Panic) => panic!("injected panic on order {order_id}"),
            Some(Fault::Error) => Err(InjectedError(format!("on order {order_id}")).into()),
            None | Some(Fault::Kill | Fault::Hang | Fault::Slow | Fault::Start) => Ok(()),
        }
    }

    fn take(&self, fits: impl Fn(&Armed) -> bool) -> Option<Fault> {
        let mut faults = self.0.faults.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.forget_spent(&mut faults);
        let struck = faults.iter_mut().find(|armed| fits(armed))?;
        struck.count -= 1;
        let fault = struck.fault;
        self.0.forget_spent(&mut faults);
        Some(fault)
    }
}

impl ArmedFaults {
    fn forget_spent(&self, faults: &mut Vec<Armed>) {
        let now = Instant::now();
        faults.retain(|armed| armed.count > 0 && armed.until > now);
        self.armed.store(faults.len(), Ordering::Relaxed);
    }
}

impl Target {
    fn is(&self, who: &Who<'_>) -> bool {
        match self {
            Self::Kind(kind) => *kind == who.kind,
            Self::Actor(id) => who.kind != ActorKind::Product && id == who.id,
            Self::Product(id) => who.kind == ActorKind::Product && id == who.id,
            Self::Order(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_the_contract_writes_them() {
        for (text, target) in [
            ("product", Target::Kind(ActorKind::Product)),
            ("shard/3", Target::Actor("shard/3".to_owned())),
            ("product/PROD_0001", Target::Product("PROD_0001".to_owned())),
            ("committer", Target::Kind(ActorKind::Committer)),
            ("order/a/b", Target::Order("a/b".to_owned())),
        ] {
            assert_eq!(Target::from_str(text).unwrap(), target);
            assert_eq!(target.to_string(), text);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn strikes_as_often_and_as_long_as_it_was_armed() {
        let board = FaultBoard::default();
        let shard = Who { kind: ActorKind::Shard, id: "shard/3" };
        assert!(!board.is_armed());
        board.arm(Target::Actor("shard/3".to_owned()), Fault::Start, 2, Duration::from_secs(10));
        assert!(board.strike_start(&Who { kind: ActorKind::Shard, id: "shard/2" }).is_ok());
        assert!(board.strike_start(&shard).is_err());
        assert!(board.strike_start(&shard).is_err());
        assert!(board.strike_start(&shard).is_ok());
        assert!(!board.is_armed(), "a spent fault leaves the fast path free");

        board.arm(Target::Kind(ActorKind::Shard), Fault::Start, 9, Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(board.strike_start(&shard).is_ok());
        assert!(board.list().is_empty());
    }
}
