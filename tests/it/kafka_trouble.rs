//! Problems of a Kafka are reported with advice, at once or when they begin; the shop keeps waiting where that helps.

use std::sync::Arc;

use kartshoppe::log::kafka::{KafkaConfig, KafkaLog};
use kartshoppe::log::{EventLog, LogError, Session};
use kartshoppe::wire::topics::Topic;

use crate::support::kafka::{Broker, prefix};
use crate::support::log::{PATIENCE, append, assigned, polled, record, session, troubled, within};

const INPUTS: [Topic; 2] = [Topic::ProductUpdates, Topic::OrderEvents];

fn config(broker: &str, prefix: &str, partitions: i32) -> KafkaConfig {
    let (bootstrap_servers, topic_prefix) = (broker.to_owned(), prefix.to_owned());
    KafkaConfig { bootstrap_servers, topic_prefix, properties: [].into(), partitions }
}

/// A log with its topics made and looked after.
async fn overseen(broker: &Broker, prefix: &str, partitions: i32) -> Arc<KafkaLog> {
    let log = Arc::new(KafkaLog::open(config(&broker.address, prefix, partitions)).await.unwrap());
    log.oversee().await;
    log
}

/// Polls until the session reports what it refuses.
async fn refusal(session: &dyn Session) -> String {
    within(async {
        loop {
            if let Err(LogError::Refused(reason)) = session.poll(10, PATIENCE).await {
                return reason;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_broker_that_is_down_is_waited_for_and_named() {
    let log = KafkaLog::open(config("127.0.0.1:1", "", 4)).await.unwrap();
    let error = within(log.topics()).await.unwrap_err();
    assert!(matches!(error, LogError::Unavailable(_)) && error.is_retryable(), "{error}");
    let trouble = log.trouble().unwrap();
    assert!(trouble.contains("127.0.0.1:1") && trouble.contains("KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS"), "{trouble}");
}

#[tokio::test]
async fn a_property_that_no_client_knows_ends_the_start() {
    let mut config = config("127.0.0.1:1", "", 4);
    config.properties.insert("sasl.pasword".to_owned(), "x".to_owned());
    let Err(LogError::Refused(reason)) = KafkaLog::open(config).await else { panic!("it was taken") };
    assert!(reason.contains("sasl.pasword") && reason.contains("KARTSHOPPE__KAFKA__PROPERTIES__"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_number_of_partitions_is_refused() {
    let Some(broker) = Broker::shared() else { return };
    let prefix = prefix("counts");
    let four = overseen(broker, &prefix, 4).await;
    let worker = session(&*four, "worker", "inventory", &INPUTS).await;
    assigned(&*worker).await;
    let six = overseen(broker, &prefix, 6).await;
    let refused = troubled(&*six).await;
    assert!(refused.contains("has 4 partitions, not 6") && refused.contains("KARTSHOPPE__INVENTORY__PARTITIONS"), "{refused}");
    assert_eq!(four.trouble(), None, "the other process goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_deleted_while_the_shop_runs_is_named_and_a_recreated_one_is_refused() {
    let Some(broker) = Broker::shared() else { return };
    let log = overseen(broker, &prefix("gone"), 4).await;
    let worker = session(&*log, "worker", "inventory", &INPUTS).await;
    assigned(&*worker).await;
    append(&*log, vec![record(Topic::OrderEvents, "a", "x")]).await;
    polled(&*worker, 1).await;
    log.delete_topics(&[Topic::OrderEvents]).await.unwrap();
    let reason = refusal(&*worker).await;
    assert!(reason.contains("order-events is missing") && reason.contains("kartshoppe topics create"), "{reason}");
    log.create_topics(&[Topic::OrderEvents]).await.unwrap();
    let reason = within(async {
        loop {
            let reason = refusal(&*worker).await;
            if !reason.contains("missing") {
                return reason;
            }
        }
    })
    .await;
    assert!(reason.contains("order-events was deleted and recreated") && reason.contains("make reset"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_resumes_after_a_broker_was_killed_and_restarted() {
    let Some(broker) = Broker::own(&[]) else { return };
    let log = overseen(&broker, "", 4).await;
    let worker = session(&*log, "worker", "inventory", &INPUTS).await;
    assigned(&*worker).await;
    append(&*log, (0..10).map(|number| record(Topic::OrderEvents, &number.to_string(), "x")).collect()).await;
    polled(&*worker, 10).await;
    broker.kill();
    let while_down =
        worker.commit(kartshoppe::log::Batch { records: vec![record(Topic::Products, "a", "x")], ..Default::default() });
    assert!(within(while_down).await.is_err(), "nothing is committed while the broker is down");
    broker.resume();
    assert_eq!(assigned(&*worker).await.len(), 4);
    polled(&*worker, 10).await;
    worker
        .commit(kartshoppe::log::Batch { records: vec![record(Topic::Products, "a", "y")], ..Default::default() })
        .await
        .unwrap();
    assert!(log.setbacks().renewed > 0);
    assert_eq!(log.trouble(), None);
}
