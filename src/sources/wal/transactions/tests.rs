use std::sync::Arc;

use super::*;
use crate::wire::topics::order_event;

fn start(resume: u64) -> CdcPosition {
    CdcPosition { system_id: "7".to_owned(), timeline: 1, resume_lsn: Lsn(resume), part_commit_lsn: None, part_index: 0 }
}

fn row(id: &str) -> WalRow {
    WalRow::of(&[
        ("order_item_id", Some(id)),
        ("publish_via", Some("wal")),
        ("order_id", Some("o")),
        ("product_id", Some("p")),
        ("quantity", Some("2")),
        ("traceparent", None),
    ])
}

fn begin(commit: u64) -> WalEvent {
    WalEvent::Begin { xid: 7, commit_lsn: Lsn(commit), committed_at_ms: i64::try_from(commit).unwrap() }
}

fn insert(id: &str) -> WalEvent {
    WalEvent::Insert { table: Arc::from(TABLE), row: row(id) }
}

fn end(end: u64) -> WalEvent {
    WalEvent::Commit { end_lsn: Lsn(end) }
}

/// One transaction of rows `a`, `b`, `c` that commits at 100 and ends at 110.
fn abc() -> Vec<WalEvent> {
    vec![begin(100), insert("a"), insert("b"), WalEvent::Other, insert("c"), end(110)]
}

fn ids(flush: &Flush) -> String {
    let event = |record: &NewRecord| order_event::decode_value(record.value.as_deref().unwrap()).unwrap();
    flush.records.iter().map(|record| event(record).order_item_id.unwrap().to_string()).collect()
}

#[test]
fn a_row_becomes_an_event_of_the_commits_time_that_never_expires() {
    let item = PublishedItem {
        order_item_id: "i",
        order_id: "o",
        product_id: "PROD_0001",
        quantity: 3,
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        tracestate: Some("vendor=abc"),
    };
    let (record, _) = record(&item, 1_732_500_000_000, Lsn(7));
    insta::assert_snapshot!(String::from_utf8_lossy(record.value.as_deref().unwrap()), @r#"{"orderId":"o","productId":"PROD_0001","quantity":3,"timestamp":1732500000000,"orderItemId":"i","source":"wal"}"#);
    assert_eq!(record.key.as_deref(), Some(b"PROD_0001".as_slice()));
    assert_eq!(record.headers.get_str("traceparent"), item.traceparent);
    assert_eq!(record.headers.get_str("tracestate"), item.tracestate);
}

#[test]
fn a_row_that_the_shop_would_not_write_is_published_for_the_inventory_to_judge() {
    let item = PublishedItem {
        order_item_id: "i",
        order_id: "",
        product_id: "p",
        quantity: i64::MAX,
        traceparent: Some("nonsense"),
        tracestate: None,
    };
    let (record, _) = record(&item, 5, Lsn(7));
    let value: serde_json::Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
    assert_eq!(value["orderItemId"], "i");
    assert_eq!(value["source"], "wal");
    assert_eq!(value["quantity"], i64::MAX);
    assert_eq!(record.key.as_deref(), Some(b"p".as_slice()));
    assert!(record.headers.0.is_empty());
}

/// Cut after every event, with and without a flush there, and read again from the stored position: every row exactly once.
#[test]
fn wherever_it_is_cut_each_row_comes_once() {
    let length = abc().len();
    for cut in 0..=length {
        let mut first = Transactions::new(start(50));
        abc().iter().take(cut).for_each(|event| first.push(event).unwrap());
        let stored = first.take();
        let mut second = Transactions::new(stored.position.clone());
        // The server sends every transaction again whose commit is not below the position.
        if Lsn(100) >= stored.position.resume_lsn {
            abc().iter().for_each(|event| second.push(event).unwrap());
        }
        let rest = second.take();
        assert_eq!(format!("{}{}", ids(&stored), ids(&rest)), "abc", "cut after {cut}");
        assert_eq!(rest.position.resume_lsn, Lsn(110), "cut after {cut}");
        assert_eq!(rest.position.part_commit_lsn, None);
    }
}

#[test]
fn transactions_that_are_published_already_are_passed_over() {
    let mut transactions = Transactions::new(start(110));
    abc().iter().for_each(|event| transactions.push(event).unwrap());
    let nothing = transactions.take();
    assert_eq!((ids(&nothing).as_str(), nothing.position.resume_lsn), ("", Lsn(110)));
    for event in [begin(110), insert("d"), end(120)] {
        transactions.push(&event).unwrap();
    }
    assert_eq!(ids(&transactions.take()), "d");
}

#[test]
fn a_part_that_does_not_come_again_is_noticed() {
    let part = CdcPosition { part_commit_lsn: Some(Lsn(100)), part_index: 2, ..start(50) };
    assert_eq!(Transactions::new(part.clone()).push(&begin(200)), Err(ProtocolError::PartMissing(Lsn(100))));
    let mut shorter = Transactions::new(part.clone());
    shorter.push(&begin(100)).unwrap();
    shorter.push(&insert("a")).unwrap();
    assert_eq!(shorter.push(&end(110)), Err(ProtocolError::PartMissing(Lsn(100))));
    let mut earlier = Transactions::new(part);
    for event in [begin(60), insert("z"), end(70), begin(100), insert("a"), insert("b"), insert("c"), end(110)] {
        earlier.push(&event).unwrap();
    }
    assert_eq!(ids(&earlier.take()), "zc");
}

#[test]
fn an_idle_position_moves_only_when_nothing_waits() {
    let mut transactions = Transactions::new(start(50));
    transactions.skip_to(Lsn(80));
    assert_eq!(transactions.take().position.resume_lsn, Lsn(80));
    transactions.push(&begin(100)).unwrap();
    transactions.skip_to(Lsn(105));
    assert_eq!(transactions.take().position.resume_lsn, Lsn(80));
    transactions.push(&insert("a")).unwrap();
    transactions.push(&end(110)).unwrap();
    transactions.skip_to(Lsn(300));
    assert_eq!(transactions.take().position.resume_lsn, Lsn(110));
}

#[test]
fn other_tables_and_new_columns_do_not_matter_and_missing_ones_do() {
    let mut transactions = Transactions::new(start(0));
    transactions.push(&begin(100)).unwrap();
    transactions.push(&WalEvent::Insert { table: Arc::from("orders"), row: WalRow::of(&[]) }).unwrap();
    let cells = [("gift", Some("yes")), ("quantity", Some("1")), ("product_id", Some("p")), ("order_id", Some("o"))];
    let without_id = WalEvent::Insert { table: Arc::from(TABLE), row: WalRow::of(&cells) };
    assert_eq!(transactions.push(&without_id), Err(ProtocolError::Column("order_item_id")));
    let reordered = [&cells[..], &[("order_item_id", Some("i"))]].concat();
    transactions.push(&WalEvent::Insert { table: Arc::from(TABLE), row: WalRow::of(&reordered) }).unwrap();
    assert_eq!(ids(&transactions.take()), "i");
    assert_eq!(Transactions::new(start(0)).push(&insert("a")), Err(ProtocolError::Order("a row outside a transaction")));
}
