//! Another program holds the file open: commits continue, and an alarm names the program as long as it does.

use kartshoppe::clock::Clock;
use kartshoppe::log::embedded::EmbeddedConfig;
use kartshoppe::log::{EventLog, TopicPartition};
use kartshoppe::telemetry::alarms::Alarms;
use kartshoppe::wire::topics::Topic;

use super::{file, open_with};
use crate::support::child::{Worker, task};
use crate::support::log::{PATIENCE, append, record_at, within};

const EVENTS: TopicPartition = TopicPartition { topic: Topic::InventoryEvents, partition: 0 };

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
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
    assert!(told.contains(&format!("(process {pid})")), "{told}");
    assert!(alarms.list().iter().all(|(_, alarm)| !alarm.blocks), "work goes on");
    reader.kill("");
    within(async {
        while standing(&alarms, "log-held").is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    log.close().await;
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
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
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
