//! The platform's envelope around tracked events, carts and frames: always all six fields, `key` and `toUserId` may be null.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::invalid::Invalid;
use super::json;
use crate::domain::EpochMs;

/// What KartShoppe puts into envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnvelopeType {
    EcommerceEvent,
    ShoppingCart,
    OrderUpdate,
    ProductUpdate,
    ProductCacheSync,
    Recommendation,
    /// Ours, and only to pages that asked for `kartshoppe.v1`.
    Heartbeat,
}

impl EnvelopeType {
    /// Every type.
    pub const ALL: [Self; 7] = [
        Self::EcommerceEvent,
        Self::ShoppingCart,
        Self::OrderUpdate,
        Self::ProductUpdate,
        Self::ProductCacheSync,
        Self::Recommendation,
        Self::Heartbeat,
    ];

    /// As the wire writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcommerceEvent => "ECOMMERCE_EVENT",
            Self::ShoppingCart => "SHOPPING_CART",
            Self::OrderUpdate => "ORDER_UPDATE",
            Self::ProductUpdate => "PRODUCT_UPDATE",
            Self::ProductCacheSync => "PRODUCT_CACHE_SYNC",
            Self::Recommendation => "RECOMMENDATION",
            Self::Heartbeat => "HEARTBEAT",
        }
    }
}

/// One envelope, to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<'a, P> {
    pub uuid: &'a str,
    pub timestamp: EpochMs,
    pub key: Option<&'a str>,
    pub to_user_id: Option<&'a str>,
    #[serde(serialize_with = "type_name")]
    pub event_type: EnvelopeType,
    pub payload: P,
}

impl<P: Serialize> Envelope<'_, P> {
    /// The envelope's JSON: one text message, or one record's value.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        json::to_bytes(self)
    }
}

fn type_name<S: serde::Serializer>(kind: &EnvelopeType, json: S) -> Result<S::Ok, S::Error> {
    json.serialize_str(kind.as_str())
}

/// One envelope, as it was read. `payload` depends on `eventType`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
#[ts(rename = "Envelope")]
#[schema(as = Envelope)]
pub struct OpenEnvelope {
    pub uuid: String,
    pub timestamp: EpochMs,
    #[schema(required = true)]
    pub key: Option<String>,
    #[schema(required = true)]
    pub to_user_id: Option<String>,
    pub event_type: String,
    #[ts(type = "unknown")]
    #[schema(value_type = Object)]
    pub payload: serde_json::Value,
}

impl OpenEnvelope {
    /// Reads an envelope.
    ///
    /// # Errors
    /// [`Invalid`] if it is not a JSON object with these fields.
    pub fn decode(value: &[u8]) -> Result<Self, Invalid> {
        json::from_slice(value)
    }
}

/// An envelope's id that is the same for the same thing on every replay: made of the id of the event that it carries.
#[must_use]
pub fn uuid_of(event_id: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, event_id.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_six_fields_are_always_there() {
        let uuid = uuid_of("order-events/2/1234/0/0");
        let envelope = Envelope {
            uuid: &uuid,
            timestamp: 1_732_500_000_000,
            key: None,
            to_user_id: None,
            event_type: EnvelopeType::ProductCacheSync,
            payload: serde_json::json!({"products": []}),
        };
        insta::assert_snapshot!(String::from_utf8_lossy(&envelope.to_json()), @r#"{"uuid":"42c572dd-08fd-527a-b527-e31ed02511fb","timestamp":1732500000000,"key":null,"toUserId":null,"eventType":"PRODUCT_CACHE_SYNC","payload":{"products":[]}}"#);
        let read = OpenEnvelope::decode(&envelope.to_json()).unwrap();
        assert_eq!((read.event_type.as_str(), read.key), ("PRODUCT_CACHE_SYNC", None));
    }
}
