//! When an actor started and ended, across its incarnations.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::kinds::EndCause;
use crate::clock::whole_ms;
use crate::wire::console::actor::ActorEnd;
use crate::wire::invalid::shortened;

/// Ends of an actor that are remembered.
pub(super) const ENDS_KEPT: usize = 20;

/// When the actor started and ended.
#[derive(Debug, Default)]
pub(super) struct History {
    /// When it last started or ended.
    changed: Option<Instant>,
    /// When it ended, while no successor runs; a stop on purpose is no end.
    down_since: Option<Instant>,
    /// From that end to its successor's start, the last time.
    last_recovery: Option<Duration>,
    /// The newest at the back.
    ends: VecDeque<PastEnd>,
}

#[derive(Debug)]
struct PastEnd {
    cause: EndCause,
    reason: Option<String>,
    incarnation: u64,
    at: Instant,
    recovery: Option<Duration>,
}

impl History {
    /// A start that fails prolongs what began with the end before it.
    pub fn ends(&mut self, cause: EndCause, reason: Option<&str>, incarnation: u64) {
        let now = Instant::now();
        self.changed = Some(now);
        self.down_since = if cause == EndCause::Stopped { None } else { self.down_since.or(Some(now)) };
        if self.ends.len() == ENDS_KEPT {
            self.ends.pop_front();
        }
        self.ends.push_back(PastEnd { cause, reason: reason.map(shortened), incarnation, at: now, recovery: None });
    }

    pub fn starts(&mut self) {
        self.changed = Some(Instant::now());
        if let Some(since) = self.down_since.take() {
            let away = since.elapsed();
            self.last_recovery = Some(away);
            self.ends.back_mut().into_iter().for_each(|end| end.recovery = Some(away));
        }
    }

    /// Whether it ended and has no successor yet.
    pub fn is_down(&self) -> bool {
        self.down_since.is_some()
    }

    /// Since when it runs, or does not; `None` if it was never started.
    pub fn since(&self) -> Option<Duration> {
        self.changed.map(|changed| changed.elapsed())
    }

    /// From its last end to the start of its successor.
    pub fn last_recovery(&self) -> Option<Duration> {
        self.last_recovery
    }

    /// Its last ends, the newest first.
    pub fn last_ends(&self, limit: usize) -> Vec<ActorEnd> {
        self.ends.iter().rev().take(limit).map(PastEnd::report).collect()
    }
}

impl PastEnd {
    fn report(&self) -> ActorEnd {
        ActorEnd {
            cause: self.cause.as_str(),
            reason: self.reason.clone(),
            incarnation: self.incarnation,
            ago_ms: whole_ms(self.at.elapsed()),
            recovery_us: self.recovery.map(whole_us),
        }
    }
}

/// In whole microseconds.
pub(super) fn whole_us(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
