//! Merges calls that arrive while the database is busy into one statement, like group commit on a disk.
//!
//! ```text
//! ask ──► waiting ──► the next free turn takes all waiting calls ──► one statement, one commit ──► one answer per call
//! ```
//! A group runs in its own task: a caller that is dropped loses only its own answer. No call waits for others to join: if a turn
//! is free, the call runs at once, alone. Under load the group grows with the database's latency, and the cost of a statement and
//! its commit is shared (docs/adr/0010).

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use crate::store::{Store, StoreError};

/// Most calls of one group: enough to share the cost, and few enough that a group is far from its deadline.
const MOST: usize = 64;

/// A call that can be merged into one statement with others of its kind.
pub trait Batchable: Clone + Send + Sync + fmt::Debug + 'static {
    type Answer: Send + fmt::Debug + 'static;

    /// Keys that two calls of one group must not share; the later call waits for a later group.
    fn claims(&self) -> impl Iterator<Item = &str>;

    /// Runs them all in one statement: returns an answer for each, in their order; after an error nothing was done.
    fn run_together(store: &Store, calls: &[Self]) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;
}

/// Runs calls of one kind in groups.
#[derive(Debug)]
pub struct Batcher<C: Batchable> {
    waiting: Mutex<Vec<WaitingCall<C>>>,
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct WaitingCall<C: Batchable> {
    call: C,
    answer: oneshot::Sender<Result<C::Answer, StoreError>>,
}

impl<C: Batchable> Batcher<C> {
    /// A batcher that runs at most `turns` groups at once.
    pub fn new(turns: usize) -> Self {
        Self { waiting: Mutex::new(Vec::new()), turns: Arc::new(Semaphore::new(turns)) }
    }

    /// Runs the call, merged with any others that are waiting. The caller that gets a turn runs a group for all who wait. Its own
    /// call may be left for a later group, so it competes again until its call is answered.
    ///
    /// # Errors
    /// Those of the call. If PostgreSQL refused a group and rolled it back, each of its calls is repeated alone, and gets its
    /// own error.
    pub async fn ask(&self, store: &Store, call: C) -> Result<C::Answer, StoreError> {
        let (answer, mut answered) = oneshot::channel();
        self.lock().push(WaitingCall { call, answer });
        loop {
            tokio::select! {
                biased;
                // The group's task ended without an answer: whether the call took effect is unknown.
                answer = &mut answered => {
                    return answer.unwrap_or_else(|_| Err(StoreError::new("ask PostgreSQL", sqlx::Error::WorkerCrashed)));
                }
                Ok(turn) = self.turns.clone().acquire_owned() => {
                    let (store, group) = (store.clone(), self.take());
                    let made = tokio::spawn(async move {
                        serve(&store, group).await;
                        drop(turn);
                    });
                    let _ = made.await;
                }
            }
        }
    }

    /// The next group: all waiting calls, except those that share a claim with another call of the group.
    fn take(&self) -> Vec<WaitingCall<C>> {
        let mut waiting = self.lock();
        let mut claimed = HashSet::new();
        let mut group = Vec::new();
        let mut later = Vec::new();
        for next in waiting.drain(..).filter(|next| !next.answer.is_closed()) {
            let claims: Vec<String> = next.call.claims().map(str::to_owned).collect();
            if group.len() == MOST || claims.iter().any(|claim| claimed.contains(claim)) {
                later.push(next);
            } else {
                claimed.extend(claims);
                group.push(next);
            }
        }
        *waiting = later;
        group
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<WaitingCall<C>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a group in one statement or, if that was refused and rolled back, call by call.
async fn serve<C: Batchable>(store: &Store, group: Vec<WaitingCall<C>>) {
    let (calls, answers): (Vec<C>, Vec<_>) = group.into_iter().map(|waiting| (waiting.call, waiting.answer)).unzip();
    if calls.is_empty() {
        return;
    }
    match C::run_together(store, &calls).await {
        Ok(given) => {
            for (answer, given) in answers.into_iter().zip(given) {
                let _ = answer.send(Ok(given));
            }
        }
        Err(error) if calls.len() > 1 && error.is_undone() => {
            let alone = calls.iter().zip(answers).map(|(call, answer)| async move {
                let given = C::run_together(store, std::slice::from_ref(call)).await;
                let _ = answer.send(given.and_then(|mut given| given.pop().ok_or(StoreError::Contended { doing: "answer" })));
            });
            futures_util::future::join_all(alone).await;
        }
        Err(error) => {
            for answer in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}
