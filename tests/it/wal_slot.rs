//! The slot over time: WAL does not pile up, foreign slots are left alone, and a server with another history is detected.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kartshoppe::store::StoreOptions;
use pg_walstream::{LogicalReplicationStream, ReplicationStreamConfig};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::support::log::within;
use super::support::own_server::{OwnServer, shop_on};
use super::support::place::{Place, on_each_log};
use super::support::postgres::{TestDatabase, database, empty_database};
use super::support::wal::WalShop;

on_each_log!(at length:
    wal_does_not_pile_up_while_no_order_comes,
    a_slot_of_the_same_name_that_is_not_ours_is_left_alone,
    a_foreign_reader_of_our_slot_is_an_alarm_and_is_not_waited_for,
    a_server_with_another_past_is_an_alarm_until_the_slot_is_repaired,
);

/// WAL that an idle shop's slot may retain, in bytes: what is written between two checks.
const IDLE_BYTES: i64 = 1_000_000;

/// 30 MB of other programs' WAL, here and in another database of the server, and the checkpoint that would delete it.
async fn noise(shop: &WalShop, elsewhere: &TestDatabase) {
    for url in [&shop.database.url, &elsewhere.url] {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let noise = "CREATE TABLE IF NOT EXISTS noise (t text); TRUNCATE noise;
                     INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 15000);";
        connection.execute(sqlx::raw_sql(noise)).await.unwrap();
    }
    shop.ask("CHECKPOINT").await;
}

async fn retained(shop: &WalShop) -> i64 {
    let bytes = "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), restart_lsn)::bigint::text FROM pg_replication_slots
                 WHERE slot_name = 'SLOT'";
    shop.ask(bytes).await.unwrap().parse().unwrap()
}

async fn wal_does_not_pile_up_while_no_order_comes(place: Place) {
    let (shop, elsewhere) = (WalShop::open(&place).await, database().await);
    let reader = shop.reader().await;
    reader.streams().await;
    let falls = async || {
        within(async {
            while retained(&shop).await > IDLE_BYTES {
                // What the server may delete advances with a checkpoint's own record.
                shop.ask("CHECKPOINT").await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
    };
    for _ in 0..3 {
        noise(&shop, &elsewhere).await;
        falls().await;
        println!("retained with a reader: {} bytes after 30 MB", retained(&shop).await);
    }
    // Without a reader it does pile up: the measurement can tell.
    reader.stop().await;
    shop.slot_is_free().await;
    noise(&shop, &elsewhere).await;
    let held = retained(&shop).await;
    println!("retained without a reader: {held} bytes");
    assert!(held > 25_000_000, "{held}");
    let reader = shop.reader().await;
    falls().await;
    let ids = shop.orders("after", 2).await;
    shop.await_exactly(&ids).await;
    shop.end([reader]).await;
}

async fn a_slot_of_the_same_name_that_is_not_ours_is_left_alone(place: Place) {
    let (shop, other) = (WalShop::open(&place).await, database().await);
    let mut owner = PgConnection::connect(&other.admin_url).await.unwrap();
    let make = format!("SELECT pg_create_logical_replication_slot('{}', 'pgoutput')", shop.config.slot);
    owner.execute(AssertSqlSafe(make)).await.unwrap();
    let ids = shop.orders("waiting", 2).await;
    let reader = shop.reader().await;
    reader.alarms("is not ours (it belongs to the database").await;
    let refused = shop.repair().await.unwrap_err().to_string();
    assert!(refused.contains("is not ours"), "{refused}");
    assert!(shop.ask("SELECT slot_name::text FROM pg_replication_slots WHERE slot_name = 'SLOT'").await.is_some());
    shop.drop_slot().await;
    shop.await_exactly(&ids).await;
    shop.end([reader]).await;
}

async fn a_foreign_reader_of_our_slot_is_an_alarm_and_is_not_waited_for(place: Place) {
    let shop = WalShop::open(&place).await;
    let reader = shop.reader().await;
    reader.streams().await;
    let mut ids = shop.orders("one", 2).await;
    shop.await_exactly(&ids).await;
    reader.stop().await;
    shop.slot_is_free().await;
    let config = ReplicationStreamConfig::builder(&shop.config.slot, "kartshoppe_order_items").with_existing_slot_required(true);
    let url = format!("{}&replication=database&application_name=a-tap", shop.config.url);
    let mut tap = LogicalReplicationStream::new(&url, config).await.unwrap();
    tap.start(None).await.unwrap();
    ids.extend(shop.orders("meanwhile", 2).await);
    let reader = shop.reader().await;
    reader.alarms("is being read by a-tap (PostgreSQL process").await;
    assert!(!reader.wal.report().is_ready());
    drop(tap);
    reader.streams().await;
    shop.await_exactly(&ids).await;
    shop.end([reader]).await;
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

async fn a_server_with_another_past_is_an_alarm_until_the_slot_is_repaired(place: Place) {
    let mut server = OwnServer::start().await;
    let urls = server.running.as_ref().unwrap().urls().clone();

    // Before the first start, with a server that lacks the prerequisites.
    server.admin("ALTER SYSTEM SET wal_level = replica").await;
    server.stop().await;
    server.resume().await;
    let shop = shop_on(&place, &urls).await;
    let mut ids = shop.orders("one", 3).await;
    let reader = shop.reader().await;
    reader.alarms("set wal_level = logical in PostgreSQL's configuration and restart it").await;
    server.admin("ALTER SYSTEM RESET wal_level").await;
    server.stop().await;
    server.resume().await;
    shop.await_exactly(&ids).await;
    reader.stop().await;

    // A backup is restored: later data is gone, and the position lies beyond its WAL.
    server.stop().await;
    let backup = server.cluster().with_file_name("backup");
    copy(&server.cluster(), &backup);
    server.resume().await;
    let reader = shop.reader().await;
    let lost = shop.orders("lost", 3).await;
    shop.await_exactly(ids.iter().chain(&lost)).await;
    reader.stop().await;
    server.stop().await;
    copy(&backup, &server.cluster());
    server.resume().await;
    let reader = shop.reader().await;
    reader.alarms("beyond the server's WAL").await;
    ids.extend(shop.orders("two", 3).await);
    shop.repair().await.unwrap();
    reader.streams().await;
    shop.await_exactly(ids.iter().chain(&lost)).await;

    // A standby is promoted, or a point-in-time recovery: a new timeline.
    reader.stop().await;
    server.admin("ALTER SYSTEM SET restore_command = 'false'").await;
    server.stop().await;
    let signal = server.cluster().join("recovery.signal");
    std::fs::write(&signal, "").unwrap();
    let owner = std::fs::metadata(server.cluster()).unwrap();
    chown(&signal, Some(owner.uid()), Some(owner.gid())).unwrap();
    server.resume().await;
    let reader = shop.reader().await;
    reader.alarms("on timeline 1, but this is").await;
    ids.extend(shop.orders("three", 3).await);
    shop.repair().await.unwrap();
    reader.streams().await;
    shop.await_exactly(ids.iter().chain(&lost)).await;
    shop.end([reader]).await;
    server.stop().await;
    let _ = std::fs::remove_dir_all(backup);
}

/// Another client's transaction, open in another database; a reader that died while its slot was being created, and a live one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_creation_that_waits_names_the_blocker_and_its_backend_is_no_standby() {
    let mut server = OwnServer::start().await;
    server.admin("ALTER SYSTEM SET max_prepared_transactions = 2").await;
    server.stop().await;
    let urls = server.resume().await;
    let mut other = PgConnection::connect(&urls.admin).await.unwrap();
    other.execute(sqlx::raw_sql("SET application_name = 'lunch'; BEGIN; SELECT txid_current()")).await.unwrap();
    let mut forgotten = PgConnection::connect(&urls.admin).await.unwrap();
    forgotten.execute(sqlx::raw_sql("BEGIN; SELECT txid_current(); PREPARE TRANSACTION 'coffee'")).await.unwrap();
    let place = Place::embedded();
    let shop = shop_on(&place, &urls).await;
    let first = shop.reader().await;
    first.alarms("lunch, user postgres, database postgres").await;
    let status = kartshoppe::sources::wal::status(&shop.config, Ok(&*shop.log())).await.unwrap();
    assert!(status.alarm.is_some_and(|alarm| alarm.contains("lunch")));
    assert!(status.reader_pid.is_none() && status.maker_pid.is_some());

    // A second reader waits with it, and also names the blocker; it ends nothing.
    let beside = shop.reader().await;
    beside.alarms("lunch").await;
    let making = "SELECT active_pid::text FROM pg_replication_slots WHERE slot_name = 'SLOT'";
    let maker = shop.ask(making).await;
    assert_eq!(first.lives(), 1);
    let refused = shop_repair(&shop).await.unwrap_err().to_string();
    assert!(refused.contains("is being read"), "{refused}");

    // Both are gone; the backend does not notice. The next reader ends it and creates the slot again.
    beside.stop().await;
    first.stop().await;
    assert_eq!(shop.ask(making).await, maker, "an orphan");
    let second = shop.reader().await;
    second.alarms("lunch").await;
    assert!(!second.wal.report().is_ready());
    assert_ne!(shop.ask(making).await, maker);
    other.execute("ROLLBACK").await.unwrap();
    second.alarms("prepared transaction 'coffee' (user postgres, database postgres, prepared ").await;
    other.execute("ROLLBACK PREPARED 'coffee'").await.unwrap();
    second.streams().await;
    let ids = shop.orders("after", 2).await;
    shop.await_exactly(&ids).await;
    second.stop().await;
}

/// Without waiting for the slot to be free.
async fn shop_repair(shop: &WalShop) -> Result<kartshoppe::sources::wal::Begun, kartshoppe::sources::wal::RepairError> {
    kartshoppe::sources::wal::repair(&shop.config, &*shop.log()).await
}

/// Missing tables are no alarm where this process migrates them; elsewhere they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_waits_for_the_migrations_of_its_process_without_an_alarm() {
    let place = Place::embedded();
    let shop = WalShop::over(&place, empty_database(StoreOptions::default()).await).await;
    let lonely = shop.reader().await;
    lonely.alarms("kartshoppe db migrate").await;
    lonely.stop().await;
    let patient = shop.reader_after_migrations().await;
    patient
        .reports(|report| {
            assert_eq!(report.alarm(), None);
            report.sentence().contains("being migrated")
        })
        .await;
    shop.database.store.migrate().await.unwrap();
    patient
        .reports(|report| {
            assert_eq!(report.alarm(), None);
            report.is_ready()
        })
        .await;
    let ids = shop.orders("after", 2).await;
    shop.await_exactly(&ids).await;
    shop.end([patient]).await;
}
