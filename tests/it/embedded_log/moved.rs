//! The file is moved, replaced, deleted or overwritten under the open log: nothing is written until it is back, and the log then continues
//! once the file is back.

use std::fs;
use std::path::Path;

use kartshoppe::clock::Clock;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::log::{EventLog, LogError, TopicPartition};
use kartshoppe::telemetry::alarms::Alarms;
use kartshoppe::wire::topics::Topic;

use super::{file, open, open_with};
use crate::support::log::{PATIENCE, append, assigned, batch, read_all, record_at, session, text, within};

const EVENTS: TopicPartition = TopicPartition { topic: Topic::InventoryEvents, partition: 0 };
const SIDES: [&str; 3] = ["", "-wal", "-shm"];

async fn guarded(folder: &Path) -> (EmbeddedLog, Alarms) {
    let alarms = Alarms::default();
    let config = EmbeddedConfig { alarms: alarms.clone(), ..EmbeddedConfig::new(folder, 4) };
    (open_with(config, Clock::system()).await, alarms)
}

/// Waits until the alarm is raised, or until none is; returns its full text.
async fn until_alarm(alarms: &Alarms, cause: &str, stands: bool) -> String {
    within(async {
        loop {
            let found = alarms.list().into_iter().find(|(about, _)| about.cause == cause).map(|(_, alarm)| alarm);
            if found.is_some() == stands {
                return found.map_or_else(String::new, |alarm| alarm.in_full());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
}

fn carry(from: &Path, to: &Path) {
    for side in SIDES {
        let beside = |path: &Path| path.with_file_name(format!("kartshoppe.log.sqlite{side}"));
        fs::rename(beside(from), beside(to)).unwrap();
    }
}

async fn refused(log: &EmbeddedLog) -> LogError {
    let error = log.append(vec![record_at(EVENTS, "a", "lost")], PATIENCE).await.unwrap_err();
    assert!(matches!(error, LogError::Unusable { .. }), "{error}");
    assert!(log.refusal().is_some());
    error
}

async fn values(log: &EmbeddedLog) -> Vec<String> {
    read_all(log, Topic::InventoryEvents).await.iter().map(|record| text(record).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_file_is_not_written_until_it_is_back() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (log, alarms) = guarded(folder.path()).await;
    append(&log, vec![record_at(EVENTS, "a", "before")]).await;
    let worker = session(&log, "worker", "inventory", &[Topic::OrderEvents]).await;
    assigned(&*worker).await;
    carry(&file(folder.path()), &file(elsewhere.path()));
    refused(&log).await;
    let error = worker.commit(batch(vec![record_at(EVENTS, "a", "lost")])).await.unwrap_err();
    assert!(error.is_retryable() && matches!(error, LogError::Unusable { .. }), "{error}");
    let told = until_alarm(&alarms, "log-moved", true).await;
    assert!(told.contains(&*file(folder.path()).to_string_lossy()), "{told}");
    assert!(!error.to_string().contains('/'), "no paths in public texts: {error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the lock alone: nothing was made beside it");

    carry(&file(elsewhere.path()), &file(folder.path()));
    until_alarm(&alarms, "log-moved", false).await;
    worker.rewind(&[0, 1, 2, 3]).await.unwrap();
    worker.commit(batch(vec![record_at(EVENTS, "a", "after")])).await.unwrap();
    assert_eq!(values(&log).await, ["before", "after"]);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_folder_is_noticed_by_itself() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("log");
    let (log, alarms) = guarded(&folder).await;
    fs::remove_dir_all(&folder).unwrap();
    until_alarm(&alarms, "log-moved", true).await;
    refused(&log).await;
    log.close().await;
    assert!(!folder.exists());
}

/// The content of the WAL has been checkpointed when the alarm is raised: a kill after that loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_wal_is_saved_and_refused() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (log, alarms) = guarded(folder.path()).await;
    append(&log, vec![record_at(EVENTS, "a", "acknowledged")]).await;
    fs::remove_file(folder.path().join("kartshoppe.log.sqlite-wal")).unwrap();
    until_alarm(&alarms, "log-moved", true).await;
    refused(&log).await;
    within(async {
        loop {
            fs::copy(file(folder.path()), file(other.path())).unwrap();
            if let Ok(copy) = EmbeddedLog::open(EmbeddedConfig::new(other.path(), 4), Clock::system()).await {
                let has_topic = !copy.topics().await.unwrap().is_empty();
                let there = if has_topic { values(&copy).await } else { Vec::new() };
                copy.close().await;
                if there == ["acknowledged"] {
                    return;
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_in_its_place_is_refused_until_the_right_one_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (log, alarms) = guarded(folder.path()).await;
    append(&log, vec![record_at(EVENTS, "a", "old")]).await;
    log.keep_house().await.unwrap();
    let older = fs::read(file(folder.path())).unwrap();
    append(&log, vec![record_at(EVENTS, "a", "new")]).await;
    log.keep_house().await.unwrap();
    let newer = fs::read(file(folder.path())).unwrap();
    fs::write(file(folder.path()), &older).unwrap();
    until_alarm(&alarms, "log-moved", true).await;
    refused(&log).await;
    fs::write(file(folder.path()), &newer).unwrap();
    until_alarm(&alarms, "log-moved", false).await;
    append(&log, vec![record_at(EVENTS, "a", "newest")]).await;
    assert_eq!(values(&log).await, ["old", "new", "newest"]);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_log_in_its_place_is_refused_and_left_as_it_is() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stranger = open(other.path()).await;
    append(&stranger, vec![record_at(EVENTS, "a", "of another shop")]).await;
    stranger.close().await;
    let bytes = fs::read(file(other.path())).unwrap();
    for in_place in [true, false] {
        let (log, alarms) = guarded(folder.path()).await;
        append(&log, vec![record_at(EVENTS, "a", "ours")]).await;
        log.keep_house().await.unwrap();
        if !in_place {
            fs::remove_file(file(folder.path())).unwrap();
        }
        fs::write(file(folder.path()), &bytes).unwrap();
        until_alarm(&alarms, "log-moved", true).await;
        refused(&log).await;
        log.close().await;
        assert!(fs::read(file(folder.path())).unwrap() == bytes, "in place {in_place}: closing wrote into it");
        SIDES.iter().for_each(|side| drop(fs::remove_file(folder.path().join(format!("kartshoppe.log.sqlite{side}")))));
    }
}

/// Emptying the log and recreating a topic do not raise the alarm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_emptied_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (log, alarms) = guarded(folder.path()).await;
    append(&log, vec![record_at(EVENTS, "a", "gone"); 50]).await;
    log.keep_house().await.unwrap();
    for topics in [&[Topic::InventoryEvents][..], &Topic::ALL] {
        log.delete_topics(topics).await.unwrap();
        log.create_topics(&Topic::ALL).await.unwrap();
        append(&log, vec![record_at(EVENTS, "a", "x")]).await;
        log.keep_house().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        append(&log, vec![record_at(EVENTS, "a", "y")]).await;
        assert!(alarms.list().is_empty(), "{:?}", alarms.list());
    }
    log.close().await;
}
