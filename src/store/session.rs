//! Session settings of every connection, overriding those of the server, the database, the role and the environment.

use std::time::Duration;

use sqlx::{Executor, PgConnection};

/// PostgreSQL ends a statement before [`CALL_DEADLINE`](super::CALL_DEADLINE), so that its locks are released first; and a
/// transaction whose client is silent, as a frozen process must not keep orders locked. Waiting for a lock times out sooner. Our
/// statements select rows by indexed keys; a plan made while a table was empty would scan the whole table until the next ANALYZE.
/// They are written for READ COMMITTED, and a checkout's answer means that the order is on disk.
const SETTINGS: &str = "SET statement_timeout = '5s'; SET lock_timeout = '2s'; SET enable_seqscan = off;
     SET idle_in_transaction_session_timeout = '10s'; SET TimeZone = 'UTC';
     SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off;
     SET synchronous_commit = on";

/// A `search_path` of the database or the role must not hide our tables: the schema that has them, else the one where new tables
/// go.
pub(crate) const PIN_SCHEMA: &str = "SELECT set_config('search_path', coalesce(
    (SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = 'order_tracker_positions' AND c.relkind = 'r' AND n.nspname !~ '^pg_'
     ORDER BY pg_table_is_visible(c.oid) DESC, n.nspname = 'public' DESC, n.nspname LIMIT 1),
    quote_ident(nullif(current_schema(), 'pg_catalog')), 'public'), false)";

/// With a synchronous standby the server's own setting may require more than `on`; it must not require less.
const DURABLE: &str = "SELECT set_config('synchronous_commit', reset_val, false) FROM pg_settings
     WHERE name = 'synchronous_commit' AND reset_val = 'remote_apply'";

/// Sets up a pooled connection.
pub(super) async fn set_up(connection: &mut PgConnection, pins_schema: bool) -> Result<(), sqlx::Error> {
    connection.execute(SETTINGS).await?;
    connection.execute(DURABLE).await?;
    if pins_schema {
        connection.execute(PIN_SCHEMA).await?;
    }
    Ok(())
}

/// Sets up a connection for migrations: a large table may take minutes to convert, but a statement that waits for a lock makes
/// all others queue behind it, so that wait is short and repeated.
pub(super) async fn set_up_for_migrations(connection: &mut PgConnection, pins_schema: bool) -> Result<(), sqlx::Error> {
    set_up(connection, pins_schema).await?;
    connection
        .execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET enable_seqscan = on; SET lock_timeout = '300ms'")
        .await
        .map(drop)
}

/// Wait before a retry after a serialization failure or a deadlock: increasing, and random so that two rarely collide again.
pub(super) fn wait_before(attempt: u32) -> Duration {
    Duration::from_millis(rand::random_range(1..=4 << attempt.min(6)))
}
