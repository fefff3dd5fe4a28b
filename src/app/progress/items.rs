//! Order items whose outcome is overdue.

use std::collections::BTreeSet;

use super::Progress;
use crate::config::RoleName;
use crate::store::Overdue;
use crate::telemetry::alarms::{About, Alarm, Cause};

/// Asks PostgreSQL, and sets the alarm. It blocks only if those that should have settled the items run in this process.
pub(super) async fn look(progress: &Progress, roles: &BTreeSet<RoleName>) {
    let about = About::cause(Cause::ItemsUnsettled);
    if !roles.contains(&RoleName::Api) && !roles.contains(&RoleName::Cdc) {
        return progress.alarms.clear(&about);
    }
    // A database that does not answer is a reason of its own.
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
        "order items wait for their outcome: {direct} direct and {wal} wal (1000 stands for more), the oldest since {} s; \
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
