//! Carts that changed, in this process or another: from `shopping-cart-events` to the session's pages here.

use serde::Deserialize;

use super::hub::Hub;
use super::outbox::FrameSubject;
use crate::log::Record;
use crate::wire::envelope::EnvelopeType;
use crate::wire::pages::websocket;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventType<'a> {
    event_type: &'a str,
}

/// Shows a cart to its session's pages: the record is the envelope that they get. Foreign records on the topic are skipped.
pub fn show(hub: &Hub, record: &Record) {
    let session = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
    let (Some(session), Some(value)) = (session, record.value.as_deref()) else { return };
    if hub.has_session(session)
        && serde_json::from_slice(value).is_ok_and(|event: EventType<'_>| event.event_type == EnvelopeType::ShoppingCart.as_str())
    {
        hub.to_session(session, &FrameSubject::Cart, websocket::encode(websocket::TEXT, value), None);
    }
}
