//! What the view has taken and the fan-out has not sent yet, coalesced per product.
//!
//! Bounded by construction: one entry per product, and beyond [`PENDING_MAX`] products only a flag: "anything may
//! have changed". So a fan-out that is late or dead costs no memory, and costs the view nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::history::Change;
use super::table::SlotNo;
use crate::log::Offset;
use crate::telemetry::context::TraceContext;

/// More changed products than this are not listed one by one.
const PENDING_MAX: usize = 65_536;

/// Traces beside the first that a frame of several changes is linked with.
const OTHERS_MAX: usize = 8;

/// Per partition of `products`: everything before this offset is in the view.
pub type SourcePositions = Arc<[Offset]>;

/// The newest event's description of a product's change.
#[derive(Debug, Clone)]
pub struct ChangeNote {
    pub change: Arc<Change>,
    /// The last sampled trace among the changes that came together, or the newest change's.
    pub trace: Option<TraceContext>,
    /// The other sampled ones, at most [`OTHERS_MAX`].
    pub others: Vec<TraceContext>,
}

impl ChangeNote {
    /// Replaces an older note that was not sent to any page.
    #[must_use]
    pub fn replacing(mut self, older: Self) -> Self {
        let is_sampled = |trace: &TraceContext| trace.is_sampled();
        self.others = older.others;
        if let Some(older) = older.trace.filter(is_sampled) {
            match self.trace.as_ref().filter(|trace| is_sampled(trace)) {
                Some(newer) if newer.trace_id != older.trace_id => self.others.push(older),
                Some(_) => {}
                None => self.trace = Some(older),
            }
        }
        let surplus = self.others.len().saturating_sub(OTHERS_MAX);
        self.others.drain(..surplus);
        self
    }
}

/// What changed since the last [`TakenFeed::drain`].
#[derive(Debug, Default)]
pub struct TakenChanges {
    /// Changed products, each once.
    pub numbers: Vec<SlotNo>,
    /// The newest event of those that have one.
    pub notes: HashMap<SlotNo, ChangeNote>,
    /// How far the view has come on `products` with these changes.
    pub positions: SourcePositions,
    /// Not everything is listed: every page must be brought up to date from its cursor.
    pub resume_all: bool,
}

/// Hands what the view has taken to the fan-out.
#[derive(Debug, Default)]
pub struct TakenFeed {
    pending: Mutex<Pending>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    taken: TakenChanges,
    listed: HashSet<SlotNo>,
    /// When the first of these changes was added.
    since: Option<Instant>,
}

impl TakenFeed {
    /// Adds one batch of changes and where the view stands with them.
    pub fn add(&self, changed: impl IntoIterator<Item = (SlotNo, Option<ChangeNote>)>, positions: SourcePositions) {
        self.change(|pending| pending.add_all(changed, positions));
    }

    /// Marks that changes may have been lost: every page resumes.
    pub fn resume_all(&self) {
        self.change(|pending| pending.taken.resume_all = true);
    }

    /// Both at once, so that no page gets a change before it resumes.
    pub fn add_and_resume(&self, changed: impl IntoIterator<Item = (SlotNo, Option<ChangeNote>)>, positions: SourcePositions) {
        self.change(|pending| {
            pending.taken.resume_all = true;
            pending.add_all(changed, positions);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Pending)) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut pending);
        if pending.since.is_none() && (pending.taken.resume_all || !pending.taken.numbers.is_empty()) {
            pending.since = Some(Instant::now());
        }
        drop(pending);
        self.ready.notify_one();
    }

    /// Waits until something was added since the last drain. Cancel-safe.
    pub async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Since when the oldest change has waited that was not drained yet.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).since
    }

    /// Takes the pending changes; the positions stay.
    #[must_use]
    pub fn drain(&self) -> TakenChanges {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.listed.clear();
        pending.since = None;
        let left = TakenChanges { positions: pending.taken.positions.clone(), ..TakenChanges::default() };
        std::mem::replace(&mut pending.taken, left)
    }
}

impl Pending {
    fn add_all(&mut self, changed: impl IntoIterator<Item = (SlotNo, Option<ChangeNote>)>, positions: SourcePositions) {
        for (number, note) in changed {
            self.add(number, note);
        }
        self.taken.positions = positions;
    }

    fn add(&mut self, number: SlotNo, note: Option<ChangeNote>) {
        if self.taken.resume_all && self.taken.numbers.len() >= PENDING_MAX {
            return;
        }
        if self.listed.insert(number) {
            self.taken.numbers.push(number);
        }
        if let Some(note) = note {
            let note = match self.taken.notes.remove(&number) {
                Some(older) => note.replacing(older),
                None => note,
            };
            self.taken.notes.insert(number, note);
        }
        if self.taken.numbers.len() >= PENDING_MAX {
            self.taken.resume_all = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::inventory::EventKind;
    use crate::domain::product::Revision;

    #[tokio::test]
    async fn lists_each_product_once_and_gives_up_listing_when_there_are_too_many() {
        let feed = TakenFeed::default();
        feed.add([(3, None), (5, None), (3, None)], Arc::from([7]));
        feed.ready().await;
        let taken = feed.drain();
        assert_eq!((taken.numbers, &*taken.positions, taken.resume_all), (vec![3, 5], &[7][..], false));
        feed.add((0..200_000).map(|number| (number, None)), Arc::from([9]));
        let taken = feed.drain();
        assert!(taken.resume_all && taken.numbers.len() <= PENDING_MAX);
        let taken = feed.drain();
        assert_eq!((taken.numbers.len(), &*taken.positions, taken.resume_all), (0, &[9][..], false));
    }

    #[test]
    fn a_note_of_several_changes_names_the_last_sampled_trace_and_up_to_eight_others() {
        let feed = TakenFeed::default();
        let note = |id: u8, flags: u8| {
            let trace = TraceContext { trace_id: [id; 16], span_id: [id; 8], flags, state: None, is_remote: true };
            let change = Arc::new(Change {
                kind: EventKind::InventoryDecreased,
                previous_stock: None,
                current_stock: 1,
                previous_price: None,
                current_price: None,
                order_id: None,
                revision: Revision { life: 0, version: 1 },
                at_ms: 1,
            });
            ChangeNote { change, trace: Some(trace), others: Vec::new() }
        };
        feed.add((1..=11).map(|id| (7, Some(note(id, 1)))), Arc::from([1]));
        feed.add([(7, Some(note(12, 0)))], Arc::from([2]));
        let taken = feed.drain();
        let ids = |traces: &[TraceContext]| traces.iter().map(|trace| trace.trace_id[0]).collect::<Vec<_>>();
        let kept = &taken.notes[&7];
        assert_eq!(ids(kept.trace.as_slice()), [11], "the newest is not sampled");
        assert_eq!(ids(&kept.others), [3, 4, 5, 6, 7, 8, 9, 10]);
    }
}
