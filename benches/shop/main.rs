//! The whole shop, each figure beside its reference of the same run: `make bench`, or `cargo bench --bench shop -- [SECTION...]
//! [--short]`.
//!
//! `engine` runs the inventory alone, on the embedded log in this process. All other sections drive the real program from
//! outside, with its private database: `click` (checkout to another page's frame), `checkouts` (beside `pgbench`), `reads` and
//! `pages` (beside the plain way to do the same), `restart` (`kill -9` to right stock), `memory` (of many products),
//! `telemetry` (what spans cost). `--short`
//! measures everything with less of it; its figures say whether something broke, not how good it is.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark stops where it fails, and prints its figures; counts are small"
)]

mod buying;
mod click;
mod engine;
mod figures;
mod pages;
mod products;
mod reading;
mod reference;
#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/it/support/server.rs"]
mod server;
mod table;
mod telemetry;

use std::time::Duration;

use table::Table;

/// How much of everything.
pub struct Extent {
    /// Orders of a backlog.
    pub orders: usize,
    /// Products where coalescing gains nothing.
    pub many_products: usize,
    /// How long a steady load lasts.
    pub steady: Duration,
    /// Clicks by each path.
    pub clicks: usize,
    pub checkouts: usize,
    pub reads: usize,
    pub pages: usize,
    pub restarts: usize,
    /// Products of the shop that is restarted, and of the one that is weighed.
    pub restarted_products: usize,
    pub weighed_products: usize,
}

impl Extent {
    const FULL: Self = Self {
        orders: 1_000_000,
        many_products: 200_000,
        steady: Duration::from_secs(8),
        clicks: 300,
        checkouts: 6_000,
        reads: 400_000,
        pages: 1_000,
        restarts: 5,
        restarted_products: 100_000,
        weighed_products: 1_000_000,
    };
    const SHORT: Self = Self {
        orders: 200_000,
        many_products: 20_000,
        steady: Duration::from_secs(2),
        clicks: 50,
        checkouts: 1_000,
        reads: 80_000,
        pages: 200,
        restarts: 2,
        restarted_products: 10_000,
        weighed_products: 20_000,
    };
}

const SECTIONS: [&str; 8] = ["engine", "click", "checkouts", "reads", "pages", "restart", "memory", "telemetry"];

fn main() {
    if reference::is_asked_for() {
        return reference::run();
    }
    // Cargo says `--bench` to every benchmark.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (flags, sections): (Vec<_>, Vec<_>) =
        arguments.iter().map(String::as_str).partition(|argument| argument.starts_with("--"));
    let unknown = sections.iter().find(|section| !SECTIONS.contains(section)).or(flags.iter().find(|flag| **flag != "--short"));
    if let Some(unknown) = unknown {
        eprintln!("{unknown} is none of --short, {}", SECTIONS.join(", "));
        std::process::exit(2);
    }
    let extent = if flags.is_empty() { Extent::FULL } else { Extent::SHORT };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut table = Table::default();
    for section in SECTIONS.into_iter().filter(|section| sections.is_empty() || sections.contains(section)) {
        runtime.block_on(async {
            match section {
                "engine" => engine::measure(&mut table, &extent).await,
                "click" => click::measure(&mut table, &extent).await,
                "checkouts" => buying::measure(&mut table, &extent).await,
                "reads" => reading::measure(&mut table, &extent).await,
                "pages" => pages::measure(&mut table, &extent).await,
                "restart" => products::measure_restart(&mut table, &extent).await,
                "memory" => products::measure_memory(&mut table, &extent).await,
                _ => telemetry::measure(&mut table, &extent).await,
            }
        });
    }
    table.print();
}
