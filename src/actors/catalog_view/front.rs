//! The shelves of the first page: latest changes, price drops, almost sold out, best sellers.

use std::cmp::Reverse;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::cached::{Cached, Generations};
use super::entry::Entry;
use super::history::{Change, REMEMBERED_MS};
use super::lists::{Lists, Query, Sort};
use super::table::{SlotNo, Table};
use crate::domain::EpochMs;

/// Products of one shelf.
pub const SHELF: usize = 12;
/// Candidates that are kept for each: some may have changed when they are shown.
const CANDIDATES: usize = 4 * SHELF;
/// A shelf is filled again at least this often, as the hour goes on: in milliseconds.
const RENEWED_MS: i64 = 30_000;

/// A product's slot, and how it moved.
pub(super) type Moved = (SlotNo, Arc<Change>);

/// The last moves, one of each product, the newest last.
#[derive(Debug, Default)]
pub(super) struct Moves {
    last: Vec<Moved>,
    changed: bool,
}

/// The shelves of the first page.
#[derive(Debug, Default)]
pub struct Front {
    pub moves: Vec<(Arc<Entry>, Arc<Change>)>,
    pub drops: Vec<Arc<Entry>>,
    pub almost_gone: Vec<Arc<Entry>>,
    pub trending: Vec<Arc<Entry>>,
}

/// Candidates for the shelves, the best first.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    drops: Vec<SlotNo>,
    low: Vec<SlotNo>,
    sold: Vec<SlotNo>,
}

impl Moves {
    /// Keeps a move, if it is among the last ones: a log is read partition by partition, so moves may come out of order.
    pub(super) fn add(&mut self, number: SlotNo, change: &Arc<Change>) {
        if let Some(known) = self.last.iter().position(|(other, _)| *other == number) {
            if self.last[known].1.at_ms > change.at_ms {
                return;
            }
            self.last.remove(known);
        }
        let place = self.last.partition_point(|(_, other)| other.at_ms <= change.at_ms);
        self.last.insert(place, (number, change.clone()));
        if self.last.len() > CANDIDATES {
            self.last.remove(0);
        }
        self.changed = true;
    }

    /// The slot number was given to another product.
    pub(super) fn forget(&mut self, number: SlotNo) {
        let before = self.last.len();
        self.last.retain(|(other, _)| *other != number);
        self.changed |= self.last.len() != before;
    }

    /// All of them, if they changed since they were last asked for.
    pub(super) fn news(&mut self) -> Option<Arc<Vec<Moved>>> {
        std::mem::take(&mut self.changed).then(|| Arc::new(self.last.clone()))
    }
}

/// The shelves as they were last filled, and the moves.
#[derive(Debug, Default)]
pub(super) struct FrontPage {
    shelves: Cached<Shelves>,
    /// The last moves.
    pub(super) moves: ArcSwap<Vec<Moved>>,
}

impl FrontPage {
    /// Fills the shelves. Reads the whole catalogue and all histories, but not more often than lists are built.
    pub(super) fn show(&self, table: &Table, lists: &Lists, generations: Generations, changes: u64, asked: &FrontQuery) -> Front {
        let moves = self.moves.load();
        let half_minute = asked.now_ms / RENEWED_MS;
        let dated = Generations { details: changes, prices: half_minute.unsigned_abs(), stocked: asked.low_stock.unsigned_abs() };
        let shelves = self.shelves.get(dated, table, || Shelves::fill(table, asked)).value.clone();
        let shown = |numbers: &[SlotNo], fits: &dyn Fn(&Entry) -> bool| -> Vec<Arc<Entry>> {
            let entries = numbers.iter().filter_map(|number| table.entry(*number)).filter(|entry| !entry.is_removed());
            entries.filter(|entry| fits(entry)).take(SHELF).collect()
        };
        let mut trending = shown(&shelves.sold, &|_| true);
        if trending.len() < SHELF {
            let popular = Query { sort: Sort::Popular, limit: 2 * SHELF, ..Query::default() };
            let more = lists.answer(table, generations, &popular).entries;
            let more: Vec<_> = more.into_iter().filter(|one| trending.iter().all(|known| !known.is_same_product(one))).collect();
            trending.extend(more.into_iter().take(SHELF - trending.len()));
        }
        let moved = moves.iter().rev().filter_map(|(number, change)| Some((table.entry(*number)?, change.clone())));
        Front {
            moves: moved.filter(|(entry, _)| !entry.is_removed()).take(SHELF).collect(),
            drops: shown(&shelves.drops, &|entry| asked.is_fresh_drop(entry)),
            almost_gone: shown(&shelves.low, &|entry| asked.is_low(entry)),
            trending,
        }
    }
}

/// What decides which products are on a shelf.
#[derive(Debug, Clone, Copy)]
pub struct FrontQuery {
    /// Stock from 1 to this is low.
    pub low_stock: i64,
    pub now_ms: EpochMs,
}

impl FrontQuery {
    fn is_low(&self, entry: &Entry) -> bool {
        (1..=self.low_stock).contains(&entry.stock.units())
    }

    fn is_fresh_drop(&self, entry: &Entry) -> bool {
        entry.was().is_some_and(|was| was.at_ms > self.now_ms - REMEMBERED_MS)
    }
}

impl Shelves {
    fn fill(table: &Table, asked: &FrontQuery) -> Self {
        let (mut drops, mut low, mut sold) = (Vec::new(), Vec::new(), Vec::new());
        let slots: Vec<_> = table.slots(0, table.count()).collect();
        for (number, slot) in &slots {
            let (number, entry) = (*number, slot.entry.load());
            let Some(entry) = entry.as_ref().filter(|entry| !entry.is_removed()) else { continue };
            let id = slot.id.as_str();
            if let Some(was) = entry.was().filter(|_| asked.is_fresh_drop(entry)) {
                drops.push(((Reverse(share(was.price.cents(), entry.price.cents())), id), number));
            }
            if asked.is_low(entry) {
                low.push(((entry.stock, id), number));
            }
            let history = slot.history.load();
            let units = history.as_ref().map_or(0, |history| {
                history.since(asked.now_ms - REMEMBERED_MS).map(|change| change.sold()).fold(0, i64::saturating_add)
            });
            if units > 0 {
                sold.push(((Reverse((units, entry.review_count)), id), number));
            }
        }
        Self { drops: first(drops), low: first(low), sold: first(sold) }
    }
}

/// By which part a price dropped, in millionths.
fn share(from: i64, to: i64) -> i64 {
    i64::try_from(i128::from(from - to) * 1_000_000 / i128::from(from.max(1))).unwrap_or(i64::MAX)
}

/// The first of them, in order.
fn first<K: Ord>(mut keyed: Vec<(K, SlotNo)>) -> Vec<SlotNo> {
    if keyed.len() > CANDIDATES {
        keyed.select_nth_unstable(CANDIDATES - 1);
        keyed.truncate(CANDIDATES);
    }
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, number)| number).collect()
}
