//! A backlog that is there before the work begins.

use std::time::Duration;

use tokio::time::Instant;

use super::broker::Broker;
use super::figures::{cpu, rate};
use super::{Kind, Load, Subject, pid_of};

const LIMIT: Duration = Duration::from_secs(300);

/// What a drain gave.
pub struct Drained {
    pub per_second: f64,
    pub per_cpu_second: f64,
}

/// Drains `orders` with so many processes, and prints the figures.
pub fn measure(broker: &Broker, kind: Kind, processes: usize, orders: usize, products: usize) -> Drained {
    let load = Load::new(broker);
    if kind == Kind::Shop {
        load.products(products);
        let filling = Subject::start(&load, kind, 0);
        load.wait("product-updates", products, LIMIT, |_, _| {});
        drop(filling);
    }
    load.orders(0, orders, products);
    let subjects: Vec<Subject> = (0..processes).map(|instance| Subject::start(&load, kind, instance)).collect();
    let used = || subjects.iter().map(|subject| cpu(subject.pid())).sum::<f64>();
    let mut marks: Vec<(usize, Instant, f64, f64)> = Vec::new();
    load.wait("order-events", orders, LIMIT, |done, now| {
        let is_mark = done > 0 && (marks.is_empty() || done >= orders || marks.len() == 1 && done >= orders / 2);
        if is_mark {
            marks.push((done, now, used(), cpu(pid_of(broker))));
        }
    });
    assert!(marks.len() > 2, "too few orders to measure: {marks:?}");
    let (first, half, last) = (marks[0], marks[1], marks[marks.len() - 1]);
    let span = |from: (usize, Instant, f64, f64)| {
        let count = last.0 - from.0;
        (rate(count, (last.1 - from.1).as_secs_f64()), rate(count, last.2 - from.2), count)
    };
    let (whole, second) = (span(first), span(half));
    println!(
        "drain    {:<5} {processes} process(es), {orders} orders, {products} products: {:>8.0} orders/s, {:>8.0} per CPU-s (second half {:.0}, {:.0}); broker {:.2} us CPU/order",
        format!("{kind:?}").to_lowercase(),
        whole.0,
        whole.1,
        second.0,
        second.1,
        (last.3 - first.3) * 1e6 / rate(whole.2, 1.0),
    );
    Drained { per_second: whole.0, per_cpu_second: whole.1 }
}
