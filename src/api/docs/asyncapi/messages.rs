//! Which messages travel where, and what they are for.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::KAFKA_BINDING;
use super::schemas::{Schemas, accepted};
use crate::domain::inventory::{EventKind, StockLevel};
use crate::wire::envelope::{EnvelopeType, OpenEnvelope};
use crate::wire::pages::cart::Cart;
use crate::wire::pages::frame::{Heartbeat, ProductCacheSync, ProductUpdate};
use crate::wire::pages::order::Order;
use crate::wire::pages::page_message::{CartUpdate, GetRecommendations, PageEvent};
use crate::wire::pages::recommendation::Recommendation;
use crate::wire::pages::tracked_event::TrackedEvent;
use crate::wire::product::{self, ProductValue};
use crate::wire::samples;
use crate::wire::topics::Topic;
use crate::wire::topics::alert_event::AlertEvent;
use crate::wire::topics::cdc_position::CdcPosition;
use crate::wire::topics::headers::{self, TRACEPARENT, TRACESTATE, dead_letter as dead};
use crate::wire::topics::inventory_event::InventoryEventValue;
use crate::wire::topics::order_event::{self, OrderEventValue};
use crate::wire::topics::record::NewRecord;

/// One message of the document.
pub(super) struct Message {
    pub name: String,
    summary: String,
    payload: Value,
    /// Of a record: what its key is, and which headers it always and sometimes has.
    record: Option<(&'static str, &'static [&'static str], &'static [&'static str])>,
    examples: Vec<Value>,
}

impl Message {
    /// A record with its samples as examples.
    fn record(
        name: &str,
        summary: &str,
        payload: Value,
        key: &'static str,
        always: &'static [&'static str],
        sometimes: &'static [&'static str],
    ) -> Self {
        let samples = samples::records().into_iter().filter(|(message, _)| *message == name);
        let examples = samples.map(|(_, record)| record_example(&record)).collect();
        Self { name: name.to_owned(), summary: summary.to_owned(), payload, record: Some((key, always, sometimes)), examples }
    }

    fn text(name: &str, summary: &str, payload: Value, examples: Vec<Value>) -> Self {
        let examples = examples.into_iter().map(|payload| json!({"payload": payload})).collect();
        Self { name: name.to_owned(), summary: summary.to_owned(), payload, record: None, examples }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut message = json!({"summary": self.summary, "payload": self.payload, "examples": self.examples});
        if let Some((key, always, sometimes)) = self.record {
            let named = |name: &&str| {
                let says = samples::HEADERS.iter().find(|(known, _)| known == name);
                let (_, says) = says.unwrap_or_else(|| panic!("{name} is not described"));
                ((*name).to_owned(), json!({"type": "string", "description": says}))
            };
            let properties: Map<String, Value> = always.iter().chain(sometimes).map(named).collect();
            message["headers"] = json!({"type": "object", "required": always, "properties": properties});
            let key = json!({"type": ["string", "null"], "description": key});
            message["bindings"] = json!({"kafka": {"key": key, "bindingVersion": KAFKA_BINDING}});
        }
        if self.name == "deadLetter" {
            message["contentType"] = json!("application/octet-stream");
        }
        message
    }
}

fn record_example(record: &NewRecord) -> Value {
    let text = |bytes: &Bytes| Value::String(String::from_utf8_lossy(bytes).into_owned());
    let headers: Map<String, Value> = record.headers.0.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let payload = match &record.value {
        None => Value::Null,
        Some(value) => serde_json::from_slice(value).unwrap_or_else(|_| text(value)),
    };
    json!({"headers": headers, "payload": payload})
}

/// What a topic is for.
pub(super) fn purpose(topic: Topic) -> &'static str {
    match topic {
        Topic::ProductUpdates => "Input: what the catalogue says of products.",
        Topic::OrderEvents => "Input: order items that want units.",
        Topic::Products => "The state of each product: the truth of the inventory.",
        Topic::InventoryEvents => "The audit log of every change, and the outcome of every order item.",
        Topic::InventoryAlerts => "Low stock, out of stock and price drops.",
        Topic::WebsocketFanout => "The frames that pages are sent about products, for other consumers.",
        Topic::EcommerceEvents => "What shoppers did on pages.",
        Topic::ShoppingCartEvents => "Every change of a cart.",
        Topic::CdcPositions => "Where the WAL reader goes on.",
        Topic::Health => "Trial writes of a process that has nothing else to write.",
        Topic::DeadLetters => "Input that could not be used, with the reason.",
        Topic::ProcessingFanout
        | Topic::EcommerceProcessingFanout
        | Topic::Recommendations
        | Topic::InventoryUpdates
        | Topic::BasketPatterns
        | Topic::ProductRecommendations => {
            "Of the platform's other programs: made by `kartshoppe topics create --all`, and neither read nor written by the \
             shop."
        }
    }
}

/// What the shop does with a topic.
pub(super) fn actions(topic: Topic) -> &'static [(&'static str, &'static str)] {
    match topic {
        Topic::ProductUpdates => &[("receive", "The inventory applies it.")],
        Topic::OrderEvents => &[
            ("send", "The order publisher, the WAL reader, and the order tracker, which sends probes."),
            ("receive", "The inventory applies it."),
        ],
        Topic::Products => {
            &[("send", "Each change of a product."), ("receive", "Shards restore from it; the catalogue view follows it.")]
        }
        Topic::InventoryEvents => &[
            ("send", "Each change of a product, and each outcome."),
            ("receive", "The order tracker writes outcomes down; the catalogue view takes stock and price."),
        ],
        Topic::InventoryAlerts => {
            &[("send", "In the transaction of the change that raises it."), ("receive", "Shown to operators.")]
        }
        Topic::WebsocketFanout => &[("send", "Each change of a product.")],
        Topic::EcommerceEvents => &[("send", "Dropped and counted beyond `log.tracked_bytes_per_second`.")],
        Topic::ShoppingCartEvents => &[("send", "Dropped and counted beyond `log.tracked_bytes_per_second`.")],
        Topic::CdcPositions => &[("send", "In one transaction with the order items up to it."), ("receive", "At the start.")],
        Topic::Health => {
            &[("send", "After `health.trial_write_after` without another record."), ("receive", "Its own, as an echo.")]
        }
        Topic::DeadLetters => &[("send", "In one transaction with the input position that skips the source.")],
        Topic::ProcessingFanout
        | Topic::EcommerceProcessingFanout
        | Topic::Recommendations
        | Topic::InventoryUpdates
        | Topic::BasketPatterns
        | Topic::ProductRecommendations => &[],
    }
}

const PRODUCT_ID: &str = "productId";
const SESSION_ID: &str = "sessionId; null for an event without one";
const CAUSED: &[&str] = &[headers::CAUSE];
const TRACED: &[&str] = &[TRACEPARENT, TRACESTATE, headers::TRANSACTION];
const DEAD: &[&str] = &[
    headers::CAUSE,
    dead::EXCEPTION,
    dead::MESSAGE,
    dead::STACKTRACE,
    dead::TOPIC,
    dead::PARTITION,
    dead::OFFSET,
    dead::PROCESSOR_NODE_ID,
    dead::TASK_ID,
];

/// The messages of a topic; none for those that the shop neither reads nor writes.
pub(super) fn of_topic(topic: Topic, schemas: &mut Schemas) -> Vec<Message> {
    match topic {
        Topic::ProductUpdates => catalogue(schemas),
        Topic::OrderEvents => {
            let event = schemas.reference::<OrderEventValue<'_>>();
            schemas.change("OrderItemEvent", |written| {
                accepted(written, &samples::whole_order_event(), |value| order_event::decode_value(value).is_ok())
            });
            let summary = "An order item, or a probe of one. Other programs may write it, too.";
            vec![Message::record(
                "orderItem",
                summary,
                event,
                "productId, or null: then it is written again to its partition",
                &[],
                &[TRACEPARENT, TRACESTATE, headers::MOVED_FROM, headers::CAUSE, headers::TRANSACTION],
            )]
        }
        Topic::Products => {
            let state = schemas.reference::<ProductValue<'_>>();
            vec![
                Message::record("state", "A product as it is now.", state, PRODUCT_ID, &[headers::CAUSE, headers::STATE], TRACED),
                Message::record(
                    "stateTombstone",
                    "The product was removed.",
                    json!({"type": "null"}),
                    PRODUCT_ID,
                    CAUSED,
                    &[headers::REVISION, TRACEPARENT, TRACESTATE, headers::TRANSACTION],
                ),
            ]
        }
        Topic::InventoryEvents => {
            let event = schemas.reference::<InventoryEventValue<'_>>();
            schemas.change("InventoryEvent", event_names);
            vec![Message::record("event", "One fact about a product.", event, PRODUCT_ID, CAUSED, TRACED)]
        }
        Topic::InventoryAlerts => {
            let alert = schemas.reference::<AlertEvent>();
            vec![Message::record(
                "alert",
                "Something about a product that people should know.",
                alert,
                PRODUCT_ID,
                CAUSED,
                TRACED,
            )]
        }
        Topic::WebsocketFanout => {
            let update = schemas.reference::<ProductUpdate<'_>>();
            let payload = envelope(schemas, EnvelopeType::ProductUpdate, update);
            vec![Message::record("frame", "The frame of one change.", payload, PRODUCT_ID, CAUSED, TRACED)]
        }
        Topic::EcommerceEvents => {
            // As the page wrote it: any object.
            let event = schemas.reference::<TrackedEvent>();
            let payload = envelope(schemas, EnvelopeType::EcommerceEvent, json!({"anyOf": [event, {"type": "object"}]}));
            let summary = "What a shopper did, as the page wrote it; the shop needs none of its fields.";
            vec![Message::record("trackedEvent", summary, payload, SESSION_ID, &[], &[TRACEPARENT, TRACESTATE])]
        }
        Topic::ShoppingCartEvents => {
            let cart = schemas.reference::<Cart>();
            let payload = envelope(schemas, EnvelopeType::ShoppingCart, cart);
            vec![Message::record(
                "cart",
                "A session's cart after a change.",
                payload,
                "sessionId",
                &[],
                &[TRACEPARENT, TRACESTATE],
            )]
        }
        Topic::CdcPositions => {
            let position = schemas.reference::<CdcPosition>();
            let summary = "Up to where order items are published.";
            vec![Message::record("position", summary, position, "name of the replication slot", &[], &[headers::TRANSACTION])]
        }
        Topic::Health => {
            let empty = json!({"type": "object"});
            vec![Message::record("trialWrite", "An empty object that means nothing.", empty, "name of the process", &[], &[])]
        }
        Topic::DeadLetters => {
            let summary = "Key, value and headers of the source, and why it could not be used.";
            let sometimes: &[&str] = &[headers::CUT_FROM, TRACEPARENT, TRACESTATE, headers::TRANSACTION];
            vec![Message::record("deadLetter", summary, json!({}), "that of the source", DEAD, sometimes)]
        }
        Topic::ProcessingFanout
        | Topic::EcommerceProcessingFanout
        | Topic::Recommendations
        | Topic::InventoryUpdates
        | Topic::BasketPatterns
        | Topic::ProductRecommendations => Vec::new(),
    }
}

fn catalogue(schemas: &mut Schemas) -> Vec<Message> {
    schemas.reference::<ProductValue<'_>>();
    let written = schemas.get("ProductValue").clone();
    let mut read = accepted(written, &samples::whole_product(), |value| product::decode(value).is_ok());
    read["description"] = json!("A product as other programs write it. What is left out or null is empty, or 0.");
    let input = schemas.put("ProductInput", read);
    let product = json!({"oneOf": [input, {"type": "array", "items": input}]});
    let key = "productId, or null: then each element goes to its product's partition";
    let sometimes: &[&str] = &[TRACEPARENT, TRACESTATE, headers::MOVED_FROM, headers::CAUSE, headers::TRANSACTION];
    vec![
        Message::record("product", "A product, or an array of products, as it is from now on.", product, key, &[], sometimes),
        Message::record(
            "productRemoval",
            "The product of the key is removed.",
            json!({"type": "null"}),
            PRODUCT_ID,
            &[],
            sometimes,
        ),
    ]
}

/// The names that the domain gives to events and levels.
fn event_names(mut schema: Value) -> Value {
    let kinds = EventKind::ALL.map(EventKind::as_str);
    let levels = [StockLevel::Normal, StockLevel::Warning, StockLevel::Critical, StockLevel::Out].map(StockLevel::alert_level);
    schema["properties"]["eventType"]["enum"] = json!(kinds);
    schema["properties"]["alertLevel"]["enum"] = json!(levels);
    schema
}

/// An envelope of this type around a payload.
fn envelope(schemas: &mut Schemas, kind: EnvelopeType, payload: Value) -> Value {
    let envelope = schemas.reference::<OpenEnvelope>();
    json!({"allOf": [envelope, {"type": "object", "properties": {"eventType": {"const": kind.as_str()}, "payload": payload}}]})
}

/// What travels between page and shop, and the names of what goes each way.
pub(super) struct PageMessages {
    pub messages: Vec<Message>,
    pub sent: Vec<String>,
    pub received: Vec<String>,
}

pub(super) fn of_page(schemas: &mut Schemas) -> PageMessages {
    let mut messages: Vec<Message> = EnvelopeType::ALL.into_iter().filter_map(|kind| frame(kind, schemas)).collect();
    let sent = messages.iter().map(|message| message.name.clone()).collect();
    let asked = [
        ("CART_UPDATE", "CartUpdate", "Changes the session's cart.", schemas.reference::<CartUpdate>()),
        ("EVENT", "PageEvent", "Reports what the shopper did.", schemas.reference::<PageEvent>()),
        ("GET_RECOMMENDATIONS", "GetRecommendations", "Asks for a recommendation.", schemas.reference::<GetRecommendations>()),
    ];
    let received = asked.iter().map(|(name, ..)| (*name).to_owned()).collect();
    messages.extend(asked.into_iter().map(|(name, schema, summary, payload)| {
        let samples = samples::page_messages().into_iter().filter(|(of, _)| *of == schema).map(|(_, message)| message);
        Message::text(name, summary, payload, samples.collect())
    }));
    PageMessages { messages, sent, received }
}

/// The frame of a type; `None` for what pages are not sent.
fn frame(kind: EnvelopeType, schemas: &mut Schemas) -> Option<Message> {
    let (summary, payload) = match kind {
        EnvelopeType::EcommerceEvent => return None,
        EnvelopeType::ShoppingCart => ("The session's cart after a change, or on connect.", schemas.reference::<Cart>()),
        EnvelopeType::OrderUpdate => ("An order of the session that has its outcome.", schemas.reference::<Order>()),
        EnvelopeType::ProductUpdate => (
            "One whole product after a change; a removed one as its last state with inventory 0.",
            schemas.reference::<ProductUpdate<'_>>(),
        ),
        EnvelopeType::ProductCacheSync => ("The whole catalogue.", schemas.reference::<ProductCacheSync<'_>>()),
        EnvelopeType::Recommendation => ("What the shopper might like.", schemas.reference::<Recommendation>()),
        EnvelopeType::Heartbeat => {
            ("Every `ws.heartbeat_interval`, with the subprotocol `kartshoppe.v1`.", schemas.reference::<Heartbeat>())
        }
    };
    let read = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).unwrap();
    let samples = samples::frames().iter().map(read).filter(|frame| frame["eventType"] == kind.as_str()).collect();
    let payload = envelope(schemas, kind, payload);
    Some(Message::text(kind.as_str(), summary, payload, samples))
}
