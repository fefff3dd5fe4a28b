//! How others talk to a shard: the source that feeds it, the committer, and operators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::Serialize;

use super::slots::Slots;
use super::{BatchId, Part, ShardMsg};
use crate::actors::envelope::{CallError, Envelope, Mailbox};
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::log::{PartitionId, Position};
use crate::wire::topics::Topic;

/// Operators wait this long for a shard's list.
const LIST_PATIENCE: Duration = Duration::from_secs(5);

/// Figures of a shard that are read without asking it.
#[derive(Debug)]
pub struct ShardGauge {
    /// The earliest reminder in the queue; [`EpochMs::MAX`] without one.
    pub earliest_deadline_ms: AtomicI64,
    pub products: AtomicU64,
    pub live: AtomicU64,
    /// Why its states cannot be read, while that is so.
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

/// A product as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductReport {
    pub id: String,
    pub live: bool,
    pub stock: i64,
    pub life: i64,
    pub version: u64,
    pub last_heard_ms: EpochMs,
    pub stale_deadline_ms: EpochMs,
    pub stale: bool,
    /// It has been restarted lately.
    pub restarted: bool,
}

/// The address of one shard. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ShardHandle {
    pub partition: PartitionId,
    mailbox: Mailbox<ShardMsg>,
    gauge: Arc<ShardGauge>,
}

impl ShardHandle {
    /// A handle to the shard behind this mailbox.
    #[must_use]
    pub fn new(partition: PartitionId, mailbox: Mailbox<ShardMsg>, gauge: Arc<ShardGauge>) -> Self {
        Self { partition, mailbox, gauge }
    }

    /// The partition is this process's: read its states. The ticket comes back with the news that they are there.
    ///
    /// # Errors
    /// [`CallError::NotRunning`].
    pub fn restore(&self, ticket: u64, positions: BTreeMap<Topic, Position>) -> Result<(), CallError> {
        self.mailbox.tell(ShardMsg::Restore { ticket, positions })
    }

    /// The partition is somebody else's.
    ///
    /// # Errors
    /// [`CallError::NotRunning`].
    pub fn release(&self) -> Result<(), CallError> {
        self.mailbox.tell(ShardMsg::Release)
    }

    /// Work for a batch.
    ///
    /// # Errors
    /// [`CallError::NotRunning`].
    pub fn begin(&self, batch: BatchId, part: Part) -> Result<(), CallError> {
        self.mailbox.tell(ShardMsg::Begin { batch, part: Box::new(Envelope::new(part)) })
    }

    /// The batch is durable.
    ///
    /// # Errors
    /// [`CallError::NotRunning`].
    pub fn committed(&self, batch: BatchId) -> Result<(), CallError> {
        self.mailbox.tell(ShardMsg::Committed { batch })
    }

    /// The batch under way is void.
    ///
    /// # Errors
    /// [`CallError::NotRunning`].
    pub fn abandon(&self) -> Result<(), CallError> {
        self.mailbox.tell(ShardMsg::Abandon)
    }

    /// At most `limit` of its products, in the order of their ids.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn list(&self, limit: usize) -> Result<Vec<ProductReport>, CallError> {
        self.mailbox.ask(LIST_PATIENCE, |answer| ShardMsg::List { limit, answer }).await
    }

    /// Kills a product's actor even if it is idle; tells whether there was one.
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
}

pub(super) fn list(slots: &Slots, limit: usize) -> Vec<ProductReport> {
    let report = |(id, slot): (&ProductId, &super::slots::Slot)| {
        let known = slot.state.as_ref()?;
        Some(ProductReport {
            id: id.to_string(),
            live: slot.live.is_some(),
            stock: known.product.stock.units(),
            life: known.revision.life,
            version: known.revision.version,
            last_heard_ms: known.last_heard_ms,
            stale_deadline_ms: known.stale_deadline_ms,
            stale: known.stale,
            restarted: slot.restarts.is_some(),
        })
    };
    let mut ids: Vec<_> = slots.iter().collect();
    ids.sort_unstable_by_key(|(id, _)| *id);
    ids.into_iter().filter_map(report).take(limit).collect()
}

pub(super) fn kill(slots: &Slots, id: &ProductId) -> bool {
    let live = slots.get(id).and_then(|slot| slot.live.as_ref());
    live.inspect(|live| live.actor.kill()).is_some()
}
