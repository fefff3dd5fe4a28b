//! A PostgreSQL for one test: one that is stopped, configured differently, or restored to an earlier state.

use std::time::Duration;

use kartshoppe::store::private_server::{PrivateServer, Urls};
use kartshoppe::store::{Store, StoreOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::place::Place;
use super::postgres::{TestDatabase, bin_dir, cluster_of, open_folder};
use super::wal::WalShop;

/// A running server.
pub struct OwnServer {
    folder: tempfile::TempDir,
    pub running: Option<PrivateServer>,
}

impl OwnServer {
    pub async fn start() -> Self {
        let mut server = Self { folder: open_folder(), running: None };
        server.resume().await;
        server
    }

    pub async fn resume(&mut self) -> Urls {
        let server = PrivateServer::start(self.folder.path(), bin_dir().as_deref()).await.unwrap();
        let urls = server.urls().clone();
        self.running = Some(server);
        urls
    }

    pub async fn stop(&mut self) {
        self.running.take().unwrap().stop().await.unwrap();
    }

    pub async fn admin(&self, sql: &str) {
        let mut admin = PgConnection::connect(&self.running.as_ref().unwrap().urls().admin).await.unwrap();
        admin.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    /// Changes a setting that needs no restart; returns once it applies to new sessions.
    pub async fn set(&self, name: &str, value: &str) {
        let mut admin = PgConnection::connect(&self.running.as_ref().unwrap().urls().admin).await.unwrap();
        let before: String = sqlx::query_scalar(AssertSqlSafe(format!("SHOW {name}"))).fetch_one(&mut admin).await.unwrap();
        admin.execute(AssertSqlSafe(format!("ALTER SYSTEM SET {name} = {value}"))).await.unwrap();
        admin.execute("SELECT pg_reload_conf()").await.unwrap();
        loop {
            let now: String = sqlx::query_scalar(AssertSqlSafe(format!("SHOW {name}"))).fetch_one(&mut admin).await.unwrap();
            if now != before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The data directory of PostgreSQL.
    pub fn cluster(&self) -> std::path::PathBuf {
        cluster_of(self.folder.path())
    }
}

/// An empty shop on such a server.
pub async fn shop_on(place: &Place, urls: &Urls) -> WalShop {
    let store = Store::new(&urls.database, StoreOptions::default()).unwrap();
    store.migrate().await.unwrap();
    let (url, admin_url, cdc_url) = (urls.database.clone(), urls.admin.clone(), urls.cdc.clone());
    WalShop::over(place, TestDatabase { store, url, admin_url, cdc_url }).await
}
