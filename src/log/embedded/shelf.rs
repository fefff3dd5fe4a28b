//! What the process knows of each partition without asking the file: its end, and its latest records.
//!
//! The writer puts records here right after their commit, so followers get them without a look at the disk; whoever is further
//! behind reads the file. All partitions of a commit move together: see [`Shelves::ends`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use super::schema::{self, PartitionRow};
use crate::log::{LogError, Offset, Record, TopicPartition};

/// Latest records kept per followed partition, in bytes: about a tenth of a second at 150,000 order events a second over four
/// partitions, more than a follower that keeps up ever needs.
const TAIL_BYTES: usize = 2 << 20;

/// One partition. Lives until its topic is deleted; one of the same name made later is another shelf.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) id: i64,
    pub(super) at: TopicPartition,
    /// Quoted name of its table.
    pub(super) table: String,
    start: AtomicI64,
    end: AtomicI64,
    followers: AtomicUsize,
    gone: AtomicBool,
    tail: Mutex<Tail>,
}

/// The latest records, without holes, the last one just before the partition's end.
#[derive(Debug, Default)]
struct Tail {
    records: VecDeque<Record>,
    bytes: usize,
}

/// Records of a partition in order, and where the next will be.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) records: Vec<Record>,
    pub(super) next: Offset,
}

/// Bytes that a record counts for where memory is bounded.
pub(super) fn weight(record: &Record) -> usize {
    /// The record's own fields and its share of the queue.
    const FIXED: usize = 160;
    let headers: usize = record.headers.0.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
    FIXED + headers + record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.as_ref().map_or(0, bytes::Bytes::len)
}

impl Shelf {
    fn new(row: &PartitionRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            table: schema::table_of(row.at),
            start: AtomicI64::new(row.start),
            end: AtomicI64::new(row.next),
            followers: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
            tail: Mutex::default(),
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

    /// Moves start and end to what another process wrote.
    pub(super) fn follow(&self, row: &PartitionRow) {
        self.set_start(row.start);
        self.end.fetch_max(row.next, Ordering::AcqRel);
    }

    /// Whether somebody reads the latest records.
    pub(super) fn is_followed(&self) -> bool {
        self.followers.load(Ordering::Acquire) > 0
    }

    /// Moves the end, and keeps the records before it: all of them, or none if nobody followed.
    fn push(&self, end: Offset, fresh: Vec<Record>) {
        let mut tail = self.tail();
        if fresh.is_empty() {
            *tail = Tail::default();
        } else {
            tail.bytes += fresh.iter().map(weight).sum::<usize>();
            tail.records.extend(fresh);
            tail.trim();
        }
        self.end.store(end, Ordering::Release);
    }

    /// Records from `from` up to `end` if the tail reaches back so far.
    pub(super) fn recent(&self, from: Offset, end: Offset, max_records: usize, max_bytes: usize) -> Option<Chunk> {
        let tail = self.tail();
        let first = tail.records.front()?.offset;
        let skip = usize::try_from(from - first).ok()?;
        let mut bytes = 0;
        let wanted = tail.records.iter().skip(skip).take(max_records).take_while(|record| {
            let fits = record.offset < end && (bytes == 0 || bytes < max_bytes);
            bytes += weight(record);
            fits
        });
        let records: Vec<Record> = wanted.cloned().collect();
        let next = records.last()?.offset + 1;
        Some(Chunk { records, next })
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    fn trim(&mut self) {
        while self.bytes > TAIL_BYTES {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= weight(&oldest);
        }
    }
}

/// A reader's hold on a partition: as long as it lives, the partition's latest records are kept in memory.
#[derive(Debug)]
pub(super) struct Followed(Arc<Shelf>);

impl Followed {
    pub(super) fn new(shelf: Arc<Shelf>) -> Self {
        shelf.followers.fetch_add(1, Ordering::AcqRel);
        Self(shelf)
    }
}

impl std::ops::Deref for Followed {
    type Target = Arc<Shelf>;

    fn deref(&self) -> &Arc<Shelf> {
        &self.0
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if self.0.followers.fetch_sub(1, Ordering::AcqRel) == 1 {
            *self.0.tail() = Tail::default();
        }
    }
}

type Catalog = BTreeMap<TopicPartition, Arc<Shelf>>;

/// All partitions of the log.
#[derive(Debug)]
pub(super) struct Shelves {
    catalog: RwLock<Catalog>,
    news: watch::Sender<u64>,
}

impl Shelves {
    pub(super) fn new(rows: &[PartitionRow]) -> Self {
        let catalog = rows.iter().map(|row| (row.at, Arc::new(Shelf::new(row)))).collect();
        Self { catalog: RwLock::new(catalog), news: watch::Sender::new(0) }
    }

    /// Tells when something happened that a waiting poll or read should look at.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Wakes everybody who waits.
    pub(super) fn announce(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// One partition.
    ///
    /// # Errors
    /// [`LogError::UnknownTopic`], naming the partition if only that is missing.
    pub(super) fn get(&self, at: TopicPartition) -> Result<Arc<Shelf>, LogError> {
        let catalog = self.read();
        if let Some(shelf) = catalog.get(&at) {
            return Ok(Arc::clone(shelf));
        }
        let has_topic = catalog.contains_key(&TopicPartition::new(at.topic, 0));
        Err(LogError::UnknownTopic(if has_topic { at.to_string() } else { at.topic.name().to_owned() }))
    }

    /// All partitions, by topic and number.
    pub(super) fn all(&self) -> Vec<Arc<Shelf>> {
        self.read().values().cloned().collect()
    }

    /// The ends of these partitions at one moment between two commits, never within one.
    pub(super) fn ends<'a>(&self, shelves: impl Iterator<Item = &'a Arc<Shelf>>) -> Vec<Offset> {
        let _between_commits = self.read();
        shelves.map(|shelf| shelf.end()).collect()
    }

    /// Makes the records of a commit visible, all at once, and wakes the followers.
    pub(super) fn publish(&self, fresh: Vec<(Arc<Shelf>, Offset, Vec<Record>)>) {
        let catalog = self.write();
        for (shelf, end, records) in fresh {
            shelf.push(end, records);
        }
        drop(catalog);
        self.announce();
    }

    /// Takes over what the file has: partitions made, deleted, and moved ends.
    pub(super) fn refresh(&self, rows: &[PartitionRow]) {
        let mut catalog = self.write();
        catalog.retain(|at, shelf| {
            let stays = rows.iter().any(|row| row.at == *at && row.id == shelf.id);
            shelf.gone.store(!stays, Ordering::Release);
            stays
        });
        for row in rows {
            catalog.entry(row.at).or_insert_with(|| Arc::new(Shelf::new(row))).follow(row);
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

    fn shelves() -> Shelves {
        Shelves::new(&[PartitionRow { id: 1, at: AT, start: 0, next: 5, peak_ms: 0, cleaned: 0, live: 0 }])
    }

    #[test]
    fn a_followed_tail_gives_what_it_holds_and_no_more() {
        let shelves = shelves();
        let followed = Followed::new(shelves.get(AT).unwrap());
        shelves.publish(vec![(Arc::clone(&followed), 9, (5..9).map(|offset| record(offset, 10)).collect())]);
        assert_eq!(followed.end(), 9);
        assert!(followed.recent(4, 9, 10, 1000).is_none(), "older than the tail: the file's business");
        let chunk = followed.recent(6, 8, 10, 1000).unwrap();
        assert_eq!((chunk.records[0].offset, chunk.records.len(), chunk.next), (6, 2, 8));
        assert_eq!(followed.recent(5, 9, 1, 1000).unwrap().next, 6);
        assert_eq!(followed.recent(5, 9, 10, 1).unwrap().next, 6, "one record at least, however large");
    }

    #[test]
    fn a_tail_is_bounded_and_ends_with_its_last_follower() {
        let shelves = shelves();
        let followed = Followed::new(shelves.get(AT).unwrap());
        for offset in 5..15 {
            shelves.publish(vec![(Arc::clone(&followed), offset + 1, vec![record(offset, TAIL_BYTES / 4)])]);
        }
        assert!(followed.tail().bytes <= TAIL_BYTES);
        assert!(followed.recent(14, 15, 1, 1).is_some());
        let shelf = Arc::clone(&followed);
        drop(followed);
        assert_eq!(shelf.tail().records.len(), 0);
        shelves.publish(vec![(Arc::clone(&shelf), 16, Vec::new())]);
        assert_eq!((shelf.tail().records.len(), shelf.end()), (0, 16));
    }

    #[test]
    fn a_topic_made_again_is_another_shelf() {
        let shelves = shelves();
        let old = shelves.get(AT).unwrap();
        shelves.refresh(&[PartitionRow { id: 2, at: AT, start: 0, next: 0, peak_ms: 0, cleaned: 0, live: 0 }]);
        assert!(old.is_gone());
        assert_eq!(shelves.get(AT).unwrap().end(), 0);
    }
}
