//! The one update function: what an entry becomes when the log says something about its product.
//!
//! Two kinds of record speak of a product, on two topics without an order between them: **whole** ones (`products`) and
//! **partial** ones (`inventory-events`: stock and price). An entry keeps a version for each part, and each part takes only what
//! is newer, so neither hides the other. A partial never creates a product and is not taken by another lifetime than its own.
//!
//! | held | whole | partial |
//! | --- | --- | --- |
//! | nothing | taken | unknown |
//! | removed | taken if it stands behind the removal on `products` | unknown |
//! | older lifetime | taken | other lifetime |
//! | same lifetime | details if newer, stock and price if newer | taken if newer |
//! | newer lifetime | known | other lifetime |

use super::entry::{Entry, Labels, Removal, StateOrigin};
use crate::domain::EpochMs;
use crate::domain::ids::Stock;
use crate::domain::money::Cents;
use crate::domain::product::{Product, Revision};

/// What a record did to an entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Merged {
    /// This is the entry from now on.
    Taken(Entry),
    /// Nothing newer in it.
    Known,
    /// It speaks of another lifetime of the product.
    OtherLifetime,
    /// It speaks of a product that the view doesn't have.
    Unknown,
}

/// Whether what is held already counts as newer. A view that restores after a crash trusts the log more than what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Equal versions are equal.
    Held,
    /// Equal versions are taken again.
    Log,
}

/// The stock and price of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockAndPrice {
    pub revision: Revision,
    pub stock: Stock,
    /// `None` where the event names none: the price stays.
    pub price: Option<Cents>,
    pub at_ms: EpochMs,
    /// The price before it, where the event names a drop.
    pub dropped_from: Option<Cents>,
    /// The product was removed: the catalogue drops it.
    pub last: bool,
}

/// Whether a whole record is worth decoding: its revision and place say enough.
#[must_use]
pub fn is_news(held: Option<&Entry>, origin: &StateOrigin, trust: Trust) -> bool {
    let Some(held) = held else { return true };
    if held.is_removed() {
        return origin.source_offset > held.source_offset;
    }
    let known = Revision { version: held.details_version.min(held.revision.version), ..held.revision };
    match trust {
        Trust::Held => origin.revision > known,
        Trust::Log => origin.revision >= known,
    }
}

/// Takes a whole record. `labels` are the shared copies of the product's own.
#[must_use]
pub fn take_whole(held: Option<&Entry>, product: &Product, labels: Labels, origin: StateOrigin, trust: Trust) -> Merged {
    if !is_news(held, &origin, trust) {
        return Merged::Known;
    }
    let taken = Entry::render(product, labels, origin);
    match held {
        Some(held) if !held.is_removed() && held.revision.life == origin.revision.life => {
            Merged::Taken(joined(held, taken, trust))
        }
        Some(_) | None => Merged::Taken(taken),
    }
}

/// The newer part of each, of two entries of one lifetime.
fn joined(held: &Entry, taken: Entry, trust: Trust) -> Entry {
    let newer = |known: u64, said: u64| said > known || (said == known && trust == Trust::Log);
    let details = newer(held.details_version, taken.details_version);
    let level = newer(held.revision.version, taken.revision.version);
    match (details, level) {
        (true, false) => taken.with_stock_and_price_of(held),
        (false, true) => held.clone().with_stock_and_price_of(&taken).at_offset(taken.source_offset),
        (true, true) | (false, false) => taken.following(held),
    }
}

/// Takes stock and price.
#[must_use]
pub fn take_stock_and_price(held: Option<&Entry>, event: &StockAndPrice) -> Merged {
    match held {
        None => Merged::Unknown,
        Some(held) if held.is_removed() => Merged::Unknown,
        Some(held) if held.revision.life != event.revision.life => Merged::OtherLifetime,
        Some(held) if held.revision.version >= event.revision.version => {
            reported_drop(held, event).map_or(Merged::Known, Merged::Taken)
        }
        Some(held) => {
            let price = event.price.unwrap_or(held.price);
            let next = held.with_stock_and_price(event.revision.version, event.stock, price, event.at_ms);
            let next = reported_drop(&next, event).unwrap_or(next);
            Merged::Taken(if event.last { next.leaving() } else { next })
        }
    }
}

/// The entry with the drop that an event names, if that is news: also an old event may name the last drop.
fn reported_drop(held: &Entry, event: &StockAndPrice) -> Option<Entry> {
    event.dropped_from.and_then(|from| held.dropped_from(from, event.at_ms))
}

/// Takes a removal: a tombstone of `products`.
#[must_use]
pub fn take_removal(held: Option<&Entry>, gone: &Removal) -> Merged {
    match held {
        None => Merged::Unknown,
        Some(held) if held.source_offset >= gone.source_offset => Merged::Known,
        Some(held) if held.is_removed() => Merged::Taken(held.clone().at_offset(gone.source_offset)),
        Some(held) => Merged::Taken(held.as_removed(gone)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::ids::ProductId;
    use crate::domain::product::Details;

    fn product(name: &str, stock: i64) -> Product {
        let details = Details { name: name.into(), ..Details::default() };
        Product {
            id: ProductId::new("P").unwrap(),
            price: Cents::new(100).unwrap(),
            stock: Stock::new(stock).unwrap(),
            details: Arc::new(details),
        }
    }

    fn labels() -> Labels {
        Labels { category: Arc::from(""), brand: Arc::from("") }
    }

    fn origin(life: i64, version: u64, source_offset: i64) -> StateOrigin {
        StateOrigin { revision: Revision { life, version }, changed_at_ms: 10, source_offset }
    }

    fn whole(held: Option<&Entry>, name: &str, stock: i64, life: i64, version: u64, offset: i64) -> Merged {
        take_whole(held, &product(name, stock), labels(), origin(life, version, offset), Trust::Held)
    }

    fn level(life: i64, version: u64, stock: i64) -> StockAndPrice {
        StockAndPrice {
            revision: Revision { life, version },
            stock: Stock::new(stock).unwrap(),
            price: None,
            at_ms: 20,
            dropped_from: None,
            last: false,
        }
    }

    fn tombstone(source_offset: i64, revision: Option<Revision>) -> Removal {
        Removal { revision, source_offset, at_ms: 30 }
    }

    fn taken(merged: Merged) -> Entry {
        match merged {
            Merged::Taken(entry) => entry,
            other @ (Merged::Known | Merged::OtherLifetime | Merged::Unknown) => panic!("not taken: {other:?}"),
        }
    }

    fn shown(entry: &Entry) -> (i64, u64, u64, i64, String) {
        let body: serde_json::Value = serde_json::from_slice(entry.body()).unwrap();
        let name = body["name"].as_str().unwrap().to_owned();
        (entry.revision.life, entry.revision.version, entry.details_version, entry.stock.units(), name)
    }

    #[test]
    fn both_orders_of_whole_and_partial_end_the_same() {
        let first = taken(whole(None, "a", 10, 1, 1, 0));
        let by_event = taken(take_stock_and_price(Some(&first), &level(1, 2, 8)));
        assert_eq!(shown(&by_event), (1, 2, 1, 8, "a".to_owned()));
        let then_whole = taken(whole(Some(&by_event), "a", 8, 1, 2, 1));
        let by_whole = taken(whole(Some(&first), "a", 8, 1, 2, 1));
        assert_eq!(shown(&then_whole), shown(&by_whole));
        assert_eq!(take_stock_and_price(Some(&by_whole), &level(1, 2, 8)), Merged::Known);
    }

    #[test]
    fn neither_part_hides_the_other() {
        let first = taken(whole(None, "a", 10, 1, 1, 0));
        let sold = taken(take_stock_and_price(Some(&first), &level(1, 5, 3)));
        // A whole record of a version in between: its details are new, its stock is old.
        let renamed = taken(whole(Some(&sold), "b", 9, 1, 3, 2));
        assert_eq!(shown(&renamed), (1, 5, 3, 3, "b".to_owned()));
        assert_eq!(renamed.source_offset, 2);
        assert_eq!(whole(Some(&renamed), "c", 1, 1, 3, 3), Merged::Known);
    }

    #[test]
    fn lives_do_not_mix() {
        let second = taken(whole(None, "b", 5, 9, 1, 4));
        assert_eq!(take_stock_and_price(Some(&second), &level(1, 7, 0)), Merged::OtherLifetime);
        assert_eq!(take_stock_and_price(Some(&second), &level(12, 7, 0)), Merged::OtherLifetime);
        assert_eq!(whole(Some(&second), "a", 1, 1, 9, 5), Merged::Known);
        assert_eq!(shown(&taken(whole(Some(&second), "c", 1, 12, 1, 6))), (12, 1, 1, 1, "c".to_owned()));
        assert_eq!(take_stock_and_price(None, &level(1, 1, 1)), Merged::Unknown);
    }

    #[test]
    fn removal_stays_until_something_later_on_the_topic() {
        let first = taken(whole(None, "a", 10, 1, 1, 3));
        let gone = taken(take_removal(Some(&first), &tombstone(4, None)));
        assert!(gone.is_removed());
        assert_eq!(take_stock_and_price(Some(&gone), &level(1, 3, 5)), Merged::Unknown);
        assert_eq!(whole(Some(&gone), "a", 10, 1, 1, 3), Merged::Known, "read again by a view that restores");
        assert_eq!(take_removal(Some(&gone), &tombstone(4, None)), Merged::Known);
        let back = taken(whole(Some(&gone), "a", 4, 7, 1, 8));
        assert!(!back.is_removed());
        assert_eq!(take_removal(Some(&back), &tombstone(4, None)), Merged::Known);
        assert_eq!(take_removal(None, &tombstone(4, None)), Merged::Unknown);
    }

    #[test]
    fn removal_is_one_version_step_whichever_topic_tells_it_first() {
        let first = taken(whole(None, "a", 10, 1, 1, 3));
        let heard = taken(take_stock_and_price(Some(&first), &StockAndPrice { last: true, ..level(1, 2, 0) }));
        let heard_first = taken(take_removal(Some(&heard), &tombstone(4, None)));
        let removed_first = taken(take_removal(Some(&first), &tombstone(4, None)));
        assert_eq!(shown(&heard_first), shown(&removed_first));
        assert_eq!(shown(&removed_first), (1, 2, 1, 0, "a".to_owned()));
    }

    #[test]
    fn a_removal_has_the_version_that_its_tombstone_names() {
        // Versions 2 to 4 were steps of one batch: `products` has the tombstone after version 1, and the events have all of them.
        let first = taken(whole(None, "a", 10, 1, 1, 3));
        let named = tombstone(4, Some(Revision { life: 1, version: 4 }));
        let sold = taken(take_stock_and_price(Some(&first), &level(1, 3, 2)));
        let heard = taken(take_stock_and_price(Some(&sold), &StockAndPrice { last: true, ..level(1, 4, 0) }));
        for held in [&first, &sold, &heard] {
            assert_eq!(shown(&taken(take_removal(Some(held), &named))), (1, 4, 1, 0, "a".to_owned()));
        }
        let behind = tombstone(4, Some(Revision { life: 1, version: 2 }));
        assert_eq!(shown(&taken(take_removal(Some(&sold), &behind))).1, 3, "never older than what was shown");
    }

    #[test]
    fn a_restoring_view_takes_equal_versions_again() {
        let mut held = taken(whole(None, "a", 10, 1, 2, 3));
        held.stock = Stock::new(99).unwrap();
        assert_eq!(whole(Some(&held), "a", 10, 1, 2, 3), Merged::Known);
        let again = take_whole(Some(&held), &product("a", 10), labels(), origin(1, 2, 3), Trust::Log);
        assert_eq!(taken(again).stock.units(), 10);
        let newer = taken(take_stock_and_price(Some(&held), &level(1, 5, 3)));
        let kept = take_whole(Some(&newer), &product("a", 10), labels(), origin(1, 2, 3), Trust::Log);
        assert_eq!(taken(kept).stock.units(), 3, "what is newer than the record stays");
    }
}
