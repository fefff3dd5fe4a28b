//! The contract of the event log, on an embedded log in a temporary folder: `cargo run --example log_contract`.
//!
//! An order comes in, a session reads it, and commits the order's outcome together with its position. A session that opens later
//! goes on after that order, and readers see the outcome once. Against Kafka only the opening of the log would be different.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use anyhow::{Context, bail};
use kartshoppe::clock::Clock;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::log::{
    Assignment, Batch, EventLog, Headers, LogError, NewRecord, Polled, Position, Record, Session, SessionConfig, Start, Stop,
    Topic, read_topics,
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // The callers of a log know the trait only; the tests of the contract run against both implementations.
    let embedded = EmbeddedLog::open(EmbeddedConfig::new(folder.path(), 4), Clock::system()).await?;
    let log: &dyn EventLog = &embedded;
    log.create_topics(&[Topic::OrderEvents, Topic::InventoryEvents]).await?;

    // A plain append. The key chooses the partition, as it does for a Java producer.
    let appended = log.append(vec![record(Topic::OrderEvents, "PROD_0001", "buy 2")], PATIENCE).await?;
    println!("appended to order-events/{} at offset {}", appended[0].partition, appended[0].offset);

    // A session is a member of a group. Its first poll assigns partitions, with the committed position of each: none so far.
    let first = log.session(shop()).await?;
    println!("the first session starts at {:?}", positions(&assignment(&*first).await?));
    let orders = records(&*first).await?;

    // Outputs and input positions are one commit: both are durable when it returns, or neither is.
    let order = orders.first().context("an order")?;
    let outcome = record(Topic::InventoryEvents, "PROD_0001", "2 allocated");
    let next = Position { offset: order.offset + 1, metadata: "any short text".to_owned() };
    let batch = Batch { records: vec![outcome], positions: [(order.topic_partition(), next)].into() };
    first.commit(batch).await?;

    // A second session of the same identity fences the first, and goes on behind what was committed.
    let second = log.session(shop()).await?;
    println!("the second session starts at {:?}", positions(&assignment(&*second).await?));
    match first.commit(Batch { records: vec![record(Topic::InventoryEvents, "PROD_0001", "late")], ..Batch::default() }).await {
        Err(LogError::Fenced { identity }) => println!("the first session of {identity} is fenced: its late commit left nothing"),
        other => bail!("expected the first session to be fenced, not {other:?}"),
    }
    log.append(vec![record(Topic::OrderEvents, "PROD_0001", "buy 1")], PATIENCE).await?;
    println!("the second session reads {:?}", values(&records(&*second).await?));

    // A reader belongs to no group, and sees committed records only.
    let mut reader = read_topics(log, &[Topic::InventoryEvents], Start::Beginning, Stop::AtEnd).await?;
    let mut outcomes = Vec::new();
    while !reader.caught_up() {
        outcomes.extend(reader.read(100, PATIENCE).await?);
    }
    println!("a reader sees {:?}", values(&outcomes));

    second.close().await?;
    embedded.close().await;
    Ok(())
}

/// Identity and group of the sessions, what they read, and what their commits may write to.
fn shop() -> SessionConfig {
    SessionConfig {
        identity: "shop-1".to_owned(),
        group: Some("shop".to_owned()),
        topics: vec![Topic::OrderEvents],
        writes: vec![Topic::InventoryEvents],
    }
}

fn record(topic: Topic, key: &'static str, value: &'static str) -> NewRecord {
    NewRecord { topic, partition: None, key: Some(key.into()), value: Some(value.into()), headers: Headers::none() }
}

/// Polls until partitions are assigned.
async fn assignment(session: &dyn Session) -> anyhow::Result<Vec<Assignment>> {
    loop {
        match session.poll(100, PATIENCE).await? {
            Polled::Assigned(assignments) => return Ok(assignments),
            Polled::Idle => bail!("no partitions were assigned"),
            Polled::Records(_) | Polled::Revoked(_) | Polled::Lost(_) => {}
        }
    }
}

/// Polls until records come.
async fn records(session: &dyn Session) -> anyhow::Result<Vec<Record>> {
    loop {
        match session.poll(100, PATIENCE).await? {
            Polled::Records(records) => return Ok(records),
            Polled::Idle => bail!("no records came"),
            Polled::Assigned(_) | Polled::Revoked(_) | Polled::Lost(_) => {}
        }
    }
}

/// The committed positions in an assignment, as `partition: offset, text`.
fn positions(assignments: &[Assignment]) -> Vec<String> {
    let committed = assignments.iter().flat_map(|one| one.positions.values().map(move |position| (one.partition, position)));
    committed.map(|(partition, position)| format!("{partition}: {}, {}", position.offset, position.metadata)).collect()
}

fn values(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()).collect()
}
