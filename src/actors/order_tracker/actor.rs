//! The actor: decides what runs next (opening, reading, recording, and rescue beside them); everything that waits is a task.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::handle::{RenderOrder, TrackerHandle};
use super::opening::{self, Opening};
use super::record::Recorder;
use super::settle::{Settlement, furthest, settle};
use super::{passed_over, rescue};
use crate::actors::fanout::FanoutHandle;
use crate::actors::kit::{Chunk, Followed, Follower, Mailbox, OpenReader};
use crate::actors::role::SupervisionContext;
use crate::actors::stats::Vitals;
use crate::actors::supervision::{ActorKind, ChildSpec};
use crate::clock::{Backoff, Clock};
use crate::log::{EventLog, Stop};
use crate::store::{Store, TrackerBatch};
use crate::telemetry::promises::Promise;

/// The actor's id.
const ID: &str = "order-tracker";
/// How often items that need rescue are queried, and positions stored that nothing else stores.
const CHECK_EVERY: Duration = Duration::from_secs(2);
const OPENING_BACKOFF_MIN: Duration = Duration::from_millis(100);
const OPENING_BACKOFF_MAX: Duration = Duration::from_secs(5);

/// What the tracker handles: reports of its own tasks.
#[derive(Debug)]
pub enum OrderTrackerMsg {
    Opened(Opening),
    Read(Followed),
    Recorded,
    /// It is time to query items that need rescue.
    Check,
    /// The rescue that a check began is over.
    Rescued,
}

/// What the tracker works with.
#[derive(Clone)]
pub struct TrackerParts {
    pub log: Arc<dyn EventLog>,
    pub store: Store,
    pub fanout: FanoutHandle,
    pub render: RenderOrder,
    pub clock: Clock,
}

/// The actor.
pub struct OrderTracker {
    log: Arc<dyn EventLog>,
    recorder: Recorder,
    clock: Clock,
    vitals: Vitals,
}

/// What an incarnation keeps: chunks that wait, and its tasks, which end with it.
#[derive(Debug)]
pub struct OrderTrackerState {
    mailbox: Mailbox<OrderTrackerMsg>,
    follower: Option<Follower>,
    waiting: VecDeque<Chunk>,
    recording: Option<AbortOnDropHandle<()>>,
    rescuing: Option<AbortOnDropHandle<()>>,
    opening: Option<AbortOnDropHandle<()>>,
    next_check: Option<AbortOnDropHandle<()>>,
    /// Read, but with nothing to write: stored with the next outcomes, or with the next check.
    unstored: TrackerBatch,
    stored_at: Instant,
}

impl OrderTracker {
    /// How a role starts the actor behind this handle.
    #[must_use]
    pub fn child(context: &SupervisionContext, parts: TrackerParts, handle: &TrackerHandle) -> ChildSpec {
        let vitals = context.vitals(ActorKind::OrderTracker, ID);
        let TrackerParts { log, store, fanout, render, clock } = parts;
        let recorder = Recorder { store, fanout, handle: handle.clone(), render, alarms: context.alarms.clone() };
        let make = move || {
            let (log, recorder, clock) = (log.clone(), recorder.clone(), clock.clone());
            (Self { log, recorder, clock, vitals: vitals.clone() }, ())
        };
        ChildSpec::new(ActorKind::OrderTracker, ID, context.restart, make)
    }

    /// Finds out where to start; retries until database and log answer.
    fn open(&self, mailbox: &Mailbox<OrderTrackerMsg>) -> AbortOnDropHandle<()> {
        let (log, recorder, mailbox) = (self.log.clone(), self.recorder.clone(), mailbox.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut backoff = Backoff::new(OPENING_BACKOFF_MIN, OPENING_BACKOFF_MAX);
            let opening = loop {
                match opening::open(&*log, &recorder.store).await {
                    Ok(opening) => break opening,
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "the order tracker cannot start yet; trying again");
                    }
                }
                backoff.wait().await;
            };
            recorder.send_orders().await;
            let _ = mailbox.tell(OrderTrackerMsg::Opened(opening));
        }))
    }

    fn follow(&self, mailbox: &Mailbox<OrderTrackerMsg>, opening: Opening) -> Follower {
        self.recorder.handle.counts.gaps.fetch_add(opening.gaps, Ordering::Relaxed);
        Promise::OutcomesComplete.broken(opening.gaps);
        let (log, mailbox) = (self.log.clone(), mailbox.clone());
        let open: OpenReader = Box::new(move || {
            let (log, starts) = (log.clone(), opening.starts.clone());
            Box::pin(async move { log.reader(&starts, Stop::Never).await })
        });
        let deliver = move |followed| mailbox.tell(OrderTrackerMsg::Read(followed));
        Follower::start(self.log.clone(), open, Stop::Never, deliver)
    }

    fn take_read(&self, state: &mut OrderTrackerState, followed: Followed) -> Result<(), ActorProcessingErr> {
        match followed {
            Followed::Chunk(chunk) => {
                state.waiting.push_back(chunk);
                self.record_next(state);
                Ok(())
            }
            // The next incarnation finds the gap, records it and continues.
            Followed::Lost(error) => Err(error.into()),
        }
    }

    /// Records the next chunk, unless one is being recorded: outcomes are sent in their order.
    fn record_next(&self, state: &mut OrderTrackerState) {
        while state.recording.is_none() {
            let Some(chunk) = state.waiting.pop_front() else { return };
            if chunk.caught_up {
                self.recorder.handle.shared.caught_up.store(true, Ordering::Release);
            }
            let mut settlement = settle(&chunk.records);
            self.recorder.handle.counts.unreadable.fetch_add(settlement.unreadable, Ordering::Relaxed);
            let batch = &mut settlement.batch;
            let idle = batch.outcomes.is_empty() && batch.expired.is_empty();
            // Later positions win: the store takes the furthest of each partition.
            batch.positions.append(&mut state.unstored.positions);
            if idle && state.stored_at.elapsed() < CHECK_EVERY {
                state.unstored.positions = furthest(std::mem::take(&mut batch.positions));
                continue;
            }
            state.recording = Some(self.record(&state.mailbox, settlement, Some(chunk)));
        }
    }

    fn record(&self, mailbox: &Mailbox<OrderTrackerMsg>, settlement: Settlement, chunk: Option<Chunk>) -> AbortOnDropHandle<()> {
        let (recorder, mailbox) = (self.recorder.clone(), mailbox.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            recorder.record(&settlement).await;
            // Released only now, so that reading ahead stays bounded while the database is slow.
            drop(chunk);
            let _ = mailbox.tell(OrderTrackerMsg::Recorded);
        }))
    }

    /// Stores positions, shows orders that wait for it, and queries items to rescue.
    fn check(&self, state: &mut OrderTrackerState) {
        if state.recording.is_none() && (!state.unstored.positions.is_empty() || self.recorder.handle.has_unsent()) {
            let settlement = Settlement { batch: std::mem::take(&mut state.unstored), ..Settlement::default() };
            state.recording = Some(self.record(&state.mailbox, settlement, None));
        }
        if state.rescuing.is_none() {
            state.rescuing = Some(self.rescue(&state.mailbox));
        }
        state.next_check = Some(self.check_later(&state.mailbox));
    }

    fn rescue(&self, mailbox: &Mailbox<OrderTrackerMsg>) -> AbortOnDropHandle<()> {
        let (log, recorder, mailbox) = (self.log.clone(), self.recorder.clone(), mailbox.clone());
        let now_ms = self.clock.now_ms();
        AbortOnDropHandle::new(tokio::spawn(async move {
            passed_over::take_back(&*log, &recorder.store, &recorder.handle).await;
            rescue::probe_due(&*log, &recorder.store, &recorder.handle, now_ms).await;
            recorder.raise_unrescued().await;
            let _ = mailbox.tell(OrderTrackerMsg::Rescued);
        }))
    }

    fn check_later(&self, mailbox: &Mailbox<OrderTrackerMsg>) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(mailbox.tell_after(CHECK_EVERY, OrderTrackerMsg::Check))
    }
}

impl Actor for OrderTracker {
    type Msg = OrderTrackerMsg;
    type State = OrderTrackerState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<OrderTrackerMsg>, (): ()) -> Result<OrderTrackerState, ActorProcessingErr> {
        self.vitals.starting()?;
        let mailbox = Mailbox::of_incarnation(&myself, &self.vitals);
        Ok(OrderTrackerState {
            follower: None,
            waiting: VecDeque::new(),
            recording: None,
            rescuing: None,
            opening: Some(self.open(&mailbox)),
            next_check: Some(self.check_later(&mailbox)),
            mailbox,
            unstored: TrackerBatch::default(),
            stored_at: Instant::now(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<OrderTrackerMsg>,
        message: OrderTrackerMsg,
        state: &mut OrderTrackerState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = self.vitals.begin(&myself).await?;
        match message {
            OrderTrackerMsg::Opened(opening) => {
                state.opening = None;
                state.follower = Some(self.follow(&state.mailbox, opening));
            }
            OrderTrackerMsg::Read(followed) => self.take_read(state, followed)?,
            OrderTrackerMsg::Recorded => {
                state.recording = None;
                state.stored_at = Instant::now();
                self.record_next(state);
            }
            OrderTrackerMsg::Rescued => state.rescuing = None,
            OrderTrackerMsg::Check => self.check(state),
        }
        Ok(())
    }
}
