//! Two sessions of one group in a process, and commits that end without an answer.

use std::time::Duration;

use kartshoppe::log::{Batch, EventLog, LogError, Polled, TopicPartition};
use kartshoppe::wire::topics::Topic;
use rusqlite::Connection;

use super::{file, open};
use crate::support::log::{PATIENCE, append, assigned, batch, polled, position, read_all, record_at, session, text, within};

const INPUT: TopicPartition = TopicPartition { topic: Topic::OrderEvents, partition: 0 };
const OUTPUT: TopicPartition = TopicPartition { topic: Topic::InventoryEvents, partition: 0 };

#[tokio::test]
async fn the_newest_session_of_a_group_takes_over_and_hands_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    append(&log, (0..4).map(|number| record_at(INPUT, "a", &number.to_string())).collect()).await;
    let older = session(&log, "older", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*older).await;
    polled(&*older, 2).await;
    let newer = session(&log, "newer", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*newer).await;
    assert_eq!(log.live_members("inventory").await.unwrap(), 2);

    let late = Batch { records: vec![record_at(OUTPUT, "a", "late")], positions: position(INPUT, 2, "") };
    assert!(matches!(older.commit(late).await, Err(LogError::Aborted(_))));
    assert!(matches!(within(older.poll(1, PATIENCE)).await, Ok(Polled::Lost(partitions)) if partitions == [0, 1, 2, 3]));
    assert!(matches!(older.poll(1, Duration::ZERO).await, Ok(Polled::Idle)));

    polled(&*newer, 3).await;
    newer.commit(Batch { records: Vec::new(), positions: position(INPUT, 3, "") }).await.unwrap();
    newer.close().await.unwrap();
    assigned(&*older).await;
    assert_eq!(polled(&*older, 1).await.iter().map(text).collect::<Vec<_>>(), ["3"]);
    assert!(read_all(&log, OUTPUT.topic).await.is_empty());
    log.close().await;
}

#[tokio::test]
async fn a_session_that_missed_a_takeover_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    append(&log, (0..4).map(|number| record_at(INPUT, "a", &number.to_string())).collect()).await;
    let older = session(&log, "older", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*older).await;
    polled(&*older, 4).await;
    let newer = session(&log, "newer", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*newer).await;
    newer.commit(Batch { records: Vec::new(), positions: position(INPUT, 3, "") }).await.unwrap();
    drop(newer);
    assert!(
        matches!(older.commit(batch(Vec::new())).await, Err(LogError::Aborted(_))),
        "it must not commit before it has looked"
    );
    assert!(matches!(within(older.poll(1, PATIENCE)).await, Ok(Polled::Lost(_))));
    assigned(&*older).await;
    assert_eq!(polled(&*older, 1).await[0].offset, 3);
    log.close().await;
}

/// Another program holds SQLite's write lock: a commit waits, an append times out, and nothing is written twice or in part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_settled_by_a_new_assignment() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    append(&log, vec![record_at(INPUT, "a", "0")]).await;
    let worker = session(&log, "worker", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*worker).await;
    polled(&*worker, 1).await;

    let intruder = Connection::open(file(folder.path())).unwrap();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let one = Batch { records: vec![record_at(OUTPUT, "a", "one")], positions: position(INPUT, 1, "") };
    let dropped = tokio::time::timeout(Duration::from_millis(50), worker.commit(one)).await;
    assert!(dropped.is_err(), "no session can commit now");
    let late = log.append(vec![record_at(OUTPUT, "a", "two")], Duration::from_millis(50)).await;
    assert!(matches!(late, Err(LogError::Deadline { waited }) if waited == Duration::from_millis(50)), "{late:?}");
    intruder.execute_batch("ROLLBACK").unwrap();

    assert!(matches!(within(worker.poll(1, PATIENCE)).await, Ok(Polled::Lost(_))));
    let assignments = assigned(&*worker).await;
    // The assignment waited behind both: by now they have completed.
    assert_eq!(assignments[0].positions[&INPUT.topic].offset, 1);
    assert_eq!(read_all(&log, OUTPUT.topic).await.iter().map(text).collect::<Vec<_>>(), ["one", "two"]);
    log.close().await;
}

/// The lock is held for longer than a commit waits: the commit is aborted, and the session is unaffected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_commit_leaves_the_session_usable() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    append(&log, vec![record_at(INPUT, "a", "0")]).await;
    let worker = session(&log, "worker", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*worker).await;
    polled(&*worker, 1).await;
    let intruder = Connection::open(file(folder.path())).unwrap();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let one = || Batch { records: vec![record_at(OUTPUT, "a", "one")], positions: position(INPUT, 1, "") };
    let aborted = within(worker.commit(one())).await;
    assert!(matches!(&aborted, Err(LogError::Aborted(_))), "{aborted:?}");
    intruder.execute_batch("ROLLBACK").unwrap();
    assert!(read_all(&log, OUTPUT.topic).await.is_empty());
    worker.rewind(&[0]).await.unwrap();
    polled(&*worker, 1).await;
    worker.commit(one()).await.unwrap();
    assert_eq!(read_all(&log, OUTPUT.topic).await.len(), 1);
    log.close().await;
}
