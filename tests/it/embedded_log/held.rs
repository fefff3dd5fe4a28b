//! Another program holds the file open: commits continue, and an alarm names the program as long as it does.

use std::fs;
use std::path::Path;
use std::time::Duration;

use kartshoppe::clock::Clock;
use kartshoppe::log::embedded::EmbeddedConfig;
use kartshoppe::log::{EventLog, TopicPartition};
use kartshoppe::telemetry::alarms::Alarms;
use kartshoppe::wire::topics::Topic;

use super::{file, open, open_with};
use crate::support::child::{Worker, task};
use crate::support::log::{PATIENCE, append, read_all, record_at, within};

const EVENTS: TopicPartition = TopicPartition { topic: Topic::InventoryEvents, partition: 0 };
/// Longer than the log waits between two looks at its file.
const LOOKED_INTO: Duration = Duration::from_millis(700);

fn standing(alarms: &Alarms, cause: &str) -> Option<String> {
    alarms.list().into_iter().find(|(about, _)| about.cause == cause).map(|(_, alarm)| alarm.in_full())
}

/// Far more than one checkpoint's worth of records is written while a read is open; each attempt to restart the WAL would wait
/// for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_reader_is_named_and_blocks_no_commit() {
    let (folder, alarms) = (tempfile::tempdir().unwrap(), Alarms::default());
    let config = EmbeddedConfig { fsync: false, alarms: alarms.clone(), ..EmbeddedConfig::new(folder.path(), 4) };
    let log = open_with(config, Clock::system()).await;
    append(&log, vec![record_at(EVENTS, "a", "first")]).await;
    let path = file(folder.path());
    let mut reader = Worker::start("embedded_log::held::read_on", path.to_str().unwrap());
    let pid = reader.next("holds ").unwrap();
    let value = "x".repeat(1_000);
    let told = within(async {
        loop {
            append(&log, vec![record_at(EVENTS, "a", &value); 1_000]).await;
            if let Some(told) = standing(&alarms, "log-held") {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert!(told.contains(&format!("(process {pid})")), "{told}");
    assert!(alarms.list().iter().all(|(_, alarm)| !alarm.blocks), "work goes on");
    reader.kill("");
    within(async {
        while standing(&alarms, "log-held").is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    log.close().await;
}

/// An open read stops a checkpoint half-way. Its file cannot be read without the WAL, but was not overwritten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_a_reader_stops_half_way_is_no_overwritten_log() {
    let (folder, alarms) = (tempfile::tempdir().unwrap(), Alarms::default());
    let config = EmbeddedConfig { alarms: alarms.clone(), ..EmbeddedConfig::new(folder.path(), 4) };
    let log = open_with(config, Clock::system()).await;
    append(&log, vec![record_at(EVENTS, "a", "whole")]).await;
    log.keep_house().await.unwrap();
    tokio::time::sleep(LOOKED_INTO).await;
    assert!(is_readable_alone(&file(folder.path())));

    let value = "x".repeat(1_000);
    append(&log, vec![record_at(EVENTS, "a", &value); 100]).await;
    let reader = rusqlite::Connection::open(file(folder.path())).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM \"inventory-events/0\";").unwrap();
    append(&log, vec![record_at(EVENTS, "a", "held")]).await;
    log.keep_house().await.unwrap();
    assert!(!is_readable_alone(&file(folder.path())), "the last page is missing from the file");
    for number in 0..3 {
        tokio::time::sleep(LOOKED_INTO).await;
        assert!(alarms.list().is_empty(), "{:?}", alarms.list());
        append(&log, vec![record_at(EVENTS, "a", &format!("{number}"))]).await;
    }
    drop(reader);
    within(async {
        while !is_readable_alone(&file(folder.path())) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(read_all(&log, Topic::InventoryEvents).await.len(), 105);
    log.close().await;
}

/// Another log in its place is noticed there, too, and so is a file that was cut; and that the right one is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overwritten_log_is_noticed_after_half_a_checkpoint() {
    let other = tempfile::tempdir().unwrap();
    let stranger = open(other.path()).await;
    append(&stranger, vec![record_at(EVENTS, "a", "of another shop")]).await;
    stranger.close().await;
    for bytes in [fs::read(file(other.path())).unwrap(), Vec::new()] {
        let (folder, alarms) = (tempfile::tempdir().unwrap(), Alarms::default());
        let config = EmbeddedConfig { alarms: alarms.clone(), ..EmbeddedConfig::new(folder.path(), 4) };
        let log = open_with(config, Clock::system()).await;
        log.keep_house().await.unwrap();
        append(&log, vec![record_at(EVENTS, "a", &"x".repeat(1_000)); 100]).await;
        let reader = rusqlite::Connection::open(file(folder.path())).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM \"inventory-events/0\";").unwrap();
        append(&log, vec![record_at(EVENTS, "a", "held")]).await;
        log.keep_house().await.unwrap();
        assert!(!is_readable_alone(&file(folder.path())));
        let ours = fs::read(file(folder.path())).unwrap();
        for (content, is_moved) in [(&bytes, true), (&ours, false)] {
            fs::write(file(folder.path()), content).unwrap();
            within(async {
                while standing(&alarms, "log-moved").is_some() != is_moved {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await;
            assert_eq!(log.append(vec![record_at(EVENTS, "a", "x")], PATIENCE).await.is_err(), is_moved);
        }
        drop(reader);
        assert_eq!(read_all(&log, Topic::InventoryEvents).await.len(), 102);
        log.close().await;
    }
}

/// Whether the file can be read without its WAL.
fn is_readable_alone(path: &Path) -> bool {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let alone = rusqlite::Connection::open_with_flags(format!("file:{}?immutable=1", path.display()), flags).unwrap();
    alone.query_row("SELECT count(*) FROM partitions", [], |_| Ok(())).is_ok()
}

/// Another program's write lock blocks us: that is an alarm that names the program, and it clears without a write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_lock_is_named_and_its_alarm_clears_by_itself() {
    let (folder, alarms) = (tempfile::tempdir().unwrap(), Alarms::default());
    let config = EmbeddedConfig { alarms: alarms.clone(), ..EmbeddedConfig::new(folder.path(), 4) };
    let log = open_with(config, Clock::system()).await;
    let path = file(folder.path());
    let mut writer = Worker::start("embedded_log::held::lock_on", path.to_str().unwrap());
    let pid = writer.next("holds ").unwrap();
    log.append(vec![record_at(EVENTS, "a", "late")], PATIENCE).await.unwrap_err();
    let told = standing(&alarms, "log-locked").unwrap();
    assert!(told.contains(&format!("(process {pid})")), "{told}");
    writer.kill("");
    within(async {
        while standing(&alarms, "log-locked").is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    append(&log, vec![record_at(EVENTS, "a", "in time")]).await;
    log.close().await;
}

#[test]
#[ignore = "a child's part"]
fn read_on() {
    hold("BEGIN; SELECT count(*) FROM \"inventory-events/0\";");
}

#[test]
#[ignore = "a child's part"]
fn lock_on() {
    hold("BEGIN IMMEDIATE;");
}

/// Like a `sqlite3` shell that was left open.
fn hold(sql: &str) {
    let connection = rusqlite::Connection::open(task()).unwrap();
    connection.execute_batch(sql).unwrap();
    println!("holds {}", std::process::id());
    std::thread::park_timeout(PATIENCE);
}
