//! What changed, in order, for all pages together: how a page knows what it has not been sent without a queue of its own.
//!
//! Each change of a product gets the next sequence number, and the product's *mark* remembers its latest. A page keeps one
//! number, its cursor; what it has not been sent is every product whose mark is at or above it. Near the head a page finds them
//! in a ring of the last [`RING`] changes, where one that is no longer its product's latest is passed over: the latest comes
//! later in the ring. A page that fell behind the ring looks through the marks instead. So a slow page costs 8 bytes, converges
//! to the latest state, and holds up no other.
//!
//! One writer; readers take no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering, fence};

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use crate::actors::catalog_view::{Chunked, Entry, SlotNo};
use crate::domain::EpochMs;

/// Changes that the ring remembers; with the frames of those that are still the latest, 15 MB at 900 bytes each.
pub const RING: u64 = 16_384;
/// The writer may be inside a place of the ring that is this close to being forgotten.
const MARGIN: u64 = 8;

/// Number of a change, from 0.
pub type Sequence = u64;

/// The latest change of one product.
#[derive(Debug, Default)]
struct Mark {
    /// Its sequence number plus one; 0 for a product that never changed since the process started.
    next: AtomicU64,
    /// When its event was appended; 0: unknown.
    at_ms: AtomicI64,
    frame: ArcSwapOption<Bytes>,
    /// The product as that change showed it.
    shown: ArcSwapOption<Entry>,
}

impl Mark {
    fn due(&self, number: SlotNo) -> Due {
        let at_ms = Some(self.at_ms.load(Ordering::Relaxed)).filter(|at_ms| *at_ms > 0);
        Due { number, frame: self.frame.load_full(), at_ms }
    }
}

/// The shared record of changes.
#[derive(Debug)]
pub struct Journal {
    ring: Box<[AtomicU32]>,
    head: AtomicU64,
    marks: Chunked<Mark>,
}

/// One change that a page has not been sent.
#[derive(Debug)]
pub struct Due {
    pub number: SlotNo,
    /// Its frame; `None` if none was kept: then the entry says what to send.
    pub frame: Option<Arc<Bytes>>,
    /// When the event was appended that changed it, if that is known.
    pub at_ms: Option<EpochMs>,
}

/// What the ring holds at a sequence number.
#[derive(Debug)]
pub enum RingEntry {
    /// The latest change of its product.
    Due(Due),
    /// The product changed again since.
    Overtaken,
    /// The ring no longer goes back that far.
    Forgotten,
}

impl Default for Journal {
    fn default() -> Self {
        let ring = (0..RING).map(|_| AtomicU32::new(0)).collect();
        Self { ring, head: AtomicU64::new(0), marks: Chunked::default() }
    }
}

impl Journal {
    /// The number of the next change.
    #[must_use]
    pub fn head(&self) -> Sequence {
        self.head.load(Ordering::Acquire)
    }

    /// Records the product as its next change will show it, before the change can be read from the journal.
    pub fn show(&self, number: SlotNo, live: &ArcSwapOption<Entry>) -> Option<Arc<Entry>> {
        let mark = self.marks.cell(number);
        loop {
            let entry = live.load_full();
            mark.shown.store(entry.clone());
            // A reader of the view before this store must find nothing newer there than what is shown now.
            fence(Ordering::SeqCst);
            if entry.as_ref().map(Arc::as_ptr) == live.load().as_ref().map(Arc::as_ptr) {
                return entry;
            }
        }
    }

    /// The product as pages may know it: not ahead of its changes, or a page would be sent an older state after a newer one.
    pub fn shown(&self, number: SlotNo, live: &ArcSwapOption<Entry>) -> Option<Arc<Entry>> {
        let shown = || self.marks.get(number)?.shown.load_full();
        shown().or_else(|| {
            // It never changed, unless its first change is being added at this moment.
            let entry = live.load_full();
            fence(Ordering::SeqCst);
            shown().or(entry)
        })
    }

    /// From now on the view's own entries are shown, as changes were not listed one by one.
    pub fn forget_shown(&self) {
        self.marks.iter().for_each(|mark| mark.shown.store(None));
    }

    /// The slot was given back.
    pub fn forget(&self, number: SlotNo) {
        if let Some(mark) = self.marks.get(number) {
            mark.shown.store(None);
            mark.frame.store(None);
        }
    }

    /// Adds a change. Only the one writer may call this.
    pub fn push(&self, number: SlotNo, frame: Option<Bytes>) {
        self.push_event(number, frame, None);
    }

    /// [`Self::push`] for a change whose event is known: it was appended at this time.
    pub fn push_event(&self, number: SlotNo, frame: Option<Bytes>, at_ms: Option<EpochMs>) {
        let sequence = self.head.load(Ordering::Relaxed);
        let place = &self.ring[place(sequence)];
        if sequence >= RING {
            // The change that falls out of the ring: its frame is only kept while the ring names it.
            let oldest = self.marks.cell(place.load(Ordering::Relaxed));
            if oldest.next.load(Ordering::Relaxed) == sequence - RING + 1 {
                oldest.frame.store(None);
            }
        }
        let mark = self.marks.cell(number);
        mark.frame.store(frame.map(Arc::new));
        mark.at_ms.store(at_ms.unwrap_or_default(), Ordering::Relaxed);
        mark.next.store(sequence + 1, Ordering::Release);
        place.store(number, Ordering::Release);
        self.head.store(sequence + 1, Ordering::Release);
    }

    /// One change below the head.
    #[must_use]
    pub fn look(&self, sequence: Sequence) -> RingEntry {
        let number = self.ring[place(sequence)].load(Ordering::Acquire);
        if self.head() + MARGIN > sequence + RING {
            return RingEntry::Forgotten;
        }
        match self.marks.get(number) {
            Some(mark) if mark.next.load(Ordering::Acquire) == sequence + 1 => RingEntry::Due(mark.due(number)),
            _ => RingEntry::Overtaken,
        }
    }

    /// The product's change, if its latest is at or above this number.
    #[must_use]
    pub fn changed_since(&self, number: SlotNo, sequence: Sequence) -> Option<Due> {
        let mark = self.marks.get(number)?;
        (mark.next.load(Ordering::Acquire) > sequence).then(|| mark.due(number))
    }
}

fn place(sequence: Sequence) -> usize {
    // Smaller than the ring.
    (sequence % RING) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn text(due: &Due) -> String {
        due.frame.as_ref().map_or_else(String::new, |bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn only_the_latest_change_of_a_product_is_due() {
        let journal = Journal::default();
        journal.push(7, frame("a"));
        journal.push(9, frame("b"));
        journal.push(7, frame("c"));
        assert!(matches!(journal.look(0), RingEntry::Overtaken));
        assert!(matches!(journal.look(1), RingEntry::Due(due) if due.number == 9));
        assert!(matches!(journal.look(2), RingEntry::Due(due) if due.number == 7 && text(&due) == "c"));
        assert!(journal.changed_since(9, 2).is_none() && journal.changed_since(9, 1).is_some());
        assert!(journal.changed_since(8, 0).is_none());
    }

    #[test]
    fn what_falls_out_of_the_ring_keeps_its_mark_and_loses_its_frame() {
        let journal = Journal::default();
        journal.push(1, frame("old"));
        for _ in 0..RING {
            journal.push(2, None);
        }
        assert!(matches!(journal.look(0), RingEntry::Forgotten));
        let due = journal.changed_since(1, 0).unwrap();
        assert!(due.frame.is_none());
        assert!(matches!(journal.look(journal.head() - 1), RingEntry::Due(_)));
    }
}
