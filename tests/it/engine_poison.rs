//! A command that its product cannot survive ends as a dead letter, and no other command is affected.

use kartshoppe::actors::faults::Fault;
use kartshoppe::domain::inventory::EventKind;
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::headers::{self, dead_letter};
use kartshoppe::wire::topics::inventory_event::EventType;

use crate::support::engine::{Setup, Shop, ids, order};
use crate::support::log::{read_all, record, text};
use crate::support::place::{Place, on_each_log};

on_each_log!(at length:
    a_poison_command_becomes_a_dead_letter_and_its_neighbours_are_applied,
    a_single_failure_is_not_poison,
    an_unreadable_record_is_a_dead_letter_and_its_item_is_rejected,
);

async fn a_poison_command_becomes_a_dead_letter_and_its_neighbours_are_applied(place: Place) {
    for fault in [Fault::Panic, Fault::Error] {
        let place = place.another();
        let shop = Shop::open(&place, &Setup::default()).await;
        shop.stock(ids(3), 100).await;
        shop.settle().await;
        // Items 7 and 20 of the same product are poison; the first of its batch and the last one too.
        for poison in [0, 21, 60, 87] {
            shop.arm(&format!("order/o-{poison}"), fault, 100);
        }
        shop.append((0..90).map(|n| order(n, &format!("P{:05}", n % 3), 1)).collect()).await;
        shop.settle().await;
        let ledger = shop.ledger().await;
        ledger.check_chains();
        assert_eq!(ledger.outcomes().len(), 90, "the poison has its outcome too");
        assert_eq!(ledger.products.values().map(|(stock, _)| stock).copied().collect::<Vec<_>>(), [74, 70, 70]);
        let rejected: Vec<_> =
            ledger.events.iter().filter(|event| event.event_type == EventType::Known(EventKind::OrderRejected)).collect();
        let orders: Vec<_> = rejected.iter().map(|event| event.order.as_ref().unwrap().order_id.as_str()).collect();
        assert_eq!(orders, ["o-0", "o-21", "o-60", "o-87"]);
        assert!(rejected.iter().all(|event| event.reason.contains("could not be handled")), "{rejected:?}");
        let letters = read_all(&*shop.log, Topic::DeadLetters).await;
        assert_eq!(letters.len(), 4);
        for letter in &letters {
            assert_eq!(letter.headers.get_str(dead_letter::EXCEPTION), Some("PoisonCommand"));
            assert!(letter.headers.get_str(headers::CAUSE).unwrap().starts_with("order-events/"));
            assert!(text(letter).contains("\"orderItemId\""), "the bytes are kept: {}", text(letter));
        }
        shop.close().await;
    }
}

async fn a_single_failure_is_not_poison(place: Place) {
    let shop = Shop::open(&place, &Setup::default()).await;
    shop.stock(ids(1), 100).await;
    shop.settle().await;
    shop.arm("order/o-5", Fault::Panic, 1);
    shop.arm("order/o-6", Fault::Error, 1);
    shop.append((0..10).map(|n| order(n, "P00000", 1)).collect()).await;
    shop.settle().await;
    let ledger = shop.ledger().await;
    ledger.check_conservation(1, 100, 10);
    assert_eq!((ledger.dead_letters, ledger.count(EventKind::OrderRejected)), (0, 0));
    shop.close().await;
}

async fn an_unreadable_record_is_a_dead_letter_and_its_item_is_rejected(place: Place) {
    let shop = Shop::open(&place, &Setup::default()).await;
    shop.stock(ids(2), 10).await;
    let broken = [
        r#"{"orderId":"o-a","productId":"P00000","quantity":"2","orderItemId":"i-a"}"#,
        r#"{"orderId":"o-b","productId":"P00000","quantity":0,"orderItemId":"i-b"}"#,
        r#"{"productId":"P00000","quantity":1}"#,
        "no json",
        "",
    ];
    shop.append(broken.iter().map(|json| record(Topic::OrderEvents, "P00000", json)).collect()).await;
    shop.append(vec![
        record(Topic::ProductUpdates, "P00000", r#"{"productId":"P00000","name":"x","price":-1,"inventory":1}"#),
        order(1, "P00000", 1),
        order(2, "P00001", 1),
        order(3, "NOBODY", 1),
    ])
    .await;
    shop.settle().await;
    let ledger = shop.ledger().await;
    ledger.check_chains();
    assert_eq!(ledger.dead_letters, 6, "dead letters");
    assert_eq!(ledger.products.values().map(|(stock, _)| *stock).collect::<Vec<_>>(), [9, 9]);
    let outcomes = ledger.outcomes();
    assert_eq!(outcomes.keys().map(String::as_str).collect::<Vec<_>>(), ["i-1", "i-2", "i-3", "i-a", "i-b"]);
    assert_eq!(ledger.count(EventKind::OrderRejected), 3);
    assert!(shop.log.partitions() == 4);
    shop.close().await;
}
