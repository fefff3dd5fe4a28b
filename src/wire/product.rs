//! The catalogue's product: read strictly, written with exactly the contract's fields.
//!
//! Read from `product-updates`, the bootstrap file and `products`. Written two ways: [`ProductValue`], the eleven fields of
//! `products`, as existing readers are strict; [`ProductBody`], those and the revision, for REST and pages.
//!
//! An address of a picture that is no plain path under `/api/` and no picture in a `data:` URL is replaced by that of the
//! product's generated one when it is read: no other path passes the existing client's proxy, no outside host may be called,
//! and nothing but a picture may hide behind it. A rating is kept to two decimals.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::invalid::Invalid;
use super::json::{self, Integer, Number, Skip, Text, needed, once};
use super::money::Money;
use crate::domain::EpochMs;
use crate::domain::ids::{self, InvalidValue, ProductId, Stock, UNITS_MAX};
use crate::domain::inventory::ProductState;
use crate::domain::money::Cents;
use crate::domain::product::{Details, Product, Revision};

/// Longest name, category, brand and tag, in characters: what a card can show, several times over.
const NAME_MAX: usize = 500;
const LABEL_MAX: usize = 100;
/// Longest description, in characters.
const DESCRIPTION_MAX: usize = 10_000;
/// Longest picture URL, in characters: a `data:` URL of 48 KB of picture. Every page gets it with the whole catalogue.
const IMAGE_URL_MAX: usize = 65_536;
/// Most tags.
const TAGS_MAX: usize = 50;

/// A product with the contract's eleven fields, none of them ever null: the value on `products`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductValue<'a> {
    pub product_id: &'a str,
    pub name: &'a str,
    pub description: &'a str,
    pub category: &'a str,
    pub brand: &'a str,
    pub price: Money,
    /// Units in stock.
    pub inventory: i64,
    /// Begins with `/api/` or `data:`, or is empty.
    pub image_url: &'a str,
    pub tags: &'a [Box<str>],
    /// 0 to 5.
    pub rating: f64,
    pub review_count: i64,
}

impl<'a> From<&'a Product> for ProductValue<'a> {
    fn from(product: &'a Product) -> Self {
        let Product { id, price, stock, details } = product;
        Self {
            product_id: id.as_str(),
            name: &details.name,
            description: &details.description,
            category: &details.category,
            brand: &details.brand,
            price: Money::from(*price),
            inventory: stock.units(),
            image_url: &details.image_url,
            tags: &details.tags,
            rating: details.rating,
            review_count: details.review_count,
        }
    }
}

/// A product with its revision. `version` belongs to stock and price, `detailsVersion` to all else; both count within a lifetime
/// (`life`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "Product")]
#[schema(as = Product)]
pub struct ProductBody<'a> {
    #[serde(flatten)]
    #[schema(inline)]
    pub product: ProductValue<'a>,
    pub life: i64,
    pub version: u64,
    pub details_version: u64,
    /// Time of the last change, in epoch milliseconds.
    pub timestamp: EpochMs,
    /// The price before the last drop: there only while it is higher than `price` and the drop is less than an hour old.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub was_price: Option<Money>,
    /// When that drop was, in epoch milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub was_at: Option<EpochMs>,
}

impl<'a> ProductBody<'a> {
    /// A product whose stock and price are of one revision and whose details are of a version of the same lifetime.
    #[must_use]
    pub fn new(product: &'a Product, revision: Revision, details_version: u64, changed_at_ms: EpochMs) -> Self {
        let Revision { life, version } = revision;
        Self { product: product.into(), life, version, details_version, timestamp: changed_at_ms, was_price: None, was_at: None }
    }
}

impl<'a> From<&'a ProductState> for ProductBody<'a> {
    /// A state is whole: details and stock are of one version.
    fn from(state: &'a ProductState) -> Self {
        Self::new(&state.product, state.revision, state.revision.version, state.changed_at_ms)
    }
}

/// Reads one product.
///
/// # Errors
/// [`Invalid`] if it is not JSON, not one object, lacks `productId`, `name`, `price` or `inventory`, or a known field is there
/// twice, of the wrong type or out of range. Unknown fields are skipped; null stands for a default where there is one.
pub fn decode(value: &[u8]) -> Result<Product, Invalid> {
    json::from_slice::<Strict>(value).map(|Strict(product)| product)
}

/// Where the picture of a product is drawn.
#[must_use]
pub fn generated_image_url(product_id: &ProductId) -> String {
    use std::fmt::Write as _;
    let mut url = "/api/ecommerce/product/".to_owned();
    for byte in product_id.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url + "/image"
}

/// A product, read strictly.
pub(super) struct Strict(pub Product);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(ProductVisitor)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    ProductId,
    Name,
    Description,
    Category,
    Brand,
    Price,
    Inventory,
    ImageUrl,
    Tags,
    Rating,
    ReviewCount,
    #[serde(other)]
    Unknown,
}

#[derive(Default)]
struct ProductFields<'de> {
    product_id: Option<Text<'de>>,
    name: Option<Text<'de>>,
    description: Option<Option<Text<'de>>>,
    category: Option<Option<Text<'de>>>,
    brand: Option<Option<Text<'de>>>,
    price: Option<Number>,
    inventory: Option<Integer>,
    image_url: Option<Option<Text<'de>>>,
    tags: Option<Option<Vec<Text<'de>>>>,
    rating: Option<Option<Number>>,
    review_count: Option<Option<Integer>>,
}

struct ProductVisitor;

impl<'de> Visitor<'de> for ProductVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a product")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = ProductFields::default();
        while let Some(field) = map.next_key::<Field>()? {
            match field {
                Field::ProductId => once(&mut map, &mut fields.product_id, "productId")?,
                Field::Name => once(&mut map, &mut fields.name, "name")?,
                Field::Description => once(&mut map, &mut fields.description, "description")?,
                Field::Category => once(&mut map, &mut fields.category, "category")?,
                Field::Brand => once(&mut map, &mut fields.brand, "brand")?,
                Field::Price => once(&mut map, &mut fields.price, "price")?,
                Field::Inventory => once(&mut map, &mut fields.inventory, "inventory")?,
                Field::ImageUrl => once(&mut map, &mut fields.image_url, "imageUrl")?,
                Field::Tags => once(&mut map, &mut fields.tags, "tags")?,
                Field::Rating => once(&mut map, &mut fields.rating, "rating")?,
                Field::ReviewCount => once(&mut map, &mut fields.review_count, "reviewCount")?,
                Field::Unknown => {
                    map.next_value::<Skip>()?;
                }
            }
        }
        fields.check()
    }
}

impl ProductFields<'_> {
    fn check<E: serde::de::Error>(self) -> Result<Strict, E> {
        let id = ProductId::new(&needed(self.product_id, "productId")?.0).map_err(E::custom)?;
        let name = needed(self.name, "name")?;
        let price = needed(self.price, "price")?;
        let inventory = needed(self.inventory, "inventory")?;
        if name.0.is_empty() {
            return Err(E::custom(InvalidValue::Empty { field: "name" }));
        }
        let line = |field, text: Option<Option<Text<'_>>>, max| {
            text.flatten().map_or(Ok(String::new()), |t| checked(field, t.0, max, LineBreaks::Refused))
        };
        let description = self
            .description
            .flatten()
            .map_or(Ok(String::new()), |t| checked("description", t.0, DESCRIPTION_MAX, LineBreaks::Allowed));
        let details = Details {
            name: checked("name", name.0, NAME_MAX, LineBreaks::Refused).map_err(E::custom)?.into(),
            description: description.map_err(E::custom)?.into(),
            category: line("category", self.category, LABEL_MAX).map_err(E::custom)?.into(),
            brand: line("brand", self.brand, LABEL_MAX).map_err(E::custom)?.into(),
            image_url: served(&id, line("imageUrl", self.image_url, IMAGE_URL_MAX).map_err(E::custom)?).into(),
            tags: tags(self.tags.flatten().unwrap_or_default()).map_err(E::custom)?,
            rating: rating(self.rating.flatten().map_or(0.0, |number| number.0)).map_err(E::custom)?,
            review_count: review_count(self.review_count.flatten().map_or(0, |count| count.0)).map_err(E::custom)?,
        };
        let price = Cents::from_units(price.0).map_err(E::custom)?;
        let stock = Stock::new(inventory.0).map_err(E::custom)?;
        Ok(Strict(Product { id, price, stock, details: Arc::new(details) }))
    }
}

/// Whether a text may have line breaks and tabs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineBreaks {
    Refused,
    Allowed,
}

/// Refuses what no card can show, PostgreSQL cannot keep and a terminal would act on.
fn checked(field: &'static str, text: Cow<'_, str>, max: usize, lines: LineBreaks) -> Result<String, InvalidValue> {
    let chars = if text.len() <= max { text.len() } else { text.chars().count() };
    if chars > max {
        return Err(InvalidValue::TooLong { field, chars, max });
    }
    let allowed = |c: char| lines == LineBreaks::Allowed && matches!(c, '\n' | '\r' | '\t');
    if text.chars().any(|c| c.is_control() && !allowed(c)) {
        return Err(InvalidValue::ControlCharacter { field });
    }
    Ok(text.into_owned())
}

fn served(id: &ProductId, image_url: String) -> String {
    let ours = image_url.is_empty() || is_own_path(&image_url) || is_own_data(&image_url);
    if ours { image_url } else { generated_image_url(id) }
}

/// A path under `/api/` that browsers and proxies leave as it is: no segment leads elsewhere.
fn is_own_path(url: &str) -> bool {
    let Some(path) = url.strip_prefix("/api/") else { return false };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let leads_on = |segment: &str| !matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "" | "." | "..");
    path.split('/').all(leads_on) && !url.contains(|c: char| c == '\\' || c.is_whitespace())
}

/// A picture that is its own address.
fn is_own_data(url: &str) -> bool {
    let picture = url.strip_prefix("data:image/").and_then(|rest| rest.split_once(','));
    picture.is_some_and(|(kind, _)| kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.;=".contains(&byte)))
}

/// Refuses a product whose name shows nothing. Not part of reading one: what the shop has already it must be able to read.
///
/// # Errors
/// [`InvalidValue::Invisible`] names the field.
pub fn check_visible(product: &Product) -> Result<(), InvalidValue> {
    ids::check_visible("name", &product.details.name)
}

fn tags(tags: Vec<Text<'_>>) -> Result<Box<[Box<str>]>, InvalidValue> {
    if tags.len() > TAGS_MAX {
        return Err(InvalidValue::OutOfRange { field: "tags", value: format!("{} texts", tags.len()), expected: "at most 50" });
    }
    tags.into_iter().map(|tag| checked("tags", tag.0, LABEL_MAX, LineBreaks::Refused).map(Into::into)).collect()
}

fn rating(rating: f64) -> Result<f64, InvalidValue> {
    if (0.0..=5.0).contains(&rating) {
        // Adding zero turns -0.0 into 0.0.
        return Ok((rating * 100.0).round() / 100.0 + 0.0);
    }
    Err(InvalidValue::OutOfRange { field: "rating", value: rating.to_string(), expected: "a number from 0 to 5" })
}

fn review_count(count: i64) -> Result<i64, InvalidValue> {
    if (0..=UNITS_MAX).contains(&count) {
        return Ok(count);
    }
    Err(InvalidValue::OutOfRange { field: "reviewCount", value: count.to_string(), expected: "an integer of at least 0" })
}

#[cfg(test)]
mod tests;
