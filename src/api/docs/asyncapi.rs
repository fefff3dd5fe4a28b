//! The outside contract beside REST, as an AsyncAPI 3 document: what travels on topics and on the page's WebSocket.
//!
//! Schemas come from the wire types, policies from the settings that topics are made with, examples from the functions that write
//! records and frames. [`messages`] says which message travels where; [`schemas`] collects shapes and holds examples against
//! them.

mod messages;
mod schemas;

use serde_json::{Map, Value, json};

use self::messages::Message;
use self::schemas::Schemas;
use crate::log::kafka::settings_of;
use crate::wire::envelope::EnvelopeType;
use crate::wire::topics::{PartitionCount, Retention, Topic};

const PAGE: &str = "page";
const KAFKA_BINDING: &str = "0.5.0";

fn document() -> Value {
    let mut schemas = Schemas::default();
    let (mut channels, mut operations, mut components) = (Map::new(), Map::new(), Map::new());
    let mut add = |channel: &str, described: Value, messages: Vec<Message>, actions: &[(&str, &str)]| {
        for (action, summary) in actions {
            let verb = format!("{action}-{channel}");
            let reference = json!({"$ref": format!("#/channels/{channel}")});
            operations.insert(verb, json!({"action": action, "channel": reference, "summary": summary}));
        }
        let mut channel_messages = Map::new();
        for message in messages {
            channel_messages.insert(message.name.clone(), json!({"$ref": format!("#/components/messages/{}", message.name)}));
            let before = components.insert(message.name.clone(), message.to_json());
            assert!(before.is_none(), "two messages are called {}", message.name);
        }
        let mut described = described;
        if !channel_messages.is_empty() {
            described["messages"] = Value::Object(channel_messages);
        }
        channels.insert(channel.to_owned(), described);
    };
    for topic in Topic::ALL {
        add(topic.name(), channel(topic), messages::of_topic(topic, &mut schemas), messages::actions(topic));
    }
    let page = messages::of_page(&mut schemas);
    add(
        PAGE,
        page_channel(),
        page.messages,
        &[
            ("send", "One text message is one envelope."),
            ("receive", "What cannot be understood is ignored and counted; the cart stays as it was."),
        ],
    );
    // Which of the page's messages go which way.
    for (operation, names) in [("send-page", page.sent), ("receive-page", page.received)] {
        operations[operation]["messages"] =
            names.iter().map(|name| json!({"$ref": format!("#/channels/{PAGE}/messages/{name}")})).collect();
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "KartShoppe: topics and WebSocket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What other programs see beside REST (openapi.json). Times are epoch milliseconds, money is a number \
                            with two decimals at most. Readers ignore fields that they do not know. `send` and `receive` are the \
                            shop's view.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "shop": {"host": "localhost:8081", "protocol": "ws", "description": "the shop's public listener, `http.listen`"},
            "kafka": {
                "host": "localhost:9092",
                "protocol": "kafka",
                "description": "used if `log.kind = kafka`; `kafka.topic_prefix` stands before each name. The embedded log has \
                                the same topics: `kartshoppe topics`, and `/admin/topics` on the operators' listener",
            },
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": components, "schemas": schemas.into_json()},
    })
}

fn channel(topic: Topic) -> Value {
    let partitions = match topic.partitions() {
        PartitionCount::Keyed => "`inventory.partitions` partitions".to_owned(),
        PartitionCount::Fixed(count) => format!("{count} partition"),
    };
    let kept = match topic.retention() {
        Retention::Kept => "kept without limit: it is part of the ledger".to_owned(),
        Retention::Compacted => "compacted: the last record of each key is kept".to_owned(),
        Retention::Delete(after) => format!("kept for {} h", after.as_secs() / 3600),
    };
    let bounded = if topic.is_tracked() { ", and up to `log.tracked_retained_bytes`" } else { "" };
    let mut kafka = json!({"topic": topic.name(), "topicConfiguration": settings(topic), "bindingVersion": KAFKA_BINDING});
    if let PartitionCount::Fixed(count) = topic.partitions() {
        kafka["partitions"] = json!(count);
    }
    json!({
        "address": topic.name(),
        "description": format!("{} {partitions}; {kept}{bounded}.", messages::purpose(topic)),
        "servers": [{"$ref": "#/servers/kafka"}],
        "bindings": {"kafka": kafka},
    })
}

/// Kafka's settings as the binding types them: a list of policies, and numbers.
fn settings(topic: Topic) -> Value {
    let typed = settings_of(topic, None).into_iter().map(|(name, value)| {
        let typed = match value.parse::<i64>() {
            _ if name == "cleanup.policy" => json!([value]),
            Ok(number) => json!(number),
            Err(_) => json!(value),
        };
        (name.to_owned(), typed)
    });
    Value::Object(typed.collect())
}

fn page_channel() -> Value {
    json!({
        "address": "/ecommerce/{sessionId}/{userId}",
        "description": "A page's WebSocket. On connect: `PRODUCT_CACHE_SYNC` (the whole catalogue, or not at all above \
                        `ws.cache_sync_max`), `RECOMMENDATION`, and `SHOPPING_CART` unless it is empty; then what changes. With \
                        the subprotocol `kartshoppe.v1` also `HEARTBEAT`, whose cursor `resume` takes.",
        "servers": [{"$ref": "#/servers/shop"}],
        "parameters": {
            "sessionId": {"description": "the shopper's session, made by the page"},
            "userId": {"description": "the shopper, or `guest`; a claim that opens nothing"},
        },
        "bindings": {"ws": {
            "method": "GET",
            "query": {"type": "object", "properties": {"resume": {"type": "string", "description": "the cursor of the last HEARTBEAT"}}},
            "headers": {"type": "object", "properties": {"Sec-WebSocket-Protocol": {"type": "string", "const": "kartshoppe.v1"}}},
            "bindingVersion": "0.1.0",
        }},
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::docs::reference;
    use crate::wire::samples;

    #[test]
    fn the_asyncapi_reference_is_current() {
        reference::is_current("asyncapi.json", &document());
    }

    #[test]
    fn every_topic_and_every_frame_is_described_and_every_reference_resolves() {
        let document = document();
        assert!(reference::all_resolve(&document) > 40);
        for topic in Topic::ALL {
            let channel = &document["channels"][topic.name()];
            assert_eq!(channel["bindings"]["kafka"]["topic"], topic.name());
            assert_eq!(channel["messages"].is_object(), topic.is_ours(), "{topic}");
            assert!(
                document["operations"].as_object().unwrap().keys().any(|name| name.ends_with(topic.name())) == topic.is_ours()
            );
        }
        let messages = document["channels"][PAGE]["messages"].as_object().unwrap();
        for kind in EnvelopeType::ALL {
            // Tracked events travel on their topic only.
            assert_eq!(messages.contains_key(kind.as_str()), kind != EnvelopeType::EcommerceEvent, "{kind:?}");
        }
    }

    #[test]
    fn every_message_has_examples_that_are_as_it_says() {
        let document = document();
        for (name, message) in document["components"]["messages"].as_object().unwrap() {
            let examples = message["examples"].as_array().unwrap_or_else(|| panic!("{name} has no example"));
            for example in examples {
                let wrong = schemas::violations(&document, &message["payload"], &example["payload"]);
                assert!(wrong.is_empty(), "{name}: {wrong:?} in {example}");
                let wrong = schemas::violations(&document, &message["headers"], &example["headers"]);
                assert!(wrong.is_empty(), "{name}: {wrong:?} in {example}");
            }
        }
        // An example that is not as its schema says is found: a field less, another type, and one without a description.
        let schema = json!({"$ref": "#/components/schemas/AlertEvent"});
        let good = document["components"]["messages"]["alert"]["examples"][0]["payload"].clone();
        for (field, value) in [("severity", Value::Null), ("timestamp", json!("now")), ("colour", json!(1))] {
            let mut bad = good.clone();
            bad[field] = value;
            assert!(!schemas::violations(&document, &schema, &bad).is_empty(), "{field}");
        }
    }

    #[test]
    fn every_header_of_a_sample_is_described() {
        let described: BTreeSet<&str> = samples::HEADERS.iter().map(|(name, _)| *name).collect();
        for (name, record) in samples::records() {
            for (header, _) in &record.headers.0 {
                assert!(described.contains(header.as_ref()), "{name}: {header}");
            }
        }
    }
}
