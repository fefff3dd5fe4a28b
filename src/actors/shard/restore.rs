//! Reads a partition's states back: `products`, from its beginning to its end, against the committed positions.
//!
//! Runs in a task of the shard. The positions were read before; whatever is committed meanwhile by others would have fenced us.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ShardContext;
use super::proof::{self, GoOn, Known};
use crate::domain::ids::ProductId;
use crate::domain::inventory::{Cause, InputTopic, ProductState};
use crate::log::{LogError, Offset, PartitionId, PartitionInfo, Position, Record, Start, Stop, TopicPartition};
use crate::wire::topics::Topic;
use crate::wire::topics::output;
use crate::wire::topics::product_record::{self, Restored, Unreadable};

/// Records per read: some 10 ms of decoding.
pub(super) const CHUNK: usize = 10_000;
/// A read that brings nothing for so long is asked again.
pub(super) const READ_WAIT: Duration = Duration::from_secs(1);

/// The states of a partition.
#[derive(Debug, Default)]
pub struct Loaded {
    pub states: HashMap<ProductId, Arc<ProductState>>,
    /// Records of others.
    pub foreign: u64,
    /// Products whose state lies below a record of others, and where the last of these is.
    pub overlaid: BTreeMap<ProductId, Offset>,
    /// Products that only others have told of.
    strange: HashSet<ProductId>,
    /// States ahead of the committed positions.
    pub ahead: u64,
    /// Where each input goes on after all that states and outputs name as applied.
    pub applied: [Offset; InputTopic::ALL.len()],
    /// Whether anything was ever written here.
    pub has_past: bool,
    pub took: Duration,
}

/// Why a partition cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Log(#[from] LogError),
    /// Our own record cannot be read: to guess about state would be worse than to stand still.
    #[error("the state at products/{partition} offset {offset} cannot be read: {reason}")]
    Unreadable { partition: i32, offset: Offset, reason: Unreadable },
    /// To go on would swallow what is new at offsets that the states hold as applied.
    #[error(
        "products/{partition} holds states up to {topic} offset {applied}, but {why}: stop every process, then `make reset` to begin anew, \
         or set the position of the group by Kafka's own tools"
    )]
    PositionLost { partition: i32, topic: Topic, applied: Offset, why: &'static str },
    #[error("the task that decodes states has ended")]
    Ended,
}

/// Reads the states of the shard's partition, and finds where its inputs go on.
pub(super) async fn load(shard: &ShardContext, positions: &BTreeMap<Topic, Position>) -> Result<(Loaded, GoOn), RestoreError> {
    let started = Instant::now();
    let partition = TopicPartition::new(Topic::Products, shard.partition);
    let mut reader = shard.log.reader(&[(partition, Start::Beginning)], Stop::AtEnd).await?;
    let stale_after_ms = shard.products.rules.stale_after_ms;
    let committed = [Topic::ProductUpdates, Topic::OrderEvents].map(|topic| positions.get(&topic).map(|known| known.offset));
    let mut loaded = Loaded::default();
    while !reader.caught_up() {
        let records = reader.read(CHUNK, READ_WAIT).await?;
        let decode = move || {
            for record in records {
                loaded.take(&record, stale_after_ms)?;
            }
            Ok::<_, RestoreError>(loaded)
        };
        loaded = tokio::task::spawn_blocking(decode).await.map_err(|_| RestoreError::Ended)??;
    }
    loaded.ahead = loaded.count_ahead(&committed);
    let known = Known::of(positions);
    let is_behind = committed.iter().zip(loaded.applied).any(|(committed, applied)| committed.unwrap_or(0) < applied);
    let mut go_on = known.as_committed();
    if is_behind || known.has_foreign() {
        let places = proof::places(shard).await?;
        loaded.refuse_lost_positions(shard, &committed, &places)?;
        go_on = proof::prove(shard, &mut loaded, &known, &places).await?;
    }
    loaded.took = started.elapsed();
    Ok((loaded, go_on))
}

impl Loaded {
    fn take(&mut self, record: &Record, stale_after_ms: i64) -> Result<(), RestoreError> {
        self.has_past = true;
        match product_record::decode(record, stale_after_ms) {
            Ok(Restored::Removed(id, _)) => {
                // It is applied, too, and leaves no state that says so.
                self.note_cause(record, record.partition);
                self.overlaid.remove(&id);
                self.strange.remove(&id);
                self.states.remove(&id);
            }
            Ok(Restored::Ours(state)) => {
                self.note_cause(record, record.partition);
                for input in InputTopic::ALL {
                    self.note(input, state.applied.get(input).map(|applied| applied.offset));
                }
                let id = &state.product.id;
                self.overlaid.remove(id);
                self.strange.remove(id);
                self.states.insert(id.clone(), Arc::new(state));
            }
            Ok(Restored::Foreign(state)) => {
                self.foreign += 1;
                if !self.overlay(record) {
                    self.strange.insert(state.product.id.clone());
                    self.states.insert(state.product.id.clone(), Arc::new(state));
                }
            }
            Err(reason @ Unreadable::State(_)) => {
                return Err(RestoreError::Unreadable { partition: record.partition, offset: record.offset, reason });
            }
            Err(Unreadable::Product(reason)) => {
                // Not ours, as we write none that we cannot read. It holds no state that counts.
                tracing::warn!(log.offset = record.offset, reason = %reason, "a record of products is no product and is skipped");
                self.foreign += 1;
                self.overlay(record);
            }
        }
        Ok(())
    }

    /// An input of ours that an output names was applied.
    pub(super) fn note_cause(&mut self, output: &Record, ours: PartitionId) {
        if let Some(Cause::Record { topic, partition, position }) = output::cause_of(&output.headers)
            && partition == ours
        {
            self.note(topic, Some(position.offset));
        }
    }

    fn note(&mut self, input: InputTopic, applied: Option<Offset>) {
        let next = &mut self.applied[input.index()];
        *next = applied.map_or(*next, |applied| (*next).max(applied + 1));
    }

    /// Notes that a record of others lies over a state of ours, if there is one. Ours counts: no revision of theirs is newer.
    fn overlay(&mut self, record: &Record) -> bool {
        let Some(id) = product_record::key_of(record).filter(|id| self.states.contains_key(id) && !self.strange.contains(id))
        else {
            return false;
        };
        self.overlaid.insert(id, record.offset);
        true
    }

    /// States ahead of a position that is not there, or of the end of their input: positions were lost, or the topic was made anew.
    fn refuse_lost_positions(
        &self,
        shard: &ShardContext,
        committed: &[Option<Offset>; InputTopic::ALL.len()],
        places: &[PartitionInfo; InputTopic::ALL.len()],
    ) -> Result<(), RestoreError> {
        for (input, topic) in InputTopic::ALL.into_iter().zip([Topic::ProductUpdates, Topic::OrderEvents]) {
            let Some(applied) = Some(self.applied[input.index()] - 1).filter(|applied| *applied >= 0) else { continue };
            let why = match committed[input.index()] {
                None => "the group has no position there",
                Some(_) if applied >= places[input.index()].end => "the topic ends before that",
                Some(_) => continue,
            };
            return Err(RestoreError::PositionLost { partition: shard.partition, topic, applied, why });
        }
        Ok(())
    }

    /// A state ahead of the committed position means that outputs became visible without their positions, or that positions were
    /// lost. The log has broken its word, so it is told aloud. Only states of ours say what was applied to whom; what was applied
    /// to nobody (a product that was removed since, an order for a product that never was) is known by the outputs alone, so
    /// reading goes on after [all of it](Self::applied) and not at the positions.
    fn count_ahead(&self, committed: &[Option<Offset>; InputTopic::ALL.len()]) -> u64 {
        let is_ahead = |state: &&Arc<ProductState>| {
            InputTopic::ALL.into_iter().any(|input| {
                let next = committed[input.index()].unwrap_or(0);
                state.applied.get(input).is_some_and(|applied| applied.offset >= next)
            })
        };
        self.states.values().filter(is_ahead).count() as u64
    }
}
