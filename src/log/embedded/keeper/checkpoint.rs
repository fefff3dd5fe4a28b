//! Moves the WAL into the file without ever making a commit wait for another program's reader.
//!
//! A passive checkpoint never waits, and stops at the oldest open read. If that read belongs to a forgotten program, the WAL
//! grows until it ends, and an alarm names the programs that have the file open. The writer is asked to start the WAL over only
//! when next to nothing is left in it.

use std::time::Duration;

use tokio::time::Instant;

use super::super::guard::{Mode, Moved};
use super::super::holders;
use super::super::jobs::Job;
use super::super::schema::{CHECKPOINT_BYTES, PAGE_BYTES, WAL_LIMIT_BYTES};
use super::tools::{Tools, unavailable};
use crate::log::LogError;
use crate::telemetry::alarms::{About, Alarm, Cause};

/// A checkpoint that has made no progress for this long is held by another program: our own reads end within milliseconds.
const HELD_AFTER: Duration = Duration::from_secs(2);
/// Bytes that a held checkpoint may leave behind before it raises the alarm.
const HELD_BYTES: u64 = 1 << 20;
/// Waits between two attempts to start the WAL over while it has readers.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// How the checkpoints went so far.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    /// Since when the checkpoint has stood at this page of the WAL.
    held: Option<(Instant, u64)>,
    /// The next attempt to start the WAL over, and the wait before it.
    retry: Option<(Instant, Duration)>,
}

impl Checkpoints {
    /// Whether the last checkpoint left much behind.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Moves what it can without stopping the writer; the writer is asked for the rest once the WAL is long and the rest short.
    pub(super) fn run(&mut self, tools: &Tools) -> Result<(), LogError> {
        let done = tools.guard.checkpoint(&tools.connection, Mode::Passive).map_err(unavailable)?;
        let Some(passive) = done else { return Ok(()) };
        let left_bytes = passive.in_wal.saturating_sub(passive.moved) * PAGE_BYTES;
        self.note_progress(tools, &passive, left_bytes);
        if passive.in_wal * PAGE_BYTES > WAL_LIMIT_BYTES && left_bytes <= 2 * CHECKPOINT_BYTES {
            self.start_wal_over(tools)?;
        }
        Ok(())
    }

    /// Raises the alarm if a read has held the checkpoint at one page for too long, clears it if none does.
    fn note_progress(&mut self, tools: &Tools, passive: &Moved, left_bytes: u64) {
        let about = About::cause(Cause::LogHeld);
        if left_bytes < HELD_BYTES {
            self.held = None;
            return tools.guard.alarms().clear(&about);
        }
        match self.held.filter(|(_, moved)| *moved == passive.moved) {
            None => self.held = Some((Instant::now(), passive.moved)),
            Some((since, _)) if since.elapsed() < HELD_AFTER => {}
            Some(_) => {
                let mb = (passive.in_wal * PAGE_BYTES) >> 20;
                let text = format!(
                    "another program keeps a read of the event log open, so the WAL file beside the log has grown to {mb} MB and \
                     keeps growing. End its transaction, or close that program"
                );
                let alarm = Alarm::warns(text).with_detail(holders::describe(tools.guard.path()));
                tools.guard.alarms().raise(about, alarm);
            }
        }
    }

    fn start_wal_over(&mut self, tools: &Tools) -> Result<(), LogError> {
        let now = Instant::now();
        let [first, longest] = BACKOFF;
        let wait = match self.retry {
            Some((at, _)) if now < at => return Ok(()),
            Some((_, wait)) => (wait * 2).min(longest),
            None => first,
        };
        let done = tools.writer.ask(|answer| Job::StartWalOver { answer })?;
        self.retry = (!done).then(|| (now + wait, wait));
        Ok(())
    }
}
