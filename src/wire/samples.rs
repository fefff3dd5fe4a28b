//! One of everything that the contract describes, made by the functions that the shop uses: the examples of the reference, and
//! what its schemas are held against.

use bytes::Bytes;
use serde_json::{Value, json};

use super::money::Money;
use super::pages::client_message::{self, ClientMessage};
use super::pages::frame::{Frame, Heartbeat, ProductCacheSync, ProductUpdate};
use super::pages::history::{ChangeReason, ProductChange};
use super::pages::page_message::{
    CartAction, CartTarget, CartUpdate, CartUpdateType, GetRecommendations, GetRecommendationsType, PageEvent, PageEventType,
};
use super::pages::recommendation::{Recommendation, RecommendationType};
use super::pages::status::{CatalogState, RunState, Status};
use super::pages::tracked_event::{EventMetadata, TrackedEvent, TrackedEvents};
use super::pages::{cart, order};
use super::product::{ProductBody, ProductValue};
use super::topics::order_event::{OrderEvent, OrderSource, Wish};
use super::topics::record::{Headers, NewRecord, Record};
use super::topics::{Topic, alert_event, cdc_position, dead_letter, headers, inventory_event, output, product_record};
use super::{invalid, product};
use crate::domain::EpochMs;
use crate::domain::ids::{OrderId, OrderItemId, Quantity};
use crate::domain::inventory::{
    Cause, Command, Effect, Input, InputPosition, InputTopic, OrderItem, ProductState, Rules, Transition, apply,
};
use crate::domain::product::{Product, Revision};
use crate::telemetry::context::TraceContext;

const NOW: EpochMs = 1_732_500_000_000;
const UUID: &str = "42c572dd-08fd-527a-b527-e31ed02511fb";

fn trace() -> Option<TraceContext> {
    TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
}

fn mug() -> Product {
    product::decode(
        br#"{"productId":"PROD_0001","name":"Mug","description":"Holds coffee.","category":"Home","brand":"KartShoppe","price":9.5,
            "inventory":10,"imageUrl":"","tags":["coffee"],"rating":4.5,"reviewCount":49}"#,
    )
    .unwrap()
}

fn cause(topic: InputTopic, offset: i64) -> Cause {
    Cause::Record { topic, partition: 2, position: InputPosition { offset, index: 0 } }
}

fn applied(state: Option<&ProductState>, command: Command, cause: Cause) -> Transition {
    apply(&Rules::default(), state, &Input { product_id: mug().id, command, cause, at_ms: NOW })
}

fn added() -> ProductState {
    applied(None, Command::Upsert(mug()), cause(InputTopic::ProductUpdates, 7)).next.unwrap()
}

/// What an order of five mugs does: to 5 units, with an alert.
fn sold() -> Transition {
    let item = OrderItem {
        order_id: OrderId::new("o-1").unwrap(),
        order_item_id: Some(OrderItemId::new("i-1").unwrap()),
        quantity: Quantity::new(5).unwrap(),
    };
    applied(Some(&added()), Command::Deduct(item), cause(InputTopic::OrderEvents, 1234))
}

fn order_event() -> OrderEvent {
    OrderEvent {
        order_id: OrderId::new("o-1").unwrap(),
        product_id: mug().id,
        wish: Wish::Units(Quantity::new(5).unwrap()),
        timestamp_ms: Some(NOW),
        order_item_id: Some(OrderItemId::new("i-1").unwrap()),
        source: Some(OrderSource::Direct),
        expires_at_ms: Some(NOW + 15_000),
    }
}

/// An order item event and a product with every field that they can have.
pub(crate) fn whole_order_event() -> Value {
    let mut event: Value = serde_json::from_slice(&order_event().record(None).value.unwrap()).unwrap();
    event["probe"] = json!(false);
    event
}

pub(crate) fn whole_product() -> Value {
    serde_json::to_value(ProductValue::from(&mug())).unwrap()
}

/// Records of every topic that the shop reads or writes, by the message that they are examples of.
pub(crate) fn records() -> Vec<(&'static str, NewRecord)> {
    let (state, after) = (added(), sold());
    let from = cause(InputTopic::OrderEvents, 1234);
    let mut records = vec![
        ("product", catalogue(Some(whole_product()))),
        ("product", catalogue(Some(json!([whole_product()])))),
        ("productRemoval", catalogue(None)),
        ("orderItem", order_event().record(trace().as_ref())),
        ("orderItem", order_event().probe().record(None)),
        ("state", product_record::record(&state, 2, &cause(InputTopic::ProductUpdates, 7), trace().as_ref())),
        ("stateTombstone", product_record::tombstone(&mug().id, Some(state.revision), 2, &from, None)),
        ("frame", update(&state).record(&mug().id, UUID, NOW, &from)),
        ("trackedEvent", tracked()),
        ("cart", cart::tests::cart().record(UUID, NOW, trace().as_ref())),
        ("position", position()),
        ("trialWrite", trial_write()),
        ("deadLetter", dead()),
    ];
    for effect in &after.effects {
        records.push(match effect {
            Effect::Publish(event) => ("event", inventory_event::record(event, trace().as_ref())),
            Effect::Raise(alert) => ("alert", alert_event::record(alert, &from, None)),
        });
    }
    records
}

fn catalogue(value: Option<Value>) -> NewRecord {
    let value = value.map(|value| Bytes::from(value.to_string()));
    NewRecord {
        topic: Topic::ProductUpdates,
        partition: None,
        key: Some(output::key(&mug().id)),
        value,
        headers: Headers::none(),
    }
}

fn tracked() -> NewRecord {
    let events = serde_json::value::to_raw_value(&tracked_event()).unwrap();
    let batch = TrackedEvents { events: vec![events], session_id: Some("s-1".to_owned()), user_id: Some("guest".to_owned()) };
    batch.records(|| UUID.to_owned(), NOW, trace().as_ref()).next().unwrap()
}

fn tracked_event() -> TrackedEvent {
    TrackedEvent {
        event_id: "e-1".to_owned(),
        session_id: "s-1".to_owned(),
        user_id: "guest".to_owned(),
        event_type: "PRODUCT_VIEW".to_owned(),
        timestamp: NOW,
        metadata: EventMetadata {
            user_agent: "Mozilla/5.0".to_owned(),
            referrer: String::new(),
            url: "http://localhost:8081/".to_owned(),
            screen_resolution: "390x844".to_owned(),
        },
        fields: [("productId".to_owned(), json!("PROD_0001"))].into_iter().collect(),
    }
}

fn position() -> NewRecord {
    let position = cdc_position::CdcPosition {
        system_id: "7469871236547891234".to_owned(),
        timeline: 1,
        resume_lsn: cdc_position::Lsn(0x16_B374_D848),
        part_commit_lsn: None,
        part_index: 0,
    };
    position.record("kartshoppe")
}

fn trial_write() -> NewRecord {
    let (key, value) = (Some("shop-1".into()), Some("{}".into()));
    NewRecord { topic: Topic::Health, partition: Some(0), key, value, headers: Headers::none() }
}

fn dead() -> NewRecord {
    let source = Record {
        topic: Topic::OrderEvents,
        partition: 2,
        offset: 1234,
        append_time_ms: NOW,
        key: Some("PROD_0001".into()),
        value: Some("{\"orderId\":".into()),
        headers: Headers::none(),
    };
    dead_letter::of_invalid(&source, 0, None, &invalid::Invalid::NullValue)
}

fn update(state: &ProductState) -> ProductUpdate<'_> {
    ProductUpdate { product: ProductBody::from(state), change: Some(change()), traceparent: trace() }
}

fn change() -> ProductChange<'static> {
    ProductChange {
        change_type: "INVENTORY_DECREASED",
        previous_inventory: Some(10),
        current_inventory: 5,
        previous_price: None,
        current_price: Some(Money::from(mug().price)),
        order_id: Some("o-1"),
        timestamp: NOW,
        life: 7,
        version: 2,
        reason: ChangeReason::Order,
    }
}

/// One text message of every type that pages are sent.
pub(crate) fn frames() -> Vec<Bytes> {
    let product = mug();
    let body = ProductBody::new(&product, Revision { life: 7, version: 2 }, 1, NOW);
    let status = Status {
        inventory: RunState::Running,
        cdc: RunState::Running,
        since: Some(NOW),
        catalog: CatalogState::Live,
        tracing: false,
        browser_tracing: false,
        low_stock: 9,
    };
    let recommendation = Recommendation {
        recommendation_id: "r-1".to_owned(),
        user_id: "guest".to_owned(),
        session_id: Some("s-1".to_owned()),
        product_ids: vec!["PROD_0001".to_owned()],
        recommendation_type: RecommendationType::TrendingNow,
        confidence: 0.5,
        reason: "Popular right now".to_owned(),
        timestamp: NOW,
    };
    let heartbeat = Heartbeat { cursor: Some("c".to_owned()), status: Some(status), reload: false };
    let (cart, order) = (cart::tests::cart(), order::tests::order());
    let own = [
        Frame::ProductCacheSync(ProductCacheSync { products: &[body] }),
        Frame::ShoppingCart(&cart),
        Frame::OrderUpdate(&order),
        Frame::Recommendation(&recommendation),
        Frame::Heartbeat(&heartbeat),
    ];
    let mut frames: Vec<Bytes> = own.iter().map(|frame| frame.to_json(UUID, NOW)).collect();
    frames.push(update(&added()).frame(UUID, NOW));
    frames
}

/// Messages of pages, by their schema; each of them is one that the shop understands.
pub(crate) fn page_messages() -> Vec<(&'static str, Value)> {
    let target = |product_id: Option<&str>, quantity| CartTarget { product_id: product_id.map(str::to_owned), quantity };
    let cart = |action, payload| {
        ("CartUpdate", serde_json::to_value(CartUpdate { kind: CartUpdateType::CartUpdate, action, payload }).unwrap())
    };
    let messages = vec![
        cart(CartAction::Add, target(Some("PROD_0001"), None)),
        cart(CartAction::UpdateQuantity, target(Some("PROD_0001"), Some(3))),
        cart(CartAction::Remove, target(Some("PROD_0001"), None)),
        cart(CartAction::Clear, CartTarget::default()),
        ("PageEvent", serde_json::to_value(PageEvent { kind: PageEventType::Event, payload: tracked_event() }).unwrap()),
        (
            "GetRecommendations",
            serde_json::to_value(GetRecommendations { kind: GetRecommendationsType::GetRecommendations }).unwrap(),
        ),
    ];
    for (schema, message) in &messages {
        let read = match client_message::decode(&message.to_string()).unwrap() {
            ClientMessage::Cart(_) => "CartUpdate",
            ClientMessage::Event(_) => "PageEvent",
            ClientMessage::GetRecommendations => "GetRecommendations",
        };
        assert_eq!(read, *schema, "{message}");
    }
    messages
}

/// The headers that are described, with what they say. Every header that a sample carries must be among them.
pub(crate) const HEADERS: &[(&str, &str)] = &[
    (headers::CAUSE, "what made the record: `topic/partition/offset/index` of an input, `file/index` or `timer/deadline`"),
    (headers::TRACEPARENT, "W3C trace context of the cause"),
    (headers::TRACESTATE, "what tracing systems keep beside it, as it came with the cause"),
    (
        headers::STATE,
        "`format;life;version;changed at;last received at;stale at;s or -;applied on product-updates;applied on order-events`; times in \
         epoch milliseconds, positions as `offset/index` or `-`",
    ),
    (headers::REVISION, "`life;version` with which the product left"),
    (
        headers::MOVED_FROM,
        "`topic/partition/offset` of the first writing, where a record was written again to its right partition",
    ),
    (headers::CUT_FROM, "bytes of the source's value, where it was too large to keep whole"),
    (headers::TRANSACTION, "on Kafka, on the last record that a transaction writes to a partition: which transaction that is"),
    (headers::dead_letter::EXCEPTION, "what kind of reason it is"),
    (headers::dead_letter::MESSAGE, "the reason, for people"),
    (headers::dead_letter::STACKTRACE, "empty"),
    (headers::dead_letter::TOPIC, "topic of the source"),
    (headers::dead_letter::PARTITION, "partition of the source"),
    (headers::dead_letter::OFFSET, "offset of the source"),
    (headers::dead_letter::PROCESSOR_NODE_ID, "topic of the source"),
    (headers::dead_letter::TASK_ID, "`0_` and the partition of the source"),
];
