//! What a list can be narrowed by, counted in one pass over the catalogue.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::lists::Query;
use super::table::Table;
use crate::domain::money::Cents;

/// Brands in an answer, at most.
const BRANDS_MAX: usize = 100;

/// How many products there are of each kind. Each facet counts what fits all filters but its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facets {
    /// Products that fit all filters.
    pub total: usize,
    /// By name.
    pub categories: Vec<(Arc<str>, usize)>,
    /// The most frequent first.
    pub brands: Vec<(Arc<str>, usize)>,
    /// The lowest and the highest price.
    pub prices: Option<(Cents, Cents)>,
}

impl Facets {
    /// Counts the products that a query is about; order and page do not matter.
    pub(super) fn count(table: &Table, query: &Query) -> Self {
        let mut facets = Self::default();
        let (mut categories, mut brands) = (Tally::default(), Tally::default());
        for (_, slot) in table.slots(0, table.count()) {
            let entry = slot.entry.load();
            let Some(entry) = entry.as_ref().filter(|entry| !entry.is_removed() && query.fits_state(entry)) else { continue };
            let fits = [query.fits_category(entry), query.fits_brand(entry), query.fits_price(entry)];
            // A product that fails two filters counts nowhere; the search, which costs most, comes last.
            if fits.iter().filter(|fits| !**fits).count() > 1 || query.fits_search(entry).is_none() {
                continue;
            }
            match fits {
                [true, true, true] => {
                    facets.total += 1;
                    categories.add(&entry.category);
                    brands.add(&entry.brand);
                    facets.widen(entry.price);
                }
                [false, _, _] => categories.add(&entry.category),
                [_, false, _] => brands.add(&entry.brand),
                _ => facets.widen(entry.price),
            }
        }
        facets.categories = categories.by_name();
        facets.brands = brands.by_name();
        facets.brands.sort_by_key(|(_, count)| Reverse(*count));
        facets.brands.truncate(BRANDS_MAX);
        facets
    }

    fn widen(&mut self, price: Cents) {
        let (least, most) = self.prices.unwrap_or((price, price));
        self.prices = Some((least.min(price), most.max(price)));
    }
}

/// Counts names by the address of their shared copy, which is faster than comparing texts.
#[derive(Default)]
struct Tally(HashMap<*const u8, (Arc<str>, usize)>);

impl Tally {
    fn add(&mut self, name: &Arc<str>) {
        self.0.entry(name.as_ptr()).or_insert_with(|| (name.clone(), 0)).1 += 1;
    }

    /// By name. Spellings that differ in case only are one, spelt as most products spell it; an empty name does not count.
    fn by_name(self) -> Vec<(Arc<str>, usize)> {
        let mut spellings: BTreeMap<String, Vec<(Arc<str>, usize)>> = BTreeMap::new();
        for (name, count) in self.0.into_values().filter(|(name, _)| !name.is_empty()) {
            spellings.entry(name.to_lowercase()).or_default().push((name, count));
        }
        let one = |spellings: Vec<(Arc<str>, usize)>| {
            let count = spellings.iter().map(|(_, count)| count).sum();
            let name = spellings.into_iter().min_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)))?.0;
            Some((name, count))
        };
        spellings.into_values().filter_map(one).collect()
    }
}
