//! Errors between the shop and its database.

use std::sync::Arc;
use std::time::Duration;

use super::PoolMode;

/// Why a call to the store failed. [`StoreError::is_retryable`] says whether a retry can help.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL cannot be reached, is starting or stopping, or is out of connections.
    #[error("could not {doing}: PostgreSQL is not available")]
    Unavailable {
        doing: &'static str,
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// No answer within the deadline. A write may have taken effect.
    #[error("could not {doing}: PostgreSQL did not answer within {waited:?}")]
    TimedOut { doing: &'static str, waited: Duration },
    /// Concurrent requests kept changing the same rows.
    #[error("could not {doing}: concurrent requests kept changing the same rows")]
    Contended { doing: &'static str },
    /// PostgreSQL refused the statement.
    #[error("could not {doing}")]
    Failed {
        doing: &'static str,
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// A row holds a value that this program never writes.
    #[error("{table} row {id} cannot be read: {reason}")]
    Corrupt { table: &'static str, id: String, reason: String },
    /// The server lacks column lists and row filters in publications.
    #[error("PostgreSQL {major} is too old: 15 or newer is needed")]
    TooOld { major: i32 },
    /// A migration failed and was rolled back completely.
    #[error("could not migrate the database")]
    Migration(#[source] Arc<sqlx::migrate::MigrateError>),
    /// The schema was migrated by a newer version of this program.
    #[error(
        "the database has migration {migration}, which this version does not know: a newer KartShoppe wrote it. Start that \
         version, restore a backup from before it, or empty the shop with `kartshoppe topics delete --all` and `kartshoppe db \
         reset`"
    )]
    Newer { migration: i64 },
    /// Another session's open transaction locks a table that a migration changes.
    #[error("the database cannot be migrated while other sessions hold locks on its tables: end {by}")]
    Held { by: String },
    /// The URL points to a pooler that does not pool by session.
    #[error(
        "the database URL points to a pooler in {mode} mode (PgBouncer: pool_mode = {mode}), which gives each {mode} another \
         connection of PostgreSQL: set pool_mode = session for this database, or lead the URL to PostgreSQL itself"
    )]
    Pooled { mode: PoolMode },
    /// Not a PostgreSQL URL.
    #[error("the database URL cannot be used: it {reason}")]
    BadUrl { reason: String },
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        if let sqlx::migrate::MigrateError::VersionMissing(migration) = error {
            return Self::Newer { migration };
        }
        Self::Migration(Arc::new(error))
    }
}

impl StoreError {
    pub(super) fn new(doing: &'static str, source: sqlx::Error) -> Self {
        let transient = is_transient(&source);
        let source = Arc::new(source);
        if transient { Self::Unavailable { doing, source } } else { Self::Failed { doing, source } }
    }

    /// The error with its causes, in one line.
    #[must_use]
    pub fn in_full(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    /// The SQLSTATE of PostgreSQL's refusal.
    #[must_use]
    pub fn sqlstate(&self) -> Option<String> {
        let (Self::Unavailable { source, .. } | Self::Failed { source, .. }) = self else { return None };
        Some(source.as_database_error()?.code()?.into_owned())
    }

    /// The kind of error, without its details.
    #[must_use]
    pub fn kind(&self) -> String {
        let kind = match self {
            Self::Unavailable { source, .. } if matches!(**source, sqlx::Error::PoolTimedOut) => "pool_timed_out",
            Self::Unavailable { .. } => "unavailable",
            Self::TimedOut { .. } => "timeout",
            Self::Contended { .. } => "contended",
            Self::Failed { .. } => "failed",
            Self::Corrupt { .. } => "corrupt",
            Self::TooOld { .. } => "too_old",
            Self::Migration(_) | Self::Newer { .. } | Self::Held { .. } => "migration",
            Self::Pooled { .. } => "pooled",
            Self::BadUrl { .. } => "bad_url",
        };
        self.sqlstate().unwrap_or_else(|| kind.to_owned())
    }

    /// Whether PostgreSQL itself said that it undid the transaction: nothing was written then, for certain.
    pub(super) fn is_undone(&self) -> bool {
        let (Self::Unavailable { source, .. } | Self::Failed { source, .. }) = self else { return false };
        source.as_database_error().and_then(|refusal| refusal.code()).is_some_and(|code| !may_stand(&code))
    }

    /// Whether a single row caused the error: it cannot be converted, holds a value that our rows never have, or may not be
    /// changed, as it violates a constraint already or a trigger refuses. The statement may work without that row.
    pub(super) fn is_of_a_row(&self) -> bool {
        const DATA: &str = "22";
        const CONSTRAINT: &str = "23";
        const RAISED: &str = "P0";
        let Self::Failed { source, .. } = self else { return matches!(self, Self::Corrupt { .. }) };
        match source.as_database_error() {
            Some(refusal) => {
                refusal.code().is_some_and(|code| [DATA, CONSTRAINT, RAISED].iter().any(|class| code.starts_with(class)))
            }
            None => matches!(**source, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)),
        }
    }

    /// Whether a retry can help. A write that is retried must be idempotent.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::TimedOut { .. } | Self::Contended { .. } | Self::Held { .. } => true,
            Self::Migration(error) => {
                matches!(&**error, sqlx::migrate::MigrateError::Execute(source) if is_transient(source))
            }
            Self::Failed { .. }
            | Self::Corrupt { .. }
            | Self::TooOld { .. }
            | Self::Newer { .. }
            | Self::Pooled { .. }
            | Self::BadUrl { .. } => false,
        }
    }
}

/// Whether the cause is the state of the server or network, rather than the statement.
fn is_transient(error: &sqlx::Error) -> bool {
    if let Some(code) = error.as_database_error().and_then(|refusal| refusal.code()) {
        return is_transient_state(&code);
    }
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    )
}

/// SQLSTATEs that end the connection or the server, perhaps between a commit and its answer: class 08, the shutdowns of class 57,
/// the server's own troubles.
fn may_stand(code: &str) -> bool {
    ["08", "57P", "58", "XX"].iter().any(|class| code.starts_with(class))
}

/// Whether PostgreSQL rolled the transaction back because of concurrent ones and expects a retry: class 40, except a commit whose
/// result is unknown.
pub(super) fn is_rolled_back(error: &sqlx::Error) -> bool {
    const COMPLETION_UNKNOWN: &str = "40003";
    let code = error.as_database_error().and_then(|refusal| refusal.code());
    code.is_some_and(|code| code.starts_with("40") && code != COMPLETION_UNKNOWN)
}

/// Transient SQLSTATEs. Source: PostgreSQL manual, appendix A.
fn is_transient_state(code: &str) -> bool {
    const CONNECTION: &str = "08";
    const RESOURCES: &str = "53"; // disk full, out of memory, too many connections
    const OPERATOR: &str = "57"; // shutdown, crash, cannot connect now, statement timeout
    const ROLLBACK: &str = "40"; // serialization failure, deadlock
    const SYSTEM: &str = "58"; // the server's own input and output
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    const READ_ONLY: &str = "25006"; // a standby that is not yet promoted
    const IDLE_TRANSACTION: &str = "25P03";
    [CONNECTION, RESOURCES, OPERATOR, ROLLBACK, SYSTEM].iter().any(|class| code.starts_with(class))
        || [LOCK_NOT_AVAILABLE, READ_ONLY, IDLE_TRANSACTION].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_by_itself_is_worth_a_retry() {
        for code in ["08006", "53300", "57P01", "57P03", "57014", "40P01", "55P03", "25006", "58030"] {
            assert!(is_transient_state(code), "{code}");
        }
        for code in ["23505", "23514", "42P01", "42601", "22003", "28P01"] {
            assert!(!is_transient_state(code), "{code}");
        }
        for code in ["40P01", "55P03", "57014", "23514", "22003"] {
            assert!(!may_stand(code), "{code}");
        }
        for code in ["08006", "57P01", "57P02", "58030", "XX000"] {
            assert!(may_stand(code), "{code}");
        }
        assert!(StoreError::new("ask", sqlx::Error::PoolTimedOut).is_retryable());
        assert!(!StoreError::new("ask", sqlx::Error::RowNotFound).is_retryable());
    }
}
