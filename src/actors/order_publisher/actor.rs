//! The actor that appends: items that were handed over during an append go with the next one, so many checkouts share
//! one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio_util::task::AbortOnDropHandle;

use super::handle::{AppendReport, Handover, ID, OrderPublisherMsg, PublisherHandle};
use crate::actors::kit::Mailbox;
use crate::actors::role::SupervisionContext;
use crate::actors::stats::Vitals;
use crate::actors::supervision::{ActorKind, ChildSpec};
use crate::bugs::{self, Bug};
use crate::clock::in_ms;
use crate::log::{Appended, EventLog};
use crate::telemetry::names::attribute;
use crate::telemetry::spans;
use crate::wire::topics::Topic;

/// Appends under way at once: while one waits for its disk or broker, another is filled.
const APPENDS_AT_ONCE: usize = 4;
/// Records of one append.
const APPEND_RECORDS: usize = 5_000;
/// How often the topic's clock is asked for.
const CHECK_TOPIC_EVERY: Duration = Duration::from_secs(30);
/// How often while the log has not answered.
const CHECK_TOPIC_SOON: Duration = Duration::from_millis(200);

/// The actor.
pub struct OrderPublisher {
    log: Arc<dyn EventLog>,
    handle: PublisherHandle,
    vitals: Vitals,
}

/// What an incarnation keeps.
#[derive(Debug)]
pub struct OrderPublisherState {
    mailbox: Mailbox<OrderPublisherMsg>,
    waiting: Vec<Handover>,
    under_way: usize,
    checking: Option<AbortOnDropHandle<()>>,
}

impl OrderPublisher {
    /// How a role starts the actor behind this handle.
    #[must_use]
    pub fn child(context: &SupervisionContext, log: Arc<dyn EventLog>, handle: &PublisherHandle) -> ChildSpec {
        let vitals = context.vitals(ActorKind::OrderPublisher, ID);
        let handle = handle.clone();
        let make = move || (Self { log: log.clone(), handle: handle.clone(), vitals: vitals.clone() }, ());
        ChildSpec::new(ActorKind::OrderPublisher, ID, context.restart, make)
    }

    /// Appends what waits, as long as another append may begin.
    fn append_waiting(&self, state: &mut OrderPublisherState) {
        while !state.waiting.is_empty() && state.under_way < APPENDS_AT_ONCE {
            let mut records = Vec::new();
            let mut taken = 0;
            for handover in &mut state.waiting {
                if taken > 0 && records.len() + handover.records.len() > APPEND_RECORDS {
                    break;
                }
                records.append(&mut handover.records);
                taken += 1;
            }
            let handovers: Vec<_> = state.waiting.drain(..taken).collect();
            state.under_way += 1;
            self.append(state.mailbox.clone(), handovers, records);
        }
    }

    /// The task outlives the actor on purpose: the log already has the events, and aborting the task would not take them back.
    fn append(&self, mailbox: Mailbox<OrderPublisherMsg>, handovers: Vec<Handover>, records: Vec<crate::log::NewRecord>) {
        let (log, handle) = (self.log.clone(), self.handle.clone());
        tokio::spawn(async move {
            let count = records.len() as u64;
            let again = bugs::is(Bug::PublishedAgain).then(|| records.clone());
            let mut result = log.append(records, handle.settings.publish_timeout).await;
            if let Some(records) = again.filter(|_| result.is_err()) {
                result = log.append(records, handle.settings.publish_timeout).await;
            }
            let counts = &handle.counts;
            let counter = if result.is_ok() { &counts.published } else { &counts.unclear };
            counter.fetch_add(count, Ordering::Relaxed);
            // If that incarnation has ended, only the comparison of clocks is lost.
            let _ = mailbox.tell(OrderPublisherMsg::Reported(AppendReport { handovers, result }));
        });
    }

    fn take_report(&self, state: &mut OrderPublisherState, mut report: AppendReport) {
        state.under_way -= 1;
        match &report.result {
            Ok(appended) => {
                self.compare_clocks(&report.handovers, appended);
                name_places(&mut report.handovers, appended);
            }
            Err(error) => {
                report.handovers.iter_mut().for_each(|handover| handover.span.fail(error.kind()));
                spans::within(spans::only(report.handovers.iter().map(|handover| &handover.span)).as_ref(), || {
                    tracing::warn!(%error,
                        "it is unknown whether order items reached the event log: the rescue will ask, nothing is sent again");
                });
            }
        }
    }

    /// The log stamped the records between their INSERT and now, by the database's clock. One disagreement is enough, so the
    /// comparison stops there.
    fn compare_clocks(&self, handovers: &[Handover], appended: &[Appended]) {
        let earliest = handovers.iter().map(|handover| handover.inserted_at_ms).min();
        let latest = handovers.iter().map(|handover| handover.inserted_at_ms.saturating_add(in_ms(handover.handed_at.elapsed())));
        let (Some(earliest), Some(latest)) = (earliest, latest.max()) else { return };
        appended.iter().all(|appended| self.handle.gate.compare(appended.append_time_ms, earliest, latest));
    }

    /// Asks the log about its topic, in a task that reports back.
    fn check_topic(&self, state: &mut OrderPublisherState) {
        let (log, mailbox) = (self.log.clone(), state.mailbox.clone());
        state.checking = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let carried = log.is_log_append_time(Topic::OrderEvents).await.ok();
            let _ = mailbox.tell(OrderPublisherMsg::AppendTime(carried));
        })));
    }

    fn take_append_time(&self, state: &mut OrderPublisherState, carried: Option<bool>) {
        if let Some(carried) = carried {
            self.handle.gate.set_append_time(carried);
        }
        let wait = if carried.is_some() { CHECK_TOPIC_EVERY } else { CHECK_TOPIC_SOON };
        let later = state.mailbox.tell_after(wait, OrderPublisherMsg::CheckTopic);
        state.checking = Some(AbortOnDropHandle::new(later));
    }
}

/// Adds the record's place to each span; a span of several records has no single place. Appended records come in the order in
/// which they were handed over.
fn name_places(handovers: &mut [Handover], appended: &[Appended]) {
    let mut places = appended.iter();
    for handover in handovers {
        let items = handover.items;
        let first = places.next();
        if items > 1 {
            places.nth(items - 2);
        } else if let Some(place) = first {
            handover.span.set(attribute::MESSAGING_DESTINATION_PARTITION_ID, place.partition.to_string());
            handover.span.set(attribute::MESSAGING_KAFKA_OFFSET, place.offset);
        }
    }
}

impl Actor for OrderPublisher {
    type Msg = OrderPublisherMsg;
    type State = OrderPublisherState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<OrderPublisherMsg>, (): ()) -> Result<OrderPublisherState, ActorProcessingErr> {
        self.vitals.starting()?;
        let mailbox = self.handle.mailbox.open(&myself, &self.vitals);
        let mut state = OrderPublisherState { mailbox, waiting: Vec::new(), under_way: 0, checking: None };
        self.check_topic(&mut state);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<OrderPublisherMsg>,
        message: OrderPublisherMsg,
        state: &mut OrderPublisherState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = self.vitals.begin(&myself).await?;
        match message {
            OrderPublisherMsg::Publish(handover) => state.waiting.push(handover),
            OrderPublisherMsg::Reported(report) => self.take_report(state, report),
            OrderPublisherMsg::AppendTime(carried) => self.take_append_time(state, carried),
            OrderPublisherMsg::CheckTopic => self.check_topic(state),
        }
        self.append_waiting(state);
        Ok(())
    }
}
