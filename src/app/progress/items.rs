//! Order items whose outcome is overdue.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::WorkProgress;
use crate::config::RoleName;
use crate::store::{Overdue, Pending};
use crate::telemetry::alarms::{About, Alarm, Cause};
use crate::telemetry::families as family;
use crate::telemetry::metrics::Metrics;

/// The orders that wait for outcomes, by PostgreSQL's last answer. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::app) struct PendingOrders(Arc<Mutex<Option<WaitingOrders>>>);

#[derive(Debug, Clone, Copy)]
struct WaitingOrders {
    orders: u64,
    /// When the oldest was placed.
    since: Option<Instant>,
}

impl PendingOrders {
    fn note(&self, pending: Pending) {
        let since = pending.oldest.and_then(|age| Instant::now().checked_sub(age));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(WaitingOrders { orders: pending.orders, since });
    }

    fn last(&self) -> Option<WaitingOrders> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows them on `/metrics`. The age grows while PostgreSQL does not answer.
    pub fn register(&self, metrics: &Metrics) {
        let pending = self.clone();
        metrics.observe_one(&family::ORDERS_PENDING, move || Some(pending.last()?.orders as f64));
        let pending = self.clone();
        metrics.observe_one(&family::ORDERS_PENDING_AGE_SECONDS, move || {
            Some(pending.last()?.since.map_or(0.0, |since| since.elapsed().as_secs_f64()))
        });
    }
}

/// Asks PostgreSQL, and sets the alarm. It blocks only if those that should have settled the items run in this process.
pub(super) async fn look(progress: &WorkProgress, roles: &BTreeSet<RoleName>) {
    if let Ok(pending) = progress.store.pending().await {
        progress.pending.note(pending);
    }
    let about = About::cause(Cause::ItemsUnsettled);
    if !roles.contains(&RoleName::Api) && !roles.contains(&RoleName::Cdc) {
        return progress.alarms.clear(&about);
    }
    // A database that does not answer has an alarm of its own.
    let Ok(overdue) = progress.store.overdue(progress.settings.unsettled_after).await else { return };
    progress.alarms.set(about, alarm(overdue, roles));
}

fn alarm(overdue: Overdue, roles: &BTreeSet<RoleName>) -> Option<Alarm> {
    let Overdue { direct, wal, oldest } = overdue;
    if direct + wal == 0 {
        return None;
    }
    let runs = |role| roles.contains(&role);
    let is_ours = runs(RoleName::Inventory) && ((direct > 0 && runs(RoleName::Api)) || (wal > 0 && runs(RoleName::Cdc)));
    let text = format!(
        "order items wait for their outcome: {direct} direct and {wal} wal (1000 means at least 1000), the oldest for {} s; \
         `kartshoppe cdc status` and /admin/rescue say what they wait for",
        oldest.as_secs()
    );
    Some(if is_ours { Alarm::blocks(text) } else { Alarm::warns(text) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn blocks_only_where_those_who_settle_run() {
        use RoleName::{Api, Cdc, Inventory};
        let overdue = |direct, wal| Overdue { direct, wal, oldest: Duration::from_secs(90) };
        let blocks = |overdue, roles: &[RoleName]| alarm(overdue, &roles.iter().copied().collect()).map(|alarm| alarm.blocks);
        assert_eq!(blocks(overdue(0, 0), &[Api, Inventory, Cdc]), None);
        assert_eq!(blocks(overdue(2, 0), &[Api, Inventory]), Some(true));
        assert_eq!(blocks(overdue(0, 2), &[Api, Inventory]), Some(false));
        assert_eq!(blocks(overdue(0, 2), &[Api, Inventory, Cdc]), Some(true));
        assert_eq!(blocks(overdue(2, 2), &[Api, Cdc]), Some(false));
    }
}
