//! The bare loop: one thread, one consumer, two transactional producers in turn, a subtraction for each order. A yardstick, not a
//! shop.

use std::collections::HashMap;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use kartshoppe::actors::inventory::INVENTORY_GROUP;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;

use super::load::Load;

/// Set for the child: `broker prefix`.
const CHILD: &str = "KARTSHOPPE_BENCH_BARE";
/// Orders of a transaction at most.
const BATCH: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(20);

pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// This program again, as the bare loop.
pub fn command(load: &Load) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(CHILD, format!("{} {}", load.broker, load.prefix));
    command
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order<'a> {
    order_id: &'a str,
    product_id: &'a str,
    quantity: i64,
    order_item_id: &'a str,
}

struct Product {
    id: String,
    stock: i64,
    version: u64,
    touched: bool,
}

/// Works until it is ended.
pub fn run() {
    let task = std::env::var(CHILD).unwrap();
    let (broker, prefix) = task.split_once(' ').unwrap();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", format!("{prefix}{INVENTORY_GROUP}"))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "range")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.message.max.bytes", "8388608")
        .create()
        .unwrap();
    consumer.subscribe(&[&format!("{prefix}order-events")]).unwrap();
    let producers = ["a", "b"].map(|turn| {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", broker)
            .set("transactional.id", format!("{prefix}bare-{turn}"))
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("retry.backoff.ms", "1")
            .set("delivery.report.only.error", "true")
            .set("queue.buffering.max.messages", "1000000")
            .set("queue.buffering.max.kbytes", "1048576")
            .set("transaction.timeout.ms", "10000")
            .create()
            .unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer
    });
    let topics = ["products", "inventory-events", "websocket_fanout"].map(|name| format!("{prefix}{name}"));
    let mut states: HashMap<i32, (HashMap<String, usize>, Vec<Product>)> = HashMap::new();
    for producer in producers.iter().cycle() {
        batch(&consumer, producer, &topics, &mut states, &format!("{prefix}order-events"));
    }
}

fn batch(
    consumer: &BaseConsumer,
    producer: &BaseProducer,
    topics: &[String; 3],
    states: &mut HashMap<i32, (HashMap<String, usize>, Vec<Product>)>,
    input: &str,
) {
    let (mut next, mut count, mut value) = (HashMap::new(), 0, Vec::with_capacity(1024));
    while count < BATCH {
        let wait = if count == 0 { Duration::from_millis(50) } else { Duration::ZERO };
        let message = match consumer.poll(wait) {
            Some(Ok(message)) => message,
            Some(Err(_)) => continue,
            None if count == 0 => continue,
            None => break,
        };
        if count == 0 {
            producer.begin_transaction().unwrap();
        }
        count += 1;
        let (partition, offset) = (message.partition(), message.offset());
        next.insert(partition, offset + 1);
        let order: Order<'_> = serde_json::from_slice(message.payload().unwrap()).unwrap();
        let (index, products) = states.entry(partition).or_default();
        let place = *index.entry(order.product_id.to_owned()).or_insert_with(|| {
            products.push(Product { id: order.product_id.to_owned(), stock: 1_000_000_000, version: 0, touched: false });
            products.len() - 1
        });
        let product = &mut products[place];
        let before = product.stock;
        (product.stock, product.version, product.touched) = (before - order.quantity, product.version + 1, true);
        value.clear();
        write!(
            value,
            r#"{{"productId":"{}","productName":"Product number","eventType":"INVENTORY_DECREASED","previousInventory":{before},"currentInventory":{},"previousPrice":19.99,"currentPrice":19.99,"timestamp":1732500000000,"changeReason":"Order {}: {} units sold","alertLevel":null,"critical":false,"category":"Electronics","isInitialLoad":false,"inventoryChange":-{},"priceChange":0.0,"life":1,"version":{},"eventId":"order-events/{partition}/{offset}/0/0","orderId":"{}","orderItemId":"{}","quantity":{},"allocated":{},"shortfall":0}}"#,
            product.id, product.stock, order.order_id, order.quantity, order.quantity, product.version, order.order_id, order.order_item_id, order.quantity, order.quantity
        )
        .unwrap();
        send(producer, &topics[1], partition, &product.id, &value, &format!("order-events/{partition}/{offset}/0"));
    }
    for (partition, (_, products)) in states.iter_mut() {
        for product in products.iter_mut().filter(|product| product.touched) {
            product.touched = false;
            value.clear();
            write!(
                value,
                r#"{{"productId":"{}","name":"Product number","description":"A thing worth having, and worth a line or two of description.","category":"Electronics","brand":"FutureTech","price":19.99,"inventory":{},"imageUrl":"","tags":["thing","worth"],"rating":4.5,"reviewCount":12}}"#,
                product.id, product.stock
            )
            .unwrap();
            send(producer, &topics[0], *partition, &product.id, &value, "f1;1.1;1732500000000;1732503600000;0;order-events=1/0");
            let mut frame = br#"{"uuid":"0190a1b2-c3d4-7e5f-8a9b-000000000000","timestamp":1732500000000,"key":"PROD","toUserId":null,"eventType":"PRODUCT_UPDATE","payload":"#.to_vec();
            frame.extend_from_slice(&value);
            frame.push(b'}');
            send(producer, &topics[2], *partition, &product.id, &frame, "order-events/0/0/0");
        }
    }
    let mut list = TopicPartitionList::new();
    for (partition, offset) in next {
        list.add_partition_offset(input, partition, Offset::Offset(offset)).unwrap();
    }
    producer.send_offsets_to_transaction(&list, &consumer.group_metadata().unwrap(), PATIENCE).unwrap();
    kartshoppe::log::kafka::commit_in_slices(producer, PATIENCE).unwrap();
    producer.poll(Duration::ZERO);
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, key: &str, value: &[u8], header: &str) {
    let headers = OwnedHeaders::new_with_capacity(1).insert(Header { key: "kartshoppe-cause", value: Some(header) });
    let mut record = BaseRecord::to(topic).partition(partition).key(key).payload(value).headers(headers);
    while let Err((error, again)) = producer.send(record) {
        assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull), "{error}");
        producer.poll(Duration::from_millis(1));
        record = again;
    }
}
