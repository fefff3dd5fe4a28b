//! The transaction of a batch: gathered from the outputs of its shards, and committed as a whole.
//!
//! Events and alerts in order, dead letters, the last state and frame of each changed product, and the input positions become
//! visible together or not at all.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::trace::SpanKind;
use tokio::time::Instant;

use super::batch::{BatchId, Tally};
use super::metrics::{DeadLetterLabels, EngineMetrics};
use super::outputs::TracedRecord;
use crate::bugs::{self, Bug};
use crate::clock::Clock;
use crate::config::RoleName;
use crate::domain::EpochMs;
use crate::log::{Batch, LogError, NewRecord, PartitionId, Positions, Session};
use crate::telemetry::names::{attribute, span};
use crate::telemetry::spans::Span;

/// Sampled records of one commit whose spans are linked with the batch's at most, as a span has room for 128 links.
const LINKED_MAX: usize = 60;

/// The output of one shard.
#[derive(Debug)]
pub(crate) struct ShardOutput {
    pub partition: PartitionId,
    pub batch: BatchId,
    pub records: Vec<NewRecord>,
    pub positions: Positions,
    pub tally: Tally,
    /// The sampled records among the causes.
    pub traces: Vec<TracedRecord>,
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
    traces: Vec<TracedRecord>,
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
        let mut spans = CommitSpans::begin(records, traces);
        let result = work.await;
        if let Err(error) = &result {
            spans.fail(error);
        }
        drop(spans);
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

/// The spans of a commit: one in the trace of each sampled record, and one of the batch, which has no parent as it has many causes.
struct CommitSpans {
    batch: Span,
    records: Vec<(TracedRecord, Span)>,
}

impl CommitSpans {
    fn begin(records: usize, traces: Vec<TracedRecord>) -> Self {
        if traces.is_empty() {
            return Self { batch: Span::none(), records: Vec::new() };
        }
        let mut batch = Span::root(RoleName::Inventory, SpanKind::Internal, span::INVENTORY_COMMIT, None)
            .with(attribute::MESSAGING_BATCH_MESSAGE_COUNT, i64::try_from(records).unwrap_or(i64::MAX));
        let of_batch = batch.context();
        let commit = |(index, traced): (usize, TracedRecord)| {
            let mut commit = traced.process.child_of(RoleName::Inventory, SpanKind::Internal, span::RECORD_COMMIT);
            if let (Some(of_batch), Some(of_record), true) = (&of_batch, commit.context(), index < LINKED_MAX) {
                commit.link(of_batch);
                batch.link(&of_record);
                batch.link(&traced.applied);
            }
            (traced, commit)
        };
        let records = traces.into_iter().enumerate().map(commit).collect();
        Self { batch, records }
    }

    fn fail(&mut self, error: &LogError) {
        self.batch.fail(error.kind());
        for (traced, commit) in &mut self.records {
            commit.fail(error.kind());
            traced.process.fail(error.kind());
        }
    }
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
