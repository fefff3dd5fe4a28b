//! The session: polls and commits of one member of a group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::cursor::{PartitionCursor, PartitionsCursor};
use super::groups::Member;
use super::jobs::{Job, Write, WriterHandle};
use super::partition_tail::PartitionTail;
use super::reader::check_range;
use super::store::{Store, wait_for_changes};
use crate::log::{Assignment, Batch, LogError, LogFuture, PartitionId, Polled, Positions, Session, TopicPartition, deadline_of};
use crate::wire::topics::Topic;

/// A session of the embedded log.
#[derive(Debug)]
pub(super) struct EmbeddedSession {
    store: Arc<Store>,
    writer: WriterHandle,
    member: Arc<Member>,
    topics: Vec<Topic>,
    /// A commit ended with an unclear result, or a topic was deleted: the assignment is lost.
    lost: AtomicBool,
    assigned: Mutex<Option<PartitionsCursor>>,
}

impl EmbeddedSession {
    pub(super) fn new(store: Arc<Store>, writer: WriterHandle, member: Arc<Member>, topics: Vec<Topic>) -> Self {
        Self { store, writer, member, topics, lost: AtomicBool::new(false), assigned: Mutex::new(None) }
    }

    async fn next(&self, max_records: usize, max_wait: Duration) -> Result<Polled, LogError> {
        let deadline = deadline_of(max_wait);
        let mut changes = self.store.tails.changes();
        loop {
            changes.mark_unchanged();
            if let Some(polled) = self.poll_now(max_records).await? {
                return Ok(polled);
            }
            if !wait_for_changes(&mut changes, deadline).await {
                return Ok(Polled::Idle);
            }
        }
    }

    /// What there is now. The lock is not held while waiting for changes, so that a rewind gets through.
    async fn poll_now(&self, max_records: usize) -> Result<Option<Polled>, LogError> {
        let mut assigned = self.assigned.lock().await;
        self.member.check()?;
        let Some(cursor) = assigned.as_mut() else {
            if self.member.group.is_none() || !self.store.groups.is_next(&self.member) {
                return Ok(None);
            }
            let (cursor, assignments) = self.attach().await?;
            *assigned = Some(cursor);
            return Ok(Some(Polled::Assigned(assignments)));
        };
        if self.lost.swap(false, Ordering::AcqRel) || !self.store.groups.owns(&self.member) {
            let partitions = partitions_of(cursor);
            *assigned = None;
            return Ok(Some(Polled::Lost(partitions)));
        }
        let records = cursor.fetch(&self.store, max_records).await.inspect_err(|error| {
            if matches!(error, LogError::UnknownTopic(_)) {
                self.lost.store(true, Ordering::Release);
            }
        })?;
        Ok((!records.is_empty()).then_some(Polled::Records(records)))
    }

    /// Takes over the group's partitions, at the committed positions.
    async fn attach(&self) -> Result<(PartitionsCursor, Vec<Assignment>), LogError> {
        let member = Arc::clone(&self.member);
        let positions = self.writer.ask(|answer| Job::Attach { member, answer }).await?;
        self.lost.store(false, Ordering::Release);
        let tails = self.store.tails_of(&self.topics)?;
        let partitions = tails.into_iter().map(|tail| {
            let at = start_of(&tail, &positions)?;
            Ok(PartitionCursor::new(tail, at, None))
        });
        let cursor = PartitionsCursor::new(partitions.collect::<Result<_, LogError>>()?);
        let assignments = assignments(&cursor, &positions);
        Ok((cursor, assignments))
    }

    async fn write(&self, batch: Batch) -> Result<(), LogError> {
        self.member.check()?;
        let mut unclear = Unclear { lost: &self.lost, armed: true };
        let member = Some(Arc::clone(&self.member));
        let result = self.writer.ask(|answer| Job::Write(Write { member, batch, answer })).await;
        unclear.armed = result.as_ref().is_err_and(|error| {
            !matches!(
                error,
                LogError::Aborted(_)
                    | LogError::Full { .. }
                    | LogError::Unusable { .. }
                    | LogError::Fenced { .. }
                    | LogError::Closed
            )
        });
        result.map(drop)
    }

    async fn go_back(&self, partitions: &[PartitionId]) -> Result<(), LogError> {
        self.member.check()?;
        let mut assigned = self.assigned.lock().await;
        let (Some(cursor), Some(group)) = (assigned.as_mut(), &self.member.group) else { return Ok(()) };
        let positions = self.store.pool.committed(group).await?;
        for partition in cursor.partitions.iter_mut().filter(|partition| partitions.contains(&partition.tail.at.partition)) {
            partition.at = start_of(&partition.tail, &positions)?;
        }
        Ok(())
    }

    fn leave(&self) {
        self.store.groups.leave(&self.member);
        self.store.tails.announce();
    }
}

impl Session for EmbeddedSession {
    fn poll(&self, max_records: usize, max_wait: Duration) -> LogFuture<'_, Polled> {
        Box::pin(self.next(max_records, max_wait))
    }

    fn commit(&self, batch: Batch) -> LogFuture<'_, ()> {
        Box::pin(self.write(batch))
    }

    fn rewind(&self, partitions: &[PartitionId]) -> LogFuture<'_, ()> {
        let partitions = partitions.to_vec();
        Box::pin(async move { self.go_back(&partitions).await })
    }

    fn close(&self) -> LogFuture<'_, ()> {
        self.leave();
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Drop for EmbeddedSession {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Marks the assignment as lost if a commit is dropped half-way or ends with an unclear result.
struct Unclear<'a> {
    lost: &'a AtomicBool,
    armed: bool,
}

impl Drop for Unclear<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.lost.store(true, Ordering::Release);
        }
    }
}

/// The committed position, or the beginning.
fn start_of(tail: &PartitionTail, positions: &Positions) -> Result<i64, LogError> {
    positions.get(&tail.at).map_or(Ok(tail.start()), |position| check_range(tail, position.offset, tail.end()))
}

fn partitions_of(cursor: &PartitionsCursor) -> Vec<PartitionId> {
    let mut partitions: Vec<PartitionId> = cursor.partitions.iter().map(|partition| partition.tail.at.partition).collect();
    partitions.sort_unstable();
    partitions.dedup();
    partitions
}

fn assignments(cursor: &PartitionsCursor, positions: &Positions) -> Vec<Assignment> {
    let topics = |partition| {
        let places = cursor.partitions.iter().map(|partition| partition.tail.at).filter(move |at| at.partition == partition);
        places.filter_map(|at: TopicPartition| Some((at.topic, positions.get(&at)?.clone()))).collect::<BTreeMap<_, _>>()
    };
    partitions_of(cursor).into_iter().map(|partition| Assignment { partition, positions: topics(partition) }).collect()
}
