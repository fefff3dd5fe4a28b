//! What the shop shows first, and what its list can be narrowed by: `GET /api/ecommerce/front` and `…/products/facets`.

use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

use super::history::ProductChange;
use crate::wire::money::Money;
use crate::wire::product::ProductBody;

/// The shelves of the first page, at most twelve products each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Front<'a> {
    /// The last change of stock or price of each product that moved last, newest first.
    pub moves: &'a [Move<'a>],
    /// Products with a `wasPrice`, the largest relative drop first.
    pub drops: &'a [ProductBody<'a>],
    /// The lowest stock above 0, up to the status's `lowStock`.
    pub almost_gone: &'a [ProductBody<'a>],
    /// Most units sold in the last hour, then the most reviewed.
    pub trending: &'a [ProductBody<'a>],
}

/// A product that moved, and how.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS, ToSchema)]
pub struct Move<'a> {
    pub product: ProductBody<'a>,
    pub change: ProductChange<'a>,
}

/// What a list of products can be narrowed by. Each facet counts the products that fit all filters but its own.
#[derive(Debug, Clone, PartialEq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Facets {
    /// Products that fit all filters.
    pub total: usize,
    /// In order of their names; spellings that differ in case only count as one.
    pub categories: Vec<FacetCount>,
    /// The most frequent first, at most 100.
    pub brands: Vec<FacetCount>,
    /// Null where no product fits.
    pub min_price: Option<Money>,
    pub max_price: Option<Money>,
}

/// How many products there are of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, ToSchema)]
pub struct FacetCount {
    pub name: String,
    pub count: usize,
}
