//! What the log keeps about a replication slot, on `cdc-positions`: where its reader goes on, and whether it may have missed
//! rows.
//!
//! The WAL reader writes it in the commit of the rows that it covers, and reads it at its start. The order tracker reads it, too:
//! it asks about an item only when the item's event is on the log.

use std::time::Duration;

use super::{EventLog, LogError, NewRecord, PartitionId, Record, Start, Stop, TopicPartition};
use crate::wire::invalid::Invalid;
use crate::wire::topics::Topic;
use crate::wire::topics::cdc_position::CdcPosition;
use crate::wire::topics::record::Headers;

/// The partition of all of them.
pub(crate) const PARTITION: PartitionId = 0;
const CHUNK: usize = 1_000;
/// A reader to the end waits for commits that are under way only.
const READ_WAIT: Duration = Duration::from_secs(1);

/// What is kept about a slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Stored {
    pub position: Option<CdcPosition>,
    /// Why rows may have been missed: nothing is read until the slot is repaired.
    pub gap: Option<String>,
}

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoredError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the stored position of the WAL reader cannot be read: {0}")]
    Unreadable(Invalid),
}

/// Reads what is kept about a slot, to the end as it stands.
///
/// # Errors
/// [`StoredError`].
pub(crate) async fn read(log: &dyn EventLog, slot: &str) -> Result<Stored, StoredError> {
    let from = [(TopicPartition::new(Topic::CdcPositions, PARTITION), Start::Beginning)];
    let mut reader = log.reader(&from, Stop::AtEnd).await?;
    let (gap_key, mut position, mut gap) = (gap_key(slot), None, None);
    while !reader.caught_up() {
        for Record { key, value, .. } in reader.read(CHUNK, READ_WAIT).await? {
            match key.as_deref() {
                Some(key) if key == slot.as_bytes() => position = value,
                Some(key) if key == gap_key.as_bytes() => gap = value,
                Some(_) | None => {}
            }
        }
    }
    let position = position.as_deref().map(CdcPosition::decode).transpose().map_err(StoredError::Unreadable)?;
    Ok(Stored { position, gap: gap.map(|text| String::from_utf8_lossy(&text).into_owned()) })
}

/// The record that notes why rows may have been missed; `None` withdraws it.
#[must_use]
pub(crate) fn gap_record(slot: &str, gap: Option<String>) -> NewRecord {
    NewRecord {
        topic: Topic::CdcPositions,
        partition: Some(PARTITION),
        key: Some(gap_key(slot).into()),
        value: gap.map(Into::into),
        headers: Headers::none(),
    }
}

/// A slot's name cannot contain a slash, so this cannot be the key of another slot.
fn gap_key(slot: &str) -> String {
    format!("{slot}/gap")
}
