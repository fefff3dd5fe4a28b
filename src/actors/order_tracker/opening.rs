//! Where the tracker starts, and whether it can be sure that it missed nothing.
//!
//! The stored position names the last record that was read and that record's event id. It is read again: if another record stands
//! there, or none, or the position lies outside the log, then outcomes may be missing, which operators must know. The
//! tracker then starts at the beginning of what there is, as writing an outcome twice is harmless; only rescue stays away from
//! items of before.

use std::collections::BTreeMap;
use std::time::Duration;

use super::settle::event_id_of;
use crate::log::{EventLog, LogError, PartitionId, Start, Stop, TopicPartition};
use crate::store::{Store, StoreError, TrackerPosition};
use crate::wire::topics::Topic;

/// How long reading one record that is there may take.
const READ_WAIT: Duration = Duration::from_secs(5);

/// Why a start could not be found; retrying helps with both.
#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    #[error("cannot read the stored positions")]
    Store(#[from] StoreError),
    #[error("cannot read the event log")]
    Log(#[from] LogError),
}

/// Where to start in each partition, and how many gaps were found and written down.
#[derive(Debug, PartialEq, Eq)]
pub struct Opening {
    pub starts: Vec<(TopicPartition, Start)>,
    pub gaps: u64,
}

/// Finds where to start.
///
/// # Errors
/// [`OpeningError`] while database or log cannot be asked.
pub async fn open(log: &dyn EventLog, store: &Store) -> Result<Opening, OpeningError> {
    // The gap replaces the stored position, which was the only proof that this is another log.
    if let Some(reason) = log.refusal() {
        return Err(LogError::Refused(reason).into());
    }
    let stored: BTreeMap<PartitionId, TrackerPosition> =
        store.tracker_positions().await?.into_iter().map(|position| (position.partition, position)).collect();
    let topics = log.topics().await?;
    let info = topics.iter().find(|info| info.topic == Topic::InventoryEvents);
    let info = info.ok_or_else(|| LogError::UnknownTopic(Topic::InventoryEvents.name().to_owned()))?;
    let mut opening = Opening { starts: Vec::new(), gaps: 0 };
    for partition in (0..).take(info.partitions.len()) {
        let place = TopicPartition::new(Topic::InventoryEvents, partition);
        let start = match stored.get(&partition) {
            None => Start::Beginning,
            Some(position) => match gap_at(log, place, position).await? {
                None => Start::Offset(position.offset + 1),
                Some(reason) => {
                    tracing::error!(
                        messaging.destination.partition.id = partition,
                        reason,
                        "order outcomes may be missing: `GET /admin/rescue` lists the items that are not rescued for that"
                    );
                    store.note_gap(partition, &reason, None).await?;
                    opening.gaps += 1;
                    Start::Beginning
                }
            },
        };
        opening.starts.push((place, start));
    }
    Ok(opening)
}

/// Why this log cannot be the one that the database's orders were settled from: it ends before a stored position, or holds
/// another record there. `None` if it can be; what retention has taken away proves nothing.
///
/// # Errors
/// [`OpeningError`] while database or log cannot be asked.
pub async fn foreign_log(log: &dyn EventLog, store: &Store) -> Result<Option<String>, OpeningError> {
    let topics = log.topics().await?;
    let info = topics.iter().find(|info| info.topic == Topic::InventoryEvents);
    for position in store.tracker_positions().await? {
        let place = TopicPartition::new(Topic::InventoryEvents, position.partition);
        let held = info.and_then(|info| info.partitions.get(usize::try_from(position.partition).ok()?));
        let Some(held) = held else { return Ok(Some(format!("it has no {place}"))) };
        if position.offset >= held.end {
            return Ok(Some(format!("record {} of {place} was read, and it ends at {}", position.offset, held.end)));
        }
        if position.offset >= held.start
            && let Some(reason) = gap_at(log, place, &position).await?
        {
            return Ok(Some(format!("{place}: {reason}")));
        }
    }
    Ok(None)
}

/// Why the log is not what it was when this position was stored; `None` if it is.
async fn gap_at(log: &dyn EventLog, place: TopicPartition, position: &TrackerPosition) -> Result<Option<String>, LogError> {
    let offset = position.offset;
    let mut reader = match log.reader(&[(place, Start::Offset(offset))], Stop::AtEnd).await {
        Ok(reader) => reader,
        Err(LogError::OutOfRange { start, end, .. }) => {
            return Ok(Some(format!("the last record read, {offset}, is outside the log, which holds {start} to {end}")));
        }
        Err(error) => return Err(error),
    };
    let found = loop {
        let read = reader.read(1, READ_WAIT).await?;
        if !read.is_empty() || reader.caught_up() {
            break read.into_iter().next();
        }
    };
    Ok(match found.filter(|record| record.offset == offset) {
        None => Some(format!("the last record read, {offset}, is no longer in the log")),
        Some(record) if event_id_of(&record) != position.event_id => {
            Some(format!("record {offset} is {}, but {} was read there", event_id_of(&record), position.event_id))
        }
        Some(_) => None,
    })
}
