//! Compaction: of each key the last record stays. Followers see holes where records were.
//!
//! A pass reads the keys of a partition once, in order, and deletes each record for which a later one of its key turns up. A
//! tombstone that is the last of its key is deleted when it is old enough that every follower has seen it. The keys of one
//! partition are held in memory during the pass.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::jobs::Prune;
use super::super::partition_tail::PartitionTail;
use super::super::schema;
use super::tools::{SLICE, Tools, unavailable};
use crate::domain::EpochMs;
use crate::log::{LogError, Offset};
use crate::wire::topics::Retention;

/// Keys read at a time, so that no long read keeps the WAL from starting over.
const KEYS: usize = 5_000;

/// What the last compaction of each partition left, by the id of the partition.
#[derive(Debug, Default)]
pub(super) struct Compaction(BTreeMap<i64, Compacted>);

/// What a pass left.
#[derive(Debug, Clone, Copy, Default)]
struct Compacted {
    /// The pass went up to here.
    cleaned: Offset,
    /// How many records stayed.
    live: i64,
    /// The time of the oldest tombstone that stayed.
    oldest_tombstone_ms: Option<EpochMs>,
}

/// The last record of a key, as far as the pass has come.
struct Last {
    offset: Offset,
    tombstone_ms: Option<EpochMs>,
}

impl Compaction {
    /// Compacts every partition that is worth it: at least half of it may be superseded, or a tombstone is old enough.
    pub(super) fn run(&mut self, tools: &Tools, force: bool) -> Result<(), LogError> {
        for tail in tools.tails.all() {
            let is_compacted = tools.policy.retention_of(tail.at.topic) == Retention::Compacted;
            if is_compacted && (force || self.is_worth_it(tools, &tail)?) {
                self.0.insert(tail.id, compact(tools, &tail)?);
            }
        }
        Ok(())
    }

    fn is_worth_it(&mut self, tools: &Tools, tail: &PartitionTail) -> Result<bool, LogError> {
        if !self.0.contains_key(&tail.id) {
            self.load(tools)?;
        }
        let last = self.0.get(&tail.id).copied().unwrap_or_default();
        let fresh = tail.end() - last.cleaned;
        let enough = i64::try_from(tools.policy.compact_after).unwrap_or(i64::MAX).max(last.live);
        let oldest_ms = tools.time_before(tools.policy.tombstones);
        Ok(fresh >= enough || last.oldest_tombstone_ms.is_some_and(|time_ms| time_ms < oldest_ms))
    }

    /// Loads what passes of earlier runs left.
    fn load(&mut self, tools: &Tools) -> Result<(), LogError> {
        for row in schema::load_partitions(&tools.connection).map_err(unavailable)? {
            let left = Compacted { cleaned: row.cleaned, live: row.live, oldest_tombstone_ms: None };
            self.0.entry(row.id).or_insert(left);
        }
        Ok(())
    }
}

fn compact(tools: &Tools, tail: &Arc<PartitionTail>) -> Result<Compacted, LogError> {
    let end = tail.end();
    let mut last: HashMap<Vec<u8>, Last> = HashMap::new();
    let mut superseded = Vec::new();
    let mut from = tail.start();
    while from < end {
        from = read_keys(&tools.connection, tail, from, end, &mut last, &mut superseded).map_err(unavailable)?;
        remove(tools, tail, &mut superseded, SLICE)?;
    }
    let oldest_ms = tools.time_before(tools.policy.tombstones);
    last.retain(|_, record| {
        let stays = record.tombstone_ms.is_none_or(|time_ms| time_ms >= oldest_ms);
        if !stays {
            superseded.push(record.offset);
        }
        stays
    });
    remove(tools, tail, &mut superseded, 1)?;
    let live = i64::try_from(last.len()).unwrap_or(i64::MAX);
    tools.prune(Prune::Compacted(Arc::clone(tail), end, live))?;
    let oldest_tombstone_ms = last.values().filter_map(|record| record.tombstone_ms).min();
    Ok(Compacted { cleaned: end, live, oldest_tombstone_ms })
}

/// Reads some keys from `from` on; returns where to go on.
fn read_keys(
    connection: &Connection,
    tail: &PartitionTail,
    from: Offset,
    end: Offset,
    last: &mut HashMap<Vec<u8>, Last>,
    superseded: &mut Vec<Offset>,
) -> Result<Offset, rusqlite::Error> {
    let sql = format!(
        "SELECT \"offset\", key, iif(value IS NULL, time_ms, NULL) FROM {}
         WHERE \"offset\" >= ?1 AND \"offset\" < ?2 AND key IS NOT NULL ORDER BY \"offset\" LIMIT {KEYS}",
        tail.table
    );
    let mut statement = connection.prepare_cached(&sql)?;
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

/// Removes slices while there are at least `enough` records to remove.
fn remove(tools: &Tools, tail: &Arc<PartitionTail>, superseded: &mut Vec<Offset>, enough: usize) -> Result<(), LogError> {
    superseded.sort_unstable();
    while superseded.len() >= enough {
        let slice = superseded.drain(..superseded.len().min(SLICE)).collect();
        tools.prune(Prune::Records(Arc::clone(tail), slice))?;
    }
    Ok(())
}
