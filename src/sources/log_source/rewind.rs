//! The way back to the committed positions, after a batch that was given up or a commit that failed.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::owned_partition::{OwnedPartition, ShardPhase};
use super::pending::PendingRecords;
use super::state::{LogSource, SourceMsg, SourceState};
use crate::bugs::{self, Bug};
use crate::log::{Batch, LogError, PartitionId, Session, TopicPartition};

impl LogSource {
    /// The open batch was given up: returns to the committed positions.
    pub(super) fn go_back(&self, state: &mut SourceState, wait: Duration) {
        state.rewinds += 1;
        state.pending = PendingRecords::default();
        state.checking = None;
        for (partition, owned) in &mut state.owned {
            owned.go_back();
            let _ = self.shard(*partition).map(|shard| shard.abandon());
        }
        state.rewind_wanted = (!bugs::is(Bug::RewindForgotten)).then_some(wait);
    }

    /// Rewinds the session once the poll under way has ended.
    pub(super) fn rewind(&self, state: &mut SourceState, session: Arc<dyn Session>, wait: Duration) {
        let (context, epoch) = (self.0.clone(), state.epoch);
        let partitions: Vec<PartitionId> = state.owned.keys().copied().collect();
        let corrected = |(partition, owned): (&PartitionId, &mut OwnedPartition)| {
            let partition = *partition;
            owned.take_corrected().into_iter().map(move |(topic, position)| (TopicPartition::new(topic, partition), position))
        };
        let corrections = Batch { positions: state.owned.iter_mut().flat_map(corrected).collect(), ..Batch::default() };
        let polling = state.polling.take();
        state.rewinding = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            if let Some((_, mut polling)) = polling {
                polling.abort();
                // Whether it ended or was aborted: its result, if any, is in the mailbox.
                let _ = (&mut polling).await;
            }
            tokio::time::sleep(wait).await;
            let result = go_back_to(&*session, corrections, &partitions).await;
            let _ = context.mailbox.tell(SourceMsg::Rewound { epoch, result });
        })));
    }

    pub(super) fn rewound(&self, state: &mut SourceState, result: Result<(), LogError>) {
        state.rewinding = None;
        if let Err(error @ (LogError::Fenced { .. } | LogError::Closed)) = &result {
            self.halt(state, error);
        } else if let Err(error) = result {
            let wait = self.wait_after(state, &error, "the inventory cannot rewind to its committed positions");
            self.open_session(state, wait);
        }
    }

    /// A commit failed. Only after an abort is it certain that nothing was written; after anything else the log assigns the
    /// partitions again.
    pub(super) fn commit_failed(&self, state: &mut SourceState, error: &LogError) {
        match error {
            LogError::Fenced { .. } | LogError::Closed => self.halt(state, error),
            LogError::Aborted(_) | LogError::Full { .. } | LogError::Unusable { .. } => {
                let wait = self.wait_after(state, error, "a commit was aborted; trying again");
                self.go_back(state, wait);
            }
            LogError::Unavailable(_)
            | LogError::Deadline { .. }
            | LogError::OutOfRange { .. }
            | LogError::UnknownTopic(_)
            | LogError::InUse { .. }
            | LogError::Refused(_) => {
                tracing::warn!(error = %error, "the outcome of a commit is unknown: the log will assign the partitions again");
                state.rewinds += 1;
                state.pending = PendingRecords::default();
                for (partition, owned) in &mut state.owned {
                    owned.go_back();
                    owned.shard = ShardPhase::Unclear;
                    let _ = self.shard(*partition).map(|shard| shard.abandon());
                }
            }
        }
    }
}

/// Commits the corrected positions, and rewinds to the committed ones.
async fn go_back_to(session: &dyn Session, corrections: Batch, partitions: &[PartitionId]) -> Result<(), LogError> {
    if !corrections.positions.is_empty() {
        session.commit(corrections).await?;
    }
    session.rewind(partitions).await
}
