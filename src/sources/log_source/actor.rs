//! The source as an actor: which method handles which message, and what it does next.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::owned_partition::OwnedPartition;
use super::pending::OpenBatch;
use super::state::{LogSource, SourceMsg, SourceState};
use crate::actors::inventory::{FeedNews, Settled};
use crate::actors::supervision::Restarts;
use crate::log::PartitionId;

/// A stop waits this long for the batch under way to be committed.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

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
            SourceMsg::BootstrapRead(file) => self.bootstrap_read(state, file),
            SourceMsg::News(news) => self.news(state, news),
        }
        self.advance(state);
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<SourceMsg>, state: &mut SourceState) -> Result<(), ActorProcessingErr> {
        state.polling = None;
        if let Some(open) = &state.open {
            // What is not committed by then is read again by the partition's next owner.
            let _ = tokio::time::timeout(DRAIN_PATIENCE, self.committer.settled(open.batch)).await;
        }
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
            FeedNews::CommitterUp { committing } => {
                // What it gathered is lost; a commit that is under way continues without it.
                if let Some(open) = state.open.take_if(|open| committing != Some(open.batch)) {
                    self.settled(state, open, Settled::GivenUp);
                }
            }
            FeedNews::Settled { batch, outcome } => {
                if let Some(open) = state.open.take_if(|open| open.batch == batch) {
                    self.settled(state, open, outcome);
                }
            }
        }
    }

    /// A shard has started: its part of the batch is lost, and its states must be read.
    fn shard_up(&self, state: &mut SourceState, partition: PartitionId) {
        let Some(owned) = state.owned.get_mut(&partition) else { return };
        owned.must_restore();
        if let Some(open) = state.open.as_ref().filter(|open| open.parts.contains_key(&partition)) {
            // A commit under way continues. A committer that is not running reports when it has started.
            let _ = self.committer.give_up(open.batch);
        }
    }

    fn settled(&self, state: &mut SourceState, open: OpenBatch, outcome: Settled) {
        match outcome {
            Settled::Committed(positions) => {
                state.failures = Restarts::default();
                self.metrics.trouble.store(None);
                for (place, position) in positions {
                    if let Some(owned) = state.owned.get_mut(&place.partition) {
                        owned.committed.insert(place.topic, position);
                    }
                }
                for (partition, part) in open.parts {
                    if let Some(owned) = state.owned.get_mut(&partition) {
                        owned.part_committed(&part);
                    }
                }
            }
            Settled::GivenUp => self.go_back(state, Duration::ZERO),
            Settled::Failed(error) => self.commit_failed(state, &error),
        }
    }

    /// Starts everything that can be done now. Called after every message.
    fn advance(&self, state: &mut SourceState) {
        let Some(session) = state.session.clone() else { return };
        if state.halted || state.rewinding.is_some() {
            return;
        }
        if state.open.is_none() {
            if state.owned.values().any(OwnedPartition::must_go_back) {
                self.go_back(state, Duration::ZERO);
            }
            self.release_leaving(state);
            if let Some(wait) = state.rewind_wanted.take() {
                return self.rewind(state, session, wait);
            }
            self.restore_shards(state);
            self.dispatch(state, &session);
        }
        self.poll(state, session);
        self.check_reminders(state);
    }
}
