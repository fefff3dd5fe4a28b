//! The sessions that this process had before, by identity.
//!
//! One that is over may still be about to join or to fence, and would then take from its successor what is the successor's. So a session
//! waits for it. One that lives is fenced, as anywhere else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::inbox::Inbox;

/// How long a session waits for its former one to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Held by each thread of a session, for as long as it runs.
pub(super) type Presence = watch::Sender<()>;

/// The last session of each identity.
#[derive(Default)]
pub(super) struct Formers(Mutex<BTreeMap<String, Former>>);

#[derive(Clone)]
struct Former {
    inbox: Weak<Inbox>,
    gone: watch::Receiver<()>,
}

impl Formers {
    /// Waits until the session that had this identity is gone, if it is over; then it is this one's.
    pub async fn succeed(&self, identity: &str, inbox: &Arc<Inbox>) -> Presence {
        let former = self.lock().get(identity).cloned();
        if let Some(mut former) = former
            && former.inbox.upgrade().is_none_or(|inbox| inbox.over().is_some())
        {
            // Nothing is ever sent: it returns when the last sender is gone.
            let _ = tokio::time::timeout(PATIENCE, former.gone.changed()).await;
        }
        let (presence, gone) = watch::channel(());
        self.lock().insert(identity.to_owned(), Former { inbox: Arc::downgrade(inbox), gone });
        presence
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Former>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogError;

    #[tokio::test(start_paused = true)]
    async fn who_is_over_is_waited_for_and_who_lives_is_not() {
        let formers = Formers::default();
        let [first, second, third] = [(); 3].map(|()| Arc::new(Inbox::default()));
        let presence = formers.succeed("a", &first).await;
        let begun = tokio::time::Instant::now();
        let other = formers.succeed("a", &second).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "the first lives");
        second.end(LogError::Closed);
        let ending = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(other);
        });
        formers.succeed("a", &third).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1), "the second was on its way out");
        ending.await.unwrap();
        drop(presence);
    }
}
