//! What depends on the clock: append times that step back, retention, tombstones.

use std::time::Duration;

use kartshoppe::clock::Clock;
use kartshoppe::log::embedded::EmbeddedConfig;
use kartshoppe::log::{EventLog, LogError, NewRecord, Start, Stop, TopicPartition};
use kartshoppe::wire::topics::{Retention, Topic};

use super::open_with;
use crate::support::log::{append, read_all, read_from, record_at, text};

const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_795_000_000_000;

#[tokio::test]
async fn a_start_at_a_time_is_right_though_the_clock_stepped_back() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOW);
    let log = open_with(EmbeddedConfig::new(folder.path(), 4), clock.clone()).await;
    let at = TopicPartition::new(Topic::OrderEvents, 0);
    let times = [0, 10, 20, 500, 30, 40, 25, 45, 600, 50];
    for time in times {
        clock.set_ms(NOW + time);
        append(&log, vec![record_at(at, "a", &time.to_string()); 3]).await;
    }
    for wanted in [-5, 0, 15, 21, 35, 500, 501, 600] {
        let first = times.iter().position(|time| *time >= wanted).unwrap();
        let read = read_from(&log, at, Start::Time(NOW + wanted)).await;
        assert_eq!(read[0].offset, i64::try_from(first * 3).unwrap(), "from {wanted}");
        assert_eq!(read[0].append_time_ms, NOW + times[first]);
    }
    assert!(read_from(&log, at, Start::Time(NOW + 601)).await.is_empty());
    log.close().await;
}

#[tokio::test]
async fn old_records_are_deleted_and_followers_see_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOW);
    let log = open_with(EmbeddedConfig::new(folder.path(), 4), clock.clone()).await;
    let frames = TopicPartition::new(Topic::WebsocketFanout, 0);
    let kept = TopicPartition::new(Topic::InventoryEvents, 0);
    for number in 0..2_500 {
        clock.set_ms(NOW + number);
        append(&log, vec![record_at(frames, "a", "old"), record_at(kept, "a", "ledger")]).await;
    }
    let mut follower = log.reader(&[(frames, Start::Beginning)], Stop::AtEnd).await.unwrap();
    assert_eq!(follower.read(10, Duration::ZERO).await.unwrap().len(), 10);
    clock.set_ms(NOW + HOUR + 2_000);
    append(&log, vec![record_at(frames, "a", "new")]).await;
    log.keep_house().await.unwrap();

    let left = read_all(&log, Topic::WebsocketFanout).await;
    assert_eq!((left.len(), left[0].offset, left.last().map(text)), (501, 2_000, Some("new")));
    assert_eq!(read_all(&log, Topic::InventoryEvents).await.len(), 2_500, "the ledger is kept");
    assert_eq!(follower.read(1, Duration::ZERO).await.unwrap()[0].offset, 2_000);
    let info = log.topics().await.unwrap().into_iter().find(|info| info.topic == frames.topic).unwrap();
    assert_eq!((info.partitions[0].start, info.partitions[0].end), (2_000, 2_501));
    let gone = log.reader(&[(frames, Start::Offset(5))], Stop::AtEnd).await.err();
    assert!(matches!(gone, Some(LogError::OutOfRange { offset: 5, start: 2_000, end: 2_501, .. })), "{gone:?}");
    log.close().await;
}

#[tokio::test]
async fn a_shorter_retention_can_be_set() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOW);
    let retention = [(Topic::InventoryEvents, Retention::Delete(Duration::from_secs(60)))].into();
    let log = open_with(EmbeddedConfig { retention, ..EmbeddedConfig::new(folder.path(), 4) }, clock.clone()).await;
    let at = TopicPartition::new(Topic::InventoryEvents, 0);
    append(&log, vec![record_at(at, "a", "x"); 5]).await;
    clock.set_ms(NOW + 61_000);
    log.keep_house().await.unwrap();
    assert!(read_all(&log, at.topic).await.is_empty());
    assert_eq!(append(&log, vec![record_at(at, "a", "x")]).await[0].offset, 5, "offsets never come again");
    log.close().await;
    let log = open_with(EmbeddedConfig::new(folder.path(), 4), clock).await;
    let info = log.topics().await.unwrap().into_iter().find(|info| info.topic == at.topic).unwrap();
    assert_eq!((info.partitions[0].start, info.partitions[0].end), (5, 6));
    log.close().await;
}

#[tokio::test]
async fn a_tombstone_is_deleted_after_its_retention() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOW);
    let log = open_with(EmbeddedConfig::new(folder.path(), 4), clock.clone()).await;
    let at = TopicPartition::new(Topic::Products, 0);
    let tombstone = NewRecord { value: None, ..record_at(at, "a", "") };
    append(&log, vec![record_at(at, "a", "1"), record_at(at, "b", "1"), tombstone]).await;
    clock.set_ms(NOW + 23 * HOUR);
    log.keep_house().await.unwrap();
    let offsets = async || read_all(&log, at.topic).await.iter().map(|record| record.offset).collect::<Vec<_>>();
    assert_eq!(offsets().await, [1, 2]);
    clock.set_ms(NOW + 25 * HOUR);
    log.keep_house().await.unwrap();
    assert_eq!(offsets().await, [1]);
    log.close().await;
}
