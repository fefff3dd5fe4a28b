//! The frames that pages receive: one text message, one envelope.
//!
//! `PRODUCT_UPDATE` also goes to `websocket_fanout`, for other consumers. A frame is made once and shared by all pages.

use bytes::Bytes;
use serde::{Serialize, Serializer};
use ts_rs::TS;
use utoipa::ToSchema;

use super::cart::Cart;
use super::history::ProductChange;
use super::order::Order;
use super::recommendation::Recommendation;
use super::status::Status;
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::domain::inventory::Cause;
use crate::telemetry::context::TraceContext;
use crate::wire::envelope::{Envelope, EnvelopeType};
use crate::wire::product::ProductBody;
use crate::wire::topics::Topic;
use crate::wire::topics::output;
use crate::wire::topics::record::NewRecord;

/// Payload of a `PRODUCT_UPDATE` frame: one whole product, what changed, and the trace of the cause.
/// A removed product is sent as its last state with inventory 0.
#[derive(Debug, Clone, PartialEq, Serialize, TS, ToSchema)]
pub struct ProductUpdate<'a> {
    #[serde(flatten)]
    pub product: ProductBody<'a>,
    #[schema(required = true)]
    pub change: Option<ProductChange<'a>>,
    #[serde(serialize_with = "traceparent")]
    #[ts(type = "string | null")]
    #[schema(value_type = Option<String>, required = true)]
    pub traceparent: Option<TraceContext>,
}

fn traceparent<S: Serializer>(trace: &Option<TraceContext>, json: S) -> Result<S::Ok, S::Error> {
    match trace {
        Some(trace) => json.collect_str(trace),
        None => json.serialize_none(),
    }
}

impl ProductUpdate<'_> {
    /// The frame. `uuid` names the change: [`crate::wire::envelope::uuid_of`] its event.
    #[must_use]
    pub fn frame(&self, uuid: &str, at_ms: EpochMs) -> Bytes {
        let key = Some(self.product.product.product_id);
        Envelope { uuid, timestamp: at_ms, key, to_user_id: None, event_type: EnvelopeType::ProductUpdate, payload: self }
            .to_json()
    }

    /// The record of `websocket_fanout` with this frame, in the trace of the update.
    #[must_use]
    pub fn record(&self, product_id: &ProductId, uuid: &str, at_ms: EpochMs, cause: &Cause) -> NewRecord {
        NewRecord {
            topic: Topic::WebsocketFanout,
            partition: None,
            key: Some(output::key(product_id)),
            value: Some(self.frame(uuid, at_ms)),
            headers: output::output_headers(cause, self.traceparent.as_ref()),
        }
    }
}

/// Payload of a `PRODUCT_CACHE_SYNC` frame: the whole catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS, ToSchema)]
pub struct ProductCacheSync<'a> {
    pub products: &'a [ProductBody<'a>],
}

/// Payload of a `HEARTBEAT` frame: where to resume, what runs, and whether the page must read REST again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, ToSchema)]
pub struct Heartbeat {
    /// Null while there is nothing to resume from.
    #[schema(required = true)]
    pub cursor: Option<String>,
    #[schema(required = true)]
    pub status: Option<Status>,
    pub reload: bool,
}

/// A frame for one page or session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Frame<'a> {
    ProductCacheSync(ProductCacheSync<'a>),
    ShoppingCart(&'a Cart),
    OrderUpdate(&'a Order),
    Recommendation(&'a Recommendation),
    Heartbeat(&'a Heartbeat),
}

impl Frame<'_> {
    /// The text message.
    #[must_use]
    pub fn to_json(&self, uuid: &str, at_ms: EpochMs) -> Bytes {
        match self {
            Self::ProductCacheSync(sync) => envelope(EnvelopeType::ProductCacheSync, None, None, sync, uuid, at_ms),
            Self::ShoppingCart(cart) => {
                envelope(EnvelopeType::ShoppingCart, Some(&cart.session_id), Some(&cart.user_id), cart, uuid, at_ms)
            }
            Self::OrderUpdate(order) => {
                envelope(EnvelopeType::OrderUpdate, Some(&order.order_id), Some(&order.user_id), order, uuid, at_ms)
            }
            Self::Recommendation(recommendation) => {
                envelope(EnvelopeType::Recommendation, None, Some(&recommendation.user_id), recommendation, uuid, at_ms)
            }
            Self::Heartbeat(heartbeat) => envelope(EnvelopeType::Heartbeat, None, None, heartbeat, uuid, at_ms),
        }
    }
}

fn envelope<'a>(
    event_type: EnvelopeType,
    key: Option<&'a str>,
    to_user_id: Option<&'a str>,
    payload: &impl Serialize,
    uuid: &'a str,
    timestamp: EpochMs,
) -> Bytes {
    Envelope { uuid, timestamp, key, to_user_id, event_type, payload }.to_json()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::product::Revision;
    use crate::wire::money::Money;
    use crate::wire::pages::status::{CatalogState, RunState};
    use crate::wire::product;

    #[test]
    fn a_product_update_is_one_whole_product_with_its_change() {
        let mug = product::decode(br#"{"productId":"MUG","name":"Mug","price":9.5,"inventory":3}"#).unwrap();
        let change = ProductChange {
            change_type: "INVENTORY_DECREASED",
            previous_inventory: Some(5),
            current_inventory: 3,
            previous_price: None,
            current_price: Some(Money::from(mug.price)),
            order_id: Some("o-1"),
            timestamp: 1,
            life: 0,
            version: 4,
            reason: crate::wire::pages::history::ChangeReason::Order,
        };
        let update = ProductUpdate {
            product: ProductBody::new(&mug, Revision { life: 0, version: 4 }, 2, 1),
            change: Some(change),
            traceparent: TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        };
        insta::assert_snapshot!(String::from_utf8_lossy(&update.frame("u", 1)), @r#"{"uuid":"u","timestamp":1,"key":"MUG","toUserId":null,"eventType":"PRODUCT_UPDATE","payload":{"productId":"MUG","name":"Mug","description":"","category":"","brand":"","price":9.5,"inventory":3,"imageUrl":"","tags":[],"rating":0.0,"reviewCount":0,"life":0,"version":4,"detailsVersion":2,"timestamp":1,"change":{"type":"INVENTORY_DECREASED","previousInventory":5,"currentInventory":3,"previousPrice":null,"currentPrice":9.5,"orderId":"o-1","timestamp":1,"life":0,"version":4,"reason":"order"},"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}"#);
        let bare = ProductUpdate { change: None, traceparent: None, ..update };
        insta::assert_snapshot!(String::from_utf8_lossy(&bare.frame("u", 1)), @r#"{"uuid":"u","timestamp":1,"key":"MUG","toUserId":null,"eventType":"PRODUCT_UPDATE","payload":{"productId":"MUG","name":"Mug","description":"","category":"","brand":"","price":9.5,"inventory":3,"imageUrl":"","tags":[],"rating":0.0,"reviewCount":0,"life":0,"version":4,"detailsVersion":2,"timestamp":1,"change":null,"traceparent":null}}"#);
        let record = update.record(&mug.id, "u", 1, &Cause::File { index: 0 });
        assert_eq!((record.topic, record.key.as_deref()), (Topic::WebsocketFanout, Some(b"MUG".as_slice())));
        assert_eq!(output::trace_of(&record.headers), update.traceparent);
        let sync = Frame::ProductCacheSync(ProductCacheSync { products: &[update.product] });
        insta::assert_snapshot!(String::from_utf8_lossy(&sync.to_json("u", 1)), @r#"{"uuid":"u","timestamp":1,"key":null,"toUserId":null,"eventType":"PRODUCT_CACHE_SYNC","payload":{"products":[{"productId":"MUG","name":"Mug","description":"","category":"","brand":"","price":9.5,"inventory":3,"imageUrl":"","tags":[],"rating":0.0,"reviewCount":0,"life":0,"version":4,"detailsVersion":2,"timestamp":1}]}}"#);
    }

    #[test]
    fn the_other_frames_are_those_of_rest() {
        let status = Status {
            inventory: RunState::Running,
            cdc: RunState::Unknown,
            since: Some(5),
            catalog: CatalogState::Live,
            tracing: false,
            browser_tracing: false,
            low_stock: 9,
        };
        let heartbeat = Heartbeat { cursor: Some("c".to_owned()), status: Some(status), reload: false };
        insta::assert_snapshot!(String::from_utf8_lossy(&Frame::Heartbeat(&heartbeat).to_json("u", 1)), @r#"{"uuid":"u","timestamp":1,"key":null,"toUserId":null,"eventType":"HEARTBEAT","payload":{"cursor":"c","status":{"inventory":"running","cdc":"unknown","since":5,"catalog":"live","tracing":false,"browserTracing":false,"lowStock":9},"reload":false}}"#);
        let cart = crate::wire::pages::cart::tests::cart();
        insta::assert_snapshot!(String::from_utf8_lossy(&Frame::ShoppingCart(&cart).to_json("u", 1)), @r#"{"uuid":"u","timestamp":1,"key":"s-1","toUserId":"guest","eventType":"SHOPPING_CART","payload":{"cartId":"c-1","sessionId":"s-1","userId":"guest","items":[{"productId":"MUG","productName":"Mug","price":9.5,"quantity":2,"subtotal":19.0,"imageUrl":"/api/ecommerce/product/MUG/image","addedAt":1732500000000,"available":true}],"totalAmount":19.0,"createdAt":1732500000000,"updatedAt":1732500000001,"status":"ACTIVE","quote":{"subtotal":19.0,"tax":1.52,"shipping":5.99,"totalAmount":26.51}}}"#);
        let order = crate::wire::pages::order::tests::order();
        insta::assert_snapshot!(String::from_utf8_lossy(&Frame::OrderUpdate(&order).to_json("u", 1)), @r#"{"uuid":"u","timestamp":1,"key":"o-1","toUserId":"guest","eventType":"ORDER_UPDATE","payload":{"orderId":"o-1","userId":"guest","sessionId":"s-1","items":[{"orderItemId":"i-1","productId":"MUG","productName":"Mug","price":9.5,"quantity":2,"subtotal":19.0,"payable":19.0,"imageUrl":"","addedAt":4,"allocated":null,"shortfall":null,"settledAt":null},{"orderItemId":"i-1","productId":"MUG","productName":"Mug","price":9.5,"quantity":2,"subtotal":19.0,"payable":9.5,"imageUrl":"","addedAt":4,"allocated":1,"shortfall":1,"settledAt":2}],"subtotal":38.0,"tax":3.04,"shipping":5.99,"totalAmount":47.03,"payable":{"subtotal":28.5,"tax":2.28,"shipping":5.99,"totalAmount":36.77},"status":"BACKORDERED","shippingAddress":null,"paymentInfo":{"paymentMethod":"CARD"},"createdAt":1,"updatedAt":2,"timestamp":3,"useCdc":false,"timeline":[{"step":"placed","at":1,"clock":"database"}],"traceUrl":null}}"#);
    }
}
