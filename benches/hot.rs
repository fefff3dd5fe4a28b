//! The hot functions, one at a time: what one order item costs between the log's read and the log's write.
//!
//! `cargo bench --bench hot`. Each is done once per record of the busiest path; the aim of 150,000 order events a second on
//! two cores leaves 6.6 µs of one core for all of them together.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use kartshoppe::domain::ids::{OrderId, OrderItemId, Quantity, Stock};
use kartshoppe::domain::inventory::{
    Cause, Command, Effect, Input, InputPosition, InputTopic, InventoryEvent, OrderItem, ProductState, Rules, apply,
};
use kartshoppe::domain::product::Product;
use kartshoppe::log::{Headers, Record};
use kartshoppe::telemetry::context::TraceContext;
use kartshoppe::wire::envelope::uuid_of;
use kartshoppe::wire::pages::frame::ProductUpdate;
use kartshoppe::wire::pages::history::ProductChange;
use kartshoppe::wire::product::{self, ProductBody};
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::state_header::StateHeader;
use kartshoppe::wire::topics::{inventory_event, order_event, product_record, product_updates};

const PARTITION: i32 = 2;

fn trace() -> Option<TraceContext> {
    TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
}

/// The first product of the shop: as long as products are.
fn ultrabook() -> Product {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/initial-products.json")).unwrap();
    product_updates::decode_list(&file).unwrap().remove(0).unwrap()
}

fn cause(topic: InputTopic, offset: i64) -> Cause {
    Cause::Record { topic, partition: PARTITION, position: InputPosition { offset, index: 0 } }
}

fn state() -> ProductState {
    let product = Product { stock: Stock::new(1_000_000).unwrap(), ..ultrabook() };
    let product_id = product.id.clone();
    let cause = cause(InputTopic::ProductUpdates, 8);
    let input = Input { product_id, command: Command::Upsert(product), cause, at_ms: 1_732_500_000_000 };
    apply(&Rules::default(), None, &input).next.unwrap()
}

fn order(offset: i64) -> Input {
    let item = OrderItem {
        order_id: OrderId::new("7f2c1a4e-5b1d-4d4e-9a57-1f0f5d1c9e10").unwrap(),
        order_item_id: Some(OrderItemId::new("0b9d7a52-6c1e-4f43-8f0a-3c5e2b7d9a11").unwrap()),
        quantity: Quantity::new(1).unwrap(),
    };
    let cause = cause(InputTopic::OrderEvents, offset);
    Input { product_id: state().product.id, command: Command::Deduct(item), cause, at_ms: 1_732_500_000_001 }
}

fn event() -> InventoryEvent {
    let effects = apply(&Rules::default(), Some(&state()), &order(1)).effects;
    match effects.into_iter().next() {
        Some(Effect::Publish(event)) => event,
        other => panic!("an order gives an event, not {other:?}"),
    }
}

fn order_record() -> Record {
    let value = Bytes::from_static(
        br#"{"orderId":"7f2c1a4e-5b1d-4d4e-9a57-1f0f5d1c9e10","productId":"PROD_0001","quantity":1,"timestamp":1732500000000,"orderItemId":"0b9d7a52-6c1e-4f43-8f0a-3c5e2b7d9a11","source":"direct","expiresAt":1732500015000}"#,
    );
    let key = Some(Bytes::from_static(b"PROD_0001"));
    Record {
        topic: Topic::OrderEvents,
        partition: PARTITION,
        offset: 1,
        append_time_ms: 1_732_500_000_001,
        key,
        value: Some(value),
        headers: Headers::none(),
    }
}

fn decoding(bench: &mut Criterion) {
    let record = order_record();
    bench.bench_function("order event: decode", |b| b.iter(|| order_event::decode(black_box(&record)).unwrap()));
    let state = state();
    let product = product_record::record(&state, PARTITION, &cause(InputTopic::OrderEvents, 1), None);
    let value = product.value.clone().unwrap();
    bench.bench_function("product: decode", |b| b.iter(|| product::decode(black_box(&value)).unwrap()));
    let header = StateHeader::from(&state).encode();
    bench.bench_function("state header: decode", |b| b.iter(|| StateHeader::decode(black_box(&header)).unwrap()));
}

fn applying(bench: &mut Criterion) {
    let rules = Rules::default();
    let (state, input) = (state(), order(1));
    bench.bench_function("order item: apply", |b| b.iter(|| apply(&rules, Some(black_box(&state)), black_box(&input))));
    let same = Input { command: Command::Upsert(state.product.clone()), cause: cause(InputTopic::ProductUpdates, 9), ..order(1) };
    bench
        .bench_function("catalogue update without a change: apply", |b| b.iter(|| apply(&rules, Some(black_box(&state)), &same)));
}

fn encoding(bench: &mut Criterion) {
    let (state, event, trace) = (state(), event(), trace());
    let cause = event.cause;
    bench.bench_function("inventory event: record", |b| b.iter(|| inventory_event::record(black_box(&event), trace.as_ref())));
    bench.bench_function("product: record", |b| {
        b.iter(|| product_record::record(black_box(&state), PARTITION, &cause, trace.as_ref()))
    });
    bench.bench_function("frame: record", |b| {
        b.iter(|| {
            let product = ProductBody::from(black_box(&state));
            let update = ProductUpdate { product, change: ProductChange::of_event(&event), traceparent: trace.clone() };
            let uuid = uuid_of(&inventory_event::event_id(&event.cause, &event.product_id, event.ordinal));
            update.record(&event.product_id, &uuid, event.at_ms, &cause)
        })
    });
}

/// The whole path of one order item but for log and actors: decode, apply, event record.
fn whole(bench: &mut Criterion) {
    let record = order_record();
    let rules = Rules::default();
    let mut state = Arc::new(state());
    let mut offset = 1;
    let mut group = bench.benchmark_group("order item");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode, apply, event record", |b| {
        b.iter(|| {
            offset += 1;
            let decoded = order_event::decode(black_box(&record)).unwrap();
            let command = Command::Deduct(decoded.item().unwrap());
            let input =
                Input { product_id: decoded.product_id, command, cause: cause(InputTopic::OrderEvents, offset), at_ms: offset };
            let result = apply(&rules, Some(&state), &input);
            let next = result.next.unwrap();
            // Never sold out, so that every round does the same.
            let product = Product { stock: Stock::new(1_000_000).unwrap(), ..next.product };
            state = Arc::new(ProductState { product, ..next });
            match result.effects.first() {
                Some(Effect::Publish(event)) => inventory_event::record(event, None),
                other => panic!("an order gives an event, not {other:?}"),
            }
        })
    });
    group.finish();
}

fn main() {
    let mut bench = Criterion::default().configure_from_args();
    decoding(&mut bench);
    applying(&mut bench);
    encoding(&mut bench);
    whole(&mut bench);
    bench.final_summary();
}
