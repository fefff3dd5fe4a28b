//! Orders through the WAL reader: how fast it reads a backlog, beside PostgreSQL's own `pg_recvlogical`, and how soon an event
//! follows a commit when it is quiet.
//!
//! `cargo bench --bench wal [FOLDER]` works in a folder that it makes below FOLDER (default: the system's for temporary files),
//! with a private PostgreSQL. Both read copies of one slot, in turns; ours writes the events and its position to an embedded log,
//! theirs throws the raw stream away. `ROWS`, `ITEMS` (of one order), `ROUNDS`, `FSYNC=false` change what is measured.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark stops where it fails, and prints its figures"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kartshoppe::actors::faults::FaultBoard;
use kartshoppe::actors::role::SupervisionContext;
use kartshoppe::actors::root::{RoleSpec, RootHandle};
use kartshoppe::actors::stats::Directory;
use kartshoppe::actors::supervision::RestartPolicy;
use kartshoppe::clock::Clock;
use kartshoppe::log::embedded::{EmbeddedConfig, EmbeddedLog};
use kartshoppe::log::{EventLog, Headers, NewRecord, Start, Stop, read_topics};
use kartshoppe::sources::wal::{PUBLICATION, Phase, Wal, WalConfig};
use kartshoppe::store::private_server::{PrivateServer, Urls};
use kartshoppe::store::{Store, StoreOptions};
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::cdc_position::{CdcPosition, Lsn};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(300);
/// Orders of the quiet shop, one at a time.
const QUIET_ORDERS: usize = 500;
const SLOT: &str = "bench";

fn main() {
    let parent = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let folder = tempfile::tempdir_in(parent.map_or_else(std::env::temp_dir, Into::into)).unwrap();
    // The server's user must come here too.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(folder.path()));
}

async fn run(folder: &Path) {
    let (rows, items, rounds) = (setting("ROWS", 500_000), setting("ITEMS", 5), setting("ROUNDS", 3));
    let bin_dir = std::env::var_os("KARTSHOPPE__POSTGRES__BIN_DIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    let server = PrivateServer::start(folder, bin_dir.as_deref()).await.unwrap();
    let urls = server.urls().clone();
    let store = Store::new(&urls.database, StoreOptions::default()).unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    quiet(folder, &urls).await;
    let mut database = Database(PgConnection::connect(&urls.admin.replace("/postgres?", "/kartshoppe?")).await.unwrap());
    database.make_backlog(rows, items).await;
    let end = database.text("SELECT pg_current_wal_flush_lsn()::text").await;
    let program = bin_dir.map_or_else(|| PathBuf::from("pg_recvlogical"), |folder| folder.join("pg_recvlogical"));
    let (mut best_ours, mut best_theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        database.copy_slot(&format!("theirs_{round}")).await;
        let began = Instant::now();
        receive(&program, &urls, &format!("theirs_{round}"), &end);
        let theirs = began.elapsed();
        let (ours, cpu) = publish(folder, &urls, &mut database, round, rows).await;
        println!(
            "backlog {rows} rows, {items} a transaction: pg_recvlogical {:>8.0} rows/s   WAL reader {:>8.0} rows/s, {:>8.0} per CPU-s   {:>4.0} %",
            per_second(rows, theirs),
            per_second(rows, ours),
            per_second(rows, cpu),
            100.0 * theirs.as_secs_f64() / ours.as_secs_f64()
        );
        best_ours.push(ours);
        best_theirs.push(theirs);
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let (ours, theirs) = (median(&mut best_ours), median(&mut best_theirs));
    println!("median of {rounds} rounds: {:.0} % of pg_recvlogical", 100.0 * theirs.as_secs_f64() / ours.as_secs_f64());
    database.0.close().await.unwrap();
    server.stop().await.unwrap();
}

/// The superuser's hand on the shop's database.
struct Database(PgConnection);

impl Database {
    async fn text(&mut self, question: &str) -> String {
        sqlx::query_scalar(AssertSqlSafe(question.to_owned())).fetch_one(&mut self.0).await.unwrap()
    }

    /// Orders of some items each, every one a transaction of its own, after the position of a slot without a reader.
    async fn make_backlog(&mut self, rows: usize, items: usize) {
        self.text(&format!("SELECT pg_create_logical_replication_slot('{SLOT}', 'pgoutput')::text")).await;
        let fill = format!(
            "DO $$ BEGIN
                 FOR n IN 1..{} LOOP
                     INSERT INTO orders (order_id, customer_id, subtotal, total) VALUES ('order-' || n, 'guest', 10, 10);
                     INSERT INTO order_items (order_item_id, order_id, product_id, quantity, unit_price, line_total, traceparent)
                     SELECT gen_random_uuid()::text, 'order-' || n, 'PROD_' || (n * 7 + i) % 200, 1, 10, 10,
                            '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00'
                     FROM generate_series(1, {items}) AS i;
                     COMMIT;
                 END LOOP;
             END $$",
            rows / items
        );
        let began = Instant::now();
        // One after the other: a block that commits must stand alone.
        for statement in
            ["SET synchronous_commit = off".to_owned(), fill, "RESET synchronous_commit".to_owned(), "CHECKPOINT".to_owned()]
        {
            self.0.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.unwrap();
        }
        println!("backlog of {rows} rows written in {:.1} s", began.elapsed().as_secs_f64());
    }

    async fn copy_slot(&mut self, name: &str) {
        self.text(&format!("SELECT pg_copy_logical_replication_slot('{SLOT}', '{name}')::text")).await;
    }

    /// Where the slot stands, as the reader would have stored it.
    async fn position(&mut self, slot: &str) -> CdcPosition {
        let confirmed =
            self.text(&format!("SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = '{slot}'")).await;
        CdcPosition {
            system_id: self.text("SELECT system_identifier::text FROM pg_control_system()").await,
            timeline: self.text("SELECT timeline_id::text FROM pg_control_checkpoint()").await.parse().unwrap(),
            resume_lsn: Lsn::parse(&confirmed).unwrap(),
            part_commit_lsn: None,
            part_index: 0,
        }
    }
}

/// PostgreSQL's own client reads the slot to the end and keeps nothing.
fn receive(program: &Path, urls: &Urls, slot: &str, end: &str) {
    let mut command = Command::new(program);
    command.args(["--start", "--no-loop", "--slot", slot, "--endpos", end, "--file", "-", "--dbname", &urls.cdc]);
    command.args(["--option", "proto_version=1", "--option", &format!("publication_names={PUBLICATION}")]);
    let status = command.stdout(Stdio::null()).status();
    assert!(status.expect("pg_recvlogical is needed: install postgresql-client").success());
}

/// The WAL reader publishes the same; gives the time and the CPU time of this process.
async fn publish(folder: &Path, urls: &Urls, database: &mut Database, round: usize, rows: usize) -> (Duration, Duration) {
    let slot = format!("ours_{round}");
    database.copy_slot(&slot).await;
    let log = open_log(&folder.join(format!("log-{round}"))).await;
    log.append(vec![database.position(&slot).await.record(&slot)], PATIENCE).await.unwrap();
    let (began, cpu) = (Instant::now(), cpu_time());
    let reader = Reader::start(&log, urls, &slot).await;
    while events(&*log).await < rows {
        assert!(began.elapsed() < PATIENCE, "{:?}", reader.wal.report());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = (began.elapsed(), cpu_time() - cpu);
    reader.root.stop_all().await.unwrap();
    log.close().await;
    took
}

struct Reader {
    wal: Wal,
    root: RootHandle,
}

impl Reader {
    async fn start(log: &Arc<EmbeddedLog>, urls: &Urls, slot: &str) -> Self {
        let supervision = SupervisionContext {
            alarms: kartshoppe::telemetry::alarms::Alarms::default(),
            directory: Directory::default(),
            faults: FaultBoard::default(),
            restart: RestartPolicy::default(),
            hang_after: Duration::from_secs(5),
        };
        let wal = Wal::new(log.clone(), WalConfig::new(&urls.cdc, slot), &supervision);
        let role = RoleSpec { name: "cdc", children: wal.children.clone() };
        let root = RootHandle::spawn(&supervision, vec![role]).await.unwrap();
        root.start("cdc").await.unwrap();
        Self { wal, root }
    }
}

async fn open_log(folder: &Path) -> Arc<EmbeddedLog> {
    let fsync = !std::env::var("FSYNC").is_ok_and(|text| text == "false");
    let log = EmbeddedLog::open(EmbeddedConfig { fsync, ..EmbeddedConfig::new(folder, 4) }, Clock::system()).await.unwrap();
    log.create_topics(&Topic::ALL).await.unwrap();
    Arc::new(log)
}

async fn events(log: &dyn EventLog) -> usize {
    let topics = log.topics().await.unwrap();
    let events = topics.iter().find(|info| info.topic == Topic::OrderEvents).unwrap();
    usize::try_from(events.partitions.iter().map(|partition| partition.end).sum::<i64>()).unwrap()
}

/// From the answer to a commit to the event in a follower's hand, one order at a time; beside one bare append to the same log.
async fn quiet(folder: &Path, urls: &Urls) {
    let log = open_log(&folder.join("log-quiet")).await;
    let reader = Reader::start(&log, urls, "quiet").await;
    reader.wal.watch().wait_for(|report| report.phase == Phase::Streaming).await.unwrap();
    let mut follower = read_topics(&*log, &[Topic::OrderEvents], Start::End, Stop::Never).await.unwrap();
    let mut shop = PgConnection::connect(&urls.database).await.unwrap();
    let (mut times, mut appends) = (Vec::new(), Vec::new());
    for number in 0..QUIET_ORDERS {
        let order = format!(
            "WITH o AS (INSERT INTO orders (order_id, customer_id, subtotal, total) VALUES ('quiet-{number}', 'guest', 1, 1))
             INSERT INTO order_items (order_id, product_id, quantity, unit_price, line_total) VALUES ('quiet-{number}', 'P', 1, 1, 1)"
        );
        let insert = async {
            shop.execute(sqlx::raw_sql(AssertSqlSafe(order))).await.unwrap();
            Instant::now()
        };
        let follow = async {
            assert!(!follower.read(10, PATIENCE).await.unwrap().is_empty(), "no event came");
            Instant::now()
        };
        let (committed, followed) = tokio::join!(insert, follow);
        times.push(followed.saturating_duration_since(committed));
        tokio::time::sleep(Duration::from_millis(3)).await;
        let began = Instant::now();
        let key = Some(bytes::Bytes::from_static(b"P"));
        let bare =
            NewRecord { topic: Topic::EcommerceEvents, partition: None, key: key.clone(), value: key, headers: Headers::none() };
        log.append(vec![bare], PATIENCE).await.unwrap();
        appends.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    print_times("one bare append to the same log", appends);
    print_times("commit answered to event followed", times);
    reader.root.stop_all().await.unwrap();
    log.close().await;
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime and stime in ticks of 10 ms (proc(5)), the 14th and 15th field of the line.
    Duration::from_millis([11, 12].iter().map(|place: &usize| fields[*place].parse::<u64>().unwrap()).sum::<u64>() * 10)
}

fn per_second(count: usize, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let count = count as f64;
    count / took.as_secs_f64()
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    println!("{what:<36} p50 {:>7.3} ms  p99 {:>7.3} ms", at(50), at(99));
}
