//! Reads topics for an actor, in a task of its own that ends with the actor.
//!
//! The actor gets what was read as messages, at most `CHUNKS_AHEAD` of them undone at a time: the next is read while one is
//! handled, and a slow actor slows the reading instead of filling its mailbox. Errors of the log are retried here with
//! backoff, and reading continues exactly where it stopped; only a position that the log no longer has is reported, as the actor
//! decides what that means.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use super::mailbox::CallError;
use crate::clock::Backoff;
use crate::log::{EventLog, LogError, LogFuture, Offset, Reader, Record, Start, Stop, TopicPartition};

/// Chunks that were read and are not done with.
const CHUNKS_AHEAD: usize = 2;
/// Records of one chunk: a few milliseconds of work.
const CHUNK_RECORDS: usize = 2_000;
/// How long one read waits for the first record. It wakes up at once when there is one.
const READ_WAIT: Duration = Duration::from_secs(1);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// What reading brought.
#[derive(Debug)]
pub enum Followed {
    Chunk(Chunk),
    /// The log no longer has, or never had, a position that was to be read: reading has stopped.
    Lost(LogError),
}

/// Some records, and how far they bring the reader.
#[derive(Debug)]
pub struct Chunk {
    /// Each partition in order; empty where only positions moved: on Kafka the markers of transactions lie behind the last record.
    pub records: Vec<Record>,
    /// Where each partition's next record will be read.
    pub positions: BTreeMap<TopicPartition, Offset>,
    /// The ends as they stood when reading began.
    pub ends: Arc<BTreeMap<TopicPartition, Offset>>,
    /// Everything up to those ends was read.
    pub caught_up: bool,
    /// The permit for the next chunk; released with this chunk, also when its actor dies.
    _permit: OwnedSemaphorePermit,
}

/// Opens the reader; asked again until it succeeds.
pub type OpenReader = Box<dyn Fn() -> LogFuture<'static, Box<dyn Reader>> + Send + Sync>;

/// The reading task. Dropping it ends the task.
#[derive(Debug)]
pub struct Follower {
    _task: AbortOnDropHandle<()>,
}

impl Follower {
    /// Reads to the end as it stands, or for ever, and delivers what it reads. Ends when a delivery is not taken.
    pub fn start<D>(log: Arc<dyn EventLog>, open: OpenReader, stop: Stop, deliver: D) -> Self
    where
        D: Fn(Followed) -> Result<(), CallError> + Send + Sync + 'static,
    {
        let reading = FollowTask { log, open, stop, deliver, permits: Arc::new(Semaphore::new(CHUNKS_AHEAD)) };
        Self { _task: AbortOnDropHandle::new(tokio::spawn(reading.run())) }
    }
}

struct FollowTask<D> {
    log: Arc<dyn EventLog>,
    open: OpenReader,
    stop: Stop,
    deliver: D,
    permits: Arc<Semaphore>,
}

impl<D: Fn(Followed) -> Result<(), CallError>> FollowTask<D> {
    async fn run(self) {
        if let Err(error) = self.read_all().await {
            // Without an actor to take it there is nothing to report.
            let _ = (self.deliver)(Followed::Lost(error));
        }
    }

    async fn read_all(&self) -> Result<(), LogError> {
        let mut reader = self.patiently(|| (self.open)()).await?;
        let ends = Arc::new(reader.ends().clone());
        let mut end_reported = false;
        let mut reported = reader.positions().clone();
        let mut backoff = backoff();
        loop {
            let Ok(permit) = self.permits.clone().acquire_owned().await else { return Ok(()) };
            let records = match reader.read(CHUNK_RECORDS, READ_WAIT).await {
                Ok(records) => {
                    backoff.reset();
                    records
                }
                Err(error) => {
                    complain(&error);
                    // If the topic may be opened but not read, this would otherwise loop without a wait, with a new client each
                    // time.
                    backoff.wait().await;
                    reader = self.reopen(reader.positions()).await?;
                    continue;
                }
            };
            let positions = reader.positions().clone();
            let caught_up = ends.iter().all(|(partition, end)| positions.get(partition).is_some_and(|at| at >= end));
            let done = caught_up && self.stop == Stop::AtEnd;
            let is_news = !records.is_empty() || positions != reported || (caught_up && !end_reported) || done;
            if !is_news {
                continue;
            }
            end_reported |= caught_up;
            reported.clone_from(&positions);
            let chunk = Chunk { records, positions, ends: ends.clone(), caught_up, _permit: permit };
            if (self.deliver)(Followed::Chunk(chunk)).is_err() || done {
                return Ok(());
            }
        }
    }

    async fn reopen(&self, positions: &BTreeMap<TopicPartition, Offset>) -> Result<Box<dyn Reader>, LogError> {
        let from: Vec<_> = positions.iter().map(|(partition, offset)| (*partition, Start::Offset(*offset))).collect();
        self.patiently(|| self.log.reader(&from, self.stop)).await
    }

    /// Retries until it succeeds; only positions that the log doesn't have are returned as an error.
    async fn patiently<'a>(&'a self, open: impl Fn() -> LogFuture<'a, Box<dyn Reader>>) -> Result<Box<dyn Reader>, LogError> {
        let mut backoff = backoff();
        loop {
            match open().await {
                Ok(reader) => return Ok(reader),
                Err(error @ LogError::OutOfRange { .. }) => return Err(error),
                Err(error) => complain(&error),
            }
            backoff.wait().await;
        }
    }
}

fn backoff() -> Backoff {
    Backoff::new(BACKOFF_MIN, BACKOFF_MAX)
}

fn complain(error: &LogError) {
    tracing::warn!(%error, "cannot read the event log; trying again");
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::clock::Clock;
    use crate::log::embedded::{EmbeddedConfig, EmbeddedLog};
    use crate::log::layer::LogLayer;
    use crate::log::{Headers, Session, SessionConfig, Topic};

    const PARTITION: TopicPartition = TopicPartition { topic: Topic::Products, partition: 0 };

    /// One record, then the marker of its transaction, then one of a transaction that was aborted, then nothing.
    struct Marked {
        positions: BTreeMap<TopicPartition, Offset>,
        ends: BTreeMap<TopicPartition, Offset>,
    }

    impl Reader for Marked {
        fn read(&mut self, _max_records: usize, _max_wait: Duration) -> LogFuture<'_, Vec<Record>> {
            Box::pin(async {
                let at = self.positions.entry(PARTITION).or_default();
                if *at == 3 {
                    std::future::pending::<()>().await;
                }
                *at += 1;
                let (key, value, headers) = (None, None, Headers::default());
                let record = Record { topic: Topic::Products, partition: 0, offset: 0, append_time_ms: 0, key, value, headers };
                Ok(if *at == 1 { vec![record] } else { Vec::new() })
            })
        }

        fn positions(&self) -> &BTreeMap<TopicPartition, Offset> {
            &self.positions
        }

        fn ends(&self) -> &BTreeMap<TopicPartition, Offset> {
            &self.ends
        }
    }

    /// Opened as often as asked, and never read: what a right to describe without one to read gives.
    struct UnreadableLog {
        positions: BTreeMap<TopicPartition, Offset>,
    }

    impl Reader for UnreadableLog {
        fn read(&mut self, _max_records: usize, _max_wait: Duration) -> LogFuture<'_, Vec<Record>> {
            Box::pin(async { Err(LogError::Unavailable("may not be read".to_owned())) })
        }

        fn positions(&self) -> &BTreeMap<TopicPartition, Offset> {
            &self.positions
        }

        fn ends(&self) -> &BTreeMap<TopicPartition, Offset> {
            &self.positions
        }
    }

    struct Forbidden {
        log: EmbeddedLog,
        opened: Arc<AtomicU32>,
    }

    impl LogLayer for Forbidden {
        fn beneath(&self) -> &dyn EventLog {
            &self.log
        }

        fn session(&self, config: SessionConfig) -> LogFuture<'_, Box<dyn Session>> {
            self.log.session(config)
        }

        fn reader(&self, from: &[(TopicPartition, Start)], _stop: Stop) -> LogFuture<'_, Box<dyn Reader>> {
            assert_eq!(from, [(PARTITION, Start::Offset(7))], "it goes on where it stood");
            self.opened.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(unreadable()) })
        }
    }

    fn unreadable() -> Box<dyn Reader> {
        Box::new(UnreadableLog { positions: [(PARTITION, 7)].into() })
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_be_opened_and_not_read_is_opened_again_ever_more_seldom() {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(EmbeddedConfig::new(folder.path(), 1), Clock::system()).await.unwrap();
        let opened = Arc::new(AtomicU32::new(0));
        let forbidden = Forbidden { log, opened: opened.clone() };
        let open: OpenReader = Box::new(|| Box::pin(async { Ok(unreadable()) }));
        let _follower = Follower::start(Arc::new(forbidden), open, Stop::Never, |_| Ok(()));
        tokio::time::sleep(BACKOFF_MAX * 4).await;
        let at_first = opened.load(Ordering::Relaxed);
        tokio::time::sleep(BACKOFF_MAX * 10).await;
        let later = opened.load(Ordering::Relaxed) - at_first;
        assert!((5..=10).contains(&at_first) && (9..=11).contains(&later), "{at_first}, then {later}");
    }

    #[tokio::test]
    async fn positions_beyond_the_last_record_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(EmbeddedConfig::new(folder.path(), 1), Clock::system()).await.unwrap();
        let open: OpenReader = Box::new(|| {
            let reader = Marked { positions: [(PARTITION, 0)].into(), ends: [(PARTITION, 2)].into() };
            Box::pin(async move { Ok(Box::new(reader) as Box<dyn Reader>) })
        });
        let (reported, mut chunks) = tokio::sync::mpsc::channel(CHUNKS_AHEAD);
        let deliver = move |followed| {
            // The test has ended.
            let _ = reported.try_send(followed);
            Ok(())
        };
        let _follower = Follower::start(Arc::new(log), open, Stop::Never, deliver);
        for expected in [(1, false, 1), (0, true, 2), (0, true, 3)] {
            let reported = tokio::time::timeout(Duration::from_secs(30), chunks.recv()).await;
            let Ok(Some(Followed::Chunk(chunk))) = reported else { panic!("the end is never reported") };
            assert_eq!((chunk.records.len(), chunk.caught_up, chunk.positions[&PARTITION]), expected);
        }
    }
}
