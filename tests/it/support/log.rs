//! Helpers for tests on any event log.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use kartshoppe::log::{
    Appended, Assignment, Batch, EventLog, Headers, NewRecord, Offset, Polled, Position, Positions, Record, Session,
    SessionConfig, Start, Stop, TopicPartition, read_topics,
};
use kartshoppe::wire::topics::Topic;

/// Longer than any step may ever take; only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Fails if the future hangs.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

/// A record without headers, its partition chosen by the key.
pub fn record(topic: Topic, key: &str, value: &str) -> NewRecord {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
    NewRecord { topic, partition: None, key: Some(key), value: Some(value), headers: Headers::none() }
}

/// A record for this very partition.
pub fn record_at(at: TopicPartition, key: &str, value: &str) -> NewRecord {
    NewRecord { partition: Some(at.partition), ..record(at.topic, key, value) }
}

/// The value as text.
pub fn text(record: &Record) -> &str {
    std::str::from_utf8(record.value.as_ref().unwrap()).unwrap()
}

/// Appends with a long time limit.
pub async fn append(log: &dyn EventLog, records: Vec<NewRecord>) -> Vec<Appended> {
    log.append(records, PATIENCE).await.unwrap()
}

/// Everything in a topic, up to its current end.
pub async fn read_all(log: &dyn EventLog, topic: Topic) -> Vec<Record> {
    within(async {
        let mut reader = read_topics(log, &[topic], Start::Beginning, Stop::AtEnd).await.unwrap();
        let mut all = Vec::new();
        while !reader.caught_up() {
            all.extend(reader.read(1000, PATIENCE).await.unwrap());
        }
        all
    })
    .await
}

/// Everything in one partition from a start on, up to its current end.
pub async fn read_from(log: &dyn EventLog, at: TopicPartition, start: Start) -> Vec<Record> {
    within(async {
        let mut reader = log.reader(&[(at, start)], Stop::AtEnd).await.unwrap();
        let mut all = Vec::new();
        while !reader.caught_up() {
            all.extend(reader.read(1000, PATIENCE).await.unwrap());
        }
        all
    })
    .await
}

/// A session of the group `group` that reads `topics`.
pub async fn session(log: &dyn EventLog, identity: &str, group: &str, topics: &[Topic]) -> Box<dyn Session> {
    let writes = Topic::ALL.into_iter().filter(|topic| topic.is_ours()).collect();
    let config = SessionConfig { identity: identity.to_owned(), group: Some(group.to_owned()), topics: topics.to_vec(), writes };
    within(log.session(config)).await.unwrap()
}

/// Polls until partitions are assigned.
pub async fn assigned(session: &dyn Session) -> Vec<Assignment> {
    within(async {
        loop {
            match session.poll(1000, PATIENCE).await.unwrap() {
                Polled::Assigned(assignments) => return assignments,
                Polled::Idle | Polled::Lost(_) | Polled::Revoked(_) => {}
                Polled::Records(records) => panic!("records before an assignment: {records:?}"),
            }
        }
    })
    .await
}

/// Polls until `count` records have arrived.
pub async fn polled(session: &dyn Session, count: usize) -> Vec<Record> {
    within(async {
        let mut all = Vec::new();
        while all.len() < count {
            match session.poll(count - all.len(), PATIENCE).await.unwrap() {
                Polled::Records(records) => all.extend(records),
                Polled::Idle => {}
                other @ (Polled::Assigned(_) | Polled::Revoked(_) | Polled::Lost(_)) => panic!("expected records, got {other:?}"),
            }
        }
        all
    })
    .await
}

/// Positions after these records, with a metadata text.
pub fn positions_after(records: &[Record], metadata: &str) -> Positions {
    let mut positions: BTreeMap<TopicPartition, Position> = BTreeMap::new();
    for record in records {
        let position = Position { offset: record.offset + 1, metadata: metadata.to_owned() };
        positions.insert(record.topic_partition(), position);
    }
    positions
}

/// One position.
pub fn position(at: TopicPartition, offset: Offset, metadata: &str) -> Positions {
    [(at, Position { offset, metadata: metadata.to_owned() })].into()
}

/// A batch without positions.
pub fn batch(records: Vec<NewRecord>) -> Batch {
    Batch { records, positions: Positions::new() }
}

/// Waits until the log reports a trouble.
pub async fn troubled(log: &dyn EventLog) -> String {
    within(async {
        loop {
            if let Some(trouble) = log.trouble() {
                return trouble;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}
