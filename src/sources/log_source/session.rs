//! The session's life: it is opened, loses partitions, and ends when another process takes our identity.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::state::{FirstOffsets, LogSource, OpenedSession, SourceContext, SourceMsg, SourceState};
use crate::log::LogError;

impl LogSource {
    /// Starts over with a new session, which fences the old one; the log then assigns the partitions again.
    pub(super) fn open_session(&self, state: &mut SourceState, wait: Duration) {
        for partition in state.owned.keys() {
            // A shard that is not running has nothing to abandon.
            let _ = self.shard(*partition).map(|shard| shard.abandon());
        }
        let (epoch, rewinds, failures) = (state.epoch + 1, state.rewinds + 1, std::mem::take(&mut state.failures));
        *state = SourceState { epoch, rewinds, failures, bootstrap: state.bootstrap.take(), ..SourceState::default() };
        self.metrics.assigned.store(0, Ordering::Relaxed);
        let context = self.0.clone();
        state.opening = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let result = open(&context).await;
            let _ = context.mailbox.tell(SourceMsg::Opened { epoch, result });
        })));
    }

    pub(super) fn opened(&self, state: &mut SourceState, result: Result<OpenedSession, LogError>) {
        state.opening = None;
        match result {
            Ok(OpenedSession { session, first }) => {
                state.session = Some(session);
                state.first = first;
            }
            Err(error @ LogError::Fenced { .. }) => self.halt(state, &error),
            Err(error) => {
                let wait = self.wait_after(state, &error, "the inventory cannot open its session on the event log");
                self.open_session(state, wait);
            }
        }
    }

    /// Releases the partitions that now belong to another process.
    pub(super) fn release_leaving(&self, state: &mut SourceState) {
        if state.leaving.is_empty() {
            return;
        }
        for partition in std::mem::take(&mut state.leaving) {
            state.owned.remove(&partition);
            state.pending.forget(partition);
            let _ = self.shard(partition).map(|shard| shard.release());
        }
        self.metrics.assigned.store(state.owned.len(), Ordering::Relaxed);
    }

    /// Another process has our identity, or the log is closed: continuing would only fence the other process in turn.
    pub(super) fn halt(&self, state: &mut SourceState, error: &LogError) {
        tracing::error!(error = %error, "the inventory stands still");
        if matches!(error, LogError::Fenced { .. }) {
            let why = format!(
                "{error}: another process uses the same instance name. Give each process its own KARTSHOPPE__INSTANCE, or leave \
                 that out and give each its own KARTSHOPPE__DATA_DIR, then start this one again"
            );
            self.metrics.trouble.store(Some(Arc::new(why.clone())));
            self.fenced.send_replace(Some(why));
        } else {
            self.metrics.trouble.store(Some(Arc::new(format!("the inventory stands still: {error}"))));
        }
        for partition in state.owned.keys() {
            let _ = self.shard(*partition).map(|shard| shard.release());
        }
        *state = SourceState { epoch: state.epoch + 1, halted: true, ..SourceState::default() };
        self.metrics.assigned.store(0, Ordering::Relaxed);
    }

    /// Logs the error and returns the wait before the next attempt.
    pub(super) fn wait_after(&self, state: &mut SourceState, error: &LogError, what: &'static str) -> Duration {
        tracing::warn!(error = %error, "{what}");
        self.metrics.trouble.store(Some(Arc::new(format!("{what}: {error}"))));
        state.failures.next_wait(&self.supervision.restart, Instant::now(), rand::random())
    }
}

async fn open(context: &SourceContext) -> Result<OpenedSession, LogError> {
    let session = Arc::from(context.log.session(context.session.clone()).await?);
    let mut first = FirstOffsets::new();
    for info in context.log.topics().await? {
        let Some(input) = info.topic.as_input() else { continue };
        for (partition, range) in (0..).zip(info.partitions) {
            first.entry(partition).or_default()[input] = range.start;
        }
    }
    Ok(OpenedSession { session, first })
}
