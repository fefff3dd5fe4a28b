//! Where a partition resumes if its committed positions cannot be trusted.
//!
//! A position is ours if our text was committed with it. A foreign one (docs/adr/0012) proves nothing: the partition resumes
//! after everything that its states and outputs name as applied. Later records that left no output (an order event past its
//! expiry, a probe that came too early) are decided again, and in the same way, since the highest append time before them is
//! read again, too.

use std::collections::BTreeMap;

use super::position_text::PositionText;
use super::restored::{CHUNK, READ_WAIT, RestoreContext, RestoreError, RestoredPartition};
use crate::domain::EpochMs;
use crate::domain::inventory::{InputTopic, PerInput};
use crate::log::{Offset, PartitionId, PartitionInfo, Position, Record, Start, Stop, TopicInfo, TopicPartition};
use crate::telemetry::alarms::{About, Alarm, Cause as AlarmCause};
use crate::wire::topics::Topic;
use crate::wire::topics::headers;

/// How many of the last outputs are read for what was applied last: more than one commit writes.
const LAST_OUTPUTS: Offset = 20_000;

/// The committed positions, each ours or foreign.
pub(super) struct CommittedPositions(PerInput<Option<CommittedPosition>>);

struct CommittedPosition {
    offset: Offset,
    /// `None` for a foreign position.
    text: Option<PositionText>,
}

/// Where the inputs continue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ResumePositions {
    /// With our text; empty if nothing was ever committed.
    pub positions: BTreeMap<Topic, Position>,
    /// Once the inputs are committed up to here, the foreign positions have no effect any more.
    pub foreign_until: BTreeMap<Topic, Offset>,
}

impl CommittedPositions {
    pub(super) fn of(positions: &BTreeMap<Topic, Position>) -> Self {
        let mut committed = PerInput::from_fn(|input| {
            let position = positions.get(&input.into())?;
            // No record can have been skipped at the beginning.
            let is_beginning = position.offset == 0 && position.metadata.is_empty();
            let text = PositionText::beside(position).or_else(|| is_beginning.then(PositionText::default));
            Some(CommittedPosition { offset: position.offset, text })
        });
        // Earlier versions wrote a text beside the position of the orders only.
        let earlier = positions.get(&Topic::OrderEvents).and_then(PositionText::beside);
        if let Some(earlier) = earlier.filter(PositionText::is_of_earlier_version)
            && let Some(updates) = &mut committed.product_updates
            && positions.get(&Topic::ProductUpdates).is_some_and(|position| position.metadata.is_empty())
        {
            updates.text = Some(earlier);
        }
        Self(committed)
    }

    /// Whether one of them is foreign.
    pub(super) fn has_foreign(&self) -> bool {
        self.each().any(|(_, position)| position.text.is_none())
    }

    /// Resumes exactly here, with our text.
    pub(super) fn as_they_are(&self) -> ResumePositions {
        self.resume_at(|_, position| position.offset, self.highest_append_ms())
    }

    fn each(&self) -> impl Iterator<Item = (InputTopic, &CommittedPosition)> {
        self.0.iter().filter_map(|(input, position)| Some((input, position.as_ref()?)))
    }

    /// Whether something was applied beyond a position of ours.
    fn is_behind(&self, applied: &PerInput<Offset>) -> bool {
        self.each().any(|(input, position)| position.text.is_some() && position.offset < applied[input])
    }

    fn highest_append_ms(&self) -> EpochMs {
        let orders = self.0.order_events.as_ref();
        orders.and_then(|position| position.text).map_or(0, |text| text.highest_append_ms)
    }

    fn resume_at(
        &self,
        offset_of: impl Fn(InputTopic, &CommittedPosition) -> Offset,
        highest_append_ms: EpochMs,
    ) -> ResumePositions {
        let mut resume_at = ResumePositions::default();
        for (input, position) in self.each() {
            let offset = offset_of(input, position);
            resume_at.positions.insert(input.into(), ours(input, offset, highest_append_ms));
            if position.text.is_none() {
                resume_at.foreign_until.insert(input.into(), position.offset.max(offset));
            }
        }
        resume_at
    }
}

/// A position with our text.
pub(super) fn ours(input: InputTopic, offset: Offset, highest_append_ms: EpochMs) -> Position {
    let highest_append_ms = if input == InputTopic::OrderEvents { highest_append_ms } else { 0 };
    Position { offset, metadata: PositionText::of(offset, highest_append_ms).to_string() }
}

/// Where the inputs of the partition begin and end.
pub(super) async fn input_ranges(context: &RestoreContext) -> Result<PerInput<PartitionInfo>, RestoreError> {
    let topics = context.log.topics().await?;
    let range = |input: InputTopic| {
        let info = topics.iter().find(|info: &&TopicInfo| info.topic == input.into());
        info.and_then(|info| info.partitions.get(usize::try_from(context.partition).ok()?)).copied()
    };
    Ok(PerInput::from_fn(|input| range(input).unwrap_or(PartitionInfo { start: 0, end: 0 })))
}

/// Finds what was applied from everything that the log holds, and raises alarms about foreign positions.
pub(super) async fn prove(
    context: &RestoreContext,
    restored: &mut RestoredPartition,
    committed: &CommittedPositions,
    ranges: &PerInput<PartitionInfo>,
) -> Result<ResumePositions, RestoreError> {
    let is_foreign = committed.has_foreign();
    if is_foreign {
        raise(context, committed, |_, position| {
            Alarm::blocks(format!(
                "another program moved the position of the inventory's group to {}: searching the log for what was processed \
                 before",
                position.offset
            ))
        });
    }
    note_causes_of_outputs(context, restored, is_foreign).await?;
    note_causes_of_moved_records(context, restored).await?;
    if is_foreign && !restored.has_past {
        raise(context, committed, |_, position| {
            Alarm::warns(format!(
                "another program had set the position of the inventory's group to {} before the shop was first started: the shop \
                 reads from the beginning instead. Find the program that uses this group, and move it to another one",
                position.offset
            ))
        });
        return Ok(ResumePositions { foreign_until: committed.as_they_are().foreign_until, ..ResumePositions::default() });
    }
    let offset_of = |input: InputTopic, position: &CommittedPosition| {
        let (applied, PartitionInfo { start, end }) = (restored.applied[input], ranges[input]);
        if position.text.is_some() { position.offset.max(applied) } else { applied.clamp(start, end.max(start)) }
    };
    let end = committed.0.order_events.as_ref().map_or(0, |position| offset_of(InputTopic::OrderEvents, position));
    let highest_append_ms = highest_before(context, committed, end).await?;
    let resume_at = committed.resume_at(offset_of, highest_append_ms);
    if is_foreign {
        raise(context, committed, |input, position| {
            recovered(position.offset, &resume_at.positions[&input.into()], restored.applied[input])
        });
    }
    if committed.is_behind(&restored.applied) {
        let committed: Vec<_> = committed.each().map(|(input, position)| (input.as_str(), position.offset)).collect();
        tracing::error!(
            kartshoppe.shard = context.partition,
            states = restored.ahead,
            ?committed,
            applied = ?restored.applied,
            "states are ahead of the committed positions: positions were lost or moved back, and records that were applied \
             already are skipped"
        );
    }
    Ok(resume_at)
}

fn recovered(moved_to: Offset, resume_at: &Position, applied: Offset) -> Alarm {
    let lost = if resume_at.offset > applied && applied < moved_to {
        format!("; the records from {applied} to {} were deleted before they were processed", resume_at.offset)
    } else {
        String::new()
    };
    Alarm::warns(format!(
        "another program had moved the position of the inventory's group to {moved_to}: the shop continues at {}, which its \
         states and outputs prove{lost}. Find the program that uses this group (a console consumer, `--reset-offsets`), and move \
         it to another one",
        resume_at.offset
    ))
}

/// Raises an alarm about each foreign position.
fn raise(context: &RestoreContext, committed: &CommittedPositions, alarm: impl Fn(InputTopic, &CommittedPosition) -> Alarm) {
    let members = context.log.foreign_members();
    let detail = if members.is_empty() {
        "the group has no foreign member at the moment".to_owned()
    } else {
        format!("members that are not KartShoppe processes: {}", members.join("; "))
    };
    for (input, position) in committed.each().filter(|(_, position)| position.text.is_none()) {
        context.alarms.raise(about(input, context.partition), alarm(input, position).with_detail(&detail));
    }
}

/// The last outputs may name inputs beyond those of the states: orders that were rejected, records that became dead letters. Dead
/// letters lie on the partition of their key, among those of other shards, which may have written many since this one stopped.
async fn note_causes_of_outputs(
    context: &RestoreContext,
    restored: &mut RestoredPartition,
    is_foreign: bool,
) -> Result<(), RestoreError> {
    let mut from = Vec::new();
    for info in context.log.topics().await? {
        for (partition, range) in (0..).zip(info.partitions) {
            let is_ours = info.topic == Topic::InventoryEvents && partition == context.partition;
            restored.has_past |= is_ours && range.end > 0;
            if is_ours || info.topic == Topic::DeadLetters {
                let tail = Start::Offset((range.end - LAST_OUTPUTS).max(range.start));
                let start = if is_foreign && !is_ours { Start::Beginning } else { tail };
                from.push((TopicPartition::new(info.topic, partition), start));
            }
        }
    }
    read_all(context, from, |record| restored.note_cause(record, context.partition)).await
}

/// Records that were moved to their right partition name their first position in a header.
async fn note_causes_of_moved_records(context: &RestoreContext, restored: &mut RestoredPartition) -> Result<(), RestoreError> {
    let others = (0..context.log.partitions()).filter(|partition| *partition != context.partition);
    let from = others
        .flat_map(|partition| InputTopic::ALL.map(|input| (TopicPartition::new(input.into(), partition), Start::Beginning)));
    let take = |record: &Record| {
        if record.headers.get_str(headers::MOVED_FROM).is_some() {
            restored.note_cause(record, context.partition);
        }
    };
    read_all(context, from.collect(), take).await
}

/// The highest append time of `order-events` before this offset.
async fn highest_before(context: &RestoreContext, committed: &CommittedPositions, end: Offset) -> Result<EpochMs, RestoreError> {
    let Some(orders) = &committed.0.order_events else { return Ok(0) };
    let start = match orders.text {
        Some(_) if orders.offset >= end => return Ok(committed.highest_append_ms()),
        Some(_) => Start::Offset(orders.offset),
        None => Start::Beginning,
    };
    let mut highest_ms = committed.highest_append_ms();
    let take = |record: &Record| {
        if record.offset < end {
            highest_ms = highest_ms.max(record.append_time_ms);
        }
    };
    read_all(context, vec![(TopicPartition::new(Topic::OrderEvents, context.partition), start)], take).await?;
    Ok(highest_ms)
}

async fn read_all(
    context: &RestoreContext,
    from: Vec<(TopicPartition, Start)>,
    mut take: impl FnMut(&Record),
) -> Result<(), RestoreError> {
    let mut reader = context.log.reader(&from, Stop::AtEnd).await?;
    while !reader.caught_up() {
        reader.read(CHUNK, READ_WAIT).await?.iter().for_each(&mut take);
    }
    Ok(())
}

/// What the alarms about a foreign position are about.
pub(super) fn about(input: InputTopic, partition: PartitionId) -> About {
    About::partition(AlarmCause::PositionForeign, input.as_str(), partition)
}
