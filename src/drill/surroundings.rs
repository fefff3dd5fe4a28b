//! Faults of the shop's environment: its log file, its disk, the reader of its output, a page's connection, other programs on
//! Kafka.
//!
//! Each takes something away, waits until the shop reports it where it must (not ready, with the alarm of that cause), gives it
//! back, and waits until the alarm is cleared. A shop that keeps reporting ready breaks a promise.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::fs::statvfs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::Instant;

use super::broker::Broker;
use super::faults::{Hit, Striker};
use super::record::Breach;
use super::shop::DrilledShop;
use crate::telemetry::alarms::Cause;

/// How soon the shop must notice what was taken away: a topic's policy is checked only once in a while.
const NOTICED_WITHIN: Duration = Duration::from_secs(90);
/// How long the fault continues after the shop has noticed it.
const BORNE_FOR: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the shop's output is not read.
const UNREAD_FOR: Duration = Duration::from_secs(5);
/// Products killed while the output is not read: each is a log line.
const UNREAD_KILLS: u32 = 20;

/// Slow pages, and how many bytes each reads at which interval: less than any shopper's connection.
const TRICKLING_PAGES: usize = 20;
const TRICKLE_BYTES: usize = 16;
const TRICKLE_EVERY: Duration = Duration::from_millis(500);
/// A page that hardly reads is cut off within this time, or has less waiting for it than its connection buffers.
const TRICKLED_FOR: Duration = Duration::from_secs(20);
/// The receive buffer of such a page's connection, in bytes.
const TRICKLE_BUFFER: u32 = 2048;

/// How long a foreign member holds partitions of the inventory's group.
const FOREIGN_FOR: Duration = Duration::from_secs(15);
const INVENTORY_GROUP: &str = "kartshoppe-inventory";
const ORDERS: &str = "order-events";
const STATES: &str = "products";

impl Striker<'_> {
    /// The embedded log's folder is moved away while the shop is running, and back.
    pub(super) async fn move_log(&self, shop: &mut DrilledShop, in_flight: i64) -> anyhow::Result<Hit> {
        let data = shop.main.data_dir();
        let (log, away) = (data.join("log"), data.join("log.moved"));
        std::fs::rename(&log, &away).with_context(|| format!("moving {} away", log.display()))?;
        self.missed(Cause::LogMoved).await;
        let beside = log.exists();
        if beside {
            self.record.breach(Breach::Altered, "a new event log was made where the moved one had been".to_owned());
            std::fs::remove_dir_all(&log)?;
        }
        std::fs::rename(&away, &log).with_context(|| format!("moving {} back", log.display()))?;
        Ok(Hit::new(1, in_flight, Instant::now()).until_over(Cause::LogMoved))
    }

    /// The file system of the data directory is filled to the last byte, and emptied.
    pub(super) async fn fill_disk(&self, shop: &mut DrilledShop, in_flight: i64) -> anyhow::Result<Hit> {
        let filler = shop.main.data_dir().with_file_name("filler");
        let filled = tokio::task::spawn_blocking({
            let filler = filler.clone();
            move || fill(&filler)
        });
        let filled = filled.await?;
        if filled.is_ok() {
            self.missed(Cause::DiskFull).await;
        }
        std::fs::remove_file(&filler).with_context(|| format!("removing {}", filler.display()))?;
        filled?;
        Ok(Hit::new(1, in_flight, Instant::now()).until_over(Cause::DiskFull))
    }

    /// The shop's output is not read and its pipe is full while it logs much: the shop must keep selling; then it is read again.
    pub(super) async fn leave_unread(&self, shop: &mut DrilledShop, in_flight: i64) -> anyhow::Result<Hit> {
        let from = Instant::now();
        let reading = shop.main.stop_reading()?;
        tokio::time::sleep(UNREAD_FOR / 5).await;
        self.operator.arm("product", "kill", UNREAD_KILLS, UNREAD_FOR).await?;
        let sold = self.recovered(Instant::now()).await;
        tokio::time::sleep_until(from + UNREAD_FOR).await;
        self.operator.clear().await?;
        drop(reading);
        if sold.is_none() {
            let limit = self.plan.sick_after;
            self.record.breach(Breach::BadAnswer, format!("nothing was sold for {limit:?} while the shop's output was not read"));
        }
        Ok(Hit::new(1, in_flight, from))
    }

    /// Pages read a few bytes a second: none of them may delay another one.
    pub(super) async fn trickle(&self, shop: &mut DrilledShop, in_flight: i64) -> anyhow::Result<Hit> {
        let (from, address) = (Instant::now(), shop.main.shop_address());
        let mut pages = tokio::task::JoinSet::new();
        for place in 0..TRICKLING_PAGES {
            pages.spawn(async move { trickling_page(address, place).await });
        }
        let mut connected = 0;
        while let Some(page) = pages.join_next().await {
            connected += u64::from(page?.is_ok());
        }
        Ok(Hit::new(connected.min(1), in_flight, from))
    }

    /// Another program joins the inventory's group, consumes the partitions it is assigned, moves positions, and leaves.
    pub(super) async fn foreign_member(&self, shop: &mut DrilledShop) -> anyhow::Result<Hit> {
        let taken = shop.broker()?.consume(ORDERS, INVENTORY_GROUP, FOREIGN_FOR).await?;
        let in_flight = self.database.open_items().await?;
        Ok(Hit::new(taken.min(1), in_flight, Instant::now()))
    }

    /// The states' topic is given a policy that would lose them, and its own again.
    pub(super) async fn change_policy(&self, shop: &mut DrilledShop, in_flight: i64) -> anyhow::Result<Hit> {
        let broker = shop.broker()?;
        set_policy(broker, "cleanup.policy=[compact,delete],retention.ms=604800000").await?;
        self.missed(Cause::TopicPolicy).await;
        set_policy(broker, "cleanup.policy=compact,retention.ms=-1").await?;
        Ok(Hit::new(1, in_flight, Instant::now()).until_over(Cause::TopicPolicy))
    }

    /// The shop must report by alarm and readiness that something is missing, and must survive it for a while.
    async fn missed(&self, cause: Cause) {
        let (cause, deadline) = (cause.as_str(), Instant::now() + NOTICED_WITHIN);
        while !self.operator.has_alarm(cause).await || self.operator.is_ready().await {
            if Instant::now() > deadline {
                self.record.breach(Breach::Unnoticed, format!("no alarm {cause} and not unready within {NOTICED_WITHIN:?}"));
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tokio::time::sleep(BORNE_FOR).await;
    }

    /// The shop must clear its alarm, and be ready again.
    pub(super) async fn over(&self, cause: Cause) {
        let (cause, deadline) = (cause.as_str(), Instant::now() + NOTICED_WITHIN);
        while self.operator.has_alarm(cause).await || !self.operator.is_ready().await {
            if Instant::now() > deadline {
                self.record.breach(Breach::Unnoticed, format!("alarm {cause} or unready {NOTICED_WITHIN:?} after it was over"));
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Fills the file system that this path is on.
fn fill(path: &Path) -> anyhow::Result<()> {
    let mut filler = File::create(path).with_context(|| format!("making {}", path.display()))?;
    let block = vec![0_u8; 1 << 20];
    // Ever smaller pieces, so that no space is left.
    for size in [1 << 20, 4096, 1] {
        while filler.write_all(&block[..size]).is_ok() {}
    }
    Ok(())
}

/// Whether the file system of a folder is small enough to be filled.
///
/// # Errors
/// If it is not: with advice.
pub(super) fn can_be_filled(folder: &Path) -> anyhow::Result<()> {
    /// Filling more than this takes long and affects other programs.
    const AT_MOST: u64 = 4 << 30;
    let found = statvfs(folder).with_context(|| format!("looking at the file system of {}", folder.display()))?;
    let free = found.f_bavail * found.f_frsize;
    ensure!(
        free <= AT_MOST,
        "faults.full_disks: {} is on a file system with {} MB free, which others use too; give the drill a small one of its own: \
         mount -t tmpfs -o size=1g tmpfs FOLDER, and --folder FOLDER/drill",
        folder.display(),
        free >> 20
    );
    Ok(())
}

/// Connects as a page, and reads a few bytes now and then until it is cut off or has read slowly for long enough.
async fn trickling_page(address: std::net::SocketAddr, place: usize) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(TRICKLE_BUFFER)?;
    let mut line = socket.connect(address).await?;
    let request = format!(
        "GET /ecommerce/drill-trickle-{place}/guest HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    line.write_all(request.as_bytes()).await?;
    let (end, mut taken) = (Instant::now() + TRICKLED_FOR, [0_u8; TRICKLE_BYTES]);
    while Instant::now() < end {
        match line.read(&mut taken).await {
            Ok(0) | Err(_) => break,
            Ok(_) => tokio::time::sleep(TRICKLE_EVERY).await,
        }
    }
    Ok(())
}

async fn set_policy(broker: &Broker, settings: &str) -> anyhow::Result<()> {
    let arguments = ["--alter", "--entity-type", "topics", "--entity-name", STATES, "--add-config", settings];
    broker.tool("kafka.admin.ConfigCommand", &arguments).await
}
