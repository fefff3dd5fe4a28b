//! PostgreSQL as the drill uses it: open items and outcomes, and its end by signal or by SQL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, FromRow};

use crate::store::private_server::{self, Status, Urls};

/// Time limit of a query.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long PostgreSQL may be down before the drill gives up on it.
const BACK_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One order item with its order.
#[derive(Debug, Clone, FromRow)]
pub struct PlacedItem {
    pub order_id: String,
    pub customer_id: String,
    /// An order without items has none of these.
    pub product_id: Option<String>,
    pub quantity: Option<i64>,
    pub outcome: Option<String>,
    pub allocated: Option<i64>,
    pub shortfall: Option<i64>,
}

const ROWS: &str = "
SELECT o.order_id, o.customer_id, i.product_id, i.quantity::bigint AS quantity, i.outcome, i.allocated, i.shortfall
FROM orders o LEFT JOIN order_items i USING (order_id)";
const OPEN: &str = "SELECT count(*) FROM order_items WHERE outcome IS NULL AND publish_via <> 'history'";
const CUT: &str = "
SELECT count(*) FROM (
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND backend_type IN ('client backend', 'walsender')) AS cut";

/// The private PostgreSQL of the drill's shop. Each question has a connection of its own, as it may not live long.
pub struct DrillDatabase {
    data_dir: PathBuf,
}

impl DrillDatabase {
    /// That of the shop with this data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned() }
    }

    /// Items between SQL commit and outcome.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn open_items(&self) -> anyhow::Result<i64> {
        self.ask(async |connection| sqlx::query_scalar(OPEN).fetch_one(connection).await).await
    }

    /// All orders with their items.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn rows(&self) -> anyhow::Result<Vec<PlacedItem>> {
        self.ask(async |connection| sqlx::query_as(ROWS).fetch_all(connection).await).await
    }

    /// Ends all other connections; returns how many there were.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn cut_connections(&self) -> anyhow::Result<i64> {
        self.ask_as(|urls| urls.admin, async |connection| sqlx::query_scalar(CUT).fetch_one(connection).await).await
    }

    /// Ends PostgreSQL, by SIGKILL or in order, and waits until the shop has restarted it.
    ///
    /// # Errors
    /// If it is not running, or does not come back.
    pub async fn end(&self, signal: Signal) -> anyhow::Result<()> {
        let Status::Running { pid, .. } = private_server::status(&self.data_dir)? else { bail!("PostgreSQL does not run") };
        kill_process(Pid::from_raw(pid).context("PostgreSQL has no process")?, signal).context("ending PostgreSQL")?;
        let back = async {
            loop {
                let status = private_server::status(&self.data_dir)?;
                if matches!(status, Status::Running { pid: now, .. } if now != pid) && self.open_items().await.is_ok() {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(BACK_WITHIN, back).await.context("PostgreSQL does not come back")?
    }

    async fn ask<T>(&self, question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>) -> anyhow::Result<T> {
        self.ask_as(|urls| urls.database, question).await
    }

    async fn ask_as<T>(
        &self,
        who: impl FnOnce(Urls) -> String,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> anyhow::Result<T> {
        let urls = private_server::urls(&self.data_dir)?.context("the shop has no private PostgreSQL")?;
        let options: PgConnectOptions = who(urls).parse()?;
        let asking = async {
            let mut connection = options.application_name("kartshoppe-drill").disable_statement_logging().connect().await?;
            question(&mut connection).await
        };
        Ok(tokio::time::timeout(PATIENCE, asking).await.context("PostgreSQL does not answer")??)
    }
}
