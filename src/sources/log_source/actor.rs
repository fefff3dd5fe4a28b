//! The source as an actor: which method handles which message, and what it does next.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::owned_partition::OwnedPartition;
use super::state::{LogSource, SourceMsg, SourceState};
use crate::actors::inventory::FeedNews;
use crate::log::PartitionId;

impl Actor for LogSource {
    type Msg = SourceMsg;
    type State = SourceState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<SourceMsg>, (): ()) -> Result<SourceState, ActorProcessingErr> {
        self.vitals.starting()?;
        self.mailbox.open(&myself, &self.vitals);
        Ok(SourceState::default())
    }

    async fn post_start(&self, _myself: ActorRef<SourceMsg>, state: &mut SourceState) -> Result<(), ActorProcessingErr> {
        self.open_session(state, Duration::ZERO);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<SourceMsg>,
        message: SourceMsg,
        state: &mut SourceState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = self.vitals.begin(&myself).await?;
        match message {
            SourceMsg::Opened { epoch, result } if epoch == state.epoch => self.opened(state, result),
            SourceMsg::Polled { epoch, rewinds, poll, result } if epoch == state.epoch => {
                self.polled(state, rewinds, poll, result);
            }
            SourceMsg::Rewound { epoch, result } if epoch == state.epoch => self.rewound(state, result),
            SourceMsg::RemindersChecked { rewinds, result } if rewinds == state.rewinds => self.reminders_checked(state, result),
            SourceMsg::Opened { .. }
            | SourceMsg::Polled { .. }
            | SourceMsg::Rewound { .. }
            | SourceMsg::RemindersChecked { .. } => {}
            SourceMsg::Committed { batch, result } => self.committed(state, batch, result),
            SourceMsg::BootstrapRead(file) => self.bootstrap_read(state, file),
            SourceMsg::News(news) => self.news(state, news),
        }
        self.advance(state);
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<SourceMsg>, state: &mut SourceState) -> Result<(), ActorProcessingErr> {
        state.polling = None;
        self.drain(state).await;
        if let Some(session) = state.session.take() {
            session.close().await?;
        }
        Ok(())
    }
}

impl LogSource {
    fn news(&self, state: &mut SourceState, news: FeedNews) {
        match news {
            FeedNews::ShardUp { partition } => self.shard_up(state, partition),
            FeedNews::Restored { partition, attempt, resume_at } => {
                let has_file = self.bootstrap_file.is_some();
                if let Some(owned) = state.owned.get_mut(&partition) {
                    owned.restored(attempt, resume_at, has_file);
                }
            }
            FeedNews::CommitterUp => {
                // A commit that is under way needs no committer.
                if state.batch.give_up() {
                    self.go_back(state, Duration::ZERO);
                }
            }
            FeedNews::Gathered(transaction) => self.gathered(state, *transaction),
        }
    }

    /// A shard has started: its part of the batch is lost, and its states must be read.
    fn shard_up(&self, state: &mut SourceState, partition: PartitionId) {
        let Some(owned) = state.owned.get_mut(&partition) else { return };
        owned.must_restore();
        // If the batch's commit is under way, that decides.
        if state.batch.give_up_part_of(partition) {
            self.go_back(state, Duration::ZERO);
        }
    }

    /// Starts everything that can be done now. Called after every message.
    fn advance(&self, state: &mut SourceState) {
        let Some(session) = state.session.clone() else { return };
        if state.halted || state.rewinding.is_some() {
            return;
        }
        if state.batch.is_settled() {
            if state.owned.values().any(OwnedPartition::must_go_back) {
                self.go_back(state, Duration::ZERO);
            }
            self.release_leaving(state);
            if let Some(wait) = state.rewind_wanted.take() {
                return self.rewind(state, session, wait);
            }
            self.restore_shards(state);
            self.dispatch(state);
        }
        self.poll(state, session);
        self.check_reminders(state);
    }
}
