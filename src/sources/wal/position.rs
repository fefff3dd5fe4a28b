//! The stored position: read to the end of `cdc-positions` after fencing, and checked against the server before anything streams.

use std::time::Duration;

use super::alarm::Alarm;
use super::server::Facts;
use super::stream::ServerIdentity;
use crate::log::cdc_position::{self, PARTITION, Stored};
use crate::log::{EventLog, LogError, Reader, Start, Stop, TopicPartition};
use crate::wire::invalid::Invalid;
use crate::wire::topics::Topic;
use crate::wire::topics::cdc_position::CdcPosition;

const CHUNK: usize = 1_000;
/// A reader of what is there already waits for nothing but commits that are under way.
const READ_WAIT: Duration = Duration::from_secs(1);

/// Reads what is stored about a slot, to the end as it stands.
///
/// # Errors
/// [`StoredError`].
pub async fn read(log: &dyn EventLog, slot: &str) -> Result<Stored, StoredError> {
    Ok(cdc_position::read(log, slot).await?)
}

/// The positions of a slot that are durable and visible. An answered commit may still be lost with a broker (docs/adr/0008), and
/// PostgreSQL never gives again what was acknowledged: so only these are acknowledged.
pub struct DurablePosition {
    reader: Box<dyn Reader>,
    slot: String,
}

impl DurablePosition {
    /// Those from here on.
    ///
    /// # Errors
    /// Those of the log.
    pub async fn follow(log: &dyn EventLog, slot: &str) -> Result<Self, LogError> {
        let from = [(TopicPartition::new(Topic::CdcPositions, PARTITION), Start::End)];
        Ok(Self { reader: log.reader(&from, Stop::Never).await?, slot: slot.to_owned() })
    }

    /// The latest position since the last call; never waits.
    ///
    /// # Errors
    /// [`StoredError`].
    pub async fn latest(&mut self) -> Result<Option<CdcPosition>, StoredError> {
        let mut latest = None;
        loop {
            let records = self.reader.read(CHUNK, Duration::ZERO).await?;
            let ours = records.iter().rfind(|record| record.key.as_deref() == Some(self.slot.as_bytes()));
            latest = ours.and_then(|record| record.value.clone()).or(latest);
            if records.is_empty() {
                return latest.as_deref().map(decode).transpose();
            }
        }
    }
}

/// The next records; empty only at the end.
pub(super) async fn read_chunk(reader: &mut dyn Reader) -> Result<Vec<crate::log::Record>, LogError> {
    loop {
        let records = reader.read(CHUNK, READ_WAIT).await?;
        if !records.is_empty() || reader.caught_up() {
            return Ok(records);
        }
    }
}

fn decode(value: &[u8]) -> Result<CdcPosition, StoredError> {
    CdcPosition::decode(value).map_err(|invalid| unreadable(&invalid))
}

/// Why the stored position is not known.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Alarm(#[from] Alarm),
}

impl From<cdc_position::StoredError> for StoredError {
    fn from(error: cdc_position::StoredError) -> Self {
        match error {
            cdc_position::StoredError::Log(error) => Self::Log(error),
            cdc_position::StoredError::Unreadable(invalid) => unreadable(&invalid),
        }
    }
}

fn unreadable(invalid: &Invalid) -> StoredError {
    StoredError::Alarm(Alarm::PositionUnreadable { reason: invalid.to_string() })
}

/// Whether the server can continue where we stopped: `confirmed ≤ stored ≤ flushed`, on the same history.
///
/// # Errors
/// The [`Alarm`] that says what is wrong.
pub fn check(stored: &CdcPosition, facts: &Facts, slot: &str) -> Result<(), Alarm> {
    let resume = stored.resume_lsn;
    if let Some(confirmed) = facts.confirmed().filter(|confirmed| *confirmed > resume) {
        return Err(Alarm::PositionBehindSlot { slot: slot.to_owned(), stored: resume, confirmed });
    }
    if resume > facts.flushed() {
        return Err(Alarm::PositionBeyondServer { stored: resume, flushed: facts.flushed() });
    }
    Ok(())
}

/// Whether the position is of this server's history.
///
/// # Errors
/// [`Alarm::OtherServer`].
pub fn check_identity(stored: &CdcPosition, found: &ServerIdentity) -> Result<(), Alarm> {
    let known = ServerIdentity { system_id: stored.system_id.clone(), timeline: stored.timeline };
    if known == *found { Ok(()) } else { Err(Alarm::OtherServer { stored: known, found: found.clone() }) }
}
