//! One shard: router and supervisor of the products of one partition.
//!
//! ```text
//!  source ── Begin(part) ──► shard ── Work ──► product …        one message per product and batch
//!                              ▲                 │
//!                              └── Replied ◄── collector ◄──┘   the last reply wakes the shard
//!                              │
//!                              └── Output ──► committer ── Committed ──► shard, source
//! ```
//! Keeps the last *committed* state of every product. A batch starts from these and gives new ones, which replace them when the
//! committer says so, and only then. Until then the products that take part are neither passivated nor restarted from anything
//! but the state before the batch; a reply that was given counts, whatever becomes of its actor. If the shard itself dies, the
//! source gives the batch up and has the next incarnation restore the partition from the log.

mod batch;
mod collector;
mod failure;
mod handle;
mod part;
mod position_text;
mod proof;
mod reminders;
mod restore;
#[cfg(feature = "seeded-bugs")]
mod seeded;
mod settle;
mod slots;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::task::JoinHandle;

use super::committer::CommitterHandle;
use super::engine::{EngineMetrics, FeedNews, Report, TaskGuard};
use super::envelope::{Answer, Envelope, Mailbox};
use super::product::ProductContext;
use super::stats::Vitals;
use super::supervision::RestartPolicy;
use crate::clock::Clock;
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::domain::inventory::InputTopic;
use crate::log::{EventLog, Offset, PartitionId, Position};
use crate::telemetry::alarms::Alarms;
use crate::wire::topics::Topic;

use batch::Flight;
pub use collector::Collector;
pub use handle::{ProductReport, ShardGauge, ShardHandle};
pub use part::{BatchId, Expiry, Group, Incoming, Origin, Part, Probe, Tally};
pub use position_text::PositionText;
pub use proof::GoOn;
use reminders::Reminders;
use restore::{Loaded, RestoreError};
use slots::Slots;

/// What a shard works with. Shared by its incarnations.
pub struct ShardContext {
    pub partition: PartitionId,
    pub log: Arc<dyn EventLog>,
    pub clock: Clock,
    pub products: Arc<ProductContext>,
    pub committer: CommitterHandle,
    /// Tells the source.
    pub report: Report,
    pub metrics: Arc<EngineMetrics>,
    pub gauge: Arc<ShardGauge>,
    pub vitals: Vitals,
    pub mailbox: Mailbox<ShardMsg>,
    pub restart: RestartPolicy,
    /// A product that has not replied by then is hung.
    pub hang_after: Duration,
    /// Live products of the whole process.
    pub max_live_products: usize,
    pub alarms: Alarms,
}

/// What a shard is asked or told.
#[derive(Debug)]
pub enum ShardMsg {
    /// The partition is ours from these positions on: forget everything and read the states from the log.
    Restore {
        ticket: u64,
        positions: BTreeMap<Topic, Position>,
    },
    Loaded {
        ticket: u64,
        result: Result<(Loaded, GoOn), RestoreError>,
    },
    /// The partition is somebody else's.
    Release,
    Begin {
        batch: BatchId,
        part: Box<Envelope<Part>>,
    },
    /// All products of the batch have replied.
    Replied {
        batch: BatchId,
    },
    /// A product that is fed command by command has replied.
    Stepped {
        batch: BatchId,
        cell: usize,
    },
    /// The wait before a product's next attempt is over.
    Retry {
        batch: BatchId,
        cell: usize,
        attempt: u32,
    },
    /// The batch has taken so long that whoever has not replied is hung.
    Overdue {
        batch: BatchId,
    },
    Committed {
        batch: BatchId,
    },
    /// The batch is given up: the committed states are the states.
    Abandon,
    List {
        limit: usize,
        answer: Answer<Vec<ProductReport>>,
    },
    /// Kills one product's actor, as a drill; answers whether there was one.
    KillProduct {
        id: ProductId,
        answer: Answer<bool>,
    },
}

/// The actor of one shard.
pub struct Shard(pub Arc<ShardContext>);

impl std::ops::Deref for Shard {
    type Target = ShardContext;

    fn deref(&self) -> &ShardContext {
        &self.0
    }
}

/// What a shard keeps while it runs.
#[derive(Default)]
pub struct ShardState {
    slots: Slots,
    reminders: Reminders,
    committed: Committed,
    /// Products whose states lie below records of others, and where those are: the next batch writes the states again.
    overlaid: BTreeMap<ProductId, Offset>,
    /// Positions of others that are not reached yet, by topic: what they passed over is still to be handled.
    undone_at: BTreeMap<Topic, Offset>,
    flight: Option<Flight>,
    restoring: Option<Restoring>,
    /// Whether the states are there.
    ready: bool,
    /// The batch that was given up last.
    #[cfg(feature = "seeded-bugs")]
    given_up: Option<Flight>,
}

/// How far the inputs are committed.
#[derive(Debug, Clone, Copy, Default)]
struct Committed {
    next: [Option<Offset>; InputTopic::ALL.len()],
    /// The highest append time of `order-events`; 0 before the first.
    highest_append_ms: EpochMs,
}

struct Restoring {
    ticket: u64,
    positions: BTreeMap<Topic, Position>,
    _task: TaskGuard,
}

/// A timer that is called off when it is dropped.
struct Timer(JoinHandle<()>);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

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
        (self.report)(FeedNews::ShardUp { partition: self.partition });
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
            ShardMsg::Restore { ticket, positions } => self.restore(state, ticket, positions, Duration::ZERO),
            ShardMsg::Loaded { ticket, result } => self.loaded(state, ticket, result),
            ShardMsg::Release => {
                self.release(state);
                self.forget_foreign_hands();
            }
            ShardMsg::Begin { batch, part } => self.begin(&myself, state, batch, part.body).await,
            ShardMsg::Replied { batch } => self.replied(state, batch),
            ShardMsg::Stepped { batch, cell } => self.stepped(&myself, state, batch, cell).await,
            ShardMsg::Retry { batch, cell, attempt } => self.retry(&myself, state, batch, cell, attempt).await,
            ShardMsg::Overdue { batch } => self.overdue(state, batch),
            ShardMsg::Committed { batch } => self.commit(state, batch),
            ShardMsg::Abandon => self.abandon(state),
            ShardMsg::List { limit, answer } => answer.give(handle::list(&state.slots, limit)),
            ShardMsg::KillProduct { id, answer } => answer.give(handle::kill(&state.slots, &id)),
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

impl Shard {
    /// Shows the figures that others read without asking.
    fn publish_gauges(&self, state: &ShardState) {
        // States that must be written again are due at once.
        let due = if state.overlaid.is_empty() { state.reminders.earliest() } else { Some(0) };
        let earliest = due.filter(|_| state.ready);
        self.gauge.earliest_deadline_ms.store(earliest.unwrap_or(EpochMs::MAX), Ordering::Relaxed);
        self.gauge.products.store(state.slots.len() as u64, Ordering::Relaxed);
        self.gauge.live.store(state.slots.live() as u64, Ordering::Relaxed);
    }
}
