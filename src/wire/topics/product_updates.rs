//! What a record of `product-updates` asks for: one product, an array of products, or a removal.
//!
//! A record is one position; the elements of an array are its indexes, from 0. A broken element is refused by itself, with its
//! index and its own bytes, and the others count: a dead letter that is repaired and sent again then touches that product only,
//! where the whole array would set the stock of all others back. An array that is not JSON, or text that is no UTF-8, is refused
//! whole, as index 0. An empty array asks for nothing.
//!
//! A key decides the partition and so the owner: an element of another product than its key is refused. Without a key (none or
//! an empty one) each element stands for itself; the source writes it again to its partition where it lies in the wrong one.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::domain::ids::ProductId;
use crate::domain::inventory::Command;
use crate::domain::product::Product;
use crate::wire::invalid::{Invalid, shortened};
use crate::wire::json;
use crate::wire::product;
use crate::wire::topics::record::Record;

/// One thing that a record asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Its place in an array record, from 0.
    pub index: u32,
    /// The element's own bytes; `None` if it is the whole record.
    pub part: Option<Bytes>,
    pub decoded: Result<ProductCommand, Invalid>,
}

/// A command with the product it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductCommand {
    pub product_id: ProductId,
    pub command: Command,
}

/// Reads a record of `product-updates`.
#[must_use]
pub fn decode(record: &Record) -> Vec<Element> {
    let key = record.key.as_deref().filter(|key| !key.is_empty());
    let Some(value) = &record.value else {
        return vec![Element { index: 0, part: None, decoded: removal(key) }];
    };
    if !is_array(value) {
        let decoded = product::decode(value).and_then(|product| upsert(product, key));
        return vec![Element { index: 0, part: None, decoded }];
    }
    match parts(value) {
        Ok(parts) => (0..).zip(parts).map(|(index, part)| element(value, index, part, key)).collect(),
        Err(invalid) => vec![Element { index: 0, part: None, decoded: Err(invalid) }],
    }
}

/// Reads an array of products, as the bootstrap file holds it: each with its place.
///
/// # Errors
/// [`Invalid`] if the whole is not a JSON array; each element has its own besides.
pub fn decode_list(json: &[u8]) -> Result<Vec<Result<Product, Invalid>>, Invalid> {
    let read = |part: &RawValue| {
        let product = product::decode(part.get().as_bytes())?;
        product::check_visible(&product)?;
        Ok(product)
    };
    Ok(parts(json)?.into_iter().map(read).collect())
}

fn parts(json: &[u8]) -> Result<Vec<&RawValue>, Invalid> {
    json::from_slice(json)
}

fn is_array(value: &[u8]) -> bool {
    value.trim_ascii_start().first() == Some(&b'[')
}

fn element(record: &Bytes, index: u32, part: &RawValue, key: Option<&[u8]>) -> Element {
    let json = part.get().as_bytes();
    let decoded = product::decode(json).and_then(|product| upsert(product, key));
    Element { index, part: Some(record.slice_ref(json)), decoded }
}

fn upsert(product: Product, key: Option<&[u8]>) -> Result<ProductCommand, Invalid> {
    check_key(key, &product.id)?;
    product::check_visible(&product)?;
    Ok(ProductCommand { product_id: product.id.clone(), command: Command::Upsert(product) })
}

fn removal(key: Option<&[u8]>) -> Result<ProductCommand, Invalid> {
    let key = key.ok_or(Invalid::KeylessTombstone)?;
    let text =
        std::str::from_utf8(key).map_err(|error| Invalid::Malformed { reason: format!("the key is not UTF-8: {error}") })?;
    Ok(ProductCommand { product_id: ProductId::new(text)?, command: Command::Remove })
}

/// Refuses a key that names another product than the value.
pub(super) fn check_key(key: Option<&[u8]>, product_id: &ProductId) -> Result<(), Invalid> {
    match key {
        Some(key) if key != product_id.as_str().as_bytes() => {
            Err(Invalid::KeyMismatch { key: shortened(&String::from_utf8_lossy(key)), product_id: product_id.to_string() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::topics::Topic;
    use crate::wire::topics::record::Headers;

    const MUG: &str = r#"{"productId":"MUG","name":"Mug","price":9.5,"inventory":3}"#;
    const POT: &str = r#"{"productId":"POT","name":"Pot","price":29.5,"inventory":0}"#;

    fn record(key: Option<&str>, value: Option<&str>) -> Record {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let (key, value) = (key.map(bytes), value.map(bytes));
        Record { topic: Topic::ProductUpdates, partition: 1, offset: 7, append_time_ms: 5, key, value, headers: Headers::none() }
    }

    /// What was decoded, in short: index, `+` product, `-` product or `!` kind of refusal.
    fn short_of(key: Option<&str>, value: Option<&str>) -> Vec<String> {
        let short = |element: Element| match element.decoded {
            Ok(ProductCommand { product_id, command: Command::Upsert(_) }) => format!("{}+{product_id}", element.index),
            Ok(ProductCommand { product_id, .. }) => format!("{}-{product_id}", element.index),
            Err(invalid) => format!("{}!{}", element.index, invalid.kind()),
        };
        decode(&record(key, value)).into_iter().map(short).collect()
    }

    #[test]
    fn one_product_an_array_or_a_removal() {
        assert_eq!(short_of(Some("MUG"), Some(MUG)), ["0+MUG"]);
        assert_eq!(short_of(None, Some(MUG)), ["0+MUG"]);
        assert_eq!(short_of(Some(""), Some(MUG)), ["0+MUG"]);
        assert_eq!(short_of(None, Some(&format!(" [{MUG},\n{POT}]"))), ["0+MUG", "1+POT"]);
        assert_eq!(short_of(None, Some("[]")), [""; 0]);
        assert_eq!(short_of(Some("MUG"), None), ["0-MUG"]);
    }

    #[test]
    fn a_broken_element_is_refused_by_itself_with_its_own_bytes() {
        let value = format!(r#"[{MUG}, {{"productId":"BAD"}}, [1], {POT}]"#);
        assert_eq!(short_of(None, Some(&value)), ["0+MUG", "1!MalformedJson", "2!MalformedJson", "3+POT"]);
        let elements = decode(&record(None, Some(&value)));
        assert_eq!(elements[1].part.as_deref(), Some(br#"{"productId":"BAD"}"#.as_slice()));
        assert_eq!(elements[3].part.as_deref(), Some(POT.as_bytes()));
        assert_eq!(elements[1].decoded.as_ref().unwrap_err().to_string(), "name is missing at line 1 column 19");
    }

    #[test]
    fn keys_must_name_the_product() {
        assert_eq!(short_of(Some("POT"), Some(MUG)), ["0!KeyMismatch"]);
        assert_eq!(short_of(Some("POT"), Some(&format!("[{MUG},{POT}]"))), ["0!KeyMismatch", "1+POT"]);
        assert_eq!(short_of(None, None), ["0!KeylessTombstone"]);
        assert_eq!(short_of(Some(&"x".repeat(51)), None), ["0!InvalidValue"]);
        let mut raw = record(None, None);
        raw.key = Some(Bytes::from_static(b"\xff"));
        assert_eq!(decode(&raw)[0].decoded.as_ref().unwrap_err().kind(), "MalformedJson");
    }

    #[test]
    fn a_record_that_is_no_json_is_refused_whole() {
        for value in ["", " ", "{", "[1,", "\u{0}\u{0}\u{0}\u{0}\u{1}avro", "\"text\"", "null"] {
            assert_eq!(short_of(Some("MUG"), Some(value)), ["0!MalformedJson"], "{value}");
        }
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(short_of(None, Some(&deep)), ["0!MalformedJson"]);
    }

    #[test]
    fn a_list_says_which_product_is_broken() {
        let list = decode_list(format!("[{MUG},7]").as_bytes()).unwrap();
        assert!(list[0].is_ok() && list[1].is_err());
        assert!(decode_list(b"{}").is_err());
    }
}
