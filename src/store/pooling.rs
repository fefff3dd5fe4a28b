//! Detects a pooler that may use another PostgreSQL connection for each transaction (docs/adr/0021).
//!
//! Through such a pooler our settings would apply to other clients' transactions, and prepared statements would reach connections
//! that have others of the same name. So no setting and no other query is sent before the check has passed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, Row};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::StoreError;

/// A refused database is checked again after this long: an operator may have corrected the URL or the pooler.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// If a second connection is not served by then, nothing is known: a pooler may have only one for us.
const PATIENCE: Duration = Duration::from_secs(2);
/// Which of the two connections asks, in an order that does not match a pooler's order of handing out connections.
const TURNS: [Who; 9] = [Who::One, Who::One, Who::Other, Who::Other, Who::One, Who::Other, Who::One, Who::One, Who::Other];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    One,
    Other,
}

/// The pool mode of a pooler that does not pool by session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    Transaction,
    Statement,
}

impl fmt::Display for PoolMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transaction => "transaction",
            Self::Statement => "statement",
        })
    }
}

/// Result of the check for this store's database.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Each connection is one of PostgreSQL's own. Stays so.
    is_open: AtomicBool,
    refused: Mutex<Option<(PoolMode, Instant)>>,
}

impl Gate {
    /// Returns when the database may be used.
    ///
    /// # Errors
    /// [`StoreError::Pooled`]; those of a connection.
    pub async fn pass(&self, options: &PgConnectOptions) -> Result<(), StoreError> {
        if self.is_open.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut refused = self.refused.lock().await;
        if self.is_open.load(Ordering::Acquire) {
            return Ok(());
        }
        if let Some((mode, at)) = *refused
            && at.elapsed() < AGAIN_AFTER
        {
            return Err(StoreError::Pooled { mode });
        }
        let found = pooled(options).await.map_err(|source| StoreError::new("connect to PostgreSQL", source))?;
        *refused = found.map(|mode| (mode, Instant::now()));
        match found {
            Some(mode) => Err(StoreError::Pooled { mode }),
            None => {
                self.is_open.store(true, Ordering::Release);
                Ok(())
            }
        }
    }
}

async fn pooled(options: &PgConnectOptions) -> Result<Option<PoolMode>, sqlx::Error> {
    let mut one = PgConnection::connect_with(options).await?;
    let first = server_process(&mut one).await?;
    let other = async {
        let mut other = PgConnection::connect_with(options).await?;
        server_process(&mut other).await.map(|process| (other, process))
    };
    // If the second connection cannot be had, the first is not shared either.
    let Ok(Ok((mut other, second))) = timeout(PATIENCE, other).await else { return Ok(None) };
    let (mut of_one, mut of_other) = (BTreeSet::from([first]), BTreeSet::from([second]));
    for who in TURNS {
        match who {
            Who::One => of_one.insert(server_process(&mut one).await?),
            Who::Other => of_other.insert(server_process(&mut other).await?),
        };
    }
    let is_shared = of_one.len() > 1 || of_other.len() > 1 || !of_one.is_disjoint(&of_other);
    Ok(if is_shared { Some(mode_of(&mut one).await) } else { None })
}

/// As a simple query: a transaction pooler would mix up prepared statements.
async fn server_process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    connection.fetch_one(sqlx::raw_sql("SELECT pg_backend_pid()")).await?.try_get(0)
}

/// A statement pooler refuses a transaction and disconnects.
async fn mode_of(connection: &mut PgConnection) -> PoolMode {
    let began = connection.execute(sqlx::raw_sql("BEGIN")).await.is_ok();
    let ended = connection.execute(sqlx::raw_sql("ROLLBACK")).await.is_ok();
    if began && ended { PoolMode::Transaction } else { PoolMode::Statement }
}
