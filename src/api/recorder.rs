//! Appends tracked events and changed carts to the log outside the request's path: bounded, in batches, and no request waits
//! for it.
//!
//! These records only report what happened; no decision depends on them. If the log is unavailable or too slow they are dropped
//! and counted, except for a changed cart, which is then sent to the session's pages of this process without the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::server::Lifeline;
use super::tracked_budget::TrackedBudget;
use crate::actors::fanout::FanoutHandle;
use crate::clock::Clock;
use crate::log::{EventLog, NewRecord};
use crate::telemetry::context::TraceContext;
use crate::telemetry::seldom::Seldom;
use crate::wire::pages::cart::Cart;

/// Records that wait for the log at most.
const WAITING_MAX: usize = 10_000;
/// Records of one append.
const BATCH_MAX: usize = 1_000;
/// An append that takes longer is given up: its records may still be written.
const DEADLINE: Duration = Duration::from_secs(5);
/// Lost records are logged once in so much time, and counted always.
static FAILURES: Seldom = Seldom::new(Duration::from_secs(10));

/// Takes records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Noted>,
    fanout: FanoutHandle,
    clock: Clock,
    counts: Arc<RecorderCounts>,
    budget: Arc<TrackedBudget>,
}

/// Counts of the records since the process started, by outcome.
#[derive(Debug, Default)]
pub struct RecorderCounts {
    pub written: AtomicU64,
    pub dropped: AtomicU64,
}

/// A record, with the cart that it reports.
struct Noted {
    record: NewRecord,
    cart: Option<Box<Cart>>,
    /// Its share of the budget while it waits.
    cost: usize,
}

impl Recorder {
    /// Starts writing; records that wait when the server stops are still written.
    #[must_use]
    pub fn start(
        log: Arc<dyn EventLog>,
        fanout: FanoutHandle,
        clock: Clock,
        counts: Arc<RecorderCounts>,
        budget: Arc<TrackedBudget>,
        lifeline: &Lifeline,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let writer = RecordWriter { log, fanout: fanout.clone(), counts: counts.clone(), budget: budget.clone() };
        lifeline.tasks.spawn(writer.run(waiting));
        Self { queue, fanout, clock, counts, budget }
    }

    /// Queues tracked events; returns how many were queued. The rest is dropped.
    pub fn note(&self, records: impl IntoIterator<Item = NewRecord>) -> usize {
        records.into_iter().map(|record| self.queue(record, None)).filter(|is_queued| *is_queued).count()
    }

    /// Returns whether there was budget and room for it.
    fn queue(&self, record: NewRecord, cart: Option<Box<Cart>>) -> bool {
        let queued = self.budget.take(&record).is_some_and(|cost| {
            let sent = self.queue.try_send(Noted { record, cart, cost }).is_ok();
            if !sent {
                self.budget.give_back(cost);
            }
            sent
        });
        self.counts.dropped.fetch_add(u64::from(!queued), Ordering::Relaxed);
        queued
    }

    /// Queues a changed cart, so that every process sends it to the session's pages.
    pub fn note_cart(&self, cart: &Cart, trace: Option<TraceContext>) {
        let uuid = uuid::Uuid::new_v4().to_string();
        let record = cart.record(&uuid, self.clock.now_ms(), trace.as_ref());
        if !self.queue(record, Some(Box::new(cart.clone()))) {
            self.fanout.show_cart(cart);
        }
    }
}

struct RecordWriter {
    log: Arc<dyn EventLog>,
    fanout: FanoutHandle,
    counts: Arc<RecorderCounts>,
    budget: Arc<TrackedBudget>,
}

impl RecordWriter {
    /// Until the last sender is gone: requests that are still being answered may queue more.
    async fn run(self, mut waiting: mpsc::Receiver<Noted>) {
        let mut batch = Vec::new();
        let work = async {
            while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
                let cost = batch.iter().map(|noted: &Noted| noted.cost).sum();
                self.write(std::mem::take(&mut batch)).await;
                self.budget.give_back(cost);
            }
        };
        tokio::select! { () = work => {} () = self.budget.watch() => {} }
    }

    async fn write(&self, batch: Vec<Noted>) {
        let count = batch.len() as u64;
        let (records, carts): (Vec<_>, Vec<_>) = batch.into_iter().map(|noted| (noted.record, noted.cart)).unzip();
        match self.log.append(records, DEADLINE).await {
            Ok(_) => {
                self.counts.written.fetch_add(count, Ordering::Relaxed);
            }
            Err(error) => {
                self.counts.dropped.fetch_add(count, Ordering::Relaxed);
                if let Some(untold) = FAILURES.due("append") {
                    tracing::warn!(%error, records = count, untold, "tracked events could not be written");
                }
                carts.into_iter().flatten().for_each(|cart| self.fanout.show_cart(&cart));
            }
        }
    }
}
