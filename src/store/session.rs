//! What every connection is told before it is used, whatever the server, the database, the role or the shell say otherwise.

use std::time::Duration;

use sqlx::{Executor, PgConnection};

/// PostgreSQL ends a statement before [`CALL_DEADLINE`](super::CALL_DEADLINE), so that it lets go of its locks first; and a
/// transaction whose client fell silent, as a frozen process must not keep orders locked. Whoever only waits for a lock gives up
/// sooner. Our statements ask for rows by keys that have an index; a plan that was made while a table was empty would read all of
/// it ever after, until the table is analysed. They are written for READ COMMITTED, and an answer to a checkout means that the
/// order is on the disk.
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

/// Where a synchronous stand-by is named, the server's own setting may ask for more than `on`; it must not ask for less.
const DURABLE: &str = "SELECT set_config('synchronous_commit', reset_val, false) FROM pg_settings
     WHERE name = 'synchronous_commit' AND reset_val = 'remote_apply'";

/// Sets a connection of the pool up.
pub(super) async fn set_up(connection: &mut PgConnection, pins_schema: bool) -> Result<(), sqlx::Error> {
    connection.execute(SETTINGS).await?;
    connection.execute(DURABLE).await?;
    if pins_schema {
        connection.execute(PIN_SCHEMA).await?;
    }
    Ok(())
}

/// Sets a connection for migrations up: a large table may take minutes to convert, but whoever waits for a lock makes all others
/// wait behind it, so that wait is short and repeated.
pub(super) async fn set_up_for_migrations(connection: &mut PgConnection, pins_schema: bool) -> Result<(), sqlx::Error> {
    set_up(connection, pins_schema).await?;
    connection
        .execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET enable_seqscan = on; SET lock_timeout = '300ms'")
        .await
        .map(drop)
}

/// Waits before another attempt after a serialization failure or a deadlock: longer each time, and never the same for two.
pub(super) fn wait_before(attempt: u32) -> Duration {
    Duration::from_millis(rand::random_range(1..=4 << attempt.min(6)))
}
