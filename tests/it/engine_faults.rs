//! Every kind of actor of the engine, with every fault while its mailbox holds work: nothing is lost or doubled.

use kartshoppe::actors::faults::Fault;
use kartshoppe::actors::supervision::{ActorKind, RestartPolicy};
use tokio::time::Instant;

use crate::support::engine::{Setup, Shop, eventually, ids, order};
use crate::support::place::{Place, on_each_log};

on_each_log!(at length:
    products,
    one_product_struck_repeatedly,
    products_that_fail_to_start,
    a_product_that_is_killed_constantly_does_not_delay_the_others,
    shards,
    the_committer,
    the_source,
    a_role_that_is_stopped_and_started_resumes_where_it_was,
    every_part_at_once,
    the_role_with_everything_below_it,
);

const PRODUCTS: usize = 40;
const STOCK: i64 = 60;
const ORDERS: usize = 3_000;

fn orders(from: usize, count: usize) -> Vec<kartshoppe::log::NewRecord> {
    (from..from + count).map(|n| order(n, &format!("P{:05}", n * 7 % PRODUCTS), 1)).collect()
}

/// Strikes `target` with each fault while orders arrive in chunks of a few hundred, so that batches are always in progress.
async fn survive(place: Place, target: &str, faults: &[Fault], count: u64) {
    let setup = Setup { batch_max_records: 200, ..Setup::default() };
    let shop = Shop::open(&place, &setup).await;
    shop.stock(ids(PRODUCTS), STOCK).await;
    shop.settle().await;
    let mut sent = 0;
    let mut caught = 0;
    for fault in faults {
        let started = Instant::now();
        shop.append(orders(sent, ORDERS / 2)).await;
        if *fault == Fault::Start {
            // A live actor does not start: it is killed first, and its successors fail to start.
            shop.arm(target, Fault::Kill, 1);
        }
        shop.arm(target, *fault, count);
        shop.append(orders(sent + ORDERS / 2, ORDERS / 2)).await;
        sent += ORDERS;
        shop.struck().await;
        let (struck, behind) = (started.elapsed(), shop.behind().await);
        caught += behind;
        shop.settle().await;
        let settled = started.elapsed();
        println!(
            "{target} {fault:?} x{count}: struck after {struck:?} with {behind} records to go, all committed after {settled:?}"
        );
    }
    assert!(caught > 0, "{target} was never struck with work in hand");
    shop.ledger().await.check_conservation(PRODUCTS, STOCK, sent);
    shop.close().await;
}

const ALL: [Fault; 6] = [Fault::Kill, Fault::Panic, Fault::Error, Fault::Hang, Fault::Slow, Fault::Start];

async fn products(place: Place) {
    survive(place, "product", &ALL, 5).await;
}

async fn one_product_struck_repeatedly(place: Place) {
    survive(place, "product/P00007", &[Fault::Kill, Fault::Panic, Fault::Error], 6).await;
}

async fn products_that_fail_to_start(place: Place) {
    let shop = Shop::open(&place, &Setup { batch_max_records: 200, ..Setup::default() }).await;
    shop.stock(ids(PRODUCTS), STOCK).await;
    shop.settle().await;
    // Killed first: a live product does not start.
    shop.arm("product", Fault::Kill, 20);
    shop.arm("product", Fault::Start, 30);
    shop.append(orders(0, ORDERS / 3)).await;
    shop.struck().await;
    shop.settle().await;
    shop.ledger().await.check_conservation(PRODUCTS, STOCK, ORDERS / 3);
    assert_eq!(shop.ledger().await.dead_letters, 0, "no command was to blame");
    shop.close().await;
}

/// With waits of five seconds between so many restarts this would take minutes.
async fn a_product_that_is_killed_constantly_does_not_delay_the_others(place: Place) {
    let setup = Setup { restart: RestartPolicy::default(), ..Setup::default() };
    let shop = Shop::open(&place, &setup).await;
    shop.stock(ids(PRODUCTS), STOCK).await;
    shop.arm("product/P00007", Fault::Kill, 60);
    shop.append(orders(0, ORDERS / 3)).await;
    shop.struck().await;
    shop.settle().await;
    shop.ledger().await.check_conservation(PRODUCTS, STOCK, ORDERS / 3);
    shop.close().await;
}

async fn shards(place: Place) {
    survive(place, "shard", &ALL, 3).await;
}

async fn the_committer(place: Place) {
    survive(place, "committer", &ALL, 2).await;
}

async fn the_source(place: Place) {
    survive(place, "log-source", &ALL, 2).await;
}

async fn every_part_at_once(place: Place) {
    let setup = Setup { batch_max_records: 100, ..Setup::default() };
    let shop = Shop::open(&place, &setup).await;
    shop.stock(ids(PRODUCTS), STOCK).await;
    for (round, kind) in ["product", "shard", "committer", "log-source", "role"].iter().cycle().take(25).enumerate() {
        shop.append(orders(round * 200, 200)).await;
        shop.arm(kind, ALL[round % 3], 1);
    }
    shop.settle().await;
    shop.ledger().await.check_conservation(PRODUCTS, STOCK, 25 * 200);
    shop.close().await;
}

async fn the_role_with_everything_below_it(place: Place) {
    let setup = Setup { batch_max_records: 200, ..Setup::default() };
    let shop = Shop::open(&place, &setup).await;
    shop.stock(ids(PRODUCTS), STOCK).await;
    let entry = shop.supervision.directory.entry(ActorKind::Role, "role/inventory");
    for round in 0..5 {
        shop.append(orders(round * 600, 600)).await;
        let incarnation = entry.report().incarnation;
        assert!(entry.kill());
        eventually(|| async { entry.report().incarnation > incarnation }).await;
    }
    shop.settle().await;
    shop.ledger().await.check_conservation(PRODUCTS, STOCK, 3_000);
    shop.close().await;
}

async fn a_role_that_is_stopped_and_started_resumes_where_it_was(place: Place) {
    let setup = Setup { batch_max_records: 200, ..Setup::default() };
    let shop = Shop::open(&place, &setup).await;
    shop.stock(ids(PRODUCTS), STOCK).await;
    for round in 0..4 {
        shop.append(orders(round * 500, 500)).await;
        shop.root.stop("inventory").await.unwrap();
        shop.root.start("inventory").await.unwrap();
    }
    shop.settle().await;
    shop.ledger().await.check_conservation(PRODUCTS, STOCK, 2_000);
    shop.close().await;
}
