//! What the log source works with, its messages, and what it keeps while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::catch_up::CatchUpChecks;
use super::decode::DecodedChunk;
use super::owned_partition::OwnedPartition;
use super::pending::PendingRecords;
use crate::actors::inventory::batch::BatchId;
use crate::actors::inventory::batch_state::BatchState;
use crate::actors::inventory::{Feed, FeedNews, ShardHandle};
use crate::actors::kit::Mailbox;
use crate::actors::stats::Vitals;
use crate::actors::supervision::Restarts;
use crate::domain::inventory::PerInput;
use crate::log::{Assignment, LogError, Offset, PartitionId, Positions, Session};
use crate::sources::file_bootstrap::BootstrapFile;

/// What the source works with. Shared by its incarnations.
pub(super) struct SourceContext {
    pub feed: Feed,
    pub vitals: Vitals,
    pub mailbox: Mailbox<SourceMsg>,
    /// The last number given to a batch or to an attempt to restore, by any incarnation.
    pub last_number: AtomicU64,
}

impl std::ops::Deref for SourceContext {
    type Target = Feed;

    fn deref(&self) -> &Feed {
        &self.feed
    }
}

impl SourceContext {
    /// A number that no batch and no attempt has had.
    pub fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed)
    }

    /// The shard of a partition.
    pub fn shard(&self, partition: PartitionId) -> Option<&ShardHandle> {
        usize::try_from(partition).ok().and_then(|index| self.shards.get(index))
    }
}

/// A message to the source. `epoch` is raised with each session, `rewinds` with each return to the committed positions; a message
/// with an older number is dropped.
pub(super) enum SourceMsg {
    Opened { epoch: u64, result: Result<OpenedSession, LogError> },
    Polled { epoch: u64, rewinds: u64, poll: u64, result: Result<PollResult, LogError> },
    Rewound { epoch: u64, result: Result<(), LogError> },
    RemindersChecked { rewinds: u64, result: Result<CatchUpChecks, LogError> },
    Committed { batch: BatchId, result: Result<Positions, LogError> },
    BootstrapRead(BootstrapFile),
    News(FeedNews),
}

/// The first retained offsets of the inputs, by partition.
pub(super) type FirstOffsets = BTreeMap<PartitionId, PerInput<Offset>>;

/// A new session, and where the inputs began when it was opened.
pub(super) struct OpenedSession {
    pub session: Arc<dyn Session>,
    pub first: FirstOffsets,
}

/// What a poll brought, decoded.
pub(super) enum PollResult {
    Idle,
    Records(DecodedChunk),
    Assigned(Vec<Assignment>),
    /// Partitions that were revoked or lost; both end with the batch under way.
    Gone(Vec<PartitionId>),
}

/// The actor.
pub(super) struct LogSource(pub Arc<SourceContext>);

impl std::ops::Deref for LogSource {
    type Target = SourceContext;

    fn deref(&self) -> &SourceContext {
        &self.0
    }
}

/// What the source keeps while it runs.
#[derive(Default)]
pub(super) struct SourceState {
    pub epoch: u64,
    pub rewinds: u64,
    pub session: Option<Arc<dyn Session>>,
    pub first: FirstOffsets,
    pub owned: BTreeMap<PartitionId, OwnedPartition>,
    /// Partitions to be released when the batch under way is settled; no poll until then.
    pub leaving: Vec<PartitionId>,
    pub pending: PendingRecords,
    pub batch: BatchState,
    /// The commit under way. It continues if the source ends: aborting it would leave its outcome open.
    pub committing: Option<JoinHandle<()>>,
    /// A batch was given up: the inputs must be rewound, after this wait, before anything else.
    pub rewind_wanted: Option<Duration>,
    pub bootstrap: Option<Arc<BootstrapFile>>,
    pub failures: Restarts,
    /// Fenced, or the log is closed: it does nothing any more.
    pub halted: bool,
    pub opening: Option<AbortOnDropHandle<()>>,
    pub polling: Option<(u64, AbortOnDropHandle<()>)>,
    pub polls: u64,
    pub rewinding: Option<AbortOnDropHandle<()>>,
    pub checking: Option<AbortOnDropHandle<()>>,
    pub reading_file: Option<AbortOnDropHandle<()>>,
}
