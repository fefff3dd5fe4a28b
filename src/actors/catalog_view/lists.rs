//! The catalogue in the orders that shoppers ask for.
//!
//! An order is a list of slot numbers, built when somebody asks and something changed. What a list shows of each product is read when
//! it is shown, so only the *order* can be late, never a figure. Membership is never late: slots that were added since are appended.
//! With a million products building takes a part of a second, so a list is built again only when that costs at most a tenth of the
//! time; until then the last one serves, and whoever comes while it is built does not wait.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::entry::{Entry, Needle};
use super::table::{SlotNo, Table};
use crate::domain::money::Cents;

/// A list is built again at the earliest after this many times its building.
const REST_FACTOR: u32 = 10;

/// How a list of products is ordered; ties by product id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// By product id.
    #[default]
    Featured,
    PriceLow,
    PriceHigh,
    /// Best rated first, then most reviewed.
    Rating,
    /// Most reviewed first.
    Popular,
    /// Latest life first.
    Newest,
}

/// Which products, in which order, which part of them.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Compared without case.
    pub category: Option<String>,
    pub search: Option<Needle>,
    pub min_price: Option<Cents>,
    pub max_price: Option<Cents>,
    /// `true`: only what is in stock; `false`: only what isn't.
    pub in_stock: Option<bool>,
    pub min_rating: Option<f32>,
    pub sort: Sort,
    pub skip: usize,
    pub limit: usize,
}

/// Counts changes, so that a list knows when it is out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generations {
    /// Products came, went or changed their details.
    pub details: u64,
    /// Prices moved.
    pub prices: u64,
}

/// The cached orders. One place each.
#[derive(Debug, Default)]
pub struct Lists {
    by_id: Cached<Vec<SlotNo>>,
    by_price: Cached<Vec<SlotNo>>,
    by_rating: Cached<Vec<SlotNo>>,
    by_reviews: Cached<Vec<SlotNo>>,
    by_life: Cached<Vec<SlotNo>>,
    categories: Cached<Vec<Arc<str>>>,
}

impl Query {
    /// Whether a product is asked for.
    #[must_use]
    pub fn fits(&self, entry: &Entry) -> bool {
        self.category.as_ref().is_none_or(|wanted| same_category(wanted, &entry.category))
            && self.min_price.is_none_or(|least| entry.price >= least)
            && self.max_price.is_none_or(|most| entry.price <= most)
            && self.in_stock.is_none_or(|wanted| wanted == (entry.stock.units() > 0))
            && self.min_rating.is_none_or(|least| entry.rating >= least)
            && self.search.as_ref().is_none_or(|needle| entry.mentions(needle))
    }
}

fn same_category(wanted: &str, category: &str) -> bool {
    category.eq_ignore_ascii_case(wanted) || (!category.is_ascii() && category.to_lowercase() == wanted.to_lowercase())
}

impl Lists {
    /// The products that a query asks for. Reads the whole catalogue at worst.
    #[must_use]
    pub fn answer(&self, table: &Table, generations: Generations, query: &Query) -> Vec<Arc<Entry>> {
        let order = self.order(table, generations, query.sort);
        let added = order.slots..table.count();
        let numbers: Box<dyn Iterator<Item = SlotNo>> = match query.sort {
            Sort::PriceHigh => Box::new(order.value.iter().rev().copied()),
            Sort::Featured | Sort::PriceLow | Sort::Rating | Sort::Popular | Sort::Newest => {
                Box::new(order.value.iter().copied())
            }
        };
        let listed = numbers.chain(added).filter_map(|number| table.entry(number)).filter(|entry| !entry.is_removed());
        listed.filter(|entry| query.fits(entry)).skip(query.skip).take(query.limit).collect()
    }

    /// The distinct categories in order of their names.
    #[must_use]
    pub fn categories(&self, table: &Table, generations: Generations) -> Arc<Vec<Arc<str>>> {
        let build = || {
            let mut found: BTreeSet<Arc<str>> = BTreeSet::new();
            for entry in listed(table) {
                if !entry.category.is_empty() && !found.contains(&entry.category) {
                    found.insert(entry.category.clone());
                }
            }
            found.into_iter().collect()
        };
        self.categories.get(generations, table, build).value.clone()
    }

    fn order(&self, table: &Table, generations: Generations, sort: Sort) -> Arc<Dated<Vec<SlotNo>>> {
        let slots_only = Generations { details: u64::from(table.count()), prices: 0 };
        let details_only = Generations { prices: 0, ..generations };
        let by_id = || self.by_id.get(slots_only, table, || ids_in_order(table)).value.clone();
        match sort {
            Sort::Featured => self.by_id.get(slots_only, table, || ids_in_order(table)),
            Sort::PriceLow | Sort::PriceHigh => {
                self.by_price.get(generations, table, || sorted(table, &by_id(), |entry| entry.price))
            }
            Sort::Rating => self.by_rating.get(details_only, table, || {
                sorted(table, &by_id(), |entry| Reverse((entry.rating.max(0.0).to_bits(), entry.review_count)))
            }),
            Sort::Popular => {
                self.by_reviews.get(details_only, table, || sorted(table, &by_id(), |entry| Reverse(entry.review_count)))
            }
            Sort::Newest => {
                self.by_life.get(details_only, table, || sorted(table, &by_id(), |entry| Reverse(entry.revision.life)))
            }
        }
    }
}

/// The entries of the products that the catalogue has.
pub(super) fn listed(table: &Table) -> impl Iterator<Item = Arc<Entry>> {
    let entries = table.slots(0, table.count()).filter_map(|(_, slot)| slot.entry.load_full());
    entries.filter(|entry| !entry.is_removed())
}

fn ids_in_order(table: &Table) -> Vec<SlotNo> {
    let mut slots: Vec<_> = table.slots(0, table.count()).map(|(number, slot)| (slot.id.as_str(), number)).collect();
    slots.sort_unstable();
    slots.into_iter().map(|(_, number)| number).collect()
}

fn sorted<K: Ord>(table: &Table, by_id: &[SlotNo], key: impl Fn(&Entry) -> K) -> Vec<SlotNo> {
    let keyed = by_id.iter().filter_map(|number| Some((key(&*table.entry(*number)?), *number)));
    let mut keyed: Vec<_> = keyed.collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    keyed.into_iter().map(|(_, number)| number).collect()
}

/// Something built from the catalogue as it was.
#[derive(Debug)]
struct Dated<T> {
    value: Arc<T>,
    generations: Generations,
    /// Slots that were looked at: those from here on are not in it.
    slots: SlotNo,
    built_at: Instant,
    took: Duration,
}

impl<T> Dated<T> {
    fn serves(&self, generations: Generations) -> bool {
        self.generations == generations || self.built_at.elapsed() < self.took * REST_FACTOR
    }
}

#[derive(Debug)]
struct Cached<T> {
    last: ArcSwapOption<Dated<T>>,
    building: Mutex<()>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { last: ArcSwapOption::empty(), building: Mutex::new(()) }
    }
}

impl<T> Cached<T> {
    fn get(&self, generations: Generations, table: &Table, build: impl FnOnce() -> T) -> Arc<Dated<T>> {
        let last = self.last.load_full();
        if let Some(last) = &last
            && last.serves(generations)
        {
            return last.clone();
        }
        let _building = match (self.building.try_lock(), last) {
            (Ok(guard), _) => guard,
            (Err(TryLockError::Poisoned(guard)), _) => guard.into_inner(),
            (Err(TryLockError::WouldBlock), Some(last)) => return last,
            // The very first list: there is nothing else to show, so wait for whoever builds it.
            (Err(TryLockError::WouldBlock), None) => self.building.lock().unwrap_or_else(PoisonError::into_inner),
        };
        if let Some(last) = self.last.load_full()
            && last.serves(generations)
        {
            return last;
        }
        let (built_at, slots) = (Instant::now(), table.count());
        let value = Arc::new(build());
        let dated = Arc::new(Dated { value, generations, slots, built_at, took: built_at.elapsed() });
        self.last.store(Some(dated.clone()));
        dated
    }
}
