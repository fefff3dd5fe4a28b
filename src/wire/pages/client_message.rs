//! What a page may say over its socket. Anything else is ignored and counted; the socket stays open and the cart unchanged.

use serde_json::value::RawValue;

use crate::domain::ids::{InvalidValue, ProductId};
use crate::wire::invalid::Invalid;
use crate::wire::json::RawObject;

/// Most units of one product in a cart line.
pub const CART_QUANTITY_MAX: i64 = 1000;

/// One message of a page.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientMessage {
    Cart(CartChange),
    /// A tracked user event: a JSON object as it was written, without `type` where that stood beside its fields.
    Event(String),
    GetRecommendations,
}

/// A change of the session's cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CartChange {
    /// Adds up; 1 to 1000 units.
    Add {
        product_id: ProductId,
        quantity: i64,
    },
    Remove {
        product_id: ProductId,
    },
    /// Absolute; 1 to 1000 units.
    SetQuantity {
        product_id: ProductId,
        quantity: i64,
    },
    Clear,
}

/// Why a message is ignored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// No JSON object, or a field of the wrong type.
    #[error(transparent)]
    Malformed(#[from] Invalid),
    /// A type that pages do not send, as of a server's frame sent back.
    #[error("unknown message type or cart action")]
    Unknown,
    /// An id or a quantity that no cart takes.
    #[error(transparent)]
    Value(#[from] InvalidValue),
}

/// Reads a text message. Fields stand beside `type` or in `payload`.
///
/// # Errors
/// [`Ignored`] with the reason, for the count and the log.
pub fn decode(text: &str) -> Result<ClientMessage, Ignored> {
    let message = RawObject::parse(text)?;
    match message.text("type").as_deref() {
        Some("CART_UPDATE") => cart_change(&message).map(ClientMessage::Cart),
        Some("EVENT") => Ok(ClientMessage::Event(match payload(&message) {
            Some(payload) => payload.to_owned(),
            None => message.with(&[("type", None)]),
        })),
        Some("GET_RECOMMENDATIONS") => Ok(ClientMessage::GetRecommendations),
        _ => Err(Ignored::Unknown),
    }
}

/// The `payload`, if it is an object.
fn payload<'a>(message: &RawObject<'a>) -> Option<&'a str> {
    message.get("payload").map(RawValue::get).filter(|payload| payload.starts_with('{'))
}

fn cart_change(message: &RawObject<'_>) -> Result<CartChange, Ignored> {
    let inner = payload(message).map(RawObject::parse).transpose()?;
    let fields = inner.as_ref().unwrap_or(message);
    let product_id = || -> Result<ProductId, Ignored> {
        let id = fields.text("productId").ok_or_else(|| missing("productId"))?;
        Ok(ProductId::new(&id)?)
    };
    let action = if message.get("action").is_some() { message } else { fields }.text("action");
    match action.as_deref() {
        Some("ADD") => Ok(CartChange::Add { product_id: product_id()?, quantity: added(fields)? }),
        Some("REMOVE") => Ok(CartChange::Remove { product_id: product_id()? }),
        Some("UPDATE_QUANTITY") => {
            let product_id = product_id()?;
            let quantity = integer(fields)?.ok_or_else(|| missing("quantity"))?;
            if quantity <= 0 {
                return Ok(CartChange::Remove { product_id });
            }
            Ok(CartChange::SetQuantity { product_id, quantity: cart_quantity(quantity)? })
        }
        Some("CLEAR") => Ok(CartChange::Clear),
        _ => Err(Ignored::Unknown),
    }
}

fn added(fields: &RawObject<'_>) -> Result<i64, Ignored> {
    Ok(cart_quantity(integer(fields)?.unwrap_or(1))?)
}

/// Checks the units of a cart line, as REST and socket take them.
///
/// # Errors
/// [`InvalidValue::OutOfRange`] below 1 and above [`CART_QUANTITY_MAX`].
pub fn cart_quantity(quantity: i64) -> Result<i64, InvalidValue> {
    if (1..=CART_QUANTITY_MAX).contains(&quantity) {
        return Ok(quantity);
    }
    Err(InvalidValue::OutOfRange { field: "quantity", value: quantity.to_string(), expected: "an integer from 1 to 1000" })
}

fn integer(fields: &RawObject<'_>) -> Result<Option<i64>, Ignored> {
    match fields.get("quantity").map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(value) => value.parse().map(Some).map_err(|_| malformed(format!("quantity is {value}, expected an integer"))),
    }
}

fn missing(field: &str) -> Ignored {
    malformed(format!("{field} is missing"))
}

fn malformed(reason: String) -> Ignored {
    Ignored::Malformed(Invalid::Malformed { reason: crate::wire::invalid::shortened(&reason) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cart(action: &str, payload: &str) -> Result<ClientMessage, Ignored> {
        decode(&format!(r#"{{"type":"CART_UPDATE","action":"{action}","payload":{payload}}}"#))
    }

    #[test]
    fn the_carts_changes() {
        let product_id = ProductId::new("MUG").unwrap();
        let change = |change| Ok(ClientMessage::Cart(change));
        let full = r#"{"productId":"MUG","quantity":3,"productName":"x","price":0.01,"imageUrl":"http://x"}"#;
        assert_eq!(cart("ADD", full), change(CartChange::Add { product_id: product_id.clone(), quantity: 3 }));
        assert_eq!(
            cart("ADD", r#"{"productId":"MUG"}"#),
            change(CartChange::Add { product_id: product_id.clone(), quantity: 1 })
        );
        assert_eq!(cart("REMOVE", r#"{"productId":"MUG"}"#), change(CartChange::Remove { product_id: product_id.clone() }));
        assert_eq!(
            cart("UPDATE_QUANTITY", full),
            change(CartChange::SetQuantity { product_id: product_id.clone(), quantity: 3 })
        );
        for gone in ["0", "-7"] {
            let payload = format!(r#"{{"productId":"MUG","quantity":{gone}}}"#);
            assert_eq!(cart("UPDATE_QUANTITY", &payload), change(CartChange::Remove { product_id: product_id.clone() }));
        }
        assert_eq!(cart("CLEAR", "null"), change(CartChange::Clear));
        assert_eq!(decode(r#"{"type":"CART_UPDATE","action":"CLEAR"}"#), change(CartChange::Clear));
    }

    #[test]
    fn events_with_their_fields_here_or_there() {
        let beside = decode(r#"{"type":"EVENT","eventType":"PAGE_VIEW","url":"/"}"#).unwrap();
        let inside = decode(r#"{"type":"EVENT","payload":{"eventType":"PAGE_VIEW","url":"/"}}"#).unwrap();
        assert_eq!(beside, inside);
        assert_eq!(beside, ClientMessage::Event(r#"{"eventType":"PAGE_VIEW","url":"/"}"#.to_owned()));
        let odd = r#"{"x":"\ud83d","y":1e400}"#;
        assert_eq!(decode(&format!("{{\"type\":\"EVENT\",\"payload\":{odd}}}")), Ok(ClientMessage::Event(odd.to_owned())));
        assert_eq!(decode(r#"{"type":"GET_RECOMMENDATIONS"}"#), Ok(ClientMessage::GetRecommendations));
    }

    #[test]
    fn anything_else_is_ignored_with_a_reason() {
        let reason = |message: Result<ClientMessage, Ignored>| message.unwrap_err().to_string();
        for quantity in ["1001", "0", "-1"] {
            let payload = format!(r#"{{"productId":"MUG","quantity":{quantity}}}"#);
            assert_eq!(reason(cart("ADD", &payload)), format!("quantity is {quantity}, expected an integer from 1 to 1000"));
        }
        for quantity in ["1.5", "\"2\"", "1e30", "true"] {
            assert!(
                reason(cart("ADD", &format!(r#"{{"productId":"MUG","quantity":{quantity}}}"#))).ends_with("expected an integer")
            );
        }
        assert_eq!(reason(cart("UPDATE_QUANTITY", r#"{"productId":"MUG"}"#)), "quantity is missing");
        assert_eq!(reason(cart("REMOVE", "{}")), "productId is missing");
        assert_eq!(reason(cart("REMOVE", r#"{"productId":""}"#)), "productId is empty");
        assert_eq!(cart("STEAL", "{}"), Err(Ignored::Unknown));
        for unknown in [r#"{"type":"PRODUCT_UPDATE","eventType":"PRODUCT_UPDATE","payload":{}}"#, "{}", r#"{"type":5}"#] {
            assert_eq!(decode(unknown), Err(Ignored::Unknown), "{unknown}");
        }
        for broken in ["", "[]", "null", "{", "\"EVENT\"", &"[".repeat(100_000)] {
            assert!(matches!(decode(broken), Err(Ignored::Malformed(_))));
        }
    }
}
