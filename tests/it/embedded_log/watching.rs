//! Reading beside commits: in this process, and beside the server that writes.

use std::collections::BTreeMap;
use std::time::Duration;

use kartshoppe::log::embedded::EmbeddedLog;
use kartshoppe::log::{EventLog, LogError, SessionConfig, Start, Stop, TopicPartition, read_topics};
use kartshoppe::wire::topics::Topic;

use super::open;
use crate::support::child::{Worker, task};
use crate::support::log::{PATIENCE, append, read_all, record, record_at, text, within};

const AT: TopicPartition = TopicPartition { topic: Topic::OrderEvents, partition: 0 };

/// A commit over several topics and partitions becomes visible to a read as a whole, or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_never_seen_in_part() {
    const COMMITS: usize = 200;
    const PARTS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    let topics = [Topic::InventoryEvents, Topic::Products];
    let mut reader = read_topics(&log, &topics, Start::End, Stop::Never).await.unwrap();
    let following = tokio::spawn(async move {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        while seen.len() < COMMITS {
            for record in reader.read(10_000, PATIENCE).await.unwrap() {
                *seen.entry(text(&record).to_owned()).or_default() += 1;
            }
            let broken = seen.iter().find(|(_, count)| **count != PARTS);
            assert!(broken.is_none(), "commit {broken:?} was seen in part");
        }
    });
    for number in 0..COMMITS {
        let parts = (0..PARTS).map(|part| {
            let at = TopicPartition::new(topics[part % 2], i32::try_from(part / 2).unwrap());
            record_at(at, "a", &number.to_string())
        });
        append(&log, parts.collect()).await;
    }
    within(following).await.unwrap();
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_reads_and_follows() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    append(&log, vec![record_at(AT, "a", "before"); 3]).await;
    let mut child = Worker::start("embedded_log::watching::follow_five", folder.path().to_str().unwrap());
    for _ in 0..3 {
        assert_eq!(child.next("read ").as_deref(), Some("before"));
    }
    append(&log, vec![record_at(AT, "a", "after"); 2]).await;
    for _ in 0..2 {
        assert_eq!(child.next("read ").as_deref(), Some("after"));
    }
    assert!(child.wait());
    log.close().await;
}

#[tokio::test]
#[ignore = "a child's part"]
async fn follow_five() {
    let log = EmbeddedLog::open_read_only(task().as_ref()).await.unwrap();
    let mut reader = log.reader(&[(AT, Start::Beginning)], Stop::Never).await.unwrap();
    let mut seen = 0;
    while seen < 5 {
        for record in within(reader.read(10, PATIENCE)).await.unwrap() {
            println!("read {}", text(&record));
            seen += 1;
        }
    }
}

#[tokio::test]
async fn a_log_without_a_server_can_be_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    append(&log, vec![record_at(AT, "a", "x"); 3]).await;
    let id = log.id().await.unwrap();
    log.close().await;
    let log = EmbeddedLog::open_read_only(folder.path()).await.unwrap();
    assert_eq!(read_all(&log, Topic::OrderEvents).await.len(), 3);
    assert_eq!((log.id().await.unwrap(), log.partitions()), (id, 4));
    let server = open(folder.path()).await;
    server.close().await;
}

#[tokio::test]
async fn a_watcher_sees_topics_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    append(&log, vec![record_at(AT, "a", "x"); 3]).await;
    let watcher = EmbeddedLog::open_read_only(folder.path()).await.unwrap();
    let mut reader = watcher.reader(&[(AT, Start::End)], Stop::Never).await.unwrap();
    log.delete_topics(&[Topic::OrderEvents]).await.unwrap();
    log.create_topics(&[Topic::OrderEvents]).await.unwrap();
    append(&log, vec![record_at(AT, "a", "new")]).await;
    let gone = within(reader.read(1, PATIENCE)).await;
    assert!(matches!(gone, Err(LogError::UnknownTopic(_))), "{gone:?}");
    assert_eq!(read_all(&watcher, Topic::OrderEvents).await.len(), 1);
    log.close().await;
}

#[tokio::test]
async fn a_watcher_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    let watcher = EmbeddedLog::open_read_only(folder.path()).await.unwrap();
    let config = SessionConfig { identity: "a".to_owned(), group: None, topics: Vec::new(), writes: vec![] };
    let refusals = [
        watcher.append(vec![record(Topic::Products, "a", "x")], Duration::from_secs(5)).await.err(),
        watcher.create_topics(&[Topic::Products]).await.err(),
        watcher.delete_topics(&[Topic::Products]).await.err(),
        watcher.session(config).await.err(),
        watcher.live_members("inventory").await.err(),
        watcher.keep_house().await.err(),
    ];
    for refusal in refusals {
        assert!(matches!(&refusal, Some(LogError::Refused(text)) if text.contains("reading only")), "{refusal:?}");
    }
    assert!(read_all(&log, Topic::Products).await.is_empty());
    log.close().await;
}
