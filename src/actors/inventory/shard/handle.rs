//! The messages of a shard, and the handle through which others send them: the source, the committer, and operators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::report::ProductReport;
use super::restored::{RestoreError, RestoredPartition};
use super::resume::ResumePositions;
use crate::actors::inventory::batch::{BatchId, Part};
use crate::actors::inventory::collector::Collected;
use crate::actors::kit::{Answer, CallError, Mailbox};
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::log::{PartitionId, Position};
use crate::wire::topics::Topic;

/// Operators wait this long for a shard's list.
const LIST_PATIENCE: Duration = Duration::from_secs(5);

/// A message to a shard.
#[derive(Debug)]
pub(crate) enum ShardMsg {
    /// The partition belongs to this process from these positions on: forget everything and read the states from the log.
    Restore { attempt: u64, positions: BTreeMap<Topic, Position> },
    /// The states were read, or could not be.
    Restored { attempt: u64, result: Result<(RestoredPartition, ResumePositions), RestoreError> },
    /// The partition belongs to another process.
    Release,
    /// The shard's part of a batch was dispatched: process it.
    Begin { batch: BatchId, part: Box<Part> },
    /// The products of the batch have replied.
    Collected { batch: BatchId, collected: Collected },
    /// The wait before a product's next attempt is over.
    Retry { batch: BatchId, product: usize, attempt: u32 },
    /// Products that have not replied to the batch by now count as hung.
    Overdue { batch: BatchId },
    /// The batch is durable: its states become the committed ones.
    Committed { batch: BatchId },
    /// The batch was given up: the committed states count.
    Abandon,
    /// An operator lists products, in the order of their ids.
    List { limit: usize, answer: Answer<Vec<ProductReport>> },
    /// An operator looks for one product.
    Find { id: ProductId, answer: Answer<Option<ProductReport>> },
    /// An operator wants a new incarnation of one product's actor; answers whether there was one.
    ReplaceProduct { id: ProductId, answer: Answer<bool> },
    /// Kills one product's actor for a drill; answers whether there was one.
    KillProduct { id: ProductId, answer: Answer<bool> },
}

/// Figures of a shard that are read without asking it.
#[derive(Debug)]
pub struct ShardGauge {
    /// The earliest reminder in the queue; [`EpochMs::MAX`] without one.
    pub earliest_deadline_ms: AtomicI64,
    pub products: AtomicU64,
    pub live: AtomicU64,
    /// Why its states cannot be read; empty while they can.
    pub trouble: ArcSwapOption<String>,
}

impl Default for ShardGauge {
    fn default() -> Self {
        let (products, live) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { earliest_deadline_ms: AtomicI64::new(EpochMs::MAX), products, live, trouble: ArcSwapOption::empty() }
    }
}

impl ShardGauge {
    pub(super) fn clear(&self) {
        self.earliest_deadline_ms.store(EpochMs::MAX, Ordering::Relaxed);
        self.products.store(0, Ordering::Relaxed);
        self.live.store(0, Ordering::Relaxed);
    }
}

/// The address of one shard, for the source that feeds it, the committer and operators. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ShardHandle {
    pub partition: PartitionId,
    mailbox: Mailbox<ShardMsg>,
    gauge: Arc<ShardGauge>,
}

impl ShardHandle {
    /// A handle to the shard behind this mailbox.
    pub(crate) fn new(partition: PartitionId, mailbox: Mailbox<ShardMsg>, gauge: Arc<ShardGauge>) -> Self {
        Self { partition, mailbox, gauge }
    }

    /// The partition belongs to this process: read its states. The news that they have been read names the same attempt.
    pub(crate) fn restore(&self, attempt: u64, positions: BTreeMap<Topic, Position>) -> Result<(), CallError> {
        self.mailbox.tell(ShardMsg::Restore { attempt, positions })
    }

    /// The partition belongs to another process.
    pub(crate) fn release(&self) -> Result<(), CallError> {
        self.mailbox.tell(ShardMsg::Release)
    }

    /// The shard's part of a batch.
    pub(crate) fn begin(&self, batch: BatchId, part: Part) -> Result<(), CallError> {
        self.mailbox.tell(ShardMsg::Begin { batch, part: Box::new(part) })
    }

    /// The batch is durable.
    pub(crate) fn committed(&self, batch: BatchId) -> Result<(), CallError> {
        self.mailbox.tell(ShardMsg::Committed { batch })
    }

    /// The batch under way was given up.
    pub(crate) fn abandon(&self) -> Result<(), CallError> {
        self.mailbox.tell(ShardMsg::Abandon)
    }

    /// At most `limit` of its products, in the order of their ids.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list(&self, limit: usize) -> Result<Vec<ProductReport>, CallError> {
        self.mailbox.ask(LIST_PATIENCE, |answer| ShardMsg::List { limit, answer }).await
    }

    /// One of its products.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn find(&self, id: &ProductId) -> Result<Option<ProductReport>, CallError> {
        self.mailbox.ask(LIST_PATIENCE, |answer| ShardMsg::Find { id: id.clone(), answer }).await
    }

    /// Ends the incarnation of a product's actor in order, without counting it as a failure; returns whether there was one. The
    /// next one starts with the next command, or at once with those that it had not finished.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn replace_product(&self, id: &ProductId) -> Result<bool, CallError> {
        self.mailbox.ask(LIST_PATIENCE, |answer| ShardMsg::ReplaceProduct { id: id.clone(), answer }).await
    }

    /// Kills a product's actor even if it is idle; returns whether there was one.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn kill_product(&self, id: &ProductId) -> Result<bool, CallError> {
        self.mailbox.ask(LIST_PATIENCE, |answer| ShardMsg::KillProduct { id: id.clone(), answer }).await
    }

    /// Its figures.
    #[must_use]
    pub fn gauge(&self) -> &ShardGauge {
        &self.gauge
    }

    /// Where the shard itself receives its messages.
    pub(crate) fn mailbox(&self) -> Mailbox<ShardMsg> {
        self.mailbox.clone()
    }

    /// The figures, for the shard itself.
    pub(crate) fn shared_gauge(&self) -> Arc<ShardGauge> {
        self.gauge.clone()
    }
}
