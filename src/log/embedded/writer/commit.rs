//! Group commit: admit each write, insert all of them, commit once, then make them visible and answer.
//!
//! A write that is not admitted (fenced, unknown topic, …) fails alone, before any of its records is written. If the transaction
//! fails, none of the writes is in the log.

use rusqlite::{Connection, params};

use super::super::jobs::{RECORD_LIMIT, Write};
use super::super::{codec, partition_tail, schema};
use super::{LogWriter, PartitionWriter, reply};
use crate::domain::EpochMs;
use crate::log::partitioner::partition_of;
use crate::log::{Appended, LogError, NewRecord, PartitionId, Position, Record, TopicPartition};
use crate::wire::topics::Retention;

/// Bytes of a position's metadata, as the contract says.
const METADATA_LIMIT: usize = 4000;

impl LogWriter {
    /// Writes a group of writes in one transaction and answers each.
    pub(super) fn write_group(&mut self, group: Vec<Write>) {
        let now_ms = self.clock.now_ms();
        let mut admitted = Vec::with_capacity(group.len());
        let begun = self.begin();
        for write in group {
            match begun.clone().and_then(|()| self.admit(&write, admitted.len())) {
                Ok(()) => admitted.push(write),
                Err(refusal) => {
                    reply(write.answer, Err(refusal));
                }
            }
        }
        let written = begun.and_then(|()| self.insert_and_commit(&admitted, now_ms).map_err(|error| self.failed(&error)));
        self.note_full(matches!(written, Err(LogError::Full { .. })));
        match written {
            Ok(()) => self.publish(admitted, now_ms),
            Err(error) => self.give_up(admitted, &error),
        }
    }

    /// Checks a write and stages each of its records in a partition, or changes nothing.
    fn admit(&mut self, write: &Write, number: usize) -> Result<(), LogError> {
        self.check_member(write)?;
        for (at, position) in &write.batch.positions {
            self.tails.get(*at)?;
            check_position(*at, position)?;
        }
        let spread = self.spread;
        let places: Result<Vec<_>, _> = write.batch.records.iter().map(|record| self.partition_for(record)).collect();
        let places = places.inspect_err(|_| self.spread = spread)?;
        for (index, place) in places.into_iter().enumerate() {
            if let Some(partition) = self.partitions.get_mut(&place) {
                partition.staged.push((number, index));
            }
        }
        Ok(())
    }

    fn check_member(&self, write: &Write) -> Result<(), LogError> {
        let Some(member) = &write.member else { return Ok(()) };
        member.check()?;
        let epoch = schema::epoch_of(&self.connection, &member.identity).map_err(|error| self.failed(&error))?;
        if epoch != Some(member.epoch) {
            return Err(member.fenced());
        }
        match &member.group {
            None if !write.batch.positions.is_empty() => {
                Err(LogError::Refused(format!("session {} has no group and cannot commit positions", member.identity)))
            }
            Some(group) if !self.groups.owns(member) => {
                Err(LogError::Aborted(format!("the partitions of group {group} are not assigned to session {}", member.identity)))
            }
            _ => Ok(()),
        }
    }

    fn partition_for(&mut self, record: &NewRecord) -> Result<TopicPartition, LogError> {
        let count = record.topic.partitions().among(self.keyed);
        let partition = match (record.partition, &record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of(key, count),
            (None, None) => self.next_spread(count),
        };
        let at = TopicPartition::new(record.topic, partition);
        if !self.partitions.contains_key(&at) {
            return Err(self.tails.get(at).err().unwrap_or(LogError::Closed));
        }
        if record.key.is_none() && record.topic.retention() == Retention::Compacted {
            return Err(LogError::Refused(format!(
                "a record without a key cannot be written to {}, which is compacted",
                record.topic
            )));
        }
        let bytes = record.key.as_ref().map_or(0, bytes::Bytes::len) + record.value.as_ref().map_or(0, bytes::Bytes::len);
        if bytes > RECORD_LIMIT {
            return Err(LogError::Refused(format!(
                "a record of {bytes} bytes is too large for {}: the limit is {RECORD_LIMIT}",
                record.topic
            )));
        }
        Ok(at)
    }

    fn next_spread(&mut self, count: PartitionId) -> PartitionId {
        self.spread = self.spread.wrapping_add(1) & PartitionId::MAX;
        self.spread % count.max(1)
    }

    fn insert_and_commit(&self, writes: &[Write], now_ms: EpochMs) -> Result<(), rusqlite::Error> {
        for partition in self.partitions.values().filter(|partition| !partition.staged.is_empty()) {
            insert(&self.connection, partition, writes, now_ms)?;
        }
        for write in writes {
            let Some(group) = write.member.as_ref().and_then(|member| member.group.as_ref()) else { continue };
            for (at, position) in &write.batch.positions {
                set_position(&self.connection, group, *at, position)?;
            }
        }
        self.connection.execute_batch("COMMIT")
    }

    /// Moves the ends, shows the records to followers, and answers.
    fn publish(&mut self, mut writes: Vec<Write>, now_ms: EpochMs) {
        let mut answers: Vec<Vec<Appended>> = writes.iter().map(appended_room).collect();
        let mut bytes = 0;
        let mut fresh = Vec::new();
        for partition in self.partitions.values_mut().filter(|partition| !partition.staged.is_empty()) {
            let keep = partition.tail.is_followed();
            let mut records = Vec::with_capacity(if keep { partition.staged.len() } else { 0 });
            for (write, index) in partition.staged.drain(..) {
                let (at, offset) = (partition.tail.at, partition.next);
                partition.next += 1;
                if let Some(place) = answers[write].get_mut(index) {
                    *place = Appended { partition: at.partition, offset, append_time_ms: now_ms };
                }
                let record = take(&mut writes[write].batch.records[index], at, offset, now_ms);
                bytes += partition_tail::weight(&record);
                if keep {
                    records.push(record);
                }
            }
            partition.peak_ms = partition.peak_ms.max(now_ms);
            bytes += usize::try_from(schema::PAGE_BYTES).unwrap_or(0);
            fresh.push((std::sync::Arc::clone(&partition.tail), partition.next, records));
        }
        self.tails.publish(fresh);
        for (write, appended) in writes.into_iter().zip(answers) {
            reply(write.answer, Ok(appended));
        }
        self.unkept_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Rolls the transaction back. On a full disk there may still be room for some of the writes.
    fn give_up(&mut self, writes: Vec<Write>, error: &LogError) {
        self.roll_back();
        if matches!(error, LogError::Full { .. }) && writes.len() > 1 {
            return writes.into_iter().for_each(|write| self.write_group(vec![write]));
        }
        if let Some(untold) = self.failures.due(error.kind()) {
            tracing::warn!(writes = writes.len(), %error, untold, "a commit to the event log failed");
        }
        for write in writes {
            reply(write.answer, Err(error.clone()));
        }
    }

    /// Ends a failed transaction, unless SQLite has done so itself.
    pub(super) fn roll_back(&mut self) {
        self.partitions.values_mut().for_each(|partition| partition.staged.clear());
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the event log cannot roll back a failed transaction");
        }
    }
}

fn check_position(at: TopicPartition, position: &Position) -> Result<(), LogError> {
    if position.metadata.len() > METADATA_LIMIT {
        let bytes = position.metadata.len();
        return Err(LogError::Refused(format!(
            "the metadata of the position of {at} has {bytes} bytes; the limit is {METADATA_LIMIT}"
        )));
    }
    Ok(())
}

/// Inserts the staged records of a partition, and notes its new end.
fn insert(
    connection: &Connection,
    partition: &PartitionWriter,
    writes: &[Write],
    now_ms: EpochMs,
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare_cached(&partition.insert)?;
    let peak_ms = partition.peak_ms.max(now_ms);
    let stepped_back = (peak_ms > now_ms).then_some(peak_ms);
    let mut headers = Vec::new();
    let mut next = partition.next;
    for (write, index) in &partition.staged {
        let record = &writes[*write].batch.records[*index];
        codec::encode(&record.headers, &mut headers);
        let headers = (!headers.is_empty()).then_some(&headers[..]);
        statement.execute(params![next, now_ms, stepped_back, record.key.as_deref(), headers, record.value.as_deref()])?;
        next += 1;
    }
    let update = "UPDATE partitions SET next = ?1, peak_ms = ?2 WHERE id = ?3";
    connection.prepare_cached(update)?.execute(params![next, peak_ms, partition.tail.id])?;
    Ok(())
}

fn set_position(connection: &Connection, group: &str, at: TopicPartition, position: &Position) -> Result<(), rusqlite::Error> {
    let upsert = "INSERT INTO positions VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET next = excluded.next, metadata = excluded.metadata";
    let values = params![group, at.topic.name(), at.partition, position.offset, position.metadata];
    connection.prepare_cached(upsert)?.execute(values).map(|_| ())
}

/// An answer to be filled in: one entry per record of an append, none for a commit.
fn appended_room(write: &Write) -> Vec<Appended> {
    let count = if write.member.is_none() { write.batch.records.len() } else { 0 };
    vec![Appended { partition: 0, offset: 0, append_time_ms: 0 }; count]
}

/// Makes the written record of a new one, by moving its parts.
fn take(new: &mut NewRecord, at: TopicPartition, offset: i64, append_time_ms: EpochMs) -> Record {
    let headers = std::mem::take(&mut new.headers);
    Record {
        topic: at.topic,
        partition: at.partition,
        offset,
        append_time_ms,
        key: new.key.take(),
        value: new.value.take(),
        headers,
    }
}
