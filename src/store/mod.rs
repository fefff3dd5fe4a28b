//! The shop's tables in PostgreSQL: carts, orders and their outcomes, and the private server where none is configured.
//!
//! ```text
//!  api::shop ──► carts      add, set, remove, clear, read
//!            ──► checkout   one statement: lock and empty the cart, write key, order and items; shared by concurrent ones
//!            ──► orders     read orders back with each item's outcome
//! order_tracker ──► outcomes   one transaction per batch: outcomes, settlement, flips, positions
//!                ──► positions  where to resume, and gaps that an operator must resolve
//!                ──► rescue     direct items that wait too long: which to probe, and which never to flip
//!                ──► passed_over  items that the WAL reader published and no inventory will read
//! sources::wal ──► reads the publication that the migrations create
//! ```
//! Callers hold a [`Store`] (cheap to clone) and get domain types; SQL stays in this module. Queries are checked at compile time
//! against the migrations (`.sqlx/` holds what that check needs without a database). Every call ends within [`CALL_DEADLINE`];
//! while PostgreSQL is down the error [is retryable](StoreError::is_retryable), and a page gets 503.

mod baskets;
mod breaches;
mod cart;
mod carts;
mod checkout;
mod error;
mod figures;
mod idempotency;
mod migrations;
mod order_search;
mod orders;
mod outcomes;
mod passed_over;
mod pooling;
mod positions;
pub mod private_server;
mod replays;
mod rescue;
#[cfg(feature = "seeded-bugs")]
mod seeded;
mod session;
mod traced;
mod tracker_batch;
mod unusable;

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, Postgres, Transaction};

use crate::config::postgres_url;
use crate::domain::EpochMs;

pub use baskets::Basket;
pub use cart::{Cart, CartAddition, CartError, CartLine, MAX_LINE_UNITS, MAX_LINES, MAX_UNITS_PER_ADD, ShownProduct};
pub use checkout::{Checkout, CheckoutError, CheckoutRequest, Offer};
pub use error::StoreError;
pub use idempotency::IdempotencyKey;
pub use migrations::{MIGRATOR, MigrationState};
pub use order_search::{OrderCursor, OrderSearch};
pub use orders::{ItemOutcome, Order, OrderItem, Orders, OutcomeKind, PublishVia, Unreadable};
pub use pooling::PoolMode;
pub use positions::{Gap, TrackerPosition};
pub use replays::{Claim, Replay, ReplayPlace};
pub use rescue::{Overdue, Pending, Probe, Stranded, WaitingCounts};
pub(crate) use session::PIN_SCHEMA;
pub use tracker_batch::{Outcome, Recorded, TouchedOrder, TrackerBatch};
pub use unusable::UnusableItem;

/// Upper bound on every call: a request that is refused and retried is worth more than one that waits.
pub const CALL_DEADLINE: Duration = Duration::from_secs(6);

/// A connection that was idle longer is pinged before use; a busy one is not, as that costs a round trip.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How often a call is retried that PostgreSQL rolls back because of concurrent transactions.
const ATTEMPTS: u32 = 8;
/// Rows deleted by one sweeping statement: it must stay far below its time-out and hold few locks.
const SWEPT_AT_ONCE: i64 = 5_000;

/// How the store uses the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    pub max_connections: u32,
    /// A call waits for a connection at most this long, then fails with a retryable error.
    pub acquire_timeout: Duration,
    /// A direct item must be on the log within this time of its INSERT, or it is rescued.
    pub direct_expiry: Duration,
    /// At most one probe per item within this time.
    pub probe_interval: Duration,
    /// The replication slot whose reader publishes `wal` rows.
    pub slot: String,
}

impl Default for StoreOptions {
    /// The defaults of `config/default.toml`.
    fn default() -> Self {
        Self {
            max_connections: 32,
            acquire_timeout: Duration::from_secs(2),
            direct_expiry: Duration::from_secs(15),
            probe_interval: Duration::from_secs(60),
            slot: "kartshoppe".to_owned(),
        }
    }
}

/// What the shop can do with its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseState {
    Writable,
    /// A standby, or a server that is read-only by default: pages can be shown, but carts and orders cannot be stored.
    ReadOnly,
    /// The schema is missing or older than this version's.
    NotMigrated,
}

/// The shop's tables. Clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    options: StoreOptions,
    batchers: Arc<checkout::Batchers>,
    migrated: migrations::Remembered,
    unusables: unusable::Unusables,
    gate: Arc<pooling::Gate>,
    calls: Arc<figures::CallFigures>,
    /// Whether each connection looks for the schema of our tables; a URL that names one is obeyed.
    pins_schema: bool,
}

impl Store {
    /// A store on this database. Connects with the first call, so the database may come up later.
    ///
    /// # Errors
    /// [`StoreError::BadUrl`] if `url` is not that of a PostgreSQL.
    pub fn new(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        if let Some(reason) = postgres_url::problem(url) {
            return Err(StoreError::BadUrl { reason });
        }
        let connect = PgConnectOptions::from_str(url)
            .map_err(|error| StoreError::BadUrl { reason: reason_without_url(&error, url) })?
            .application_name("kartshoppe")
            .extra_float_digits(None)
            .disable_statement_logging();
        let pins_schema = !connect.get_options().is_some_and(|options| options.contains("search_path"));
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |connection, _| Box::pin(session::set_up(connection, pins_schema)))
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(connect);
        Ok(Self {
            pool,
            options,
            batchers: Arc::default(),
            migrated: Arc::default(),
            unusables: unusable::Unusables::default(),
            gate: Arc::default(),
            calls: Arc::default(),
            pins_schema,
        })
    }

    /// The connections, for the checker and for tests.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Whether the schema is up to date.
    ///
    /// # Errors
    /// The errors common to all calls; a database without our tables counts as not migrated.
    pub async fn is_migrated(&self) -> Result<bool, StoreError> {
        let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
        self.run("read the schema's version", || async {
            let known = sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "known!""#)
                .fetch_one(&self.pool)
                .await?;
            if !known {
                return Ok(false);
            }
            let version: Option<i64> =
                sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success").fetch_one(&self.pool).await?;
            Ok(version >= Some(newest))
        })
        .await
    }

    /// Whether the shop can work with this database: it answers, its schema is up to date, and it accepts writes. Called for each
    /// `/readyz`: one query, once the schema is known to be up to date.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn state(&self) -> Result<DatabaseState, StoreError> {
        let ask = || async {
            let question =
                "SELECT current_setting('transaction_read_only')::bool, to_regclass('order_tracker_positions') IS NOT NULL";
            sqlx::query_as::<_, (bool, bool)>(question).fetch_one(&self.pool).await
        };
        let (is_read_only, has_tables) = self.run("ask whether the database can be used", ask).await?;
        if is_read_only {
            return Ok(DatabaseState::ReadOnly);
        }
        let is_known = has_tables && self.migration_state() == MigrationState::Done;
        Ok(if is_known || self.is_migrated().await? { DatabaseState::Writable } else { DatabaseState::NotMigrated })
    }

    /// The database's current time, in epoch milliseconds.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn now_ms(&self) -> Result<EpochMs, StoreError> {
        self.run("read the database's clock", || async {
            sqlx::query_scalar!(r#"SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS "now_ms!""#)
                .fetch_one(&self.pool)
                .await
        })
        .await
    }

    /// Deletes what has expired: idempotency keys after their 24 hours, carts untouched for 30 days. Returns the number of rows.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let mut swept = 0;
        loop {
            let round = self.sweep_keys(SWEPT_AT_ONCE).await? + self.sweep_carts(SWEPT_AT_ONCE).await?;
            swept += round;
            if round == 0 {
                return Ok(swept);
            }
        }
    }

    /// Deletes every cart, key, position and order that KartShoppe wrote; older orders stay. The event log must be emptied with
    /// it.
    ///
    /// # Errors
    /// The errors common to all calls.
    pub async fn reset(&self) -> Result<(), StoreError> {
        self.reset_tables().await.map_err(|source| StoreError::new("reset the tables", source))
    }

    /// Not bound by the call deadline: there may be millions of rows.
    async fn reset_tables(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        transaction.execute("SET LOCAL statement_timeout = 0").await?;
        sqlx::query!("TRUNCATE carts, idempotency_keys, order_tracker_positions, order_tracker_gaps")
            .execute(&mut *transaction)
            .await?;
        transaction.execute("TRUNCATE dead_letter_replays").await?;
        sqlx::query!("DELETE FROM order_items WHERE publish_via <> 'history'").execute(&mut *transaction).await?;
        sqlx::query!(
            "DELETE FROM orders o WHERE created_at IS NOT NULL
             AND NOT EXISTS (SELECT FROM order_items i WHERE i.order_id = o.order_id)"
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// Closes the connections after the running calls have ended.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins a transaction, in its own task: a caller that is dropped while BEGIN is in flight must not return a connection with
    /// an open transaction to the pool. sqlx counts a transaction only once BEGIN is answered, so it would not roll back; the
    /// next call would write into that transaction, which would never be committed.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin().await });
        begun.await.unwrap_or_else(|error| Err(sqlx::Error::Io(std::io::Error::other(error))))
    }

    /// Runs a call within its deadline and names it in its error. A call that PostgreSQL rolls back because of concurrent
    /// transactions, as in a deadlock, is retried.
    async fn run<T, F>(&self, doing: &'static str, call: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        let under_way = self.calls.begin();
        let calls = async {
            self.gate.pass(&self.pool.connect_options()).await?;
            let mut attempt = 1;
            loop {
                match call().await {
                    Err(error) if attempt < ATTEMPTS && error::is_rolled_back(&error) => {
                        tokio::time::sleep(session::wait_before(attempt)).await;
                        attempt += 1;
                    }
                    done => return done.map_err(|source| StoreError::new(doing, source)),
                }
            }
        };
        let silent = |_| Err(StoreError::TimedOut { doing, waited: CALL_DEADLINE });
        under_way.end(tokio::time::timeout(CALL_DEADLINE, calls).await.unwrap_or_else(silent))
    }
}

/// The part of a URL error that may be shown: never the URL itself, which contains a password.
fn reason_without_url(error: &sqlx::Error, url: &str) -> String {
    let reason = error.to_string();
    if reason.contains(url) { "it cannot be read".to_owned() } else { reason }
}
