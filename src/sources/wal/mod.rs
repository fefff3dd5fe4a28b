//! Orders through the WAL: each `order_items` row that is `wal` becomes one record of `order-events`, exactly once.
//!
//! ```text
//!  PostgreSQL ── slot, publication ──► stream ──► transactions ──► pump ──► log: order-events + cdc-positions, one commit
//!      ▲                                                             │
//!      └────────────────── acknowledge, only after the commit ◄──────┘
//! ```
//! The position is stored in the log, in the commit of the rows that it covers; the slot's own memory goes back by a thousand
//! transactions at a restart. Two locks keep out a second reader: the slot, and the fencing of the log's session. Where something
//! does not fit, the reader raises an [`Alarm`] that says what to do, and never guesses.

mod actor;
mod alarm;
mod figures;
mod gauge;
mod names;
mod new_slot;
mod position;
mod pump;
mod reader;
mod repair;
mod report;
mod run_end;
#[cfg(feature = "seeded-bugs")]
mod seeded;
mod server;
mod status;
mod stream;
mod transactions;
mod visible;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use self::alarm::Alarm;
pub use self::new_slot::{Begun, Steps};
use self::position::StoredError;
pub use self::repair::{RepairError, repair, repair_in_steps};
use self::report::ReportCell;
pub use self::report::{Phase, WalReport};
pub use self::server::{PUBLICATION, ServerError};
pub use self::status::{SlotStatus, status};
pub use self::stream::StreamError;
pub use self::transactions::ProtocolError;
use crate::actors::kit::{CallError, Mailbox};
use crate::actors::role::{MakeChildren, SupervisionContext};
use crate::actors::stats::Vitals;
use crate::actors::supervision::{ActorKind, ChildSpec};
use crate::log::{EventLog, LogError};
use crate::store::{MigrationState, Store};
use actor::{WalMsg, WalReader};

/// How the reader works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalConfig {
    /// The URL of the reader's own role, which has REPLICATION.
    pub url: String,
    pub slot: String,
    /// Rows of one commit of the log at most; a larger transaction is published in parts.
    pub batch_max_rows: usize,
    /// A position that advanced without rows to publish is stored after this long, so that PostgreSQL can delete the WAL before
    /// it.
    pub idle_interval: Duration,
    /// How often slot and publication are checked.
    pub look_every: Duration,
}

impl WalConfig {
    /// With the defaults: 10,000 rows a commit, idle positions every 10 s, a check every 2 s.
    #[must_use]
    pub fn new(url: impl Into<String>, slot: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            slot: slot.into(),
            batch_max_rows: 10_000,
            idle_interval: Duration::from_secs(10),
            look_every: Duration::from_secs(2),
        }
    }
}

/// The steps of the reader: the one list of places where it can be struck. Each is a target of faults (`wal-reader/committing`),
/// and those of a repair can halt it (`kartshoppe cdc repair-slot --halt-at`), so that tests end processes exactly there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The slot is free and the checks have passed.
    Looked,
    /// Older readers can write no more.
    Fenced,
    /// A new slot is there, without a position.
    SlotMade,
    /// The items that waited for the slot have been read.
    SnapshotRead,
    /// They are published, and the first position is stored.
    Begun,
    /// Position and server fit together.
    Checked,
    Streaming,
    /// Rows are about to be committed.
    Committing,
    /// They are, and not acknowledged.
    Committed,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 9] = [
        Self::Looked,
        Self::Fenced,
        Self::SlotMade,
        Self::SnapshotRead,
        Self::Begun,
        Self::Checked,
        Self::Streaming,
        Self::Committing,
        Self::Committed,
    ];

    /// Those that a repair of the slot passes.
    pub const OF_REPAIR: [Self; 4] = [Self::Fenced, Self::SlotMade, Self::SnapshotRead, Self::Begun];

    /// The step of a fault target.
    #[must_use]
    pub fn of_target(target: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.target() == target)
    }

    /// Its name alone.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.target().trim_start_matches("wal-reader/")
    }

    /// The fault target that strikes at this step only.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::Looked => "wal-reader/looked",
            Self::Fenced => "wal-reader/fenced",
            Self::SlotMade => "wal-reader/slot-made",
            Self::SnapshotRead => "wal-reader/snapshot-read",
            Self::Begun => "wal-reader/begun",
            Self::Checked => "wal-reader/checked",
            Self::Streaming => "wal-reader/streaming",
            Self::Committing => "wal-reader/committing",
            Self::Committed => "wal-reader/committed",
        }
    }
}

/// Why the reader failed. A restart may help with everything but an alarm, which needs an operator.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Alarm(#[from] Alarm),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The actor around the reader is gone.
    #[error(transparent)]
    Actor(#[from] CallError),
}

impl From<StoredError> for ReadError {
    fn from(error: StoredError) -> Self {
        match error {
            StoredError::Log(error) => Self::Log(error),
            StoredError::Alarm(alarm) => Self::Alarm(alarm),
        }
    }
}

/// What the parts of the reader share.
#[derive(Clone)]
struct WalContext {
    config: WalConfig,
    log: Arc<dyn EventLog>,
    report: Arc<ReportCell>,
    /// Of this incarnation alone: what its task reports must not reach the next.
    mailbox: Mailbox<WalMsg>,
    vitals: Vitals,
    /// If the actor does not let a step pass for this long, it hangs, and its watchdog ends actor and reader.
    patience: Duration,
    /// Set in a process that migrates the database.
    store: Option<Store>,
}

impl WalContext {
    /// Whether the database is still being migrated.
    fn is_migrating(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.migration_state() == MigrationState::Pending)
    }
}

impl Steps for WalContext {
    async fn at(&self, step: Step) -> Result<(), ReadError> {
        Ok(self.mailbox.ask(self.patience, |go_on| WalMsg::At(step, go_on)).await?)
    }

    fn stalled(&self, alarm: &Alarm) {
        self.report.raise(alarm);
    }
}

/// The WAL reader of this process, running or not. Cheap to clone.
#[derive(Clone)]
pub struct Wal {
    config: WalConfig,
    report: Arc<ReportCell>,
    /// For [`crate::actors::root::RoleSpec`].
    pub children: MakeChildren,
}

impl Wal {
    /// Puts the reader together. Nothing runs before the role is started.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, config: WalConfig, supervision: &SupervisionContext) -> Self {
        Self::with(log, config, supervision, None)
    }

    /// The same for a process that migrates the database: until that is done, missing tables raise no alarm.
    #[must_use]
    pub fn after_migrations(log: Arc<dyn EventLog>, config: WalConfig, supervision: &SupervisionContext, store: &Store) -> Self {
        Self::with(log, config, supervision, Some(store.clone()))
    }

    fn with(log: Arc<dyn EventLog>, config: WalConfig, supervision: &SupervisionContext, store: Option<Store>) -> Self {
        let id = ActorKind::WalReader.as_str();
        let report = Arc::new(ReportCell::new(supervision.alarms.clone()));
        let context = Arc::new(WalContext {
            config: config.clone(),
            log,
            report: report.clone(),
            mailbox: Mailbox::new(id),
            vitals: supervision.vitals(ActorKind::WalReader, id),
            patience: supervision.hang_after.saturating_mul(4),
            store,
        });
        let restart = supervision.restart;
        let make = move || {
            let context = context.clone();
            vec![ChildSpec::new(ActorKind::WalReader, id, restart, move || (WalReader(context.clone()), ()))]
        };
        Self { config, report, children: Arc::new(make) }
    }

    /// How it is doing.
    #[must_use]
    pub fn report(&self) -> WalReport {
        self.report.now()
    }

    /// The slot's current state, whichever process reads it.
    ///
    /// # Errors
    /// [`ReadError`] if PostgreSQL or the log cannot be asked.
    pub async fn slot_status(&self, log: &dyn EventLog) -> Result<SlotStatus, ReadError> {
        status(&self.config, Ok(log)).await
    }

    /// Changes with every report.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<WalReport> {
        self.report.subscribe()
    }

    /// What the reader is doing before it reads, for people; `None` once it reads, and while it is stopped or has failed, which
    /// is an alarm of its own.
    #[must_use]
    pub fn preparation(&self) -> Option<String> {
        let report = self.report();
        matches!(report.phase, Phase::Starting { error: None } | Phase::FirstStart).then(|| report.sentence())
    }

    /// Measures the slot, for ever, while this process's reader does not read: because it waits, has an alarm, has ended, or
    /// was stopped. `configured` says whether this process is one of those that read; one that ever started the reader is, too.
    pub fn measure(&self, configured: bool) -> impl Future<Output = ()> + Send + 'static {
        gauge::measure(self.config.clone(), self.report.clone(), configured)
    }
}
