//! The actor that makes the fan-out move: brings what the view has taken into the journal, and carts to their sessions' pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::carts;
use super::handle::FanoutHandle;
use super::hub::Hub;
use crate::actors::kit::{Followed, Follower, Mailbox, OpenReader};
use crate::actors::role::SupervisionContext;
use crate::actors::stats::Vitals;
use crate::actors::supervision::{ActorKind, ChildSpec};
use crate::bugs::{self, Bug};
use crate::log::{EventLog, Offset, Start, Stop, TopicPartition, read_topics};
use crate::wire::topics::Topic;

/// The actor's id.
const ID: &str = "fanout";
/// Between two flushes there is this much time per connected page: with a thousand pages one write then carries what came in 10
/// ms.
const PACE_PER_PAGE: Duration = Duration::from_micros(10);
/// However many pages there are, they don't wait longer.
const PACE_MAX: Duration = Duration::from_millis(50);

/// What the fan-out handles.
#[derive(Debug)]
pub enum FanoutMsg {
    /// The view has taken something. The permit lets the next be announced.
    Flush(OwnedSemaphorePermit),
    /// Read from `shopping-cart-events`.
    Carts(Followed),
}

/// The actor. All it knows is in the shared hub.
pub struct WebSocketFanout {
    log: Arc<dyn EventLog>,
    hub: Arc<Hub>,
    vitals: Vitals,
}

/// What an incarnation keeps: its tasks, which end with it.
#[derive(Debug)]
pub struct FanoutState {
    mailbox: Mailbox<FanoutMsg>,
    _announcer: AbortOnDropHandle<()>,
    carts: Follower,
}

impl WebSocketFanout {
    /// How a role starts the actor behind this handle.
    #[must_use]
    pub fn child(context: &SupervisionContext, log: Arc<dyn EventLog>, fanout: &FanoutHandle) -> ChildSpec {
        let vitals = context.vitals(ActorKind::Fanout, ID);
        let hub = fanout.hub.clone();
        let make = move || (Self { log: log.clone(), hub: hub.clone(), vitals: vitals.clone() }, ());
        ChildSpec::new(ActorKind::Fanout, ID, context.restart, make)
    }

    /// Announces what the view has taken: at once after a quiet moment, paced by the number of pages otherwise.
    fn announce(&self, mailbox: &Mailbox<FanoutMsg>) -> AbortOnDropHandle<()> {
        let (hub, mailbox) = (self.hub.clone(), mailbox.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let turn = Arc::new(Semaphore::new(1));
            loop {
                let Ok(permit) = turn.clone().acquire_owned().await else { return };
                hub.catalog.catalog().taken().ready().await;
                let flushed_at = Instant::now();
                if mailbox.tell(FanoutMsg::Flush(permit)).is_err() {
                    return;
                }
                tokio::time::sleep_until(flushed_at + pace(hub.page_count())).await;
            }
        }))
    }

    /// Follows carts from where the last incarnation was, or from now on: a page that connects later asks for its cart itself.
    fn follow_carts(&self, mailbox: &Mailbox<FanoutMsg>) -> Follower {
        let (log, hub, mailbox) = (self.log.clone(), self.hub.clone(), mailbox.clone());
        let open: OpenReader = Box::new(move || {
            let (log, positions) = (log.clone(), hub.cart_positions());
            Box::pin(async move {
                match positions {
                    Some(positions) => log.reader(&starts(&positions), Stop::Never).await,
                    None => read_topics(&*log, &[Topic::ShoppingCartEvents], Start::End, Stop::Never).await,
                }
            })
        });
        let deliver = move |followed| mailbox.tell(FanoutMsg::Carts(followed));
        Follower::start(self.log.clone(), open, Stop::Never, deliver)
    }

    fn take_carts(&self, state: &mut FanoutState, followed: Followed) {
        match followed {
            Followed::Chunk(chunk) => {
                chunk.records.iter().for_each(|record| carts::show(&self.hub, record));
                self.hub.keep_cart_positions(chunk.positions);
            }
            Followed::Lost(error) => {
                tracing::warn!(%error, "cart events were lost: pages see their carts with the next change");
                self.hub.forget_cart_positions();
                state.carts = self.follow_carts(&state.mailbox);
            }
        }
    }
}

fn pace(pages: u64) -> Duration {
    PACE_PER_PAGE.saturating_mul(u32::try_from(pages).unwrap_or(u32::MAX)).min(PACE_MAX)
}

fn starts(positions: &BTreeMap<TopicPartition, Offset>) -> Vec<(TopicPartition, Start)> {
    positions.iter().map(|(place, offset)| (*place, Start::Offset(*offset))).collect()
}

impl Actor for WebSocketFanout {
    type Msg = FanoutMsg;
    type State = FanoutState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<FanoutMsg>, (): ()) -> Result<FanoutState, ActorProcessingErr> {
        self.vitals.starting()?;
        let mailbox = Mailbox::of_incarnation(&myself, &self.vitals);
        // Changes that the last incarnation took from the view and did not send are lost, so every page resynchronises.
        if bugs::is(Bug::ResumeForgotten) {
            let _lost = self.hub.catalog.catalog().taken().drain();
        } else {
            self.hub.catalog.catalog().taken().resume_all();
        }
        let (announcer, carts) = (self.announce(&mailbox), self.follow_carts(&mailbox));
        Ok(FanoutState { mailbox, _announcer: announcer, carts })
    }

    async fn handle(
        &self,
        myself: ActorRef<FanoutMsg>,
        message: FanoutMsg,
        state: &mut FanoutState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = self.vitals.begin(&myself).await?;
        match message {
            FanoutMsg::Flush(permit) => {
                self.hub.flush(self.hub.catalog.catalog().taken().drain());
                drop(permit);
            }
            FanoutMsg::Carts(followed) => self.take_carts(state, followed),
        }
        Ok(())
    }
}
