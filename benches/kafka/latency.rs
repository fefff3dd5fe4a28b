//! From an order handed to a producer to its committed event in a reader's hand, at a steady rate.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer};
use tokio::time::Instant;

use super::broker::Broker;
use super::figures::print_times;
use super::load::{order, pause};
use super::{FEW, Kind, Load, Subject};

const RATES: [usize; 2] = [200, 2_000];
const WARM: Duration = Duration::from_secs(3);
const LENGTH: Duration = Duration::from_secs(12);
const LIMIT: Duration = Duration::from_secs(60);

/// Measures one subject at both rates.
pub fn measure(broker: &Broker, kind: Kind) {
    let load = Load::new(broker);
    load.products(FEW);
    let _subject = Subject::start(&load, kind, 0);
    if kind == Kind::Shop {
        load.wait("product-updates", FEW, LIMIT, |_, _| {});
    }
    let mut from = 0;
    for per_second in RATES {
        let watch = Watch::start(&load);
        let until = send(&load, &watch, from, per_second, WARM + LENGTH);
        load.wait("order-events", until, LIMIT, |_, _| {});
        let warm = from + per_second * usize::try_from(WARM.as_secs()).unwrap();
        let times = watch.finish(warm, until);
        print_times(&format!("latency  {:<5} at {per_second}/s", format!("{kind:?}").to_lowercase()), times);
        from = until;
    }
}

/// Sends orders at a rate; returns the number after the last.
pub fn send(load: &Load, watch: &Watch, from: usize, per_second: usize, length: Duration) -> usize {
    let producer = load.producer(0);
    let topic = format!("{}order-events", load.prefix);
    let began = Instant::now();
    let mut n = from;
    while began.elapsed() < length {
        let due = began + Duration::from_secs(1) * u32::try_from(n - from).unwrap() / u32::try_from(per_second).unwrap();
        pause(due.saturating_duration_since(Instant::now()));
        let (key, value) = order(n, FEW);
        watch.sent(n);
        producer.send(BaseRecord::to(&topic).key(&key).payload(&value)).unwrap();
        producer.poll(Duration::ZERO);
        n += 1;
    }
    producer.flush(LIMIT).unwrap();
    n
}

/// Reads events beside the load, and notes when each order's came.
pub struct Watch {
    shared: Arc<Mutex<Times>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Times {
    sent: BTreeMap<usize, Instant>,
    seen: BTreeMap<usize, Instant>,
    over: bool,
}

impl Watch {
    pub fn start(load: &Load) -> Self {
        let reader: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &load.broker)
            .set("group.id", format!("{}watch", load.prefix))
            .set("isolation.level", "read_committed")
            .set("fetch.min.bytes", "1")
            .set("fetch.wait.max.ms", "10")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut list = rdkafka::TopicPartitionList::new();
        for partition in 0..super::load::PARTITIONS {
            list.add_partition_offset(&format!("{}inventory-events", load.prefix), partition, rdkafka::Offset::Beginning)
                .unwrap();
        }
        reader.assign(&list).unwrap();
        let shared = Arc::new(Mutex::new(Times::default()));
        let times = shared.clone();
        let thread = std::thread::spawn(move || {
            loop {
                let message = reader.poll(Duration::from_millis(50));
                let now = Instant::now();
                let mut times = times.lock().unwrap();
                if let Some(Ok(message)) = message
                    && let Some(n) = message.payload().and_then(number_in)
                {
                    times.seen.entry(n).or_insert(now);
                } else if times.over {
                    return;
                }
            }
        });
        Self { shared, thread: Some(thread) }
    }

    pub fn sent(&self, n: usize) {
        self.shared.lock().unwrap().sent.insert(n, Instant::now());
    }

    /// When the first output came of an order that was sent after this.
    pub fn first_after(&self, moment: Instant) -> Option<Instant> {
        let times = self.shared.lock().unwrap();
        let fresh = times.sent.iter().filter(|(_, sent)| **sent > moment);
        fresh.filter_map(|(n, _)| times.seen.get(n)).min().copied()
    }

    /// The times of orders `from..to`, all of which must have come.
    pub fn finish(mut self, from: usize, to: usize) -> Vec<Duration> {
        let deadline = Instant::now() + LIMIT;
        while (from..to).any(|n| !self.shared.lock().unwrap().seen.contains_key(&n)) {
            assert!(Instant::now() < deadline, "an output is missing");
            pause(Duration::from_millis(20));
        }
        self.shared.lock().unwrap().over = true;
        self.thread.take().unwrap().join().unwrap();
        let times = self.shared.lock().unwrap();
        (from..to).map(|n| times.seen[&n] - times.sent[&n]).collect()
    }
}

/// The number in an event's `orderItemId`.
fn number_in(event: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(event).ok()?;
    let (_, rest) = text.split_once("\"orderItemId\":\"")?;
    rest.split('"').next()?.rsplit('-').next()?.parse().ok()
}
