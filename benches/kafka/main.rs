//! The inventory on Kafka: the real program with the role `inventory`, on a broker of its own, beside a bare loop of the same
//! client.
//!
//! `cargo bench --bench kafka [-- drain|wide|latency|recover|restart|pair]...` (default: all of them). `ORDERS` is the length of
//! a backlog (default 1,500,000), `ROUNDS` how often each comparison takes turns (default 1).
//! A drain starts with the backlog there; the clock runs from the first commit to the last. The bare loop reads the same events
//! and writes the same records, with a subtraction where the shop has its rules, actors and states.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark stops where it fails, and prints its figures")]

mod bare;
mod drain;
mod figures;
mod latency;
mod load;
mod recover;
mod subject;

#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/it/support/kafka.rs"]
mod broker;

use broker::Broker;
use load::Load;
use subject::{Kind, Subject};

/// Products of the common case: few enough that a batch touches each of them often.
const FEW: usize = 200;
/// So many that coalescing gains nothing.
const MANY: usize = 200_000;
/// Products of a restart.
const RESTORED: usize = 100_000;

fn main() {
    if bare::is_child() {
        return bare::run();
    }
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wants = |step: &str| asked.is_empty() || asked.iter().any(|asked| asked == step);
    let Some(broker) = Broker::own(&[]) else { return };
    let (orders, rounds) = (setting("ORDERS", 1_500_000), setting("ROUNDS", 1));
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        if wants("drain") {
            compare(&broker, orders, FEW);
        }
        if wants("wide") {
            compare(&broker, orders / 3, MANY);
        }
        if wants("pair") {
            drain::measure(&broker, Kind::Shop, 2, orders, FEW);
        }
        if wants("latency") {
            latency::measure(&broker, Kind::Bare);
            latency::measure(&broker, Kind::Shop);
        }
        if wants("recover") {
            recover::measure(&broker, FEW, "kill -9 under 200/s, start to a new order's output");
        }
        if wants("restart") {
            recover::measure(&broker, RESTORED, "the same with 100,000 products to restore");
        }
    }
}

/// The bare loop and the shop, one after the other.
fn compare(broker: &Broker, orders: usize, products: usize) {
    let bare = drain::measure(broker, Kind::Bare, 1, orders, products);
    let shop = drain::measure(broker, Kind::Shop, 1, orders, products);
    println!(
        "         shop / bare: {:.0} % of its orders/s, {:.0} % of its orders per CPU-second",
        100.0 * shop.per_second / bare.per_second,
        100.0 * shop.per_cpu_second / bare.per_cpu_second
    );
}

/// The broker's process.
fn pid_of(broker: &Broker) -> u32 {
    std::fs::read_to_string(broker.folder().join("pid")).unwrap().trim().parse().unwrap()
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}
