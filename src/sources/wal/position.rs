//! The stored position: read to the end of `cdc-positions` after fencing, and checked against the server before anything streams.

use std::time::Duration;

use super::alarm::Alarm;
use super::server::Facts;
use super::stream::ServerIdentity;
use crate::log::{EventLog, LogError, NewRecord, PartitionId, Reader, Start, Stop, TopicPartition};
use crate::wire::cdc_position::CdcPosition;
use crate::wire::record::Headers;
use crate::wire::topics::Topic;

const PARTITION: PartitionId = 0;
const CHUNK: usize = 1_000;
/// A reader of what is there already waits for nothing but commits that are under way.
const READ_WAIT: Duration = Duration::from_secs(1);

/// What the log keeps about a slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    pub position: Option<CdcPosition>,
    /// Rows may have passed by unseen since: nothing is read until the slot is repaired.
    pub gap: Option<String>,
}

/// Reads what is stored about a slot, to the end as it stands.
///
/// # Errors
/// [`StoredError`].
pub async fn read(log: &dyn EventLog, slot: &str) -> Result<Stored, StoredError> {
    let from = [(TopicPartition::new(Topic::CdcPositions, PARTITION), Start::Beginning)];
    let mut reader = log.reader(&from, Stop::AtEnd).await?;
    let (gap_key, mut stored) = (gap_key(slot), Stored::default());
    loop {
        let records = read_chunk(&mut *reader).await?;
        for record in &records {
            match record.key.as_deref() {
                Some(key) if key == slot.as_bytes() => stored.position = record.value.as_deref().map(decode).transpose()?,
                Some(key) if key == gap_key.as_bytes() => {
                    stored.gap = record.value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned());
                }
                Some(_) | None => {}
            }
        }
        if records.is_empty() && reader.caught_up() {
            return Ok(stored);
        }
    }
}

/// The positions of a slot that everybody sees. An answered commit may still be lost with a broker (docs/adr/0008), and PostgreSQL
/// never gives again what was acknowledged: so it is told of these and no others.
pub struct Shown {
    reader: Box<dyn Reader>,
    slot: String,
}

impl Shown {
    /// Those from here on.
    ///
    /// # Errors
    /// Those of the log.
    pub async fn follow(log: &dyn EventLog, slot: &str) -> Result<Self, LogError> {
        let from = [(TopicPartition::new(Topic::CdcPositions, PARTITION), Start::End)];
        Ok(Self { reader: log.reader(&from, Stop::Never).await?, slot: slot.to_owned() })
    }

    /// The latest that has come since it was asked last; never waits.
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
    CdcPosition::decode(value).map_err(|invalid| StoredError::Alarm(Alarm::PositionUnreadable { reason: invalid.to_string() }))
}

/// Why the stored position is not known.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Alarm(#[from] Alarm),
}

/// Remembers that rows may have passed by, or forgets it.
#[must_use]
pub fn gap_record(slot: &str, gap: Option<&Alarm>) -> NewRecord {
    let value = gap.map(|alarm| alarm.to_string().into());
    NewRecord {
        topic: Topic::CdcPositions,
        partition: Some(PARTITION),
        key: Some(gap_key(slot).into()),
        value,
        headers: Headers::none(),
    }
}

/// No slot has a slash in its name.
fn gap_key(slot: &str) -> String {
    format!("{slot}/gap")
}

/// Whether the server can go on where we stopped: `confirmed ≤ stored ≤ flushed`, on the same history.
///
/// # Errors
/// The [`Alarm`] that says what does not fit.
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
