//! One product as the shop shows it: rendered once, and patched when only stock and price move.
//!
//! An entry is immutable and shared. Its body is the answer of `GET /product/{id}` byte for byte, laid out so that a change of
//! stock or price copies the text around two numbers instead of rendering eleven fields again:
//!
//! ```text
//!  {"productId":…,"name":…,"description":…,"category":…,"brand":…,   "price":…,"inventory":…,   "imageUrl":…,…,"reviewCount":…,   "life":…,…}
//!  └──────────────────────── head ───────────────────────────────┘                            └──────────── tail ─────────────┘
//! ```
//! The text is kept once: a million products must fit, so search reads the body too ([`Entry::mentions`]).

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

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
    /// Life of the product, and the version of its stock and price.
    pub revision: Revision,
    /// The version of everything else; the same life.
    pub details_version: u64,
    pub price: Cents,
    pub stock: Stock,
    /// Shared by all products of the category.
    pub category: Arc<str>,
    pub rating: f32,
    pub review_count: i64,
    /// When stock, price or details last changed.
    pub changed_at_ms: EpochMs,
    /// Offset on `products` of the record that last gave the whole, or took it away.
    pub source_offset: i64,
    pub presence: Presence,
}

/// Whether the catalogue still has the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Listed,
    /// Its removal was heard of on `inventory-events`; the tombstone on `products` follows.
    Leaving,
    /// Gone: kept so that pages can be told, shown nowhere else.
    Removed,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    product_id: &'a str,
    name: &'a str,
    description: &'a str,
    category: &'a str,
    brand: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tail<'a> {
    image_url: &'a str,
    tags: &'a [Box<str>],
    rating: f64,
    review_count: i64,
}

/// Where a whole product came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub revision: Revision,
    pub changed_at_ms: EpochMs,
    pub source_offset: i64,
}

/// A tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// With which the product left; `None` if nobody says so.
    pub revision: Option<Revision>,
    /// Offset on `products`.
    pub source_offset: i64,
    pub at_ms: EpochMs,
}

impl Entry {
    /// Renders a whole product. `category` is the shared copy of the product's own.
    #[must_use]
    pub fn render(product: &Product, category: Arc<str>, origin: Origin) -> Self {
        let details = &product.details;
        let head = Head {
            product_id: product.id.as_str(),
            name: &details.name,
            description: &details.description,
            category: &details.category,
            brand: &details.brand,
        };
        let Details { image_url, tags, rating, review_count, .. } = &**details;
        let tail = Tail { image_url, tags, rating: *rating, review_count: *review_count };
        let parts = Parts {
            head: &open_ended(&head),
            tail: &open_ended(&tail)[1..],
            revision: origin.revision,
            details_version: origin.revision.version,
            price: product.price,
            stock: product.stock,
            changed_at_ms: origin.changed_at_ms,
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
            category,
            rating,
            review_count: details.review_count,
            changed_at_ms: origin.changed_at_ms,
            source_offset: origin.source_offset,
            presence: Presence::Listed,
        }
    }

    /// The same product with another stock and price (of this version of the same life).
    #[must_use]
    pub fn with_level(&self, version: u64, stock: Stock, price: Cents, changed_at_ms: EpochMs) -> Self {
        let next = Self { revision: Revision { version, ..self.revision }, stock, price, changed_at_ms, ..self.clone() };
        next.joined()
    }

    /// The same product with the level (stock, price and their version) of another entry of the same life.
    #[must_use]
    pub fn with_level_of(self, other: &Self) -> Self {
        self.with_level(other.revision.version, other.stock, other.price, other.changed_at_ms)
    }

    /// The same product, last told at this offset of `products`.
    #[must_use]
    pub fn told_at(self, source_offset: i64) -> Self {
        Self { source_offset, ..self }
    }

    /// The same product, of which the removal was heard.
    #[must_use]
    pub fn leaving(self) -> Self {
        Self { presence: Presence::Leaving, ..self }
    }

    /// What is left of it when the catalogue drops it: its last state with nothing in stock, with the revision that the tombstone
    /// names. Where it names none: one version on, unless its removal was heard of.
    #[must_use]
    pub fn as_removed(&self, gone: &Removal) -> Self {
        let guessed = self.revision.version + u64::from(self.presence == Presence::Listed);
        let revision = gone.revision.unwrap_or(Revision { version: guessed, ..self.revision }).max(self.revision);
        let Removal { source_offset, at_ms: changed_at_ms, .. } = *gone;
        let presence = Presence::Removed;
        Self { revision, stock: Stock::NONE, changed_at_ms, source_offset, presence, ..self.clone() }.joined()
    }

    /// What is left of a removed product once no page can still need its text: the place in the log.
    #[must_use]
    pub fn forgotten(&self) -> Self {
        Self { body: Bytes::new(), head_end: 0, tail_start: 0, tail_end: 0, category: Arc::from(""), ..self.clone() }
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

    /// Whether a field that search looks at (name, description, brand, tags) contains the text.
    #[must_use]
    pub fn mentions(&self, wanted: &Needle) -> bool {
        // Values of the head in order: productId, name, description, category, brand.
        let head = literals(&self.body[..self.head_end as usize]).filter(|(is_key, _)| !is_key).map(|(_, text)| text);
        let searched = head.enumerate().filter(|(place, _)| matches!(place, 1 | 2 | 4)).map(|(_, text)| text);
        searched.chain(self.tags()).any(|text| wanted.is_in(text))
    }

    /// The tags as they stand in the body: the literals between `imageUrl`'s value and the key `rating`.
    fn tags(&self) -> impl Iterator<Item = &[u8]> {
        let tail = &self.body[self.tail_start as usize..self.tail_end as usize];
        literals(tail).skip(3).take_while(|(is_key, _)| !is_key).map(|(_, text)| text)
    }

    /// Renders the body again around the present numbers.
    fn joined(self) -> Self {
        let parts = Parts {
            head: &self.body[..self.head_end as usize],
            tail: &self.body[self.tail_start as usize..self.tail_end as usize],
            revision: self.revision,
            details_version: self.details_version,
            price: self.price,
            stock: self.stock,
            changed_at_ms: self.changed_at_ms,
        };
        let (body, [head_end, tail_start, tail_end]) = parts.join();
        Self { body, head_end, tail_start, tail_end, ..self }
    }
}

/// A JSON object without its closing brace, ready for more fields.
fn open_ended(object: &impl Serialize) -> Vec<u8> {
    // Structs of strings and finite numbers always serialise; an empty object would only lose a product's text.
    let mut text = serde_json::to_vec(object).unwrap_or_else(|_| b"{".to_vec());
    text.pop();
    text.push(b',');
    text
}

/// Everything a body is made of.
struct Parts<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    revision: Revision,
    details_version: u64,
    price: Cents,
    stock: Stock,
    changed_at_ms: EpochMs,
}

/// Room for the numbers, with their names, at their longest.
const NUMBERS_MAX: usize = 200;

impl Parts<'_> {
    /// The body, with where head ends, tail starts and tail ends.
    fn join(&self) -> (Bytes, [u32; 3]) {
        // Exactly as long as it is: an allocator that shrinks a block in place keeps its length, and there may be a million.
        let mut numbers = Vec::with_capacity(NUMBERS_MAX);
        let mut number = itoa::Buffer::new();
        numbers.extend_from_slice(b"\"price\":");
        push_cents(&mut numbers, self.price);
        numbers.extend_from_slice(b",\"inventory\":");
        numbers.extend_from_slice(number.format(self.stock.units()).as_bytes());
        numbers.push(b',');
        let level = numbers.len();
        numbers.extend_from_slice(b"\"life\":");
        numbers.extend_from_slice(number.format(self.revision.life).as_bytes());
        numbers.extend_from_slice(b",\"version\":");
        numbers.extend_from_slice(number.format(self.revision.version).as_bytes());
        numbers.extend_from_slice(b",\"detailsVersion\":");
        numbers.extend_from_slice(number.format(self.details_version).as_bytes());
        numbers.extend_from_slice(b",\"timestamp\":");
        numbers.extend_from_slice(number.format(self.changed_at_ms).as_bytes());
        numbers.push(b'}');
        let body = [self.head, &numbers[..level], self.tail, &numbers[level..]].concat();
        let tail_start = self.head.len() + level;
        (Bytes::from(body), [self.head.len(), tail_start, tail_start + self.tail.len()].map(place))
    }
}

/// Records are far smaller than 4 GB: the log refuses them long before.
fn place(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Writes an amount as [`crate::wire::Money`] does: a JSON number with one or two decimals.
fn push_cents(into: &mut Vec<u8>, amount: Cents) {
    let cents = amount.cents() % 100;
    into.extend_from_slice(itoa::Buffer::new().format(amount.cents() / 100).as_bytes());
    into.push(b'.');
    into.push(digit(cents / 10));
    if cents % 10 > 0 {
        into.push(digit(cents % 10));
    }
}

/// `number` is from 0 to 9.
fn digit(number: i64) -> u8 {
    b'0' + u8::try_from(number).unwrap_or_default()
}

/// The string literals of JSON text that we rendered, without quotes and still escaped, each with whether it is a key.
fn literals(text: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| *byte == b'"')? + 1;
        let mut end = start;
        while *rest.get(end)? != b'"' {
            end += if rest[end] == b'\\' { 2 } else { 1 };
        }
        let literal = &rest[start..end];
        let is_key = rest.get(end + 1) == Some(&b':');
        rest = &rest[end + 1..];
        Some((is_key, literal))
    })
}

/// The text of a JSON string literal's contents.
fn unescaped(literal: &[u8]) -> String {
    if literal.contains(&b'\\') {
        return serde_json::from_slice(&[b"\"", literal, b"\""].concat()).unwrap_or_default();
    }
    String::from_utf8_lossy(literal).into_owned()
}

/// A text to search for, ignoring case.
#[derive(Debug, Clone)]
pub struct Needle(String);

impl Needle {
    /// Prepares a search text; `None` if it is blank, which finds everything.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_lowercase()))
    }

    /// Whether the contents of a JSON string literal contain it.
    fn is_in(&self, literal: &[u8]) -> bool {
        if self.0.is_ascii() && !literal.contains(&b'\\') {
            return contains_ignoring_ascii_case(literal, self.0.as_bytes());
        }
        unescaped(literal).to_lowercase().contains(&self.0)
    }
}

/// `needle` is in lower case and not empty.
fn contains_ignoring_ascii_case(text: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    text.windows(needle.len()).any(|window| window[0].to_ascii_lowercase() == first && window.eq_ignore_ascii_case(needle))
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

    fn entry(stock: i64) -> Entry {
        let origin = Origin { revision: Revision { life: 7, version: 3 }, changed_at_ms: 1000, source_offset: 12 };
        Entry::render(&product(stock), Arc::from("Electronics"), origin)
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
        let patched = first.with_level(4, Stock::new(8).unwrap(), Cents::new(5).unwrap(), 2000);
        let parsed: serde_json::Value = serde_json::from_slice(patched.body()).unwrap();
        assert_eq!(parsed, expected(8, 0.05, 4, 2000));
        assert_eq!((first.name().as_str(), first.image_url().as_str()), ("Über\\Book \"15\"", "/api/a.png"));
        let back = patched.with_level(3, Stock::new(10).unwrap(), first.price, 1000);
        assert_eq!(back, first);
    }

    #[test]
    fn a_body_reads_as_the_wire_writes_it() {
        for cents in [0, 5, 10, 99, 100, 950, 9_999_999_999] {
            let product = Product { price: Cents::new(cents).unwrap(), ..product(3) };
            let revision = Revision { life: 7, version: 3 };
            let origin = Origin { revision, changed_at_ms: 1000, source_offset: 12 };
            let entry = Entry::render(&product, Arc::from("Electronics"), origin);
            let wire = crate::wire::product::ProductBody::new(&product, revision, 3, 1000);
            assert_eq!(std::str::from_utf8(entry.body()).unwrap(), serde_json::to_string(&wire).unwrap());
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
    fn search_sees_name_description_brand_and_tags_and_nothing_else() {
        let entry = entry(1);
        for found in ["book", "ÜBER", "über\\b", "\"15\"", "Thin", "futuretech", "gleam", "LAPTOP", "price: l"] {
            assert!(entry.mentions(&Needle::new(found).unwrap()), "{found}");
        }
        for missing in ["electronics", "prod", "imageUrl", "tags", "name", "reviewCount", "rating", "image", "4.5"] {
            assert!(!entry.mentions(&Needle::new(missing).unwrap()), "{missing}");
        }
        assert!(Needle::new("  ").is_none());
    }
}
