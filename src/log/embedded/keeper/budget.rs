//! The budget in bytes of topics that anonymous clients write to: beyond it the oldest records are deleted, long before their
//! retention ends.
//!
//! New records are counted at each tick, and all of them once after a start. The budget is a topic's, and each of its partitions
//! has an equal share.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::jobs::Prune;
use super::super::partition_tail::PartitionTail;
use super::tools::{SLICE, Tools, unavailable};
use crate::log::{LogError, Offset};

/// Records counted at a time, so that no long read keeps the WAL from starting over: more than can be written meanwhile.
const COUNTED: i64 = 50_000;
/// Bytes deleted at a time, about: a commit waits for it.
const SLICE_BYTES: u64 = 4 << 20;

/// What tracked topics hold, by the id of the partition.
#[derive(Debug, Default)]
pub(super) struct Budget(BTreeMap<i64, Retained>);

/// What a partition holds.
#[derive(Debug, Clone, Copy, Default)]
struct Retained {
    /// Counted up to here.
    end: Offset,
    bytes: u64,
}

impl Budget {
    /// Counts what is new, and deletes the oldest records beyond the budget. `all` counts everything now.
    pub(super) fn run(&mut self, tools: &Tools, all: bool) -> Result<(), LogError> {
        let Some(budget) = tools.policy.tracked_bytes else { return Ok(()) };
        for tail in tools.tails.all() {
            if !tail.at.topic.is_tracked() {
                continue;
            }
            let partitions = tools.tails.all().iter().filter(|other| other.at.topic == tail.at.topic).count();
            while self.count(tools, &tail).map_err(unavailable)? && all {}
            self.trim(tools, &tail, budget / partitions.max(1) as u64)?;
        }
        Ok(())
    }

    /// Counts some of the records that were not counted yet; whether there may be more.
    fn count(&mut self, tools: &Tools, tail: &PartitionTail) -> Result<bool, rusqlite::Error> {
        let (start, end) = (tail.start(), tail.end());
        let retained = self.0.entry(tail.id).or_default();
        retained.end = retained.end.max(start);
        let stop = end.min(retained.end + COUNTED);
        retained.bytes += sum(&tools.connection, tail, retained.end, stop)?;
        retained.end = stop;
        Ok(stop < end)
    }

    /// Deletes the records before this offset, and subtracts what they held once they are gone.
    pub(super) fn prune_before(&mut self, tools: &Tools, tail: &Arc<PartitionTail>, before: Offset) -> Result<(), LogError> {
        let counted = self.0.get(&tail.id).map(|retained| before.min(retained.end));
        let gone = counted.map_or(Ok(0), |end| sum(&tools.connection, tail, tail.start(), end)).map_err(unavailable)?;
        tools.prune(Prune::Before(Arc::clone(tail), before))?;
        if let Some(retained) = self.0.get_mut(&tail.id) {
            retained.bytes = retained.bytes.saturating_sub(gone);
        }
        Ok(())
    }

    fn trim(&mut self, tools: &Tools, tail: &Arc<PartitionTail>, budget: u64) -> Result<(), LogError> {
        while let Some(retained) = self.0.get(&tail.id).filter(|retained| retained.bytes > budget) {
            let surplus = retained.bytes - budget;
            let Some(before) = oldest(&tools.connection, tail, retained.end, surplus).map_err(unavailable)? else {
                return Ok(());
            };
            self.prune_before(tools, tail, before)?;
        }
        Ok(())
    }
}

/// Bytes that a record takes, with 64 for its share of the pages. SQLite knows the length of a value without reading it.
const COST: &str = "64 + coalesce(length(key), 0) + coalesce(length(headers), 0) + coalesce(length(value), 0)";

fn sum(connection: &Connection, tail: &PartitionTail, from: Offset, to: Offset) -> Result<u64, rusqlite::Error> {
    let sql = format!("SELECT coalesce(sum({COST}), 0) FROM {} WHERE \"offset\" >= ?1 AND \"offset\" < ?2", tail.table);
    connection.prepare_cached(&sql)?.query_row(params![from, to], |row| row.get(0).map(i64::unsigned_abs))
}

/// Where to delete up to, to free `surplus` bytes or a slice.
fn oldest(connection: &Connection, tail: &PartitionTail, end: Offset, surplus: u64) -> Result<Option<Offset>, rusqlite::Error> {
    let sql = format!(
        "SELECT \"offset\", {COST} FROM {} WHERE \"offset\" >= ?1 AND \"offset\" < ?2 ORDER BY \"offset\" LIMIT {SLICE}",
        tail.table
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![tail.start(), end])?;
    let (mut bytes, mut before) = (0, None);
    while bytes < surplus.min(SLICE_BYTES)
        && let Some(row) = rows.next()?
    {
        before = Some(row.get::<_, Offset>(0)? + 1);
        bytes += row.get::<_, i64>(1)?.unsigned_abs();
    }
    Ok(before)
}
