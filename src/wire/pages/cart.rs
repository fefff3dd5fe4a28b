//! The cart, as REST answers it, pages receive it and `shopping-cart-events` carries it.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use crate::domain::EpochMs;
use crate::domain::order::Totals;
use crate::telemetry::context::TraceContext;
use crate::wire::envelope::{Envelope, EnvelopeType};
use crate::wire::money::Money;
use crate::wire::topics::Topic;
use crate::wire::topics::output;
use crate::wire::topics::record::{Headers, NewRecord};

/// Status of a cart that can be added to; the only one that a client meets.
pub const ACTIVE: &str = "ACTIVE";

/// A session's cart. An unknown session has an empty one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cart {
    pub cart_id: String,
    pub session_id: String,
    pub user_id: String,
    pub items: Vec<CartItem>,
    /// Sum of the items, without tax and shipping.
    pub total_amount: Money,
    pub created_at: EpochMs,
    pub updated_at: EpochMs,
    /// `ACTIVE`.
    pub status: String,
    pub quote: Quote,
}

/// One line of a cart: one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CartItem {
    pub product_id: String,
    pub product_name: String,
    /// The catalogue's, never the client's.
    pub price: Money,
    pub quantity: i64,
    pub subtotal: Money,
    pub image_url: String,
    pub added_at: EpochMs,
    /// Whether the catalogue still has the product. If not, the line shows it as it was when it was added and counts in no total.
    pub available: bool,
}

/// The server's totals for a cart as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    pub subtotal: Money,
    pub tax: Money,
    pub shipping: Money,
    pub total_amount: Money,
}

impl From<Totals> for Quote {
    fn from(totals: Totals) -> Self {
        let Totals { subtotal, tax, shipping, total } = totals;
        Self { subtotal: subtotal.into(), tax: tax.into(), shipping: shipping.into(), total_amount: total.into() }
    }
}

/// `POST /cart/{sessionId}/add`. Adding a product that is in the cart adds up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CartAdd {
    pub product_id: String,
    #[serde(default)]
    #[ts(optional)]
    pub user_id: Option<String>,
    /// 1 to 1000; 1 if it is left out.
    #[serde(default)]
    #[ts(optional)]
    pub quantity: Option<i64>,
}

/// `PUT /cart/{sessionId}/items/{productId}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CartSet {
    /// The line's quantity from now on; 0 or less removes it.
    pub quantity: i64,
    #[serde(default)]
    #[ts(optional)]
    pub user_id: Option<String>,
}

impl Cart {
    /// The record of `shopping-cart-events`, keyed by its session.
    #[must_use]
    pub fn record(&self, uuid: &str, at_ms: EpochMs, trace: Option<&TraceContext>) -> NewRecord {
        let (key, to_user_id) = (Some(self.session_id.as_str()), Some(self.user_id.as_str()));
        let envelope =
            Envelope { uuid, timestamp: at_ms, key, to_user_id, event_type: EnvelopeType::ShoppingCart, payload: self };
        let mut headers = Headers::none();
        output::push_trace(&mut headers, trace);
        NewRecord {
            topic: Topic::ShoppingCartEvents,
            partition: None,
            key: Some(bytes::Bytes::copy_from_slice(self.session_id.as_bytes())),
            value: Some(envelope.to_json()),
            headers,
        }
    }
}

#[cfg(test)]
pub(in crate::wire) mod tests {
    use super::*;
    use crate::domain::money::Cents;
    use crate::wire::envelope::OpenEnvelope;

    pub(in crate::wire) fn cart() -> Cart {
        let cents = |cents| Cents::new(cents).unwrap();
        let item = CartItem {
            product_id: "MUG".to_owned(),
            product_name: "Mug".to_owned(),
            price: cents(950).into(),
            quantity: 2,
            subtotal: cents(1900).into(),
            image_url: "/api/ecommerce/product/MUG/image".to_owned(),
            added_at: 1_732_500_000_000,
            available: true,
        };
        Cart {
            cart_id: "c-1".to_owned(),
            session_id: "s-1".to_owned(),
            user_id: "guest".to_owned(),
            items: vec![item],
            total_amount: cents(1900).into(),
            created_at: 1_732_500_000_000,
            updated_at: 1_732_500_000_001,
            status: ACTIVE.to_owned(),
            quote: Totals::of(cents(1900)).unwrap().into(),
        }
    }

    #[test]
    fn a_cart_is_written_as_the_contract_says_and_read_back() {
        insta::assert_snapshot!(serde_json::to_string(&cart()).unwrap(), @r#"{"cartId":"c-1","sessionId":"s-1","userId":"guest","items":[{"productId":"MUG","productName":"Mug","price":9.5,"quantity":2,"subtotal":19.0,"imageUrl":"/api/ecommerce/product/MUG/image","addedAt":1732500000000,"available":true}],"totalAmount":19.0,"createdAt":1732500000000,"updatedAt":1732500000001,"status":"ACTIVE","quote":{"subtotal":19.0,"tax":1.52,"shipping":5.99,"totalAmount":26.51}}"#);
        let record = cart().record("u", 7, None);
        assert_eq!((record.topic, record.key.as_deref()), (Topic::ShoppingCartEvents, Some(b"s-1".as_slice())));
        let envelope = OpenEnvelope::decode(&record.value.unwrap()).unwrap();
        assert_eq!(envelope.event_type, "SHOPPING_CART");
        assert_eq!(serde_json::from_value::<Cart>(envelope.payload).unwrap(), cart());
    }

    #[test]
    fn adding_needs_a_product_and_takes_the_rest_as_it_comes() {
        let add = |json: &str| serde_json::from_str::<CartAdd>(json);
        let least = add(r#"{"productId":"MUG","price":0.01}"#).unwrap();
        assert_eq!(least, CartAdd { product_id: "MUG".to_owned(), user_id: None, quantity: None });
        for bad in [
            "{}",
            r#"{"productId":7}"#,
            r#"{"productId":"M","quantity":1.5}"#,
            r#"{"productId":"M","quantity":"1"}"#,
            r#"{"productId":"M","quantity":1,"quantity":2}"#,
        ] {
            assert!(add(bad).is_err(), "{bad}");
        }
    }
}
