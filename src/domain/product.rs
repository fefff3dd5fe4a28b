//! A product as the catalogue describes it, and the revision that orders its changes.

use std::sync::Arc;

use super::ids::{ProductId, Stock};
use super::money::Cents;

/// One product of the shop: the canonical eleven fields of the contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    pub id: ProductId,
    pub price: Cents,
    pub stock: Stock,
    /// Shared, not copied: a product's states, events and frames point at the same text.
    pub details: Arc<Details>,
}

/// A product's description without price and stock. Text is stored unchanged; empty if the source had none. Boxed strings: there
/// may be a million of them, and they never grow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Details {
    pub name: Box<str>,
    pub description: Box<str>,
    pub category: Box<str>,
    pub brand: Box<str>,
    pub image_url: Box<str>,
    pub tags: Box<[Box<str>]>,
    /// 0.0 to 5.0 as the source gave it; always finite.
    pub rating: f64,
    pub review_count: i64,
}

/// Orders all states that a product ever had: newer means a greater (lifetime, version).
///
/// A lifetime starts with the record that creates the product, and is identified by that record's offset on `product-updates` (0
/// for the bootstrap file). Its first version is 1; each change raises the version by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision {
    pub life: i64,
    pub version: u64,
}

impl Revision {
    /// The first revision of a lifetime.
    #[must_use]
    pub fn first_of(life: i64) -> Self {
        Self { life, version: 1 }
    }

    /// The revision after one more change.
    #[must_use]
    pub fn next(self) -> Self {
        Self { version: self.version + 1, ..self }
    }
}
