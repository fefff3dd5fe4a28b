//! What the database says about itself: role, publication, slot. Plain SQL, beside the replication stream.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor, FromRow};

use super::alarm::Alarm;
use super::names::{APPLICATION, TABLE};
use crate::domain::EpochMs;
use crate::store::PIN_SCHEMA;
use crate::wire::topics::cdc_position::Lsn;

/// The publication of the migrations.
pub const PUBLICATION: &str = "kartshoppe_order_items";
/// The columns that an event is made of, and the one that the filter asks. `tracestate` may be missing: a publication that was
/// made by hand for an older version goes on, and other vendors' parts of a trace end there.
const COLUMNS: [&str; 6] = ["order_item_id", "order_id", "product_id", "quantity", "traceparent", "publish_via"];
/// The publication's filter as PostgreSQL shows it.
const FILTER: &str = "(publish_via = 'wal'::text)";
const IDENTITY: [&str; 2] = ["order_item_id", "publish_via"];
/// A query that takes longer is given up: the server hangs, or the connection is dead.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("{0}")]
    Alarm(#[from] Alarm),
    #[error("cannot {doing}: {source}")]
    Sql { doing: &'static str, source: sqlx::Error },
    #[error("cannot {doing}: PostgreSQL did not answer within {QUESTION_TIMEOUT:?}")]
    TimedOut { doing: &'static str },
}

impl ServerError {
    pub(super) fn sql(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| match source.as_database_error().and_then(|refusal| refusal.code()).as_deref() {
            Some("28P01" | "28000") => Self::Alarm(Alarm::Credential { reason: source.to_string() }),
            _ if is_of_tls(&source) => Self::Alarm(Alarm::Tls { reason: source.to_string() }),
            _ => Self::Sql { doing, source },
        }
    }
}

/// Whether it is about TLS: a certificate that does not fit comes as invalid data from the connection.
fn is_of_tls(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Tls(_))
        || matches!(error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData)
}

/// A connection for queries. After an error it must be dropped.
pub struct Server {
    pub(super) connection: PgConnection,
}

/// Everything the reader checks, as it stood at one moment.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Facts {
    pub database: String,
    pub role: String,
    pub wal_level: String,
    pub standby: bool,
    pub may_replicate: bool,
    pub may_select: Option<bool>,
    /// `i`, and the columns of the index.
    pub identity_kind: Option<String>,
    pub identity_columns: Option<Vec<String>>,
    pub published: bool,
    pub publishes_changes: Option<bool>,
    pub published_columns: Option<Vec<String>>,
    pub published_filter: Option<String>,
    pub slot_database: Option<String>,
    pub slot_plugin: Option<String>,
    pub slot_active: Option<bool>,
    pub slot_pid: Option<i32>,
    /// The application name of the program that reads from it.
    pub slot_program: Option<String>,
    pub slot_status: Option<String>,
    pub slot_temporary: Option<bool>,
    pub confirmed: Option<String>,
    pub restart: Option<String>,
    /// Bytes that PostgreSQL may still write before it removes WAL that the slot needs.
    pub safe_bytes: Option<i64>,
    pub flushed: Option<String>,
    pub now_ms: EpochMs,
}

const FACTS: &str = "
SELECT current_database()::text AS database, current_user::text AS role, current_setting('wal_level') AS wal_level,
       pg_is_in_recovery() AS standby,
       EXISTS (SELECT FROM pg_roles r WHERE (r.rolname = current_user AND (r.rolreplication OR r.rolsuper))
               OR (r.rolname = 'rds_replication' AND pg_has_role(r.oid, 'member'))) AS may_replicate,
       has_table_privilege(c.oid, 'SELECT') AS may_select,
       c.relreplident::text AS identity_kind,
       (SELECT array_agg(a.attname::text ORDER BY a.attname::text)
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = c.oid AND i.indisreplident) AS identity_columns,
       p.oid IS NOT NULL AS published, p.pubinsert AND p.pubupdate AS publishes_changes,
       t.attnames::text[] AS published_columns, t.rowfilter AS published_filter,
       s.database::text AS slot_database, s.plugin::text AS slot_plugin, s.active AS slot_active, s.active_pid AS slot_pid,
       (SELECT a.application_name FROM pg_stat_activity a WHERE a.pid = s.active_pid) AS slot_program,
       s.wal_status AS slot_status, s.temporary AS slot_temporary, s.confirmed_flush_lsn::text AS confirmed,
       s.restart_lsn::text AS restart, s.safe_wal_size AS safe_bytes,
       CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn()::text END AS flushed,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms
FROM (SELECT to_regclass($3)) AS asked (oid)
LEFT JOIN pg_class c ON c.oid = asked.oid
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_publication p ON p.pubname = $1
LEFT JOIN pg_publication_tables t ON t.pubname = $1 AND t.schemaname = n.nspname AND t.tablename = c.relname
LEFT JOIN pg_replication_slots s ON s.slot_name = $2";

/// Which transactions the process that creates the slot is waiting for. Only members of pg_read_all_stats see when another role's
/// transaction began.
const BLOCKERS: &str = "
SELECT DISTINCT CASE WHEN b.pid <> 0 THEN
    'process ' || b.pid || ' (' || concat_ws(', ', coalesce(nullif(a.application_name, ''), 'an unnamed program'),
        'user ' || a.usename, 'database ' || a.datname,
        coalesce('open since ' || to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', 'older than the slot')) || ')'
    ELSE (SELECT string_agg('prepared transaction ' || concat_ws(', ', quote_literal(p.gid) || ' (user ' || p.owner, 'database ' || p.database,
         'prepared ' || to_char(p.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC)'), ', ' ORDER BY p.prepared)
     FROM pg_prepared_xacts p) END
FROM pg_replication_slots s CROSS JOIN LATERAL unnest(pg_blocking_pids(s.active_pid)) AS b (pid)
LEFT JOIN pg_stat_activity a ON a.pid = b.pid AND b.pid <> 0
WHERE s.slot_name = $1 AND (b.pid = 0 OR a.pid IS NOT NULL)";

impl Server {
    /// Connects.
    ///
    /// # Errors
    /// [`ServerError::Alarm`] if the credentials are refused; else the server's error.
    pub async fn connect(url: &str) -> Result<Self, ServerError> {
        const DOING: &str = "connect to PostgreSQL";
        let options = PgConnectOptions::from_str(url).map_err(ServerError::sql("read KARTSHOPPE__CDC__DATABASE_URL"))?;
        let options = options.application_name(APPLICATION).extra_float_digits(None).disable_statement_logging();
        let mut connection = in_time(DOING, PgConnection::connect_with(&options)).await?;
        if !options.get_options().is_some_and(|options| options.contains("search_path")) {
            in_time(DOING, connection.execute(PIN_SCHEMA)).await?;
        }
        Ok(Self { connection })
    }

    /// Everything at once.
    ///
    /// # Errors
    /// [`ServerError`], after which the connection is of no use.
    pub async fn facts(&mut self, slot: &str) -> Result<Facts, ServerError> {
        let question = sqlx::query_as(FACTS).bind(PUBLICATION).bind(slot).bind(TABLE).fetch_one(&mut self.connection);
        in_time("ask PostgreSQL about slot and publication", question).await
    }

    /// What the creation of the slot is waiting for.
    ///
    /// # Errors
    /// [`ServerError`], after which the connection is of no use.
    pub async fn slot_waits(&mut self, slot: &str) -> Result<Alarm, ServerError> {
        let blockers = self.blockers(slot).await?;
        let by = if blockers.is_empty() { "the ones that pg_stat_activity shows".to_owned() } else { blockers.join(", ") };
        Ok(Alarm::SlotWaits { slot: slot.to_owned(), by })
    }

    /// Their names; empty if it waits for none.
    ///
    /// # Errors
    /// Those of [`Server::slot_waits`].
    pub async fn blockers(&mut self, slot: &str) -> Result<Vec<String>, ServerError> {
        let question = sqlx::query_scalar::<_, Option<String>>(BLOCKERS).bind(slot).fetch_all(&mut self.connection);
        Ok(in_time("ask PostgreSQL what the slot waits for", question).await?.into_iter().flatten().collect())
    }

    /// Takes the lock for creating this slot; false if another reader holds it, until the slot exists or its connection ends.
    ///
    /// # Errors
    /// [`ServerError`], after which the connection is of no use.
    pub async fn may_make(&mut self, slot: &str) -> Result<bool, ServerError> {
        let name = format!("kartshoppe/{slot}");
        let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))").bind(name);
        in_time("take the lock for creating the replication slot", lock.fetch_one(&mut self.connection)).await
    }

    /// Releases the lock for creating the slot.
    ///
    /// # Errors
    /// [`ServerError`], after which the connection is of no use.
    pub async fn has_made(&mut self) -> Result<(), ServerError> {
        let unlock = sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut self.connection);
        in_time("release the lock for creating the replication slot", unlock).await?;
        Ok(())
    }

    /// Ends the server process that is creating the slot for a reader that is gone: while it waits, it does not notice that.
    /// Returns whether there was one.
    ///
    /// # Errors
    /// [`ServerError`], also if our role may not.
    pub async fn end_orphan(&mut self, slot: &str, pid: i32) -> Result<bool, ServerError> {
        if !self.may_make(slot).await? {
            return Ok(false);
        }
        let end = sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(&mut self.connection);
        in_time("end the process that is creating the replication slot", end).await?;
        tracing::warn!(pid, slot, "ended an orphaned PostgreSQL process that was still creating our replication slot");
        self.has_made().await?;
        Ok(true)
    }

    /// Drops a slot that has no reader; it is fine if there is none.
    ///
    /// # Errors
    /// [`ServerError`], also while a reader has it.
    pub async fn drop_slot(&mut self, slot: &str) -> Result<(), ServerError> {
        let drop = sqlx::query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1");
        in_time("drop the replication slot", drop.bind(slot).execute(&mut self.connection)).await?;
        Ok(())
    }
}

/// Runs a question, not for ever.
pub(super) async fn in_time<T>(
    doing: &'static str,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, ServerError> {
    let answered = tokio::time::timeout(QUESTION_TIMEOUT, call).await;
    answered.map_err(|_| ServerError::TimedOut { doing })?.map_err(ServerError::sql(doing))
}

impl Facts {
    /// Whether there is a slot of that name.
    #[must_use]
    pub fn has_slot(&self) -> bool {
        self.slot_active.is_some()
    }

    /// Whether a reader has it.
    #[must_use]
    pub fn is_slot_active(&self) -> bool {
        self.slot_active == Some(true)
    }

    /// The server's process that is making the slot: it has no reader yet.
    #[must_use]
    pub fn maker(&self) -> Option<i32> {
        self.slot_pid.filter(|_| self.is_slot_active() && self.confirmed().is_none())
    }

    /// Up to where the slot was acknowledged.
    #[must_use]
    pub fn confirmed(&self) -> Option<Lsn> {
        self.confirmed.as_deref().and_then(Lsn::parse)
    }

    /// The end of the server's WAL.
    #[must_use]
    pub fn flushed(&self) -> Lsn {
        self.flushed.as_deref().and_then(Lsn::parse).unwrap_or_default()
    }

    /// Bytes of WAL that the slot makes PostgreSQL keep.
    #[must_use]
    pub fn retained_bytes(&self) -> Option<u64> {
        let restart = self.restart.as_deref().and_then(Lsn::parse)?;
        Some(self.flushed().0.saturating_sub(restart.0))
    }

    /// Checks what must hold whether there is a slot or not.
    ///
    /// # Errors
    /// The first [`Alarm`].
    pub fn check_database(&self) -> Result<(), Alarm> {
        let role = || self.role.clone();
        if self.standby {
            return Err(Alarm::StandBy);
        }
        if self.wal_level != "logical" {
            return Err(Alarm::WalLevel { found: self.wal_level.clone() });
        }
        if !self.may_replicate {
            return Err(Alarm::NoReplication { role: role() });
        }
        match self.may_select {
            None => return Err(Alarm::NotMigrated { database: self.database.clone() }),
            Some(false) => return Err(Alarm::NoSelect { role: role() }),
            Some(true) => {}
        }
        self.check_publication()?;
        let columns = self.identity_columns.clone().unwrap_or_default();
        if self.identity_kind.as_deref() != Some("i") || columns != IDENTITY {
            let kind = match self.identity_kind.as_deref() {
                Some("f") => "FULL".to_owned(),
                Some("n") => "NOTHING".to_owned(),
                Some("i") => format!("an index on {}", columns.join(", ")),
                Some(_) | None => "DEFAULT".to_owned(),
            };
            return Err(Alarm::ReplicaIdentity { found: kind });
        }
        Ok(())
    }

    fn check_publication(&self) -> Result<(), Alarm> {
        let publication = PUBLICATION.to_owned();
        if !self.published {
            return Err(Alarm::PublicationMissing { publication });
        }
        let altered = |what: String| Err(Alarm::PublicationAltered { publication: PUBLICATION.to_owned(), what });
        let Some(columns) = &self.published_columns else { return altered(format!("it does not publish {TABLE}")) };
        if self.publishes_changes != Some(true) {
            return altered("it does not publish both inserts and updates".to_owned());
        }
        if let Some(missing) = COLUMNS.into_iter().find(|name| !columns.iter().any(|column| column == name)) {
            return altered(format!("it does not publish the column {missing}"));
        }
        match self.published_filter.as_deref() {
            Some(FILTER) => Ok(()),
            Some(filter) => altered(format!("its filter is {filter}, not {FILTER}")),
            None => altered(format!("its filter {FILTER} is gone")),
        }
    }

    /// Checks the slot itself.
    ///
    /// # Errors
    /// The first [`Alarm`].
    pub fn check_slot(&self, slot: &str) -> Result<(), Alarm> {
        if !self.has_slot() {
            return Err(Alarm::SlotMissing { slot: slot.to_owned() });
        }
        self.check_ours(slot)?;
        let slot = slot.to_owned();
        match self.slot_status.as_deref() {
            Some("lost") => Err(Alarm::SlotLost { slot, status: "wal_status is lost".to_owned() }),
            _ if self.confirmed().is_none() => Err(Alarm::SlotLost { slot, status: "it was never ready".to_owned() }),
            _ => Ok(()),
        }
    }

    /// Whether a slot of that name, if there is one, may be read or dropped by us.
    ///
    /// # Errors
    /// [`Alarm::SlotForeign`]; [`Alarm::SlotTaken`] while a program that is not ours reads from it.
    pub fn check_ours(&self, slot: &str) -> Result<(), Alarm> {
        if !self.has_slot() {
            return Ok(());
        }
        let slot = slot.to_owned();
        if self.slot_plugin.as_deref() != Some("pgoutput") {
            let what = format!("its plugin is {}", self.slot_plugin.as_deref().unwrap_or("none, as it is a physical slot"));
            return Err(Alarm::SlotForeign { slot, what });
        }
        if self.slot_database.as_ref() != Some(&self.database) {
            let what = format!("it belongs to the database {}", self.slot_database.as_deref().unwrap_or_default());
            return Err(Alarm::SlotForeign { slot, what });
        }
        match (self.slot_pid, self.slot_program.as_deref()) {
            (Some(pid), Some(program)) if self.is_slot_active() && program != APPLICATION => {
                let program = if program.is_empty() { "an unnamed program" } else { program };
                Err(Alarm::SlotTaken { slot, program: program.to_owned(), pid })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
