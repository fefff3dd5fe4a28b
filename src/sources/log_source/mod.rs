//! The log source: polls the inputs, decodes, and sets the pace of the whole engine.
//!
//! ```text
//!   session ── poll ──► decode ──► pending ── dispatch ──► shards ──► committer ── Settled ──┐
//!      ▲                              ▲ merges while a batch is under way                    │
//!      └── rewind, after a batch that was given up ◄─────────────────────────────────────────┘
//! ```
//! At most one batch is uncommitted. While it is, the next chunk is polled and decoded, up to a batch full; it is dealt out when the
//! commit has returned. When it is quiet, what comes is dealt out at once: no timer adds to the latency.
//!
//! The source owns the session. Whatever dies, it brings the engine back to what the log holds:
//! - a shard: the batch is given up (or its commit awaited), the inputs rewound, the partition restored;
//! - the committer: the same without a restore, as a commit that is under way goes on without it;
//! - a commit that failed: rewind and try again, after a while;
//! - the source itself: a new session, which fences the old one, and everything restored.

mod catch_up;
mod decode;
mod dispatch;
mod owned;
mod session;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;

use crate::actors::committer::CommitterHandle;
use crate::actors::engine::{EngineMetrics, FeedNews, Settled, TaskGuard};
use crate::actors::envelope::Mailbox;
use crate::actors::shard::ShardHandle;
use crate::actors::stats::Vitals;
use crate::actors::supervision::{RestartPolicy, Restarts};
use crate::clock::Clock;
use crate::domain::inventory::InputTopic;
use crate::log::{Assignment, EventLog, LogError, Offset, PartitionId, Session, SessionConfig};
use crate::telemetry::alarms::Alarms;

use super::file_bootstrap::BootstrapFile;
use catch_up::Checked;
pub use decode::{Decoded, Draft, LogShape, ReadState, decode};
use dispatch::{OpenBatch, Pending};
use owned::Owned;

/// A stop waits this long for the batch under way to be committed.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// What the source works with. Shared by its incarnations.
pub struct SourceContext {
    pub log: Arc<dyn EventLog>,
    pub clock: Clock,
    pub session: SessionConfig,
    /// Every shard of the process, by its partition.
    pub shards: Arc<Vec<ShardHandle>>,
    pub committer: CommitterHandle,
    pub bootstrap_file: Option<PathBuf>,
    pub batch_max_records: usize,
    pub metrics: Arc<EngineMetrics>,
    pub vitals: Vitals,
    pub mailbox: Mailbox<SourceMsg>,
    pub restart: RestartPolicy,
    pub alarms: Alarms,
    /// Why this process must end, once somebody else has its name.
    pub fenced: Arc<watch::Sender<Option<String>>>,
    /// The last batch number that was used, by whichever incarnation.
    pub batches: AtomicU64,
}

/// What the source is told. `generation` numbers its sessions, `round` the times it went back to the committed positions: whatever
/// belongs to an earlier one is void.
pub enum SourceMsg {
    Opened { generation: u64, result: Result<Opened, LogError> },
    Polled { generation: u64, round: u64, poll: u64, result: Result<Fetched, LogError> },
    Rewound { generation: u64, result: Result<(), LogError> },
    CaughtUp { round: u64, result: Result<Checked, LogError> },
    BootstrapRead(BootstrapFile),
    News(FeedNews),
}

/// A new session, and where the inputs began when it was opened.
pub struct Opened {
    pub session: Arc<dyn Session>,
    pub first: BTreeMap<PartitionId, [Offset; InputTopic::ALL.len()]>,
}

/// What a poll brought, decoded.
pub enum Fetched {
    Idle,
    Records(Decoded),
    Assigned(Vec<Assignment>),
    /// Revoked or lost: both end with the batch under way.
    Gone(Vec<PartitionId>),
}

/// The actor.
pub struct LogSource(pub Arc<SourceContext>);

impl std::ops::Deref for LogSource {
    type Target = SourceContext;

    fn deref(&self) -> &SourceContext {
        &self.0
    }
}

/// What the source keeps while it runs.
#[derive(Default)]
pub struct SourceState {
    generation: u64,
    round: u64,
    session: Option<Arc<dyn Session>>,
    /// The first retained offsets of the inputs.
    first: BTreeMap<PartitionId, [Offset; InputTopic::ALL.len()]>,
    owned: BTreeMap<PartitionId, Owned>,
    /// Partitions to be let go when the batch under way is settled; no poll until then.
    leaving: Vec<PartitionId>,
    pending: Pending,
    open: Option<OpenBatch>,
    /// The batch that was open was given up: the inputs must be rewound before anything else.
    rewind_wanted: Option<Duration>,
    bootstrap: Option<Arc<BootstrapFile>>,
    failures: Restarts,
    /// Why it stands still for good, if it does.
    halted: bool,
    opening: Option<TaskGuard>,
    polling: Option<(u64, TaskGuard)>,
    polls: u64,
    rewinding: Option<TaskGuard>,
    checking: Option<TaskGuard>,
    reading_file: Option<TaskGuard>,
}

impl Actor for LogSource {
    type Msg = SourceMsg;
    type State = SourceState;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<SourceMsg>, (): ()) -> Result<SourceState, ActorProcessingErr> {
        self.vitals.starting()?;
        self.mailbox.open(&myself, &self.vitals);
        Ok(SourceState::default())
    }

    async fn post_start(&self, _myself: ActorRef<SourceMsg>, state: &mut SourceState) -> Result<(), ActorProcessingErr> {
        self.open_session(state, Duration::ZERO);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<SourceMsg>,
        message: SourceMsg,
        state: &mut SourceState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = self.vitals.begin(&myself).await?;
        match message {
            SourceMsg::Opened { generation, result } if generation == state.generation => self.opened(state, result),
            SourceMsg::Polled { generation, round, poll, result } if generation == state.generation => {
                self.polled(state, round, poll, result);
            }
            SourceMsg::Rewound { generation, result } if generation == state.generation => self.rewound(state, result),
            SourceMsg::CaughtUp { round, result } if round == state.round => self.checked(state, result),
            SourceMsg::Opened { .. } | SourceMsg::Polled { .. } | SourceMsg::Rewound { .. } | SourceMsg::CaughtUp { .. } => {}
            SourceMsg::BootstrapRead(file) => self.bootstrap_read(state, file),
            SourceMsg::News(news) => self.news(state, news),
        }
        self.advance(state);
        Ok(())
    }

    async fn post_stop(&self, _myself: ActorRef<SourceMsg>, state: &mut SourceState) -> Result<(), ActorProcessingErr> {
        state.polling = None;
        if let Some(open) = &state.open {
            // What is not committed by then is read again by whoever comes next.
            let _ = tokio::time::timeout(DRAIN_PATIENCE, self.committer.settled(open.batch)).await;
        }
        if let Some(session) = state.session.take() {
            session.close().await?;
        }
        Ok(())
    }
}

impl LogSource {
    fn news(&self, state: &mut SourceState, news: FeedNews) {
        match news {
            FeedNews::ShardUp { partition } => self.shard_up(state, partition),
            FeedNews::Restored { partition, ticket, go_on } => {
                let has_file = self.bootstrap_file.is_some();
                if let Some(owned) = state.owned.get_mut(&partition) {
                    owned.restored(ticket, go_on, has_file);
                }
            }
            FeedNews::CommitterUp { committing } => {
                // What it gathered is lost; a commit that was under way goes on without it.
                if let Some(open) = state.open.take_if(|open| committing != Some(open.batch)) {
                    self.settled(state, open, Settled::GivenUp);
                }
            }
            FeedNews::Settled { batch, outcome } => {
                if let Some(open) = state.open.take_if(|open| open.batch == batch) {
                    self.settled(state, open, outcome);
                }
            }
        }
    }

    /// A shard has started anew: its part of the batch is gone, its states must be read.
    fn shard_up(&self, state: &mut SourceState, partition: PartitionId) {
        let Some(owned) = state.owned.get_mut(&partition) else { return };
        owned.must_restore();
        if let Some(open) = state.open.as_ref().filter(|open| open.parts.contains_key(&partition)) {
            // If its commit is under way, that decides; if the committer is gone, it says so when it is back.
            let _ = self.committer.give_up(open.batch);
        }
    }

    fn settled(&self, state: &mut SourceState, open: OpenBatch, outcome: Settled) {
        match outcome {
            Settled::Committed(positions) => {
                state.failures = Restarts::default();
                self.metrics.trouble.store(None);
                for (place, position) in positions {
                    if let Some(owned) = state.owned.get_mut(&place.partition) {
                        owned.committed.insert(place.topic, position);
                    }
                }
                for (partition, part) in open.parts {
                    if let Some(owned) = state.owned.get_mut(&partition) {
                        owned.part_committed(&part);
                    }
                }
            }
            Settled::GivenUp => self.go_back(state, Duration::ZERO),
            Settled::Failed(error) => self.commit_failed(state, &error),
        }
    }

    /// Does whatever can be done now. Called after every message.
    fn advance(&self, state: &mut SourceState) {
        let Some(session) = state.session.clone() else { return };
        if state.halted || state.rewinding.is_some() {
            return;
        }
        if state.open.is_none() {
            if state.owned.values().any(Owned::must_go_back) {
                self.go_back(state, Duration::ZERO);
            }
            self.let_go(state);
            if let Some(wait) = state.rewind_wanted.take() {
                return self.rewind(state, session, wait);
            }
            self.restore_shards(state);
            self.dispatch(state, &session);
        }
        self.poll(state, session);
        self.check_reminders(state);
    }
}
