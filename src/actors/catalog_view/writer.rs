//! What only the view's actor touches while it takes records.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::entry::{Labels, StateOrigin};
use super::front::Moves;
use super::table::SlotNo;
use super::taken::ChangeNote;
use crate::domain::EpochMs;
use crate::domain::product::Product;

/// What only the view touches.
#[derive(Debug, Default)]
pub struct ViewWriter {
    /// One shared copy of each category's and brand's name.
    pub(super) labels: HashSet<Arc<str>>,
    /// Changed in this batch, in order, with the newest event of each.
    pub(super) changed: Vec<SlotNo>,
    pub(super) notes: HashMap<SlotNo, ChangeNote>,
    pub(super) details_changed: bool,
    pub(super) prices_changed: bool,
    pub(super) stocked_changed: bool,
    /// The last moves, published at the end of the batch if they changed.
    pub(super) moves: Moves,
    /// The drops that products show, by their time, so that they end an hour later.
    pub(super) drops: BTreeSet<(EpochMs, SlotNo)>,
    /// Seen while restoring, by slot number: the rest was removed while no view was running.
    pub(super) seen: Option<Vec<bool>>,
    /// Products without a slot in records that an earlier incarnation had read: most were removed and their slots given back, so
    /// they are only listed if the restore finds no removal.
    pub(super) unlisted: BTreeMap<String, (Product, StateOrigin)>,
    /// Changes held in all histories, and the slot whose history is looked at next.
    pub(super) remembered: u64,
    pub(super) hand: SlotNo,
}

impl ViewWriter {
    /// A product's slot was released: data keyed by its number is dropped here, and the fan-out is notified with the next batch.
    pub(super) fn forget(&mut self, number: SlotNo) {
        self.moves.forget(number);
        self.changed.push(number);
    }

    /// Drops the labels that no entry uses any more.
    pub(super) fn forget_labels(&mut self) {
        self.labels.retain(|label| Arc::strong_count(label) > 1);
    }

    pub(super) fn mark_seen(&mut self, number: SlotNo) {
        if let Some(place) = self.seen.as_mut().and_then(|all| all.get_mut(number as usize)) {
            *place = true;
        }
    }

    pub(super) fn shared_labels(&mut self, category: &str, brand: &str) -> Labels {
        Labels { category: self.shared(category), brand: self.shared(brand) }
    }

    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.labels.get(name) {
            return known.clone();
        }
        let shared: Arc<str> = Arc::from(name);
        self.labels.insert(shared.clone());
        shared
    }
}
