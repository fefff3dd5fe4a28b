//! The embedded log, its disk, and the bootstrap file.

use std::fs;
use std::path::Path;
use std::process::Command;

use kartshoppe::telemetry::alarms::Cause;

use crate::support::alarm::{all_over, on_metrics, stands};
use crate::support::child::Worker;
use crate::support::own_server::OwnServer;
use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

fn options() -> Options {
    Options::default().set("KARTSHOPPE__HEALTH__STALLED_AFTER", "4s").set("KARTSHOPPE__HEALTH__TRIAL_WRITE_AFTER", "1s")
}

fn log_of(server: &Server) -> std::path::PathBuf {
    server.data().join("log")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_log_raises_an_alarm_until_it_is_back() {
    let mut server = Server::start_filled(options()).await;
    let elsewhere = server.data().join("elsewhere");
    fs::rename(log_of(&server), &elsewhere).unwrap();
    stands(&server, Cause::LogMoved, &["the event log was moved", "Put the same files back", "kartshoppe.log.sqlite"]).await;
    // A commit detects it too.
    stands(&server, Cause::TrialWrite, &["a trial write to the topic health was not read back"]).await;
    let shopper = Shopper::new("meanwhile");
    shopper.add(&server, "PROD_0001", 1).await;
    assert_eq!(shopper.checkout(&server, false).await.0, 503);
    let update = serde_json::json!({"productId": "PROD_0001", "inventory": 7});
    let (status, _) = server.operate("/admin/topics/product-updates/records", &update).await;
    assert!(status >= 400, "nothing is written to a log that is elsewhere");
    fs::rename(&elsewhere, log_of(&server)).unwrap();
    all_over(&mut server, &[Cause::LogMoved, Cause::TrialWrite, Cause::Inventory, Cause::EventLog]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_locked_by_others_raises_an_alarm_until_they_release_it() {
    let mut server = Server::start_filled(options()).await;
    let file = log_of(&server).join("kartshoppe.log.sqlite");
    let mut holder = Worker::start("embedded_log::held::lock_on", file.to_str().unwrap());
    let pid = holder.next("holds ").unwrap();
    stands(&server, Cause::LogLocked, &["another program holds a lock on the event log", "close that program", &pid]).await;
    stands(&server, Cause::TrialWrite, &["the event log accepts no records", "check the log's storage"]).await;
    holder.kill("");
    all_over(&mut server, &[Cause::LogLocked, Cause::TrialWrite]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_read_by_others_for_long_raises_an_alarm_until_they_end() {
    let mut server = Server::start_filled(options()).await;
    let file = log_of(&server).join("kartshoppe.log.sqlite");
    let mut holder = Worker::start("embedded_log::held::read_on", file.to_str().unwrap());
    let pid = holder.next("holds ").unwrap();
    let shopper = Shopper::new("busy");
    while on_metrics(&server, Cause::LogHeld).await.is_empty() {
        shopper.add(&server, "PROD_0001", 1).await;
    }
    stands(&server, Cause::LogHeld, &["another program keeps a read of the event log open", "End its transaction", &pid]).await;
    holder.kill("");
    all_over(&mut server, &[Cause::LogHeld]).await;
}

/// The database becomes available after the shop's log was replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_the_database_does_not_know_raises_an_alarm_once_the_database_is_up() {
    let mut database = OwnServer::start().await;
    let urls = database.running.as_ref().unwrap().urls().clone();
    let options = options().set("DATABASE_URL", &urls.database).set("KARTSHOPPE__CDC__DATABASE_URL", &urls.cdc);
    let mut server = Server::start_filled(options).await;
    let shopper = Shopper::new("before");
    shopper.add(&server, "PROD_0001", 1).await;
    let (status, order) = shopper.checkout(&server, false).await;
    assert_eq!(status, 200, "{order}");
    shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
    assert_eq!(server.terminate(), Some(0));
    let (log, right) = (log_of(&server), server.data().join("right"));
    fs::rename(&log, &right).unwrap();
    database.stop().await;

    server.spawn();
    server.until_not_ready_because("database").await;
    database.resume().await;
    let words = ["the event log is not the one that PostgreSQL's orders were settled from", "put the right log back"];
    stands(&server, Cause::LogStrange, &words).await;
    server.terminate();
    fs::remove_dir_all(&log).unwrap();
    fs::rename(&right, &log).unwrap();
    server.resume().await;
    assert!(on_metrics(&server, Cause::LogStrange).await.is_empty());
}

/// A small file system for this test; `None` (with a message) where it cannot be mounted.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m,mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self { folder });
        }
        let test = std::thread::current().name().unwrap_or("of a thread").to_owned();
        use std::io::Write;
        let line = format!("kartshoppe: SKIPPED test {test}: no small file system can be mounted here; run it as root\n");
        // Bypasses the test harness, which hides the output of passing tests.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        None
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes until only this many bytes are left; returns the file.
    fn fill(&self, left: u64) -> std::path::PathBuf {
        let file = self.path().join("filler");
        let disk = rustix::fs::statvfs(self.path()).unwrap();
        let free = disk.f_bavail * disk.f_frsize;
        let bytes = vec![1_u8; usize::try_from(free - left).unwrap()];
        fs::write(&file, bytes).unwrap();
        file
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(), "the small disk stays mounted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_raises_an_alarm_until_there_is_room() {
    let Some(disk) = SmallDisk::mount(64) else { return };
    // Only the log is on it.
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("data")).unwrap();
    std::os::unix::fs::symlink(disk.path().join("log"), folder.path().join("data/log")).unwrap();
    fs::create_dir(disk.path().join("log")).unwrap();
    let mut server = Server::start_filled(Options { folder: Some(folder.path().to_owned()), ..options() }).await;
    let filler = disk.fill(0);
    stands(&server, Cause::DiskFull, &["no space is left for the event log", "free some space, and writing resumes by itself"])
        .await;
    fs::remove_file(filler).unwrap();
    all_over(&mut server, &[Cause::DiskFull, Cause::TrialWrite, Cause::Inventory, Cause::EventLog]).await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nearly_full_disk_raises_an_alarm_until_there_is_room() {
    let Some(disk) = SmallDisk::mount(400) else { return };
    let mut server = Server::start_filled(Options { folder: Some(disk.path().to_owned()), ..options() }).await;
    let filler = disk.fill(40 << 20);
    stands(&server, Cause::DiskLow, &["is almost full", "tracked events are dropped, orders are still taken", "Free some space"])
        .await;
    fs::remove_file(filler).unwrap();
    all_over(&mut server, &[Cause::DiskLow]).await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_bootstrap_file_raises_an_alarm_until_it_exists() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nowhere.json");
    let mut server = Server::launch(options().set("KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE", file.display()));
    let path = file.display().to_string();
    server.until_not_ready_because("BOOTSTRAP_FILE").await;
    stands(&server, Cause::BootstrapFile, &["KARTSHOPPE__INVENTORY__BOOTSTRAP_FILE", "Correct the file", &path]).await;
    stands(&server, Cause::ShopFilling, &["partitions wait for their first products"]).await;
    fs::write(&file, "[{\"productId\":").unwrap();
    stands(&server, Cause::BootstrapFile, &["it is not a JSON array", "Correct the file", &path]).await;
    fs::write(&file, r#"[{"productId":"A","name":"A","price":1,"inventory":3}]"#).unwrap();
    all_over(&mut server, &[Cause::BootstrapFile, Cause::ShopFilling, Cause::EventLog]).await;
    server.until_products(1).await;
}
