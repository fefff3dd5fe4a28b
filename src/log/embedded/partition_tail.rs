//! What the process knows of each partition without reading the file: its end, and its latest records.
//!
//! The writer puts records here right after their commit, so that followers get them without reading the disk; a reader that is
//! further behind reads the file. All partitions of a commit move together: see [`PartitionTails::ends`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use super::schema::{self, PartitionRow};
use crate::log::{LogError, Offset, Record, TopicPartition};

/// Latest records kept per followed partition, in bytes: about a tenth of a second at 150,000 order events a second over four
/// partitions, more than a follower that keeps up ever needs.
const TAIL_BYTES: usize = 2 << 20;

/// One partition, until its topic is deleted. A partition of the same name that is made later has another tail.
#[derive(Debug)]
pub(super) struct PartitionTail {
    pub(super) id: i64,
    pub(super) at: TopicPartition,
    /// Quoted name of its table.
    pub(super) table: String,
    start: AtomicI64,
    end: AtomicI64,
    followers: AtomicUsize,
    gone: AtomicBool,
    latest: Mutex<LatestRecords>,
}

/// The latest records, without holes, the last one just before the partition's end.
#[derive(Debug, Default)]
struct LatestRecords {
    records: VecDeque<Record>,
    bytes: usize,
}

/// Records of a partition in order, and where the next will be.
#[derive(Debug)]
pub(super) struct TailChunk {
    pub(super) records: Vec<Record>,
    pub(super) next: Offset,
}

/// Bytes that a record counts as where memory is bounded.
pub(super) fn weight(record: &Record) -> usize {
    /// The record's own fields and its share of the queue.
    const FIXED: usize = 160;
    let headers: usize = record.headers.0.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
    FIXED + headers + record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.as_ref().map_or(0, bytes::Bytes::len)
}

impl PartitionTail {
    fn new(row: &PartitionRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            table: schema::table_of(row.at),
            start: AtomicI64::new(row.start),
            end: AtomicI64::new(row.next),
            followers: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
            latest: Mutex::default(),
        }
    }

    /// First retained offset.
    pub(super) fn start(&self) -> Offset {
        self.start.load(Ordering::Acquire)
    }

    /// Offset of the next record.
    pub(super) fn end(&self) -> Offset {
        self.end.load(Ordering::Acquire)
    }

    /// Whether the topic was deleted.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Moves the start after records were deleted by age.
    pub(super) fn set_start(&self, start: Offset) {
        self.start.fetch_max(start, Ordering::AcqRel);
    }

    /// Moves start and end to where another process has written.
    pub(super) fn follow(&self, row: &PartitionRow) {
        self.set_start(row.start);
        self.end.fetch_max(row.next, Ordering::AcqRel);
    }

    /// Whether a reader wants the latest records.
    pub(super) fn is_followed(&self) -> bool {
        self.followers.load(Ordering::Acquire) > 0
    }

    /// Moves the end, and keeps the records before it: all of them, or none without followers.
    fn push(&self, end: Offset, fresh: Vec<Record>) {
        let mut latest = self.latest();
        if fresh.is_empty() {
            *latest = LatestRecords::default();
        } else {
            latest.bytes += fresh.iter().map(weight).sum::<usize>();
            latest.records.extend(fresh);
            latest.trim();
        }
        self.end.store(end, Ordering::Release);
    }

    /// Records from `from` up to `end`, if the latest records reach back that far.
    pub(super) fn recent(&self, from: Offset, end: Offset, max_records: usize, max_bytes: usize) -> Option<TailChunk> {
        let latest = self.latest();
        let first = latest.records.front()?.offset;
        let skip = usize::try_from(from - first).ok()?;
        let mut bytes = 0;
        let wanted = latest.records.iter().skip(skip).take(max_records).take_while(|record| {
            let fits = record.offset < end && (bytes == 0 || bytes < max_bytes);
            bytes += weight(record);
            fits
        });
        let records: Vec<Record> = wanted.cloned().collect();
        let next = records.last()?.offset + 1;
        Some(TailChunk { records, next })
    }

    fn latest(&self) -> MutexGuard<'_, LatestRecords> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LatestRecords {
    fn trim(&mut self) {
        while self.bytes > TAIL_BYTES {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= weight(&oldest);
        }
    }
}

/// A reader's hold on a partition: as long as it lives, the partition's latest records are kept in memory.
#[derive(Debug)]
pub(super) struct Followed(Arc<PartitionTail>);

impl Followed {
    pub(super) fn new(tail: Arc<PartitionTail>) -> Self {
        tail.followers.fetch_add(1, Ordering::AcqRel);
        Self(tail)
    }
}

impl std::ops::Deref for Followed {
    type Target = Arc<PartitionTail>;

    fn deref(&self) -> &Arc<PartitionTail> {
        &self.0
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if self.0.followers.fetch_sub(1, Ordering::AcqRel) == 1 {
            *self.0.latest() = LatestRecords::default();
        }
    }
}

type Catalog = BTreeMap<TopicPartition, Arc<PartitionTail>>;

/// All partitions of the log.
#[derive(Debug)]
pub(super) struct PartitionTails {
    catalog: RwLock<Catalog>,
    changes: watch::Sender<u64>,
}

impl PartitionTails {
    pub(super) fn new(rows: &[PartitionRow]) -> Self {
        let catalog = rows.iter().map(|row| (row.at, Arc::new(PartitionTail::new(row)))).collect();
        Self { catalog: RwLock::new(catalog), changes: watch::Sender::new(0) }
    }

    /// Changes whenever a waiting poll or read should check again.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Wakes all waiting polls and reads.
    pub(super) fn announce(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// One partition.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`], naming the partition if only that is missing.
    pub(super) fn get(&self, at: TopicPartition) -> Result<Arc<PartitionTail>, LogError> {
        let catalog = self.read();
        if let Some(tail) = catalog.get(&at) {
            return Ok(Arc::clone(tail));
        }
        let has_topic = catalog.contains_key(&TopicPartition::new(at.topic, 0));
        Err(LogError::UnknownTopic(if has_topic { at.to_string() } else { at.topic.name().to_owned() }))
    }

    /// All partitions, by topic and number.
    pub(super) fn all(&self) -> Vec<Arc<PartitionTail>> {
        self.read().values().cloned().collect()
    }

    /// The ends of these partitions at one moment between two commits, never within one.
    pub(super) fn ends<'a>(&self, tails: impl Iterator<Item = &'a Arc<PartitionTail>>) -> Vec<Offset> {
        let _between_commits = self.read();
        tails.map(|tail| tail.end()).collect()
    }

    /// Makes the records of a commit visible, all at once, and wakes the followers.
    pub(super) fn publish(&self, fresh: Vec<(Arc<PartitionTail>, Offset, Vec<Record>)>) {
        let catalog = self.write();
        for (tail, end, records) in fresh {
            tail.push(end, records);
        }
        drop(catalog);
        self.announce();
    }

    /// Applies what is in the file: partitions that were made or deleted, and ends that moved.
    pub(super) fn refresh(&self, rows: &[PartitionRow]) {
        let mut catalog = self.write();
        catalog.retain(|at, tail| {
            let stays = rows.iter().any(|row| row.at == *at && row.id == tail.id);
            tail.gone.store(!stays, Ordering::Release);
            stays
        });
        for row in rows {
            catalog.entry(row.at).or_insert_with(|| Arc::new(PartitionTail::new(row))).follow(row);
        }
        drop(catalog);
        self.announce();
    }

    fn read(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.catalog.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Headers;
    use crate::wire::topics::Topic;
    use bytes::Bytes;

    const AT: TopicPartition = TopicPartition { topic: Topic::Products, partition: 0 };

    fn record(offset: Offset, bytes: usize) -> Record {
        let value = Some(Bytes::from(vec![0; bytes]));
        Record { topic: AT.topic, partition: 0, offset, append_time_ms: 0, key: None, value, headers: Headers::none() }
    }

    fn tails() -> PartitionTails {
        PartitionTails::new(&[PartitionRow { id: 1, at: AT, start: 0, next: 5, peak_ms: 0, cleaned: 0, live: 0 }])
    }

    #[test]
    fn a_followed_tail_gives_what_it_holds_and_no_more() {
        let tails = tails();
        let followed = Followed::new(tails.get(AT).unwrap());
        tails.publish(vec![(Arc::clone(&followed), 9, (5..9).map(|offset| record(offset, 10)).collect())]);
        assert_eq!(followed.end(), 9);
        assert!(followed.recent(4, 9, 10, 1000).is_none(), "older than the latest records: to be read from the file");
        let chunk = followed.recent(6, 8, 10, 1000).unwrap();
        assert_eq!((chunk.records[0].offset, chunk.records.len(), chunk.next), (6, 2, 8));
        assert_eq!(followed.recent(5, 9, 1, 1000).unwrap().next, 6);
        assert_eq!(followed.recent(5, 9, 10, 1).unwrap().next, 6, "one record at least, however large");
    }

    #[test]
    fn a_tail_is_bounded_and_ends_with_its_last_follower() {
        let tails = tails();
        let followed = Followed::new(tails.get(AT).unwrap());
        for offset in 5..15 {
            tails.publish(vec![(Arc::clone(&followed), offset + 1, vec![record(offset, TAIL_BYTES / 4)])]);
        }
        assert!(followed.latest().bytes <= TAIL_BYTES);
        assert!(followed.recent(14, 15, 1, 1).is_some());
        let tail = Arc::clone(&followed);
        drop(followed);
        assert_eq!(tail.latest().records.len(), 0);
        tails.publish(vec![(Arc::clone(&tail), 16, Vec::new())]);
        assert_eq!((tail.latest().records.len(), tail.end()), (0, 16));
    }

    #[test]
    fn a_topic_made_again_has_another_tail() {
        let tails = tails();
        let old = tails.get(AT).unwrap();
        tails.refresh(&[PartitionRow { id: 2, at: AT, start: 0, next: 0, peak_ms: 0, cleaned: 0, live: 0 }]);
        assert!(old.is_gone());
        assert_eq!(tails.get(AT).unwrap().end(), 0);
    }
}
