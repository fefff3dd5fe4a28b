//! Everything the writer does besides writing records: topics, sessions, housekeeping, checkpoints.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
use rusqlite::params;

use super::super::groups::Member;
use super::super::guard::Mode;
use super::super::jobs::Prune;
use super::super::{errors, holders, read_pool, schema};
use super::LogWriter;
use crate::log::{LogError, Positions, TopicPartition};
use crate::telemetry::alarms::{About, Alarm, Cause};
use crate::wire::topics::Topic;

/// How long to wait for readers of the WAL. Ours hold it for single queries; all commits would wait for a longer one.
const OWN_READERS: Duration = Duration::from_millis(20);

impl LogWriter {
    /// Makes those of these topics that are missing.
    pub(super) fn create(&mut self, topics: &[Topic]) -> Result<Vec<Topic>, LogError> {
        let mut missing: Vec<Topic> = topics.to_vec();
        missing.sort_unstable();
        missing.dedup();
        missing.retain(|topic| !self.partitions.contains_key(&TopicPartition::new(*topic, 0)));
        let keyed = self.keyed;
        self.change(|connection| {
            for topic in &missing {
                for partition in 0..topic.partitions().among(keyed) {
                    schema::create_partition(connection, TopicPartition::new(*topic, partition))?;
                }
            }
            Ok(())
        })?;
        self.reload()?;
        Ok(missing)
    }

    /// Deletes topics; a log that has none left becomes a new one, with another id.
    pub(super) fn delete(&mut self, topics: &[Topic]) -> Result<(), LogError> {
        let doomed: Vec<TopicPartition> = self.partitions.keys().copied().filter(|at| topics.contains(&at.topic)).collect();
        let is_reset = doomed.len() == self.partitions.len() && !doomed.is_empty();
        let new_id = schema::new_id();
        if is_reset {
            self.guard.expect_id(new_id.clone());
        }
        self.change(|connection| {
            doomed.iter().try_for_each(|at| schema::drop_partition(connection, *at))?;
            if is_reset {
                connection.execute("UPDATE meta SET value = ?1 WHERE name = 'id'", [&new_id])?;
            }
            Ok(())
        })?;
        self.reload()
    }

    /// Opens a session, and fences the older ones of its identity.
    pub(super) fn open(&mut self, identity: String, group: Option<String>) -> Result<Arc<Member>, LogError> {
        let epoch = self.change(|connection| {
            let upsert = "INSERT INTO identities (identity, epoch) VALUES (?1, 1)
                ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch";
            connection.query_row(upsert, [&identity], |row| row.get(0))
        })?;
        self.sessions += 1;
        let member = Arc::new(Member::new(identity, epoch, self.sessions, group));
        self.groups.join(&member);
        self.tails.announce();
        Ok(member)
    }

    /// Assigns the group's partitions to the member. The write also overwrites a commit whose result was unclear.
    pub(super) fn attach(&mut self, member: &Member) -> Result<Positions, LogError> {
        member.check()?;
        let changed = self.change(|connection| {
            let update = "UPDATE identities SET attached = attached + 1 WHERE identity = ?1 AND epoch = ?2";
            connection.execute(update, params![member.identity, member.epoch])
        })?;
        if changed == 0 {
            return Err(member.fenced());
        }
        self.groups.take_over(member);
        self.tails.announce();
        self.committed(member.group.as_deref().unwrap_or_default())
    }

    /// The positions that a group has committed.
    pub(super) fn committed(&self, group: &str) -> Result<Positions, LogError> {
        read_pool::committed(&self.connection, group).map_err(|error| self.failed(&error))
    }

    /// Clears up one slice.
    pub(super) fn prune(&mut self, prune: &Prune) -> Result<(), LogError> {
        let tail = match prune {
            Prune::Before(tail, _) | Prune::Records(tail, _) | Prune::Compacted(tail, _, _) => Arc::clone(tail),
        };
        if tail.is_gone() {
            return Ok(());
        }
        self.change(|connection| match prune {
            Prune::Before(tail, start) => {
                connection.prepare_cached(&format!("DELETE FROM {} WHERE \"offset\" < ?1", tail.table))?.execute([start])?;
                connection.prepare_cached("UPDATE partitions SET start = ?1 WHERE id = ?2")?.execute(params![start, tail.id])
            }
            Prune::Records(tail, offsets) => {
                let mut delete = connection.prepare_cached(&format!("DELETE FROM {} WHERE \"offset\" = ?1", tail.table))?;
                offsets.iter().try_fold(0, |count, offset| Ok(count + delete.execute([offset])?))
            }
            Prune::Compacted(tail, cleaned, live) => {
                let update = "UPDATE partitions SET cleaned = ?1, live = ?2 WHERE id = ?3";
                connection.prepare_cached(update)?.execute(params![cleaned, live, tail.id])
            }
        })?;
        if let Prune::Before(tail, start) = prune {
            tail.set_start(*start);
        }
        self.unkept_bytes += schema::PAGE_BYTES * 64; // about what a slice touches
        Ok(())
    }

    /// Moves the rest of the WAL into the file and starts it over, unless it has readers. Commits wait meanwhile, so it waits no
    /// longer than our own readers read. Returns whether it did.
    pub(super) fn start_wal_over(&mut self) -> Result<bool, LogError> {
        self.guard.check()?;
        let restart = |connection: &rusqlite::Connection| {
            connection.busy_timeout(OWN_READERS)?;
            let result = self.guard.checkpoint(connection, Mode::Restart);
            connection.busy_timeout(schema::BUSY)?;
            result
        };
        let moved = restart(&self.connection).map_err(|error| self.failed(&error))?;
        let done = moved.is_some_and(|moved| !moved.busy);
        if done {
            self.note_locked(false);
        }
        Ok(done)
    }

    /// Notes whether another program holds the lock, with an alarm that names it.
    pub(super) fn note_locked(&mut self, locked: bool) {
        if locked || self.locked {
            let alarm = locked.then(|| {
                let text =
                    "another program holds a lock on the event log, so nothing can be written: close that program, or end its \
                     transaction";
                Alarm::blocks(text).with_detail(holders::describe(self.guard.path()))
            });
            self.guard.alarms().set(About::cause(Cause::LogLocked), alarm);
            self.locked = locked;
        }
    }

    /// Notes whether the disk has room for what is written.
    pub(super) fn note_full(&mut self, full: bool) {
        if full || self.full {
            let text =
                "no space is left for the event log, so nothing can be written: free some space, and writing resumes by itself";
            let alarm = full.then(|| Alarm::blocks(text).with_detail(self.guard.path().display()));
            self.guard.alarms().set(About::cause(Cause::DiskFull), alarm);
            self.full = full;
        }
    }

    /// Begins a transaction, if the log may be written.
    pub(super) fn begin(&mut self) -> Result<(), LogError> {
        self.guard.check()?;
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE");
        self.note_locked(begun.as_ref().is_err_and(errors::is_busy));
        begun.map_err(|error| self.failed(&error))
    }

    /// Closes the file. If the file at the path is not ours, the WAL is not moved into it.
    pub(super) fn end(self) {
        let refuse = SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        if !self.guard.has_its_file()
            && let Err(error) = self.connection.set_db_config(refuse, true)
        {
            tracing::error!(%error, "the event log could not be closed without a checkpoint: its WAL may be moved into a file \
                                     that is not ours");
        }
    }

    /// Runs `change` in a transaction of its own.
    fn change<T>(&mut self, change: impl FnOnce(&rusqlite::Connection) -> Result<T, rusqlite::Error>) -> Result<T, LogError> {
        self.begin()?;
        let run = || {
            let value = change(&self.connection)?;
            self.connection.execute_batch("COMMIT")?;
            Ok(value)
        };
        run().map_err(|error| {
            self.roll_back();
            self.failed(&error)
        })
    }

    /// Loads the partitions after topics were made or deleted.
    fn reload(&mut self) -> Result<(), LogError> {
        let rows = schema::load_partitions(&self.connection).map_err(|error| self.failed(&error))?;
        self.tails.refresh(&rows);
        self.adopt(&rows);
        Ok(())
    }
}
