//! Direct items whose publisher died: probed at most once a minute, flipped only after the answer, never across a gap.

use std::time::Duration;

use kartshoppe::domain::ids::{OrderId, OrderItemId};
use kartshoppe::store::{
    Checkout, CheckoutRequest, Outcome, OutcomeKind, PublishVia, Store, StoreOptions, TrackerBatch, WaitingCounts,
};
use kartshoppe::wire::topics::cdc_position::{CdcPosition, Lsn};

use crate::support::postgres::{TestDatabase, count, database_with, product, request, session, ten};

/// Direct items expire the moment they are inserted.
async fn expiring(probe_interval: Duration) -> TestDatabase {
    database_with(StoreOptions { direct_expiry: Duration::ZERO, probe_interval, ..StoreOptions::default() }).await
}

async fn direct_item(store: &Store, session_id: &str) -> (OrderId, OrderItemId) {
    store.add_to_cart(&session(session_id), None, &product("A"), 2).await.unwrap();
    let direct = CheckoutRequest { publish_via: PublishVia::Direct, ..request(session_id) };
    match store.checkout(&direct, ten).await.unwrap() {
        Checkout::Placed(order, _) => (order.order_id, order.items[0].order_item_id.clone()),
        Checkout::Replayed(_) => panic!("there was no key"),
    }
}

fn expired(items: &[&(OrderId, OrderItemId)]) -> TrackerBatch {
    TrackerBatch { expired: items.iter().map(|item| (*item).clone()).collect(), ..TrackerBatch::default() }
}

fn outcome((order_id, order_item_id): &(OrderId, OrderItemId)) -> Outcome {
    Outcome {
        order_id: order_id.clone(),
        order_item_id: order_item_id.clone(),
        kind: OutcomeKind::Allocated,
        allocated: 2,
        shortfall: 0,
        event_id: "e".to_owned(),
        reason: None,
        published_at_ms: None,
        applied_at_ms: None,
    }
}

#[tokio::test]
async fn an_expired_item_is_probed_once_a_minute_by_all_together_oldest_first() {
    let db = expiring(Duration::from_secs(60)).await;
    let items = [direct_item(&db.store, "a").await, direct_item(&db.store, "b").await, direct_item(&db.store, "c").await];
    assert_eq!(db.store.waiting().await.unwrap(), WaitingCounts { expired: 3, ..WaitingCounts::default() });
    let first = db.store.due_probes(2).await.unwrap();
    let asked: Vec<_> = first.iter().map(|probe| (probe.order_id.clone(), probe.order_item_id.clone())).collect();
    assert_eq!(asked, items[..2]);
    assert_eq!(first[0].product_id, product("A"));
    let others: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let store = db.store.clone();
                async move { store.due_probes(10).await.unwrap().len() }
            })
        })
        .collect();
    let mut asked = 0;
    for other in others {
        asked += other.await.unwrap();
    }
    assert_eq!(asked, 1, "the third is asked about by one of eight");
    sqlx::query("UPDATE order_items SET last_probe_at = last_probe_at - interval '61 seconds'")
        .execute(db.store.pool())
        .await
        .unwrap();
    assert_eq!(db.store.due_probes(10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn items_with_time_left_an_outcome_or_another_publisher_are_not_probed() {
    let db = database_with(StoreOptions::default()).await;
    direct_item(&db.store, "fresh").await;
    db.store.add_to_cart(&session("wal"), None, &product("A"), 1).await.unwrap();
    db.store.checkout(&request("wal"), ten).await.unwrap();
    assert_eq!(db.store.waiting().await.unwrap(), WaitingCounts { wal: 1, direct: 1, ..WaitingCounts::default() });
    assert!(db.store.due_probes(10).await.unwrap().is_empty());
    let db = expiring(Duration::ZERO).await;
    let item = direct_item(&db.store, "done").await;
    assert_eq!(db.store.due_probes(10).await.unwrap().len(), 1);
    db.store.record_outcomes(&TrackerBatch { outcomes: vec![outcome(&item)], ..TrackerBatch::default() }).await.unwrap();
    assert!(db.store.due_probes(10).await.unwrap().is_empty());
    assert_eq!(db.store.waiting().await.unwrap(), WaitingCounts::default());
}

#[tokio::test]
async fn an_answered_item_is_flipped_once_unless_its_outcome_came_first() {
    let db = expiring(Duration::ZERO).await;
    let (lost, done, both) =
        (direct_item(&db.store, "lost").await, direct_item(&db.store, "done").await, direct_item(&db.store, "both").await);
    db.store.record_outcomes(&TrackerBatch { outcomes: vec![outcome(&done)], ..TrackerBatch::default() }).await.unwrap();
    // Outcome and answer in one batch: the outcome lies before the answer.
    let batch = TrackerBatch { outcomes: vec![outcome(&both)], ..expired(&[&lost, &done, &both]) };
    let recorded = db.store.record_outcomes(&batch).await.unwrap();
    assert_eq!(recorded.flipped, std::slice::from_ref(&lost.1));
    assert!(db.store.record_outcomes(&batch).await.unwrap().flipped.is_empty(), "the second tracker finds it flipped");
    assert_eq!(db.store.waiting().await.unwrap(), WaitingCounts { wal: 1, ..WaitingCounts::default() });
    assert!(db.store.due_probes(10).await.unwrap().is_empty());
    // The WAL reader's outcome settles it like any other.
    let settled =
        db.store.record_outcomes(&TrackerBatch { outcomes: vec![outcome(&lost)], ..TrackerBatch::default() }).await.unwrap();
    assert!(settled.orders[0].settled_now);
    assert_eq!(count(&db.store, "SELECT count(*) FROM order_items WHERE publish_via = 'wal'").await, 1);
}

#[tokio::test]
async fn items_from_before_a_gap_are_counted_but_neither_probed_nor_flipped() {
    let db = expiring(Duration::ZERO).await;
    let before = direct_item(&db.store, "before").await;
    db.store.note_gap(2, "the record at 17 is another one", None).await.unwrap();
    let after = direct_item(&db.store, "after").await;
    assert_eq!(db.store.waiting().await.unwrap(), WaitingCounts { expired: 1, stranded: 1, ..WaitingCounts::default() });
    let probes = db.store.due_probes(10).await.unwrap();
    assert_eq!(probes.iter().map(|probe| &probe.order_item_id).collect::<Vec<_>>(), [&after.1]);
    assert_eq!(db.store.record_outcomes(&expired(&[&before, &after])).await.unwrap().flipped, [after.1]);
}

fn read_to(lsn: &str, system_id: String) -> CdcPosition {
    CdcPosition { system_id, timeline: 1, resume_lsn: Lsn::parse(lsn).unwrap(), part_commit_lsn: None, part_index: 0 }
}

/// An item that the WAL reader published is probed only once that is proven, and published again only after a later answer.
#[tokio::test]
async fn an_item_that_was_passed_over_is_taken_back_and_only_later_answers_count() {
    let db = expiring(Duration::ZERO).await;
    let store = &db.store;
    let item = direct_item(store, "lost").await;
    let first = store.due_probes(10).await.unwrap();
    assert_eq!(
        store.record_outcomes(&expired(&[&item])).await.unwrap().flipped,
        std::slice::from_ref(&item.1),
        "an answer of earlier versions"
    );
    let system: String =
        sqlx::query_scalar("SELECT system_identifier::text FROM pg_control_system()").fetch_one(store.pool()).await.unwrap();
    assert_eq!(store.mark_waiting(10).await.unwrap(), 1);
    let end = async || -> String {
        sqlx::query_scalar("SELECT pg_current_wal_insert_lsn()::text").fetch_one(store.pool()).await.unwrap()
    };
    for unproven in [read_to("0/1", system.clone()), read_to(&end().await, "7".to_owned())] {
        assert_eq!(store.take_back(&unproven, 10).await.unwrap(), 0, "{unproven:?}");
    }
    assert_eq!(store.take_back(&read_to(&end().await, system.clone()), 10).await.unwrap(), 1);
    assert_eq!(store.take_back(&read_to(&end().await, system.clone()), 10).await.unwrap(), 0);
    // Answers to the first probe, with its expiry or in the format of earlier versions, say nothing about what was published
    // since.
    let naming = |expiry_ms| TrackerBatch { named_expiries: [(item.1.clone(), expiry_ms)].into(), ..expired(&[&item]) };
    for stale in [expired(&[&item]), naming(first[0].expires_at_ms)] {
        assert!(store.record_outcomes(&stale).await.unwrap().flipped.is_empty());
    }
    let again = store.due_probes(10).await.unwrap();
    assert!(again[0].expires_at_ms > first[0].expires_at_ms);
    // A process of an earlier version does not know that.
    let flip = "UPDATE order_items SET publish_via = 'wal' WHERE publish_via = 'direct' AND outcome IS NULL";
    assert!(sqlx::query(flip).execute(store.pool()).await.is_err());
    assert_eq!(store.record_outcomes(&naming(again[0].expires_at_ms)).await.unwrap().flipped, std::slice::from_ref(&item.1));
    assert_eq!(store.waiting().await.unwrap(), WaitingCounts { wal: 1, ..WaitingCounts::default() });
    assert_eq!(
        store.take_back(&read_to(&end().await, system), 10).await.unwrap(),
        0,
        "it was published again, and is not marked yet"
    );
}

#[tokio::test]
async fn a_wal_item_from_before_a_gap_is_never_taken_back_but_listed() {
    let db = expiring(Duration::ZERO).await;
    let item = direct_item(&db.store, "lost").await;
    db.store.record_outcomes(&expired(&[&item])).await.unwrap();
    db.store.note_gap(1, "another log", None).await.unwrap();
    assert_eq!(db.store.mark_waiting(10).await.unwrap(), 0);
    assert_eq!(db.store.waiting().await.unwrap(), WaitingCounts { stranded: 1, ..WaitingCounts::default() });
    assert_eq!(db.store.stranded(10).await.unwrap()[0].order_item_id, item.1.to_string());
}
