//! The operators' repair of a lost slot: creates a new one, and closes the gap.

use std::time::Duration;

use super::new_slot::{self, Begun, Steps};
use super::reader::session_config;
use super::server::{Server, ServerError};
use super::{ReadError, Step, WalConfig};
use crate::log::{EventLog, LogError};

/// A reader with an alarm checks again every few seconds, and may then fence the repair or hold the slot; the repair starts over
/// this often.
const TRIES: u32 = 5;
const AGAIN_AFTER: Duration = Duration::from_millis(300);

/// Creates a new slot, and publishes in its snapshot the `wal` rows that have neither an outcome nor an event. The reader
/// continues from there by itself.
///
/// # Errors
/// [`RepairError::InUse`] while a reader has the slot; an [`Alarm`](super::Alarm) whose cause must be removed first; else
/// [`ReadError`]. Nothing of it is visible then but a slot without a position, and it can be run again.
pub async fn repair(config: &WalConfig, log: &dyn EventLog) -> Result<Begun, RepairError> {
    repair_in_steps(config, log, &AtOnce).await
}

/// The same, reporting each step.
///
/// # Errors
/// Those of [`repair`], and what a step says.
pub async fn repair_in_steps(config: &WalConfig, log: &dyn EventLog, steps: &impl Steps) -> Result<Begun, RepairError> {
    let mut tries = 1;
    loop {
        match try_in_steps(config, log, steps).await {
            Err(error) if error.was_in_the_way() && tries < TRIES => {
                tracing::info!(%error, "a reader has the replication slot: the repair starts over");
                tries += 1;
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            result => return result,
        }
    }
}

async fn try_in_steps(config: &WalConfig, log: &dyn EventLog, steps: &impl Steps) -> Result<Begun, RepairError> {
    let mut server = Server::connect(&config.url).await.map_err(ReadError::from)?;
    let mut facts = server.facts(&config.slot).await.map_err(ReadError::from)?;
    facts.check_database().and_then(|()| facts.check_ours(&config.slot)).map_err(ReadError::from)?;
    if let Some(pid) = facts.maker()
        && server.end_orphan(&config.slot, pid).await.map_err(ReadError::from)?
    {
        tokio::time::sleep(AGAIN_AFTER).await;
        facts = server.facts(&config.slot).await.map_err(ReadError::from)?;
    }
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
        "the replication slot {slot} is being read (PostgreSQL process {pid}): it needs no repair, or the reader must be stopped \
         first"
    )]
    InUse { slot: String, pid: i32 },
    #[error(transparent)]
    Failed(#[from] ReadError),
}

impl RepairError {
    /// Whether a reader came in between, which has gone by now.
    fn was_in_the_way(&self) -> bool {
        const OBJECT_IN_USE: &str = "55006";
        if let Self::Failed(ReadError::Server(ServerError::Sql { source, .. })) = self {
            return source.as_database_error().and_then(|refusal| refusal.code()).as_deref() == Some(OBJECT_IN_USE);
        }
        matches!(self, Self::Failed(ReadError::Log(LogError::Fenced { .. })))
    }
}

/// Nothing strikes between the steps.
struct AtOnce;

impl Steps for AtOnce {
    async fn at(&self, _step: Step) -> Result<(), ReadError> {
        Ok(())
    }
}
