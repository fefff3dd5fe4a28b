//! A shop's tables, an event log, and WAL readers between them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kartshoppe::actors::faults::{Fault, FaultBoard, Target};
use kartshoppe::actors::inventory::{Inventory, InventoryConfig};
use kartshoppe::actors::role::SupervisionContext;
use kartshoppe::actors::root::{RoleSpec, RootHandle};
use kartshoppe::actors::stats::Directory;
use kartshoppe::actors::supervision::{ActorKind, RestartPolicy};
use kartshoppe::clock::Clock;
use kartshoppe::domain::inventory::Rules;
use kartshoppe::log::{EventLog, Record};
use kartshoppe::sources::log_source::feed_from_log;
use kartshoppe::sources::wal::{Begun, Phase, RepairError, Wal, WalConfig, WalReport, repair};
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::cdc_position::CdcPosition;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::log::{read_all, within};
use super::place::{Opened, Place};
use super::postgres::{self, TestDatabase};

const ROLE: &str = "cdc";

/// A database with the shop's tables and an event log of its own.
pub struct WalShop {
    pub database: TestDatabase,
    pub log: Arc<dyn EventLog>,
    pub config: WalConfig,
    _opened: Opened,
}

/// A process's WAL reader.
pub struct Reader {
    pub wal: Wal,
    pub faults: FaultBoard,
    pub directory: Directory,
    root: RootHandle,
}

impl WalShop {
    pub async fn open(place: &Place) -> Self {
        Self::over(place, postgres::database().await).await
    }

    /// The same on an existing database.
    pub async fn over(place: &Place, database: TestDatabase) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let opened = place.open(&Clock::system()).await;
        let slot = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // On Kafka a check takes a tenth of a second, and a repair must fit in between.
        let look_every = match place {
            Place::Embedded(_) => Duration::from_millis(100),
            Place::Kafka { .. } => Duration::from_secs(1),
        };
        let config =
            WalConfig { look_every, idle_interval: Duration::from_millis(200), ..WalConfig::new(&database.cdc_url, slot) };
        Self { database, log: opened.log.clone(), config, _opened: opened }
    }

    pub fn log(&self) -> Arc<dyn EventLog> {
        self.log.clone()
    }

    /// A reader that is running.
    pub async fn reader(&self) -> Reader {
        self.reader_with(self.config.clone(), self.log()).await
    }

    pub async fn reader_with(&self, config: WalConfig, log: Arc<dyn EventLog>) -> Reader {
        let reader = self.idle_reader(config, log).await;
        reader.start().await;
        reader
    }

    /// A reader of a process that also brings the tables to their shape.
    pub async fn reader_after_migrations(&self) -> Reader {
        let store = &self.database.store;
        let make = |log, config, supervision: &SupervisionContext| Wal::after_migrations(log, config, supervision, store);
        let reader = Self::idle_reader_of(self.config.clone(), self.log(), make).await;
        reader.start().await;
        reader
    }

    /// A reader that is not started yet, so that faults can wait for it.
    pub async fn idle_reader(&self, config: WalConfig, log: Arc<dyn EventLog>) -> Reader {
        Self::idle_reader_of(config, log, Wal::new).await
    }

    async fn idle_reader_of(
        config: WalConfig,
        log: Arc<dyn EventLog>,
        make: impl FnOnce(Arc<dyn EventLog>, WalConfig, &SupervisionContext) -> Wal,
    ) -> Reader {
        let supervision = SupervisionContext {
            alarms: kartshoppe::telemetry::alarms::Alarms::default(),
            directory: Directory::default(),
            faults: FaultBoard::default(),
            restart: RestartPolicy { backoff_max: Duration::from_millis(50), ..RestartPolicy::default() },
            hang_after: Duration::from_millis(500),
        };
        let wal = make(log, config, &supervision);
        let role = RoleSpec { name: ROLE, children: wal.children.clone() };
        let root = RootHandle::spawn(&supervision, vec![role]).await.unwrap();
        Reader { wal, faults: supervision.faults, directory: supervision.directory, root }
    }

    /// Runs SQL as the shop's role; the text may contain several statements, which are separate transactions only if it says so.
    pub async fn sql(&self, text: impl Into<String>) {
        run_sql(&self.database.url, &text.into()).await.unwrap();
    }

    /// Inserts one order of these items in one transaction, as with `psql`.
    pub async fn order(&self, ids: &[String]) {
        let order = format!("order-{}", ids[0]);
        let rows = ids.iter().map(|id| format!("('{id}', '{order}', 'PROD_{}', 1, 10, 10)", id.len() % 3));
        let rows = rows.collect::<Vec<_>>().join(", ");
        self.sql(format!(
            "BEGIN; INSERT INTO orders (order_id, customer_id, subtotal, total) VALUES ('{order}', 'guest', 10, 10);
             INSERT INTO order_items (order_item_id, order_id, product_id, quantity, unit_price, line_total) VALUES {rows}; COMMIT"
        ))
        .await;
    }

    /// Inserts this many orders of one item each; returns the items' ids.
    pub async fn orders(&self, prefix: &str, count: usize) -> Vec<String> {
        let ids: Vec<_> = (0..count).map(|n| format!("{prefix}-{n}")).collect();
        for id in &ids {
            self.order(std::slice::from_ref(id)).await;
        }
        ids
    }

    /// The current events on `order-events`.
    pub async fn events(&self) -> Vec<Record> {
        read_all(&*self.log, Topic::OrderEvents).await
    }

    /// The ids of the published items, each as often as it was published.
    pub async fn published(&self) -> Vec<String> {
        let mut ids: Vec<_> =
            self.events().await.iter().map(|event| value(event)["orderItemId"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// Waits until all of these are published.
    pub async fn await_published(&self, ids: &[String]) {
        within(async {
            loop {
                let published: BTreeSet<String> = self.published().await.into_iter().collect();
                if ids.iter().all(|id| published.contains(id)) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Waits until all of these are published, then checks that exactly these are, each once.
    pub async fn await_exactly<'a>(&self, ids: impl IntoIterator<Item = &'a String>) {
        let expected: BTreeSet<String> = ids.into_iter().cloned().collect();
        within(async {
            loop {
                let published: BTreeSet<String> = self.published().await.into_iter().collect();
                if expected.is_subset(&published) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        assert_eq!(self.published().await, expected.into_iter().collect::<Vec<_>>());
    }

    /// The stored position.
    pub async fn position(&self) -> Option<CdcPosition> {
        let records = read_all(&*self.log, Topic::CdcPositions).await;
        let of_slot = records.into_iter().rfind(|record| record.key.as_deref() == Some(self.config.slot.as_bytes()));
        of_slot.and_then(|record| record.value).map(|value| CdcPosition::decode(&value).unwrap())
    }

    /// One text from the database, as the superuser sees it.
    pub async fn ask(&self, question: &str) -> Option<String> {
        let mut admin = PgConnection::connect(&self.database.admin_url).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(question.replace("SLOT", &self.config.slot))).fetch_optional(&mut admin).await.unwrap()
    }

    /// Cuts the connection that reads from the slot.
    pub async fn cut(&self) {
        let cut = "SELECT pg_terminate_backend(active_pid)::text FROM pg_replication_slots WHERE slot_name = 'SLOT' AND active";
        self.ask(cut).await;
    }

    /// Waits until the slot is not being read.
    pub async fn slot_is_free(&self) {
        within(async {
            while self.ask("SELECT slot_name::text FROM pg_replication_slots WHERE slot_name = 'SLOT' AND active").await.is_some()
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Drops the slot once it is not being read.
    pub async fn drop_slot(&self) {
        self.slot_is_free().await;
        self.ask("SELECT pg_drop_replication_slot(slot_name)::text FROM pg_replication_slots WHERE slot_name = 'SLOT'").await;
    }

    /// Repairs the slot once it is not being read.
    pub async fn repair(&self) -> Result<Begun, RepairError> {
        self.slot_is_free().await;
        repair(&self.config, &*self.log).await
    }

    /// Gives the slot back, as the server has few.
    pub async fn end(self, readers: impl IntoIterator<Item = Reader>) {
        for reader in readers {
            reader.stop().await;
        }
        self.drop_slot().await;
        self.database.store.close().await;
    }
}

impl Reader {
    pub async fn start(&self) {
        self.root.start(ROLE).await.unwrap();
    }

    pub async fn stop(self) {
        self.root.stop_all().await.unwrap();
    }

    /// Waits for a report like this.
    pub async fn reports(&self, wanted: impl FnMut(&WalReport) -> bool) -> WalReport {
        within(async { self.wal.watch().wait_for(wanted).await.unwrap().clone() }).await
    }

    pub async fn streams(&self) {
        self.reports(|report| report.phase == Phase::Streaming).await;
    }

    /// Waits for an alarm with this text in it.
    pub async fn alarms(&self, text: &str) {
        self.reports(|report| report.alarm().is_some_and(|alarm| alarm.contains(text))).await;
    }

    /// Lets a fault strike once.
    pub fn strike(&self, target: &str, fault: Fault) {
        self.faults.arm(target.parse::<Target>().unwrap(), fault, 1, Duration::from_secs(60));
    }

    /// How often the actor was started.
    pub fn lives(&self) -> u64 {
        self.directory.find(ActorKind::WalReader.as_str()).unwrap().report().incarnation
    }
}

/// The inventory of a small shop, running on its log. An actor that is silent for this long counts as hung.
pub async fn start_inventory(log: Arc<dyn EventLog>, hang_after: Duration) -> RootHandle {
    let supervision = SupervisionContext {
        alarms: kartshoppe::telemetry::alarms::Alarms::default(),
        directory: Directory::default(),
        faults: FaultBoard::default(),
        restart: RestartPolicy::default(),
        hang_after,
    };
    let config = InventoryConfig {
        instance: "test".to_owned(),
        rules: Rules::default(),
        max_live_products: 100,
        bootstrap_file: None,
        batch_max_records: 10_000,
    };
    let inventory = Inventory::new(log, &config, Clock::system(), &supervision, feed_from_log);
    let role = RoleSpec { name: "inventory", children: inventory.children.clone() };
    let root = RootHandle::spawn(&supervision, vec![role]).await.unwrap();
    root.start("inventory").await.unwrap();
    root
}

pub fn value(record: &Record) -> serde_json::Value {
    serde_json::from_slice(record.value.as_ref().unwrap()).unwrap()
}

async fn run_sql(url: &str, text: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned()))).await?;
    connection.close().await
}
