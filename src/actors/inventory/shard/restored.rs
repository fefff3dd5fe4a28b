//! The states of a partition as they are read back: ours, those that lie below foreign records, and what was applied.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::ProductId;
use crate::domain::inventory::{Cause, InputTopic, PerInput, ProductState};
use crate::log::{EventLog, LogError, Offset, PartitionId, PartitionInfo, Record};
use crate::telemetry::alarms::Alarms;
use crate::wire::topics::Topic;
use crate::wire::topics::output;
use crate::wire::topics::product_record::{self, Restored, Unreadable};

/// Records per read: some 10 ms of decoding.
pub(super) const CHUNK: usize = 10_000;
/// A read that brings nothing for this long is repeated.
pub(super) const READ_WAIT: Duration = Duration::from_secs(1);

/// Which partition is read, and from where.
#[derive(Clone)]
pub(crate) struct RestoreContext {
    pub log: Arc<dyn EventLog>,
    pub partition: PartitionId,
    pub stale_after_ms: i64,
    pub alarms: Alarms,
}

/// The states of a partition.
#[derive(Debug, Default)]
pub(crate) struct RestoredPartition {
    pub states: HashMap<ProductId, Arc<ProductState>>,
    /// Number of foreign records.
    pub foreign: u64,
    /// Products whose state lies below a foreign record, and the offset of the last of these.
    pub overlaid: BTreeMap<ProductId, Offset>,
    /// Products of which there are foreign records only.
    foreign_only: HashSet<ProductId>,
    /// States ahead of the committed positions.
    pub ahead: u64,
    /// The next offset of each input after everything that states and outputs name as applied.
    pub applied: PerInput<Offset>,
    /// Whether anything was ever written here.
    pub has_past: bool,
    pub took: Duration,
}

/// Why a partition cannot be restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error(transparent)]
    Log(#[from] LogError),
    /// Our own record cannot be read: guessing a state would be worse than standing still.
    #[error("the state at products/{partition} offset {offset} cannot be read: {reason}")]
    Unreadable { partition: i32, offset: Offset, reason: Unreadable },
    /// Continuing would skip new records at offsets that the states count as applied.
    #[error(
        "products/{partition} holds states up to {topic} offset {applied}, but {why}: stop every process, then run `make reset` \
         to start over with an empty shop, or set the group's position with Kafka's own tools"
    )]
    PositionLost { partition: i32, topic: Topic, applied: Offset, why: &'static str },
    #[error("the task that decodes states has ended")]
    Ended,
}

impl RestoredPartition {
    /// Takes one record of `products`.
    pub(super) fn take(&mut self, record: &Record, stale_after_ms: i64) -> Result<(), RestoreError> {
        self.has_past = true;
        match product_record::decode(record, stale_after_ms) {
            Ok(Restored::Removed(id, _)) => {
                // The removal was applied, too, although it leaves no state that says so.
                self.note_cause(record, record.partition);
                self.overlaid.remove(&id);
                self.foreign_only.remove(&id);
                self.states.remove(&id);
            }
            Ok(Restored::Ours(mut state)) => {
                // The record's deadline is that of the setting with which it was written.
                state.stale_deadline_ms = state.last_heard_ms.saturating_add(stale_after_ms);
                self.note_cause(record, record.partition);
                for input in InputTopic::ALL {
                    self.note_applied(input, state.applied.get(input).map(|applied| applied.offset));
                }
                let id = &state.product.id;
                self.overlaid.remove(id);
                self.foreign_only.remove(id);
                self.states.insert(id.clone(), Arc::new(state));
            }
            Ok(Restored::Foreign(state)) => {
                self.foreign += 1;
                if !self.note_overlaid(record) {
                    self.foreign_only.insert(state.product.id.clone());
                    self.states.insert(state.product.id.clone(), Arc::new(state));
                }
            }
            Err(reason @ Unreadable::State(_)) => {
                return Err(RestoreError::Unreadable { partition: record.partition, offset: record.offset, reason });
            }
            Err(Unreadable::Product(reason)) => {
                // We never write a product that we cannot read, so this record is foreign and its state does not count.
                tracing::warn!(messaging.kafka.offset = record.offset, reason = %reason,
                    "a record on products does not hold a product and is skipped");
                self.foreign += 1;
                self.note_overlaid(record);
            }
        }
        Ok(())
    }

    /// Notes as applied the input that this output names, if it is one of our partition.
    pub(super) fn note_cause(&mut self, output: &Record, ours: PartitionId) {
        if let Some(Cause::Record { topic, partition, position }) = output::cause_of(&output.headers)
            && partition == ours
        {
            self.note_applied(topic, Some(position.offset));
        }
    }

    fn note_applied(&mut self, input: InputTopic, applied: Option<Offset>) {
        let next = &mut self.applied[input];
        *next = applied.map_or(*next, |applied| (*next).max(applied + 1));
    }

    /// Notes that a foreign record lies over a state of ours, if there is one. Ours counts: no foreign revision is newer.
    fn note_overlaid(&mut self, record: &Record) -> bool {
        let is_ours = |id: &ProductId| self.states.contains_key(id) && !self.foreign_only.contains(id);
        let Some(id) = product_record::key_of(record).filter(is_ours) else { return false };
        self.overlaid.insert(id, record.offset);
        true
    }

    /// Whether something was applied beyond the committed positions.
    pub(super) fn is_ahead_of(&self, committed: &PerInput<Option<Offset>>) -> bool {
        committed.iter().any(|(input, committed)| committed.unwrap_or(0) < self.applied[input])
    }

    /// States ahead of a missing position, or of the end of their input: positions were lost, or the topic was created again.
    pub(super) fn refuse_lost_positions(
        &self,
        partition: PartitionId,
        committed: &PerInput<Option<Offset>>,
        ranges: &PerInput<PartitionInfo>,
    ) -> Result<(), RestoreError> {
        for (input, committed) in committed.iter() {
            let Some(applied) = Some(self.applied[input] - 1).filter(|applied| *applied >= 0) else { continue };
            let why = match committed {
                None => "the group has no committed position there",
                Some(_) if applied >= ranges[input].end => "the topic ends before that",
                Some(_) => continue,
            };
            return Err(RestoreError::PositionLost { partition, topic: input.into(), applied, why });
        }
        Ok(())
    }

    /// Counts the states ahead of the committed positions: outputs became visible without their positions, or positions were
    /// lost. Either violates atomicity, so it is logged as an error. Inputs that left no state (of a product that was removed, or
    /// never existed) show in outputs only, so reading resumes after [everything applied](Self::applied) and not at the
    /// positions.
    pub(super) fn count_ahead(&self, committed: &PerInput<Option<Offset>>) -> u64 {
        let is_ahead = |state: &&Arc<ProductState>| {
            committed
                .iter()
                .any(|(input, next)| state.applied.get(input).is_some_and(|applied| applied.offset >= next.unwrap_or(0)))
        };
        self.states.values().filter(is_ahead).count() as u64
    }
}
