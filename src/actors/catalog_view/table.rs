//! Where entries live: numbered slots that are only ever added, and an index from product id to slot number.
//!
//! One writer (the view), any number of readers, no lock: a slot is written before the index names it, and neither moves. A slot's
//! number stays the same for the life of the process, so fan-out and lists speak of products by number (4 bytes).
//!
//! ```text
//!  "PROD_0001" ─ hash ─► index: [ 0 │ 7 │ 0 │ 3 … ]  (open addressing; slot number + 1, 0 = free; grows to twice the size)
//!                                    │
//!  chunks of 1024, 2048, 4096 …:  [ slot 0 │ slot 1 │ … │ slot 6 … ]   slot: id, entry, history
//! ```

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::entry::Entry;
use super::history::History;
use crate::domain::ids::ProductId;

/// Slots in the first chunk; each further chunk has twice as many.
const FIRST_CHUNK: usize = 1024;
/// With the doubling, room for 2^32 slots.
const CHUNKS: usize = 23;

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
    slots: Chunked<OnceLock<Slot>>,
    len: AtomicU32,
    index: ArcSwap<Index>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Index(Box<[AtomicU32]>);

impl Default for Index {
    fn default() -> Self {
        Self::with_room(FIRST_CHUNK)
    }
}

impl Table {
    /// How many slots there are, those of removed products included.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// The slot of a number.
    #[must_use]
    pub fn slot(&self, number: SlotNo) -> Option<&Slot> {
        self.slots.get(number)?.get()
    }

    /// The entry of a number; removed products included.
    #[must_use]
    pub fn entry(&self, number: SlotNo) -> Option<Arc<Entry>> {
        self.slot(number)?.entry.load_full()
    }

    /// Finds a product's slot.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<(SlotNo, &Slot)> {
        let index = self.index.load();
        for bucket in index.probe(self.hasher.hash_one(id)) {
            let number = bucket.load(Ordering::Acquire).checked_sub(1)?;
            let slot = self.slot(number)?;
            if slot.id.as_str() == id {
                return Some((number, slot));
            }
        }
        None
    }

    /// Finds or adds a product's slot. Only the one writer may call this.
    pub fn find_or_add(&self, id: &ProductId) -> (SlotNo, &Slot) {
        if let Some(found) = self.find(id.as_str()) {
            return found;
        }
        let number = self.count();
        let fresh = || Slot { id: id.clone(), entry: ArcSwapOption::empty(), history: ArcSwapOption::empty() };
        let slot = self.slots.cell(number).get_or_init(fresh);
        self.len.store(number + 1, Ordering::Release);
        if self.index.load().has_room_for(number + 1) {
            self.index.load().enter(self.hasher.hash_one(id.as_str()), number);
        } else {
            self.grow(number + 1);
        }
        (number, slot)
    }

    /// The slots below `end`, in order of their number.
    pub fn slots(&self, from: SlotNo, end: SlotNo) -> impl Iterator<Item = (SlotNo, &Slot)> {
        (from..end).map_while(|number| Some((number, self.slot(number)?)))
    }

    fn grow(&self, slots: u32) {
        let index = Index::with_room(slots as usize * 2);
        for (number, slot) in self.slots(0, slots) {
            index.enter(self.hasher.hash_one(slot.id.as_str()), number);
        }
        self.index.store(Arc::new(index));
    }
}

impl Index {
    /// At most two thirds full with this many slots.
    fn with_room(slots: usize) -> Self {
        let buckets = (slots + slots / 2).next_power_of_two();
        Self((0..buckets).map(|_| AtomicU32::new(0)).collect())
    }

    fn has_room_for(&self, slots: u32) -> bool {
        slots as usize + slots as usize / 2 <= self.0.len()
    }

    /// The buckets from the hash on, around the end; there is always a free one among them.
    fn probe(&self, hash: u64) -> impl Iterator<Item = &AtomicU32> {
        let mask = self.0.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "the low bits of a hash are as good as any")]
        let start = hash as usize & mask;
        (0..self.0.len()).map(move |step| &self.0[(start + step) & mask])
    }

    fn enter(&self, hash: u64, number: SlotNo) {
        if let Some(free) = self.probe(hash).find(|bucket| bucket.load(Ordering::Relaxed) == 0) {
            free.store(number + 1, Ordering::Release);
        }
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
                        // Everything that was counted before we look must be found.
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
        assert!(table.find("nobody").is_none());
    }
}
