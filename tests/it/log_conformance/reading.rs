//! Readers: starts, ends, following.

use std::time::Duration;

use kartshoppe::log::{Batch, LogError, SessionConfig, Start, Stop, TopicPartition};
use kartshoppe::wire::topics::Topic;

use super::Harness;
use crate::support::log::{PATIENCE, append, assigned, batch, position, read_from, record_at, session, text, within};

const AT: TopicPartition = TopicPartition { topic: Topic::InventoryEvents, partition: 2 };

pub async fn a_reader_starts_at_the_requested_position(harness: &mut dyn Harness) {
    let log = harness.log();
    let mut times = Vec::new();
    for number in 0..6 {
        times.push(append(&*log, vec![record_at(AT, "a", &number.to_string())]).await[0].append_time_ms);
        tokio::time::sleep(Duration::from_millis(2)).await; // so that append times differ
    }
    let texts = async |start| read_from(&*log, AT, start).await.iter().map(|record| text(record).to_owned()).collect::<Vec<_>>();
    assert_eq!(texts(Start::Beginning).await, ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(texts(Start::Offset(4)).await, ["4", "5"]);
    assert!(texts(Start::End).await.is_empty());
    assert!(texts(Start::Offset(6)).await.is_empty(), "the end is a place too");
    for time_ms in [times[0] - 1000, times[0], times[3], times[3] + 1, times[5], times[5] + 1_000_000] {
        let first = times.iter().position(|time| *time >= time_ms).unwrap_or(times.len());
        let expected: Vec<String> = (first..6).map(|number| number.to_string()).collect();
        assert_eq!(texts(Start::Time(time_ms)).await, expected, "from {time_ms} of {times:?}");
    }
    let worker = session(&*log, "worker", "inventory", &[Topic::InventoryEvents]).await;
    assigned(&*worker).await;
    worker.commit(Batch { records: Vec::new(), positions: position(AT, 5, "") }).await.unwrap();
    let committed = log.committed("inventory").await.unwrap()[&AT].offset;
    assert_eq!(texts(Start::Offset(committed)).await, ["5"]);
}

pub async fn a_reader_stops_at_the_end_as_it_stood(harness: &mut dyn Harness) {
    let log = harness.log();
    let other = TopicPartition::new(Topic::Products, 0);
    append(&*log, (0..10).map(|number| record_at(AT, "a", &number.to_string())).collect()).await;
    let starts = [(AT, Start::Beginning), (other, Start::Beginning)];
    let mut reader = log.reader(&starts, Stop::AtEnd).await.unwrap();
    append(&*log, vec![record_at(AT, "a", "later"), record_at(other, "a", "later")]).await;
    assert_eq!((reader.ends()[&AT], reader.ends()[&other]), (10, 0));
    assert!(!reader.caught_up());
    let mut seen = 0;
    while !reader.caught_up() {
        let records = within(reader.read(4, PATIENCE)).await.unwrap();
        assert!(records.len() <= 4 && records.iter().all(|record| text(record) != "later"));
        seen += records.len();
        let after = records.last().map(|record| record.offset + 1);
        assert!(after.is_none_or(|after| reader.positions()[&AT] >= after));
    }
    assert_eq!(seen, 10);
    assert!(within(reader.read(10, PATIENCE)).await.unwrap().is_empty(), "and then returns at once");
    let empty = log.reader(&[(TopicPartition::new(Topic::DeadLetters, 0), Start::Beginning)], Stop::AtEnd).await.unwrap();
    assert!(empty.caught_up());
}

/// Records come while a reader reads to the end, and a reader that goes on from there sees them all.
pub async fn a_new_reader_resumes_where_one_reached_the_end(harness: &mut dyn Harness) {
    const ROUNDS: usize = 20;
    let log = harness.log();
    let other = TopicPartition::new(Topic::Products, 0);
    let writer = SessionConfig { identity: "writer".to_owned(), group: None, topics: Vec::new(), writes: vec![Topic::Products] };
    let writer = log.session(writer).await.unwrap();
    let mut places = vec![(AT, Start::Beginning), (other, Start::Beginning)];
    let (mut seen, mut sent) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        // On Kafka the end of this partition is known only once the client has polled beyond its last record.
        writer.commit(batch(vec![record_at(other, "a", "marked")])).await.unwrap();
        let mut reader = log.reader(&places, Stop::AtEnd).await.unwrap();
        if round < ROUNDS {
            let more: Vec<String> = (0..3).map(|number| format!("{round}.{number}")).collect();
            append(&*log, more.iter().map(|text| record_at(AT, "a", text)).collect()).await;
            sent.extend(more);
        }
        while !reader.caught_up() {
            let records = within(reader.read(100, PATIENCE)).await.unwrap();
            seen.extend(records.iter().filter(|record| record.topic == AT.topic).map(|record| text(record).to_owned()));
        }
        places = reader.positions().iter().map(|(at, offset)| (*at, Start::Offset(*offset))).collect();
    }
    assert_eq!(seen, sent);
}

pub async fn a_follower_is_woken_and_misses_nothing(harness: &mut dyn Harness) {
    const COUNT: i64 = 1_000;
    let log = harness.log();
    append(&*log, vec![record_at(AT, "a", "0")]).await;
    let mut reader = log.reader(&[(AT, Start::Beginning)], Stop::Never).await.unwrap();
    let mut late = log.reader(&[(AT, Start::End)], Stop::Never).await.unwrap();
    let following = tokio::spawn(async move {
        let mut next = 0;
        while next < COUNT {
            for record in reader.read(64, PATIENCE).await.unwrap() {
                assert_eq!((record.offset, text(&record)), (next, next.to_string().as_str()));
                next += 1;
            }
        }
    });
    for number in 1..COUNT {
        append(&*log, vec![record_at(AT, "a", &number.to_string())]).await;
    }
    within(following).await.unwrap();
    assert_eq!(within(late.read(1, PATIENCE)).await.unwrap()[0].offset, 1);
    let nothing = log.reader(&[(AT, Start::End)], Stop::Never).await.unwrap().read(1, Duration::ZERO).await.unwrap();
    assert!(nothing.is_empty());
}

pub async fn a_start_outside_the_partition_is_refused(harness: &mut dyn Harness) {
    let log = harness.log();
    append(&*log, vec![record_at(AT, "a", "0")]).await;
    for offset in [-1, 2, i64::MAX] {
        let refused = log.reader(&[(AT, Start::Offset(offset))], Stop::AtEnd).await.err();
        let expected =
            matches!(refused, Some(LogError::OutOfRange { partition: AT, offset: told, start: 0, end: 1 }) if told == offset);
        assert!(expected, "{offset}: {refused:?}");
    }
    let worker = session(&*log, "worker", "inventory", &[Topic::InventoryEvents]).await;
    assigned(&*worker).await;
    worker.commit(Batch { records: Vec::new(), positions: position(AT, 77, "") }).await.unwrap();
    worker.close().await.unwrap();
    let heir = session(&*log, "heir", "inventory", &[Topic::InventoryEvents]).await;
    let refused = within(async {
        loop {
            if let Err(error) = heir.poll(1, PATIENCE).await {
                return error;
            }
        }
    })
    .await;
    assert!(matches!(refused, LogError::OutOfRange { offset: 77, .. }), "{refused:?}");
}
