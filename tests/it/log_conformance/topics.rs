//! Topics come and go.

use kartshoppe::log::{Batch, LogError, Start, Stop, TopicPartition};
use kartshoppe::wire::topics::Topic;

use super::Harness;
use crate::support::log::{PATIENCE, append, assigned, position, read_all, record, record_at, session};

pub async fn topics_are_made_once(harness: &mut dyn Harness) {
    let log = harness.log();
    assert!(log.create_topics(&Topic::ALL).await.unwrap().is_empty(), "all of them exist");
    assert_eq!(log.partitions(), 4);
    append(&*log, vec![record_at(TopicPartition::new(Topic::Products, 3), "a", "x")]).await;
    let topics = log.topics().await.unwrap();
    assert_eq!(topics.len(), Topic::ALL.len());
    for info in topics {
        let expected = info.topic.partitions().among(4);
        assert_eq!(info.partitions.len(), usize::try_from(expected).unwrap(), "{}", info.topic);
        let ends: Vec<_> = info.partitions.iter().map(|partition| partition.end).collect();
        assert_eq!(ends.iter().sum::<i64>(), i64::from(info.topic == Topic::Products), "{}", info.topic);
    }
}

pub async fn a_deleted_topic_starts_empty(harness: &mut dyn Harness) {
    let log = harness.log();
    let id = log.id().await.unwrap();
    let at = TopicPartition::new(Topic::OrderEvents, 0);
    append(&*log, vec![record_at(at, "a", "old"); 5]).await;
    let worker = session(&*log, "worker", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*worker).await;
    worker.commit(Batch { records: Vec::new(), positions: position(at, 5, "old") }).await.unwrap();
    worker.close().await.unwrap();

    log.delete_topics(&[Topic::OrderEvents]).await.unwrap();
    assert_eq!(log.id().await.unwrap(), id, "the rest of the log is still the same");
    let gone = log.append(vec![record(Topic::OrderEvents, "a", "x")], PATIENCE).await;
    assert!(matches!(gone, Err(LogError::UnknownTopic(name)) if name == "order-events"));
    assert_eq!(log.create_topics(&[Topic::OrderEvents, Topic::Products]).await.unwrap(), [Topic::OrderEvents]);
    assert!(log.committed("inventory").await.unwrap().is_empty());
    assert!(read_all(&*log, Topic::OrderEvents).await.is_empty());
    assert_eq!(append(&*log, vec![record_at(at, "a", "new")]).await[0].offset, 0);

    log.delete_topics(&Topic::ALL).await.unwrap();
    assert!(log.topics().await.unwrap().is_empty());
    log.create_topics(&Topic::ALL).await.unwrap();
    assert_ne!(log.id().await.unwrap(), id, "a log that was emptied is another one");
}

pub async fn an_unknown_topic_is_named(harness: &mut dyn Harness) {
    let log = harness.log();
    log.delete_topics(&[Topic::BasketPatterns]).await.unwrap();
    let at = TopicPartition::new(Topic::BasketPatterns, 0);
    let reader = log.reader(&[(at, Start::Beginning)], Stop::AtEnd).await.err();
    let append = log.append(vec![record_at(at, "a", "x")], PATIENCE).await.err();
    for error in [reader, append] {
        assert!(matches!(&error, Some(LogError::UnknownTopic(name)) if name.contains("basket-patterns")), "{error:?}");
    }
}
