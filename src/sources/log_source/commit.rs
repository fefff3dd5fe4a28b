//! The commit of a gathered batch, in a task of the source: the session is the source's.

use std::sync::Arc;
use std::time::Duration;

use super::state::{LogSource, SourceContext, SourceMsg, SourceState};
use crate::actors::inventory::Transaction;
use crate::actors::inventory::batch::BatchId;
use crate::actors::inventory::batch_state::DispatchedBatch;
use crate::actors::supervision::Restarts;
use crate::log::{LogError, Positions, Session};

/// A stop waits this long for the batch under way to be committed.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

impl LogSource {
    /// All outputs of a batch are gathered: commits them, unless the batch was given up.
    pub(super) fn gathered(&self, state: &mut SourceState, transaction: Transaction) {
        let Some(session) = state.session.clone() else { return };
        if state.batch.begin_commit(transaction.batch) {
            state.committing = Some(tokio::spawn(commit(self.0.clone(), session, transaction)));
        }
    }

    /// The commit of a batch has returned.
    pub(super) fn committed(&self, state: &mut SourceState, batch: BatchId, result: Result<Positions, LogError>) {
        let Some(dispatched) = state.batch.settle(batch) else { return };
        state.committing = None;
        match result {
            Ok(positions) => self.take_over(state, dispatched, positions),
            Err(error) => self.commit_failed(state, &error),
        }
    }

    /// Notes the committed positions, and how far the bootstrap file is needed.
    fn take_over(&self, state: &mut SourceState, dispatched: DispatchedBatch, positions: Positions) {
        state.failures = Restarts::default();
        self.metrics.trouble.store(None);
        for (partition, position) in positions {
            if let Some(owned) = state.owned.get_mut(&partition.partition) {
                owned.committed.insert(partition.topic, position);
            }
        }
        for (partition, part) in dispatched.parts {
            if let Some(owned) = state.owned.get_mut(&partition) {
                owned.part_committed(&part);
            }
        }
    }

    /// Commits the batch under way before the source stops. What is not committed in time is read again by the partition's next
    /// owner.
    pub(super) async fn drain(&self, state: &mut SourceState) {
        let batch = state.batch.gathering();
        let work = async {
            if let Some(committing) = &mut state.committing {
                let _ = committing.await;
            } else if let (Some(batch), Some(session)) = (batch, state.session.clone())
                && let Ok(transaction) = self.committer.drain(batch, DRAIN_PATIENCE).await
            {
                commit(self.0.clone(), session, *transaction).await;
            }
        };
        let _ = tokio::time::timeout(DRAIN_PATIENCE, work).await;
    }
}

/// Commits a transaction, and notifies its shards and the source. Shards that have restarted meanwhile restore from the log,
/// which has it.
async fn commit(context: Arc<SourceContext>, session: Arc<dyn Session>, transaction: Transaction) {
    let (batch, partitions) = (transaction.batch, transaction.partitions.clone());
    let result = transaction.commit(&*session, &context.clock, &context.metrics).await;
    if result.is_ok() {
        for partition in partitions {
            let _ = context.shard(partition).map(|shard| shard.committed(batch));
        }
    }
    let _ = context.mailbox.tell(SourceMsg::Committed { batch, result });
}
