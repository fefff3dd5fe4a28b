//! A product without inputs goes stale: once, whichever actors were dead in between, and not a tick early.

use std::sync::atomic::Ordering;

use kartshoppe::actors::faults::Fault;
use kartshoppe::clock::Clock;
use kartshoppe::domain::inventory::{EventKind, Rules};
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::inventory_event::EventType;

use crate::support::engine::{Ledger, ROLE, START_MS, Setup, Shop, eventually, ids, order, product};
use crate::support::log::read_all;
use crate::support::place::{Place, on_each_log};

// On Kafka an input has the broker's time, which is ahead of the clock here, and so counts from when it is read.
on_each_log!(at length:
    stale_once_per_deadline_and_again_only_after_a_new_input,
    an_input_before_the_deadline_counts_even_if_it_is_read_later,
    passivated_products_go_stale_as_well,
    actors_killed_as_a_stale_timer_fires,
    actors_killed_a_tick_before_the_deadline,
    deadlines_that_passed_while_the_role_was_down,
    another_setting_holds_for_products_that_wait_since_before_it,
    under_constant_load,
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

/// Waits until there are this many stale events.
async fn wait_for_stale(shop: &Shop, count: usize) {
    eventually(|| async { stale(&shop.ledger().await).len() >= count }).await;
}

/// Asserts that in each shard a timer fires by the time at which the first of its products goes stale. It may fire early, never late.
async fn timers_are_set(shop: &Shop, products: usize) {
    let reports = async || {
        let mut reports = Vec::new();
        for shard in shop.inventory.shards.iter() {
            reports.push(shard.list(1_000).await.unwrap_or_default());
        }
        reports
    };
    // A shard takes the states of a batch just after its commit, and sets the timers with them.
    eventually(|| async { reports().await.iter().flatten().filter(|product| !product.stale).count() >= products }).await;
    for (shard, products) in shop.inventory.shards.iter().zip(reports().await) {
        let next = products.iter().filter(|product| !product.stale).min_by_key(|product| product.stale_deadline_ms);
        let Some(next) = next else { continue };
        let timer_ms = shard.gauge().earliest_deadline_ms.load(Ordering::Relaxed);
        assert!(
            timer_ms <= next.stale_deadline_ms,
            "no timer for {} in shard {}: it goes stale at {}, and the earliest timer is at {timer_ms} (i64::MAX: there is none)",
            next.id,
            shard.partition,
            next.stale_deadline_ms
        );
    }
}

/// Makes the engine process its inputs and deadlines: a new order settles only after everything that was due before it.
async fn stir(shop: &Shop, number: usize) {
    shop.append(vec![order(number, "STIR", 1)]).await;
    shop.settle().await;
}

async fn stale_once_per_deadline_and_again_only_after_a_new_input(place: Place) {
    let clock = Clock::manual(START_MS);
    let shop = Shop::open(&place, &setup(&clock)).await;
    shop.stock(ids(5), 10).await;
    shop.settle().await;
    timers_are_set(&shop, 5).await;
    clock.set_ms(START_MS + STALE_AFTER_MS - 1);
    // An input one tick earlier saves P00000 (an order) and P00001 (a catalogue record that changes nothing).
    shop.append(vec![order(0, "P00000", 1), product("P00001", 10)]).await;
    shop.settle().await;
    clock.set_ms(START_MS + STALE_AFTER_MS);
    wait_for_stale(&shop, 3).await;
    stir(&shop, 90).await;
    assert_eq!(stale(&shop.ledger().await), ["P00002", "P00003", "P00004"]);
    // Those two go stale at their own deadlines.
    clock.set_ms(START_MS + 2 * STALE_AFTER_MS - 1);
    wait_for_stale(&shop, 5).await;
    // Long after that there is no further event.
    clock.set_ms(START_MS + 20 * STALE_AFTER_MS);
    stir(&shop, 91).await;
    assert_eq!(stale(&shop.ledger().await).len(), 5);
    // After a new input it may go stale again.
    shop.append(vec![product("P00002", 10)]).await;
    shop.settle().await;
    clock.set_ms(START_MS + 21 * STALE_AFTER_MS);
    wait_for_stale(&shop, 6).await;
    // Timers end with the role. The next incarnation sets them from the states that it reads.
    shop.append(vec![order(1, "P00003", 1)]).await;
    shop.settle().await;
    shop.root.stop(ROLE).await.unwrap();
    shop.root.start(ROLE).await.unwrap();
    timers_are_set(&shop, 1).await;
    clock.set_ms(START_MS + 22 * STALE_AFTER_MS);
    wait_for_stale(&shop, 7).await;
    assert_eq!(stale(&shop.ledger().await), ["P00000", "P00001", "P00002", "P00002", "P00003", "P00003", "P00004"]);
    shop.ledger().await.check_chains();
    shop.close().await;
}

async fn an_input_before_the_deadline_counts_even_if_it_is_read_later(place: Place) {
    let clock = Clock::manual(START_MS);
    let shop = Shop::open(&place, &setup(&clock)).await;
    shop.stock(ids(2), 10).await;
    shop.settle().await;
    // While the role is down one product gets an input just in time; the other does not.
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

async fn another_setting_holds_for_products_that_wait_since_before_it(place: Place) {
    let clock = Clock::manual(START_MS);
    let shop = Shop::open(&place, &setup(&clock)).await;
    shop.stock(ids(3), 10).await;
    shop.settle().await;
    shop.close().await;
    let with = |stale_after_ms| Setup { rules: Rules { stale_after_ms, ..Rules::default() }, ..setup(&clock) };
    // A longer one: the first deadline passes.
    clock.set_ms(START_MS + STALE_AFTER_MS);
    let shop = Shop::open(&place, &with(3 * STALE_AFTER_MS)).await;
    stir(&shop, 90).await;
    assert_eq!(stale(&shop.ledger().await), [""; 0]);
    shop.close().await;
    // A shorter one: its deadline is over.
    let shop = Shop::open(&place, &with(STALE_AFTER_MS / 2)).await;
    wait_for_stale(&shop, 3).await;
    stir(&shop, 91).await;
    assert_eq!(stale(&shop.ledger().await), ids(3).collect::<Vec<_>>());
    shop.close().await;
}

async fn actors_killed_as_a_stale_timer_fires(place: Place) {
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

async fn actors_killed_a_tick_before_the_deadline(place: Place) {
    for target in ["product", "shard", "committer", "log-source", "role/inventory"] {
        let (place, clock) = (place.another(), Clock::manual(START_MS));
        let shop = Shop::open(&place, &setup(&clock)).await;
        shop.stock(ids(30), 10).await;
        shop.settle().await;
        clock.set_ms(START_MS + STALE_AFTER_MS - 1);
        shop.arm(target, Fault::Kill, if target == "product" { 10 } else { 1 });
        // Ten of them get an input as they or the actors above them die, and so are saved.
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

async fn deadlines_that_passed_while_the_role_was_down(place: Place) {
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

async fn under_constant_load(place: Place) {
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
