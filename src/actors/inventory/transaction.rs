//! The transaction of a batch: gathered from the outputs of its shards, and committed as a whole.
//!
//! Events and alerts in order, dead letters, the last state and frame of each changed product, and the input positions become
//! visible together or not at all.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use super::batch::{BatchId, Tally};
use super::metrics::{DeadLetterLabels, EngineMetrics};
use crate::bugs::{self, Bug};
use crate::clock::Clock;
use crate::domain::EpochMs;
use crate::log::{Batch, LogError, NewRecord, PartitionId, Positions, Session};
use crate::telemetry::context::TraceContext;
use crate::telemetry::{names, spans};

/// Links that the span of one commit has at most: enough to find it from any trace of a quiet shop.
const LINKS_MAX: usize = 32;

/// The output of one shard.
#[derive(Debug)]
pub(crate) struct ShardOutput {
    pub partition: PartitionId,
    pub batch: BatchId,
    pub records: Vec<NewRecord>,
    pub positions: Positions,
    pub tally: Tally,
    /// Sampled traces among the causes.
    pub traces: Vec<TraceContext>,
    /// The append time of the oldest record.
    pub oldest_ms: Option<EpochMs>,
}

impl ShardOutput {
    /// An empty output.
    pub(crate) fn new(partition: PartitionId, batch: BatchId) -> Self {
        let (records, positions, traces) = (Vec::new(), Positions::new(), Vec::new());
        Self { partition, batch, records, positions, tally: Tally::default(), traces, oldest_ms: None }
    }
}

/// The outputs of a batch that have arrived so far.
#[derive(Debug)]
pub(crate) struct GatheredOutputs {
    batch: BatchId,
    missing: BTreeSet<PartitionId>,
    outputs: Vec<ShardOutput>,
}

impl GatheredOutputs {
    /// No output yet; these partitions will deliver one each.
    pub(crate) fn new(batch: BatchId, partitions: BTreeSet<PartitionId>) -> Self {
        Self { batch, outputs: Vec::with_capacity(partitions.len()), missing: partitions }
    }

    /// The batch that is gathered.
    pub(crate) fn batch(&self) -> BatchId {
        self.batch
    }

    /// Takes an output of this batch; a second one of the same partition is dropped. Returns whether all are there.
    pub(crate) fn add(&mut self, output: ShardOutput) -> bool {
        if output.batch == self.batch && self.missing.remove(&output.partition) {
            self.outputs.push(output);
        }
        self.missing.is_empty()
    }
}

/// Everything that a batch writes.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub batch: BatchId,
    /// The partitions that have a part in it.
    pub partitions: Vec<PartitionId>,
    write: Batch,
    tally: Tally,
    traces: Vec<TraceContext>,
    oldest_ms: Option<EpochMs>,
}

impl From<GatheredOutputs> for Transaction {
    fn from(gathered: GatheredOutputs) -> Self {
        let GatheredOutputs { batch, outputs, .. } = gathered;
        let records = Vec::with_capacity(outputs.iter().map(|output| output.records.len()).sum());
        let write = Batch { records, ..Batch::default() };
        let mut transaction =
            Self { batch, partitions: Vec::new(), write, tally: Tally::default(), traces: Vec::new(), oldest_ms: None };
        outputs.into_iter().for_each(|output| transaction.add(output));
        transaction
    }
}

/// Between the two commits of a seeded bug.
const SEEDED_GAP: Duration = Duration::from_millis(5);

impl Transaction {
    fn add(&mut self, output: ShardOutput) {
        self.partitions.push(output.partition);
        self.write.records.extend(output.records);
        self.write.positions.extend(output.positions);
        self.tally += output.tally;
        self.traces.extend(output.traces);
        self.oldest_ms = [self.oldest_ms, output.oldest_ms].into_iter().flatten().min();
    }

    /// Commits it, and counts the result. Returns the positions that are committed.
    pub(crate) async fn commit(
        self,
        session: &dyn Session,
        clock: &Clock,
        metrics: &EngineMetrics,
    ) -> Result<Positions, LogError> {
        let Self { mut write, tally, traces, oldest_ms, .. } = self;
        let letters = if tally.dead_lettered > 0 { DeadLetterLabels::of(&write.records) } else { Vec::new() };
        let (positions, records, started) = (write.positions.clone(), write.records.len(), Instant::now());
        let work = async {
            if bugs::is(Bug::PositionBeforeOutputs) {
                let positions = Batch { positions: std::mem::take(&mut write.positions), ..Batch::default() };
                let _ = session.commit(positions).await;
                // Without it, the dozen kills of a drill may all miss the moment between the two.
                tokio::time::sleep(SEEDED_GAP).await;
            }
            session.commit(write).await
        };
        let result = work.instrument(commit_span(records, &traces)).await;
        match &result {
            Ok(()) => {
                metrics.count(&tally);
                metrics.count_dead_letters(&letters);
                metrics.count_commit(started.elapsed(), records);
                oldest_ms.into_iter().for_each(|oldest_ms| metrics.count_age(clock.now_ms().saturating_sub(oldest_ms)));
            }
            Err(_) => drop(metrics.aborts.fetch_add(1, Ordering::Relaxed)),
        }
        result.map(|()| positions)
    }
}

/// A span only if a cause is sampled: it has no parent and links to each of them.
fn commit_span(records: usize, traces: &[TraceContext]) -> tracing::Span {
    if traces.is_empty() {
        return tracing::Span::none();
    }
    let span = tracing::info_span!(parent: None, names::span::INVENTORY_COMMIT, messaging.batch.message_count = records);
    for trace in traces.iter().take(LINKS_MAX) {
        spans::add_link(&span, trace);
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(partition: PartitionId, batch: BatchId, applied: u64, oldest_ms: Option<EpochMs>) -> ShardOutput {
        ShardOutput { tally: Tally { applied, ..Tally::default() }, oldest_ms, ..ShardOutput::new(partition, batch) }
    }

    #[test]
    fn it_is_complete_once_each_partition_has_delivered_once() {
        let mut gathered = GatheredOutputs::new(7, BTreeSet::from([1, 2]));
        assert!(!gathered.add(output(1, 7, 10, Some(50))));
        assert!(!gathered.add(output(1, 7, 99, None)), "delivered twice");
        assert!(!gathered.add(output(2, 6, 99, None)), "of an earlier batch");
        assert!(!gathered.add(output(3, 7, 99, None)), "has no part in it");
        assert!(gathered.add(output(2, 7, 5, Some(40))));
        let transaction = Transaction::from(gathered);
        assert_eq!((transaction.batch, &*transaction.partitions), (7, &[1, 2][..]));
        assert_eq!((transaction.tally.applied, transaction.oldest_ms), (15, Some(40)));
    }
}
