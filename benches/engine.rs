//! Order events through the whole engine on the embedded log: all outputs, exactly once, one commit per chunk.
//!
//! `cargo bench --bench engine [FOLDER]` works in a folder that it makes below FOLDER (default: the system's for temporary files).
//! First a backlog: orders a second, records a commit, age of the oldest record of a commit. Then a quiet shop: from an order's append
//! to its committed event, beside one bare append. `ORDERS`, `PRODUCTS`, `FSYNC=false` change what is measured.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use kartshoppe::actors::faults::FaultBoard;
use kartshoppe::actors::role::SupervisionContext;
use kartshoppe::actors::root::{RoleSpec, RootHandle};
use kartshoppe::actors::stats::Directory;
use kartshoppe::actors::supervision::RestartPolicy;
use kartshoppe::clock::Clock;
use kartshoppe::domain::inventory::Rules;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::log::{EventLog, Headers, NewRecord, Start, Stop, read_topics};
use kartshoppe::sources::{INVENTORY_GROUP, Inventory, InventoryConfig};
use kartshoppe::wire::topics::Topic;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(120);
/// Orders of the quiet shop, one at a time.
const QUIET_ORDERS: usize = 500;

fn main() -> anyhow::Result<()> {
    let parent = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let folder = tempfile::tempdir_in(parent.map_or_else(std::env::temp_dir, Into::into))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(folder.path()))
}

async fn run(folder: &Path) -> anyhow::Result<()> {
    let (orders, products) = (setting("ORDERS", 1_000_000)?, setting("PRODUCTS", 200)?);
    let fsync = !std::env::var("FSYNC").is_ok_and(|text| text == "false");
    let config = EmbeddedConfig { fsync, ..EmbeddedConfig::new(folder, 4) };
    let log = Arc::new(EmbeddedLog::open(config, Clock::system()).await?);
    log.create_topics(&Topic::ALL).await?;
    fill(&*log, products, product).await?;
    let began = Instant::now();
    fill(&*log, orders, |n| order(n, products)).await?;
    println!("append   {orders} orders            {:>9.0} records/s", per_second(orders, began.elapsed()));

    let supervision = SupervisionContext {
        directory: Directory::default(),
        faults: FaultBoard::default(),
        restart: RestartPolicy::default(),
        hang_after: Duration::from_secs(5),
    };
    let inventory = Inventory::new(log.clone(), &inventory_config(), Clock::system(), &supervision);
    let root =
        RootHandle::spawn(&supervision, vec![RoleSpec { name: "inventory", children: inventory.children.clone() }]).await?;
    let (began, cpu) = (Instant::now(), cpu_seconds());
    root.start("inventory").await?;
    settle(&*log).await?;
    let (took, cpu) = (began.elapsed(), cpu_seconds() - cpu);
    let commits = inventory.metrics.commits.load(Ordering::Relaxed);
    println!(
        "engine   {orders} orders, {products} products: {:>9.0} orders/s, {:.0} per CPU-s, {commits} commits of {} records",
        per_second(orders, took),
        per_second(orders, Duration::from_secs_f64(cpu)),
        orders as u64 / commits.max(1),
    );
    print_times("append   one record", bare_appends(&*log).await?);
    print_times("quiet    order to event", quiet(&*log, orders, products).await?);
    root.stop_all().await?;
    log.close().await;
    Ok(())
}

fn inventory_config() -> InventoryConfig {
    InventoryConfig {
        instance: "bench".to_owned(),
        rules: Rules::default(),
        max_live_products: 100_000,
        bootstrap_file: None,
        batch_max_records: 10_000,
    }
}

fn setting(name: &str, default: usize) -> anyhow::Result<usize> {
    Ok(std::env::var(name).ok().map(|text| text.parse()).transpose()?.unwrap_or(default))
}

async fn fill(log: &dyn EventLog, count: usize, make: impl Fn(usize) -> NewRecord) -> anyhow::Result<()> {
    for from in (0..count).step_by(10_000) {
        log.append((from..count.min(from + 10_000)).map(&make).collect(), PATIENCE).await?;
    }
    Ok(())
}

/// Waits until everything that the inputs hold is committed.
async fn settle(log: &dyn EventLog) -> anyhow::Result<()> {
    let topics = log.topics().await?;
    let inputs: Vec<_> =
        topics.into_iter().filter(|info| [Topic::ProductUpdates, Topic::OrderEvents].contains(&info.topic)).collect();
    let wanted: i64 = inputs.iter().flat_map(|info| &info.partitions).map(|partition| partition.end).sum();
    loop {
        let committed = log.committed(INVENTORY_GROUP).await?;
        if committed.values().map(|position| position.offset).sum::<i64>() >= wanted {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// From an order's append to its event in a follower's hand, one order at a time.
async fn quiet(log: &dyn EventLog, from: usize, products: usize) -> anyhow::Result<Vec<Duration>> {
    let mut follower = read_topics(log, &[Topic::InventoryEvents], Start::End, Stop::Never).await?;
    let mut times = Vec::new();
    for number in from..from + QUIET_ORDERS {
        let began = Instant::now();
        log.append(vec![order(number, products)], PATIENCE).await?;
        let appended = began.elapsed();
        anyhow::ensure!(!follower.read(10, PATIENCE).await?.is_empty(), "no event came");
        times.push(began.elapsed().saturating_sub(appended));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    Ok(times)
}

async fn bare_appends(log: &dyn EventLog) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for number in 0..QUIET_ORDERS {
        let record = NewRecord { topic: Topic::EcommerceEvents, ..product(number) };
        let began = Instant::now();
        log.append(vec![record], PATIENCE).await?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn record(topic: Topic, key: String, json: String) -> NewRecord {
    NewRecord { topic, partition: None, key: Some(Bytes::from(key)), value: Some(Bytes::from(json)), headers: Headers::none() }
}

fn product(number: usize) -> NewRecord {
    let id = format!("PROD_{number:06}");
    let json = format!(
        r#"{{"productId":"{id}","name":"Product number {number}","description":"A thing worth having, and worth a line or two of description.","category":"Electronics","brand":"FutureTech","price":19.99,"inventory":1000000000,"imageUrl":"","tags":["thing","worth"],"rating":4.5,"reviewCount":12}}"#
    );
    record(Topic::ProductUpdates, id, json)
}

fn order(number: usize, products: usize) -> NewRecord {
    let id = format!("PROD_{:06}", number.wrapping_mul(7_919) % products);
    let json = format!(
        r#"{{"orderId":"0190a1b2-c3d4-7e5f-8a9b-{number:012}","productId":"{id}","quantity":1,"timestamp":1732500000000,"orderItemId":"0190a1b2-c3d4-7e5f-8a9c-{number:012}","source":"direct"}}"#
    );
    record(Topic::OrderEvents, id, json)
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(|text| text.parse().unwrap_or(0.0)).collect();
    // utime and stime in ticks of 10 ms (proc(5)), the 14th and 15th field of the line.
    fields.get(11).zip(fields.get(12)).map_or(0.0, |(user, system)| (user + system) / 100.0)
}

fn per_second(count: usize, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let count = count as f64;
    count / took.as_secs_f64()
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    println!("{what:<28} p50 {:>7.3} ms  p99 {:>7.3} ms", at(50), at(99));
}
