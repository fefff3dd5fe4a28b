//! The shop's tables in PostgreSQL: carts, orders and their outcomes, and the private server where none is configured.
//!
//! ```text
//!  api::shop ──► carts      add, set, remove, clear, read
//!            ──► checkout   one statement: lock and empty the cart, write key, order and items; shared by those that meet
//!            ──► orders     read them back with each item's outcome
//!  order_tracker ──► outcomes   one transaction a batch: outcomes, settlement, flips, positions
//!                ──► positions  where to go on, and gaps that a human must look at
//!                ──► rescue     direct items that wait too long: whom to ask about, and whom never to flip
//!                ──► passed_over  items of the WAL reader that nobody will handle
//!  sources::wal ──► reads the publication that the migrations make
//! ```
//! Callers hold a [`Store`] (cheap to clone) and get domain types; SQL text stays in this room. Queries are checked at compile
//! time against the migrations (`.sqlx/` holds what that check needs without a database). Every call ends within
//! [`CALL_DEADLINE`]; while PostgreSQL is down the error [is worth a retry](StoreError::is_retryable), and a page gets 503.

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
pub use cart::{Cart, CartError, CartLine, MAX_LINE_UNITS, MAX_LINES, MAX_UNITS_PER_ADD, Shown, Wanted};
pub use checkout::{Checkout, CheckoutError, CheckoutRequest, Offer};
pub use error::StoreError;
pub use idempotency::IdempotencyKey;
pub use migrations::{MIGRATOR, MigrationState};
pub use order_search::{OrderCursor, OrderSearch};
pub use orders::{ItemOutcome, Order, OrderItem, Orders, OutcomeKind, PublishVia, Unreadable};
pub use outcomes::{Outcome, Recorded, TouchedOrder, TrackerBatch};
pub use pooling::PoolMode;
pub use positions::{Gap, TrackerPosition};
pub use replays::{Claim, Replay, ReplayPlace};
pub use rescue::{Overdue, Pending, Probe, Stranded, Waiting};
pub(crate) use session::PIN_SCHEMA;
pub use unusable::UnusableItem;

/// No call takes longer: a request that waits is worth less than one that is refused and asked again.
pub const CALL_DEADLINE: Duration = Duration::from_secs(6);

/// A connection that rested longer is asked for a sign of life before it is used; a busy one is not, as that is a round trip.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How often a call is made that PostgreSQL undoes because of others.
const ATTEMPTS: u32 = 8;
/// Rows of one statement that sweeps: it must end far before its time-out, and hold few locks.
const SWEPT_AT_ONCE: i64 = 5_000;

/// How the store uses its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    pub max_connections: u32,
    /// A call waits for a connection at most this long, then fails with an error worth a retry.
    pub acquire_timeout: Duration,
    /// A direct item must be on the log by then, counted from its INSERT, or it is rescued.
    pub direct_expiry: Duration,
    /// At most one probe per item in this time.
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
    /// A standby, or one whose default is read-only: pages can be shown, carts and orders cannot be kept.
    ReadOnly,
    /// Our tables are missing or have an older shape.
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

    /// Whether the tables have the newest shape.
    ///
    /// # Errors
    /// Those of every call; a database without our tables counts as not migrated.
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

    /// Whether the shop can work with this database: it answers, has our tables in their newest shape, and can be written to.
    /// Asked for each `/readyz`: one question, once the tables are known to have that shape.
    ///
    /// # Errors
    /// Those of every call.
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

    /// The database's clock, in epoch milliseconds.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn now_ms(&self) -> Result<EpochMs, StoreError> {
        self.run("read the database's clock", || async {
            sqlx::query_scalar!(r#"SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS "now_ms!""#)
                .fetch_one(&self.pool)
                .await
        })
        .await
    }

    /// Throws away what nobody can ask for any more: idempotency keys after their 24 hours, carts untouched for 30 days.
    /// Returns how many rows went.
    ///
    /// # Errors
    /// Those of every call.
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

    /// Forgets every cart, key, position and order that KartShoppe made; orders that were there before it stay.
    /// The event log must be emptied with it.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn reset(&self) -> Result<(), StoreError> {
        self.reset_tables().await.map_err(|source| StoreError::new("reset the tables", source))
    }

    /// Not bound by the deadline of a call: there may be millions of rows.
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

    /// Closes the connections; calls under way are waited for.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins a transaction, in a task of its own: a caller that goes away while BEGIN is on its way must not return a connection
    /// to the pool whose transaction is open. sqlx counts a transaction only when BEGIN is answered, so it would not roll back;
    /// the next call would write into that transaction, and nobody would ever commit it.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin().await });
        begun.await.unwrap_or_else(|error| Err(sqlx::Error::Io(std::io::Error::other(error))))
    }

    /// Runs one call within its deadline and says in its error what it was about. A call that PostgreSQL undid because of others,
    /// as in a deadlock, is made again.
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

/// The part of a URL error that may be shown: never the URL itself, which holds a password.
fn reason_without_url(error: &sqlx::Error, url: &str) -> String {
    let reason = error.to_string();
    if reason.contains(url) { "it cannot be read".to_owned() } else { reason }
}
