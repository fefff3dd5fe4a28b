//! The committer: gathers what the shards made of a batch and writes it as one transaction.
//!
//! Events and alerts in order, dead letters, the last state and frame of each touched product, and the input positions become
//! visible together or not at all. Only then do shards and source hear that the batch is committed. The commit itself runs in a
//! task beside the actor, and what is known of it outlives the actor: whoever is killed meanwhile, its successor hears the result.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::batch::{BatchId, Tally};
use super::metrics::EngineMetrics;
use super::news::{FeedNews, NotifySource, Settled};
use super::shard::ShardHandle;
use crate::actors::kit::{CallError, Mailbox};
use crate::actors::stats::Vitals;
use crate::bugs::{self, Bug};
use crate::clock::Clock;
use crate::domain::EpochMs;
use crate::log::{Batch, LogError, NewRecord, PartitionId, Positions, Session};
use crate::telemetry::context::TraceContext;
use crate::telemetry::{names, spans};

/// Links that one commit's span has at most: enough to find it from any trace of a quiet shop.
const LINKS_MAX: usize = 32;

/// What one shard made of its part.
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
    /// Nothing yet.
    pub(crate) fn new(partition: PartitionId, batch: BatchId) -> Self {
        let (records, positions, traces) = (Vec::new(), Positions::new(), Vec::new());
        Self { partition, batch, records, positions, tally: Tally::default(), traces, oldest_ms: None }
    }
}

/// What the committer is asked or told.
pub(crate) enum CommitterMsg {
    /// A batch begins: these shards will deliver.
    Open {
        batch: BatchId,
        partitions: BTreeSet<PartitionId>,
        session: Arc<dyn Session>,
    },
    Output(Box<ShardOutput>),
    /// The batch is to be given up, unless its commit is under way.
    GiveUp {
        batch: BatchId,
    },
    /// The commit under way has its result.
    Done,
}

/// The address of the committer. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct CommitterHandle {
    mailbox: Mailbox<CommitterMsg>,
    settled: watch::Receiver<BatchId>,
}

impl CommitterHandle {
    /// A handle, and where its committer says which batch is settled.
    pub(crate) fn new(vitals: &Vitals) -> (watch::Sender<BatchId>, Self) {
        let (sender, settled) = watch::channel(0);
        (sender, Self { mailbox: Mailbox::new(&vitals.entry().id), settled })
    }

    /// A batch begins: these shards will deliver.
    ///
    /// # Errors
    /// [`CallError::NotRunning`].
    pub(crate) fn open(
        &self,
        batch: BatchId,
        partitions: BTreeSet<PartitionId>,
        session: Arc<dyn Session>,
    ) -> Result<(), CallError> {
        self.mailbox.tell(CommitterMsg::Open { batch, partitions, session })
    }

    /// A shard delivers.
    ///
    /// # Errors
    /// [`CallError::NotRunning`].
    pub(crate) fn output(&self, output: ShardOutput) -> Result<(), CallError> {
        self.mailbox.tell(CommitterMsg::Output(Box::new(output)))
    }

    /// The batch is to be given up, unless its commit is under way.
    ///
    /// # Errors
    /// [`CallError::NotRunning`].
    pub(crate) fn give_up(&self, batch: BatchId) -> Result<(), CallError> {
        self.mailbox.tell(CommitterMsg::GiveUp { batch })
    }

    /// Waits until this batch, or a later one, is settled.
    pub(crate) async fn settled(&self, batch: BatchId) {
        // An error means that nobody is left who could settle it.
        let _ = self.settled.clone().wait_for(|settled| *settled >= batch).await;
    }
}

/// What the committer works with. Shared by its incarnations.
pub(crate) struct CommitterContext {
    pub clock: Clock,
    pub metrics: Arc<EngineMetrics>,
    pub notify: NotifySource,
    pub vitals: Vitals,
    mailbox: Mailbox<CommitterMsg>,
    settled: watch::Sender<BatchId>,
    /// Every shard of the process, by its partition.
    shards: Arc<Vec<ShardHandle>>,
    committing: Mutex<Option<Committing>>,
}

impl CommitterContext {
    /// A committer that answers at this handle, whose `settled` this is.
    pub(crate) fn new(
        handle: &CommitterHandle,
        clock: Clock,
        metrics: Arc<EngineMetrics>,
        notify: NotifySource,
        vitals: Vitals,
        settled: watch::Sender<BatchId>,
        shards: Arc<Vec<ShardHandle>>,
    ) -> Self {
        let mailbox = handle.mailbox.clone();
        Self { clock, metrics, notify, vitals, mailbox, settled, shards, committing: Mutex::new(None) }
    }

    fn committing(&self) -> MutexGuard<'_, Option<Committing>> {
        self.committing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The actor.
pub(crate) struct Committer(pub Arc<CommitterContext>);

/// What the committer keeps while it runs.
#[derive(Default)]
pub(crate) struct CommitterState {
    gathering: Option<Gathering>,
}

struct Gathering {
    batch: BatchId,
    session: Arc<dyn Session>,
    missing: BTreeSet<PartitionId>,
    outputs: Vec<ShardOutput>,
}

struct Committing {
    batch: BatchId,
    partitions: Vec<PartitionId>,
    positions: Positions,
    tally: Tally,
    records: usize,
    oldest_ms: Option<EpochMs>,
    started: Instant,
    result: Option<Result<(), LogError>>,
    _task: Option<AbortOnDropHandle<()>>,
}

impl Actor for Committer {
    type Msg = CommitterMsg;
    type State = CommitterState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<CommitterMsg>, (): ()) -> Result<CommitterState, ActorProcessingErr> {
        self.0.vitals.starting()?;
        self.0.mailbox.open(&myself, &self.0.vitals);
        Ok(CommitterState::default())
    }

    async fn post_start(&self, _myself: ActorRef<CommitterMsg>, _: &mut CommitterState) -> Result<(), ActorProcessingErr> {
        let committing = self.0.committing().as_ref().map(|committing| committing.batch);
        (self.0.notify)(FeedNews::CommitterUp { committing });
        if committing.is_some() {
            // The predecessor may have been told the result, and not have come to it.
            self.0.mailbox.tell(CommitterMsg::Done)?;
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<CommitterMsg>,
        message: CommitterMsg,
        state: &mut CommitterState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = self.0.vitals.begin(&myself).await?;
        match message {
            CommitterMsg::Open { batch, partitions, session } => {
                let outputs = Vec::with_capacity(partitions.len());
                state.gathering = Some(Gathering { batch, session, missing: partitions, outputs });
            }
            CommitterMsg::Output(output) => self.gather(state, *output),
            CommitterMsg::GiveUp { batch } => self.give_up(state, batch),
            CommitterMsg::Done => self.done(),
        }
        Ok(())
    }
}

impl Committer {
    fn gather(&self, state: &mut CommitterState, output: ShardOutput) {
        let Some(gathering) = state.gathering.as_mut().filter(|gathering| gathering.batch == output.batch) else { return };
        // A shard that restarted meanwhile delivers nothing; one that delivers twice is heard once.
        if gathering.missing.remove(&output.partition) {
            gathering.outputs.push(output);
        }
        if gathering.missing.is_empty()
            && let Some(complete) = state.gathering.take()
        {
            self.commit(complete);
        }
    }

    fn commit(&self, gathering: Gathering) {
        let Gathering { batch, session, outputs, .. } = gathering;
        let mut write =
            Batch { records: Vec::with_capacity(outputs.iter().map(|output| output.records.len()).sum()), ..Batch::default() };
        let (mut partitions, mut tally, mut traces, mut oldest_ms) = (Vec::new(), Tally::default(), Vec::new(), None);
        for output in outputs {
            partitions.push(output.partition);
            tally += output.tally;
            traces.extend(output.traces);
            oldest_ms = [oldest_ms, output.oldest_ms].into_iter().flatten().min();
            write.records.extend(output.records);
            write.positions.extend(output.positions);
        }
        let (positions, records, started) = (write.positions.clone(), write.records.len(), Instant::now());
        let under_way =
            Committing { batch, partitions, positions, tally, records, oldest_ms, started, result: None, _task: None };
        *self.0.committing() = Some(under_way);
        let context = self.0.clone();
        let work = async move {
            if bugs::is(Bug::PositionBeforeOutputs) {
                let positions = Batch { positions: std::mem::take(&mut write.positions), ..Batch::default() };
                let _ = session.commit(positions).await;
            }
            let result = session.commit(write).await;
            if let Some(committing) = context.committing().as_mut().filter(|committing| committing.batch == batch) {
                committing.result = Some(result);
            }
            // A committer that is gone looks for the result when it is back.
            let _ = context.mailbox.tell(CommitterMsg::Done);
        };
        let task = AbortOnDropHandle::new(tokio::spawn(work.instrument(commit_span(records, &traces))));
        if let Some(committing) = self.0.committing().as_mut().filter(|committing| committing.batch == batch) {
            committing._task = Some(task);
        }
    }

    /// Tells everybody the result, if there is one. Nothing here waits, so a kill comes before or after, never between.
    fn done(&self) {
        let taken = self.0.committing().take_if(|committing| committing.result.is_some());
        let Some(mut committing) = taken else { return };
        let Some(result) = committing.result.take() else { return };
        let batch = committing.batch;
        let outcome = match result {
            Ok(()) => {
                self.count(&committing);
                for partition in &committing.partitions {
                    if let Some(shard) = usize::try_from(*partition).ok().and_then(|index| self.0.shards.get(index)) {
                        // A shard that is gone restores from the log, which has it.
                        let _ = shard.committed(batch);
                    }
                }
                Settled::Committed(committing.positions)
            }
            Err(error) => {
                self.0.metrics.aborts.fetch_add(1, Ordering::Relaxed);
                Settled::Failed(error)
            }
        };
        self.settle(batch, outcome);
    }

    fn give_up(&self, state: &mut CommitterState, batch: BatchId) {
        if state.gathering.take_if(|gathering| gathering.batch == batch).is_some() {
            self.settle(batch, Settled::GivenUp);
        }
    }

    fn settle(&self, batch: BatchId, outcome: Settled) {
        (self.0.notify)(FeedNews::Settled { batch, outcome });
        self.0.settled.send_replace(batch);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and milliseconds, for histograms")]
    fn count(&self, committing: &Committing) {
        let metrics = &self.0.metrics;
        metrics.commits.fetch_add(1, Ordering::Relaxed);
        metrics.count(&committing.tally);
        metrics.commit_seconds.observe(committing.started.elapsed().as_secs_f64());
        metrics.commit_records.observe(committing.records as f64);
        if let Some(oldest_ms) = committing.oldest_ms {
            let age_ms = self.0.clock.now_ms().saturating_sub(oldest_ms).max(0);
            metrics.event_age_seconds.observe(age_ms as f64 / 1000.0);
        }
    }
}

/// A span only where a cause is sampled: it is the child of none and linked to each.
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
