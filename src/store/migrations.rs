//! Brings the schema up to date without making other sessions queue behind a forgotten open transaction.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::Executor;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::time::Instant;

use super::{Store, StoreError, session};

/// The migrations of `migrations/`, compiled in.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// The private server's WAL reader copies waiting rows at its first start. Elsewhere the operator grants its role. One process at
/// a time: PostgreSQL rejects concurrent grants on one table.
const GRANT_CDC: &str = "DO $$ BEGIN
    PERFORM pg_advisory_xact_lock(7164283549);
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'kartshoppe_cdc')
       AND NOT has_table_privilege('kartshoppe_cdc', 'order_items', 'SELECT') THEN
        GRANT SELECT ON order_items TO kartshoppe_cdc;
    END IF;
END $$";
/// First version with column lists and row filters in publications.
const MIN_SERVER_VERSION: i32 = 150_000;
/// How long a lock is requested again and again; after that the error names the sessions that hold it.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_AGAIN: Duration = Duration::from_millis(250);

/// Transactions older than a moment that hold our tables, and prepared ones, which no disconnect ends.
const HOLDERS: &str = "
SELECT DISTINCT coalesce('process ' || l.pid || ' (' || coalesce(nullif(a.application_name, ''), 'without a name') || ', ' || coalesce(a.state, 'unknown') || ')',
                'prepared transaction ' || quote_literal(p.gid))
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_prepared_xacts p ON l.virtualtransaction = '-1/' || p.transaction
WHERE l.granted AND l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation IN (SELECT to_regclass(name) FROM unnest(ARRAY['orders', 'order_items', 'carts', 'idempotency_keys',
                     'order_tracker_positions', 'order_tracker_gaps']) AS name)
  AND (l.pid IS NULL OR l.pid <> pg_backend_pid() AND a.xact_start < clock_timestamp() - interval '1 second')
LIMIT 5";

/// Whether the schema is up to date, as far as this process knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MigrationState {
    /// Not yet: the database is down, or another client's transaction holds a table.
    #[default]
    Pending,
    Done,
    /// Retrying does not help: what is wrong and what to do.
    Failed(String),
}

/// Where a store keeps its migration state.
pub(super) type Remembered = Arc<Mutex<MigrationState>>;

impl Store {
    /// The result of the last [`Store::migrate`].
    #[must_use]
    pub fn migration_state(&self) -> MigrationState {
        self.migrated.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings the schema up to date; does nothing if it is. Several processes may do so concurrently.
    ///
    /// # Errors
    /// [`StoreError::TooOld`] below PostgreSQL 15, [`StoreError::Migration`] if a migration fails (it is rolled back),
    /// [`StoreError::Held`] while another client's transaction holds a table, else the errors common to all calls.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let migrated = self.try_migrate().await;
        let state = match &migrated {
            Ok(()) => MigrationState::Done,
            Err(error) if error.is_retryable() => MigrationState::Pending,
            Err(error) => MigrationState::Failed(error.in_full()),
        };
        *self.migrated.lock().unwrap_or_else(PoisonError::into_inner) = state;
        migrated
    }

    async fn try_migrate(&self) -> Result<(), StoreError> {
        let version = self.run("read the server's version", || self.server_version()).await?;
        if version < MIN_SERVER_VERSION {
            return Err(StoreError::TooOld { major: version / 10_000 });
        }
        let pins_schema = self.pins_schema;
        let patient = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(self.options.acquire_timeout.max(LOCK_PATIENCE))
            .after_connect(move |connection, _| Box::pin(session::set_up_for_migrations(connection, pins_schema)))
            .connect_lazy_with((*self.pool.connect_options()).clone());
        let migrated = self.migrate_on(&patient).await;
        patient.close().await;
        migrated
    }

    async fn migrate_on(&self, patient: &PgPool) -> Result<(), StoreError> {
        let began = Instant::now();
        loop {
            let done = async {
                MIGRATOR.run(patient).await?;
                patient.execute(GRANT_CDC).await.map_err(MigrateError::Execute)
            };
            match done.await {
                Ok(_) => return Ok(()),
                Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) if is_lock_timeout(&error) => {
                    if began.elapsed() >= LOCK_PATIENCE {
                        return Err(StoreError::Held { by: self.holders().await });
                    }
                    tokio::time::sleep(LOCK_AGAIN).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The sessions and prepared transactions that hold our tables.
    async fn holders(&self) -> String {
        let ask = || async { sqlx::query_scalar::<_, String>(HOLDERS).fetch_all(&self.pool).await };
        let holders = self.run("ask which sessions lock the tables", ask).await.unwrap_or_default();
        if holders.is_empty() { "sessions that PostgreSQL does not show to this role".to_owned() } else { holders.join(", ") }
    }

    async fn server_version(&self) -> Result<i32, sqlx::Error> {
        sqlx::query_scalar!(r#"SELECT current_setting('server_version_num')::int AS "version!""#).fetch_one(&self.pool).await
    }
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|refusal| refusal.code()).as_deref() == Some("55P03")
}
