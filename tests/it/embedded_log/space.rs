//! Room on the disk: the file stays bounded, and a full disk costs nothing that was acknowledged.

use std::io::Write;

use kartshoppe::clock::Clock;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::log::{Batch, EventLog, LogError, Start, Stop, TopicPartition, read_topics};
use kartshoppe::telemetry::alarms::{Alarms, Cause};
use kartshoppe::wire::topics::Topic;

use super::{open, open_with};
use crate::support::child::{Worker, folder_bytes, task};
use crate::support::disk::SmallDisk;
use crate::support::log::{PATIENCE, append, assigned, batch, polled, position, read_all, read_from, record_at, session, text};

const PRODUCT: TopicPartition = TopicPartition { topic: Topic::Products, partition: 0 };
const EVENTS: TopicPartition = TopicPartition { topic: Topic::InventoryEvents, partition: 0 };

/// One key written over and over, like the most popular product: compaction keeps up by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_stays_bounded_while_one_key_is_written() {
    const BATCHES: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(
        EmbeddedConfig { compact_after: 2_000, fsync: false, ..EmbeddedConfig::new(folder.path(), 4) },
        Clock::system(),
    )
    .await;
    let value = "x".repeat(400);
    let mut sizes = Vec::new();
    for number in 0..BATCHES {
        append(&log, vec![record_at(PRODUCT, "PROD_0001", &value); 1_000]).await;
        if number % 20 == 19 {
            log.keep_house().await.unwrap();
            sizes.push(folder_bytes(folder.path()));
        }
    }
    let written = u64::try_from(BATCHES * 1_000 * 400).unwrap();
    let largest = *sizes.iter().max().unwrap();
    assert!(largest < written / 2, "{written} bytes were written, the folder takes {sizes:?}");
    assert_eq!(sizes.last().unwrap(), &sizes[sizes.len() / 2], "it does not grow any more: {sizes:?}");
    let left = read_all(&log, Topic::Products).await;
    assert_eq!((left.len(), left[0].offset), (1, i64::try_from(BATCHES * 1_000 - 1).unwrap()));
    log.close().await;
}

/// Topics that anonymous clients can write are bounded in bytes: the oldest records are deleted first, also those from before a
/// restart, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracked_topics_keep_their_newest_bytes() {
    const BUDGET: u64 = 4 << 20;
    let folder = tempfile::tempdir().unwrap();
    let config = || EmbeddedConfig { fsync: false, tracked_bytes: Some(BUDGET), ..EmbeddedConfig::new(folder.path(), 4) };
    let (cart, value) = (TopicPartition { topic: Topic::ShoppingCartEvents, partition: 1 }, "x".repeat(10_000));
    let (mut sizes, mut written) = (Vec::new(), 0);
    for restart in 0..3 {
        let log = open_with(config(), Clock::system()).await;
        append(&log, vec![record_at(EVENTS, "kept", &value); 10]).await;
        for _ in 0..5 {
            append(&log, vec![record_at(cart, "a", &value); 200]).await;
            written += 200;
            log.keep_house().await.unwrap();
            sizes.push(folder_bytes(folder.path()));
        }
        let left = read_all(&log, Topic::ShoppingCartEvents).await;
        let bytes: usize = left.iter().map(|record| record.value.as_ref().unwrap().len()).sum();
        assert_eq!(left.last().unwrap().offset, written - 1, "the newest stay");
        // A quarter of the budget for one of four partitions.
        assert!(bytes as u64 <= BUDGET / 4 && bytes as u64 > BUDGET / 4 - 20_000, "{bytes} bytes are left");
        assert_eq!(read_all(&log, Topic::InventoryEvents).await.len(), 10 * (restart + 1));
        log.close().await;
    }
    assert!(sizes.iter().all(|size| *size < 24 << 20), "the file grows on: {sizes:?}");
}

/// Compaction starts by itself once enough was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_starts_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(EmbeddedConfig { compact_after: 500, ..EmbeddedConfig::new(folder.path(), 4) }, Clock::system()).await;
    append(&log, vec![record_at(PRODUCT, "PROD_0001", "x"); 1_000]).await;
    crate::support::log::within(async {
        while read_from(&log, PRODUCT, Start::Beginning).await.len() > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    log.close().await;
}

/// A reader at an old position does not keep the WAL from restarting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wal_stays_bounded_under_open_readers() {
    // Half of what is written: on a loaded machine the checkpoint comes later, but it comes.
    const LIMIT: u64 = 150 << 20;
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(EmbeddedConfig { fsync: false, ..EmbeddedConfig::new(folder.path(), 4) }, Clock::system()).await;
    let mut slow = read_topics(&log, &[Topic::InventoryEvents], Start::Beginning, Stop::Never).await.unwrap();
    let value = "x".repeat(1_000);
    let mut largest = 0;
    for _ in 0..300 {
        append(&log, vec![record_at(EVENTS, "a", &value); 1_000]).await;
        slow.read(10, PATIENCE).await.unwrap();
        largest = largest.max(std::fs::metadata(folder.path().join("kartshoppe.log.sqlite-wal")).unwrap().len());
    }
    assert!(largest < LIMIT, "300 MB were written, the WAL reached {largest} bytes");
    log.close().await;
}

/// No space: nothing of the batch is written, the session stays usable, and continues once there is space again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_aborts_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let log =
        open_with(EmbeddedConfig { max_bytes: Some(4 << 20), ..EmbeddedConfig::new(folder.path(), 4) }, Clock::system()).await;
    let at = TopicPartition::new(Topic::OrderEvents, 0);
    append(&log, vec![record_at(at, "a", "x"); 10]).await;
    let worker = session(&log, "worker", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*worker).await;
    polled(&*worker, 10).await;
    let value = "x".repeat(10_000);
    let mut written = 0;
    let error = loop {
        let positions = position(at, 1 + written % 9, "");
        match worker.commit(Batch { records: vec![record_at(PRODUCT, "a", &value); 10], positions }).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, LogError::Full { path } if path.contains("kartshoppe.log.sqlite")), "{error}");
    assert!(error.is_retryable());
    assert!(written > 10);
    assert_eq!(read_all(&log, Topic::Products).await.len(), usize::try_from(written * 10).unwrap(), "whole commits only");
    assert_eq!(log.committed("inventory").await.unwrap(), position(at, 1 + (written - 1) % 9, ""), "positions too");

    log.keep_house().await.unwrap();
    worker.rewind(&[0]).await.unwrap();
    assert!(!polled(&*worker, 1).await.is_empty(), "the same assignment goes on");
    worker.commit(batch(vec![record_at(PRODUCT, "a", &value)])).await.unwrap();
    log.close().await;
}

/// The operating system's own limit, like a full disk: everything acknowledged is there, and nothing of the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.close().await;
    let mut child = Worker::start_limited("embedded_log::space::write_until_full", folder.path().to_str().unwrap(), 3_000);
    let acknowledged: usize = child.next("acknowledged ").unwrap().parse().unwrap();
    let error = child.next("error ").unwrap();
    assert!(child.wait());
    assert!(error.starts_with("Aborted") || error.starts_with("Full"), "{error}");
    assert!(acknowledged > 10);
    let log = open(folder.path()).await;
    let there = read_all(&log, Topic::InventoryEvents).await;
    let numbers: Vec<usize> = there.iter().map(|record| text(record).trim_end_matches('x').parse().unwrap()).collect();
    assert_eq!(numbers, (0..acknowledged).collect::<Vec<_>>());
    log.close().await;
}

/// A checkpoint that stops half-way leaves a file that is inconsistent without its WAL: it does not count as overwritten, and the
/// next checkpoint completes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_a_full_disk_stops_is_finished_later() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let alarms = Alarms::default();
    let config = EmbeddedConfig { alarms: alarms.clone(), ..EmbeddedConfig::new(disk.path().join("log"), 4) };
    let log = open_with(config, Clock::system()).await;
    append(&log, vec![record_at(EVENTS, "a", "x"); 100]).await;
    log.keep_house().await.unwrap();
    let value = "x".repeat(10_000);
    for _ in 0..350 {
        append(&log, vec![record_at(EVENTS, "a", &value)]).await;
    }
    let filler = disk.fill();
    let looked_into = std::time::Duration::from_millis(1_500);
    let _ = tokio::time::timeout(looked_into, log.keep_house()).await;
    tokio::time::sleep(looked_into).await;
    assert!(!alarms.list().iter().any(|(about, _)| about.cause == Cause::LogMoved), "{:?}", alarms.list());
    std::fs::remove_file(filler).unwrap();
    append(&log, vec![record_at(EVENTS, "a", &value)]).await;
    log.keep_house().await.unwrap();
    assert_eq!(read_all(&log, Topic::InventoryEvents).await.len(), 451);
    log.close().await;
}

#[tokio::test]
#[ignore = "a child's part"]
async fn write_until_full() {
    let log = EmbeddedLog::open(EmbeddedConfig::new(task(), 4), Clock::system()).await.unwrap();
    let mut number = 0;
    let mut errors = Vec::new();
    while errors.len() < 3 {
        let value = format!("{number}{}", "x".repeat(10_000));
        match log.append(vec![record_at(EVENTS, "a", &value)], PATIENCE).await {
            Ok(_) => number += 1,
            Err(error) => errors.push(error),
        }
    }
    println!("acknowledged {number}");
    println!("error {:?}", errors[0]);
    std::io::stdout().flush().unwrap();
}
