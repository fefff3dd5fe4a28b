//! Nothing is published before it is visible: a reader of the event that looks up the row must find it.

use std::time::Duration;

use super::support::log::within;
use super::support::own_server::{OwnServer, shop_on};
use crate::support::place::Place;

/// Many times as long as the reader takes to publish a row.
const WHILE: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_waits_for_a_stand_by_is_published_when_it_is_seen() {
    let place = Place::embedded();
    let server = OwnServer::start().await;
    let shop = shop_on(&place, &server.running.as_ref().unwrap().urls().clone()).await;
    let reader = shop.reader().await;
    reader.streams().await;
    // The commit is then in the WAL and replicated, but invisible to other sessions until a standby that does not exist has
    // answered.
    server.set("synchronous_standby_names", "'nobody'").await;
    let ordering = shop.orders("unseen", 1);
    let watching = async {
        let waits = "SELECT pid::text FROM pg_stat_activity WHERE wait_event = 'SyncRep' LIMIT 1";
        within(async { while shop.ask(waits).await.is_none() {} }).await;
        tokio::time::sleep(WHILE).await;
        assert!(shop.published().await.is_empty(), "published before a new snapshot shows it");
        server.set("synchronous_standby_names", "''").await;
    };
    let (ids, ()) = tokio::join!(ordering, watching);
    shop.await_exactly(&ids).await;
    shop.end([reader]).await;
}
