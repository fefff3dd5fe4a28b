//! Whether a member or writer that the brokers refuse has a rival: another process with its identity.
//!
//! Two absences look the same. A broker that comes back answers while it still reads its past, where an earlier incarnation of
//! the refused member is alive; and a process that was frozen for longer than its group waits finds that the group went on
//! without it. Neither is a rival: the session only has to make its clients again (docs/adr/0008).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::super::options::SESSION_TIMEOUT;

/// After this a broker that came back has read its past, and its groups have met all their members.
const EXCUSED_FOR: Duration = Duration::from_secs(60);
/// Member and writer of one session are refused for the same absence within this time; the session makes its clients again after
/// it.
const SAME_ABSENCE: Duration = Duration::from_secs(5);

/// When brokers and this process were away.
#[derive(Debug, Default)]
pub(in crate::log::kafka) struct Rivals(Mutex<Absences>);

#[derive(Debug, Default)]
struct Absences {
    /// When a broker last could not be reached.
    broker: Option<Instant>,
    /// When this process came back from being frozen.
    process: Option<Instant>,
    /// The first refusal since then.
    refused: Option<Instant>,
    /// The last poll of any member.
    polled: Option<Instant>,
}

impl Absences {
    /// A member that did not poll for longer than its group waits was frozen.
    fn poll(&mut self, now: Instant) {
        let before = self.polled.replace(now);
        if before.is_some_and(|before| now.duration_since(before) > SESSION_TIMEOUT) {
            (self.process, self.refused) = (Some(now), None);
        }
    }

    fn excuse_by_broker(&self, now: Instant) -> bool {
        is_recent(self.broker, now)
    }

    fn excuse_by_process(&self, now: Instant) -> bool {
        is_recent(self.process, now) && self.refused.is_none_or(|first| now.duration_since(first) < SAME_ABSENCE)
    }
}

fn is_recent(absence: Option<Instant>, now: Instant) -> bool {
    absence.is_some_and(|at| now.duration_since(at) < EXCUSED_FOR)
}

impl Rivals {
    /// A broker could not be reached.
    pub fn broker_unreachable(&self) {
        self.absences().broker = Some(Instant::now());
    }

    /// A member polls, which it does many times a second.
    pub fn member_polled(&self) {
        self.absences().poll(Instant::now());
    }

    /// Notes that a member or writer was refused as if another process had its identity. An absence of a broker excuses every
    /// refusal of the next minute; an absence of this process excuses this one and those that follow within seconds.
    pub fn note_refusal(&self) {
        let (mut absences, now) = (self.absences(), Instant::now());
        // The refusal may come before the first poll after a freeze.
        if absences.polled.is_some() {
            absences.poll(now);
        }
        if !absences.excuse_by_broker(now) && is_recent(absences.process, now) {
            absences.refused.get_or_insert(now);
        }
    }

    /// Whether a refusal of now comes from another process. Asking changes nothing; see [`Self::note_refusal`].
    pub fn is_likely(&self) -> bool {
        let (absences, now) = (self.absences(), Instant::now());
        !absences.excuse_by_broker(now) && !absences.excuse_by_process(now)
    }

    fn absences(&self) -> MutexGuard<'_, Absences> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_by_a_rival(rivals: &Rivals) -> bool {
        rivals.note_refusal();
        rivals.is_likely()
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_was_away_excuses_for_a_while() {
        let rivals = Rivals::default();
        assert!(refused_by_a_rival(&rivals));
        rivals.broker_unreachable();
        tokio::time::advance(EXCUSED_FOR / 2).await;
        assert!(!refused_by_a_rival(&rivals));
        assert!(!refused_by_a_rival(&rivals), "the broker still reads its past");
        tokio::time::advance(EXCUSED_FOR / 2).await;
        assert!(refused_by_a_rival(&rivals), "a refusal after that is a real conflict");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_frozen_is_excused_once() {
        let rivals = Rivals::default();
        rivals.member_polled();
        tokio::time::advance(SESSION_TIMEOUT / 2).await;
        assert!(refused_by_a_rival(&rivals), "the group waits for that long");
        tokio::time::advance(SESSION_TIMEOUT * 2).await;
        assert!(!refused_by_a_rival(&rivals), "frozen, and refused before the member polls again");
        tokio::time::advance(SESSION_TIMEOUT * 2).await;
        rivals.member_polled();
        tokio::time::advance(SESSION_TIMEOUT / 2).await;
        rivals.member_polled();
        assert!(!refused_by_a_rival(&rivals), "frozen, and refused after the member polled again");
        assert!(!refused_by_a_rival(&rivals), "the writer of the same session is refused for the same absence");
        tokio::time::advance(SAME_ABSENCE).await;
        assert!(refused_by_a_rival(&rivals), "a refusal after that is a real conflict");
    }

    #[tokio::test(start_paused = true)]
    async fn asking_uses_no_excuse_up() {
        let rivals = Rivals::default();
        rivals.member_polled();
        tokio::time::advance(SESSION_TIMEOUT * 2).await;
        rivals.member_polled();
        for _ in 0..3 {
            assert!(!rivals.is_likely(), "nothing was refused yet");
            tokio::time::advance(SAME_ABSENCE).await;
            rivals.member_polled();
        }
        assert!(!refused_by_a_rival(&rivals), "the first refusal since the freeze");
    }
}
