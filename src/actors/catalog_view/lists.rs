//! The catalogue in the orders that shoppers ask for.
//!
//! An order is a list of slot numbers, built for a query after something changed. What a list shows of each product is read when
//! it is shown, so only the *order* can be late, never a figure. Membership is never late: numbers that were added since are
//! appended, and an order holds every number, those without a product last: whichever product gets the number is in the list.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::cached::{Cached, Dated, Generations};
use super::entry::Entry;
use super::search::{MATCHES, Match, Needle};
use super::table::{SlotNo, Table};
use crate::domain::money::Cents;

/// How a list of products is ordered; ties by product id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// One of each category after the other, each category's best rated first; what is sold out comes last.
    #[default]
    Featured,
    /// What fits the search best, then as featured.
    Relevance,
    PriceLow,
    PriceHigh,
    /// Best rated first, then most reviewed.
    Rating,
    /// Most reviewed first.
    Popular,
    /// Latest lifetime first.
    Newest,
}

/// Which products, in which order, which part of them.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Compared without case.
    pub category: Option<String>,
    /// Any of these, compared without case; all brands if there are none.
    pub brands: Vec<String>,
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

/// What a query found.
#[derive(Debug, Default)]
pub struct FoundProducts {
    /// How many products fit, on whichever page they stand.
    pub total: usize,
    /// Those of the page that was asked for.
    pub entries: Vec<Arc<Entry>>,
}

/// The cached orders. One place each.
#[derive(Debug, Default)]
pub struct Lists {
    by_id: Cached<Vec<SlotNo>>,
    featured: Cached<Vec<SlotNo>>,
    by_price: Cached<Vec<SlotNo>>,
    by_rating: Cached<Vec<SlotNo>>,
    by_reviews: Cached<Vec<SlotNo>>,
    by_lifetime: Cached<Vec<SlotNo>>,
    categories: Cached<Vec<Arc<str>>>,
}

impl Query {
    /// Whether a product matches the query, and how well; without a search all match equally well.
    #[must_use]
    pub fn fits(&self, entry: &Entry) -> Option<Match> {
        let fits = self.fits_category(entry) && self.fits_brand(entry) && self.fits_price(entry) && self.fits_state(entry);
        if fits { self.fits_search(entry) } else { None }
    }

    /// Whether it narrows anything.
    pub(super) fn is_open(&self) -> bool {
        let Self { category, brands, search, min_price, max_price, in_stock, min_rating, .. } = self;
        brands.is_empty()
            && (
                category.is_none(),
                search.is_none(),
                min_price.is_none(),
                max_price.is_none(),
                in_stock.is_none(),
                min_rating.is_none(),
            ) == (true, true, true, true, true, true)
    }

    pub(super) fn fits_category(&self, entry: &Entry) -> bool {
        self.category.as_ref().is_none_or(|wanted| same_name(wanted, &entry.category))
    }

    pub(super) fn fits_brand(&self, entry: &Entry) -> bool {
        self.brands.is_empty() || self.brands.iter().any(|wanted| same_name(wanted, &entry.brand))
    }

    pub(super) fn fits_price(&self, entry: &Entry) -> bool {
        self.min_price.is_none_or(|least| entry.price >= least) && self.max_price.is_none_or(|most| entry.price <= most)
    }

    pub(super) fn fits_state(&self, entry: &Entry) -> bool {
        self.in_stock.is_none_or(|wanted| wanted == (entry.stock.units() > 0))
            && self.min_rating.is_none_or(|least| entry.rating >= least)
    }

    pub(super) fn fits_search(&self, entry: &Entry) -> Option<Match> {
        self.search.as_ref().map_or(Some(Match::BEST), |needle| entry.mentions(needle))
    }
}

/// Whether two names differ in case only.
pub(super) fn same_name(wanted: &str, name: &str) -> bool {
    name.eq_ignore_ascii_case(wanted) || (!name.is_ascii() && name.to_lowercase() == wanted.to_lowercase())
}

impl Lists {
    /// The products that a query asks for. Reads the whole catalogue, unless the query narrows nothing.
    #[must_use]
    pub fn answer(&self, table: &Table, generations: Generations, query: &Query) -> FoundProducts {
        let order = self.order(table, generations, query.sort);
        let added = order.slots..table.count();
        let numbers: Box<dyn Iterator<Item = SlotNo>> = match query.sort {
            Sort::PriceHigh => Box::new(order.value.iter().rev().copied()),
            Sort::Featured | Sort::Relevance | Sort::PriceLow | Sort::Rating | Sort::Popular | Sort::Newest => {
                Box::new(order.value.iter().copied())
            }
        };
        let numbers = numbers.chain(added);
        if query.is_open() {
            return open(table, numbers, query);
        }
        let mut fitting: [Vec<SlotNo>; MATCHES] = Default::default();
        for number in numbers {
            let Some(slot) = table.slot(number) else { continue };
            let entry = slot.entry.load();
            let found = entry.as_ref().filter(|entry| !entry.is_removed()).and_then(|entry| query.fits(entry));
            if let Some(found) = found {
                fitting[if query.sort == Sort::Relevance { found.rank() } else { 0 }].push(number);
            }
        }
        let total = fitting.iter().map(Vec::len).sum();
        let page = fitting.iter().flatten().skip(query.skip).take(query.limit);
        // A product that has just changed or been removed is shown as it is now, or not at all.
        let entries = page.filter_map(|number| table.entry(*number)).filter(|entry| !entry.is_removed()).collect();
        FoundProducts { total, entries }
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
        self.categories.get(Generations { prices: 0, stocked: 0, ..generations }, table, build).value.clone()
    }

    fn order(&self, table: &Table, generations: Generations, sort: Sort) -> Arc<Dated<Vec<SlotNo>>> {
        let ids = Generations { details: u64::from(table.count()) + table.reuses(), ..Generations::default() };
        let details_only = Generations { prices: 0, stocked: 0, ..generations };
        let prices = Generations { stocked: 0, ..generations };
        let by_id = || self.by_id.get(ids, table, || ids_in_order(table)).value.clone();
        match sort {
            Sort::Featured | Sort::Relevance => {
                self.featured.get(Generations { prices: 0, ..generations }, table, || interleaved(table, &by_id()))
            }
            Sort::PriceLow | Sort::PriceHigh => self.by_price.get(prices, table, || sorted(table, &by_id(), |entry| entry.price)),
            Sort::Rating => self.by_rating.get(details_only, table, || {
                sorted(table, &by_id(), |entry| Reverse((entry.rating.max(0.0).to_bits(), entry.review_count)))
            }),
            Sort::Popular => {
                self.by_reviews.get(details_only, table, || sorted(table, &by_id(), |entry| Reverse(entry.review_count)))
            }
            Sort::Newest => {
                self.by_lifetime.get(details_only, table, || sorted(table, &by_id(), |entry| Reverse(entry.revision.life)))
            }
        }
    }
}

/// A page of everything: the rest need not be read.
fn open(table: &Table, numbers: impl Iterator<Item = SlotNo>, query: &Query) -> FoundProducts {
    let listed = numbers.filter_map(|number| table.entry(number)).filter(|entry| !entry.is_removed());
    FoundProducts { total: 0, entries: listed.skip(query.skip).take(query.limit).collect() }
}

/// One product of each category after the other: the categories in the order of their best products, the products of each by
/// rating.
fn interleaved(table: &Table, by_id: &[SlotNo]) -> Vec<SlotNo> {
    let (mut best_first, vacant) = keyed(table, by_id, standing);
    best_first.sort_by_key(|(standing, _)| *standing);
    let mut categories: HashMap<Arc<str>, (usize, [u32; 2])> = HashMap::new();
    let mut places: Vec<_> = best_first
        .into_iter()
        .filter_map(|((sold_out, _), number)| {
            let category: Arc<str> = table.entry(number)?.category.to_lowercase().into();
            let next = categories.len();
            let (category, taken) = categories.entry(category).or_insert((next, [0, 0]));
            let round = &mut taken[usize::from(sold_out)];
            *round += 1;
            Some(((sold_out, *round, *category), number))
        })
        .collect();
    places.sort_unstable();
    places.into_iter().map(|(_, number)| number).chain(vacant).collect()
}

/// What sorts the products of a shelf: those in stock first, then the best rated, then the most reviewed.
type BestFirst = (bool, Reverse<(u32, i64)>);

fn standing(entry: &Entry) -> BestFirst {
    (entry.stock.units() == 0, Reverse((entry.rating.max(0.0).to_bits(), entry.review_count)))
}

/// The entries of the products that the catalogue has.
pub(super) fn listed(table: &Table) -> impl Iterator<Item = Arc<Entry>> {
    let entries = table.slots(0, table.count()).filter_map(|(_, slot)| slot.entry.load_full());
    entries.filter(|entry| !entry.is_removed())
}

fn ids_in_order(table: &Table) -> Vec<SlotNo> {
    let mut slots: Vec<_> = (0..table.count()).map(|number| (table.slot(number), number)).collect();
    slots.sort_unstable_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => a.id.as_str().cmp(b.id.as_str()),
        (a, b) => a.is_none().cmp(&b.is_none()),
    });
    slots.into_iter().map(|(_, number)| number).collect()
}

fn sorted<K: Ord>(table: &Table, by_id: &[SlotNo], key: impl Fn(&Entry) -> K) -> Vec<SlotNo> {
    let (mut keyed, vacant) = keyed(table, by_id, key);
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    keyed.into_iter().map(|(_, number)| number).chain(vacant).collect()
}

/// The numbers of entries, with what they are sorted by, and the numbers without an entry.
fn keyed<K>(table: &Table, numbers: &[SlotNo], key: impl Fn(&Entry) -> K) -> (Vec<(K, SlotNo)>, Vec<SlotNo>) {
    let (mut keyed, mut vacant) = (Vec::with_capacity(numbers.len()), Vec::new());
    for number in numbers {
        match table.entry(*number) {
            Some(entry) => keyed.push((key(&entry), *number)),
            None => vacant.push(*number),
        }
    }
    (keyed, vacant)
}
