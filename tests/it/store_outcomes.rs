//! What the order tracker writes: once, whichever tracker is first, and never half a batch.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use kartshoppe::store::{Checkout, Order, Outcome, OutcomeKind, Store, StoreOptions, TrackerBatch, TrackerPosition};

use crate::support::log::within;
use crate::support::postgres::{count, database, database_with, product, request, session, ten};

async fn order(store: &Store, session_id: &str, lines: &[(&str, i64)]) -> Order {
    for (id, units) in lines {
        store.add_to_cart(&session(session_id), None, &product(id), *units).await.unwrap();
    }
    match store.checkout(&request(session_id), ten).await.unwrap() {
        Checkout::Placed(order, _) => order,
        Checkout::Replayed(_) => panic!("there was no key"),
    }
}

fn outcome(order: &Order, item: usize, allocated: i64) -> Outcome {
    let item = &order.items[item];
    Outcome {
        order_id: order.order_id.clone(),
        order_item_id: item.order_item_id.clone(),
        kind: if allocated == item.quantity { OutcomeKind::Allocated } else { OutcomeKind::Short },
        allocated,
        shortfall: item.quantity - allocated,
        event_id: format!("event of {}", item.order_item_id),
        reason: None,
        published_at_ms: None,
        applied_at_ms: None,
    }
}

fn at(partition: i32, offset: i64) -> TrackerPosition {
    TrackerPosition { partition, offset, event_id: format!("e{partition}/{offset}") }
}

fn batch(outcomes: Vec<Outcome>, positions: Vec<TrackerPosition>) -> TrackerBatch {
    TrackerBatch { outcomes, positions, ..TrackerBatch::default() }
}

#[tokio::test]
async fn an_order_settles_with_its_last_item_and_exactly_once() {
    let db = database().await;
    let order = order(&db.store, "s", &[("A", 2), ("B", 3)]).await;
    let first = db.store.record_outcomes(&batch(vec![outcome(&order, 0, 2)], vec![at(0, 7)])).await.unwrap();
    assert_eq!((first.outcomes_written, first.orders[0].status.as_str(), first.orders[0].settled_now), (1, "PENDING", false));
    assert_eq!(first.orders[0].session_id.as_deref(), Some("s"));
    let last = batch(vec![outcome(&order, 1, 1)], vec![at(1, 3)]);
    let second = db.store.record_outcomes(&last).await.unwrap();
    assert_eq!((second.orders[0].status.as_str(), second.orders[0].settled_now), ("BACKORDERED", true));
    let settled = db.store.order(&order.order_id, None).await.unwrap().unwrap();
    assert!(settled.updated_at_ms >= settled.created_at_ms);
    assert_eq!(settled.items.iter().map(|item| item.outcome.as_ref().unwrap().allocated).collect::<Vec<_>>(), [2, 1]);
    // The same events again, and contradicting ones about the same items: nothing changes, but pages are notified again.
    let again = db.store.record_outcomes(&last).await.unwrap();
    assert_eq!((again.outcomes_written, again.orders[0].status.as_str(), again.orders[0].settled_now), (0, "BACKORDERED", false));
    db.store.record_outcomes(&batch(vec![outcome(&order, 0, 0), outcome(&order, 1, 3)], vec![])).await.unwrap();
    assert_eq!(db.store.order(&order.order_id, None).await.unwrap().unwrap(), settled);
}

#[tokio::test]
async fn every_status_is_the_one_of_the_domain() {
    let db = database().await;
    for (session_id, allocated, status) in [("a", [2, 1], "CONFIRMED"), ("b", [2, 0], "BACKORDERED"), ("c", [0, 0], "REJECTED")] {
        let order = order(&db.store, session_id, &[("A", 2), ("B", 1)]).await;
        let mut outcomes = vec![outcome(&order, 0, allocated[0]), outcome(&order, 1, allocated[1])];
        if allocated[1] == 0 {
            outcomes[1].kind = OutcomeKind::Rejected;
            outcomes[1].reason = Some("unknown product".to_owned());
        }
        // The first outcome of an item counts, also within a batch.
        outcomes.push(Outcome { allocated: 99, ..outcome(&order, 0, 2) });
        let recorded = db.store.record_outcomes(&batch(outcomes, vec![])).await.unwrap();
        assert_eq!((recorded.orders[0].status.as_str(), recorded.outcomes_written), (status, 2));
        let read = db.store.order(&order.order_id, None).await.unwrap().unwrap();
        assert_eq!(read.items[0].outcome.as_ref().unwrap().allocated, allocated[0]);
        let reason = read.items[1].outcome.as_ref().unwrap().reason.as_deref();
        assert_eq!(reason, (allocated[1] == 0).then_some("unknown product"));
    }
}

#[tokio::test]
async fn unknown_items_history_and_items_of_other_orders_are_ignored() {
    let db = database().await;
    let order = order(&db.store, "s", &[("A", 1)]).await;
    let mut unknown = outcome(&order, 0, 1);
    unknown.order_id = kartshoppe::domain::ids::OrderId::new("nobody's").unwrap();
    let recorded = db.store.record_outcomes(&batch(vec![unknown], vec![])).await.unwrap();
    assert_eq!((recorded.outcomes_written, recorded.orders.len()), (0, 0));
    sqlx::query("UPDATE order_items SET publish_via = 'history'").execute(db.store.pool()).await.unwrap();
    let recorded = db.store.record_outcomes(&batch(vec![outcome(&order, 0, 1)], vec![])).await.unwrap();
    assert_eq!((recorded.outcomes_written, recorded.orders[0].status.as_str()), (0, "PENDING"));
}

#[tokio::test]
async fn positions_only_move_forward_and_with_their_outcomes() {
    let db = database().await;
    db.store.record_outcomes(&batch(vec![], vec![at(0, 5), at(3, 1), at(0, 9)])).await.unwrap();
    db.store.record_outcomes(&batch(vec![], vec![at(0, 6), at(3, 2)])).await.unwrap();
    assert_eq!(db.store.tracker_positions().await.unwrap(), [at(0, 9), at(3, 2)]);
    // A batch that cannot be written leaves the position unchanged.
    let order = order(&db.store, "s", &[("A", 1)]).await;
    let mut broken = outcome(&order, 0, 1);
    broken.event_id = "a\0b".to_owned();
    db.store.record_outcomes(&batch(vec![broken], vec![at(0, 10)])).await.unwrap_err();
    assert_eq!(db.store.tracker_positions().await.unwrap(), [at(0, 9), at(3, 2)]);
    db.store.note_gap(0, "the log was deleted", Some(&at(0, 2))).await.unwrap();
    db.store.note_gap(3, "the log was deleted", None).await.unwrap();
    assert_eq!(db.store.tracker_positions().await.unwrap(), [at(0, 2)]);
    assert_eq!(db.store.gaps().await.unwrap().iter().map(|gap| gap.partition).collect::<Vec<_>>(), [3, 0]);
}

#[tokio::test]
async fn many_trackers_over_the_same_events_write_each_outcome_once() {
    let db = database().await;
    let mut orders = Vec::new();
    for number in 0..20 {
        orders.push(order(&db.store, &format!("s{number}"), &[("A", 2), ("B", 1), ("C", 1)]).await);
    }
    let outcomes: Vec<Outcome> =
        orders.iter().flat_map(|order| [outcome(order, 0, 2), outcome(order, 1, 1), outcome(order, 2, 1)]).collect();
    let trackers: Vec<_> = (0..8_usize)
        .map(|tracker| {
            let (store, mut outcomes) = (db.store.clone(), outcomes.clone());
            // Each reads in batches of another size, and within a batch in another order.
            tokio::spawn(async move {
                let (mut written, mut settled) = (0, 0);
                for (number, chunk) in outcomes.chunks_mut(3 + tracker).enumerate() {
                    if tracker % 2 == 1 {
                        chunk.reverse();
                    }
                    let batch = batch(chunk.to_vec(), vec![at(0, i64::try_from(number).unwrap())]);
                    let recorded = store.record_outcomes(&batch).await.unwrap();
                    written += recorded.outcomes_written;
                    settled += recorded.orders.iter().filter(|order| order.settled_now).count();
                }
                (written, settled)
            })
        })
        .collect();
    let (mut written, mut settled) = (0, 0);
    for tracker in trackers {
        let one = tracker.await.unwrap();
        (written, settled) = (written + one.0, settled + one.1);
    }
    assert_eq!((written, settled), (60, 20));
    assert_eq!(count(&db.store, "SELECT count(*) FROM orders WHERE status = 'CONFIRMED'").await, 20);
}

#[tokio::test]
async fn an_item_added_by_hand_later_does_not_reopen_its_order() {
    let db = database().await;
    let order = order(&db.store, "s", &[("A", 1)]).await;
    db.store.record_outcomes(&batch(vec![outcome(&order, 0, 1)], vec![])).await.unwrap();
    sqlx::query("INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) SELECT order_id, 'B', 1, 1, 1 FROM orders")
        .execute(db.store.pool())
        .await
        .unwrap();
    let read = db.store.order(&order.order_id, None).await.unwrap().unwrap();
    assert_eq!((read.status.as_str(), read.items.len()), ("CONFIRMED", 2));
}

/// A caller that is dropped in the middle of a call leaves no open transaction behind, into which the next call's write would be
/// lost.
#[tokio::test]
async fn a_call_that_is_given_up_at_any_moment_leaves_no_transaction_open() {
    let one = StoreOptions { max_connections: 1, ..StoreOptions::default() };
    let db = database_with(one.clone()).await;
    let watcher = Store::new(&db.url, one).unwrap();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let batch = TrackerBatch::default();
    for polls in (0..8).cycle().take(64) {
        let mut call = Box::pin(db.store.record_outcomes(&batch));
        for _ in 0..polls {
            if poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready())).await {
                break;
            }
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        drop(call);
        // The connection is back when it can be had again.
        drop(within(db.store.pool().acquire()).await.unwrap());
        assert_eq!(count(&watcher, open).await, 0, "given up after {polls} polls");
    }
}
