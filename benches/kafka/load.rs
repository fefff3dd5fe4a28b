//! Topics of a run, what is written to them, and how far the work on it is committed.

use std::process::Command;
use std::time::Duration;

use kartshoppe::actors::inventory::INVENTORY_GROUP;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::broker::{self, Broker};

pub const PARTITIONS: i32 = 4;
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at the committed positions: a request of 4 partitions costs the broker nothing that shows.
const LOOK: Duration = Duration::from_millis(10);

/// Topics with a prefix of their own.
pub struct Load {
    pub broker: String,
    pub prefix: String,
    onlooker: BaseConsumer,
}

impl Load {
    /// Has the shop's own command make the topics.
    pub fn new(broker: &Broker) -> Self {
        let prefix = broker::prefix("bench");
        let address = broker.address.clone();
        let made = Command::new(env!("CARGO_BIN_EXE_kartshoppe"))
            .args(["topics", "create"])
            .env("KARTSHOPPE__LOG__KIND", "kafka")
            .env("KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS", &address)
            .env("KARTSHOPPE__KAFKA__TOPIC_PREFIX", &prefix)
            .env("KARTSHOPPE__DATA_DIR", std::env::temp_dir().join("kartshoppe-bench-none"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let onlooker = ClientConfig::new()
            .set("bootstrap.servers", &address)
            .set("group.id", format!("{prefix}{INVENTORY_GROUP}"))
            .set("isolation.level", "read_committed")
            .create()
            .unwrap();
        Self { broker: address, prefix, onlooker }
    }

    /// Writes products; they are no part of what is measured.
    pub fn products(&self, count: usize) {
        let topic = format!("{}product-updates", self.prefix);
        write(&self.producer(5), &topic, 0..count, |n| (product_id(n), product(n)));
    }

    /// Writes orders `from..to`, spread over the products.
    pub fn orders(&self, from: usize, to: usize, products: usize) {
        let topic = format!("{}order-events", self.prefix);
        write(&self.producer(5), &topic, from..to, |n| order(n, products));
    }

    /// A producer that waits so long for company.
    pub fn producer(&self, linger_ms: u32) -> BaseProducer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.broker)
            .set("linger.ms", linger_ms.to_string())
            .set("compression.type", if linger_ms == 0 { "none" } else { "lz4" })
            .set("partitioner", "murmur2_random")
            .set("delivery.report.only.error", "true")
            .set("queue.buffering.max.messages", "1000000")
            .create()
            .unwrap()
    }

    /// How many records of an input are committed as done.
    pub fn committed(&self, topic: &str) -> usize {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&format!("{}{topic}", self.prefix), 0, PARTITIONS - 1);
        let known = self.onlooker.committed_offsets(list, PATIENCE).unwrap();
        let offset = |offset| if let Offset::Offset(offset) = offset { usize::try_from(offset).unwrap() } else { 0 };
        known.elements().iter().map(|element| offset(element.offset())).sum()
    }

    /// Waits until so many are; says when the first and the last were, and calls `at` with each look.
    pub fn wait(&self, topic: &str, count: usize, limit: Duration, mut at: impl FnMut(usize, Instant)) {
        let deadline = Instant::now() + limit;
        loop {
            let done = self.committed(topic);
            at(done, Instant::now());
            if done >= count {
                return;
            }
            assert!(Instant::now() < deadline, "{done} of {count} after {limit:?}");
            pause(LOOK);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of a benchmark, no runtime")]
pub fn pause(wait: Duration) {
    std::thread::sleep(wait);
}

fn write(producer: &BaseProducer, topic: &str, range: std::ops::Range<usize>, make: impl Fn(usize) -> (String, String)) {
    for n in range {
        let (key, value) = make(n);
        let mut record = BaseRecord::to(topic).key(&key).payload(&value);
        while let Err((error, again)) = producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull), "{error}");
            producer.poll(Duration::from_millis(5));
            record = again;
        }
    }
    producer.flush(Duration::from_secs(120)).unwrap();
}

pub fn product_id(n: usize) -> String {
    format!("PROD_{n:06}")
}

fn product(n: usize) -> String {
    let id = product_id(n);
    format!(
        r#"{{"productId":"{id}","name":"Product number {n}","description":"A thing worth having, and worth a line or two of description.","category":"Electronics","brand":"FutureTech","price":19.99,"inventory":1000000000,"imageUrl":"","tags":["thing","worth"],"rating":4.5,"reviewCount":12}}"#
    )
}

/// Which product an order is for: any, each as likely, the same in each run.
fn drawn(order: usize, products: usize) -> usize {
    StdRng::seed_from_u64(order as u64).random_range(0..products)
}

/// Key and value of an order item.
pub fn order(n: usize, products: usize) -> (String, String) {
    let id = product_id(drawn(n, products));
    let value = format!(
        r#"{{"orderId":"0190a1b2-c3d4-7e5f-8a9b-{n:012}","productId":"{id}","quantity":1,"timestamp":1732500000000,"orderItemId":"0190a1b2-c3d4-7e5f-8a9c-{n:012}"}}"#
    );
    (id, value)
}
