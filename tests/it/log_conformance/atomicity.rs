//! Outputs and positions are there together or not at all.

use kartshoppe::log::{Batch, LogError, Start, Stop, TopicPartition, read_topics};
use kartshoppe::wire::topics::Topic;

use super::Harness;
use crate::support::log::{
    PATIENCE, append, assigned, batch, polled, position, positions_after, read_all, record, record_at, session, text, within,
};

const INPUT: TopicPartition = TopicPartition { topic: Topic::OrderEvents, partition: 1 };

pub async fn a_commit_is_visible_with_all_its_parts(harness: &mut dyn Harness) {
    let log = harness.log();
    append(&*log, vec![record_at(INPUT, "a", "1"), record_at(INPUT, "b", "2")]).await;
    let session = session(&*log, "worker", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*session).await;
    let inputs = polled(&*session, 2).await;
    let records = vec![record(Topic::InventoryEvents, "a", "event"), record(Topic::Products, "a", "state")];
    session.commit(Batch { records, positions: positions_after(&inputs, "peak=7") }).await.unwrap();
    assert_eq!(read_all(&*log, Topic::InventoryEvents).await.len(), 1);
    assert_eq!(read_all(&*log, Topic::Products).await.len(), 1);
    assert_eq!(log.committed("inventory").await.unwrap(), position(INPUT, 2, "peak=7"));
}

pub async fn a_refused_batch_leaves_nothing(harness: &mut dyn Harness) {
    let log = harness.log();
    append(&*log, vec![record_at(INPUT, "a", "1")]).await;
    let session = session(&*log, "worker", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*session).await;
    let nowhere = TopicPartition::new(Topic::InventoryEvents, 99);
    let records = vec![record(Topic::InventoryEvents, "a", "good"), record_at(nowhere, "a", "bad")];
    let refused = session.commit(Batch { records, positions: position(INPUT, 1, "") }).await;
    assert!(refused.is_err());
    assert_eq!(read_all(&*log, Topic::InventoryEvents).await.len(), 0);
    assert!(log.committed("inventory").await.unwrap().is_empty());

    assert_eq!(assigned(&*session).await.len(), 4, "after an unclear result everything is assigned again");
    let inputs = polled(&*session, 1).await;
    let records = vec![record(Topic::InventoryEvents, "a", "good")];
    session.commit(Batch { records, positions: positions_after(&inputs, "") }).await.unwrap();
    assert_eq!(read_all(&*log, Topic::InventoryEvents).await.len(), 1);
}

pub async fn a_fenced_session_leaves_nothing(harness: &mut dyn Harness) {
    let log = harness.log();
    append(&*log, vec![record_at(INPUT, "a", "1")]).await;
    let zombie = session(&*log, "worker", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*zombie).await;
    polled(&*zombie, 1).await;
    let heir = session(&*log, "worker", "inventory", &[Topic::OrderEvents]).await;
    let late = Batch { records: vec![record(Topic::InventoryEvents, "a", "late")], positions: position(INPUT, 1, "") };
    assert!(matches!(zombie.commit(late).await, Err(LogError::Fenced { identity }) if identity.ends_with("worker")));
    assigned(&*heir).await;
    assert_eq!(polled(&*heir, 1).await[0].offset, 0, "the heir begins where the zombie's last commit left it");
    assert_eq!(read_all(&*log, Topic::InventoryEvents).await.len(), 0);
}

pub async fn positions_move_with_their_commit_only(harness: &mut dyn Harness) {
    let log = harness.log();
    append(&*log, (0..5).map(|number| record_at(INPUT, "a", &number.to_string())).collect()).await;
    let first = session(&*log, "first", "inventory", &[Topic::OrderEvents]).await;
    assert!(assigned(&*first).await.iter().all(|assignment| assignment.positions.is_empty()));
    polled(&*first, 5).await;
    assert!(log.committed("inventory").await.unwrap().is_empty(), "polling alone moves nothing");
    let long = "ü".repeat(2000);
    first.commit(Batch { records: Vec::new(), positions: position(INPUT, 3, &long) }).await.unwrap();
    first.close().await.unwrap();

    let second = session(&*log, "second", "inventory", &[Topic::OrderEvents]).await;
    let assignments = assigned(&*second).await;
    let ours = assignments.iter().find(|assignment| assignment.partition == INPUT.partition).unwrap();
    assert_eq!((ours.positions[&INPUT.topic].offset, &ours.positions[&INPUT.topic].metadata), (3, &long));
    assert_eq!(polled(&*second, 2).await.iter().map(text).collect::<Vec<_>>(), ["3", "4"]);

    second.commit(Batch { records: Vec::new(), positions: position(INPUT, 4, "") }).await.unwrap();
    let other = log.committed("another group").await.unwrap();
    assert!(other.is_empty(), "groups know nothing of each other");
    assert_eq!(log.committed("inventory").await.unwrap(), position(INPUT, 4, ""));
}

/// Once a commit has returned, all of it can be read, with nothing else happening.
pub async fn a_commit_that_returned_is_there_as_a_whole(harness: &mut dyn Harness) {
    let log = harness.log();
    let session = session(&*log, "worker", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*session).await;
    let topics = [Topic::InventoryEvents, Topic::Products];
    let mut reader = read_topics(&*log, &topics, Start::End, Stop::Never).await.unwrap();
    for number in 0..40 {
        let records = (0..8).map(|key| record(topics[key % 2], &key.to_string(), &number.to_string()));
        session.commit(batch(records.collect())).await.unwrap();
        let mut seen = 0;
        while seen < 8 {
            let records = within(reader.read(100, PATIENCE)).await.unwrap();
            assert!(!records.is_empty() && records.iter().all(|record| text(record) == number.to_string()), "{records:?}");
            seen += records.len();
        }
        assert_eq!(seen, 8);
    }
}
