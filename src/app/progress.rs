//! Watches that work makes progress, and raises an alarm where it does not. It only observes, and does not rely on what a part
//! reports about itself.
//!
//! ```text
//!  positions  inventory group, read model, order tracker, carts of the fan-out: each advances while it is below its topic's end
//!  items      no order item in PostgreSQL waits long for its outcome
//!  trial      an idle log still accepts a record, and a reader still receives it
//! ```
//! Only the roles that run in this process are checked. Every alarm is cleared by the first check that finds its cause gone.

mod items;
mod lag;
mod positions;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(super) use self::items::PendingOrders;
pub(super) use self::lag::Lags;
use self::positions::{Ends, READERS, Stalls};
use self::trial::Trial;
use crate::actors::alert_desk::AlertHandle;
use crate::actors::catalog_view::{CatalogHandle, CatalogState};
use crate::actors::fanout::FanoutHandle;
use crate::actors::inventory::INVENTORY_GROUP;
use crate::actors::root::RootHandle;
use crate::actors::supervision::ChildState;
use crate::config::{Health, RoleName};
use crate::log::{EventLog, LogError, Offset, PartitionInfo, Topic, TopicPartition};
use crate::store::Store;
use crate::telemetry::alarms::Alarms;

/// Label of the reader that raises no alarm of its own.
const ALERT_DESK: &str = "alert-desk";

/// Time limit of each query; after it the check continues without the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is watched.
pub(super) struct WorkProgress {
    pub log: Arc<dyn EventLog>,
    pub store: Store,
    pub roots: RootHandle,
    pub catalog: CatalogHandle,
    pub fanout: FanoutHandle,
    pub alerts: AlertHandle,
    pub lags: Lags,
    pub pending: PendingOrders,
    pub alarms: Alarms,
    /// The key of this process's trial writes.
    pub instance: String,
    pub settings: Health,
}

/// Checks until it is aborted.
pub(super) async fn watch(progress: WorkProgress) {
    let every = progress.settings.look_every();
    let mut watch = Watch {
        stalls: Stalls::new(progress.settings.stalled_after),
        trial: Trial::new(&progress.instance, progress.settings.trial_write_after),
        looked: Instant::now(),
        progress,
    };
    loop {
        tokio::time::sleep(every).await;
        // After a freeze of this process, the time that passed says nothing about the other parts.
        if watch.looked.elapsed() > every * 3 + PATIENCE * 4 {
            watch.stalls.forget();
        }
        watch.looked = Instant::now();
        watch.look().await;
    }
}

struct Watch {
    progress: WorkProgress,
    stalls: Stalls,
    trial: Trial,
    looked: Instant,
}

impl Watch {
    async fn look(&mut self) {
        let Some(roles) = self.progress.running_roles().await else { return self.nothing_known() };
        let bounds = self.progress.bounds().await;
        match &bounds {
            Ok(bounds) => self.look_at_positions(&roles, bounds).await,
            Err(_) => self.nothing_known(),
        }
        items::look(&self.progress, &roles).await;
        let written = bounds.ok().map(|bounds| {
            let others = bounds.iter().filter(|(at, _)| at.topic != Topic::Health);
            others.map(|(_, info)| info.end).sum::<Offset>()
        });
        self.trial.look(&*self.progress.log, &self.progress.alarms, written).await;
    }

    /// The time since the last answer counts as lag: figures must not stay as they were.
    fn nothing_known(&self) {
        READERS.iter().map(|reader| reader.name).chain([ALERT_DESK]).for_each(|reader| self.progress.lags.unanswered(reader));
    }

    async fn look_at_positions(&mut self, roles: &BTreeSet<RoleName>, bounds: &Ends) {
        let (api, inventory) = (roles.contains(&RoleName::Api), roles.contains(&RoleName::Inventory));
        let progress = &self.progress;
        let is_followed = progress.catalog.state() != CatalogState::Restoring;
        let of_catalog = if is_followed { progress.catalog.positions() } else { BTreeMap::new() };
        // Positions that are kept outside this process are measured whether their reader runs or not.
        let readers = [
            (positions::INVENTORY, inventory, progress.inventory_positions(bounds).await),
            (positions::CATALOG, api, Some(of_catalog)),
            (positions::TRACKER, api, progress.tracker_positions(bounds).await),
            (positions::FANOUT, api, Some(progress.fanout.positions())),
        ];
        let (log, alarms) = (&*progress.log, &progress.alarms);
        for (reader, runs, known) in readers {
            // A reader whose positions could not be read is judged by the next check.
            let Some(known) = known else {
                progress.lags.unanswered(reader.name);
                continue;
            };
            self.stalls.look(reader, &known, bounds, log, alarms, runs).await;
            progress.lags.look(reader.name, &known, bounds, |at| self.stalls.empty_to(reader, at));
        }
        progress.lags.look(ALERT_DESK, &progress.alerts.positions(), bounds, |_| None);
    }
}

impl WorkProgress {
    async fn running_roles(&self) -> Option<BTreeSet<RoleName>> {
        let roles = self.roots.report(PATIENCE).await.ok()?;
        let running = roles.iter().filter(|role| role.state != ChildState::Stopped);
        Some(running.filter_map(|role| RoleName::parse(role.id.strip_prefix("role/")?)).collect())
    }

    async fn bounds(&self) -> Result<BTreeMap<TopicPartition, PartitionInfo>, LogError> {
        let silent = LogError::Deadline { waited: PATIENCE };
        let topics = tokio::time::timeout(PATIENCE, self.log.topics()).await.map_err(|_| silent)??;
        let partitions = topics.into_iter().flat_map(|info| {
            (0..).zip(info.partitions).map(move |(partition, bounds)| (TopicPartition::new(info.topic, partition), bounds))
        });
        Ok(partitions.collect())
    }

    /// The group's positions; the start of the partition if it has none.
    async fn inventory_positions(&self, bounds: &Ends) -> Option<BTreeMap<TopicPartition, Offset>> {
        let asked = tokio::time::timeout(PATIENCE, self.log.committed(INVENTORY_GROUP)).await;
        let committed = asked.ok()?.ok()?;
        let inputs = bounds.iter().filter(|(at, _)| matches!(at.topic, Topic::ProductUpdates | Topic::OrderEvents));
        let position = |(at, info): (&TopicPartition, &PartitionInfo)| {
            (*at, committed.get(at).map_or(info.start, |position| position.offset))
        };
        Some(inputs.map(position).collect())
    }

    /// Up to where PostgreSQL holds the outcomes, whichever process wrote them.
    async fn tracker_positions(&self, bounds: &Ends) -> Option<BTreeMap<TopicPartition, Offset>> {
        let stored = self.store.tracker_positions().await.ok()?;
        let events = bounds.iter().filter(|(at, _)| at.topic == Topic::InventoryEvents);
        let position = |(at, info): (&TopicPartition, &PartitionInfo)| {
            let stored = stored.iter().find(|stored| stored.partition == at.partition);
            (*at, stored.map_or(info.start, |stored| stored.offset + 1))
        };
        Some(events.map(position).collect())
    }
}
