//! A product that nobody has heard of goes stale: once, whoever was dead meanwhile, and not a tick too early.

use kartshoppe::actors::faults::Fault;
use kartshoppe::clock::Clock;
use kartshoppe::domain::inventory::{EventKind, Rules};
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::inventory_event::EventType;

use crate::support::engine::{Ledger, START_MS, Setup, Shop, eventually, ids, order, product};
use crate::support::log::read_all;
use crate::support::place::{Place, on_each_log};

// On Kafka what is heard has the broker's time, which is ahead of the clock here, and so counts as heard when it is read.
on_each_log!(at length:
    once_at_its_deadline_and_again_only_after_a_sign_of_life,
    a_sign_of_life_that_was_not_yet_read_counts,
    passivated_products_go_stale_as_well,
    whoever_is_killed_as_it_fires,
    whoever_is_killed_a_tick_before,
    deadlines_that_passed_while_nobody_was_there,
    under_a_load_that_never_stops,
);

const STALE_AFTER_MS: i64 = 60_000;

fn setup(clock: &Clock) -> Setup {
    let rules = Rules { stale_after_ms: STALE_AFTER_MS, ..Rules::default() };
    Setup { clock: clock.clone(), rules, ..Setup::default() }
}

fn stale(ledger: &Ledger) -> Vec<String> {
    let stale = ledger.events.iter().filter(|event| event.event_type == EventType::Known(EventKind::StaleInventory));
    let mut ids: Vec<_> = stale.map(|event| event.product_id.to_string()).collect();
    ids.sort_unstable();
    ids
}

/// Waits until so many stale events are there.
async fn wait_for_stale(shop: &Shop, count: usize) {
    eventually(|| async { stale(&shop.ledger().await).len() >= count }).await;
}

/// Has the engine go through its inputs and reminders once more: an order of its own settles only after what was due before it.
async fn stir(shop: &Shop, number: usize) {
    shop.append(vec![order(number, "STIR", 1)]).await;
    shop.settle().await;
}

async fn once_at_its_deadline_and_again_only_after_a_sign_of_life(place: Place) {
    let clock = Clock::manual(START_MS);
    let shop = Shop::open(&place, &setup(&clock)).await;
    shop.stock(ids(5), 10).await;
    shop.settle().await;
    clock.set_ms(START_MS + STALE_AFTER_MS - 1);
    // A sign of life one tick earlier saves P00000 (an order) and P00001 (a catalogue record that changes nothing).
    shop.append(vec![order(0, "P00000", 1), product("P00001", 10)]).await;
    shop.settle().await;
    clock.set_ms(START_MS + STALE_AFTER_MS);
    wait_for_stale(&shop, 3).await;
    stir(&shop, 90).await;
    assert_eq!(stale(&shop.ledger().await), ["P00002", "P00003", "P00004"]);
    // The two that were heard of go stale at their own deadlines.
    clock.set_ms(START_MS + 2 * STALE_AFTER_MS - 1);
    wait_for_stale(&shop, 5).await;
    // Long after, nothing more: once is once.
    clock.set_ms(START_MS + 20 * STALE_AFTER_MS);
    stir(&shop, 91).await;
    assert_eq!(stale(&shop.ledger().await).len(), 5);
    // Heard of again, it may go stale again.
    shop.append(vec![product("P00002", 10)]).await;
    shop.settle().await;
    clock.set_ms(START_MS + 21 * STALE_AFTER_MS);
    wait_for_stale(&shop, 6).await;
    shop.ledger().await.check_chains();
    shop.close().await;
}

async fn a_sign_of_life_that_was_not_yet_read_counts(place: Place) {
    let clock = Clock::manual(START_MS);
    let shop = Shop::open(&place, &setup(&clock)).await;
    shop.stock(ids(2), 10).await;
    shop.settle().await;
    // While the role is down a product is heard of just in time; the other is not.
    shop.root.stop("inventory").await.unwrap();
    clock.set_ms(START_MS + STALE_AFTER_MS - 1);
    shop.append(vec![order(0, "P00000", 1)]).await;
    clock.set_ms(START_MS + STALE_AFTER_MS + 10);
    shop.root.start("inventory").await.unwrap();
    wait_for_stale(&shop, 1).await;
    stir(&shop, 90).await;
    assert_eq!(stale(&shop.ledger().await), ["P00001"]);
    shop.close().await;
}

async fn passivated_products_go_stale_as_well(place: Place) {
    let clock = Clock::manual(START_MS);
    let shop = Shop::open(&place, &Setup { max_live_products: 4, ..setup(&clock) }).await;
    shop.stock(ids(200), 10).await;
    shop.settle().await;
    let live =
        || shop.inventory.shards.iter().map(|shard| shard.gauge().live.load(std::sync::atomic::Ordering::Relaxed)).sum::<u64>();
    eventually(|| async { live() <= 4 }).await;
    clock.set_ms(START_MS + STALE_AFTER_MS);
    wait_for_stale(&shop, 200).await;
    stir(&shop, 90).await;
    assert_eq!(stale(&shop.ledger().await), ids(200).collect::<Vec<_>>());
    shop.close().await;
}

async fn whoever_is_killed_as_it_fires(place: Place) {
    for target in ["product", "shard", "committer", "log-source", "role"] {
        for fault in [Fault::Kill, Fault::Panic, Fault::Hang] {
            let (place, clock) = (place.another(), Clock::manual(START_MS));
            let shop = Shop::open(&place, &setup(&clock)).await;
            shop.stock(ids(30), 10).await;
            shop.settle().await;
            shop.arm(target, fault, 3);
            clock.set_ms(START_MS + STALE_AFTER_MS);
            wait_for_stale(&shop, 30).await;
            shop.struck().await;
            stir(&shop, 90).await;
            assert_eq!(stale(&shop.ledger().await), ids(30).collect::<Vec<_>>(), "{target} {fault:?}");
            shop.close().await;
        }
    }
}

async fn whoever_is_killed_a_tick_before(place: Place) {
    for target in ["product", "shard", "committer", "log-source", "role/inventory"] {
        let (place, clock) = (place.another(), Clock::manual(START_MS));
        let shop = Shop::open(&place, &setup(&clock)).await;
        shop.stock(ids(30), 10).await;
        shop.settle().await;
        clock.set_ms(START_MS + STALE_AFTER_MS - 1);
        shop.arm(target, Fault::Kill, if target == "product" { 10 } else { 1 });
        // Ten of them are heard of as they or those above them die, and so are saved.
        shop.append((0..10).map(|n| order(n, &format!("P{n:05}"), 1)).collect()).await;
        shop.struck().await;
        shop.settle().await;
        clock.set_ms(START_MS + STALE_AFTER_MS);
        wait_for_stale(&shop, 20).await;
        stir(&shop, 90).await;
        assert_eq!(stale(&shop.ledger().await), ids(30).skip(10).collect::<Vec<_>>(), "{target}");
        clock.set_ms(START_MS + 2 * STALE_AFTER_MS);
        wait_for_stale(&shop, 30).await;
        stir(&shop, 91).await;
        assert_eq!(stale(&shop.ledger().await).len(), 30, "{target}");
        shop.close().await;
    }
}

async fn deadlines_that_passed_while_nobody_was_there(place: Place) {
    let clock = Clock::manual(START_MS);
    let shop = Shop::open(&place, &setup(&clock)).await;
    shop.stock(ids(50), 10).await;
    shop.settle().await;
    shop.crash().await;
    clock.set_ms(START_MS + 50 * STALE_AFTER_MS);
    for round in 0..2 {
        let shop = Shop::open(&place, &setup(&clock)).await;
        wait_for_stale(&shop, 50).await;
        stir(&shop, 90 + round).await;
        assert_eq!(stale(&shop.ledger().await), ids(50).collect::<Vec<_>>(), "round {round}");
        shop.close().await;
    }
}

async fn under_a_load_that_never_stops(place: Place) {
    let clock = Clock::manual(START_MS);
    let shop = Shop::open(&place, &Setup { batch_max_records: 100, ..setup(&clock) }).await;
    shop.stock(ids(8), 10_000).await;
    shop.settle().await;
    clock.set_ms(START_MS + STALE_AFTER_MS);
    // P00000 to P00003 are bought all the time; the other four go stale beside them.
    let mut number = 0;
    while stale(&shop.ledger().await).len() < 4 {
        shop.append((0..300).map(|n| order(number + n, &format!("P{:05}", n % 4), 1)).collect()).await;
        number += 300;
    }
    shop.settle().await;
    let ledger = shop.ledger().await;
    ledger.check_conservation(8, 10_000, number);
    assert_eq!(stale(&ledger)[stale(&ledger).len() - 4..], ["P00004", "P00005", "P00006", "P00007"]);
    assert!(!read_all(&*shop.log, Topic::Products).await.is_empty());
    shop.close().await;
}
