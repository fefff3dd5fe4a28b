//! The actor: keeps the order of things (open, read, record, and rescue beside it); whatever waits is a task that reports back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::opening::{self, Opening};
use super::record::Recorder;
use super::settle::{Settlement, furthest, settle};
use super::{RenderOrder, TrackerHandle, passed_over, rescue};
use crate::actors::envelope::Mailbox;
use crate::actors::fanout::FanoutHandle;
use crate::actors::follower::{Chunk, Followed, Follower, Open};
use crate::actors::role::SupervisionContext;
use crate::actors::stats::Vitals;
use crate::actors::supervision::{ActorKind, ChildSpec};
use crate::clock::Clock;
use crate::log::{EventLog, Stop};
use crate::store::{Store, TrackerBatch};

/// The actor's id.
const ID: &str = "order-tracker";
/// How often items are looked for that need rescue, and positions are stored that nothing else stores.
const ROUND_EVERY: Duration = Duration::from_secs(2);
const OPENING_BACKOFF_MIN: Duration = Duration::from_millis(100);
const OPENING_BACKOFF_MAX: Duration = Duration::from_secs(5);

/// What the tracker is told, by the tasks of this incarnation.
#[derive(Debug)]
pub struct OrderTrackerMsg {
    incarnation: u64,
    news: News,
}

#[derive(Debug)]
enum News {
    Opened(Opening),
    Read(Followed),
    Recorded,
    Round,
    /// A round of rescue is over.
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
    mailbox: Mailbox<OrderTrackerMsg>,
}

/// What an incarnation keeps: chunks that wait, and its tasks, which end with it.
#[derive(Debug)]
pub struct OrderTrackerState {
    incarnation: u64,
    follower: Option<Follower>,
    waiting: VecDeque<Chunk>,
    recording: Option<AbortOnDropHandle<()>>,
    rescuing: Option<AbortOnDropHandle<()>>,
    opening: Option<AbortOnDropHandle<()>>,
    round: Option<AbortOnDropHandle<()>>,
    /// Read, but with nothing to write: stored with the next outcomes, or with the next round.
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
        let mailbox = Mailbox::new(ID);
        let make = move || {
            let (log, recorder, clock) = (log.clone(), recorder.clone(), clock.clone());
            (Self { log, recorder, clock, vitals: vitals.clone(), mailbox: mailbox.clone() }, ())
        };
        ChildSpec::new(ActorKind::OrderTracker, ID, context.restart, make)
    }

    /// Finds out where to start, for as long as database and log need to come up.
    fn open(&self, incarnation: u64) -> AbortOnDropHandle<()> {
        let (log, recorder, mailbox) = (self.log.clone(), self.recorder.clone(), self.mailbox.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut wait = OPENING_BACKOFF_MIN;
            let opening = loop {
                match opening::open(&*log, &recorder.store).await {
                    Ok(opening) => break opening,
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "the order tracker cannot start yet; trying again");
                    }
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(OPENING_BACKOFF_MAX);
            };
            recorder.tell_owed().await;
            let _ = mailbox.tell(OrderTrackerMsg { incarnation, news: News::Opened(opening) });
        }))
    }

    fn follow(&self, incarnation: u64, opening: Opening) -> Follower {
        self.recorder.handle.counts.gaps.fetch_add(opening.gaps, Ordering::Relaxed);
        let (log, mailbox) = (self.log.clone(), self.mailbox.clone());
        let open: Open = Box::new(move || {
            let (log, starts) = (log.clone(), opening.starts.clone());
            Box::pin(async move { log.reader(&starts, Stop::Never).await })
        });
        let deliver = move |followed| mailbox.tell(OrderTrackerMsg { incarnation, news: News::Read(followed) });
        Follower::start(self.log.clone(), open, Stop::Never, deliver)
    }

    fn take_read(&self, state: &mut OrderTrackerState, followed: Followed) -> Result<(), ActorProcessingErr> {
        match followed {
            Followed::Chunk(chunk) => {
                state.waiting.push_back(chunk);
                self.record_next(state);
                Ok(())
            }
            // Started anew, it finds the gap, writes it down and goes on.
            Followed::Lost(error) => Err(error.into()),
        }
    }

    /// Records the next chunk, unless one is being recorded: outcomes are told in their order.
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
            if idle && state.stored_at.elapsed() < ROUND_EVERY {
                state.unstored.positions = furthest(std::mem::take(&mut batch.positions));
                continue;
            }
            state.recording = Some(self.record(state.incarnation, settlement, Some(chunk)));
        }
    }

    fn record(&self, incarnation: u64, settlement: Settlement, chunk: Option<Chunk>) -> AbortOnDropHandle<()> {
        let (recorder, mailbox) = (self.recorder.clone(), self.mailbox.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            recorder.record(&settlement).await;
            // Done with only now: what is read ahead stays bounded while the database is slow.
            drop(chunk);
            let _ = mailbox.tell(OrderTrackerMsg { incarnation, news: News::Recorded });
        }))
    }

    /// Stores positions and tells orders that wait for it, and looks for items to rescue.
    fn round(&self, state: &mut OrderTrackerState) {
        if state.recording.is_none() && (!state.unstored.positions.is_empty() || self.recorder.handle.owes()) {
            let settlement = Settlement { batch: std::mem::take(&mut state.unstored), ..Settlement::default() };
            state.recording = Some(self.record(state.incarnation, settlement, None));
        }
        if state.rescuing.is_none() {
            state.rescuing = Some(self.rescue(state.incarnation));
        }
        state.round = Some(self.next_round(state.incarnation));
    }

    fn rescue(&self, incarnation: u64) -> AbortOnDropHandle<()> {
        let (log, recorder, mailbox) = (self.log.clone(), self.recorder.clone(), self.mailbox.clone());
        let now_ms = self.clock.now_ms();
        AbortOnDropHandle::new(tokio::spawn(async move {
            passed_over::take_back(&*log, &recorder.store, &recorder.handle).await;
            rescue::probe_due(&*log, &recorder.store, &recorder.handle, now_ms).await;
            recorder.tell_unrescued().await;
            let _ = mailbox.tell(OrderTrackerMsg { incarnation, news: News::Rescued });
        }))
    }

    fn next_round(&self, incarnation: u64) -> AbortOnDropHandle<()> {
        let round = OrderTrackerMsg { incarnation, news: News::Round };
        AbortOnDropHandle::new(self.mailbox.tell_after(ROUND_EVERY, round))
    }
}

impl Actor for OrderTracker {
    type Msg = OrderTrackerMsg;
    type State = OrderTrackerState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<OrderTrackerMsg>, (): ()) -> Result<OrderTrackerState, ActorProcessingErr> {
        self.vitals.starting()?;
        self.mailbox.open(&myself, &self.vitals);
        let incarnation = self.recorder.handle.shared.incarnations.fetch_add(1, Ordering::Relaxed);
        Ok(OrderTrackerState {
            incarnation,
            follower: None,
            waiting: VecDeque::new(),
            recording: None,
            rescuing: None,
            opening: Some(self.open(incarnation)),
            round: Some(self.next_round(incarnation)),
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
        // The task of an incarnation that is gone was faster than its end.
        if message.incarnation != state.incarnation {
            return Ok(());
        }
        match message.news {
            News::Opened(opening) => {
                state.opening = None;
                state.follower = Some(self.follow(state.incarnation, opening));
            }
            News::Read(followed) => self.take_read(state, followed)?,
            News::Recorded => {
                state.recording = None;
                state.stored_at = Instant::now();
                self.record_next(state);
            }
            News::Rescued => state.rescuing = None,
            News::Round => self.round(state),
        }
        Ok(())
    }
}
