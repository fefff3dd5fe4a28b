//! From a polled chunk to the shards' parts: decodes each record once, and sorts the commands by partition and product.
//!
//! Pure: the time comes in as an argument. Runs on a blocking thread when the chunk is large.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::actors::inventory::batch::{Expiry, IncomingCommand, Part, PolledChunk, Probe, ProductCommands, RecordOrigin};
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::domain::inventory::answer::nothing_allocated;
use crate::domain::inventory::{Cause, Command, Input, InputPosition, InputTopic, PerInput};
use crate::log::partitioner::partition_of;
use crate::log::{NewRecord, Offset, PartitionId, Record};
use crate::wire::invalid::Invalid;
use crate::wire::topics::Topic;
use crate::wire::topics::order_event::{self, OrderEvent};
use crate::wire::topics::{dead_letter, headers, inventory_event, output, product_updates};

/// How far a partition was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ReadProgress {
    /// The next offset of each input topic; a record below it was read before.
    pub next: PerInput<Offset>,
    /// The highest append time of `order-events` since the last batch that was committed or given up.
    pub highest_append_ms: EpochMs,
}

impl ReadProgress {
    /// Whether everything below these ends was read.
    pub fn has_reached(&self, ends: &PerInput<Offset>) -> bool {
        self.next.iter().all(|(input, next)| *next >= ends[input])
    }
}

/// One partition's records, decoded.
#[derive(Debug, Default)]
pub(super) struct PartDraft {
    pub part: Part,
    /// Each product's index in the part's groups.
    index: HashMap<ProductId, usize>,
}

impl PartDraft {
    fn push(&mut self, item: IncomingCommand) {
        let index = match self.index.get(&item.input.product_id) {
            Some(index) => *index,
            None => {
                let product_id = item.input.product_id.clone();
                self.index.insert(product_id.clone(), self.part.groups.len());
                self.part.groups.push(ProductCommands { product_id, items: Vec::new() });
                self.part.groups.len() - 1
            }
        };
        self.part.groups[index].items.push(item);
    }

    /// Adds records that were read later.
    pub fn append(&mut self, later: Self) {
        let Part { groups, probes, passed_on, tally, next, highest_append_ms, oldest_ms, caught_up_ms: _, bootstrap: _ } =
            later.part;
        for group in groups {
            match self.index.get(&group.product_id) {
                Some(index) => self.part.groups[*index].items.extend(group.items),
                None => {
                    self.index.insert(group.product_id.clone(), self.part.groups.len());
                    self.part.groups.push(group);
                }
            }
        }
        let part = &mut self.part;
        part.probes.extend(probes);
        part.passed_on.extend(passed_on);
        part.tally += tally;
        for (input, later) in next.iter() {
            part.next[input] = later.or(part.next[input]);
        }
        part.highest_append_ms = part.highest_append_ms.max(highest_append_ms);
        part.oldest_ms = [part.oldest_ms, oldest_ms].into_iter().flatten().min();
    }
}

/// A decoded chunk.
#[derive(Debug, Default)]
pub(super) struct DecodedChunk {
    pub drafts: BTreeMap<PartitionId, PartDraft>,
    /// How far each partition was read.
    pub read: BTreeMap<PartitionId, ReadProgress>,
    pub records: usize,
    pub bytes: usize,
}

/// What decoding needs to know of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogShape {
    /// Of each keyed topic.
    pub partitions: PartitionId,
    /// The largest record that it accepts, in bytes.
    pub record_limit: usize,
}

/// Decodes a chunk. `read` says how far each of our partitions was read before; records of other partitions are ignored.
pub(super) fn decode(
    records: Vec<Record>,
    read: BTreeMap<PartitionId, ReadProgress>,
    log: LogShape,
    now_ms: EpochMs,
) -> DecodedChunk {
    let chunk = Arc::new(PolledChunk::new(records));
    let mut decoded = DecodedChunk { read, records: chunk.records.len(), ..DecodedChunk::default() };
    for (index, record) in (0..).zip(&chunk.records) {
        let (Some(read), Some(topic)) = (decoded.read.get_mut(&record.partition), record.topic.as_input()) else { continue };
        decoded.bytes += record.value.as_ref().map_or(0, Bytes::len);
        let draft = decoded.drafts.entry(record.partition).or_default();
        if record.offset < read.next[topic] {
            draft.part.tally.duplicate += 1;
            // Corrects a position that was moved back.
            draft.part.next[topic] = Some(read.next[topic]);
            if topic == InputTopic::OrderEvents {
                // Its append time still counts: later events may have expired by it.
                read.highest_append_ms = read.highest_append_ms.max(record.append_time_ms);
                draft.part.highest_append_ms = Some(read.highest_append_ms);
            }
            continue;
        }
        read.next[topic] = record.offset + 1;
        draft.part.next[topic] = Some(record.offset + 1);
        draft.part.oldest_ms =
            Some(draft.part.oldest_ms.map_or(record.append_time_ms, |oldest| oldest.min(record.append_time_ms)));
        let LogShape { partitions, record_limit } = log;
        let at_ms = record.append_time_ms.min(now_ms);
        let decoder = RecordDecoder { chunk: &chunk, index, record, topic, partitions, record_limit, at_ms };
        match topic {
            InputTopic::ProductUpdates => decoder.product_update(draft),
            InputTopic::OrderEvents => {
                read.highest_append_ms = read.highest_append_ms.max(record.append_time_ms);
                draft.part.highest_append_ms = Some(read.highest_append_ms);
                decoder.order_event(draft, read.highest_append_ms);
            }
        }
    }
    decoded
}

/// Decodes one record of a chunk.
struct RecordDecoder<'a> {
    chunk: &'a Arc<PolledChunk>,
    index: u32,
    record: &'a Record,
    topic: InputTopic,
    partitions: PartitionId,
    /// The largest record that the log accepts, in bytes.
    record_limit: usize,
    /// The record's append time, but never ahead of our clock.
    at_ms: EpochMs,
}

impl RecordDecoder<'_> {
    fn product_update(&self, draft: &mut PartDraft) {
        for element in product_updates::decode(self.record) {
            let (index, part) = (element.index, element.part);
            match element.decoded {
                Err(invalid) => self.dead_letter(draft, index, part.as_ref(), &invalid),
                Ok(wanted) if !self.is_ours(&wanted.product_id) => self.move_on(draft, &wanted.product_id, part.as_ref(), index),
                Ok(wanted) => {
                    let input = Input {
                        product_id: wanted.product_id,
                        command: wanted.command,
                        cause: self.cause(index),
                        at_ms: self.at_ms,
                    };
                    draft.push(IncomingCommand { input, expiry: None, origin: Some(self.origin(part)) });
                }
            }
        }
    }

    /// `seen_ms` is the highest append time up to and including this record's.
    fn order_event(&self, draft: &mut PartDraft, seen_ms: EpochMs) {
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
                draft.push(IncomingCommand { input, expiry, origin: Some(self.origin(None)) });
            }
            None => draft.part.probes.push(self.probe(&event, expiry, seen_ms)),
        }
    }

    /// A probe without an expiry never expires.
    fn probe(&self, event: &OrderEvent, expiry: Option<Expiry>, seen_ms: EpochMs) -> Probe {
        let expiry = expiry.unwrap_or(Expiry { expires_at_ms: EpochMs::MAX, seen_ms });
        let (product_id, outcome) = (event.product_id.clone(), event.probed());
        Probe { product_id, cause: self.cause(0), outcome, expiry, origin: self.origin(None) }
    }

    fn dead_letter(&self, draft: &mut PartDraft, index: u32, part: Option<&Bytes>, invalid: &Invalid) {
        draft.part.passed_on.push(dead_letter::of_invalid(self.record, index, part, invalid));
        draft.part.tally.dead_lettered += 1;
    }

    /// If an event that cannot be used still names its order item, that item gets its outcome.
    fn reject_named_item(&self, draft: &mut PartDraft, invalid: &Invalid) {
        let named = self.record.value.as_ref().and_then(|value| order_event::named_item(value));
        let Some((product_id, outcome)) = named else { return };
        let reason = format!("Order {}: its event cannot be used ({invalid})", outcome.order_id);
        let event = nothing_allocated(&product_id, outcome, self.cause(0), self.at_ms, reason);
        draft.part.passed_on.push(inventory_event::record(&event, output::trace_of(&self.record.headers).as_ref()));
    }

    /// Writes a record on the wrong partition again to the right one, where the shard of its product reads it.
    fn move_on(&self, draft: &mut PartDraft, product_id: &ProductId, part: Option<&Bytes>, index: u32) {
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

    fn origin(&self, part: Option<Bytes>) -> RecordOrigin {
        RecordOrigin::new(self.chunk, self.index, part)
    }
}
