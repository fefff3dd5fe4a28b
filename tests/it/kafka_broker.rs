//! The tests' broker itself: it serves transactions, restarts with its data, and leaves nothing behind.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::support::kafka::{Broker, is_there, prefix};

/// How long the watcher may take to end a broker and delete its folder.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// How long a broker may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config
}

fn cluster_of(address: &str) -> String {
    let consumer: BaseConsumer = client(address).create().unwrap();
    let metadata = consumer.client().fetch_metadata(None, ANSWERS_WITHIN).unwrap();
    assert_eq!(metadata.brokers().len(), 1);
    consumer.client().fetch_cluster_id(ANSWERS_WITHIN).unwrap()
}

#[tokio::test]
async fn the_shared_broker_serves_transactions() {
    let Some(broker) = Broker::shared() else { return };
    let name = prefix("broker") + "topic";
    let admin: AdminClient<_> = client(&broker.address).create().unwrap();
    let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
    admin.create_topics([&topic], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();

    let producer: BaseProducer = client(&broker.address).set("transactional.id", &name).create().unwrap();
    producer.init_transactions(ANSWERS_WITHIN).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<str, str>::to(&name).key("k").payload("given up")).unwrap();
    producer.flush(ANSWERS_WITHIN).unwrap();
    producer.abort_transaction(ANSWERS_WITHIN).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<str, str>::to(&name).key("k").payload("kept")).unwrap();
    producer.commit_transaction(ANSWERS_WITHIN).unwrap();

    let consumer: BaseConsumer = client(&broker.address).set("group.id", &name).create().unwrap();
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(&name, 0, Offset::Beginning).unwrap();
    consumer.assign(&from).unwrap();
    let read = consumer.poll(ANSWERS_WITHIN).unwrap().unwrap();
    assert_eq!(read.payload(), Some(b"kept".as_slice()), "an aborted record is not read");
}

#[test]
fn a_stopped_or_killed_broker_comes_back_where_it_was() {
    let Some(broker) = Broker::own(&[]) else { return };
    let before = cluster_of(&broker.address);
    for end in [Broker::kill, Broker::stop] {
        end(&broker);
        assert!(TcpStream::connect(&broker.address).is_err(), "the ended broker still listens");
        broker.resume();
        assert_eq!(cluster_of(&broker.address), before);
    }
}

#[tokio::test]
async fn a_broker_ends_with_the_process_that_holds_it() {
    if !is_there() {
        return;
    }
    // Its own process, killed: it cannot clean up.
    let mut worker = crate::support::child::Worker::start("kafka_broker::child", "");
    let said = worker.next("folder ").unwrap();
    let (folder, address) = said.split_once(' ').unwrap();
    assert!(TcpStream::connect(address).is_ok());
    worker.kill("none ");
    let gone = async {
        while Path::new(folder).exists() || TcpStream::connect(address).is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(ENDS_WITHIN, gone).await.is_ok(), "{folder} is still there");
    let left = Command::new("pgrep").args(["-f", "--", folder]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "processes are left");
}

#[tokio::test]
#[ignore = "the child's part of `a_broker_ends_with_the_process_that_holds_it`"]
async fn child() {
    let broker = Broker::own(&[]).unwrap();
    println!("folder {} {}", broker.folder().display(), broker.address);
    std::future::pending::<()>().await;
}
