//! `kill -9` at random moments under load, with items at every stage between SQL and outcome; afterwards every figure is exact.
//!
//! Each round slows another stage down a little, so that all of them have work in flight; the marks that a process with faults
//! enabled leaves behind (`app::stage_marks`) say what the kill hit. A round with too few items in flight does not count.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kartshoppe::actors::inventory::INVENTORY_GROUP;
use kartshoppe::app::stage_marks;
use kartshoppe::check;
use kartshoppe::log::{EventLog, Start, Stop, Topic, TopicPartition, read_topics};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sqlx::{PgPool, Row};

use crate::support::place::{Place, on_each_log};
use crate::support::server::Server;

/// Number of kills that must count.
const ROUNDS: u32 = 50;
/// Items between SQL commit and outcome that make a kill count.
const IN_FLIGHT: usize = 20;
/// Each stage must have been hit this often.
const HITS_PER_STAGE: u32 = 5;
const SHOPPERS: u64 = 16;
const ITEMS_PER_ORDER: usize = 6;
const PRODUCTS: usize = 200;
/// More than the story can buy, so that a lost or doubled unit cannot be hidden by an empty stock.
const OPENING_STOCK: i64 = 1_000_000;
/// The stages of an item between SQL commit and outcome.
const STAGES: [&str; 4] = ["committed", "published", "in a chunk", "in an open commit"];
/// The part that a round slows down; `None` slows nothing.
const SLOWED: [Option<&str>; 5] = [Some("order-publisher"), Some("log-source"), Some("shard"), Some("event-log"), None];

/// A shopper's purchase: key, session and, once it was answered, the order.
type Promise = (String, String, Option<String>);

/// What the kills hit at one stage.
#[derive(Debug, Default)]
struct Hits {
    kills: u32,
    items: usize,
    most: usize,
}

impl Hits {
    fn add(&mut self, items: usize) {
        self.kills += u32::from(items > 0);
        self.items += items;
        self.most = self.most.max(items);
    }
}

on_each_log!(at length: fifty_kills_under_load_lose_and_double_nothing);

async fn fifty_kills_under_load_lose_and_double_nothing(place: Place) {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = write_catalogue(folder.path().join("products.json"));
    let options = place
        .options()
        // The transactions that a killed process left open delay the post-mortem no longer than this.
        .set("KARTSHOPPE__KAFKA__PROPERTIES__TRANSACTION_TIMEOUT_MS", "2000")
        .set("KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE", catalogue.display())
        .set("KARTSHOPPE__FAULTS__ENABLED", "true");
    let mut server = Server::start(options).await;
    server.until_products(PRODUCTS).await;
    let pool = PgPool::connect(&server.database_url()).await.unwrap();
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut promises = Vec::new();
    let mut tally = STAGES.map(|_| Hits::default());
    let mut recoveries = Vec::new();
    let (mut counted, mut round) = (0, 0);
    while counted < ROUNDS || tally.iter().any(|hits| hits.kills < HITS_PER_STAGE) {
        assert!(round < 3 * ROUNDS, "too few kills hit work in flight: {counted} of {round}, {tally:?}");
        let slowed = SLOWED[round as usize % SLOWED.len()];
        round += 1;
        promises.extend(shop_until_killed(&mut server, slowed, Duration::from_millis(random.random_range(200..900))).await);
        let stages = post_mortem(&*place.log_of(&server).await, &server, &pool).await;
        let found = STAGES.map(|stage| stages.get(stage).copied().unwrap_or_default());
        let in_flight: usize = found.iter().sum();
        println!("kill {round:3} {:16} {in_flight:4} in flight: {stages:?}", slowed.unwrap_or("-"));
        if in_flight >= IN_FLIGHT {
            counted += 1;
            tally.iter_mut().zip(found).for_each(|(hits, items)| hits.add(items));
        }
        let begin = tokio::time::Instant::now();
        server.resume().await;
        recoveries.push(begin.elapsed());
    }
    recoveries.sort();
    println!("{counted} kills counted of {round}, each with {IN_FLIGHT} items or more between SQL commit and outcome");
    println!("{:20} {:>6} {:>6} {:>16}", "stage", "kills", "items", "most in one kill");
    for (stage, hits) in STAGES.iter().zip(&tally) {
        println!("{stage:20} {:>6} {:>6} {:>16}", hits.kills, hits.items, hits.most);
    }
    println!("ready again: p50 {:?}, max {:?}", recoveries[recoveries.len() / 2], recoveries[recoveries.len() - 1]);

    let rescued = settle(&server, &pool).await;
    println!("items whose publisher died and that came through the WAL: {rescued}");
    every_promise_is_kept(&server, &pool, promises).await;
    stock_is_what_was_not_sold(&server, &pool).await;
    the_ledger_adds_up(&*place.log_of(&server).await, &server, &pool).await;
}

fn write_catalogue(path: PathBuf) -> PathBuf {
    let product = |number| json!({"productId": format!("PROD_{number:04}"), "name": format!("Product {number}"), "price": 9.99, "inventory": OPENING_STOCK});
    let products: Vec<Value> = (1..=PRODUCTS).map(product).collect();
    std::fs::write(&path, serde_json::to_vec(&products).unwrap()).unwrap();
    path
}

/// Shoppers buy until the process dies under them.
async fn shop_until_killed(server: &mut Server, slowed: Option<&str>, alive: Duration) -> Vec<Promise> {
    if let Some(target) = slowed {
        let fault = json!({"target": target, "fault": "slow", "count": 1000, "ttl": "30s"});
        let (status, body) = server.operate("/admin/faults", &fault).await;
        assert!(status < 300, "{status} {body}");
    }
    let over = Arc::new(AtomicBool::new(false));
    let shoppers: Vec<_> = (0..SHOPPERS)
        .map(|number| {
            let (http, base, over) = (server.http.clone(), server.url(""), over.clone());
            tokio::spawn(async move { shop(&http, &base, number, &over).await })
        })
        .collect();
    tokio::time::sleep(alive).await;
    server.kill();
    over.store(true, Ordering::SeqCst);
    let mut promises = Vec::new();
    for shopper in shoppers {
        promises.extend(shopper.await.unwrap());
    }
    promises
}

async fn shop(http: &reqwest::Client, base: &str, number: u64, over: &AtomicBool) -> Vec<Promise> {
    let mut promises = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let key = uuid::Uuid::new_v4().to_string();
        let session = format!("kill-{number}-{}", &key[..8]);
        let mut filled = true;
        for item in 0..ITEMS_PER_ORDER {
            let product = (usize::from(key.as_bytes()[item]) * 7 + item * 31) % PRODUCTS + 1;
            let body = json!({"productId": format!("PROD_{product:04}"), "userId": "guest", "quantity": item + 1});
            let url = format!("{base}/api/ecommerce/cart/{session}/add");
            filled &= http.post(url).json(&body).send().await.is_ok_and(|answer| answer.status().is_success());
        }
        if !filled {
            continue;
        }
        // From here on the order may exist, with or without an answer.
        promises.push((key.clone(), session.clone(), None));
        let answer = http
            .post(format!("{base}/api/ecommerce/checkout"))
            .header("idempotency-key", &key)
            .json(&json!({"sessionId": session, "userId": "guest", "useCdc": false}))
            .send()
            .await;
        if let Ok(answer) = answer
            && answer.status().is_success()
            && let Ok(order) = answer.json::<Value>().await
            && let Some(promise) = promises.last_mut()
        {
            promise.2 = order["orderId"].as_str().map(str::to_owned);
        }
    }
    promises
}

/// How many items without an outcome the kill found at each stage.
async fn post_mortem(log: &dyn EventLog, server: &Server, pool: &PgPool) -> BTreeMap<&'static str, usize> {
    let open = sqlx::query(
        "SELECT order_item_id FROM order_items WHERE outcome IS NULL AND publish_via = 'direct' AND expires_at > now()",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let committed = log.committed(INVENTORY_GROUP).await.unwrap();
    let marks = stage_marks::read(&stage_marks::file_in(server.data())).unwrap();
    let mut published = BTreeMap::new();
    let mut reader = read_topics(log, &[Topic::OrderEvents], Start::Beginning, Stop::AtEnd).await.unwrap();
    while !reader.caught_up() {
        for record in reader.read(5000, Duration::from_millis(50)).await.unwrap() {
            let event: Value = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
            if let Some(id) = event["orderItemId"].as_str() {
                published.insert(id.to_owned(), (record.partition, record.offset));
            }
        }
    }
    let mut stages = BTreeMap::new();
    for row in open {
        let id: String = row.get(0);
        let stage = published.get(&id).map_or("committed", |(partition, offset)| {
            let done = committed.get(&TopicPartition::new(Topic::OrderEvents, *partition)).map_or(0, |position| position.offset);
            let mark = marks.get(*partition as usize).copied().unwrap_or_default();
            match *offset {
                // It has its outcome, if not yet in SQL.
                offset if offset < done => "outcome on the log",
                offset if offset < mark.committing => "in an open commit",
                offset if offset < mark.polled => "in a chunk",
                _ => "published",
            }
        });
        *stages.entry(stage).or_default() += 1;
    }
    stages
}

/// Waits until every item has its outcome; how many were rescued through the WAL, as their publisher died.
async fn settle(server: &Server, pool: &PgPool) -> i64 {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(180);
    loop {
        let row = sqlx::query(
            "SELECT count(*) FILTER (WHERE outcome IS NULL), count(*) FILTER (WHERE publish_via = 'wal') FROM order_items",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        let (open, rescued): (i64, i64) = (row.get(0), row.get(1));
        if open == 0 {
            return rescued;
        }
        assert!(tokio::time::Instant::now() < deadline, "{open} items never settle\n{}", server.log_tail());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Each 2xx exists once; each unclear answer, repeated with its key, is one order or none; and no other order exists.
async fn every_promise_is_kept(server: &Server, pool: &PgPool, promises: Vec<Promise>) {
    let rows = sqlx::query("SELECT k.key, o.order_id FROM orders o LEFT JOIN idempotency_keys k USING (order_id)")
        .fetch_all(pool)
        .await
        .unwrap();
    let mut orders: BTreeMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(orders.len(), rows.len(), "an order has a key of its own");
    let (mut answered, mut unclear) = (0, 0);
    for (key, session, promised) in promises {
        let found =
            orders.iter().find(|(kept, _)| kept.ends_with(key.as_str())).map(|(kept, order)| (kept.clone(), order.clone()));
        if let Some(order) = promised {
            answered += 1;
            let (kept, id) = found.unwrap_or_else(|| panic!("order {order} was promised and is not there"));
            assert_eq!(id, order);
            orders.remove(&kept);
        } else {
            unclear += 1;
            if let Some((kept, id)) = found {
                let again = server.http.post(server.url("/api/ecommerce/checkout")).header("idempotency-key", &key);
                let answer = again.json(&json!({"sessionId": session, "userId": "guest", "useCdc": false})).send().await.unwrap();
                let order: Value = answer.json().await.unwrap();
                assert_eq!(order["orderId"].as_str(), Some(id.as_str()), "the same key is the same order");
                orders.remove(&kept);
            }
        }
    }
    println!("promises: {answered} answered, {unclear} unclear");
    assert!(orders.is_empty(), "orders that no buyer placed: {orders:?}");
}

async fn stock_is_what_was_not_sold(server: &Server, pool: &PgPool) {
    let rows =
        sqlx::query("SELECT product_id, sum(allocated)::bigint FROM order_items WHERE allocated IS NOT NULL GROUP BY product_id")
            .fetch_all(pool)
            .await
            .unwrap();
    let sold: BTreeMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let shown = server.get("/api/ecommerce/inventory/state").await;
    let shown = shown["products"].as_array().unwrap();
    assert_eq!(shown.len(), PRODUCTS);
    for product in shown {
        let id = product["productId"].as_str().unwrap();
        let left = OPENING_STOCK - sold.get(id).copied().unwrap_or(0);
        assert_eq!(product["inventory"].as_i64(), Some(left), "{id}");
    }
    println!("units sold: {}", sold.values().sum::<i64>());
}

async fn the_ledger_adds_up(log: &dyn EventLog, server: &Server, pool: &PgPool) {
    let state = server.get("/api/ecommerce/inventory/state").await;
    let subject = check::Subject {
        log,
        group: INVENTORY_GROUP,
        thresholds: check::Thresholds { critical_max: 5, warning_max: 9 },
        pool: Some(pool),
        read_model: state["products"].as_array().cloned(),
        patience: check::PATIENCE,
    };
    let report = check::run(&subject).await.unwrap();
    println!("{report}");
    assert!(report.holds());
}
