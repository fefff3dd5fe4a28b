//! Two trackers, one of them frozen: the other rescues alone, and what the frozen one does after it continues changes nothing.
//!
//! Everything is real except the gates between the frozen process and its log: inventory, trackers, WAL reader, PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kartshoppe::actors::root::RootHandle;
use kartshoppe::log::EventLog;
use kartshoppe::store::{Checkout, CheckoutRequest, Order, PublishVia, StoreOptions};
use kartshoppe::wire::topics::Topic;

use super::support::api_role::{ApiRole, until};
use super::support::engine::product as stock_of;
use super::support::gated_log::GatedLog;
use super::support::log::{append, read_all, within};
use super::support::place::{Place, on_each_log};
use super::support::postgres::{count, database_with, product, request, session, ten};
use super::support::wal::{Reader, WalShop, start_inventory, value};

on_each_log!(at length: frozen_before_its_probe_goes_out, frozen_between_the_answer_and_the_flip, frozen_with_the_order_locked);

const STOCK: i64 = 100;

/// A shop whose direct items expire at once, with inventory and WAL reader running.
struct Shop {
    wal: WalShop,
    reader: Reader,
    inventory: RootHandle,
}

impl Shop {
    async fn open(place: &Place) -> Self {
        let second = Duration::from_secs(1);
        let options = StoreOptions { direct_expiry: Duration::ZERO, probe_interval: second, ..StoreOptions::default() };
        let wal = WalShop::over(place, database_with(options).await).await;
        let inventory = start_inventory(wal.log(), Duration::from_secs(5)).await;
        append(&*wal.log, vec![stock_of("A", STOCK)]).await;
        let reader = wal.reader().await;
        reader.streams().await;
        Self { wal, reader, inventory }
    }

    /// Items whose publisher died right after the commit.
    async fn unpublished(&self, sessions: &[&str]) -> Vec<Order> {
        let (store, mut orders) = (&self.wal.database.store, Vec::new());
        for name in sessions {
            store.add_to_cart(&session(name), None, &product("A"), 1).await.unwrap();
            let direct = CheckoutRequest { publish_via: PublishVia::Direct, ..request(name) };
            match store.checkout(&direct, ten).await.unwrap() {
                Checkout::Placed(order, _) => orders.push(order),
                Checkout::Replayed(_) => panic!("there was no key"),
            }
        }
        orders
    }

    async fn until_settled(&self, orders: i64) {
        within(async {
            while count(&self.wal.database.store, "SELECT count(*) FROM orders WHERE status = 'CONFIRMED'").await < orders {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Each item was published by the WAL reader once, took its unit once, and has one outcome.
    async fn each_once(&self, orders: i64) {
        let published = self.wal.events().await.iter().map(value).filter(|event| event["source"] == "wal").count();
        assert_eq!(i64::try_from(published).unwrap(), orders);
        let last = read_all(&*self.wal.log, Topic::Products).await.into_iter().next_back().unwrap();
        assert_eq!(value(&last)["inventory"], STOCK - orders);
        let allocated = "SELECT sum(allocated)::bigint FROM order_items";
        assert_eq!(count(&self.wal.database.store, allocated).await, orders);
    }

    async fn end(self, roles: Vec<ApiRole>) {
        for role in roles {
            role.stop().await;
        }
        self.inventory.stop_all().await.unwrap();
        self.wal.end([self.reader]).await;
    }
}

async fn frozen_before_its_probe_goes_out(place: Place) {
    let shop = Shop::open(&place).await;
    let gated = GatedLog::over(shop.wal.log());
    gated.appends.close();
    gated.reads.close();
    shop.unpublished(&["a", "b", "c"]).await;
    let log: Arc<dyn EventLog> = gated.clone();
    let frozen = ApiRole::start(&log, Some(&shop.wal.database.store)).await;
    until("the frozen one has its probes in hand", || gated.appends.waiting() > 0).await;
    let well = ApiRole::start(&shop.wal.log(), Some(&shop.wal.database.store)).await;
    shop.until_settled(3).await;
    assert_eq!(well.tracker.counts().flipped.load(Ordering::Relaxed), 3, "the other rescued them alone");
    gated.appends.open();
    gated.reads.open();
    let probes = async || shop.wal.events().await.iter().map(value).filter(|event| event["probe"] == true).count();
    within(async {
        while probes().await < 6 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // Everything after the late probes also comes after their answers.
    shop.unpublished(&["d"]).await;
    shop.until_settled(4).await;
    shop.each_once(4).await;
    shop.end(vec![frozen, well]).await;
}

async fn frozen_between_the_answer_and_the_flip(place: Place) {
    let shop = Shop::open(&place).await;
    let gated = GatedLog::over(shop.wal.log());
    let log: Arc<dyn EventLog> = gated.clone();
    let frozen = ApiRole::start(&log, Some(&shop.wal.database.store)).await;
    until("it follows the log", || frozen.tracker.is_caught_up()).await;
    gated.reads.close();
    shop.unpublished(&["a", "b"]).await;
    until("it has asked", || frozen.tracker.counts().probes.load(Ordering::Relaxed) >= 2).await;
    until("the answers are in its hands", || gated.reads.waiting() > 0).await;
    let well = ApiRole::start(&shop.wal.log(), Some(&shop.wal.database.store)).await;
    shop.until_settled(2).await;
    assert_eq!(well.tracker.counts().flipped.load(Ordering::Relaxed), 2);
    gated.reads.open();
    shop.unpublished(&["c"]).await;
    shop.until_settled(3).await;
    let flipped = || [&frozen, &well].iter().map(|role| role.tracker.counts().flipped.load(Ordering::Relaxed)).sum::<u64>();
    until("both have read everything", || flipped() == 3).await;
    shop.each_once(3).await;
    shop.end(vec![frozen, well]).await;
}

/// A process that froze within its SQL transaction holds the locks of its orders; PostgreSQL ends it after ten seconds.
async fn frozen_with_the_order_locked(place: Place) {
    let shop = Shop::open(&place).await;
    let orders = shop.unpublished(&["a"]).await;
    let mut frozen = shop.wal.database.store.pool().begin().await.unwrap();
    let lock = "SELECT order_id FROM orders WHERE order_id = $1 FOR NO KEY UPDATE";
    sqlx::query(lock).bind(orders[0].order_id.as_str()).execute(&mut *frozen).await.unwrap();
    let well = ApiRole::start(&shop.wal.log(), Some(&shop.wal.database.store)).await;
    until("the other waits for the lock", || well.tracker.counts().retries.load(Ordering::Relaxed) > 0).await;
    shop.until_settled(1).await;
    let late = sqlx::query("UPDATE order_items SET publish_via = 'wal'").execute(&mut *frozen).await;
    assert!(late.is_err(), "the frozen process finds its transaction gone");
    drop(frozen);
    shop.each_once(1).await;
    shop.end(vec![well]).await;
}
