//! From a polled chunk to the shards' parts: decode once, sort by partition, group by product.
//!
//! Pure but for the clock's reading, which comes in as an argument; runs beside the async workers when the chunk is large.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::actors::shard::{Expiry, Group, Incoming, Origin, Part, Probe};
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::domain::inventory::answer::nothing_allocated;
use crate::domain::inventory::{Cause, Command, Input, InputPosition, InputTopic};
use crate::log::partitioner::partition_of;
use crate::log::{NewRecord, Offset, PartitionId, Record};
use crate::wire::invalid::Invalid;
use crate::wire::topics::Topic;
use crate::wire::topics::order_event::{self, OrderEvent};
use crate::wire::topics::{dead_letter, headers, inventory_event, output, product_updates};

/// How far the records of a partition were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadState {
    /// The next offset per input topic; whatever comes below it came before.
    pub next: [Offset; InputTopic::ALL.len()],
    /// The highest append time of `order-events` since the last batch that was committed or given up.
    pub highest_append_ms: EpochMs,
}

/// One partition's records, decoded.
#[derive(Debug, Default)]
pub struct Draft {
    pub part: Part,
    places: HashMap<ProductId, usize>,
}

impl Draft {
    fn push(&mut self, item: Incoming) {
        let place = match self.places.get(&item.input.product_id) {
            Some(place) => *place,
            None => {
                let product_id = item.input.product_id.clone();
                self.places.insert(product_id.clone(), self.part.groups.len());
                self.part.groups.push(Group { product_id, items: Vec::new() });
                self.part.groups.len() - 1
            }
        };
        self.part.groups[place].items.push(item);
    }

    /// Adds what was read later.
    pub fn append(&mut self, later: Self) {
        let Part { groups, probes, passed_on, tally, next, highest_append_ms, oldest_ms, caught_up_ms: _, bootstrap: _ } =
            later.part;
        for group in groups {
            match self.places.get(&group.product_id) {
                Some(place) => self.part.groups[*place].items.extend(group.items),
                None => {
                    self.places.insert(group.product_id.clone(), self.part.groups.len());
                    self.part.groups.push(group);
                }
            }
        }
        let part = &mut self.part;
        part.probes.extend(probes);
        part.passed_on.extend(passed_on);
        part.tally += tally;
        for (mine, theirs) in part.next.iter_mut().zip(next) {
            *mine = theirs.or(*mine);
        }
        part.highest_append_ms = part.highest_append_ms.max(highest_append_ms);
        part.oldest_ms = [part.oldest_ms, oldest_ms].into_iter().flatten().min();
    }
}

/// A decoded chunk.
#[derive(Debug, Default)]
pub struct Decoded {
    pub drafts: BTreeMap<PartitionId, Draft>,
    /// How far each partition was read.
    pub read: BTreeMap<PartitionId, ReadState>,
    pub records: usize,
    pub bytes: usize,
}

/// What decoding must know of the log.
#[derive(Debug, Clone, Copy)]
pub struct LogShape {
    /// Of each keyed topic.
    pub partitions: PartitionId,
    /// Bytes of a record that it takes.
    pub record_limit: usize,
}

/// Decodes a chunk. `read` says how far each of our partitions was read before; records of others are not ours to handle.
#[must_use]
pub fn decode(records: Vec<Record>, read: BTreeMap<PartitionId, ReadState>, log: LogShape, now_ms: EpochMs) -> Decoded {
    let chunk = Arc::new(records);
    let mut decoded = Decoded { read, records: chunk.len(), ..Decoded::default() };
    for (place, record) in (0..).zip(chunk.iter()) {
        let (Some(state), Some(topic)) = (decoded.read.get_mut(&record.partition), input_topic(record.topic)) else { continue };
        decoded.bytes += record.value.as_ref().map_or(0, Bytes::len);
        let draft = decoded.drafts.entry(record.partition).or_default();
        if record.offset < state.next[topic.index()] {
            draft.part.tally.duplicate += 1;
            // A position that had gone back is put right by this.
            draft.part.next[topic.index()] = Some(state.next[topic.index()]);
            if topic == InputTopic::OrderEvents {
                // Its time counts all the same: what comes later may be late by it.
                state.highest_append_ms = state.highest_append_ms.max(record.append_time_ms);
                draft.part.highest_append_ms = Some(state.highest_append_ms);
            }
            continue;
        }
        state.next[topic.index()] = record.offset + 1;
        draft.part.next[topic.index()] = Some(record.offset + 1);
        draft.part.oldest_ms =
            Some(draft.part.oldest_ms.map_or(record.append_time_ms, |oldest| oldest.min(record.append_time_ms)));
        let LogShape { partitions, record_limit } = log;
        let at_ms = record.append_time_ms.min(now_ms);
        let reading = Reading { chunk: &chunk, place, record, topic, partitions, record_limit, at_ms };
        match topic {
            InputTopic::ProductUpdates => reading.product_update(draft),
            InputTopic::OrderEvents => {
                state.highest_append_ms = state.highest_append_ms.max(record.append_time_ms);
                draft.part.highest_append_ms = Some(state.highest_append_ms);
                reading.order_event(draft, state.highest_append_ms);
            }
        }
    }
    decoded
}

fn input_topic(topic: Topic) -> Option<InputTopic> {
    InputTopic::ALL.into_iter().find(|input| input.as_str() == topic.name())
}

/// One record on its way.
struct Reading<'a> {
    chunk: &'a Arc<Vec<Record>>,
    place: u32,
    record: &'a Record,
    topic: InputTopic,
    partitions: PartitionId,
    /// Bytes of a record that the log takes.
    record_limit: usize,
    /// Its append time, never ahead of our clock.
    at_ms: EpochMs,
}

impl Reading<'_> {
    fn product_update(&self, draft: &mut Draft) {
        for element in product_updates::decode(self.record) {
            let (index, part) = (element.index, element.part);
            match element.asked {
                Err(invalid) => self.dead_letter(draft, index, part.as_ref(), &invalid),
                Ok(asked) if !self.is_ours(&asked.product_id) => self.move_on(draft, &asked.product_id, part.as_ref(), index),
                Ok(asked) => {
                    let input = Input {
                        product_id: asked.product_id,
                        command: asked.command,
                        cause: self.cause(index),
                        at_ms: self.at_ms,
                    };
                    draft.push(Incoming { input, expiry: None, origin: Some(self.origin(part)) });
                }
            }
        }
    }

    fn order_event(&self, draft: &mut Draft, seen_ms: EpochMs) {
        let event = match order_event::decode(self.record) {
            Ok(event) => event,
            Err(invalid) => {
                self.dead_letter(draft, 0, None, &invalid);
                return self.reject_named_item(draft, &invalid);
            }
        };
        if !self.is_ours(&event.product_id) {
            return self.move_on(draft, &event.product_id, None, 0);
        }
        let expiry = event.expires_at_ms.map(|expires_at_ms| Expiry { expires_at_ms, seen_ms });
        match event.item() {
            Some(item) => {
                let input = Input {
                    product_id: event.product_id,
                    command: Command::Deduct(item),
                    cause: self.cause(0),
                    at_ms: self.at_ms,
                };
                draft.push(Incoming { input, expiry, origin: Some(self.origin(None)) });
            }
            None => draft.part.probes.push(self.probe(&event, expiry, seen_ms)),
        }
    }

    /// A probe without an expiry never is past it.
    fn probe(&self, event: &OrderEvent, expiry: Option<Expiry>, seen_ms: EpochMs) -> Probe {
        let expiry = expiry.unwrap_or(Expiry { expires_at_ms: EpochMs::MAX, seen_ms });
        let (product_id, outcome) = (event.product_id.clone(), event.probed());
        Probe { product_id, cause: self.cause(0), outcome, expiry, origin: self.origin(None) }
    }

    fn dead_letter(&self, draft: &mut Draft, index: u32, part: Option<&Bytes>, invalid: &Invalid) {
        draft.part.passed_on.push(dead_letter::of_invalid(self.record, index, part, invalid));
        draft.part.tally.dead_lettered += 1;
    }

    /// An order item that can be made out in an event that is otherwise no use is owed its outcome.
    fn reject_named_item(&self, draft: &mut Draft, invalid: &Invalid) {
        let named = self.record.value.as_ref().and_then(|value| order_event::named_item(value));
        let Some((product_id, outcome)) = named else { return };
        let reason = format!("Order {}: its event cannot be used ({invalid})", outcome.order_id);
        let event = nothing_allocated(&product_id, outcome, self.cause(0), self.at_ms, reason);
        draft.part.passed_on.push(inventory_event::record(&event, output::trace_of(&self.record.headers).as_ref()));
    }

    /// A record on the wrong partition is written again to the right one, where its product's owner reads it.
    fn move_on(&self, draft: &mut Draft, product_id: &ProductId, part: Option<&Bytes>, index: u32) {
        let Record { topic, partition, offset, .. } = self.record;
        let mut kept = self.record.headers.clone();
        kept.0.retain(|(name, _)| name != headers::CAUSE && name != headers::MOVED_FROM);
        kept.push(headers::CAUSE, self.cause(index).to_string());
        kept.push(headers::MOVED_FROM, format!("{topic}/{partition}/{offset}"));
        let moved = NewRecord {
            topic: *topic,
            partition: Some(partition_of(product_id.as_str().as_bytes(), self.partitions)),
            key: Some(Bytes::copy_from_slice(product_id.as_str().as_bytes())),
            value: part.or(self.record.value.as_ref()).cloned(),
            headers: kept,
        };
        let (size, limit) = (moved.size(), self.record_limit);
        if size > limit {
            let invalid = Invalid::TooLarge { size, limit };
            self.dead_letter(draft, index, part, &invalid);
            if *topic == Topic::OrderEvents {
                self.reject_named_item(draft, &invalid);
            }
            return;
        }
        draft.part.passed_on.push(moved);
        draft.part.tally.moved += 1;
    }

    fn is_ours(&self, product_id: &ProductId) -> bool {
        partition_of(product_id.as_str().as_bytes(), self.partitions) == self.record.partition
    }

    fn cause(&self, index: u32) -> Cause {
        let position = InputPosition { offset: self.record.offset, index };
        Cause::Record { topic: self.topic, partition: self.record.partition, position }
    }

    fn origin(&self, part: Option<Bytes>) -> Origin {
        Origin::new(self.chunk, self.place, part)
    }
}
