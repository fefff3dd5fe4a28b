//! The sessions that this process had before, by identity.
//!
//! The threads of a session that is over may still be about to join the group or to fence, and would then take partitions from
//! the successor of their identity. So a new session waits for them to end. A session that is still open is fenced, as anywhere
//! else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::super::inbox::Inbox;

/// How long a session waits for the previous one to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Held by each thread of a session, for as long as it runs.
pub(in crate::log::kafka) type Presence = watch::Sender<()>;

/// The last session of each identity.
#[derive(Default)]
pub(in crate::log::kafka) struct PreviousSessions(Mutex<BTreeMap<String, PreviousSession>>);

#[derive(Clone)]
struct PreviousSession {
    inbox: Weak<Inbox>,
    ended: watch::Receiver<()>,
}

impl PreviousSessions {
    /// Takes the identity for a new session. If the one that had it is over, waits until its threads have ended.
    pub async fn succeed(&self, identity: &str, inbox: &Arc<Inbox>) -> Presence {
        let previous = self.lock().get(identity).cloned();
        if let Some(mut previous) = previous
            && previous.inbox.upgrade().is_none_or(|inbox| inbox.over().is_some())
        {
            // Nothing is ever sent: this returns when the last sender is dropped.
            let _ = tokio::time::timeout(PATIENCE, previous.ended.changed()).await;
        }
        let (presence, ended) = watch::channel(());
        self.lock().insert(identity.to_owned(), PreviousSession { inbox: Arc::downgrade(inbox), ended });
        presence
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, PreviousSession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogError;

    #[tokio::test(start_paused = true)]
    async fn a_session_that_is_over_is_waited_for_and_an_open_one_is_not() {
        let sessions = PreviousSessions::default();
        let [first, second, third] = [(); 3].map(|()| Arc::new(Inbox::default()));
        let presence = sessions.succeed("a", &first).await;
        let begun = tokio::time::Instant::now();
        let other = sessions.succeed("a", &second).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "the first is open");
        second.end(LogError::Closed);
        let ending = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(other);
        });
        sessions.succeed("a", &third).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1), "the second was about to end");
        ending.await.unwrap();
        drop(presence);
    }
}
