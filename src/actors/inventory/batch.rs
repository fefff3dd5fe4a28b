//! A batch as its source gives it to the shards: one part per partition, decoded and grouped by product.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::domain::inventory::{Cause, Input, OrderOutcome, Outcome, PerInput};
use crate::log::{NewRecord, Offset, Record};
use crate::telemetry::context::TraceContext;
use crate::telemetry::spans;
use crate::wire::topics::output;

/// The consumer group of the inventory: the inventory runs in the processes that are live members of it.
pub const INVENTORY_GROUP: &str = "kartshoppe-inventory";

/// Number of a batch: rising and unique in the process, so that late messages about an earlier batch are recognised.
pub(crate) type BatchId = u64;

/// One partition's share of a batch.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Commands by product, each product's in the order of the log.
    pub groups: Vec<ProductCommands>,
    pub probes: Vec<Probe>,
    /// Dead letters, and records moved to their right partition: the shard writes them as they are.
    pub passed_on: Vec<NewRecord>,
    /// Accounts for the records behind `passed_on` and for duplicates.
    pub tally: Tally,
    /// The next offset of each input topic after this part; `None` where the part has no record of it.
    pub next: PerInput<Option<Offset>>,
    /// The highest append time among the part's records of `order-events`.
    pub highest_append_ms: Option<EpochMs>,
    /// Every record that the inputs held at this time is in this part or an earlier one: reminders due by then may fire.
    pub caught_up_ms: Option<EpochMs>,
    /// From the bootstrap file: creates only products that have no state yet.
    pub bootstrap: bool,
    /// The append time of its oldest record.
    pub oldest_ms: Option<EpochMs>,
}

/// All commands of one product in a part.
#[derive(Debug)]
pub(crate) struct ProductCommands {
    pub product_id: ProductId,
    pub items: Vec<IncomingCommand>,
}

/// One command with the record that it came in.
#[derive(Debug)]
pub(crate) struct IncomingCommand {
    pub input: Input,
    /// Only for events that expire.
    pub expiry: Option<Expiry>,
    /// `None` for the bootstrap file and reminders.
    pub origin: Option<RecordOrigin>,
}

/// When an event expires, and the log's time when it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry {
    pub expires_at_ms: EpochMs,
    /// The highest append time in this part, up to and including the event's own.
    pub seen_ms: EpochMs,
}

impl Expiry {
    /// Whether it is past, given the highest append time before this part.
    pub(crate) fn is_past(&self, highest_before_ms: EpochMs) -> bool {
        self.seen_ms.max(highest_before_ms) > self.expires_at_ms
    }
}

/// The order tracker's question whether an order item has expired.
#[derive(Debug)]
pub(crate) struct Probe {
    pub product_id: ProductId,
    pub cause: Cause,
    /// Names the item; all quantities are 0.
    pub outcome: OrderOutcome,
    pub expiry: Expiry,
    pub origin: RecordOrigin,
}

/// Records that were polled together.
#[derive(Debug)]
pub(crate) struct PolledChunk {
    pub records: Vec<Record>,
    pub decoded_at: SystemTime,
}

impl PolledChunk {
    /// These records, decoded now.
    pub(crate) fn new(records: Vec<Record>) -> Self {
        Self { records, decoded_at: spans::now() }
    }
}

/// The record that a command came in, as an index into the polled chunk, which all its records share.
#[derive(Debug, Clone)]
pub(crate) struct RecordOrigin {
    chunk: Arc<PolledChunk>,
    index: u32,
    /// The bytes of one element, where the record is an array.
    part: Option<Box<Bytes>>,
}

impl RecordOrigin {
    /// The record at this index of the chunk.
    ///
    /// # Panics
    /// Beyond the end of the chunk.
    pub(crate) fn new(chunk: &Arc<PolledChunk>, index: u32, part: Option<Bytes>) -> Self {
        assert!((index as usize) < chunk.records.len(), "no record {index} in a chunk of {}", chunk.records.len());
        Self { chunk: chunk.clone(), index, part: part.map(Box::new) }
    }

    /// The record as it was read.
    pub(crate) fn record(&self) -> &Record {
        &self.chunk.records[self.index as usize]
    }

    /// When it was decoded.
    pub(crate) fn decoded_at(&self) -> SystemTime {
        self.chunk.decoded_at
    }

    /// The bytes of the command alone, where the record has more.
    pub(crate) fn part(&self) -> Option<&Bytes> {
        self.part.as_deref()
    }

    /// The trace it belongs to, if it names one.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        output::trace_of(&self.record().headers)
    }
}

/// What became of the inputs: each is counted in exactly one of these fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// The product changed.
    pub applied: u64,
    /// The product did not change, though its deadline may have moved and the input may have an answer.
    pub unchanged: u64,
    /// It had been applied before.
    pub duplicate: u64,
    /// It came after its expiry and no product saw it.
    pub expired: u64,
    pub probe: u64,
    /// It was written again to its right partition.
    pub moved: u64,
    pub dead_lettered: u64,
}

impl Tally {
    /// Counts the outcome of one command, unless it came from a reminder, which is not an input.
    pub(crate) fn count(&mut self, outcome: Outcome, cause: &Cause) {
        if matches!(cause, Cause::Timer { .. }) {
            return;
        }
        match outcome {
            Outcome::Applied => self.applied += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Duplicate => self.duplicate += 1,
        }
    }

    /// The counts under the names that metrics use.
    pub(crate) fn by_outcome(&self) -> [(&'static str, u64); 7] {
        [
            ("applied", self.applied),
            ("unchanged", self.unchanged),
            ("duplicate", self.duplicate),
            ("expired", self.expired),
            ("probe", self.probe),
            ("moved", self.moved),
            ("dead_lettered", self.dead_lettered),
        ]
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.applied += other.applied;
        self.unchanged += other.unchanged;
        self.duplicate += other.duplicate;
        self.expired += other.expired;
        self.probe += other.probe;
        self.moved += other.moved;
        self.dead_lettered += other.dead_lettered;
    }
}

impl Part {
    /// Whether there is nothing to do and nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { groups, probes, passed_on, next, caught_up_ms, tally, .. } = self;
        let no_work = groups.is_empty() && probes.is_empty() && passed_on.is_empty() && caught_up_ms.is_none();
        no_work && next.iter().all(|(_, next)| next.is_none()) && *tally == Tally::default()
    }

    /// Removes the events that came after their expiry, so that no product sees them.
    pub(crate) fn drop_expired(&mut self, highest_before_ms: EpochMs) {
        let mut expired = 0;
        for group in &mut self.groups {
            group.items.retain(|item| {
                let past = item.expiry.is_some_and(|expiry| expiry.is_past(highest_before_ms));
                expired += u64::from(past);
                !past
            });
        }
        self.groups.retain(|group| !group.items.is_empty());
        self.tally.expired += expired;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::inventory::{Command, InputPosition, InputTopic};

    fn item(offset: i64, expiry: Option<(EpochMs, EpochMs)>) -> IncomingCommand {
        let cause = Cause::Record { topic: InputTopic::OrderEvents, partition: 0, position: InputPosition { offset, index: 0 } };
        let product_id = ProductId::new("P").unwrap();
        let input = Input { product_id, command: Command::Remove, cause, at_ms: 0 };
        let expiry = expiry.map(|(expires_at_ms, seen_ms)| Expiry { expires_at_ms, seen_ms });
        IncomingCommand { input, expiry, origin: None }
    }

    #[test]
    fn an_event_expires_by_its_own_time_or_by_the_highest_before_it() {
        for (expires_at, seen, before, past) in
            [(100, 100, 100, false), (100, 101, 0, true), (100, 50, 101, true), (100, 50, 100, false)]
        {
            let expiry = Expiry { expires_at_ms: expires_at, seen_ms: seen };
            assert_eq!(expiry.is_past(before), past, "{expires_at} {seen} {before}");
        }
    }

    #[test]
    fn expired_events_are_taken_out_and_counted() {
        let group = |items| ProductCommands { product_id: ProductId::new("P").unwrap(), items };
        let kept = vec![item(0, None), item(1, Some((100, 50)))];
        let mut part = Part { groups: vec![group(kept), group(vec![item(2, Some((80, 50)))])], ..Part::default() };
        part.drop_expired(90);
        assert_eq!(part.groups.len(), 1);
        assert_eq!(part.groups[0].items.len(), 2);
        assert_eq!(part.tally.expired, 1);
    }
}
