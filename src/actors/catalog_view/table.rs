//! Where entries live: numbered slots, and an index from product id to slot number.
//!
//! One writer (the view), any number of readers, no lock: a slot is written before the index names it. A product keeps its number
//! for as long as it has a slot, so fan-out and lists speak of products by number (4 bytes). A number that was given back may
//! become another product's after a while; a slot never does, so a reader that holds one still has the product that it looked up.
//!
//! ```text
//!  "PROD_0001" ─ hash ─► index: [ 0 │ 7 │ 0 │ 3 … ]  (open addressing; rebuilt when full; slot number + 1,
//!                                    │               0 = free, MAX = given back)
//!  chunks of 1024, 2048, 4096 …:  [ slot 0 │ slot 1 │ … │ slot 6 … ]   slot: id, entry, history
//! ```

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::entry::Entry;
use super::history::History;
use crate::domain::ids::ProductId;

/// Slots in the first chunk; each further chunk has twice as many.
const FIRST_CHUNK: usize = 1024;
/// With the doubling, room for 2^32 slots.
const CHUNKS: usize = 23;
/// A bucket whose slot was given back: a search goes on behind it.
const GIVEN_BACK: u32 = u32::MAX;

/// Number of a slot: names a product within this process.
pub type SlotNo = u32;

/// One product's place.
#[derive(Debug)]
pub struct Slot {
    pub id: ProductId,
    pub entry: ArcSwapOption<Entry>,
    pub history: ArcSwapOption<History>,
}

/// A list that only grows, read without a lock while one writer appends.
#[derive(Debug)]
pub struct Chunked<T>([OnceLock<Box<[T]>>; CHUNKS]);

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self([const { OnceLock::new() }; CHUNKS])
    }
}

impl<T: Default> Chunked<T> {
    /// The cell of this number, if its chunk exists.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&T> {
        let (chunk, place) = locate(number);
        self.0[chunk].get()?.get(place)
    }

    /// The cell of this number; makes its chunk if need be.
    #[must_use]
    pub fn cell(&self, number: u32) -> &T {
        let (chunk, place) = locate(number);
        let cells = self.0[chunk].get_or_init(|| (0..FIRST_CHUNK << chunk).map(|_| T::default()).collect());
        &cells[place]
    }

    /// All cells that there are.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(OnceLock::get).flat_map(|cells| cells.iter())
    }
}

fn locate(number: u32) -> (usize, usize) {
    let shifted = number as usize + FIRST_CHUNK;
    let chunk = (shifted / FIRST_CHUNK).ilog2() as usize;
    (chunk, shifted - (FIRST_CHUNK << chunk))
}

/// All slots, with their index.
#[derive(Debug, Default)]
pub struct Table {
    slots: Chunked<ArcSwapOption<Slot>>,
    len: AtomicU32,
    index: ArcSwap<Index>,
    hasher: RandomState,
    /// For the writer only.
    idle: Mutex<Idle>,
    reuses: AtomicU64,
}

/// Numbers without a slot.
#[derive(Debug, Default)]
struct Idle {
    /// Released recently: data that is keyed by number may still belong to the previous product.
    resting: Vec<SlotNo>,
    free: Vec<SlotNo>,
}

#[derive(Debug)]
struct Index {
    buckets: Box<[AtomicU32]>,
    /// Buckets that are not free.
    used: AtomicU32,
}

impl Default for Index {
    fn default() -> Self {
        Self::with_room(FIRST_CHUNK)
    }
}

impl Table {
    /// The first number that no product ever had.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// The slot of a number.
    #[must_use]
    pub fn slot(&self, number: SlotNo) -> Option<Arc<Slot>> {
        self.slots.get(number)?.load_full()
    }

    /// How often a number became another product's.
    #[must_use]
    pub fn reuses(&self) -> u64 {
        self.reuses.load(Ordering::Acquire)
    }

    /// The entry of a number; removed products included.
    #[must_use]
    pub fn entry(&self, number: SlotNo) -> Option<Arc<Entry>> {
        self.slot(number)?.entry.load_full()
    }

    /// Finds a product's slot.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<(SlotNo, Arc<Slot>)> {
        self.with_slot(id, |number, slot| (number, slot.clone()))
    }

    /// Reads a product's slot in place: of a product that all threads read, another reference would be a counter they all write.
    pub fn with_slot<R>(&self, id: &str, read: impl FnOnce(SlotNo, &Arc<Slot>) -> R) -> Option<R> {
        let index = self.index.load();
        for bucket in index.probe(self.hasher.hash_one(id)) {
            let named = bucket.load(Ordering::Acquire);
            if named == GIVEN_BACK {
                continue;
            }
            let number = named.checked_sub(1)?;
            let slot = self.slots.get(number)?.load();
            if let Some(slot) = slot.as_ref().filter(|slot| slot.id.as_str() == id) {
                return Some(read(number, slot));
            }
        }
        None
    }

    /// Finds or adds a product's slot. Only the one writer may call this.
    pub fn find_or_add(&self, id: &ProductId) -> (SlotNo, Arc<Slot>) {
        if let Some(found) = self.find(id.as_str()) {
            return found;
        }
        let reused = self.idle().free.pop();
        let number = reused.unwrap_or_else(|| self.count());
        let slot = Arc::new(Slot { id: id.clone(), entry: ArcSwapOption::empty(), history: ArcSwapOption::empty() });
        self.slots.cell(number).store(Some(slot.clone()));
        match reused {
            Some(_) => drop(self.reuses.fetch_add(1, Ordering::Release)),
            None => self.len.store(number + 1, Ordering::Release),
        }
        if self.index.load().has_room() {
            self.index.load().enter(self.hasher.hash_one(id.as_str()), number);
        } else {
            self.grow();
        }
        (number, slot)
    }

    /// Releases a product's slot; its number is not reused before [`Table::rested`]. Only the one writer may call this.
    pub fn give_back(&self, number: SlotNo) {
        let Some(slot) = self.slots.get(number).and_then(|cell| cell.swap(None)) else { return };
        let index = self.index.load();
        if let Some(bucket) = index.bucket_of(self.hasher.hash_one(slot.id.as_str()), number) {
            bucket.store(GIVEN_BACK, Ordering::Release);
        }
        self.idle().resting.push(number);
    }

    /// Allows released numbers to be reused: by now no data keyed by number belongs to their old products. Only the one writer
    /// may call this.
    pub fn rested(&self) {
        let mut idle = self.idle();
        let rested = std::mem::take(&mut idle.resting);
        idle.free.extend(rested);
    }

    /// The slots below `end`, in order of their number.
    pub fn slots(&self, from: SlotNo, end: SlotNo) -> impl Iterator<Item = (SlotNo, Arc<Slot>)> {
        (from..end).filter_map(|number| Some((number, self.slot(number)?)))
    }

    fn grow(&self) {
        let slots = self.count();
        let living = self.slots(0, slots).count();
        let index = Index::with_room(living * 2);
        for (number, slot) in self.slots(0, slots) {
            index.enter(self.hasher.hash_one(slot.id.as_str()), number);
        }
        self.index.store(Arc::new(index));
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    /// At most two thirds full with this many slots.
    fn with_room(slots: usize) -> Self {
        let buckets = (slots + slots / 2).next_power_of_two().max(FIRST_CHUNK);
        Self { buckets: (0..buckets).map(|_| AtomicU32::new(0)).collect(), used: AtomicU32::new(0) }
    }

    /// Whether one more leaves it at most two thirds full.
    fn has_room(&self) -> bool {
        let used = self.used.load(Ordering::Relaxed) as usize + 1;
        used + used / 2 <= self.buckets.len()
    }

    /// The buckets from the hash on, around the end; there is always a free one among them.
    fn probe(&self, hash: u64) -> impl Iterator<Item = &AtomicU32> {
        let mask = self.buckets.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "the low bits of a hash are as good as any")]
        let start = hash as usize & mask;
        (0..self.buckets.len()).map(move |step| &self.buckets[(start + step) & mask])
    }

    fn enter(&self, hash: u64, number: SlotNo) {
        let is_free = |bucket: &&AtomicU32| matches!(bucket.load(Ordering::Relaxed), 0 | GIVEN_BACK);
        if let Some(free) = self.probe(hash).find(is_free) {
            let before = free.swap(number + 1, Ordering::Release);
            self.used.fetch_add(u32::from(before == 0), Ordering::Relaxed);
        }
    }

    fn bucket_of(&self, hash: u64, number: SlotNo) -> Option<&AtomicU32> {
        let until_free = self.probe(hash).take_while(|bucket| bucket.load(Ordering::Relaxed) != 0);
        until_free.into_iter().find(|bucket| bucket.load(Ordering::Relaxed) == number + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ProductId {
        ProductId::new(&format!("PROD_{number}")).unwrap()
    }

    #[test]
    fn numbers_fall_into_chunks_without_gap() {
        let mut expected = (0, 0);
        for number in 0..20_000 {
            assert_eq!(locate(number), expected, "{number}");
            expected.1 += 1;
            if expected.1 == FIRST_CHUNK << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(locate(u32::MAX).0 < CHUNKS);
    }

    #[test]
    fn readers_find_every_slot_while_the_writer_adds() {
        let table = Table::default();
        std::thread::scope(|threads| {
            threads.spawn(|| (0..30_000).for_each(|number| assert_eq!(table.find_or_add(&id(number)).0, number)));
            for _ in 0..2 {
                threads.spawn(|| {
                    let mut seen = 0;
                    while seen < 30_000 {
                        // Everything that was counted before must be found.
                        let len = table.count();
                        for number in (seen..len.saturating_sub(1)).step_by(97) {
                            assert_eq!(table.find(id(number).as_str()).map(|(found, _)| found), Some(number));
                        }
                        seen = len;
                    }
                });
            }
        });
        assert_eq!(table.find_or_add(&id(17)).0, 17, "known ids keep their number");
        assert!(table.find("unknown").is_none());
    }

    /// Products come and go; others stay, and are found all the time, also by readers that look meanwhile.
    #[test]
    fn numbers_that_were_given_back_are_used_again_and_no_id_finds_another_product() {
        const STAY: u32 = 500;
        const EACH: u32 = 1_000;
        let table = Table::default();
        (0..STAY).for_each(|number| drop(table.find_or_add(&id(number))));
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for round in 1..=100 {
                    let of_round = || (round * EACH..(round + 1) * EACH).map(id);
                    let numbers: Vec<_> = of_round().map(|id| table.find_or_add(&id).0).collect();
                    of_round().for_each(|id| assert_eq!(table.find(id.as_str()).unwrap().1.id, id));
                    numbers.into_iter().for_each(|number| table.give_back(number));
                    of_round().for_each(|id| assert!(table.find(id.as_str()).is_none()));
                    table.rested();
                }
                done.store(true, Ordering::Release);
            });
            threads.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    for number in 0..STAY {
                        let found = table.find(id(number).as_str()).map(|(at, slot)| (at, slot.id.clone()));
                        assert_eq!(found, Some((number, id(number))));
                    }
                    for number in (EACH..EACH * 100).step_by(997) {
                        assert!(table.find(id(number).as_str()).is_none_or(|(_, slot)| slot.id == id(number)));
                    }
                }
            });
        });
        assert_eq!((table.count(), table.reuses()), (STAY + EACH, 99 * u64::from(EACH)));
        assert!(table.index.load().buckets.len() <= 8 * (STAY + EACH) as usize, "the index does not grow with what was");
    }
}
