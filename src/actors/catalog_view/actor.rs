//! The actor that keeps the read model: restores from `products` to its end, then follows `products` and `inventory-events`.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio_util::task::AbortOnDropHandle;

use super::decode::{DecodedRecord, decode};
use super::handle::CatalogHandle;
use super::history::REMEMBERED_MS;
use super::merge::Trust;
use super::store::Catalog;
use super::writer::ViewWriter;
use crate::actors::kit::{Chunk, Followed, Follower, Mailbox, OpenReader};
use crate::actors::role::SupervisionContext;
use crate::actors::stats::Vitals;
use crate::actors::supervision::{ActorKind, ChildSpec};
use crate::clock::Clock;
use crate::log::{EventLog, LogError, Offset, PartitionId, Reader, Start, Stop, TopicPartition, read_topics};
use crate::wire::topics::Topic;

/// The actor's id.
const ID: &str = "catalog-view";
/// Events per partition that are read again for the histories when the process starts, at most: some tenths of a second.
const EVENTS_READ_BACK: Offset = 50_000;
/// How often a part of the slots is tended, and how many parts there are.
const TEND_EVERY: Duration = Duration::from_secs(1);
const TEND_PARTS: u32 = 60;

/// What the view handles.
#[derive(Debug)]
pub enum CatalogViewMsg {
    Read(Followed),
    Tend,
}

/// The actor. Its state is all in the shared catalogue, which it restores from the log when it starts.
pub struct CatalogView {
    log: Arc<dyn EventLog>,
    catalog: Arc<Catalog>,
    clock: Clock,
    vitals: Vitals,
}

/// What an incarnation keeps.
#[derive(Debug)]
pub struct CatalogViewState {
    mailbox: Mailbox<CatalogViewMsg>,
    phase: Phase,
    follower: Option<Follower>,
    tending: AbortOnDropHandle<()>,
}

#[derive(Debug)]
enum Phase {
    Restoring,
    /// Events before these offsets happened before the view began to follow: pages know them.
    Following {
        old_events: Option<BTreeMap<TopicPartition, Offset>>,
    },
}

impl CatalogView {
    /// How a role starts the view of this catalogue.
    #[must_use]
    pub fn child(context: &SupervisionContext, log: Arc<dyn EventLog>, catalog: &CatalogHandle, clock: Clock) -> ChildSpec {
        let vitals = context.vitals(ActorKind::CatalogView, ID);
        let catalog = catalog.catalog().clone();
        let make = move || {
            let (log, catalog, clock) = (log.clone(), catalog.clone(), clock.clone());
            (Self { log, catalog, clock, vitals: vitals.clone() }, ())
        };
        ChildSpec::new(ActorKind::CatalogView, ID, context.restart, make)
    }

    fn follow(&self, mailbox: &Mailbox<CatalogViewMsg>, open: OpenReader, stop: Stop) -> Follower {
        let mailbox = mailbox.clone();
        let deliver = move |followed| mailbox.tell(CatalogViewMsg::Read(followed));
        Follower::start(self.log.clone(), open, stop, deliver)
    }

    /// Reads `products` as it stands.
    fn restore(&self, mailbox: &Mailbox<CatalogViewMsg>) -> Follower {
        let (log, catalog) = (self.log.clone(), self.catalog.clone());
        let open: OpenReader = Box::new(move || {
            let (log, catalog) = (log.clone(), catalog.clone());
            Box::pin(async move { open_restore(&*log, &catalog).await })
        });
        self.follow(mailbox, open, Stop::AtEnd)
    }

    /// Reads on, both topics, from where the restore ended and the events were read to.
    fn read_on(&self, mailbox: &Mailbox<CatalogViewMsg>, restored: BTreeMap<TopicPartition, Offset>) -> Follower {
        let (log, catalog, clock) = (self.log.clone(), self.catalog.clone(), self.clock.clone());
        let open: OpenReader = Box::new(move || {
            let (log, catalog, clock, restored) = (log.clone(), catalog.clone(), clock.clone(), restored.clone());
            Box::pin(async move {
                let mut from: Vec<_> = restored.iter().map(|(place, offset)| (*place, Start::Offset(*offset))).collect();
                from.extend(events_from(&*log, &catalog, clock.now_ms()).await?);
                log.reader(&from, Stop::Never).await
            })
        });
        self.follow(mailbox, open, Stop::Never)
    }

    fn take_read(&self, state: &mut CatalogViewState, followed: Followed) -> Result<(), LogError> {
        match followed {
            Followed::Chunk(chunk) => self.take_chunk(state, chunk),
            Followed::Lost(error) => {
                // Events that are gone leave a hole in the histories only: a restart begins with what is there.
                self.catalog.forget_event_positions();
                return Err(error);
            }
        }
        Ok(())
    }

    fn take_chunk(&self, state: &mut CatalogViewState, chunk: Chunk) {
        let mut writer = self.catalog.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut state.phase {
            Phase::Restoring => {
                self.restore_chunk(&mut writer, &chunk);
                if chunk.caught_up {
                    self.catalog.finish_restore(&mut writer, &products_of(&chunk.positions), self.clock.now_ms());
                    let old_events = self.catalog.event_positions().is_none().then(BTreeMap::new);
                    state.phase = Phase::Following { old_events };
                    state.follower = Some(self.read_on(&state.mailbox, chunk.positions));
                }
            }
            Phase::Following { old_events } => {
                if let Some(old) = old_events.as_mut().filter(|old| old.is_empty()) {
                    *old = (*chunk.ends).clone();
                }
                self.follow_chunk(&mut writer, &chunk, old_events.as_ref());
            }
        }
    }

    fn restore_chunk(&self, writer: &mut ViewWriter, chunk: &Chunk) {
        for record in &chunk.records {
            self.take(writer, decode(&self.catalog, record, Trust::Log), Trust::Log, true);
        }
        let ends = chunk.ends.values().sum::<Offset>();
        self.catalog.records_to_read.store(u64::try_from(ends).unwrap_or_default(), Ordering::Relaxed);
        self.catalog.records_read.fetch_add(chunk.records.len() as u64, Ordering::Relaxed);
    }

    fn follow_chunk(&self, writer: &mut ViewWriter, chunk: &Chunk, old_events: Option<&BTreeMap<TopicPartition, Offset>>) {
        for record in &chunk.records {
            let end = old_events.and_then(|old| old.get(&record.topic_partition()));
            let is_news = end.is_none_or(|end| record.offset >= *end);
            self.take(writer, decode(&self.catalog, record, Trust::Held), Trust::Held, is_news);
        }
        self.catalog.finish_batch(writer, &products_of(&chunk.positions));
        self.catalog.keep_event_positions(&chunk.positions);
    }

    fn take(&self, writer: &mut ViewWriter, decoded: DecodedRecord, trust: Trust, is_news: bool) {
        match decoded {
            DecodedRecord::Whole { product, origin } => self.catalog.take_whole(writer, &product, origin, trust),
            DecodedRecord::Removed { id, gone } => self.catalog.take_removal(writer, &id, &gone),
            DecodedRecord::Event(mut change) => {
                change.is_news = is_news;
                self.catalog.take_event(writer, change);
            }
            DecodedRecord::Nothing { id } => self.catalog.take_nothing(writer, id.as_deref()),
        }
    }

    fn tend(&self) {
        let mut writer = self.catalog.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = self.catalog.slots() / TEND_PARTS + 1;
        self.catalog.tend(&mut writer, slots, self.clock.now_ms());
    }
}

fn tend_later(mailbox: &Mailbox<CatalogViewMsg>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(mailbox.tell_after(TEND_EVERY, CatalogViewMsg::Tend))
}

/// Names the log, and opens `products` from its beginning.
async fn open_restore(log: &dyn EventLog, catalog: &Catalog) -> Result<Box<dyn Reader>, LogError> {
    catalog.name_log(log.id().await?);
    read_topics(log, &[Topic::Products], Start::Beginning, Stop::AtEnd).await
}

/// Where to read events from: where the last incarnation was; else an hour back, or less if that is too many.
async fn events_from(log: &dyn EventLog, catalog: &Catalog, now_ms: i64) -> Result<Vec<(TopicPartition, Start)>, LogError> {
    if let Some(positions) = catalog.event_positions() {
        return Ok(positions.iter().map(|(place, offset)| (*place, Start::Offset(*offset))).collect());
    }
    let hour_back = read_topics(log, &[Topic::InventoryEvents], Start::Time(now_ms - REMEMBERED_MS), Stop::AtEnd).await?;
    let (starts, ends) = (hour_back.positions(), hour_back.ends());
    let from = starts.iter().map(|(place, start)| {
        let least = ends.get(place).map_or(*start, |end| end - EVENTS_READ_BACK);
        (*place, Start::Offset(least.max(*start)))
    });
    Ok(from.collect())
}

fn products_of(positions: &BTreeMap<TopicPartition, Offset>) -> Vec<(PartitionId, Offset)> {
    let products = positions.iter().filter(|(place, _)| place.topic == Topic::Products);
    products.map(|(place, offset)| (place.partition, *offset)).collect()
}

impl Actor for CatalogView {
    type Msg = CatalogViewMsg;
    type State = CatalogViewState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<CatalogViewMsg>, (): ()) -> Result<CatalogViewState, ActorProcessingErr> {
        self.vitals.starting()?;
        let mailbox = Mailbox::of_incarnation(&myself, &self.vitals);
        let tending = tend_later(&mailbox);
        Ok(CatalogViewState { mailbox, phase: Phase::Restoring, follower: None, tending })
    }

    async fn post_start(
        &self,
        _myself: ActorRef<CatalogViewMsg>,
        state: &mut CatalogViewState,
    ) -> Result<(), ActorProcessingErr> {
        let mut writer = self.catalog.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.catalog.begin_restore(&mut writer);
        state.follower = Some(self.restore(&state.mailbox));
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<CatalogViewMsg>,
        message: CatalogViewMsg,
        state: &mut CatalogViewState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = self.vitals.begin(&myself).await?;
        match message {
            CatalogViewMsg::Read(followed) => self.take_read(state, followed)?,
            CatalogViewMsg::Tend => {
                self.tend();
                state.tending = tend_later(&state.mailbox);
            }
        }
        Ok(())
    }
}
