//! The budget in bytes of topics that anybody writes to: beyond it the oldest records go, long before their time.
//!
//! The records are counted as they come, some at each tick, and once from the beginning after a start. So many bytes may be held by
//! a topic's partitions together, each its share.

use std::sync::Arc;

use rusqlite::params;

use super::{Keeper, SLICE, unavailable};
use crate::log::embedded::shelf::Shelf;
use crate::log::embedded::writer::Prune;
use crate::log::{LogError, Offset};

/// Records counted at a time, so that no long read keeps the WAL from starting over: more than can be written meanwhile.
const COUNTED: i64 = 50_000;
/// Bytes deleted at a time, about: a commit waits for it.
const SLICE_BYTES: u64 = 4 << 20;

/// What a partition holds.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::log::embedded) struct Retained {
    /// Counted up to here.
    end: Offset,
    bytes: u64,
}

impl Keeper {
    /// Counts what is new, and deletes the oldest beyond the budget. `all`: as far as there is something to count.
    pub(super) fn trim_all(&mut self, all: bool) -> Result<(), LogError> {
        let Some(budget) = self.policy.tracked_bytes else { return Ok(()) };
        for shelf in self.shelves.all() {
            if !shelf.at.topic.is_tracked() {
                continue;
            }
            let partitions = self.shelves.all().iter().filter(|other| other.at.topic == shelf.at.topic).count();
            while self.count(&shelf).map_err(unavailable)? && all {}
            self.trim(&shelf, budget / partitions.max(1) as u64)?;
        }
        Ok(())
    }

    /// Counts some of the records that were not yet; whether there may be more.
    fn count(&mut self, shelf: &Shelf) -> Result<bool, rusqlite::Error> {
        let (start, end) = (shelf.start(), shelf.end());
        let retained = self.retained.entry(shelf.id).or_default();
        retained.end = retained.end.max(start);
        let stop = end.min(retained.end + COUNTED);
        retained.bytes += sum(&self.connection, shelf, retained.end, stop)?;
        retained.end = stop;
        Ok(stop < end)
    }

    /// Deletes the records before this offset, and counts them no longer once they are gone.
    pub(super) fn prune_before(&mut self, shelf: &Arc<Shelf>, before: Offset) -> Result<(), LogError> {
        let counted = self.retained.get(&shelf.id).map(|retained| before.min(retained.end));
        let gone = counted.map_or(Ok(0), |end| sum(&self.connection, shelf, shelf.start(), end)).map_err(unavailable)?;
        self.prune(Prune::Before(Arc::clone(shelf), before))?;
        if let Some(retained) = self.retained.get_mut(&shelf.id) {
            retained.bytes = retained.bytes.saturating_sub(gone);
        }
        Ok(())
    }

    fn trim(&mut self, shelf: &Arc<Shelf>, budget: u64) -> Result<(), LogError> {
        while let Some(retained) = self.retained.get(&shelf.id).filter(|retained| retained.bytes > budget) {
            let surplus = retained.bytes - budget;
            let Some(before) = self.oldest(shelf, retained.end, surplus).map_err(unavailable)? else { return Ok(()) };
            self.prune_before(shelf, before)?;
        }
        Ok(())
    }

    /// Where to delete up to, to be rid of so many bytes, or of a slice.
    fn oldest(&self, shelf: &Shelf, end: Offset, surplus: u64) -> Result<Option<Offset>, rusqlite::Error> {
        let sql = format!(
            "SELECT \"offset\", {COST} FROM {} WHERE \"offset\" >= ?1 AND \"offset\" < ?2 ORDER BY \"offset\" LIMIT {SLICE}",
            shelf.table
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![shelf.start(), end])?;
        let (mut bytes, mut before) = (0, None);
        while bytes < surplus.min(SLICE_BYTES)
            && let Some(row) = rows.next()?
        {
            before = Some(row.get::<_, Offset>(0)? + 1);
            bytes += row.get::<_, i64>(1)?.unsigned_abs();
        }
        Ok(before)
    }
}

/// What a record takes, 64 bytes for its share of pages included: SQLite knows the length of a value without reading it.
const COST: &str = "64 + coalesce(length(key), 0) + coalesce(length(headers), 0) + coalesce(length(value), 0)";

fn sum(connection: &rusqlite::Connection, shelf: &Shelf, from: Offset, to: Offset) -> Result<u64, rusqlite::Error> {
    let sql = format!("SELECT coalesce(sum({COST}), 0) FROM {} WHERE \"offset\" >= ?1 AND \"offset\" < ?2", shelf.table);
    connection.prepare_cached(&sql)?.query_row(params![from, to], |row| row.get(0).map(i64::unsigned_abs))
}
