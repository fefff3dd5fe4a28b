//! The shard as an actor: which method handles which message.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::handle::ShardMsg;
use super::report;
#[cfg(feature = "seeded-bugs")]
use super::seeded;
use super::state::{Shard, ShardState};
use crate::actors::inventory::collector::Collected;
use crate::actors::inventory::news::FeedNews;

impl Actor for Shard {
    type Msg = ShardMsg;
    type State = ShardState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<ShardMsg>, (): ()) -> Result<ShardState, ActorProcessingErr> {
        self.vitals.starting()?;
        self.mailbox.open(&myself, &self.vitals);
        self.gauge.clear();
        Ok(ShardState::default())
    }

    async fn post_start(&self, _myself: ActorRef<ShardMsg>, _state: &mut ShardState) -> Result<(), ActorProcessingErr> {
        (self.notify)(FeedNews::ShardUp { partition: self.partition });
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<ShardMsg>,
        message: ShardMsg,
        state: &mut ShardState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = self.vitals.begin(&myself).await?;
        match message {
            ShardMsg::Restore { attempt, positions } => self.restore(state, attempt, positions, Duration::ZERO),
            ShardMsg::Restored { attempt, result } => self.restored(state, attempt, result),
            ShardMsg::Release => {
                self.release(state);
                self.clear_position_alarms();
            }
            ShardMsg::Begin { batch, part } => self.begin(&myself, state, batch, *part).await,
            ShardMsg::Collected { batch, collected: Collected::All } => self.deliver_when_complete(state, batch),
            ShardMsg::Collected { batch, collected: Collected::Step { product } } => {
                self.stepped(&myself, state, batch, product).await;
            }
            ShardMsg::Retry { batch, product, attempt } => self.retry(&myself, state, batch, product, attempt).await,
            ShardMsg::Overdue { batch } => self.overdue(state, batch),
            ShardMsg::Committed { batch } => self.commit(state, batch),
            ShardMsg::Abandon => self.abandon(state),
            ShardMsg::List { limit, answer } => answer.give(report::list(&state.slots, limit)),
            ShardMsg::Find { id, answer } => answer.give(report::find(&state.slots, &id)),
            ShardMsg::ReplaceProduct { id, answer } => answer.give(self.replace_product(&myself, state, &id).await),
            ShardMsg::KillProduct { id, answer } => answer.give(state.slots.kill(&id)),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<ShardMsg>,
        event: SupervisionEvent,
        state: &mut ShardState,
    ) -> Result<(), ActorProcessingErr> {
        #[cfg(feature = "seeded-bugs")]
        let event = seeded::restart_from_event(state, event);
        self.product_ended(state, &event);
        Ok(())
    }

    async fn post_stop(&self, myself: ActorRef<ShardMsg>, _state: &mut ShardState) -> Result<(), ActorProcessingErr> {
        myself.stop_children_and_wait(None, Some(self.hang_after)).await;
        self.gauge.clear();
        Ok(())
    }
}
