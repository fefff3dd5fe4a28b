//! Durability: `kill -9` and restarts.

use std::collections::BTreeSet;
use std::io::Write;

use kartshoppe::log::{Batch, Start, TopicPartition};
use kartshoppe::wire::topics::Topic;
use rand::{Rng, SeedableRng};

use super::Harness;
use super::harness::open_for_child;
use crate::support::child::Worker;
use crate::support::log::{append, assigned, polled, position, positions_after, read_all, read_from, record_at, session, text};

const INPUT: TopicPartition = TopicPartition { topic: Topic::OrderEvents, partition: 0 };
const OUTPUT: TopicPartition = TopicPartition { topic: Topic::InventoryEvents, partition: 1 };
const APPENDED: TopicPartition = TopicPartition { topic: Topic::EcommerceEvents, partition: 2 };
const ROUNDS: u64 = 8;
/// More than a child writes before it is killed.
const INPUTS: i64 = 20_000;

/// A child writes numbers, each once by a commit and once by an append, and reports which are acknowledged; it is killed at a
/// random one. Every acknowledged number is there, in order and once; its positions match the records.
pub async fn nothing_acknowledged_is_lost_when_the_process_is_killed(harness: &mut dyn Harness) {
    let inputs = (0..INPUTS).map(|number| record_at(INPUT, "a", &number.to_string())).collect();
    append(&*harness.log(), inputs).await;
    let mut random = rand::rngs::StdRng::seed_from_u64(0x5eed);
    for round in 0..ROUNDS {
        harness.close().await;
        let mut child = Worker::start("log_conformance::child", &harness.address());
        let wanted = random.random_range(0..120);
        let mut last = (0..wanted).map(|_| child.next("ack ").unwrap()).last();
        last = child.kill("ack ").pop().or(last);
        harness.reopen().await;
        check(harness, round, last.map(|number| number.parse().unwrap())).await;
    }
}

async fn check(harness: &dyn Harness, round: u64, acknowledged: Option<i64>) {
    let log = harness.log();
    let committed = numbers(read_from(&*log, OUTPUT, Start::Beginning).await.iter().map(text));
    let appended = numbers(read_from(&*log, APPENDED, Start::Beginning).await.iter().map(text));
    let written = i64::try_from(committed.len()).unwrap();
    assert_eq!(committed, (0..written).collect::<Vec<_>>(), "round {round}: every number once and in order");
    assert!(
        acknowledged.is_none_or(|number| number < written),
        "round {round}: {acknowledged:?} was acknowledged, {written} are there"
    );
    let position = log.committed("inventory").await.unwrap().get(&INPUT).map_or(0, |position| position.offset);
    assert_eq!(position, written, "round {round}: outputs and position are one");
    let appended: BTreeSet<i64> = appended.into_iter().collect();
    let missing: Vec<i64> = (0..=acknowledged.unwrap_or(-1)).filter(|number| !appended.contains(number)).collect();
    assert!(missing.is_empty(), "round {round}: the appends {missing:?} were acknowledged and are not there");
}

fn numbers<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<i64> {
    texts.map(|text| text.parse().unwrap()).collect()
}

/// The child: continues from the committed position without end.
pub async fn write_until_killed(address: &str) {
    let log = open_for_child(address).await;
    let worker = session(&*log, "worker", "inventory", &[Topic::OrderEvents]).await;
    let assignments = assigned(&*worker).await;
    let mut number = assignments[0].positions.get(&INPUT.topic).map_or(0, |position| position.offset);
    while number < INPUTS {
        let text = number.to_string();
        let positions = position(INPUT, number + 1, "");
        // The append first: a kill between the two then repeats it, where the other order would omit it.
        append(&*log, vec![record_at(APPENDED, "a", &text)]).await;
        worker.commit(Batch { records: vec![record_at(OUTPUT, "a", &text)], positions }).await.unwrap();
        println!("ack {number}");
        std::io::stdout().flush().unwrap();
        number += 1;
    }
}

pub async fn everything_is_there_after_a_restart(harness: &mut dyn Harness) {
    let log = harness.log();
    let id = log.id().await.unwrap();
    append(&*log, (0..100).map(|number| record_at(INPUT, "a", &number.to_string())).collect()).await;
    let worker = session(&*log, "worker", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*worker).await;
    let inputs = polled(&*worker, 40).await;
    worker
        .commit(Batch { records: vec![record_at(OUTPUT, "a", "x")], positions: positions_after(&inputs, "text") })
        .await
        .unwrap();
    harness.close().await;
    harness.reopen().await;

    let log = harness.log();
    assert_eq!(log.id().await.unwrap(), id);
    assert_eq!(read_all(&*log, Topic::OrderEvents).await.len(), 100);
    let worker = session(&*log, "worker", "inventory", &[Topic::OrderEvents]).await;
    assert_eq!(assigned(&*worker).await[0].positions[&INPUT.topic].metadata, "text");
    assert_eq!(polled(&*worker, 60).await[0].offset, 40);
    assert_eq!(append(&*log, vec![record_at(INPUT, "a", "new")]).await[0].offset, 100);
}
