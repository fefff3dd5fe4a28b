//! Where a partition goes on whose committed positions cannot be taken at their word.
//!
//! A position is ours if our text stands beside it. One that somebody else has set (docs/adr/0012) says nothing: the partition goes on after
//! all that its states and outputs name as applied. Whatever lies behind that and left no output (an order event past its expiry, a probe
//! that came too early) is decided again, and in the same way, as the highest append time before it is read again, too.

use std::collections::BTreeMap;

use super::restore::{CHUNK, Loaded, READ_WAIT, RestoreError};
use super::{PositionText, ShardContext};
use crate::domain::EpochMs;
use crate::domain::inventory::InputTopic;
use crate::log::{Offset, PartitionId, PartitionInfo, Position, Record, Start, Stop, TopicInfo, TopicPartition};
use crate::telemetry::alarms::{About, Alarm, Cause as AlarmCause};
use crate::wire::topics::Topic;
use crate::wire::topics::headers;

/// Outputs that are looked at for what was applied last: more than one commit makes.
const LAST_OUTPUTS: Offset = 20_000;

/// The topic of an input.
pub(super) const TOPICS: [Topic; InputTopic::ALL.len()] = [Topic::ProductUpdates, Topic::OrderEvents];

/// The committed positions, and whose they are.
pub(super) struct Known([Option<Place>; InputTopic::ALL.len()]);

#[derive(Clone)]
struct Place {
    offset: Offset,
    /// `None` where somebody else has set it.
    text: Option<PositionText>,
}

/// Where the inputs go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GoOn {
    /// With our text; empty if nothing was ever committed.
    pub positions: BTreeMap<Topic, Position>,
    /// Positions of others beyond which we go on only when we have come there: from here the foreign hand is undone.
    pub undone_at: BTreeMap<Topic, Offset>,
}

impl Known {
    pub fn of(positions: &BTreeMap<Topic, Position>) -> Self {
        let mut places = TOPICS.map(|topic| {
            let position = positions.get(&topic)?;
            // Nothing can have been passed over at the beginning.
            let is_beginning = position.offset == 0 && position.metadata.is_empty();
            let text = PositionText::beside(position).or_else(|| is_beginning.then(PositionText::default));
            Some(Place { offset: position.offset, text })
        });
        // Earlier versions wrote a text beside the position of the orders only.
        let earlier = positions.get(&Topic::OrderEvents).and_then(PositionText::beside);
        if let Some(earlier) = earlier.filter(PositionText::is_of_earlier_version)
            && let Some(updates) = &mut places[InputTopic::ProductUpdates.index()]
            && positions.get(&Topic::ProductUpdates).is_some_and(|position| position.metadata.is_empty())
        {
            updates.text = Some(earlier);
        }
        Self(places)
    }

    /// Whether somebody else has set one.
    pub fn has_foreign(&self) -> bool {
        self.0.iter().flatten().any(|place| place.text.is_none())
    }

    /// Where they stand, with our text.
    pub fn as_committed(&self) -> GoOn {
        self.go_on(|_, place| place.offset, self.highest_append_ms())
    }

    /// Whether something was applied beyond a position of ours.
    fn is_behind(&self, applied: &[Offset; InputTopic::ALL.len()]) -> bool {
        self.0
            .iter()
            .zip(applied)
            .any(|(place, applied)| place.as_ref().is_some_and(|place| place.text.is_some() && place.offset < *applied))
    }

    fn highest_append_ms(&self) -> EpochMs {
        let [_, orders] = &self.0;
        orders.as_ref().and_then(|place| place.text).map_or(0, |text| text.highest_append_ms)
    }

    fn go_on(&self, offset_of: impl Fn(InputTopic, &Place) -> Offset, highest_append_ms: EpochMs) -> GoOn {
        let mut go_on = GoOn::default();
        for ((input, topic), place) in InputTopic::ALL.into_iter().zip(TOPICS).zip(&self.0) {
            let Some(place) = place else { continue };
            let offset = offset_of(input, place);
            go_on.positions.insert(topic, ours(input, offset, highest_append_ms));
            if place.text.is_none() {
                go_on.undone_at.insert(topic, place.offset.max(offset));
            }
        }
        go_on
    }
}

/// A position with our text.
pub(super) fn ours(input: InputTopic, offset: Offset, highest_append_ms: EpochMs) -> Position {
    let highest_append_ms = if input == InputTopic::OrderEvents { highest_append_ms } else { 0 };
    Position { offset, metadata: PositionText::of(offset, highest_append_ms).to_string() }
}

/// Where the shard's inputs begin and end.
pub(super) async fn places(shard: &ShardContext) -> Result<[PartitionInfo; InputTopic::ALL.len()], RestoreError> {
    let topics = shard.log.topics().await?;
    let place = |topic| {
        let info = topics.iter().find(|info: &&TopicInfo| info.topic == topic);
        info.and_then(|info| info.partitions.get(usize::try_from(shard.partition).ok()?)).copied()
    };
    Ok(TOPICS.map(|topic| place(topic).unwrap_or(PartitionInfo { start: 0, end: 0 })))
}

/// Finds what was applied by all that the log tells, and says aloud what it found.
pub(super) async fn prove(
    shard: &ShardContext,
    loaded: &mut Loaded,
    known: &Known,
    places: &[PartitionInfo; InputTopic::ALL.len()],
) -> Result<GoOn, RestoreError> {
    let is_foreign = known.has_foreign();
    if is_foreign {
        say(shard, known, |_, place| {
            Alarm::blocks(format!(
                "somebody else has moved the position of the inventory's group to {}: it is looked up what was handled before that",
                place.offset
            ))
        });
    }
    look_at_outputs(shard, loaded, is_foreign).await?;
    look_at_moved(shard, loaded).await?;
    if is_foreign && !loaded.has_past {
        say(shard, known, |_, place| {
            Alarm::warns(format!(
                "somebody else had set the position of the inventory's group to {} before the shop was first started: it begins at the \
                 beginning. Find who uses this group and give them another one",
                place.offset
            ))
        });
        return Ok(GoOn { undone_at: known.as_committed().undone_at, ..GoOn::default() });
    }
    let offset_of = |input: InputTopic, place: &Place| {
        let (applied, PartitionInfo { start, end }) = (loaded.applied[input.index()], places[input.index()]);
        if place.text.is_some() { place.offset.max(applied) } else { applied.clamp(start, end.max(start)) }
    };
    let end = known.0[InputTopic::OrderEvents.index()].as_ref().map_or(0, |place| offset_of(InputTopic::OrderEvents, place));
    let highest_append_ms = highest_before(shard, known, end).await?;
    let go_on = known.go_on(offset_of, highest_append_ms);
    if is_foreign {
        say(shard, known, |topic, place| recovered(place.offset, &go_on.positions[&topic], loaded, topic));
    }
    if known.is_behind(&loaded.applied) {
        let committed: Vec<_> = known.0.iter().map(|place| place.as_ref().map(|place| place.offset)).collect();
        tracing::error!(
            kartshoppe.shard = shard.partition,
            states = loaded.ahead,
            ?committed,
            applied = ?loaded.applied,
            "states are ahead of the committed positions: positions were lost or moved back, and what was applied is passed over"
        );
    }
    Ok(go_on)
}

fn recovered(moved_to: Offset, go_on: &Position, loaded: &Loaded, topic: Topic) -> Alarm {
    let index = TOPICS.iter().position(|known| *known == topic).unwrap_or_default();
    let applied = loaded.applied[index];
    let lost = if go_on.offset > applied && applied < moved_to {
        format!("; the records from {applied} to {} were deleted and cannot be handled any more", go_on.offset)
    } else {
        String::new()
    };
    Alarm::warns(format!(
        "somebody else had moved the position of the inventory's group to {moved_to}: it goes on at {}, as states and outputs prove{lost}. \
         Find who uses this group (a console consumer, `--reset-offsets`) and give them another one",
        go_on.offset
    ))
}

/// Raises the alarm of each position that is not ours.
fn say(shard: &ShardContext, known: &Known, alarm: impl Fn(Topic, &Place) -> Alarm) {
    let members = shard.log.foreign_members();
    let detail = if members.is_empty() {
        "the group has no foreign member now".to_owned()
    } else {
        format!("members that are no KartShoppe: {}", members.join("; "))
    };
    for (topic, place) in TOPICS.into_iter().zip(&known.0) {
        if let Some(place) = place.as_ref().filter(|place| place.text.is_none()) {
            let about = about(topic, shard.partition);
            shard.alarms.raise(about, alarm(topic, place).with_detail(&detail));
        }
    }
}

/// The last outputs may name inputs beyond the states': orders that were rejected, records that became dead letters. Dead letters lie
/// wherever their key says, among those of other shards, which go on after a foreign hand has stopped this one.
async fn look_at_outputs(shard: &ShardContext, loaded: &mut Loaded, is_foreign: bool) -> Result<(), RestoreError> {
    let mut from = Vec::new();
    for info in shard.log.topics().await? {
        for (partition, place) in (0..).zip(info.partitions) {
            let is_ours = info.topic == Topic::InventoryEvents && partition == shard.partition;
            loaded.has_past |= is_ours && place.end > 0;
            if is_ours || info.topic == Topic::DeadLetters {
                let tail = Start::Offset((place.end - LAST_OUTPUTS).max(place.start));
                let start = if is_foreign && !is_ours { Start::Beginning } else { tail };
                from.push((TopicPartition::new(info.topic, partition), start));
            }
        }
    }
    read_all(shard, from, |record| loaded.note_cause(record, shard.partition)).await
}

/// Records that were written again to their right partition, by their headers.
async fn look_at_moved(shard: &ShardContext, loaded: &mut Loaded) -> Result<(), RestoreError> {
    let others = (0..shard.log.partitions()).filter(|partition| *partition != shard.partition);
    let from = others.flat_map(|partition| TOPICS.map(|topic| (TopicPartition::new(topic, partition), Start::Beginning)));
    let take = |record: &Record| {
        if record.headers.get_str(headers::MOVED_FROM).is_some() {
            loaded.note_cause(record, shard.partition);
        }
    };
    read_all(shard, from.collect(), take).await
}

/// The highest append time of `order-events` before this offset.
async fn highest_before(shard: &ShardContext, known: &Known, end: Offset) -> Result<EpochMs, RestoreError> {
    let [_, orders] = &known.0;
    let Some(place) = orders else { return Ok(0) };
    let start = match place.text {
        Some(_) if place.offset >= end => return Ok(known.highest_append_ms()),
        Some(_) => Start::Offset(place.offset),
        None => Start::Beginning,
    };
    let mut highest_ms = known.highest_append_ms();
    let take = |record: &Record| {
        if record.offset < end {
            highest_ms = highest_ms.max(record.append_time_ms);
        }
    };
    read_all(shard, vec![(TopicPartition::new(Topic::OrderEvents, shard.partition), start)], take).await?;
    Ok(highest_ms)
}

async fn read_all(
    shard: &ShardContext,
    from: Vec<(TopicPartition, Start)>,
    mut take: impl FnMut(&Record),
) -> Result<(), RestoreError> {
    let mut reader = shard.log.reader(&from, Stop::AtEnd).await?;
    while !reader.caught_up() {
        reader.read(CHUNK, READ_WAIT).await?.iter().for_each(&mut take);
    }
    Ok(())
}

/// How the shard's partition is named in alarms of this room.
pub(super) fn about(topic: Topic, partition: PartitionId) -> About {
    About::partition(AlarmCause::PositionForeign, topic.name(), partition)
}
