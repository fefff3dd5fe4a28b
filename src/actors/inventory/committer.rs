//! The committer: gathers the outputs of a batch's shards into one transaction, and hands it to the source for the commit.
//!
//! The source owns the session and runs the commit, so a commit under way does not depend on this actor. If the committer ends
//! while it gathers, its next incarnation reports that it has started, and the source gives the batch up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::batch::BatchId;
use super::news::{FeedNews, NotifySource};
use super::transaction::{GatheredOutputs, ShardOutput, Transaction};
use crate::actors::kit::{Answer, CallError, Mailbox};
use crate::actors::stats::Vitals;
use crate::log::PartitionId;

/// A message to the committer.
pub(crate) enum CommitterMsg {
    /// A batch was dispatched to these shards.
    Open {
        batch: BatchId,
        partitions: BTreeSet<PartitionId>,
    },
    Output(Box<ShardOutput>),
    /// The source is stopping: it takes this batch's transaction from the answer instead of a report.
    Drain {
        batch: BatchId,
        answer: Answer<Box<Transaction>>,
    },
}

/// The address of the committer. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct CommitterHandle(Mailbox<CommitterMsg>);

impl CommitterHandle {
    /// The address of a committer of this name.
    pub(crate) fn new(id: &str) -> Self {
        Self(Mailbox::new(id))
    }

    /// A batch was dispatched to these shards, which will deliver their outputs.
    pub(crate) fn open(&self, batch: BatchId, partitions: BTreeSet<PartitionId>) -> Result<(), CallError> {
        self.0.tell(CommitterMsg::Open { batch, partitions })
    }

    /// Delivers a shard's output.
    pub(crate) fn output(&self, output: ShardOutput) -> Result<(), CallError> {
        self.0.tell(CommitterMsg::Output(Box::new(output)))
    }

    /// Waits for the transaction of this batch, which is then not reported any more. [`CallError::Ended`] if it is not being
    /// gathered.
    pub(crate) async fn drain(&self, batch: BatchId, patience: Duration) -> Result<Box<Transaction>, CallError> {
        self.0.ask(patience, |answer| CommitterMsg::Drain { batch, answer }).await
    }
}

/// What the committer works with. Shared by its incarnations.
pub(crate) struct CommitterContext {
    pub handle: CommitterHandle,
    pub notify: NotifySource,
    pub vitals: Vitals,
}

/// The actor.
pub(crate) struct Committer(pub Arc<CommitterContext>);

/// What the committer keeps while it runs.
#[derive(Default)]
pub(crate) struct CommitterState {
    gathered: Option<GatheredOutputs>,
    drain: Option<Answer<Box<Transaction>>>,
}

impl Actor for Committer {
    type Msg = CommitterMsg;
    type State = CommitterState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<CommitterMsg>, (): ()) -> Result<CommitterState, ActorProcessingErr> {
        self.0.vitals.starting()?;
        self.0.handle.0.open(&myself, &self.0.vitals);
        Ok(CommitterState::default())
    }

    async fn post_start(&self, _myself: ActorRef<CommitterMsg>, _: &mut CommitterState) -> Result<(), ActorProcessingErr> {
        (self.0.notify)(FeedNews::CommitterUp);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<CommitterMsg>,
        message: CommitterMsg,
        state: &mut CommitterState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = self.0.vitals.begin(&myself).await?;
        match message {
            CommitterMsg::Open { batch, partitions } => {
                *state = CommitterState { gathered: Some(GatheredOutputs::new(batch, partitions)), drain: None };
            }
            CommitterMsg::Output(output) => self.gather(state, *output),
            CommitterMsg::Drain { batch, answer } => {
                // Dropping the answer says that the batch is not being gathered.
                state.drain = Some(answer).filter(|_| state.gathered.as_ref().is_some_and(|gathered| gathered.batch() == batch));
            }
        }
        Ok(())
    }
}

impl Committer {
    fn gather(&self, state: &mut CommitterState, output: ShardOutput) {
        let is_complete = state.gathered.as_mut().is_some_and(|gathered| gathered.add(output));
        let Some(complete) = state.gathered.take_if(|_| is_complete) else { return };
        let transaction = Box::new(Transaction::from(complete));
        match state.drain.take() {
            Some(answer) => answer.give(transaction),
            None => (self.0.notify)(FeedNews::Gathered(transaction)),
        }
    }
}
