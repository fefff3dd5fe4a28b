//! The engine alone, on the embedded log in this process: a backlog, a steady load, a quiet shop, and actors that die.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use kartshoppe::actors::faults::{Fault, FaultBoard, Target};
use kartshoppe::actors::inventory::{INVENTORY_GROUP, Inventory, InventoryConfig};
use kartshoppe::actors::role::SupervisionContext;
use kartshoppe::actors::root::{RoleSpec, RootHandle};
use kartshoppe::actors::stats::Directory;
use kartshoppe::actors::supervision::RestartPolicy;
use kartshoppe::clock::Clock;
use kartshoppe::domain::inventory::Rules;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::log::{EventLog, Headers, NewRecord, Reader, Start, Stop, read_topics};
use kartshoppe::sources::log_source::feed_from_log;
use kartshoppe::wire::topics::Topic;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::Extent;
use super::figures::{Times, cpu, fsyncs, millis, per_second, percent, thousands};
use super::table::Table;

const PATIENCE: Duration = Duration::from_secs(120);
/// Records of one append of a backlog: as many as one commit of the engine takes.
const CHUNK: usize = 10_000;
/// Orders of the quiet shop, one at a time.
const QUIET_ORDERS: usize = 300;
/// Deaths of each kind.
const STRIKES: usize = 30;
/// Between two orders of the quiet shop.
const PAUSE: Duration = Duration::from_millis(3);
const TICK: Duration = Duration::from_millis(10);
const TICKS_PER_SECOND: usize = 100;

/// Everything about the engine.
pub async fn measure(table: &mut Table, extent: &Extent) {
    for products in [200, extent.many_products] {
        backlog(table, extent.orders, products).await;
    }
    let rig = Rig::open(200, true).await;
    rig.start().await;
    rig.settle().await;
    for per_second in [20_000, 80_000] {
        steady(table, &rig, per_second, extent.steady).await;
    }
    quiet(table, &rig).await;
    rig.close().await;
}

/// An inventory on a log of its own.
struct Rig {
    folder: tempfile::TempDir,
    log: Arc<EmbeddedLog>,
    inventory: Inventory,
    supervision: SupervisionContext,
    root: RootHandle,
    products: usize,
}

impl Rig {
    /// With these products on `product-updates`; nothing runs yet.
    async fn open(products: usize, fsync: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = open_log(folder.path(), fsync).await;
        fill(&*log, products, product).await;
        let supervision = SupervisionContext {
            alarms: kartshoppe::telemetry::alarms::Alarms::default(),
            directory: Directory::default(),
            faults: FaultBoard::default(),
            // Deaths in a row are answered with longer and longer waits: that is policy, not speed.
            restart: RestartPolicy { backoff_max: Duration::from_millis(1), ..RestartPolicy::default() },
            hang_after: Duration::from_secs(5),
        };
        let config = InventoryConfig {
            instance: "bench".to_owned(),
            rules: Rules::default(),
            max_live_products: 100_000,
            bootstrap_file: None,
            batch_max_records: CHUNK,
        };
        let inventory = Inventory::new(log.clone(), &config, Clock::system(), &supervision, feed_from_log);
        let roles = vec![RoleSpec { name: "inventory", children: inventory.children.clone() }];
        let root = RootHandle::spawn(&supervision, roles).await.unwrap();
        Self { folder, log, inventory, supervision, root, products }
    }

    async fn start(&self) {
        self.root.start("inventory").await.unwrap();
    }

    async fn close(self) {
        self.root.stop_all().await.unwrap();
        self.log.close().await;
    }

    fn order(&self, number: usize) -> NewRecord {
        order(number, self.products)
    }

    /// Waits until everything that the inputs hold is committed.
    async fn settle(&self) {
        let topics = self.log.topics().await.unwrap();
        let inputs = topics.into_iter().filter(|info| [Topic::ProductUpdates, Topic::OrderEvents].contains(&info.topic));
        let wanted: i64 = inputs.flat_map(|info| info.partitions).map(|partition| partition.end).sum();
        loop {
            let committed = self.log.committed(INVENTORY_GROUP).await.unwrap();
            if committed.values().map(|position| position.offset).sum::<i64>() >= wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn open_log(folder: &Path, fsync: bool) -> Arc<EmbeddedLog> {
    let config = EmbeddedConfig { fsync, ..EmbeddedConfig::new(folder.join("log"), 4) };
    let log = Arc::new(EmbeddedLog::open(config, Clock::system()).await.unwrap());
    log.create_topics(&Topic::ALL).await.unwrap();
    log
}

/// Orders that lie there already, all outputs, beside bare appends of the same orders and of all that the engine wrote.
async fn backlog(table: &mut Table, orders: usize, products: usize) {
    let rig = Rig::open(products, true).await;
    rig.start().await;
    rig.settle().await;
    rig.root.stop("inventory").await.unwrap();
    let commits_before = rig.inventory.metrics.commits.load(Ordering::Relaxed);
    let appended = fill(&*rig.log, orders, |number| rig.order(number)).await;
    let (began, cpu_before) = (Instant::now(), cpu(std::process::id()));
    rig.start().await;
    rig.settle().await;
    let (took, used) = (began.elapsed(), cpu(std::process::id()) - cpu_before);
    let commits = rig.inventory.metrics.commits.load(Ordering::Relaxed) - commits_before;
    let (rate, bare) = (per_second(orders, took), per_second(orders, appended));
    let (written, rewritten) = rewrite(&*rig.log).await;
    let what = format!("engine, backlog of {} orders, {} products", thousands(orders as f64), thousands(products as f64));
    let measured = format!("{} orders/s", thousands(rate));
    let reference = format!("bare appends {}/s ({})", thousands(bare), percent(rate, bare));
    if products == 200 {
        table.aimed(what, measured, reference, ">= 150,000/s and >= 50 %", rate >= 150_000.0 && rate * 2.0 >= bare);
    } else {
        table.info(what, measured, reference);
    }
    let orders_per_cpu = format!("{} orders/CPU-s", thousands(per_second(orders, used)));
    table.info(
        "  CPU, and size of a commit",
        orders_per_cpu,
        format!("{commits} commits of {} orders", orders as u64 / commits.max(1)),
    );
    let outputs = format!("{} outputs/s", thousands(per_second(written, took)));
    let reference = format!("bare appends of all outputs {}/s", thousands(per_second(written, rewritten)));
    table.info("  outputs: events, alerts, states, frames", outputs, reference);
    rig.close().await;
}

/// Appends all that the engine wrote to another log: how many records, and how long their appends took.
async fn rewrite(log: &dyn EventLog) -> (usize, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let other = open_log(folder.path(), true).await;
    let topics = [Topic::InventoryEvents, Topic::InventoryAlerts, Topic::Products, Topic::WebsocketFanout];
    let mut reader = read_topics(log, &topics, Start::Beginning, Stop::AtEnd).await.unwrap();
    let (mut count, mut took) = (0, Duration::ZERO);
    while !reader.caught_up() {
        let records = reader.read(CHUNK, PATIENCE).await.unwrap().into_iter();
        let again = |record: kartshoppe::log::Record| NewRecord {
            topic: record.topic,
            partition: Some(record.partition),
            key: record.key,
            value: record.value,
            headers: record.headers,
        };
        let records: Vec<_> = records.map(again).collect();
        count += records.len();
        let began = Instant::now();
        other.append(records, PATIENCE).await.unwrap();
        took += began.elapsed();
    }
    other.close().await;
    (count, took)
}

/// How old an order is when its event is there, while orders come at this rate.
async fn steady(table: &mut Table, rig: &Rig, rate: usize, time: Duration) {
    let per_tick = rate / TICKS_PER_SECOND;
    let ticks = usize::try_from(time.as_millis() / TICK.as_millis()).unwrap();
    let mut follower = read_topics(&*rig.log, &[Topic::InventoryEvents], Start::End, Stop::Never).await.unwrap();
    let began = Instant::now();
    let (log, products) = (rig.log.clone(), rig.products);
    let feeder = tokio::spawn(async move {
        let mut clock = tokio::time::interval(TICK);
        for tick in 0..ticks {
            clock.tick().await;
            log.append((0..per_tick).map(|n| order(tick * per_tick + n, products)).collect(), PATIENCE).await.unwrap();
        }
    });
    let (mut seen, mut ages) = (0, Vec::new());
    while seen < ticks * per_tick {
        let records = follower.read(CHUNK, PATIENCE).await.unwrap();
        seen += records.len();
        // An order was born when its tick was due, not when a late feeder came to it.
        for record in [records.first(), records.last()].into_iter().flatten() {
            let tick = u32::try_from(number_of(record.value.as_deref().unwrap()) / per_tick).unwrap();
            ages.push(began.elapsed().saturating_sub(TICK * tick));
        }
    }
    feeder.await.unwrap();
    let kept = per_second(seen, began.elapsed());
    let what = format!("  age of an order at its event, {} orders/s", thousands(rate as f64));
    table.info(what, Times::new(ages).to_string(), format!("{}/s were kept up", thousands(kept)));
}

/// The number in the text of an event's order id.
fn number_of(event: &[u8]) -> usize {
    let text = std::str::from_utf8(event).unwrap();
    let id = text.split_once(r#""orderId":""#).unwrap().1.split_once('"').unwrap().0;
    id.rsplit_once('-').unwrap().1.parse().unwrap()
}

/// From an order's append to its event in a follower's hand, one at a time; then the same while an actor is killed by it.
async fn quiet(table: &mut Table, rig: &Rig) {
    let fsync = fsyncs(rig.folder.path());
    let mut follower = read_topics(&*rig.log, &[Topic::InventoryEvents], Start::End, Stop::Never).await.unwrap();
    let usual = Times::new(one_by_one(rig, &mut *follower, QUIET_ORDERS, None).await);
    let met = usual.at(50) <= fsync.at(50) + Duration::from_millis(2);
    table.aimed(
        "order event to committed output, quiet",
        usual.to_string(),
        format!("one fsync {fsync}"),
        "p50 <= fsync + 2 ms",
        met,
    );
    for (target, aim) in [("product", "p50 <= 5 ms more"), ("shard", ""), ("committer", ""), ("log-source", "")] {
        let struck = Times::new(one_by_one(rig, &mut *follower, STRIKES, Some(target)).await);
        let (what, reference) =
            (format!("  the same, its {target} killed by it"), format!("not killed p50 {}", millis(usual.at(50))));
        if aim.is_empty() {
            table.info(what, struck.to_string(), reference);
        } else {
            table.aimed(what, struck.to_string(), reference, aim, struck.at(50) <= usual.at(50) + Duration::from_millis(5));
        }
    }
}

async fn one_by_one(rig: &Rig, follower: &mut dyn Reader, orders: usize, struck: Option<&str>) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in 0..orders {
        if let Some(target) = struck {
            rig.supervision.faults.arm(target.parse::<Target>().unwrap(), Fault::Kill, 1, PATIENCE);
        }
        let began = Instant::now();
        rig.log.append(vec![rig.order(number)], PATIENCE).await.unwrap();
        let appended = began.elapsed();
        assert!(!follower.read(10, PATIENCE).await.unwrap().is_empty(), "no event came");
        times.push(began.elapsed().saturating_sub(appended));
        tokio::time::sleep(PAUSE).await;
    }
    times
}

async fn fill(log: &dyn EventLog, count: usize, make: impl Fn(usize) -> NewRecord) -> Duration {
    let mut took = Duration::ZERO;
    for from in (0..count).step_by(CHUNK) {
        let records = (from..count.min(from + CHUNK)).map(&make).collect();
        let began = Instant::now();
        log.append(records, PATIENCE).await.unwrap();
        took += began.elapsed();
    }
    took
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

/// Which product an order is for: any, each as likely, the same in each run.
fn drawn(order: usize, products: usize) -> usize {
    StdRng::seed_from_u64(order as u64).random_range(0..products)
}

fn order(number: usize, products: usize) -> NewRecord {
    let id = format!("PROD_{:06}", drawn(number, products));
    let json = format!(
        r#"{{"orderId":"0190a1b2-c3d4-7e5f-8a9b-{number:012}","productId":"{id}","quantity":1,"timestamp":1732500000000,"orderItemId":"0190a1b2-c3d4-7e5f-8a9c-{number:012}","source":"direct"}}"#
    );
    record(Topic::OrderEvents, id, json)
}
