//! What is written comes back, byte by byte.

use bytes::Bytes;
use kartshoppe::log::{Headers, NewRecord, Record};
use kartshoppe::wire::topics::Topic;

use super::Harness;
use crate::support::log::{append, assigned, batch, polled, positions_after, read_all, record, session};

pub async fn parts_come_back_as_they_were(harness: &mut dyn Harness) {
    let log = harness.log();
    let mut headers = Headers::none();
    headers.push("b", "first");
    headers.push("a", "");
    headers.push("b", Bytes::from_static(&[0, 255, 10]));
    headers.push("kartshoppe-cause", "order-events/0/17/0");
    let full = NewRecord { headers: headers.clone(), ..record(Topic::ProductUpdates, "key", "{\"a\": \"ü\"}") };
    let written = vec![
        full.clone(),
        NewRecord { value: Some(Bytes::new()), ..record(Topic::ProductUpdates, "key", "") },
        NewRecord { value: None, ..record(Topic::ProductUpdates, "key", "") },
        NewRecord { value: Some(Bytes::from_static(&[0xff, 0, 0xfe])), ..record(Topic::ProductUpdates, "key", "") },
    ];
    append(&*log, written.clone()).await;
    let read = read_all(&*log, Topic::ProductUpdates).await;
    assert_eq!(read.iter().map(as_new).collect::<Vec<_>>(), written);
    assert_eq!(read[0].headers.get_str("kartshoppe-cause"), Some("order-events/0/17/0"));
    assert_eq!(read[0].headers.get("b"), Some(&Bytes::from_static(&[0, 255, 10])), "the last one of a name counts");

    let reader = session(&*log, "reader", "group", &[Topic::ProductUpdates]).await;
    assigned(&*reader).await;
    assert_eq!(polled(&*reader, 4).await, read, "a session gets the same as a reader");
}

fn as_new(record: &Record) -> NewRecord {
    let Record { topic, key, value, headers, .. } = record.clone();
    NewRecord { topic, partition: None, key, value, headers }
}

pub async fn large_values_and_large_batches(harness: &mut dyn Harness) {
    let log = harness.log();
    let large = "x".repeat(1_000_000);
    let values = (0..12).map(|number| record(Topic::EcommerceEvents, &number.to_string(), &large)).collect();
    append(&*log, values).await;
    let read = read_all(&*log, Topic::EcommerceEvents).await;
    assert_eq!(read.len(), 12);
    assert!(read.iter().all(|record| record.value.as_ref().is_some_and(|value| value.len() == 1_000_000)));

    let writer = session(&*log, "writer", "group", &[Topic::EcommerceEvents]).await;
    assigned(&*writer).await;
    let records =
        (0..20_000).map(|number| record(Topic::InventoryEvents, &format!("PROD_{:04}", number % 200), &number.to_string()));
    let mut commit = batch(records.collect());
    commit.positions = positions_after(&read, "");
    writer.commit(commit).await.unwrap();
    let read = read_all(&*log, Topic::InventoryEvents).await;
    let mut numbers: Vec<u32> = read.iter().map(|record| crate::support::log::text(record).parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20_000).collect::<Vec<_>>());
}
