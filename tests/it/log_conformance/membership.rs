//! Sessions: assignment, fencing, leaving, rewinding.

use std::collections::BTreeSet;
use std::time::Duration;

use kartshoppe::log::{Batch, LogError, Polled, Positions, SessionConfig, TopicPartition};
use kartshoppe::wire::topics::Topic;

use super::Harness;
use crate::support::log::{
    PATIENCE, append, assigned, batch, polled, position, positions_after, read_all, record, record_at, session, text, within,
};

const INPUT: TopicPartition = TopicPartition { topic: Topic::OrderEvents, partition: 0 };
const BOTH: [Topic; 2] = [Topic::ProductUpdates, Topic::OrderEvents];

pub async fn the_first_poll_assigns_and_the_next_reads_on(harness: &mut dyn Harness) {
    let log = harness.log();
    let reader = session(&*log, "worker", "inventory", &BOTH).await;
    let partitions: Vec<_> = assigned(&*reader).await.iter().map(|assignment| assignment.partition).collect();
    assert_eq!(partitions, [0, 1, 2, 3]);
    assert!(matches!(reader.poll(10, Duration::ZERO).await, Ok(Polled::Idle)));
    append(&*log, (0..10).map(|number| record(BOTH[number % 2], &number.to_string(), "x")).collect()).await;
    let Polled::Records(some) = within(reader.poll(3, PATIENCE)).await.unwrap() else { panic!("records were waiting") };
    assert!(!some.is_empty() && some.len() <= 3, "a poll gives at most what was asked for");
    let rest = polled(&*reader, 10 - some.len()).await;
    let places: BTreeSet<_> = some.iter().chain(&rest).map(|record| (record.topic_partition(), record.offset)).collect();
    assert_eq!(places.len(), 10, "each record once");
}

pub async fn a_newer_session_fences_the_older(harness: &mut dyn Harness) {
    let log = harness.log();
    let older = session(&*log, "worker", "inventory", &BOTH).await;
    assigned(&*older).await;
    let newer = session(&*log, "worker", "inventory", &BOTH).await;
    let fenced = older.commit(batch(vec![record(Topic::Products, "a", "x")])).await;
    assert!(matches!(fenced, Err(LogError::Fenced { .. })));
    assert!(matches!(within(older.poll(1, PATIENCE)).await, Err(LogError::Fenced { .. })));
    assert!(matches!(older.rewind(&[0]).await, Err(LogError::Fenced { .. })));
    assigned(&*newer).await;
    newer.commit(batch(vec![record(Topic::Products, "a", "x")])).await.unwrap();
    let unrelated = session(&*log, "another", "another", &BOTH).await;
    assigned(&*unrelated).await;
    newer.commit(batch(vec![record(Topic::Products, "a", "x")])).await.unwrap();
}

pub async fn a_session_that_leaves_is_followed_at_once(harness: &mut dyn Harness) {
    let log = harness.log();
    append(&*log, (0..4).map(|number| record_at(INPUT, "a", &number.to_string())).collect()).await;
    let first = session(&*log, "first", "inventory", &BOTH).await;
    assigned(&*first).await;
    let inputs = polled(&*first, 2).await;
    first.commit(Batch { records: Vec::new(), positions: positions_after(&inputs, "") }).await.unwrap();
    polled(&*first, 2).await;
    first.close().await.unwrap();
    assert!(matches!(first.commit(Batch::default()).await, Err(LogError::Closed)));

    let second = session(&*log, "second", "inventory", &BOTH).await;
    assert_eq!(assigned(&*second).await.len(), 4);
    assert_eq!(polled(&*second, 2).await.iter().map(text).collect::<Vec<_>>(), ["2", "3"], "the uncommitted comes again");
}

pub async fn members_are_counted_while_they_live(harness: &mut dyn Harness) {
    let log = harness.log();
    assert_eq!(log.live_members("inventory").await.unwrap(), 0);
    let first = session(&*log, "first", "inventory", &BOTH).await;
    assigned(&*first).await;
    assert_eq!(log.live_members("inventory").await.unwrap(), 1);
    assert_eq!(log.live_members("another").await.unwrap(), 0);
    first.close().await.unwrap();
    assert_eq!(log.live_members("inventory").await.unwrap(), 0);
}

pub async fn a_rewind_brings_the_uncommitted_again(harness: &mut dyn Harness) {
    let log = harness.log();
    append(&*log, (0..6).map(|number| record_at(INPUT, "a", &number.to_string())).collect()).await;
    let other = TopicPartition::new(Topic::OrderEvents, 1);
    append(&*log, vec![record_at(other, "b", "other")]).await;
    let reader = session(&*log, "worker", "inventory", &BOTH).await;
    assigned(&*reader).await;
    polled(&*reader, 7).await;
    reader.rewind(&[0]).await.unwrap();
    assert_eq!(polled(&*reader, 6).await[0].offset, 0, "to the beginning where nothing is committed");
    reader.commit(Batch { records: Vec::new(), positions: position(INPUT, 4, "") }).await.unwrap();
    reader.rewind(&[0]).await.unwrap();
    let again = polled(&*reader, 2).await;
    assert_eq!(again.iter().map(text).collect::<Vec<_>>(), ["4", "5"]);
    assert!(matches!(reader.poll(10, Duration::ZERO).await, Ok(Polled::Idle)), "other partitions stay where they were");
}

pub async fn a_poll_and_a_commit_go_on_together(harness: &mut dyn Harness) {
    const COUNT: usize = 300;
    let log = harness.log();
    append(&*log, (0..COUNT).map(|number| record(Topic::OrderEvents, &number.to_string(), "x")).collect()).await;
    let worker = session(&*log, "worker", "inventory", &BOTH).await;
    assigned(&*worker).await;
    let mut chunk = polled(&*worker, 10).await;
    let mut done = 0;
    while done < COUNT {
        let records = chunk.iter().map(|input| record(Topic::InventoryEvents, &input.offset.to_string(), "y")).collect();
        let commit = worker.commit(Batch { records, positions: positions_after(&chunk, "") });
        let next = worker.poll(10, if done + chunk.len() < COUNT { PATIENCE } else { Duration::ZERO });
        let (committed, next) = within(async { tokio::join!(commit, next) }).await;
        committed.unwrap();
        done += chunk.len();
        match next.unwrap() {
            Polled::Records(records) => chunk = records,
            Polled::Idle => chunk = Vec::new(),
            other @ (Polled::Assigned(_) | Polled::Revoked(_) | Polled::Lost(_)) => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(read_all(&*log, Topic::InventoryEvents).await.len(), COUNT);
    let committed: i64 = log.committed("inventory").await.unwrap().values().map(|position| position.offset).sum();
    assert_eq!(usize::try_from(committed).unwrap(), COUNT);
}

pub async fn a_dropped_poll_loses_nothing(harness: &mut dyn Harness) {
    const COUNT: usize = 2_000;
    let log = harness.log();
    let reader = session(&*log, "worker", "inventory", &BOTH).await;
    assigned(&*reader).await;
    let writer = std::sync::Arc::clone(&log);
    let writing = tokio::spawn(async move {
        for number in 0..COUNT / 20 {
            append(&*writer, (0..20).map(|part| record_at(INPUT, "a", &(number * 20 + part).to_string())).collect()).await;
        }
    });
    let mut seen = Vec::new();
    within(async {
        let mut patience = 0;
        while seen.len() < COUNT {
            patience = (patience + 37) % 1500; // microseconds: sometimes before, sometimes after something has come
            let Ok(got) = tokio::time::timeout(Duration::from_micros(patience), reader.poll(7, PATIENCE)).await else { continue };
            if let Polled::Records(records) = got.unwrap() {
                seen.extend(records.into_iter().map(|record| record.offset));
            }
        }
    })
    .await;
    writing.await.unwrap();
    assert_eq!(seen, (0..i64::try_from(COUNT).unwrap()).collect::<Vec<_>>());
}

pub async fn a_session_without_a_group_only_writes(harness: &mut dyn Harness) {
    let log = harness.log();
    let config = SessionConfig { identity: "cdc".to_owned(), group: None, topics: Vec::new(), writes: vec![Topic::CdcPositions] };
    let writer = log.session(config).await.unwrap();
    writer.commit(Batch { records: vec![record(Topic::CdcPositions, "slot", "1")], positions: Positions::new() }).await.unwrap();
    assert_eq!(read_all(&*log, Topic::CdcPositions).await.len(), 1);
    assert!(matches!(writer.poll(1, Duration::ZERO).await, Ok(Polled::Idle)));
}
