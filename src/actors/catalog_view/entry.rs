//! One product as the shop shows it: rendered once, and patched when only stock and price move.
//!
//! An entry is immutable and shared. Its body is the answer of `GET /product/{id}` byte for byte, laid out so that a change of
//! stock or price copies the text around two numbers instead of rendering eleven fields again:
//!
//! ```text
//!  {"productId":…,"name":…,…,"brand":…,   "price":…,"inventory":…,   "imageUrl":…,…,"reviewCount":…,   "life":…,…}
//!  └──────────────── head ─────────────┘                              └────────────── tail ────────────┘
//! ```
//! The text is kept once: a million products must fit, so search reads the body too ([`Entry::mentions`]).
//!
//! A price that dropped within the hour stands after the timestamp, as `wasPrice` and `wasAt` ([`Was`]).

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::body::{BodyParts, open_ended};
use super::search::{Match, Needle, literals, unescaped};
use crate::domain::EpochMs;
use crate::domain::ids::Stock;
use crate::domain::money::Cents;
use crate::domain::product::{Details, Product, Revision};

/// A product of the read model, or what is left of a removed one.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    body: Bytes,
    head_end: u32,
    tail_start: u32,
    tail_end: u32,
    /// Lifetime of the product, and the version of its stock and price.
    pub revision: Revision,
    /// The version of everything else; of the same lifetime.
    pub details_version: u64,
    pub price: Cents,
    pub stock: Stock,
    /// Shared by all products of the category.
    pub category: Arc<str>,
    /// Shared by all products of the brand.
    pub brand: Arc<str>,
    pub rating: f32,
    pub review_count: i64,
    /// When stock, price or details last changed.
    pub changed_at_ms: EpochMs,
    /// Offset on `products` of the record that last gave the whole, or took it away.
    pub source_offset: i64,
    pub presence: Presence,
    /// The price before the last drop; few products have one.
    was: Option<Box<Was>>,
}

/// The price before a product's last drop, as long as it is higher than the price now and not yet an hour old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Was {
    pub price: Cents,
    pub at_ms: EpochMs,
    /// Taken from an event. A whole record may cover several changes, so a drop derived from it counts only until the event is
    /// read.
    by_event: bool,
}

/// The shared copies of the names that many products have in common.
#[derive(Debug, Clone)]
pub struct Labels {
    pub category: Arc<str>,
    pub brand: Arc<str>,
}

/// Whether the catalogue still has the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Listed,
    /// Its removal is known from `inventory-events`; the tombstone on `products` follows.
    Leaving,
    /// Gone: kept so that pages can be sent the removal, shown nowhere else.
    Removed,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadFields<'a> {
    product_id: &'a str,
    name: &'a str,
    description: &'a str,
    category: &'a str,
    brand: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TailFields<'a> {
    image_url: &'a str,
    tags: &'a [Box<str>],
    rating: f64,
    review_count: i64,
}

/// Where a whole product came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateOrigin {
    pub revision: Revision,
    pub changed_at_ms: EpochMs,
    pub source_offset: i64,
}

/// A tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// The revision of the removal; `None` if no header names it.
    pub revision: Option<Revision>,
    /// Offset on `products`.
    pub source_offset: i64,
    pub at_ms: EpochMs,
}

impl Entry {
    /// Renders a whole product. `labels` are the shared copies of the product's own.
    #[must_use]
    pub fn render(product: &Product, labels: Labels, origin: StateOrigin) -> Self {
        let details = &product.details;
        let head = HeadFields {
            product_id: product.id.as_str(),
            name: &details.name,
            description: &details.description,
            category: &details.category,
            brand: &details.brand,
        };
        let Details { image_url, tags, rating, review_count, .. } = &**details;
        let tail = TailFields { image_url, tags, rating: *rating, review_count: *review_count };
        let parts = BodyParts {
            head: &open_ended(&head),
            tail: &open_ended(&tail)[1..],
            revision: origin.revision,
            details_version: origin.revision.version,
            price: product.price,
            stock: product.stock,
            changed_at_ms: origin.changed_at_ms,
            was: None,
        };
        let (body, [head_end, tail_start, tail_end]) = parts.join();
        #[expect(clippy::cast_possible_truncation, reason = "a rating is a small decimal; only sorting uses this copy")]
        let rating = details.rating as f32;
        Self {
            body,
            head_end,
            tail_start,
            tail_end,
            revision: origin.revision,
            details_version: origin.revision.version,
            price: product.price,
            stock: product.stock,
            category: labels.category,
            brand: labels.brand,
            rating,
            review_count: details.review_count,
            changed_at_ms: origin.changed_at_ms,
            source_offset: origin.source_offset,
            presence: Presence::Listed,
            was: None,
        }
    }

    /// The same product with another stock and price (of this version of the same lifetime).
    #[must_use]
    pub fn with_stock_and_price(&self, version: u64, stock: Stock, price: Cents, changed_at_ms: EpochMs) -> Self {
        let was = self.was_at(price, changed_at_ms);
        let next = Self { revision: Revision { version, ..self.revision }, stock, price, changed_at_ms, was, ..self.clone() };
        next.joined()
    }

    /// The price before the last drop.
    #[must_use]
    pub fn was(&self) -> Option<Was> {
        self.was.as_deref().copied()
    }

    /// What the price before the last drop is once the price is this.
    fn was_at(&self, price: Cents, at_ms: EpochMs) -> Option<Box<Was>> {
        if price < self.price {
            return Some(Box::new(Was { price: self.price, at_ms, by_event: false }));
        }
        self.was.clone().filter(|was| was.price > price)
    }

    /// The same product, whose price dropped from this one by an event; `None` if that is known or out of date.
    #[must_use]
    pub fn dropped_from(&self, price: Cents, at_ms: EpochMs) -> Option<Self> {
        let is_later = self.was.as_ref().is_none_or(|known| !known.by_event || known.at_ms < at_ms);
        (is_later && price > self.price).then(|| self.clone().with_was(Some(Box::new(Was { price, at_ms, by_event: true }))))
    }

    /// The same product without its last drop, which is too long ago.
    #[must_use]
    pub fn without_was(&self) -> Self {
        self.clone().with_was(None)
    }

    fn with_was(self, was: Option<Box<Was>>) -> Self {
        let shown = |was: &Option<Box<Was>>| was.as_ref().map(|was| (was.price, was.at_ms));
        let same = shown(&was) == shown(&self.was);
        let next = Self { was, ..self };
        if same { next } else { next.joined() }
    }

    /// The same product with the price drop of another entry: the one that led to its price, or the one that entry already had.
    #[must_use]
    pub fn following(self, held: &Self) -> Self {
        let was = held.was_at(self.price, self.changed_at_ms);
        self.with_was(was)
    }

    /// The same product with stock, price and their version of another entry of the same lifetime.
    #[must_use]
    pub fn with_stock_and_price_of(self, other: &Self) -> Self {
        let was = other.was.clone();
        self.with_stock_and_price(other.revision.version, other.stock, other.price, other.changed_at_ms).with_was(was)
    }

    /// The same product, last written at this offset of `products`.
    #[must_use]
    pub fn at_offset(self, source_offset: i64) -> Self {
        Self { source_offset, ..self }
    }

    /// The same product, whose removal is known.
    #[must_use]
    pub fn leaving(self) -> Self {
        Self { presence: Presence::Leaving, ..self }
    }

    /// What is left of it when the catalogue drops it: its last state with nothing in stock, with the revision that the tombstone
    /// names. Where it names none: one version on, unless its removal is known.
    #[must_use]
    pub fn as_removed(&self, gone: &Removal) -> Self {
        let guessed = self.revision.version + u64::from(self.presence == Presence::Listed);
        let revision = gone.revision.unwrap_or(Revision { version: guessed, ..self.revision }).max(self.revision);
        let Removal { source_offset, at_ms: changed_at_ms, .. } = *gone;
        let presence = Presence::Removed;
        Self { revision, stock: Stock::NONE, changed_at_ms, source_offset, presence, was: None, ..self.clone() }.joined()
    }

    /// What is left of a removed product once no page can still need its text: the place in the log.
    #[must_use]
    pub fn forgotten(&self) -> Self {
        let nothing: Arc<str> = Arc::from("");
        let (category, brand) = (nothing.clone(), nothing);
        Self { body: Bytes::new(), head_end: 0, tail_start: 0, tail_end: 0, category, brand, ..self.clone() }
    }

    /// Whether both are states of one product.
    #[must_use]
    pub fn is_same_product(&self, other: &Self) -> bool {
        self.raw_id() == other.raw_id()
    }

    /// The product's id, still escaped.
    fn raw_id(&self) -> Option<&[u8]> {
        literals(&self.body).nth(1).map(|(_, text)| text)
    }

    /// The product's id; empty only for a removed product that was forgotten.
    #[must_use]
    pub fn product_id(&self) -> String {
        self.head_value(0)
    }

    /// Whether the catalogue no longer has it.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.presence == Presence::Removed
    }

    /// The product as REST answers it: a JSON object with the eleven fields, `life`, `version`, `detailsVersion`, `timestamp`.
    /// Empty only for a removed product that was forgotten.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What the product is called.
    #[must_use]
    pub fn name(&self) -> String {
        self.head_value(1)
    }

    /// The address of its picture.
    #[must_use]
    pub fn image_url(&self) -> String {
        let tail = &self.body[self.tail_start as usize..self.tail_end as usize];
        literals(tail).find(|(is_key, _)| !is_key).map(|(_, text)| unescaped(text)).unwrap_or_default()
    }

    /// A value of the head: productId, name, description, category, brand.
    fn head_value(&self, place: usize) -> String {
        let values = literals(&self.body[..self.head_end as usize]).filter(|(is_key, _)| !is_key);
        values.map(|(_, text)| unescaped(text)).nth(place).unwrap_or_default()
    }

    /// Whether a field that search looks at (name, description, brand, tags) contains the text, and how well.
    #[must_use]
    pub fn mentions(&self, wanted: &Needle) -> Option<Match> {
        // Values of the head in order: productId, name, description, category, brand.
        let mut head = literals(&self.body[..self.head_end as usize]).filter(|(is_key, _)| !is_key).map(|(_, text)| text).skip(1);
        let (name, description, brand) = (head.next(), head.next(), head.nth(1));
        let in_tags = || self.tags().filter_map(|tag| wanted.place_in(tag)).min().map(Match::in_tags);
        let found = |text: Option<&[u8]>| text.and_then(|text| wanted.place_in(text));
        found(name)
            .map(Match::in_name)
            .or_else(|| found(brand).map(Match::in_brand))
            .or_else(in_tags)
            .or_else(|| found(description).map(Match::in_description))
    }

    /// The tags as they stand in the body, escaped: the literals between `imageUrl`'s value and the key `rating`.
    pub fn tags(&self) -> impl Iterator<Item = &[u8]> {
        let tail = &self.body[self.tail_start as usize..self.tail_end as usize];
        literals(tail).skip(3).take_while(|(is_key, _)| !is_key).map(|(_, text)| text)
    }

    /// Renders the body again around the present numbers.
    fn joined(self) -> Self {
        let parts = BodyParts {
            head: &self.body[..self.head_end as usize],
            tail: &self.body[self.tail_start as usize..self.tail_end as usize],
            revision: self.revision,
            details_version: self.details_version,
            price: self.price,
            stock: self.stock,
            changed_at_ms: self.changed_at_ms,
            was: self.was().map(|was| (was.price, was.at_ms)),
        };
        let (body, [head_end, tail_start, tail_end]) = parts.join();
        Self { body, head_end, tail_start, tail_end, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ProductId;

    fn product(stock: i64) -> Product {
        Product {
            id: ProductId::new("PROD \"1\"").unwrap(),
            price: Cents::new(189_905).unwrap(),
            stock: Stock::new(stock).unwrap(),
            details: Arc::new(Details {
                name: "Über\\Book \"15\"".into(),
                description: "thin, price: low".into(),
                category: "Electronics".into(),
                brand: "FutureTech".into(),
                image_url: "/api/a.png".into(),
                tags: ["laptop".into(), "GLEAMING".into()].into(),
                rating: 4.5,
                review_count: 49,
            }),
        }
    }

    fn labels() -> Labels {
        Labels { category: Arc::from("Electronics"), brand: Arc::from("FutureTech") }
    }

    fn entry(stock: i64) -> Entry {
        let origin = StateOrigin { revision: Revision { life: 7, version: 3 }, changed_at_ms: 1000, source_offset: 12 };
        Entry::render(&product(stock), labels(), origin)
    }

    #[test]
    fn a_body_is_the_whole_product_and_a_patch_changes_its_numbers_only() {
        let expected = |stock: i64, price: f64, version: u64, at: i64| {
            serde_json::json!({
                "productId": "PROD \"1\"", "name": "Über\\Book \"15\"", "description": "thin, price: low",
                "category": "Electronics", "brand": "FutureTech", "price": price, "inventory": stock,
                "imageUrl": "/api/a.png", "tags": ["laptop", "GLEAMING"],
                "rating": 4.5, "reviewCount": 49, "life": 7, "version": version, "detailsVersion": 3, "timestamp": at,
            })
        };
        let first = entry(10);
        let parsed: serde_json::Value = serde_json::from_slice(first.body()).unwrap();
        assert_eq!(parsed, expected(10, 1899.05, 3, 1000));
        let patched = first.with_stock_and_price(4, Stock::new(8).unwrap(), Cents::new(5).unwrap(), 2000);
        let parsed: serde_json::Value = serde_json::from_slice(patched.body()).unwrap();
        let mut dropped = expected(8, 0.05, 4, 2000);
        (dropped["wasPrice"], dropped["wasAt"]) = (1899.05.into(), 2000.into());
        assert_eq!(parsed, dropped);
        assert_eq!((first.name().as_str(), first.image_url().as_str()), ("Über\\Book \"15\"", "/api/a.png"));
        let back = patched.with_stock_and_price(3, Stock::new(10).unwrap(), first.price, 1000);
        assert_eq!(back, first);
    }

    #[test]
    fn a_body_reads_as_the_wire_writes_it() {
        for cents in [0, 5, 10, 99, 100, 950, 9_999_999_990] {
            let product = Product { price: Cents::new(cents).unwrap(), ..product(3) };
            let revision = Revision { life: 7, version: 3 };
            let origin = StateOrigin { revision, changed_at_ms: 1000, source_offset: 12 };
            let entry = Entry::render(&product, labels(), origin);
            let mut wire = crate::wire::product::ProductBody::new(&product, revision, 3, 1000);
            assert_eq!(std::str::from_utf8(entry.body()).unwrap(), serde_json::to_string(&wire).unwrap());
            let from = Cents::new(cents + 5).unwrap();
            (wire.was_price, wire.was_at) = (Some(from.into()), Some(900));
            let dropped = entry.dropped_from(from, 900).unwrap();
            assert_eq!(std::str::from_utf8(dropped.body()).unwrap(), serde_json::to_string(&wire).unwrap());
        }
    }

    #[test]
    fn a_removed_product_is_its_last_state_with_nothing_in_stock() {
        let removed = entry(10).as_removed(&Removal { revision: None, source_offset: 40, at_ms: 5000 });
        assert!(removed.is_removed());
        assert_eq!((removed.stock, removed.revision.version, removed.source_offset), (Stock::NONE, 4, 40));
        assert!(removed.forgotten().body().is_empty());
        let named = Removal { revision: Some(Revision { life: 7, version: 9 }), source_offset: 40, at_ms: 5000 };
        let body: serde_json::Value = serde_json::from_slice(entry(10).as_removed(&named).body()).unwrap();
        assert_eq!((&body["life"], &body["version"], &body["inventory"]), (&7.into(), &9.into(), &0.into()));
    }

    #[test]
    fn the_price_before_the_last_drop_shows_while_it_is_higher() {
        let cents = |cents| Cents::new(cents).unwrap();
        let at = |held: &Entry, price: i64, at_ms: i64| {
            held.with_stock_and_price(held.revision.version + 1, held.stock, cents(price), at_ms)
        };
        let was = |entry: &Entry| entry.was().map(|was| (was.price.cents(), was.at_ms));
        let first = at(&entry(10), 1000, 10);
        let dropped = at(&first, 800, 20);
        assert_eq!(was(&dropped), Some((1000, 20)));
        assert_eq!(was(&at(&dropped, 999, 30)), Some((1000, 20)), "risen, and still below what it was");
        assert_eq!(was(&at(&dropped, 1000, 30)), None);
        assert_eq!(was(&at(&dropped, 700, 30)), Some((800, 30)), "the last drop counts");
        // A whole record seems to say that it dropped from 1000 to 900; the events know of 1000 to 800 to 900.
        let joined = at(&first, 900, 30);
        let named = joined.dropped_from(cents(1000), 20).unwrap();
        assert_eq!(was(&named), Some((1000, 20)));
        assert!(named.dropped_from(cents(1000), 20).is_none() && named.dropped_from(cents(950), 15).is_none());
        assert!(named.dropped_from(cents(900), 40).is_none(), "no drop to what it costs now");
        assert_eq!(was(&named.without_was()), None);
        assert!(!String::from_utf8_lossy(named.without_was().body()).contains("was"));
    }

    #[test]
    fn search_sees_name_description_brand_and_tags_and_nothing_else() {
        let entry = entry(1);
        for found in ["book", "ÜBER", "über\\b", "\"15\"", "Thin", "futuretech", "gleam", "LAPTOP", "price: l"] {
            assert!(entry.mentions(&Needle::new(found).unwrap()).is_some(), "{found}");
        }
        for missing in ["electronics", "prod", "imageUrl", "tags", "name", "reviewCount", "rating", "image", "4.5"] {
            assert!(entry.mentions(&Needle::new(missing).unwrap()).is_none(), "{missing}");
        }
        assert!(Needle::new("  ").is_none());
    }
}
