//! The slot's figures on `/metrics`: they come from PostgreSQL, whether the slot is read or not.

use rustix::process::Signal;

use crate::support::place::Place;
use crate::support::postgres::signal_all;
use crate::support::wal_story::BreakableShop;

const READ: &str = "kartshoppe_cdc_slot{state=\"read\"}";
const UNREAD: &str = "kartshoppe_cdc_slot{state=\"unread\"}";
const UNKNOWN: &str = "kartshoppe_cdc_slot{state=\"unknown\"}";
const BYTES: &str = "kartshoppe_cdc_lag_bytes{}";
const SECONDS: &str = "kartshoppe_cdc_lag_seconds{}";
const RETAINED: &str = "kartshoppe_cdc_retained_bytes{}";

async fn is(shop: &BreakableShop, state: &str) -> bool {
    shop.figure(state).await >= 1.0
}

/// The slot is not read because the role was stopped, and because the reader has an alarm or hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_is_shown_while_the_slot_is_not_read() {
    let mut shop = BreakableShop::open(Place::embedded(), "api,inventory,cdc").await;
    let first = shop.buy("PROD_0001", true).await;
    shop.until("the order settles", async || shop.status_of(&first).await == "CONFIRMED").await;
    shop.until("the slot is read", async || is(&shop, READ).await && shop.figure(BYTES).await < 1.0).await;

    let (status, _) = shop.server.operate("/admin/roles/cdc/stop", &serde_json::Value::Null).await;
    assert_eq!(status, 200);
    let waiting = shop.buy("PROD_0002", true).await;
    shop.until("what no reader has read", async || {
        is(&shop, UNREAD).await && shop.figure(BYTES).await > 0.0 && shop.figure(RETAINED).await > 0.0
    })
    .await;
    let seconds = shop.figure(SECONDS).await;
    shop.until("the lag grows", async || shop.figure(SECONDS).await > seconds + 2.0).await;
    assert_eq!(shop.read_admin("/readyz").await, serde_json::json!({"status": "ready"}), "stopped on purpose");
    shop.start_role("cdc").await;
    shop.until("the waiting order settles", async || shop.status_of(&waiting).await == "CONFIRMED").await;
    shop.until("nothing waits any more", async || is(&shop, READ).await && shop.figure(SECONDS).await < 1.0).await;

    // A reader that hangs reads nothing either.
    shop.arm("wal-reader", "hang").await;
    let hung = shop.buy("PROD_0003", true).await;
    shop.until("what hangs", async || shop.figure(SECONDS).await > 3.0 && shop.figure(BYTES).await > 0.0).await;
    shop.arm("wal-reader", "kill").await;
    shop.until("the order settles", async || shop.status_of(&hung).await == "CONFIRMED").await;
}

/// It is unknown what a hung PostgreSQL has written: the time since its last answer counts as lag.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_grows_while_postgresql_is_frozen() {
    let shop = BreakableShop::open(Place::embedded(), "api,inventory,cdc").await;
    shop.until("the slot is read", async || is(&shop, READ).await && shop.figure(SECONDS).await < 1.0).await;
    signal_all(shop.server.data(), Signal::STOP);
    shop.until("no answer", async || is(&shop, UNKNOWN).await && shop.figure(SECONDS).await > 5.0).await;
    signal_all(shop.server.data(), Signal::CONT);
    shop.until("it is back", async || is(&shop, READ).await && shop.figure(SECONDS).await < 1.0).await;
}
