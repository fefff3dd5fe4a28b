//! What operators do about the slot: look at it, and close the gap that a lost one leaves.

use serde::Serialize;
use sqlx::FromRow;

use super::alarm::Alarm;
use super::new_slot::{self, Begun, Steps};
use super::position::{self, Stored};
use super::reader::session_config;
use super::server::{Facts, Server, ServerError};
use super::{ReadError, Step, WalConfig};
use crate::log::EventLog;
use crate::wire::cdc_position::CdcPosition;

/// The slot as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotStatus {
    pub slot: String,
    pub database: String,
    pub exists: bool,
    /// The server's process that feeds a reader, if one reads.
    pub reader_pid: Option<i32>,
    pub wal_status: Option<String>,
    /// The stored position, if the log could be read.
    pub position: Option<CdcPosition>,
    /// WAL that was written and is not acknowledged, in bytes.
    pub lag_bytes: Option<u64>,
    /// Age of the oldest item that waits for the reader, in milliseconds; 0 if none does.
    pub lag_ms: i64,
    /// Items of the reader that have no outcome.
    pub waiting_items: i64,
    /// WAL that the slot makes PostgreSQL keep, in bytes.
    pub retained_bytes: Option<u64>,
    /// WAL that may still be written before PostgreSQL gives the slot up, in bytes; `None`: no limit.
    pub safe_bytes: Option<i64>,
    /// What is wrong and what to do.
    pub alarm: Option<String>,
}

#[derive(Debug, FromRow)]
struct Owed {
    items: i64,
    oldest_ms: i64,
}

/// Looks at the slot; `log` is left out where it cannot be read.
///
/// # Errors
/// [`ReadError`] if PostgreSQL or the log cannot be asked. What is wrong with the slot is no error.
pub async fn status(config: &WalConfig, log: Option<&dyn EventLog>) -> Result<SlotStatus, ReadError> {
    let mut server = Server::connect(&config.url).await?;
    let facts = server.facts(&config.slot).await?;
    let stored = match log {
        Some(log) => position::read(log, &config.slot).await?,
        None => Stored::default(),
    };
    let owed = match facts.may_select {
        Some(true) => owed(&mut server).await?,
        Some(false) | None => Owed { items: 0, oldest_ms: 0 },
    };
    let alarm = alarm_of(config, &facts, &stored);
    Ok(SlotStatus {
        slot: config.slot.clone(),
        database: facts.database.clone(),
        exists: facts.has_slot(),
        reader_pid: facts.slot_pid,
        wal_status: facts.slot_status.clone(),
        lag_bytes: facts.confirmed().map(|confirmed| facts.flushed().0.saturating_sub(confirmed.0)),
        lag_ms: owed.oldest_ms,
        waiting_items: owed.items,
        retained_bytes: facts.retained_bytes(),
        safe_bytes: facts.safe_bytes,
        position: stored.position,
        alarm: alarm.map(|alarm| alarm.to_string()),
    })
}

fn alarm_of(config: &WalConfig, facts: &Facts, stored: &Stored) -> Option<Alarm> {
    let check = || {
        facts.check_database()?;
        if let Some(reason) = &stored.gap {
            return Err(Alarm::NotRepaired { reason: reason.clone() });
        }
        let Some(position) = &stored.position else { return Ok(()) };
        facts.check_slot(&config.slot)?;
        position::check(position, facts, &config.slot)
    };
    check().err()
}

async fn owed(server: &mut Server) -> Result<Owed, ServerError> {
    let question = "SELECT count(*) AS items,
                           coalesce(greatest(extract(epoch FROM clock_timestamp() - min(inserted_at)) * 1000, 0), 0)::bigint AS oldest_ms
                    FROM order_items WHERE publish_via = 'wal' AND outcome IS NULL";
    sqlx::query_as(question).fetch_one(&mut server.connection).await.map_err(ServerError::sql("count the waiting items"))
}

/// Makes a new slot, and publishes in its snapshot the `wal` rows that have neither an outcome nor an event. The reader goes on from
/// there by itself.
///
/// # Errors
/// [`RepairError::InUse`] while somebody reads from the slot; an [`Alarm`] that must be put right first; else [`ReadError`]. Nothing
/// of it is visible then but a slot without a position, and it can be run again.
pub async fn repair(config: &WalConfig, log: &dyn EventLog) -> Result<Begun, RepairError> {
    repair_in_steps(config, log, &AtOnce).await
}

/// The same, announcing each step.
///
/// # Errors
/// Those of [`repair`], and what a step says.
pub async fn repair_in_steps(config: &WalConfig, log: &dyn EventLog, steps: &impl Steps) -> Result<Begun, RepairError> {
    let mut server = Server::connect(&config.url).await.map_err(ReadError::from)?;
    let facts = server.facts(&config.slot).await.map_err(ReadError::from)?;
    facts.check_database().map_err(ReadError::from)?;
    if let Some(pid) = facts.slot_pid.filter(|_| facts.is_slot_active()) {
        return Err(RepairError::InUse { slot: config.slot.clone(), pid });
    }
    let session = log.session(session_config(&config.slot)).await.map_err(ReadError::from)?;
    steps.at(Step::Fenced).await?;
    Ok(new_slot::begin(config, log, &*session, &mut server, steps).await?)
}

/// Why a slot could not be repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    #[error(
        "the replication slot {slot} is being read (PostgreSQL process {pid}): it needs no repair, or its reader must be stopped"
    )]
    InUse { slot: String, pid: i32 },
    #[error(transparent)]
    Failed(#[from] ReadError),
}

/// Nothing strikes between the steps.
struct AtOnce;

impl Steps for AtOnce {
    async fn at(&self, _step: Step) -> Result<(), ReadError> {
        Ok(())
    }
}
