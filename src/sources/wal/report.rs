//! How the reader is doing: for `/readyz`, `/status`, metrics and `kartshoppe cdc status`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::server::Facts;
use crate::domain::EpochMs;
use crate::wire::cdc_position::{CdcPosition, Lsn};

/// Lag is told with this precision.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// What the reader is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "phase", content = "detail")]
pub enum Phase {
    /// Nobody runs in this process.
    Stopped,
    /// Connecting, or between two lives; the text is the last error, if there was one.
    Starting {
        error: Option<String>,
    },
    /// Another reader has the slot; this one takes over when it goes.
    WaitingForSlot {
        pid: Option<i32>,
    },
    /// Making the slot and publishing what waited.
    FirstStart,
    Streaming,
    /// Something must be put right first.
    Alarm {
        /// One of [`Alarm::KINDS`].
        kind: &'static str,
        /// What is wrong and what to do.
        text: String,
    },
}

/// How the reader of this process is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WalReport {
    #[serde(flatten)]
    pub phase: Phase,
    /// The stored position.
    pub position: Option<CdcPosition>,
    /// Rows published by this process.
    pub rows: u64,
    /// When the newest of them was committed in the database.
    pub newest_commit_ms: Option<EpochMs>,
    /// WAL that was written and has not come through, in bytes.
    pub lag_bytes: u64,
    /// Age of the oldest of it, in milliseconds.
    pub lag_ms: u64,
    /// WAL that the slot makes PostgreSQL keep, in bytes.
    pub retained_bytes: u64,
    /// WAL that may still be written before PostgreSQL gives the slot up, in bytes; `None`: no limit.
    pub safe_bytes: Option<i64>,
}

impl WalReport {
    /// Whether orders come through, or a stand-by is ready to let them.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Streaming | Phase::WaitingForSlot { .. })
    }

    /// What is wrong and what to do, if something is.
    #[must_use]
    pub fn alarm(&self) -> Option<&str> {
        match &self.phase {
            Phase::Alarm { text, .. } => Some(text),
            Phase::Stopped | Phase::Starting { .. } | Phase::WaitingForSlot { .. } | Phase::FirstStart | Phase::Streaming => None,
        }
    }

    /// Why this process is not ready as far as its reader is concerned; a reader that was not started keeps nobody from being ready.
    #[must_use]
    pub fn hindrance(&self) -> Option<String> {
        let is_fine = self.is_ready() || self.phase == Phase::Stopped;
        (!is_fine).then(|| self.sentence())
    }

    /// In one word, as labels write it.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self.phase {
            Phase::Stopped => "stopped",
            Phase::Starting { .. } => "starting",
            Phase::WaitingForSlot { .. } => "waiting",
            Phase::FirstStart => "first-start",
            Phase::Streaming => "streaming",
            Phase::Alarm { .. } => "alarm",
        }
    }

    /// In one line, for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.phase {
            Phase::Stopped => "the WAL reader is stopped".to_owned(),
            Phase::Starting { error: None } => "the WAL reader is starting".to_owned(),
            Phase::Starting { error: Some(error) } => format!("the WAL reader starts again: {error}"),
            Phase::WaitingForSlot { pid: Some(pid) } => format!("standing by: PostgreSQL process {pid} serves another reader"),
            Phase::WaitingForSlot { pid: None } => "standing by: another reader has the slot".to_owned(),
            Phase::FirstStart => "making the replication slot and publishing what waited".to_owned(),
            Phase::Streaming => "streaming".to_owned(),
            Phase::Alarm { text, .. } => text.clone(),
        }
    }
}

/// Where the reader keeps its report.
#[derive(Debug)]
pub(super) struct ReportCell {
    report: watch::Sender<WalReport>,
    progress: Mutex<Progress>,
}

/// How far the WAL was written when, and how far it came through.
#[derive(Debug, Default)]
struct Progress {
    delivered: Lsn,
    written: VecDeque<(Lsn, Instant)>,
}

impl ReportCell {
    pub fn new() -> Self {
        let stopped = WalReport {
            phase: Phase::Stopped,
            position: None,
            rows: 0,
            newest_commit_ms: None,
            lag_bytes: 0,
            lag_ms: 0,
            retained_bytes: 0,
            safe_bytes: None,
        };
        Self { report: watch::Sender::new(stopped), progress: Mutex::default() }
    }

    pub fn subscribe(&self) -> watch::Receiver<WalReport> {
        self.report.subscribe()
    }

    pub fn phase(&self, phase: Phase) {
        self.report.send_if_modified(|report| {
            let is_news = report.phase != phase;
            report.phase = phase;
            is_news
        });
    }

    /// A new life begins; an alarm stays until it is proved gone.
    pub fn starting(&self) {
        self.report.send_if_modified(|report| {
            let is_news = matches!(report.phase, Phase::Stopped);
            if is_news {
                report.phase = Phase::Starting { error: None };
            }
            is_news
        });
    }

    pub fn failed(&self, error: &str) {
        self.phase(Phase::Starting { error: Some(error.to_owned()) });
    }

    pub fn waiting(&self, pid: Option<i32>) {
        self.phase(Phase::WaitingForSlot { pid });
    }

    /// Shows an alarm; it is logged when it is new.
    pub fn raise(&self, alarm: &Alarm) {
        let phase = Phase::Alarm { kind: alarm.kind(), text: alarm.to_string() };
        if self.report.borrow().phase != phase {
            tracing::error!(alarm = %alarm, "orders are not read from the WAL");
        }
        self.phase(phase);
    }

    pub fn streaming(&self, position: &CdcPosition) {
        self.stored(position);
        self.phase(Phase::Streaming);
    }

    pub fn stored(&self, position: &CdcPosition) {
        self.delivered(position.resume_lsn);
        self.report.send_modify(|report| report.position = Some(position.clone()));
    }

    pub fn published(&self, rows: usize, newest_commit_ms: Option<EpochMs>) {
        if rows > 0 {
            self.report.send_modify(|report| {
                report.rows += rows as u64;
                report.newest_commit_ms = newest_commit_ms.or(report.newest_commit_ms);
            });
        }
    }

    /// Everything below has come through.
    pub fn delivered(&self, to: Lsn) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.delivered = progress.delivered.max(to);
    }

    pub fn measured(&self, facts: &Facts) {
        let (lag_bytes, lag) = self.progress.lock().unwrap_or_else(PoisonError::into_inner).lag(facts.flushed(), Instant::now());
        self.report.send_modify(|report| {
            report.lag_bytes = lag_bytes;
            report.lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
            report.retained_bytes = facts.retained_bytes().unwrap_or_default();
            report.safe_bytes = facts.safe_bytes;
        });
    }
}

impl Progress {
    /// Bytes that have not come through, and for how long the oldest of them are known.
    fn lag(&mut self, written: Lsn, now: Instant) -> (u64, Duration) {
        if self.written.back().is_none_or(|(to, at)| *to < written && now.duration_since(*at) >= SAMPLE_EVERY) {
            self.written.push_back((written, now));
        }
        while self.written.front().is_some_and(|(to, _)| *to <= self.delivered) {
            self.written.pop_front();
        }
        let lag = self.written.front().map_or(Duration::ZERO, |(_, at)| now.duration_since(*at));
        (written.0.saturating_sub(self.delivered.0), lag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lag_is_the_age_of_the_oldest_wal_that_has_not_come_through() {
        let mut progress = Progress::default();
        let start = Instant::now();
        assert_eq!(progress.lag(Lsn(100), start), (100, Duration::ZERO));
        assert_eq!(progress.lag(Lsn(300), start + Duration::from_secs(2)), (300, Duration::from_secs(2)));
        progress.delivered = Lsn(200);
        assert_eq!(progress.lag(Lsn(300), start + Duration::from_secs(3)), (100, Duration::from_secs(1)));
        progress.delivered = Lsn(300);
        assert_eq!(progress.lag(Lsn(300), start + Duration::from_secs(4)), (0, Duration::ZERO));
    }
}
