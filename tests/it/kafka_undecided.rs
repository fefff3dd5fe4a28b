//! What a broker forgets to decide (docs/adr/0008) is decided by the next session of the same identity: committed where it is
//! known to have been committed, aborted elsewhere; and reported if there is no such session.

use std::sync::Arc;
use std::time::Duration;

use kartshoppe::log::kafka::{KafkaConfig, KafkaLog};
use kartshoppe::log::{Batch, EventLog, LogError, NewRecord, Position, SessionConfig, Start, Stop, TopicPartition};
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::headers::TRANSACTION;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::kafka::{Broker, prefix};
use crate::support::log::{PATIENCE, append, assigned, polled, read_all, record, session, troubled, within};
use crate::support::place::Place;
use crate::support::wal::WalShop;

const INPUTS: [Topic; 2] = [Topic::ProductUpdates, Topic::OrderEvents];
/// Whether a broker forgets depends on which of its threads runs first.
const TRIES: usize = 10;
/// What the session "worker" writes on the last record of its fifth transaction in each partition.
const STAMP: &str = "worker 7 4";

async fn open(broker: &Broker, prefix: &str) -> Arc<KafkaLog> {
    let (bootstrap_servers, topic_prefix) = (broker.address.clone(), prefix.to_owned());
    let config = KafkaConfig { bootstrap_servers, topic_prefix, properties: [].into(), partitions: 4 };
    let log = Arc::new(KafkaLog::open(config).await.unwrap());
    log.oversee().await;
    log
}

/// A transaction of this identity with a state, an event and the group's position, which no writer ends. `None` where a busy
/// machine took longer than the broker leaves it open.
fn left_open(broker: &Broker, prefix: &str, identity: &str, input: TopicPartition) -> Option<BaseProducer> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &broker.address).set("transaction.timeout.ms", "1000");
    let producer: BaseProducer = client.set("transactional.id", format!("{prefix}{identity}-a")).create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    for topic in [Topic::Products, Topic::InventoryEvents] {
        let name = format!("{prefix}{topic}");
        let stamp = OwnedHeaders::new().insert(Header { key: TRANSACTION, value: Some(STAMP) });
        let record = BaseRecord::to(&name).partition(0).key("a").payload("undecided").headers(stamp);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&format!("{prefix}{}", input.topic), input.partition, Offset::Offset(2)).unwrap();
    let mut onlooker = ClientConfig::new();
    onlooker.set("bootstrap.servers", &broker.address).set("group.id", format!("{prefix}inventory"));
    let onlooker: BaseConsumer = onlooker.create().unwrap();
    producer.send_offsets_to_transaction(&list, &onlooker.group_metadata().unwrap(), PATIENCE).ok()?;
    producer.flush(PATIENCE).ok()?;
    Some(producer)
}

/// Whether readers of `products` are held back.
fn stands_still(broker: &Broker, prefix: &str) -> bool {
    let ends = ["read_committed", "read_uncommitted"].map(|isolation| {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &broker.address).set("isolation.level", isolation).set("group.id", "onlooker");
        let consumer: BaseConsumer = client.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&format!("{prefix}products"), 0, Offset::End).unwrap();
        consumer.offsets_for_times(list, PATIENCE).unwrap().elements()[0].offset()
    });
    ends[0] != ends[1]
}

/// Leaves a transaction of this identity undecided by a broker that was killed.
async fn undecided(broker: &Broker, prefix: &str, identity: &str, input: TopicPartition) {
    for _ in 0..TRIES {
        let Some(writer) = left_open(broker, prefix, identity, input) else { continue };
        broker.kill();
        // As if killed too: it sends nothing any more.
        std::mem::forget(writer);
        broker.resume();
        // Twice as long as the broker needs to abort what is open for too long.
        tokio::time::sleep(Duration::from_secs(3)).await;
        if stands_still(broker, prefix) {
            return;
        }
    }
    panic!("the broker decided everything in {TRIES} tries: this test shows nothing any more, and docs/adr/0008 may be void");
}

/// What can be seen on `products` and `inventory-events` after the next session has committed. `proof` is on the log before that
/// session is opened.
async fn after_forgetting(test: &str, proof: Option<NewRecord>) -> Option<[Vec<String>; 2]> {
    let broker = Broker::own(&[])?;
    let prefix = prefix(test);
    let log = open(&broker, &prefix).await;
    append(&*log, vec![record(Topic::OrderEvents, "a", "1")]).await;
    let first = session(&*log, "worker", "inventory", &INPUTS).await;
    assigned(&*first).await;
    let read = polled(&*first, 1).await;
    let position = |offset| [(read[0].topic_partition(), Position { offset, metadata: String::new() })].into();
    first.commit(Batch { records: vec![record(Topic::Products, "a", "1")], positions: position(1) }).await.unwrap();
    first.close().await.unwrap();

    undecided(&broker, &prefix, "worker", read[0].topic_partition()).await;

    append(&*log, proof.into_iter().chain([record(Topic::OrderEvents, "a", "2")]).collect()).await;
    let heir = session(&*log, "worker", "inventory", &INPUTS).await;
    assigned(&*heir).await;
    let again = polled(&*heir, 1).await;
    assert_eq!(again[0].offset, 1, "the position that was undecided does not count");
    // By the same producers, on the same partition.
    heir.commit(Batch { records: vec![record(Topic::Products, "a", "2")], positions: position(2) }).await.unwrap();
    let mut seen = [Vec::new(), Vec::new()];
    for (seen, topic) in seen.iter_mut().zip([Topic::Products, Topic::InventoryEvents]) {
        for record in read_all(&*log, topic).await {
            assert_eq!(record.headers.get(TRANSACTION), None, "stamps are the log's own");
            seen.push(String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap());
        }
    }
    Some(seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_gives_up_what_a_broker_forgot_to_decide() {
    let Some([states, events]) = after_forgetting("undecided", None).await else { return };
    // What the producers had left there is not committed by their next commit.
    assert_eq!(states, ["1", "2"]);
    assert_eq!(events, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_finishes_a_commit_of_which_something_was_seen() {
    let mut alert = record(Topic::InventoryAlerts, "a", "seen");
    alert.headers.push(TRANSACTION, STAMP);
    let Some([states, events]) = after_forgetting("torn", Some(alert)).await else { return };
    assert_eq!(states, ["1", "undecided", "2"]);
    assert_eq!(events, ["undecided"]);
}

/// A member of a group is refused by a broker that comes back, and starts over. A session that only writes does not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_at_rest_ends_what_it_may_hold_readers_back_with() {
    let Some(broker) = Broker::own(&[]) else { return };
    let prefix = prefix("rest");
    let log = open(&broker, &prefix).await;
    let config = SessionConfig {
        identity: "worker".to_owned(),
        group: None,
        topics: Vec::new(),
        writes: vec![Topic::Products, Topic::InventoryEvents],
    };
    let writer = within(log.session(config.clone())).await.unwrap();
    // By producers of its id, whichever they are: it has nothing to write, and so no reason to ask.
    undecided(&broker, &prefix, "worker", TopicPartition::new(Topic::OrderEvents, 0)).await;
    let error = within(async {
        loop {
            if let Err(error) = writer.poll(10, Duration::from_secs(1)).await {
                return error;
            }
        }
    })
    .await;
    assert!(matches!(&error, LogError::Unavailable(text) if text.contains("stands still")), "{error}");
    drop(writer);
    let _heir = within(log.session(config)).await.unwrap();
    assert!(!stands_still(&broker, &prefix));
    assert!(read_all(&*log, Topic::Products).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wal_reader_does_not_wait_for_what_its_dead_predecessor_left_open() {
    let Some(place) = Place::kafka() else { return };
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    let mut ids = shop.orders("before", 2).await;
    shop.await_exactly(&ids).await;
    reader.stop().await;

    let (broker, topic) = place.reach(Topic::CdcPositions);
    let prefix = topic.strip_suffix(Topic::CdcPositions.name()).unwrap();
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker).set("transaction.timeout.ms", "600000");
    let dead: BaseProducer = client.set("transactional.id", format!("{prefix}cdc-{}-b", shop.config.slot)).create().unwrap();
    dead.init_transactions(PATIENCE).unwrap();
    dead.begin_transaction().unwrap();
    dead.send(BaseRecord::to(&topic).partition(0).key(&shop.config.slot).payload("{}")).map_err(|(error, _)| error).unwrap();
    dead.flush(PATIENCE).unwrap();
    std::mem::forget(dead);

    let reader = shop.reader().await;
    ids.extend(shop.orders("after", 2).await);
    shop.await_exactly(&ids).await;
    shop.end([reader]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undecided_transaction_is_reported_with_what_to_do() {
    let Some(broker) = Broker::shared() else { return };
    let prefix = prefix("standstill");
    let log = open(broker, &prefix).await;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &broker.address).set("transaction.timeout.ms", "600000");
    let stranger: BaseProducer = client.set("transactional.id", format!("{prefix}stranger")).create().unwrap();
    stranger.init_transactions(PATIENCE).unwrap();
    stranger.begin_transaction().unwrap();
    let name = format!("{prefix}products");
    stranger.send(BaseRecord::to(&name).partition(2).key("a").payload("undecided")).map_err(|(error, _)| error).unwrap();
    stranger.flush(PATIENCE).unwrap();

    let said = within(async {
        let at = TopicPartition::new(Topic::Products, 2);
        let mut reader = log.reader(&[(at, Start::Beginning)], Stop::AtEnd).await.unwrap();
        loop {
            if let Err(error) = reader.read(10, Duration::from_secs(1)).await {
                return error.to_string();
            }
        }
    })
    .await;
    let advice = format!("--topic {prefix}products --partition 2 --start-offset 0");
    assert!(said.contains("stands still at offset 0") && said.contains(&advice), "{said}");
    let trouble = troubled(&*log).await;
    assert!(trouble.contains(&advice), "{trouble}");
    stranger.abort_transaction(PATIENCE).unwrap();
    within(async {
        while log.trouble().is_some() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}
