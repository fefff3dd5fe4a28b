//! Several processes with the role `inventory` share the work on one Kafka: they join, die and return under load, and nothing is
//! lost or doubled; a product that moves with its partition goes stale once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kartshoppe::clock::Clock;
use kartshoppe::domain::inventory::EventKind;
use kartshoppe::log::EventLog;
use kartshoppe::log::partitioner::partition_of;
use kartshoppe::wire::topics::inventory_event::EventType;
use serde_json::Value;
use tokio::time::Instant;

use crate::support::engine::{Ledger, ids, order, product, until_committed};
use crate::support::log::append;
use crate::support::place::{Opened, Place};
use crate::support::server::{Options, Server};

const PRODUCTS: usize = 60;
const STOCK: i64 = 100_000;
const PARTITIONS: usize = 4;
/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Processes, and the log that they share.
struct Processes {
    opened: Opened,
    options: Options,
    _files: tempfile::TempDir,
}

impl Processes {
    /// A log whose products come from the bootstrap file, and no process yet.
    async fn prepare(place: Place) -> Self {
        let opened = place.open(&Clock::system()).await;
        let files = tempfile::tempdir().unwrap();
        let catalogue = files.path().join("products.json");
        let products: Vec<_> =
            ids(PRODUCTS).map(|id| String::from_utf8(product(&id, STOCK).value.unwrap().to_vec()).unwrap()).collect();
        std::fs::write(&catalogue, format!("[{}]", products.join(","))).unwrap();
        let database = crate::support::postgres::database().await;
        let mut options = place
            .options()
            .set("DATABASE_URL", &database.url)
            .set("KARTSHOPPE__CDC__DATABASE_URL", &database.cdc_url)
            .set("KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE", catalogue.display());
        options.arguments = ["--roles", "inventory"].map(str::to_owned).to_vec();
        Self { opened, options, _files: files }
    }

    fn log(&self) -> &dyn EventLog {
        &*self.opened.log
    }

    async fn start(&self) -> Server {
        Server::start(self.options.clone()).await
    }

    async fn ledger(&self) -> Ledger {
        Ledger::read(self.log()).await
    }

    /// Waits until each partition has one of these processes, and each process at least one partition.
    async fn shared_by(&self, servers: &[&Server]) -> Vec<Vec<usize>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut owned = Vec::new();
            for server in servers {
                owned.push(owned_by(server).await);
            }
            let mut all: Vec<_> = owned.iter().flatten().copied().collect();
            all.sort_unstable();
            if all == (0..PARTITIONS).collect::<Vec<_>>() && owned.iter().all(|partitions| !partitions.is_empty()) {
                return owned;
            }
            assert!(Instant::now() < deadline, "never shared: {owned:?}\n{}", servers[0].log_tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until an order for each of these partitions, sent now, has its outcome; how long that took.
    async fn serves(&self, partitions: &[usize], load: &Load) -> Duration {
        let started = Instant::now();
        let mut waiting: BTreeMap<String, usize> = BTreeMap::new();
        for partition in partitions {
            let id = ids(PRODUCTS).find(|id| partition_of(id.as_bytes(), 4) == i32::try_from(*partition).unwrap()).unwrap();
            let number = load.next.fetch_add(1, Ordering::SeqCst);
            append(self.log(), vec![order(number, &id, 1)]).await;
            waiting.insert(format!("i-{number}"), *partition);
        }
        while !waiting.is_empty() {
            assert!(started.elapsed() < PATIENCE, "partitions {waiting:?} are not assigned");
            tokio::time::sleep(Duration::from_millis(20)).await;
            let outcomes = self.ledger().await.outcomes();
            waiting.retain(|item, _| !outcomes.contains_key(item));
        }
        started.elapsed()
    }

    /// Waits until everything that was sent is committed.
    async fn settle(&self) {
        assert!(
            tokio::time::timeout(PATIENCE, until_committed(self.log())).await.is_ok(),
            "the inputs are never read to their end"
        );
    }
}

/// The partitions whose products this process has.
async fn owned_by(server: &Server) -> Vec<usize> {
    let mut owned = Vec::new();
    for shard in 0..PARTITIONS {
        let answer = server.http.get(server.admin(&format!("/admin/actors?shard={shard}"))).send().await;
        if let Ok(answer) = answer
            && let Ok(Value::Array(products)) = answer.json().await
            && !products.is_empty()
        {
            owned.push(shard);
        }
    }
    owned
}

/// Orders that flow until it is stopped: about 400 a second, over all products.
struct Load {
    next: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    fn start(log: Arc<dyn EventLog>) -> Self {
        let (next, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (numbers, ended) = (next.clone(), over.clone());
        let task = tokio::spawn(async move {
            while !ended.load(Ordering::SeqCst) {
                let from = numbers.fetch_add(20, Ordering::SeqCst);
                append(&*log, (from..from + 20).map(|n| order(n, &format!("P{:05}", n * 7 % PRODUCTS), 1)).collect()).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { next, over, task }
    }

    /// Stops; how many orders there were.
    async fn stop(self) -> usize {
        self.over.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
        self.next.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_come_die_and_come_back_under_load() {
    let Some(place) = Place::kafka() else { return };
    let processes = Processes::prepare(place).await;
    let mut first = processes.start().await;
    let load = Load::start(processes.opened.log.clone());
    let second = processes.start().await;
    let owned = processes.shared_by(&[&first, &second]).await;
    println!("two processes: {owned:?}");
    let mut third = processes.start().await;
    let mut fourth = processes.start().await;
    let owned = processes.shared_by(&[&first, &second, &third, &fourth]).await;
    println!("four processes: {owned:?}");

    // Killed for good: the others take its partitions.
    third.kill();
    let replaced = processes.serves(&owned[2], &load).await;
    println!("replaced after {replaced:?}");
    processes.shared_by(&[&first, &second, &fourth]).await;

    // Killed and started again: it gets its own partitions back, at once.
    let owned = owned_by(&first).await;
    first.kill();
    first.spawn();
    let back = processes.serves(&owned, &load).await;
    println!("back after {back:?}");
    first.wait_until_ready().await;

    // Stopped in order: no process waits for a session timeout.
    let owned = owned_by(&fourth).await;
    assert_eq!(fourth.terminate(), Some(0), "{}", fourth.log_tail());
    let handed = processes.serves(&owned, &load).await;
    println!("handed over after {handed:?}");

    let orders = load.stop().await;
    processes.settle().await;
    processes.ledger().await.check_conservation(PRODUCTS, STOCK, orders);
    println!("{orders} orders, each with one outcome");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_goes_stale_once_while_its_partition_moves() {
    let Some(place) = Place::kafka() else { return };
    let mut processes = Processes::prepare(place).await;
    processes.options = processes.options.clone().set("KARTSHOPPE__INVENTORY__STALE_AFTER", "12s");
    let mut first = processes.start().await;
    // From here on the partitions move while the deadlines pass: two come, one is killed, one leaves.
    let second = processes.start().await;
    let mut third = processes.start().await;
    processes.shared_by(&[&first, &second, &third]).await;
    first.kill();
    stale_events(&processes, PRODUCTS / 4).await;
    assert_eq!(third.terminate(), Some(0), "{}", third.log_tail());
    let fourth = processes.start().await;
    stale_events(&processes, PRODUCTS).await;
    processes.shared_by(&[&second, &fourth]).await;
    // The new owner of a partition has gone through its reminders once it has handled an order that was sent afterwards.
    let load = Load::start(processes.opened.log.clone());
    processes.serves(&[0, 1, 2, 3], &load).await;
    load.stop().await;
    processes.settle().await;
    let events = stale_events(&processes, PRODUCTS).await;
    assert_eq!(events.len(), PRODUCTS);
    assert!(events.values().all(|count| *count == 1), "{events:?}");
}

/// Waits until so many products have gone stale; how often each has.
async fn stale_events(processes: &Processes, count: usize) -> BTreeMap<String, usize> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut stale = BTreeMap::new();
        for event in processes.ledger().await.events {
            if event.event_type == EventType::Known(EventKind::StaleInventory) {
                *stale.entry(event.product_id.to_string()).or_default() += 1;
            }
        }
        if stale.len() >= count {
            return stale;
        }
        assert!(Instant::now() < deadline, "{} of {count} products went stale", stale.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_with_one_name_the_elder_ends_and_says_why() {
    let Some(place) = Place::kafka() else { return };
    let processes = Processes::prepare(place).await;
    let options = processes.options.clone().set("KARTSHOPPE__INSTANCE", "twin");
    let mut elder = Server::start(options.clone()).await;
    let load = Load::start(processes.opened.log.clone());
    processes.serves(&[0, 1, 2, 3], &load).await;
    let younger = Server::start(options).await;
    assert_eq!(elder.wait().await, Some(1));
    let said = elder.log_tail();
    assert!(said.contains("Give each process its own KARTSHOPPE__INSTANCE") && said.contains("stopping"), "{said}");
    processes.serves(&[0, 1, 2, 3], &load).await;
    processes.shared_by(&[&younger]).await;
    let orders = load.stop().await;
    processes.settle().await;
    processes.ledger().await.check_conservation(PRODUCTS, STOCK, orders);
}
