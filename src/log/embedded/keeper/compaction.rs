//! Compaction: of each key the last record stays. Followers see holes where records were.
//!
//! A pass reads the keys of a partition once, in order, and gives up each record as soon as a later one of its key turns up. A
//! tombstone that is the last of its key goes when it is old enough that every follower has seen it. The keys of one partition are
//! held in memory for the time of the pass.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::params;

use super::{Keeper, SLICE, before, unavailable};
use crate::domain::EpochMs;
use crate::log::embedded::schema;
use crate::log::embedded::shelf::Shelf;
use crate::log::embedded::writer::Prune;
use crate::log::{LogError, Offset};
use crate::wire::topics::Retention;

/// Keys read at a time, so that no long read keeps the WAL from starting over.
const KEYS: usize = 5_000;

/// What a pass left.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::log::embedded) struct Compacted {
    /// It went up to here.
    cleaned: Offset,
    /// So many records stayed.
    live: i64,
    /// The time of the oldest tombstone that stayed.
    oldest_tombstone_ms: Option<EpochMs>,
}

/// The last record of a key, as far as the pass has come.
struct Last {
    offset: Offset,
    tombstone_ms: Option<EpochMs>,
}

impl Keeper {
    /// Compacts every partition that is worth it: at least half of it may be superseded, or a tombstone is old enough.
    pub(super) fn compact_all(&mut self, force: bool) -> Result<(), LogError> {
        for shelf in self.shelves.all() {
            if self.policy.of(shelf.at.topic) == Retention::Compacted && (force || self.is_worth_it(&shelf)?) {
                let compacted = self.compact(&shelf)?;
                self.compacted.insert(shelf.id, compacted);
            }
        }
        Ok(())
    }

    fn is_worth_it(&mut self, shelf: &Shelf) -> Result<bool, LogError> {
        if !self.compacted.contains_key(&shelf.id) {
            self.load_compacted()?;
        }
        let last = self.compacted.get(&shelf.id).copied().unwrap_or_default();
        let fresh = shelf.end() - last.cleaned;
        let enough = i64::try_from(self.policy.compact_after).unwrap_or(i64::MAX).max(last.live);
        let oldest_ms = before(self.clock.now_ms(), self.policy.tombstones);
        Ok(fresh >= enough || last.oldest_tombstone_ms.is_some_and(|time_ms| time_ms < oldest_ms))
    }

    /// What passes of earlier runs left.
    fn load_compacted(&mut self) -> Result<(), LogError> {
        for row in schema::load_partitions(&self.connection).map_err(unavailable)? {
            let left = Compacted { cleaned: row.cleaned, live: row.live, oldest_tombstone_ms: None };
            self.compacted.entry(row.id).or_insert(left);
        }
        Ok(())
    }

    fn compact(&self, shelf: &Arc<Shelf>) -> Result<Compacted, LogError> {
        let end = shelf.end();
        let mut last: HashMap<Vec<u8>, Last> = HashMap::new();
        let mut superseded = Vec::new();
        let mut from = shelf.start();
        while from < end {
            from = self.read_keys(shelf, from, end, &mut last, &mut superseded).map_err(unavailable)?;
            self.remove(shelf, &mut superseded, SLICE)?;
        }
        let oldest_ms = before(self.clock.now_ms(), self.policy.tombstones);
        last.retain(|_, record| {
            let stays = record.tombstone_ms.is_none_or(|time_ms| time_ms >= oldest_ms);
            if !stays {
                superseded.push(record.offset);
            }
            stays
        });
        self.remove(shelf, &mut superseded, 1)?;
        let live = i64::try_from(last.len()).unwrap_or(i64::MAX);
        self.prune(Prune::Compacted(Arc::clone(shelf), end, live))?;
        let oldest_tombstone_ms = last.values().filter_map(|record| record.tombstone_ms).min();
        Ok(Compacted { cleaned: end, live, oldest_tombstone_ms })
    }

    /// Reads some keys from `from` on; gives where to go on.
    fn read_keys(
        &self,
        shelf: &Shelf,
        from: Offset,
        end: Offset,
        last: &mut HashMap<Vec<u8>, Last>,
        superseded: &mut Vec<Offset>,
    ) -> Result<Offset, rusqlite::Error> {
        let sql = format!(
            "SELECT \"offset\", key, iif(value IS NULL, time_ms, NULL) FROM {}
             WHERE \"offset\" >= ?1 AND \"offset\" < ?2 AND key IS NOT NULL ORDER BY \"offset\" LIMIT {KEYS}",
            shelf.table
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![from, end])?;
        let mut count = 0;
        let mut next = from;
        while let Some(row) = rows.next()? {
            let record = Last { offset: row.get(0)?, tombstone_ms: row.get(2)? };
            (count, next) = (count + 1, record.offset + 1);
            let key = row.get_ref(1)?.as_blob()?;
            if let Some(known) = last.get_mut(key) {
                superseded.push(std::mem::replace(known, record).offset);
            } else {
                last.insert(key.to_vec(), record);
            }
        }
        Ok(if count < KEYS { end } else { next })
    }

    /// Removes slices as long as there are at least `enough` records to remove.
    fn remove(&self, shelf: &Arc<Shelf>, superseded: &mut Vec<Offset>, enough: usize) -> Result<(), LogError> {
        superseded.sort_unstable();
        while superseded.len() >= enough {
            let slice = superseded.drain(..superseded.len().min(SLICE)).collect();
            self.prune(Prune::Records(Arc::clone(shelf), slice))?;
        }
        Ok(())
    }
}
