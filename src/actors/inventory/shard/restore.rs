//! Restores a partition: reads `products` from beginning to end and compares it with the committed positions.
//!
//! Runs in a task of the shard. The positions were read before; any commit by another process since then would have fenced us.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::restored::{CHUNK, READ_WAIT, RestoreContext, RestoreError, RestoredPartition};
use super::resume::{self, CommittedPositions, ResumePositions};
use crate::domain::inventory::PerInput;
use crate::log::{Position, Start, Stop, TopicPartition};
use crate::wire::topics::Topic;

/// Reads the states of a partition, and finds where its inputs continue.
pub(super) async fn restore(
    context: &RestoreContext,
    positions: &BTreeMap<Topic, Position>,
) -> Result<(RestoredPartition, ResumePositions), RestoreError> {
    let started = Instant::now();
    let partition = TopicPartition::new(Topic::Products, context.partition);
    let mut reader = context.log.reader(&[(partition, Start::Beginning)], Stop::AtEnd).await?;
    let stale_after_ms = context.stale_after_ms;
    let mut restored = RestoredPartition::default();
    while !reader.caught_up() {
        let records = reader.read(CHUNK, READ_WAIT).await?;
        let decode = move || {
            for record in records {
                restored.take(&record, stale_after_ms)?;
            }
            Ok::<_, RestoreError>(restored)
        };
        restored = tokio::task::spawn_blocking(decode).await.map_err(|_| RestoreError::Ended)??;
    }
    let offsets = PerInput::from_fn(|input| positions.get(&input.into()).map(|position| position.offset));
    restored.ahead = restored.count_ahead(&offsets);
    let committed = CommittedPositions::of(positions);
    let mut resume_at = committed.as_they_are();
    if restored.is_ahead_of(&offsets) || committed.has_foreign() {
        let ranges = resume::input_ranges(context).await?;
        restored.refuse_lost_positions(context.partition, &offsets, &ranges)?;
        resume_at = resume::prove(context, &mut restored, &committed, &ranges).await?;
    }
    restored.took = started.elapsed();
    Ok((restored, resume_at))
}
