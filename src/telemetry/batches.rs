//! From many threads to the collector: a bounded queue, one task that gathers batches, and nothing that waits for either.
//!
//! ```text
//!  any thread ─ push ─► queue (bounded in items; what does not fit is dropped and counted) ─► one task ─► Outlet ─► OTLP
//! ```
//! A collector that is down, slow, hanging or refusing costs the items that it does not take and one line a minute.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::otlp_target::{BatchLimits, Otlp, without_credentials};
use super::seldom::Seldom;

/// A collector in trouble is one line in this time, for each signal.
static TROUBLE: Seldom = Seldom::new(Duration::from_secs(60));
/// How long the last items may take to leave.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);
/// The same where the collector took nothing last time: a stop is not held up for it.
const FLUSH_PATIENCE_IN_TROUBLE: Duration = Duration::from_millis(200);

/// Items by fate, since the process started.
#[derive(Debug, Default)]
pub struct ExportCounts {
    pub exported: AtomicU64,
    /// The queue was full.
    pub queue_full: AtomicU64,
    /// The collector did not take them.
    pub refused: AtomicU64,
    /// They were still there when the process stopped.
    pub left_behind: AtomicU64,
    in_trouble: AtomicBool,
}

impl ExportCounts {
    /// All that did not reach the collector.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        [&self.queue_full, &self.refused, &self.left_behind].map(|count| count.load(Ordering::Relaxed)).into_iter().sum()
    }

    /// How long to wait for the collector at the end.
    pub(super) fn flush_patience(&self) -> Duration {
        if self.in_trouble.load(Ordering::Relaxed) { FLUSH_PATIENCE_IN_TROUBLE } else { FLUSH_PATIENCE }
    }
}

/// Counts what became of batches, and says it when the collector does not take them.
#[derive(Debug)]
pub(super) struct Report {
    pub counts: Arc<ExportCounts>,
    /// As in "the collector does not take spans".
    pub what: &'static str,
    endpoint: String,
}

impl Report {
    pub(super) fn new(what: &'static str, otlp: &Otlp) -> Self {
        Self { counts: Arc::default(), what, endpoint: without_credentials(&otlp.endpoint.to_string()) }
    }

    /// Takes note of so many items that were sent, or of why they were not.
    pub(super) fn note(&self, count: u64, sent: Result<(), String>) {
        let what = self.what;
        let Err(cause) = sent else {
            self.counts.exported.fetch_add(count, Ordering::Relaxed);
            if self.counts.in_trouble.swap(false, Ordering::Relaxed) {
                tracing::info!(endpoint = self.endpoint, "the collector takes {what} again");
            }
            return;
        };
        self.counts.refused.fetch_add(count, Ordering::Relaxed);
        self.counts.in_trouble.store(true, Ordering::Relaxed);
        if let Some(untold) = TROUBLE.due(what) {
            let dropped = self.counts.dropped();
            tracing::warn!(
                endpoint = self.endpoint,
                cause,
                dropped,
                untold,
                "the collector does not take {what}: they are dropped"
            );
        }
    }
}

/// Sends batches of one signal.
pub(super) trait Outlet: Send + Sync + 'static {
    type Item: Send + 'static;

    /// Sends a batch, and notes what became of it.
    fn send(&self, batch: Vec<Self::Item>, report: &Report) -> impl Future<Output = ()> + Send;
}

enum Message<T> {
    Item(T),
    Flush(oneshot::Sender<()>),
}

/// The way to one outlet. Cheap to clone.
pub(super) struct BatchQueue<T> {
    queue: mpsc::Sender<Message<T>>,
    counts: Arc<ExportCounts>,
    what: &'static str,
}

impl<T> Clone for BatchQueue<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), counts: self.counts.clone(), what: self.what }
    }
}

impl<T> fmt::Debug for BatchQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchQueue({})", self.what)
    }
}

impl<T: Send + 'static> BatchQueue<T> {
    /// Starts the task that sends.
    pub(super) fn start(outlet: impl Outlet<Item = T>, limits: BatchLimits, report: Report) -> Self {
        let (queue, items) = mpsc::channel(limits.queue);
        let started = Self { queue, counts: report.counts.clone(), what: report.what };
        tokio::spawn(run(outlet, limits, report, items));
        started
    }

    /// What became of the items so far.
    pub(super) fn counts(&self) -> &Arc<ExportCounts> {
        &self.counts
    }

    /// Puts an item into the queue, or drops and counts it.
    pub(super) fn push(&self, item: T) {
        if self.queue.try_send(Message::Item(item)).is_err() {
            self.counts.queue_full.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends what is still there, for a while.
    pub(super) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Message::Flush(done)).await.is_ok() {
                let _ = is_done.await;
            }
        };
        if tokio::time::timeout(self.counts.flush_patience(), flushed).await.is_err() {
            let (left, what) = (self.queue.max_capacity() - self.queue.capacity(), self.what);
            self.counts.left_behind.fetch_add(left as u64, Ordering::Relaxed);
            tracing::warn!(left, "the last {what} did not leave in time");
        }
    }
}

async fn run<O: Outlet>(outlet: O, limits: BatchLimits, report: Report, mut items: mpsc::Receiver<Message<O::Item>>) {
    loop {
        let (batch, flushed) = gather(&mut items, limits).await;
        let is_over = batch.is_empty() && flushed.is_none();
        if !batch.is_empty() {
            outlet.send(batch, &report).await;
        }
        if let Some(flushed) = flushed {
            let _ = flushed.send(());
        }
        if is_over {
            return;
        }
    }
}

/// Waits for a batch: as many items as it may have, or what came in the time that they may wait.
async fn gather<T>(items: &mut mpsc::Receiver<Message<T>>, limits: BatchLimits) -> (Vec<T>, Option<oneshot::Sender<()>>) {
    let mut batch = Vec::new();
    let mut due = None;
    while batch.len() < limits.batch {
        let next = match due {
            None => items.recv().await,
            Some(due) => match tokio::time::timeout_at(due, items.recv()).await {
                Ok(next) => next,
                Err(_) => return (batch, None),
            },
        };
        match next {
            Some(Message::Item(item)) => batch.push(item),
            Some(Message::Flush(flushed)) => return (batch, Some(flushed)),
            None => return (batch, None),
        }
        due = due.or_else(|| Some(Instant::now() + limits.delay));
    }
    (batch, None)
}
