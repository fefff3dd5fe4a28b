//! Compacted topics: the last record per key, and tombstones long enough.

use std::collections::BTreeMap;

use kartshoppe::log::{NewRecord, Start, Stop, TopicPartition};
use kartshoppe::wire::topics::Topic;

use super::Harness;
use crate::support::log::{PATIENCE, append, read_from, record_at, text, within};

const AT: TopicPartition = TopicPartition { topic: Topic::Products, partition: 0 };
const KEYS: usize = 20;
const ROUNDS: usize = 50;

async fn write_rounds(harness: &dyn Harness) {
    let log = harness.log();
    for round in 0..ROUNDS {
        let records = (0..KEYS).map(|key| record_at(AT, &format!("PROD_{key:04}"), &round.to_string()));
        append(&*log, records.collect()).await;
    }
    let gone = NewRecord { value: None, ..record_at(AT, "PROD_0003", "") };
    append(&*log, vec![gone]).await;
}

pub async fn the_last_record_of_each_key_stays(harness: &mut dyn Harness) {
    write_rounds(harness).await;
    harness.compact().await;
    for _ in 0..2 {
        let records = read_from(&*harness.log(), AT, Start::Beginning).await;
        let mut last: BTreeMap<String, Option<String>> = BTreeMap::new();
        let mut before = -1;
        for record in &records {
            assert!(record.offset > before, "offsets rise, with holes");
            before = record.offset;
            let key = String::from_utf8(record.key.as_ref().unwrap().to_vec()).unwrap();
            last.insert(key, record.value.as_ref().map(|_| text(record).to_owned()));
        }
        assert_eq!(before, i64::try_from(KEYS * ROUNDS).unwrap());
        assert_eq!(last.len(), KEYS);
        assert_eq!(last["PROD_0003"], None, "the tombstone is still there for those who follow");
        let newest = (ROUNDS - 1).to_string();
        assert!(last.iter().all(|(key, value)| key == "PROD_0003" || value.as_ref() == Some(&newest)));
        harness.close().await;
        harness.reopen().await;
    }
}

pub async fn a_follower_reads_through_compaction(harness: &mut dyn Harness) {
    write_rounds(harness).await;
    let log = harness.log();
    let mut reader = log.reader(&[(AT, Start::Beginning)], Stop::Never).await.unwrap();
    let first = within(reader.read(7, PATIENCE)).await.unwrap();
    let mut before = first.last().unwrap().offset;
    harness.compact().await;
    append(&*log, vec![record_at(AT, "PROD_0001", "new")]).await;
    let last = log.topics().await.unwrap().iter().find(|info| info.topic == AT.topic).unwrap().partitions[0].end - 1;
    within(async {
        while before < last {
            for record in reader.read(7, PATIENCE).await.unwrap() {
                assert!(record.offset > before);
                before = record.offset;
            }
        }
    })
    .await;
    let from_hole = read_from(&*log, AT, Start::Offset(1)).await;
    assert_eq!(from_hole.last().map(text), Some("new"), "a start in a hole goes on at the next record");
}
