//! `kill -9` under a steady load, a start a second later, and how long until a new order's output is committed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::broker::Broker;
use super::figures::print_times;
use super::latency::{Watch, send};
use super::load::pause;
use super::{Kind, Load, Subject};

const KILLS: usize = 7;
const PER_SECOND: usize = 200;
const LIMIT: Duration = Duration::from_secs(60);

/// Kills and starts the shop some times with so many products in its states.
pub fn measure(broker: &Broker, products: usize, what: &str) {
    let load = Load::new(broker);
    load.products(products);
    let mut subject = Subject::start(&load, Kind::Shop, 0);
    load.wait("product-updates", products, LIMIT * 3, |_, _| {});
    let watch = Watch::start(&load);
    let over = AtomicBool::new(false);
    let times = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut next = 0;
            while !over.load(Ordering::Relaxed) {
                next = send(&load, &watch, next, PER_SECOND, Duration::from_secs(1));
            }
            next
        });
        let mut times = Vec::new();
        for _ in 0..KILLS {
            pause(Duration::from_secs(2));
            subject.kill();
            pause(Duration::from_secs(1));
            let started = Instant::now();
            subject.start_again(&load);
            let fresh = loop {
                if let Some(seen) = watch.first_after(started) {
                    break seen;
                }
                assert!(started.elapsed() < LIMIT, "no new output");
                pause(Duration::from_millis(2));
            };
            times.push(fresh - started);
        }
        over.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap();
        load.wait("order-events", sent, LIMIT, |_, _| {});
        times
    });
    print_times(&format!("recover  {what}"), times);
    drop(watch);
}
