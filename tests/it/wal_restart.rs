//! PostgreSQL restarts: the slot forgets what was acknowledged, the stored position does not.

use std::process::Command;

use kartshoppe::store::private_server::{PrivateServer, Status, status};
use kartshoppe::store::{Store, StoreOptions};

use super::support::log::within;
use super::support::postgres::{TestDatabase, bin_dir, open_folder};
use super::support::wal::WalShop;
use crate::support::place::{Place, on_each_log};

on_each_log!(at length: a_restarted_and_a_crashed_server_send_again_what_is_published_already);

async fn a_restarted_and_a_crashed_server_send_again_what_is_published_already(place: Place) {
    let folder = open_folder();
    let server = PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
    let urls = server.urls().clone();
    let store = Store::new(&urls.database, StoreOptions::default()).unwrap();
    store.migrate().await.unwrap();
    let (url, admin_url, cdc_url) = (urls.database.clone(), urls.admin.clone(), urls.cdc.clone());
    let shop = WalShop::over(&place, TestDatabase { store, url, admin_url, cdc_url }).await;
    let reader = shop.reader().await;
    reader.streams().await;
    let mut ids = shop.orders("one", 50).await;
    shop.await_exactly(&ids).await;

    server.stop().await.unwrap();
    reader.reports(|report| !report.is_ready()).await;
    let server = PrivateServer::start(folder.path(), bin_dir().as_deref()).await.unwrap();
    assert_eq!(*server.urls(), urls);
    reader.streams().await;
    ids.extend(shop.orders("two", 50).await);
    shop.await_exactly(&ids).await;

    let Status::Running { pid, .. } = status(folder.path()).unwrap() else { panic!("it runs") };
    let killed = Command::new("kill").args(["-QUIT", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
    reader.reports(|report| !report.is_ready()).await;
    reader.streams().await;
    within(async {
        while shop.database.store.now_ms().await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    ids.extend(shop.orders("three", 50).await);
    shop.await_exactly(&ids).await;
    shop.end([reader]).await;
    server.stop().await.unwrap();
}
