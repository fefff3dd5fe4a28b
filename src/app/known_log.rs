//! Whether the embedded log is the one that PostgreSQL's orders were settled from.
//!
//! The database outlives its log when the log's folder is moved away, deleted, or restored from an older copy. A start with such
//! a log would fill the shop again and sell everything twice, so it is refused: what the order tracker has read must be in the
//! log.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;

use super::event_log::Log;
use crate::actors::order_tracker::opening::{OpeningError, foreign_log};
use crate::log::EventLog;
use crate::log::embedded::EmbeddedLog;
use crate::store::Store;
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// Wait between two queries to a database that is down.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const WHAT_TO_DO: &str = "Stop the shop and put the right log back (the folder `log` of the data directory), or restore a backup \
                          of both; to delete every order and start over: `make reset`, or `kartshoppe topics delete --all` and \
                          `kartshoppe db reset`";

/// Refuses a log that lacks what PostgreSQL's orders were settled from. A database that does not answer is queried until it does;
/// before that the log is not written, and the order tracker does not accept it as the right one.
///
/// # Errors
/// If the log is not the one of the database's orders.
pub(super) async fn prove(log: &Log, store: &Store, alarms: &Alarms) -> anyhow::Result<()> {
    let Some(embedded) = log.embedded() else { return Ok(()) };
    match ask(&embedded, store).await {
        Ok(None) => {}
        Ok(Some(reason)) => {
            log.discard_if_new();
            bail!("{}", message(&reason));
        }
        Err(error) => {
            embedded.withhold(Some(format!(
                "nothing is written before the database has confirmed that this is its event log: {error}"
            )));
            tokio::spawn(prove_later(embedded, store.clone(), alarms.clone()));
        }
    }
    Ok(())
}

/// Queries until the database answers or the log is closed.
async fn prove_later(log: Arc<EmbeddedLog>, store: Store, alarms: Alarms) {
    loop {
        tokio::time::sleep(ASK_AGAIN).await;
        match ask(&log, &store).await {
            Ok(None) => return log.withhold(None),
            Ok(Some(reason)) => {
                alarms.raise(About::cause(Cause::LogStrange), Alarm::blocks(message(&reason)));
                return log.withhold(Some(message(&reason)));
            }
            Err(_) if log.id().await.is_err() => return,
            Err(_) => {}
        }
    }
}

async fn ask(log: &EmbeddedLog, store: &Store) -> Result<Option<String>, OpeningError> {
    if store.has_positions_table().await? { foreign_log(log, store).await } else { Ok(None) }
}

fn message(reason: &str) -> String {
    format!("the event log is not the one that PostgreSQL's orders were settled from: {reason}. {WHAT_TO_DO}")
}
