//! The log in one SQLite file, for one process: the default, with nothing to install.
//!
//! ```text
//!  sessions, appends ─► writer (one thread, group commit) ─► kartshoppe.log.sqlite ◄─ read pool ─┐
//!                          ▲         └──► partition tails: ends, latest records, in memory ──────┼─► cursors of readers
//!                        keeper (checkpoints, retention, compaction)                             ┘   and sessions
//! ```
//! A commit is one SQLite transaction and, with others that wait, one fsync (`synchronous=FULL` in WAL mode). A second server on
//! the same folder is refused; other processes may read beside it ([`EmbeddedLog::open_read_only`]).

mod codec;
mod cursor;
mod errors;
mod groups;
mod guard;
mod holders;
mod jobs;
mod keeper;
mod lock;
mod options;
mod partition_tail;
mod read_pool;
mod reader;
mod schema;
mod session;
mod snapshot;
mod store;
mod watcher;
mod writer;

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use self::groups::Groups;
use self::guard::{Guard, GuardThread};
use self::jobs::{Job, Signal, Write, WriterHandle};
use self::keeper::{Keeper, Tools};
use self::partition_tail::PartitionTails;
use self::read_pool::ReadPool;
use self::reader::EmbeddedReader;
use self::session::EmbeddedSession;
use self::store::Store;
use self::writer::LogWriter;
use crate::clock::Clock;
use crate::log::{
    Appended, Batch, EventLog, LogError, LogFuture, NewRecord, PartitionId, Positions, Reader, Session, SessionConfig, Start,
    Stop, TopicInfo, TopicPartition,
};
use crate::telemetry::families as family;
use crate::telemetry::metrics::Metrics;
use crate::wire::topics::Topic;

pub use options::EmbeddedConfig;
pub(crate) use snapshot::LogSnapshot;

/// The log of this process.
#[derive(Debug)]
pub struct EmbeddedLog {
    store: Arc<Store>,
    side: Side,
}

/// Whether this process writes the log or only reads it.
#[derive(Debug)]
enum Side {
    Writing { writer: WriterHandle, keeper: SyncSender<Signal>, guard: Arc<Guard>, thread: Mutex<Option<JoinHandle<()>>> },
    Reading { _watcher: Sender<()> },
}

impl EmbeddedLog {
    /// Opens the log for writing, and makes folder and file if they are missing.
    ///
    /// # Errors
    /// [`LogError::InUse`] while another server has it; [`LogError::Unusable`] for a folder or file that cannot be written, or is
    /// damaged; [`LogError::Refused`] for another number of partitions, a newer format or a foreign file.
    pub async fn open(config: EmbeddedConfig, clock: Clock) -> Result<Self, LogError> {
        blocking(move || Self::open_blocking(&config, clock)).await
    }

    /// Opens a log for reading only, beside the server that writes it or without one. Sessions, appends and topic changes are
    /// refused.
    ///
    /// # Errors
    /// [`LogError::Unusable`] if there is no readable log in the folder; [`LogError::Refused`] as with [`Self::open`].
    pub async fn open_read_only(folder: &Path) -> Result<Self, LogError> {
        let path = schema::file_in(folder);
        blocking(move || {
            let connection = schema::open_reader(&path)?;
            let partitions = schema::stored_partitions(&connection).map_err(|error| errors::while_reading(&path, &error))?;
            let tails = Arc::new(PartitionTails::new(&[]));
            let watcher = watcher::watch(&path, &tails)?;
            let store = Store { tails, groups: Arc::default(), pool: ReadPool::new(path), partitions };
            Ok(Self { store: Arc::new(store), side: Side::Reading { _watcher: watcher } })
        })
        .await
    }

    /// Finishes what was handed to the log before, then closes it and releases the lock. Sessions and readers get
    /// [`LogError::Closed`] from then on.
    pub async fn close(&self) {
        if let Side::Writing { writer, thread, .. } = &self.side {
            writer.close().await;
            let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.store.pool.close();
            let joined = tokio::task::spawn_blocking(move || thread.map(JoinHandle::join)).await;
            if !matches!(joined, Ok(None | Some(Ok(())))) {
                tracing::error!("the event log's writer panicked");
            }
        }
        self.store.pool.close();
        self.store.tails.announce();
    }

    /// Does the housekeeping now that the log otherwise does by itself from time to time: retention, compaction, a checkpoint.
    ///
    /// # Errors
    /// [`LogError::Closed`]; [`LogError::Refused`] on a log that was opened for reading.
    pub async fn keep_house(&self) -> Result<(), LogError> {
        self.writer()?;
        let Side::Writing { keeper, .. } = &self.side else { return Ok(()) };
        let (done, answered) = oneshot::channel();
        let keeper = keeper.clone();
        blocking(move || keeper.send(Signal::Everything(done)).map_err(|_| LogError::Closed)).await?;
        answered.await.map_err(|_| LogError::Closed)
    }

    fn open_blocking(config: &EmbeddedConfig, clock: Clock) -> Result<Self, LogError> {
        crate::data_dir::own_folder(&config.folder).map_err(|error| errors::unusable(&config.folder, &error))?;
        let lock = lock::take(&config.folder)?;
        let path = schema::file_in(&config.folder);
        let connection = schema::open_writer(&path, config.partitions, config.fsync, config.max_bytes)?;
        let failed = |error: rusqlite::Error| errors::while_reading(&path, &error);
        let rows = schema::load_partitions(&connection).map_err(failed)?;
        let (tails, groups) = (Arc::new(PartitionTails::new(&rows)), Arc::new(Groups::default()));
        let id = schema::stored_id(&connection).map_err(failed)?;
        let (writer, jobs) = jobs::queue();
        let (signal, signals) = sync_channel(1);
        let keeper = schema::open_keeper(&path).map_err(failed)?;
        let guard = Arc::new(Guard::new(&path, id, config.alarms.clone())?);
        let save = signal.clone();
        // A full queue of the keeper has a request for a checkpoint in it already.
        let watch = GuardThread::start(Arc::clone(&guard), move || drop(save.try_send(Signal::Checkpoint)))?;
        let keeper = Keeper::new(Tools {
            connection: keeper,
            writer: writer.downgrade(),
            tails: Arc::clone(&tails),
            guard: Arc::clone(&guard),
            clock: clock.clone(),
            policy: config.policy(),
        });
        let parts =
            LogWriter::new(connection, Arc::clone(&guard), clock, Arc::clone(&tails), Arc::clone(&groups), config.partitions);
        let thread = parts.start(&rows, (lock, watch), jobs, signal.clone(), move || keeper.run(&signals))?;
        let store = Store { tails, groups, pool: ReadPool::new(path), partitions: config.partitions };
        let side = Side::Writing { writer, keeper: signal, guard, thread: Mutex::new(Some(thread)) };
        Ok(Self { store: Arc::new(store), side })
    }

    /// Whether there is a log in this folder.
    #[must_use]
    pub(crate) fn is_in(folder: &Path) -> bool {
        schema::file_in(folder).exists()
    }

    /// Deletes the closed log of this folder.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub(crate) fn remove_from(folder: &Path) -> std::io::Result<()> {
        fs::remove_file(schema::file_in(folder))
    }

    /// Refuses every write for this reason, or allows them again. Reading goes on.
    pub(crate) fn withhold(&self, reason: Option<String>) {
        if let Side::Writing { guard, .. } = &self.side {
            guard.withhold(reason);
        }
    }

    fn writer(&self) -> Result<&WriterHandle, LogError> {
        match &self.side {
            Side::Writing { writer, .. } => Ok(writer),
            Side::Reading { .. } => Err(LogError::Refused(format!(
                "{} was opened for reading only: have the running server write",
                self.store.pool.path().display()
            ))),
        }
    }

    async fn write(&self, records: Vec<NewRecord>) -> Result<Vec<Appended>, LogError> {
        let batch = Batch { records, positions: Positions::new() };
        self.writer()?.ask(|answer| Job::Write(Write { member: None, batch, answer })).await
    }

    async fn open_session(&self, config: SessionConfig) -> Result<Box<dyn Session>, LogError> {
        let writer = self.writer()?;
        let SessionConfig { identity, group, topics, .. } = config;
        let member = writer.ask(|answer| Job::Open { identity, group, answer }).await?;
        Ok(Box::new(EmbeddedSession::new(Arc::clone(&self.store), writer.clone(), member, topics)))
    }
}

impl EventLog for EmbeddedLog {
    fn id(&self) -> LogFuture<'_, String> {
        Box::pin(self.store.pool.run(schema::stored_id))
    }

    fn create_topics(&self, topics: &[Topic]) -> LogFuture<'_, Vec<Topic>> {
        let topics = topics.to_vec();
        Box::pin(async move { self.writer()?.ask(|answer| Job::Create { topics, answer }).await })
    }

    fn delete_topics(&self, topics: &[Topic]) -> LogFuture<'_, ()> {
        let topics = topics.to_vec();
        Box::pin(async move { self.writer()?.ask(|answer| Job::Delete { topics, answer }).await })
    }

    fn topics(&self) -> LogFuture<'_, Vec<TopicInfo>> {
        Box::pin(std::future::ready(Ok(self.store.topics())))
    }

    fn partitions(&self) -> PartitionId {
        self.store.partitions
    }

    fn session(&self, config: SessionConfig) -> LogFuture<'_, Box<dyn Session>> {
        Box::pin(self.open_session(config))
    }

    fn reader(&self, from: &[(TopicPartition, Start)], stop: Stop) -> LogFuture<'_, Box<dyn Reader>> {
        let from = from.to_vec();
        let store = Arc::clone(&self.store);
        Box::pin(async move { Ok(Box::new(EmbeddedReader::open(store, &from, stop).await?) as Box<dyn Reader>) })
    }

    fn append(&self, records: Vec<NewRecord>, deadline: Duration) -> LogFuture<'_, Vec<Appended>> {
        Box::pin(async move {
            let written = tokio::time::timeout(deadline, self.write(records)).await;
            written.unwrap_or(Err(LogError::Deadline { waited: deadline }))
        })
    }

    fn committed(&self, group: &str) -> LogFuture<'_, Positions> {
        let group = group.to_owned();
        Box::pin(async move {
            match &self.side {
                Side::Writing { writer, .. } => writer.ask(|answer| Job::Committed { group, answer }).await,
                Side::Reading { .. } => self.store.pool.committed(&group).await,
            }
        })
    }

    fn live_members(&self, group: &str) -> LogFuture<'_, usize> {
        let members = self.writer().map(|_| self.store.groups.live_members(group));
        Box::pin(std::future::ready(members))
    }

    fn record_limit(&self) -> usize {
        jobs::RECORD_LIMIT
    }

    fn is_log_append_time(&self, topic: Topic) -> LogFuture<'_, bool> {
        // Every record has the writer's time, whatever the topic.
        let known = self.store.tails.get(TopicPartition::new(topic, 0)).map(|_| true);
        Box::pin(std::future::ready(known))
    }

    fn register(&self, metrics: &Metrics) {
        let size = |path: &Path| fs::metadata(path).ok().map(|file| file.len() as f64);
        let path = self.store.pool.path().to_owned();
        let mut wal = path.clone().into_os_string();
        wal.push("-wal");
        metrics.observe_one(&family::LOG_BYTES, move || size(&path));
        metrics.observe_one(&family::LOG_WAL_BYTES, move || size(Path::new(&wal)));
    }

    fn refusal(&self) -> Option<String> {
        match &self.side {
            Side::Writing { guard, .. } => guard.check().err().map(|error| error.to_string()),
            Side::Reading { .. } => None,
        }
    }
}

/// Runs file work on a blocking thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, LogError> + Send + 'static) -> Result<T, LogError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|failed| Err(LogError::Unavailable(format!("a task on the event log ended early: {failed}"))))
}
