//! The clocks of event log and database are set apart by an hour, in both directions, while orders come by both paths. On Kafka
//! the log's clock is the broker's, which stays: the shop's clock is set apart from both.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::place::{Place, on_each_log};
use crate::support::wal_story::BreakableShop;

const HOUR_MS: i64 = 3_600_000;

on_each_log!(at length: clocks_an_hour_apart_lose_and_double_nothing);

async fn clocks_an_hour_apart_lose_and_double_nothing(place: Place) {
    let is_logs_clock = matches!(place, Place::Embedded(_));
    let mut shop = BreakableShop::open(place, "api,inventory,cdc").await;
    let mut orders = shop.mixed(3).await;
    for ahead in [HOUR_MS, -HOUR_MS, 0, -HOUR_MS, HOUR_MS] {
        shop.step_clock(ahead).await;
        orders.extend(shop.mixed(4).await);
        // One order's publisher never hands it over, at this clock too.
        shop.arm("order-publisher", "hang").await;
        orders.push(shop.buy("PROD_0007", false).await);
        orders.extend(shop.mixed(2).await);
        // The reader and the shop die under the wrong clock; the next start uses the system clock again.
        shop.kill_everything();
        shop.server.resume().await;
        shop.step_clock(-ahead).await;
        orders.extend(shop.mixed(4).await);
        shop.server.signal(Signal::STOP);
        tokio::time::sleep(Duration::from_millis(300)).await;
        shop.server.signal(Signal::CONT);
    }
    // If the log's clock is behind, a probe is in time and sent again: the rescue waits for the clock, and doubles nothing.
    shop.step_clock(0).await;
    shop.everything_settles_once().await;
    let sold = shop.count("SELECT count(*) FROM order_items").await;
    assert_eq!(sold, i64::try_from(orders.len()).unwrap());
    let short = shop.count("SELECT count(*) FROM order_items WHERE outcome <> 'ALLOCATED'").await;
    assert_eq!(short, 0, "there was enough of everything");
    let seen = shop.figure("kartshoppe_alarms_total{alarm=\"clocks\"}").await >= 1.0;
    assert_eq!(seen, is_logs_clock, "the shop saw whether the clocks of log and database differ");
}

impl BreakableShop {
    /// This many orders by each path.
    async fn mixed(&mut self, each: usize) -> Vec<String> {
        let mut orders = Vec::new();
        for number in 0..each {
            for use_cdc in [false, true] {
                orders.push(self.buy(&format!("PROD_{:04}", 23 + number), use_cdc).await);
            }
        }
        orders
    }
}
