//! Moves the WAL into the file without ever keeping a commit waiting for somebody else's reader.
//!
//! A passive checkpoint waits for nobody and stops at the oldest read that is open. If that one belongs to a forgotten program, the
//! WAL grows until it ends: an alarm names who has the file open. Only when next to nothing is left is the writer asked to start the
//! WAL over.

use std::time::Duration;

use tokio::time::Instant;

use super::{CHECKPOINT_BYTES, Keeper, WAL_LIMIT_BYTES, unavailable};
use crate::log::LogError;
use crate::log::embedded::writer::Job;
use crate::log::embedded::{holders, schema};
use crate::telemetry::alarms::{About, Alarm, Cause};

/// Cause of the alarm.
/// A checkpoint that has not come further for so long is held: our own reads end within milliseconds.
const HELD_AFTER: Duration = Duration::from_secs(2);
/// Bytes that a held checkpoint leaves behind before it is worth a word.
const HELD_BYTES: u64 = 1 << 20;
/// Waits between two attempts to start the WAL over while somebody reads it.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// How the checkpoints went so far.
#[derive(Debug, Default)]
pub(in crate::log::embedded) struct Checkpoints {
    /// Since when the checkpoint has been at this page of the WAL.
    held: Option<(Instant, u64)>,
    /// The next attempt to start the WAL over, and the wait before it.
    retry: Option<(Instant, Duration)>,
}

/// What a passive checkpoint gives, in pages.
struct Passive {
    in_wal: u64,
    moved: u64,
}

impl Checkpoints {
    /// Whether the last checkpoint left much behind.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

impl Keeper {
    /// Moves what it can without stopping the writer; the writer is asked for the rest once the WAL is long and the rest short.
    pub(super) fn checkpoint(&mut self) -> Result<(), LogError> {
        if !self.guard.has_its_file() {
            return Ok(());
        }
        let passive = self.passive()?;
        let left_bytes = (passive.in_wal - passive.moved) * schema::PAGE_BYTES;
        self.judge(&passive, left_bytes);
        if passive.in_wal * schema::PAGE_BYTES > WAL_LIMIT_BYTES && left_bytes <= 2 * CHECKPOINT_BYTES {
            self.start_wal_over()?;
        }
        Ok(())
    }

    fn passive(&self) -> Result<Passive, LogError> {
        let pages = |number: i64| u64::try_from(number).unwrap_or(0);
        let result =
            self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((pages(row.get(1)?), pages(row.get(2)?))));
        self.guard.checkpointed(result.is_ok());
        let (in_wal, moved) = result.map_err(unavailable)?;
        Ok(Passive { in_wal, moved: moved.min(in_wal) })
    }

    /// Raises the alarm if somebody's read has held the checkpoint at one place, clears it if none does.
    fn judge(&mut self, passive: &Passive, left_bytes: u64) {
        let about = About::cause(Cause::LogHeld);
        if left_bytes < HELD_BYTES {
            self.checkpoints.held = None;
            return self.guard.alarms().clear(&about);
        }
        match self.checkpoints.held.filter(|(_, moved)| *moved == passive.moved) {
            None => self.checkpoints.held = Some((Instant::now(), passive.moved)),
            Some((since, _)) if since.elapsed() < HELD_AFTER => {}
            Some(_) => {
                let mb = (passive.in_wal * schema::PAGE_BYTES) >> 20;
                let text = format!(
                    "another program reads the event log and does not end: the file beside it has grown to {mb} MB and grows on. End \
                     its transaction, or close it"
                );
                let alarm = Alarm::warns(text).with_detail(holders::describe(self.guard.path()));
                self.guard.alarms().raise(about, alarm);
            }
        }
    }

    fn start_wal_over(&mut self) -> Result<(), LogError> {
        let now = Instant::now();
        let [first, longest] = BACKOFF;
        let wait = match self.checkpoints.retry {
            Some((at, _)) if now < at => return Ok(()),
            Some((_, wait)) => (wait * 2).min(longest),
            None => first,
        };
        let done = self.writer.ask(|answer| Job::StartWalOver { answer })?;
        self.checkpoints.retry = (!done).then(|| (now + wait, wait));
        Ok(())
    }
}
