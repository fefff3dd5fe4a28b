//! What is like a product: of its category, with its tags, of its brand, at about its price.

use std::cmp::Reverse;
use std::sync::Arc;

use super::entry::Entry;
use super::lists::same_name;
use super::table::Table;

const SAME_CATEGORY: u32 = 40;
const SAME_BRAND: u32 = 15;
/// For each tag in common, at most so many of them.
const SAME_TAG: u32 = 20;
const TAGS_MAX: u32 = 3;
/// For a price that is the same; less the more they differ.
const SAME_PRICE: u32 = 10;

/// The products most like this one, itself not among them: those in stock first.
pub(super) fn like(table: &Table, product: &Entry, count: usize) -> Vec<Arc<Entry>> {
    let tags: Vec<&[u8]> = product.tags().collect();
    let mut alike = Vec::new();
    let slots: Vec<_> = table.slots(0, table.count()).collect();
    for (number, slot) in &slots {
        let (number, entry) = (*number, slot.entry.load());
        let Some(entry) = entry.as_ref().filter(|entry| !entry.is_removed() && !entry.is_same_product(product)) else { continue };
        let likeness = likeness(product, &tags, entry);
        if likeness > 0 {
            let rating = Reverse((entry.rating.max(0.0).to_bits(), entry.review_count));
            alike.push(((entry.stock.units() == 0, Reverse(likeness), rating, slot.id.as_str()), number));
        }
    }
    if alike.len() > count && count > 0 {
        alike.select_nth_unstable(count - 1);
        alike.truncate(count);
    }
    alike.sort_unstable();
    alike.into_iter().filter_map(|(_, number)| table.entry(number)).filter(|entry| !entry.is_removed()).collect()
}

/// 0 for products that have nothing in common but perhaps their price.
fn likeness(product: &Entry, tags: &[&[u8]], other: &Entry) -> u32 {
    let same = |one: &Arc<str>, other: &Arc<str>| !one.is_empty() && (Arc::ptr_eq(one, other) || same_name(one, other));
    let category = if same(&product.category, &other.category) { SAME_CATEGORY } else { 0 };
    let brand = if same(&product.brand, &other.brand) { SAME_BRAND } else { 0 };
    let common =
        if tags.is_empty() { 0 } else { other.tags().filter(|tag| tags.iter().any(|own| own.eq_ignore_ascii_case(tag))).count() };
    let tags = SAME_TAG * u32::try_from(common).unwrap_or(TAGS_MAX).min(TAGS_MAX);
    match category + brand + tags {
        0 => 0,
        found => found + price(product.price.cents(), other.price.cents()),
    }
}

fn price(one: i64, other: i64) -> u32 {
    let (low, high) = (one.min(other).max(0), one.max(other).max(1));
    u32::try_from(i64::from(SAME_PRICE) * low / high).unwrap_or_default()
}
