//! Records a settlement and notifies this process's pages: the part of the tracker that waits for the database.

use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::trace::SpanKind;

use super::handle::{RenderOrder, TrackerHandle};
use super::settle::Settlement;
use crate::actors::fanout::FanoutHandle;
use crate::bugs::{self, Bug};
use crate::clock::Backoff;
use crate::config::RoleName;
use crate::domain::EpochMs;
use crate::store::{Orders, Recorded, Store, StoreError, Stranded, TrackerBatch, Unreadable, UnusableItem};
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};
use crate::telemetry::names::span;
use crate::telemetry::promises::Promise;
use crate::telemetry::spans::{self, Span};

/// Orders whose rows hold values that cannot be shown.
const UNREADABLE: About = About::cause(Cause::OrderUnreadable);
/// Items whose rows keep them from being rescued.
const UNUSABLE: About = About::cause(Cause::ItemUnusable);
/// Items from before a gap: they must not be published again.
const STRANDED: About = About::cause(Cause::ItemsStranded);
/// Most ids that an alarm names.
const NAMED_IDS: usize = 5;
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// What recording needs.
#[derive(Clone)]
pub struct Recorder {
    pub store: Store,
    pub fanout: FanoutHandle,
    pub handle: TrackerHandle,
    pub render: RenderOrder,
    pub alarms: Alarms,
}

impl Recorder {
    /// Records a batch, waiting for the database as long as it takes, and notifies the pages of the orders it touched.
    pub async fn record(&self, settlement: &Settlement) {
        let settle = |trace| Span::child(RoleName::Api, SpanKind::Internal, span::ORDER_SETTLE, Some(trace));
        let spans: Vec<Span> = settlement.traces.iter().map(settle).collect();
        let trace = spans::only(&spans);
        spans::scope(trace.as_ref(), self.record_below(settlement, spans)).await;
    }

    async fn record_below(&self, settlement: &Settlement, mut spans: Vec<Span>) {
        let batch = &settlement.batch;
        Promise::OneOutcome.broken(settlement.repeated);
        // Before the write: if this process's tracker dies in between, the next one notifies them.
        self.handle.must_send(batch.outcomes.iter().map(|outcome| outcome.order_id.as_str()));
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
        loop {
            match self.store.record_traced(batch, &spans).await {
                Ok(recorded) => {
                    self.count(&recorded);
                    break;
                }
                Err(error) if error.is_retryable() => self.count_retry(&error),
                Err(error) => {
                    spans.iter_mut().for_each(|span| span.fail(error.kind()));
                    complain(&error);
                    self.record_one_by_one(batch).await;
                    break;
                }
            }
            backoff.wait().await;
        }
        if let Some(append_ms) = settlement.probed_append_ms {
            self.compare_clocks(append_ms).await;
        }
        self.send_orders().await;
    }

    /// The database refuses something in the batch: what it refuses alone is left out, so that one event cannot hold up all
    /// orders.
    async fn record_one_by_one(&self, batch: &TrackerBatch) {
        let alone = |outcomes, expired| TrackerBatch {
            outcomes,
            expired,
            named_expiries: batch.named_expiries.clone(),
            ..TrackerBatch::default()
        };
        let outcomes = batch.outcomes.iter().map(|outcome| alone(vec![outcome.clone()], Vec::new()));
        let expired = batch.expired.iter().map(|item| alone(Vec::new(), vec![item.clone()]));
        let positions = TrackerBatch { positions: batch.positions.clone(), ..TrackerBatch::default() };
        for part in outcomes.chain(expired).chain([positions]) {
            self.record_part(&part).await;
        }
    }

    async fn record_part(&self, part: &TrackerBatch) {
        loop {
            match self.store.record_outcomes(part).await {
                Ok(recorded) => return self.count(&recorded),
                Err(error) if error.is_retryable() => {
                    self.count_retry(&error);
                    tokio::time::sleep(BACKOFF_MAX).await;
                }
                Err(error) => {
                    self.handle.counts.refused.fetch_add(1, Ordering::Relaxed);
                    let order_id = part.outcomes.first().map(|outcome| outcome.order_id.as_str()).unwrap_or_default();
                    tracing::error!(
                        kartshoppe.order.id = order_id,
                        error = &error as &dyn std::error::Error,
                        "the database refuses an order's outcome: an operator must correct its rows"
                    );
                    return;
                }
            }
        }
    }

    fn count_retry(&self, error: &StoreError) {
        self.handle.counts.retries.fetch_add(1, Ordering::Relaxed);
        complain(error);
    }

    fn count(&self, recorded: &Recorded) {
        let counts = &self.handle.counts;
        counts.outcomes.fetch_add(recorded.outcomes_written, Ordering::Relaxed);
        counts.settled.fetch_add(recorded.orders.iter().filter(|order| order.settled_now).count() as u64, Ordering::Relaxed);
        counts.flipped.fetch_add(recorded.flipped.len() as u64, Ordering::Relaxed);
        recorded.settled_after.iter().for_each(|took| counts.settle_seconds.observe(took.as_secs_f64()));
        Promise::OneOutcome.broken(recorded.contradicted);
        Promise::Expiry.broken(recorded.applied_late);
        Promise::NoFlipAfterOutcome.broken(recorded.flipped_with_outcome);
    }

    /// An answer carries its partition's highest append time, which may lie behind by the tracker's lag, but never ahead of the
    /// database.
    async fn compare_clocks(&self, append_ms: EpochMs) {
        if let Ok(database_ms) = self.store.now_ms().await {
            self.handle.gate.compare(append_ms, append_ms.min(database_ms), database_ms);
        }
    }

    /// Sets the alarms about items that no rescue helps.
    pub async fn raise_unrescued(&self) {
        self.alarms.set(UNUSABLE, alarm_of_unusable(&self.store.unusable_items()));
        // A database that does not answer is a reason of its own.
        if let Ok(stranded) = self.store.stranded(NAMED_IDS as i64 + 1).await {
            self.alarms.set(STRANDED, alarm_of_stranded(&stranded));
        }
    }

    /// Sends every order that is still due to its session's pages here.
    pub async fn send_orders(&self) {
        let unsent = self.handle.unsent();
        if unsent.is_empty() || self.fanout.pages() == 0 {
            self.handle.were_sent(&unsent);
            self.alarms.clear(&UNREADABLE);
            return;
        }
        if bugs::is(Bug::OrderUpdateLost) {
            self.handle.were_sent(&unsent);
            // A slow database, so that a kill hits here within a short drill.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        match self.store.orders(&unsent).await {
            Ok(Orders { found, unreadable }) => {
                for order in &found {
                    if order.session_id.as_ref().is_some_and(|id| self.fanout.has_session(id.as_str())) {
                        self.fanout.show_order(&(self.render)(order));
                    }
                }
                let sent = unsent.into_iter().filter(|id| unreadable.iter().all(|one| one.order_id != *id));
                self.handle.were_sent(&sent.collect::<Vec<_>>());
                self.alarms.set(UNREADABLE, alarm_of(&unreadable));
            }
            // Still due: sent with the next batch, or by the next check.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "cannot read the orders that are to be sent to their pages; trying again");
            }
        }
    }
}

fn named<'a>(ids: impl Iterator<Item = &'a str>, all: usize) -> String {
    let named = ids.take(NAMED_IDS).map(|id| format!("{id:?}")).collect::<Vec<_>>().join(", ");
    if all > NAMED_IDS { format!("{named} and more") } else { named }
}

/// Names the items that are passed over until their rows are put right.
fn alarm_of_unusable(unusable: &[UnusableItem]) -> Option<Alarm> {
    let first = unusable.first()?;
    let text = format!(
        "{} order items without an outcome cannot be rescued, as their rows in PostgreSQL hold invalid values: correct or delete \
         {}",
        unusable.len(),
        named(unusable.iter().map(|item| item.order_item_id.as_str()), unusable.len())
    );
    Some(Alarm::warns(text).with_detail(format!("the first error is: {}", first.reason)))
}

/// Names the items that an operator must decide about.
fn alarm_of_stranded(stranded: &[Stranded]) -> Option<Alarm> {
    stranded.first()?;
    let text = format!(
        "order items from before a gap in the outcomes have no outcome ({}): /admin/rescue lists them; only the event log shows \
         whether their units were taken",
        named(stranded.iter().map(|item| item.order_item_id.as_str()), stranded.len())
    );
    Some(Alarm::warns(text))
}

/// Names the orders that are not sent until their rows are put right.
fn alarm_of(unreadable: &[Unreadable]) -> Option<Alarm> {
    let first = unreadable.first()?;
    let named = named(unreadable.iter().map(|one| one.order_id.as_str()), unreadable.len());
    let text = format!(
        "{} orders cannot be shown to their pages, as their rows in PostgreSQL hold invalid values: correct or delete {named}; \
         the first error is: {}",
        unreadable.len(),
        first.reason
    );
    Some(Alarm::warns(text))
}

fn complain(error: &StoreError) {
    tracing::warn!(error = error as &dyn std::error::Error, "cannot record order outcomes; trying again");
}
