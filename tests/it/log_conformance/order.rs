//! Order, partitions and append times.

use std::collections::BTreeMap;

use kartshoppe::log::{NewRecord, PartitionId, TopicPartition};
use kartshoppe::wire::topics::Topic;

use super::Harness;
use crate::support::log::{append, read_all, record, record_at, text};

pub async fn a_partition_is_read_in_the_order_it_was_written(harness: &mut dyn Harness) {
    let log = harness.log();
    for round in 0..20 {
        let records = (0..50)
            .map(|number| record(Topic::OrderEvents, &format!("PROD_{:04}", number % 7), &format!("{:06}", round * 50 + number)));
        append(&*log, records.collect()).await;
    }
    let all = read_all(&*log, Topic::OrderEvents).await;
    assert_eq!(all.len(), 1000);
    let mut last: BTreeMap<PartitionId, (i64, String)> = BTreeMap::new();
    for record in &all {
        let here = (record.offset, text(record).to_owned());
        if let Some(before) = last.insert(record.partition, here.clone()) {
            assert!(before.0 < here.0 && before.1 < here.1, "{before:?} was read before {here:?}");
        }
    }
}

pub async fn keys_go_where_a_java_producer_sends_them(harness: &mut dyn Harness) {
    let log = harness.log();
    // Of four partitions, by the Java client's own hashes of these keys (Apache Kafka, UtilsTest.testMurmur2), sign bit cleared.
    let cases = [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
    ];
    for (key, hash) in cases {
        let appended = append(&*log, vec![record(Topic::ProductUpdates, key, "x")]).await;
        assert_eq!(appended[0].partition, (hash & i32::MAX) % log.partitions(), "{key}");
    }
    let told = TopicPartition::new(Topic::ProductUpdates, 3);
    assert_eq!(append(&*log, vec![record_at(told, "21", "x")]).await[0].partition, 3, "a partition that is named is used");
    let single = append(&*log, vec![record(Topic::CdcPositions, "slot", "x")]).await;
    assert_eq!(single[0].partition, 0);
}

pub async fn records_without_a_key_are_spread(harness: &mut dyn Harness) {
    let log = harness.log();
    let keyless = NewRecord { key: None, ..record(Topic::ProductUpdates, "", "x") };
    for _ in 0..40 {
        append(&*log, vec![keyless.clone(); 10]).await;
    }
    let all = read_all(&*log, Topic::ProductUpdates).await;
    assert_eq!(all.len(), 400);
    let used: std::collections::BTreeSet<_> = all.iter().map(|record| record.partition).collect();
    assert!(used.len() > 1, "all of 400 keyless records went to one partition");
    assert!(all.iter().all(|record| record.key.is_none()));
}

pub async fn append_times_are_those_that_the_append_gave(harness: &mut dyn Harness) {
    let log = harness.log();
    assert!(log.is_log_append_time(Topic::OrderEvents).await.unwrap());
    let mut appended = Vec::new();
    for number in 0..5 {
        appended.extend(append(&*log, vec![record(Topic::OrderEvents, "PROD_0001", &number.to_string())]).await);
    }
    let read = read_all(&*log, Topic::OrderEvents).await;
    for (record, appended) in read.iter().zip(&appended) {
        assert_eq!(
            (record.partition, record.offset, record.append_time_ms),
            (appended.partition, appended.offset, appended.append_time_ms)
        );
    }
    assert_eq!(read.len(), appended.len());
}
