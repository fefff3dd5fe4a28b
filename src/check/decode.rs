//! The checker's own decoding of records: small, strict where the contract is, and sharing no code with the engine's.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::log::Record;

/// A position on an input topic that an output names as its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputCause {
    /// `product-updates/partition/offset/index`
    Update { partition: i32, offset: i64, index: u32 },
    /// `order-events/partition/offset/index`
    Order { partition: i32, offset: i64, index: u32 },
    /// `file/index`
    File { index: u32 },
    /// `timer/deadline`
    Timer { deadline_ms: i64 },
}

impl OutputCause {
    /// Reads the `kartshoppe-cause` header.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (kind, first) = (parts.next()?, parts.next()?);
        let cause = match kind {
            "file" => Self::File { index: first.parse().ok()? },
            "timer" => Self::Timer { deadline_ms: first.parse().ok()? },
            "product-updates" | "order-events" => {
                let (partition, offset, index) = (first.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
                if kind == "product-updates" {
                    Self::Update { partition, offset, index }
                } else {
                    Self::Order { partition, offset, index }
                }
            }
            _ => return None,
        };
        parts.next().is_none().then_some(cause)
    }

    /// Whether the event's id is derived from this cause. If one cause concerns many products, the id names the product too.
    pub fn is_of(&self, event: &Event) -> bool {
        let Some(rest) = event.event_id.as_deref().and_then(|id| id.strip_prefix(&format!("{self}/"))) else { return false };
        match self {
            Self::Update { .. } | Self::Order { .. } => true,
            Self::File { .. } | Self::Timer { .. } => {
                rest.rsplit_once('/').is_some_and(|(product, _)| product == event.product_id)
            }
        }
    }

    /// The cause in a record's header.
    pub fn of(record: &Record) -> Option<Self> {
        record.headers.get_str("kartshoppe-cause").and_then(Self::parse)
    }
}

impl fmt::Display for OutputCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Update { partition, offset, index } => write!(f, "product-updates/{partition}/{offset}/{index}"),
            Self::Order { partition, offset, index } => write!(f, "order-events/{partition}/{offset}/{index}"),
            Self::File { index } => write!(f, "file/{index}"),
            Self::Timer { deadline_ms } => write!(f, "timer/{deadline_ms}"),
        }
    }
}

/// The fields of an inventory event that the ledger needs. Prices in cents.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub product_id: String,
    pub event_type: String,
    pub event_id: Option<String>,
    pub previous_inventory: Option<i64>,
    pub current_inventory: i64,
    #[serde(default, deserialize_with = "cents")]
    pub previous_price: Option<i64>,
    #[serde(default, deserialize_with = "cents")]
    pub current_price: Option<i64>,
    pub alert_level: Option<String>,
    pub inventory_change: Option<i64>,
    pub life: Option<i64>,
    pub version: Option<u64>,
    pub order_id: Option<String>,
    pub order_item_id: Option<String>,
    pub quantity: Option<i64>,
    pub allocated: Option<i64>,
    pub shortfall: Option<i64>,
}

/// The fields of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertRecord {
    pub alert_type: String,
    pub product_id: String,
    pub message: String,
    pub severity: String,
}

/// An order item that is valid by the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItemEvent {
    pub order_id: String,
    pub order_item_id: Option<String>,
    pub product_id: String,
    pub quantity: i64,
    pub expires_at: Option<i64>,
    pub probe: bool,
    pub source: Option<String>,
}

/// Reads an order event by the contract's rules; `None` is a dead letter.
pub fn order_item(value: &[u8]) -> Option<OrderItemEvent> {
    let body: Value = serde_json::from_slice(value).ok()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let probe = body.get("probe").and_then(Value::as_bool).unwrap_or(false);
    let quantity = body.get("quantity")?.as_i64()?;
    let item = OrderItemEvent {
        order_id: text("orderId")?,
        order_item_id: text("orderItemId"),
        product_id: text("productId")?,
        quantity,
        expires_at: body.get("expiresAt").and_then(Value::as_i64),
        probe,
        source: text("source"),
    };
    let sound = !item.order_id.is_empty() && !item.product_id.is_empty() && (quantity >= 1 || probe && quantity == 0);
    sound.then_some(item)
}

/// One element of a `product-updates` record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// A product of the catalogue: id, stock, price in cents, and a fingerprint of all other fields.
    Upsert {
        product_id: String,
        stock: i64,
        price: i64,
        details: u64,
    },
    Remove {
        product_id: String,
    },
    /// Not a product: must be a dead letter.
    Unusable,
}

/// Decodes a `product-updates` record element by element.
pub fn updates(record: &Record) -> Vec<Update> {
    let key = record.key.as_ref().and_then(|key| std::str::from_utf8(key).ok());
    let Some(value) = &record.value else {
        return vec![
            key.filter(|key| !key.is_empty()).map_or(Update::Unusable, |key| Update::Remove { product_id: key.to_owned() }),
        ];
    };
    match serde_json::from_slice(value) {
        Ok(Value::Array(items)) => items.iter().map(upsert).collect(),
        Ok(item) => vec![upsert(&item)],
        Err(_) => vec![Update::Unusable],
    }
}

fn upsert(item: &Value) -> Update {
    let read = || {
        let product_id = item.get("productId")?.as_str().filter(|id| !id.is_empty())?;
        item.get("name")?.as_str()?;
        let stock = item.get("inventory")?.as_i64().filter(|stock| *stock >= 0)?;
        let price = item.get("price")?.as_f64().filter(|price| *price >= 0.0)?;
        Some(Update::Upsert { product_id: product_id.to_owned(), stock, price: to_cents(price)?, details: details_of(item) })
    };
    read().unwrap_or(Update::Unusable)
}

/// A fingerprint of name, description, category, brand, picture, tags, rating and review count.
pub fn details_of(item: &Value) -> u64 {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |name: &str| item.get(name).and_then(Value::as_f64).unwrap_or_default().to_bits();
    let tags: Vec<_> = item.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let texts = ["name", "description", "category", "brand", "imageUrl"].map(text);
    fingerprint(&(texts, tags, number("rating"), number("reviewCount")))
}

/// A 64-bit fingerprint, the same in every run.
pub fn fingerprint(value: &impl std::hash::Hash) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

/// A wire amount in cents; `None` if it is not a valid amount.
pub fn to_cents(amount: f64) -> Option<i64> {
    let cents = (amount * 100.0).round();
    #[expect(clippy::cast_possible_truncation, reason = "checked to be far inside")]
    (cents.is_finite() && cents.abs() < 1e15).then_some(cents as i64)
}

fn cents<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let amount = Option::<f64>::deserialize(deserializer)?;
    Ok(amount.and_then(to_cents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_causes_and_refuses_the_rest() {
        assert_eq!(
            OutputCause::parse("order-events/2/1234/0"),
            Some(OutputCause::Order { partition: 2, offset: 1234, index: 0 })
        );
        assert_eq!(OutputCause::parse("product-updates/0/7/3"), Some(OutputCause::Update { partition: 0, offset: 7, index: 3 }));
        assert_eq!(OutputCause::parse("timer/99"), Some(OutputCause::Timer { deadline_ms: 99 }));
        for bad in ["", "file", "file/x", "order-events/1/2", "timer/1/2", "else/1"] {
            assert_eq!(OutputCause::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_order_item_is_what_the_contract_says() {
        let read = |text: &str| order_item(text.as_bytes());
        assert!(read(r#"{"orderId":"o","productId":"p","quantity":1}"#).is_some());
        assert!(read(r#"{"orderId":"o","productId":"p","quantity":0,"probe":true}"#).is_some());
        for bad in [
            r#"{"orderId":"o","productId":"p","quantity":0}"#,
            r#"{"orderId":"o","productId":"p","quantity":"1"}"#,
            r#"{"orderId":"o","productId":"p","quantity":1.5}"#,
            r#"{"orderId":"","productId":"p","quantity":1}"#,
            "[]",
            "not json",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
