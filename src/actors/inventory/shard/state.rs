//! What a shard works with, and what it keeps while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::flight::BatchInFlight;
use super::handle::{ShardGauge, ShardMsg};
use super::reminders::Reminders;
use super::slots::ProductSlots;
use crate::actors::inventory::committer::CommitterHandle;
use crate::actors::inventory::metrics::EngineMetrics;
use crate::actors::inventory::news::NotifySource;
use crate::actors::inventory::product::ProductContext;
use crate::actors::kit::Mailbox;
use crate::actors::stats::Vitals;
use crate::actors::supervision::RestartPolicy;
use crate::clock::Clock;
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::domain::inventory::PerInput;
use crate::log::{EventLog, Offset, PartitionId, Position};
use crate::telemetry::alarms::Alarms;
use crate::wire::topics::Topic;

/// What a shard works with. Shared by its incarnations.
pub(crate) struct ShardContext {
    pub partition: PartitionId,
    pub log: Arc<dyn EventLog>,
    pub clock: Clock,
    pub products: Arc<ProductContext>,
    pub committer: CommitterHandle,
    pub notify: NotifySource,
    pub metrics: Arc<EngineMetrics>,
    pub gauge: Arc<ShardGauge>,
    pub vitals: Vitals,
    pub mailbox: Mailbox<ShardMsg>,
    pub restart: RestartPolicy,
    /// Products that have not replied within this time count as hung.
    pub hang_after: Duration,
    /// Live products of the whole process.
    pub max_live_products: usize,
    pub alarms: Alarms,
}

/// The actor of one shard.
pub(crate) struct Shard(pub Arc<ShardContext>);

impl std::ops::Deref for Shard {
    type Target = ShardContext;

    fn deref(&self) -> &ShardContext {
        &self.0
    }
}

/// What a shard keeps while it runs.
#[derive(Default)]
pub(crate) struct ShardState {
    pub slots: ProductSlots,
    pub reminders: Reminders,
    pub committed: CommittedInputs,
    /// Products whose state lies below a foreign record, and the offset of that record: the next batch writes the states again.
    pub overlaid: BTreeMap<ProductId, Offset>,
    /// Foreign positions that are not reached yet, by topic: records before them are still to be handled.
    pub foreign_until: BTreeMap<Topic, Offset>,
    pub flight: Option<BatchInFlight>,
    pub restoring: Option<Restoring>,
    /// Whether the states have been read.
    pub ready: bool,
    /// The batch that was given up last.
    #[cfg(feature = "seeded-bugs")]
    pub given_up: Option<BatchInFlight>,
}

/// How far the inputs are committed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CommittedInputs {
    pub next: PerInput<Option<Offset>>,
    /// The highest append time of `order-events`; 0 before the first.
    pub highest_append_ms: EpochMs,
}

/// The task that reads the states.
pub(crate) struct Restoring {
    /// Given by the source; a result with another one is dropped.
    pub attempt: u64,
    pub positions: BTreeMap<Topic, Position>,
    pub _task: AbortOnDropHandle<()>,
}

impl ShardContext {
    /// Publishes the figures that others read without asking.
    pub(super) fn publish_gauges(&self, state: &ShardState) {
        // States that must be written again are due at once.
        let due = if state.overlaid.is_empty() { state.reminders.earliest() } else { Some(0) };
        let earliest = due.filter(|_| state.ready);
        self.gauge.earliest_deadline_ms.store(earliest.unwrap_or(EpochMs::MAX), Ordering::Relaxed);
        self.gauge.products.store(state.slots.len() as u64, Ordering::Relaxed);
        self.gauge.live.store(state.slots.live() as u64, Ordering::Relaxed);
    }
}
