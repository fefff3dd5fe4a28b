//! Products: lists and their facets, one, its picture, its last changes. All from the read model: no SQL, no actor.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::listed::Listed;
use super::picture::{self, Subject};
use super::query::{Parameters, Parsed};
use crate::actors::catalog_view::{FoundProducts, Needle, Query, Sort};
use crate::api::failure::Failure;
use crate::api::packed::Text;
use crate::api::page;
use crate::api::problem::Problem;
use crate::api::state::Shop;
use crate::domain::money::Cents;
use crate::wire::Money;
use crate::wire::pages::front::{FacetCount, Facets};
use crate::wire::pages::history::ProductChange;

/// Products of the featured and trending shelves.
const SHELF: usize = 8;
/// A featured product is rated at least this.
const FEATURED_RATING: f32 = 4.0;
/// Most products of one answer of `/products`.
const LIMIT_MAX: usize = 1000;
const LIMIT_DEFAULT: usize = 20;
/// Brands of one question: as many as facets tell.
const BRANDS_MAX: usize = 100;
/// How many products there are on all pages of a list.
const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");
/// The view keeps an hour of changes.
const HISTORY_MINUTES_MAX: i64 = 60;

/// Products by category, search text and filters.
#[utoipa::path(get, path = "/api/ecommerce/products", tag = "products",
    params(
        ("category" = Option<String>, Query, description = "ignores case"),
        ("search" = Option<String>, Query, description = "in name, description, brand and tags; ignores case"),
        ("limit" = Option<u16>, Query, minimum = 0, maximum = 1000, description = "default 20"),
        ("brand" = Option<String>, Query, description = "ignores case; may be repeated, then any of them"),
        ("page" = Option<u32>, Query, minimum = 1, description = "from 1"),
        ("sort" = Option<String>, Query,
            description = "relevance, featured, price-low, price-high, rating, popular, newest; default relevance with a search, \
                           otherwise featured"),
        ("minPrice" = Option<f64>, Query), ("maxPrice" = Option<f64>, Query), ("inStock" = Option<bool>, Query),
    ),
    responses((status = 200, body = [crate::wire::product::ProductBody],
        headers(("etag" = String), ("x-total-count" = u64, description = "products on all pages"))), (status = 304)))]
pub async fn list(State(shop): State<Arc<Shop>>, parameters: Parsed, headers: HeaderMap) -> Result<Response, Failure> {
    let query = read_query(&Parameters::new(parameters)?)?;
    Ok(array(&shop, query, &headers).await)
}

/// What the products of a list can be narrowed by: the same filters, each facet counted without its own.
#[utoipa::path(get, path = "/api/ecommerce/products/facets", tag = "products",
    params(
        ("category" = Option<String>, Query), ("brand" = Option<String>, Query, description = "may be repeated"),
        ("search" = Option<String>, Query), ("minPrice" = Option<f64>, Query), ("maxPrice" = Option<f64>, Query),
        ("inStock" = Option<bool>, Query),
    ),
    responses((status = 200, body = Facets, headers(("etag" = String))), (status = 304)))]
pub async fn facets(State(shop): State<Arc<Shop>>, parameters: Parsed, headers: HeaderMap) -> Result<Response, Failure> {
    let found = shop.catalog.facets(read_query(&Parameters::new(parameters)?)?).await;
    let counts = |kinds: Vec<(Arc<str>, usize)>| {
        kinds.into_iter().map(|(name, count)| FacetCount { name: name.to_string(), count }).collect()
    };
    let facets = Facets {
        total: found.total,
        categories: counts(found.categories),
        brands: counts(found.brands),
        min_price: found.prices.map(|(least, _)| Money::from(least)),
        max_price: found.prices.map(|(_, most)| Money::from(most)),
    };
    // Serialising texts and numbers to memory cannot fail.
    Ok(shop.packed.answer_by_content(&headers, serde_json::to_vec(&facets).unwrap_or_default()).await)
}

/// The best rated products.
#[utoipa::path(get, path = "/api/ecommerce/products/featured", tag = "products",
    responses((status = 200, body = [crate::wire::product::ProductBody])))]
pub async fn featured(State(shop): State<Arc<Shop>>, headers: HeaderMap) -> Response {
    let query = Query { min_rating: Some(FEATURED_RATING), sort: Sort::Rating, limit: SHELF, ..Query::default() };
    array(&shop, query, &headers).await
}

/// The most reviewed products.
#[utoipa::path(get, path = "/api/ecommerce/products/trending", tag = "products",
    responses((status = 200, body = [crate::wire::product::ProductBody])))]
pub async fn trending(State(shop): State<Arc<Shop>>, headers: HeaderMap) -> Response {
    let query = Query { sort: Sort::Popular, limit: SHELF, ..Query::default() };
    array(&shop, query, &headers).await
}

/// One product, with a strong entity tag made of its revision. The front answers most of these itself.
#[utoipa::path(get, path = "/api/ecommerce/product/{id}", tag = "products", params(("id" = String, Path)),
    responses((status = 200, body = crate::wire::product::ProductBody, headers(("etag" = String))), (status = 304)))]
pub fn one(State(shop): State<Arc<Shop>>, Path(id): Path<String>, headers: HeaderMap) -> Ready<Result<Response, Failure>> {
    let product = shop.catalog.get(&id).ok_or_else(|| unknown(&id).into());
    ready(product.map(|product| tagged(&headers, &product.etag, "application/json", || Bytes::clone(&product.body))))
}

/// The product's changes of stock and price, oldest first.
#[utoipa::path(get, path = "/api/ecommerce/product/{id}/history", tag = "products",
    params(("id" = String, Path), ("minutes" = Option<u8>, Query, minimum = 1, maximum = 60, description = "default 60")),
    responses((status = 200, body = [ProductChange])))]
pub fn history(State(shop): State<Arc<Shop>>, Path(id): Path<String>, parameters: Parsed) -> Ready<Result<Response, Failure>> {
    ready(read_history(&shop, &id, parameters))
}

fn read_history(shop: &Shop, id: &str, parameters: Parsed) -> Result<Response, Failure> {
    let minutes = Parameters::new(parameters)?.number("minutes", 1, HISTORY_MINUTES_MAX)?.unwrap_or(HISTORY_MINUTES_MAX);
    let changes = shop.catalog.history(id, shop.clock.now_ms() - minutes * 60_000).ok_or_else(|| unknown(id))?;
    let changes: Vec<ProductChange<'_>> = changes.iter().rev().map(|change| change.to_wire()).collect();
    Ok(axum::Json(changes).into_response())
}

/// A generated picture of the product.
#[utoipa::path(get, path = "/api/ecommerce/product/{id}/image", tag = "products", params(("id" = String, Path)),
    responses((status = 200, content_type = "image/svg+xml", body = String, headers(("etag" = String))), (status = 304)))]
pub fn image(State(shop): State<Arc<Shop>>, Path(id): Path<String>, headers: HeaderMap) -> Ready<Result<Response, Failure>> {
    let Some(entry) = shop.catalog.entry(&id) else { return ready(Err(unknown(&id).into())) };
    let product = Listed::of(&entry);
    let Listed { name, brand, category, tags, .. } = &product;
    let subject = Subject { id: &id, name, brand, category, tags };
    // Of what shows: the picture stays the same when stock and price move.
    let tag = format!("\"p{}-{:016x}\"", picture::EDITION, subject.fingerprint());
    ready(Ok(tagged(&headers, &tag, "image/svg+xml", || Bytes::from(picture::draw(subject)))))
}

/// 404 for a product that the catalogue does not have.
pub(super) fn unknown(id: &str) -> Problem {
    let shown: String = id.chars().take(60).collect();
    Problem { code: "unknown_product", ..Problem::not_found(format!("there is no product {shown}")) }
}

/// A body with an entity tag, or 304.
fn tagged(headers: &HeaderMap, tag: &str, media_type: &'static str, body: impl FnOnce() -> Bytes) -> Response {
    let mut response = if page::matches(headers, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, media_type)], Body::from(body())).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The products that a query asks for, as a JSON array.
async fn array(shop: &Shop, query: Query, headers: &HeaderMap) -> Response {
    let FoundProducts { total, entries } = shop.catalog.query(query).await;
    let tag = shop.catalog.list_etag(total, &entries);
    let text = shop.catalog.text(entries.into_iter(), |_, _| (Bytes::from_static(b"["), Bytes::from_static(b"]")));
    let mut response = shop.packed.answer(headers, &tag, Text::Shared(text.pieces())).await;
    response.headers_mut().insert(TOTAL_COUNT, HeaderValue::from(total));
    response
}

fn read_query(parameters: &Parameters) -> Result<Query, Problem> {
    let limit = parameters.number("limit", 0, LIMIT_MAX as i64)?.map_or(LIMIT_DEFAULT, to_usize);
    let page = parameters.number("page", 1, i64::from(u32::MAX))?.map_or(1, to_usize);
    let price = |name| -> Result<Option<Cents>, Problem> {
        let Some(text) = parameters.text(name) else { return Ok(None) };
        let amount = text.parse::<f64>().ok().and_then(|amount| Cents::from_units(amount).ok());
        amount.map(Some).ok_or_else(|| Problem::field(name, "expected an amount of at least 0"))
    };
    let search = parameters.text("search").and_then(Needle::new);
    let brands: Vec<String> = parameters.texts("brand").map(str::to_owned).collect();
    if brands.len() > BRANDS_MAX {
        return Err(Problem::field("brand", format!("is given {} times; at most {BRANDS_MAX} are accepted", brands.len())));
    }
    Ok(Query {
        category: parameters.text("category").filter(|text| !text.is_empty()).map(str::to_owned),
        brands,
        min_price: price("minPrice")?,
        max_price: price("maxPrice")?,
        in_stock: parameters.truth("inStock")?,
        min_rating: None,
        sort: read_sort(parameters.text("sort"), search.is_some())?,
        search,
        skip: (page - 1).saturating_mul(limit),
        limit,
    })
}

fn read_sort(text: Option<&str>, searches: bool) -> Result<Sort, Problem> {
    match text.unwrap_or_default() {
        "" if searches => Ok(Sort::Relevance),
        "" | "featured" => Ok(Sort::Featured),
        "relevance" => Ok(Sort::Relevance),
        "price-low" => Ok(Sort::PriceLow),
        "price-high" => Ok(Sort::PriceHigh),
        "rating" => Ok(Sort::Rating),
        "popular" => Ok(Sort::Popular),
        "newest" => Ok(Sort::Newest),
        _ => Err(Problem::field("sort", "expected relevance, featured, price-low, price-high, rating, popular or newest")),
    }
}

fn to_usize(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}
