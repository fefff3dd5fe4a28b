//! Group commit: admit each write, insert all of them, commit once, then make them visible and answer.
//!
//! A write that is not admitted (fenced, unknown topic, …) fails alone and before anything of it is written. If the transaction
//! fails, nothing of any of them is in the log.

use rusqlite::{Connection, params};

use super::{Column, Write, Writer, reply};
use crate::domain::EpochMs;
use crate::log::embedded::{codec, schema, shelf};
use crate::log::partitioner::partition_of;
use crate::log::{Appended, LogError, NewRecord, PartitionId, Position, Record, TopicPartition};
use crate::wire::topics::Retention;

/// Bytes of a record, far beyond what any topic carries and far below what SQLite takes.
pub(in crate::log::embedded) const RECORD_LIMIT: usize = 64 << 20;
/// Bytes of a position's text, as the contract says.
const METADATA_LIMIT: usize = 4000;

impl Writer {
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

    /// Checks a write and gives each of its records a place, or leaves no trace.
    fn admit(&mut self, write: &Write, number: usize) -> Result<(), LogError> {
        self.check_member(write)?;
        for (at, position) in &write.batch.positions {
            self.shelves.get(*at)?;
            check_position(*at, position)?;
        }
        let spread = self.spread;
        let places: Result<Vec<_>, _> = write.batch.records.iter().map(|record| self.place(record)).collect();
        let places = places.inspect_err(|_| self.spread = spread)?;
        for (index, place) in places.into_iter().enumerate() {
            if let Some(column) = self.columns.get_mut(&place) {
                column.staged.push((number, index));
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

    fn place(&mut self, record: &NewRecord) -> Result<TopicPartition, LogError> {
        let count = record.topic.partitions().among(self.keyed);
        let partition = match (record.partition, &record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of(key, count),
            (None, None) => self.next_spread(count),
        };
        let at = TopicPartition::new(record.topic, partition);
        if !self.columns.contains_key(&at) {
            return Err(self.shelves.get(at).err().unwrap_or(LogError::Closed));
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
        for column in self.columns.values().filter(|column| !column.staged.is_empty()) {
            insert(&self.connection, column, writes, now_ms)?;
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
        for column in self.columns.values_mut().filter(|column| !column.staged.is_empty()) {
            let keep = column.shelf.is_followed();
            let mut records = Vec::with_capacity(if keep { column.staged.len() } else { 0 });
            for (write, index) in column.staged.drain(..) {
                let (at, offset) = (column.shelf.at, column.next);
                column.next += 1;
                if let Some(place) = answers[write].get_mut(index) {
                    *place = Appended { partition: at.partition, offset, append_time_ms: now_ms };
                }
                let record = take(&mut writes[write].batch.records[index], at, offset, now_ms);
                bytes += shelf::weight(&record);
                if keep {
                    records.push(record);
                }
            }
            column.peak_ms = column.peak_ms.max(now_ms);
            bytes += usize::try_from(schema::PAGE_BYTES).unwrap_or(0);
            fresh.push((std::sync::Arc::clone(&column.shelf), column.next, records));
        }
        self.shelves.publish(fresh);
        for (write, appended) in writes.into_iter().zip(answers) {
            reply(write.answer, Ok(appended));
        }
        self.unkept_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Takes the transaction back. Without room for all of a group there may be room for some of it.
    fn give_up(&mut self, writes: Vec<Write>, error: &LogError) {
        self.roll_back();
        if matches!(error, LogError::Full { .. }) && writes.len() > 1 {
            return writes.into_iter().for_each(|write| self.write_group(vec![write]));
        }
        if let Some(untold) = self.failures.is_told(error.kind()) {
            tracing::warn!(writes = writes.len(), %error, untold, "a commit to the event log failed");
        }
        for write in writes {
            reply(write.answer, Err(error.clone()));
        }
    }

    /// Ends a transaction that failed, if SQLite has not done so itself.
    pub(super) fn roll_back(&mut self) {
        self.columns.values_mut().for_each(|column| column.staged.clear());
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the event log cannot take a failed transaction back");
        }
    }
}

fn check_position(at: TopicPartition, position: &Position) -> Result<(), LogError> {
    if position.metadata.len() > METADATA_LIMIT {
        let bytes = position.metadata.len();
        return Err(LogError::Refused(format!("the text of the position of {at} has {bytes} bytes, more than {METADATA_LIMIT}")));
    }
    Ok(())
}

/// Inserts the staged records of a partition, and notes its new end.
fn insert(connection: &Connection, column: &Column, writes: &[Write], now_ms: EpochMs) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare_cached(&column.insert)?;
    let peak_ms = column.peak_ms.max(now_ms);
    let stepped_back = (peak_ms > now_ms).then_some(peak_ms);
    let mut headers = Vec::new();
    let mut next = column.next;
    for (write, index) in &column.staged {
        let record = &writes[*write].batch.records[*index];
        codec::encode(&record.headers, &mut headers);
        let headers = (!headers.is_empty()).then_some(&headers[..]);
        statement.execute(params![next, now_ms, stepped_back, record.key.as_deref(), headers, record.value.as_deref()])?;
        next += 1;
    }
    let update = "UPDATE partitions SET next = ?1, peak_ms = ?2 WHERE id = ?3";
    connection.prepare_cached(update)?.execute(params![next, peak_ms, column.shelf.id])?;
    Ok(())
}

fn set_position(connection: &Connection, group: &str, at: TopicPartition, position: &Position) -> Result<(), rusqlite::Error> {
    let upsert = "INSERT INTO positions VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET next = excluded.next, metadata = excluded.metadata";
    let values = params![group, at.topic.name(), at.partition, position.offset, position.metadata];
    connection.prepare_cached(upsert)?.execute(values).map(|_| ())
}

/// Room for the answer to an append; a commit's answer is empty.
fn appended_room(write: &Write) -> Vec<Appended> {
    let count = if write.member.is_none() { write.batch.records.len() } else { 0 };
    vec![Appended { partition: 0, offset: 0, append_time_ms: 0 }; count]
}

/// Makes the written record of a new one, whose parts are moved out.
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
