//! A backup of a selling shop, restored elsewhere: settled orders are there, the others settle, and the ledger adds up.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::PgPoolOptions;

use crate::support::server::{Options, Server};
use crate::support::shopper::Shopper;

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn back_up(server: &Server, file: &Path) -> Output {
    server.command(&["backup", file.to_str().unwrap()]).output().unwrap()
}

fn restore(server: &Server, file: &Path, to: &Path) -> Output {
    server.command(&["restore", file.to_str().unwrap()]).env("KARTSHOPPE__DATA_DIR", to).output().unwrap()
}

async fn orders_of(server: &Server) -> BTreeMap<String, String> {
    let pool = PgPoolOptions::new().max_connections(1).connect(&server.database_url()).await.unwrap();
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT order_id, status FROM orders WHERE session_id IS NOT NULL").fetch_all(&pool).await.unwrap();
    pool.close().await;
    rows.into_iter().collect()
}

/// Buys until it is stopped: one order after the other, by both paths.
async fn buy(server: &Server, name: &str, stop: &AtomicBool) -> usize {
    let mut bought = 0;
    while !stop.load(Ordering::Relaxed) {
        let shopper = Shopper::new(&format!("{name}-{bought}"));
        shopper.add(server, &format!("PROD_{:04}", 1 + bought % 50), 1).await;
        let (status, order) = shopper.checkout(server, bought % 2 == 0).await;
        assert_eq!(status, 200, "the shop sells during a backup: {order}");
        bought += 1;
    }
    bought
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_shop_that_sells_is_the_shop_of_that_moment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.backup");
    let mut server = Server::start_filled(Options::default()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut settled = BTreeMap::new();
    for number in 0..6 {
        let shopper = Shopper::new(&format!("before-{number}"));
        shopper.add(&server, "PROD_0060", 1).await;
        let (status, order) = shopper.checkout(&server, number % 2 == 0).await;
        assert_eq!(status, 200, "{order}");
        let order = shopper.settled(&server, order["orderId"].as_str().unwrap()).await;
        settled.insert(order["orderId"].as_str().unwrap().to_owned(), order["status"].as_str().unwrap().to_owned());
    }
    let command = server.command(&["backup", file.to_str().unwrap()]);
    let told_to_stop = stop.clone();
    let taken = tokio::task::spawn_blocking(move || {
        let mut command = command;
        let output = command.output().unwrap();
        told_to_stop.store(true, Ordering::Relaxed);
        output
    });
    let (one, two) = tokio::join!(buy(&server, "one", &stop), buy(&server, "two", &stop));
    let output = taken.await.unwrap();
    assert!(output.status.success(), "{}", words(&output));
    println!("orders during the backup: {}; {}", one + two, words(&output));
    assert!(words(&back_up(&server, &file)).contains("exists already"));
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions()) & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left beside it");
    server.kill();

    let mut again = Server::unstarted(Options::default());
    let output = restore(&again, &file, again.data());
    assert!(output.status.success(), "{}", words(&output));
    assert!(words(&restore(&again, &file, again.data())).contains("is not empty"));
    again.resume().await;
    again.until_products(200).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(120);
    let restored = loop {
        let restored = orders_of(&again).await;
        if restored.values().all(|status| status != "PENDING") {
            break restored;
        }
        assert!(tokio::time::Instant::now() < deadline, "the rest never settles: {restored:?}\n{}", again.log_tail());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    for (order, status) in &settled {
        assert_eq!(restored.get(order), Some(status), "{order}");
    }
    println!("orders in the restored shop: {}", restored.len());
    let shopper = Shopper::new("afterwards");
    for use_cdc in [true, false] {
        shopper.add(&again, "PROD_0061", 1).await;
        let (status, order) = shopper.checkout(&again, use_cdc).await;
        assert_eq!(status, 200, "{order}");
        assert_eq!(shopper.settled(&again, order["orderId"].as_str().unwrap()).await["status"], "CONFIRMED");
    }
    let check = again.command(&["check"]).output().unwrap();
    assert!(check.status.success(), "{}", words(&check));
    drop(again);
    server.resume().await;
    let check = server.command(&["check"]).output().unwrap();
    assert!(check.status.success(), "the original, too: {}", words(&check));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_shop_is_backed_up_and_a_damaged_file_restores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.backup");
    let mut server = Server::start_filled(Options::default()).await;
    let shopper = Shopper::new("before");
    shopper.add(&server, "PROD_0001", 1).await;
    let (_, order) = shopper.checkout(&server, true).await;
    let order = order["orderId"].as_str().unwrap().to_owned();
    shopper.settled(&server, &order).await;
    assert_eq!(server.terminate(), Some(0));
    let output = back_up(&server, &file);
    assert!(output.status.success(), "{}", words(&output));

    let again = Server::unstarted(Options::default());
    let whole = std::fs::read(&file).unwrap();
    let bad = folder.path().join("bad.backup");
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for bytes in [&whole[..whole.len() / 3], &whole[..whole.len() - 1], &[][..], &changed] {
        std::fs::write(&bad, bytes).unwrap();
        let output = restore(&again, &bad, again.data());
        assert!(!output.status.success() && words(&output).contains("no whole backup"), "{}", words(&output));
        assert!(!again.data().exists(), "nothing was written");
    }
    // A full disk leaves nothing half-written either: a file system of this size holds neither the backup nor the shop.
    if rustix::process::geteuid().is_root() && std::env::var_os("KARTSHOPPE_TEST_MOUNT").is_some() {
        let small = folder.path().join("small");
        std::fs::create_dir(&small).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&small).status().unwrap();
        assert!(mounted.success());
        let output = back_up(&server, &small.join("shop.backup"));
        assert!(!output.status.success() && words(&output).contains("No space left"), "{}", words(&output));
        assert_eq!(std::fs::read_dir(&small).unwrap().count(), 0);
        let output = restore(&again, &file, &small);
        assert!(!output.status.success() && words(&output).contains("No space left"), "{}", words(&output));
        assert_eq!(std::fs::read_dir(&small).unwrap().count(), 0);
        assert!(Command::new("umount").arg(&small).status().unwrap().success());
    }
    let mut again = again;
    let output = restore(&again, &file, again.data());
    assert!(output.status.success(), "{}", words(&output));
    again.resume().await;
    let kept = again.get(&format!("/api/ecommerce/orders/{order}?sessionId={}", shopper.session)).await;
    assert_eq!(kept["status"], "CONFIRMED");
    let check = again.command(&["check"]).output().unwrap();
    assert!(check.status.success(), "{}", words(&check));
    let mut nowhere = server.command(&["backup", "never.backup"]);
    let output = nowhere.env("KARTSHOPPE__DATA_DIR", folder.path().join("none")).current_dir(folder.path()).output().unwrap();
    assert!(!output.status.success() && words(&output).contains("no shop has run"), "{}", words(&output));
    assert!(!folder.path().join("none").exists() && !folder.path().join("never.backup").exists());
}
