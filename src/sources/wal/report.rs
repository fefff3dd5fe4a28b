//! How the reader is doing: for `/readyz`, `/status`, metrics and `kartshoppe cdc status`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::server::Facts;
use crate::domain::EpochMs;
use crate::telemetry::alarms::{self, About, Alarms, Cause};
use crate::wire::topics::cdc_position::{CdcPosition, Lsn};

const ABOUT: About = About::cause(Cause::WalReader);
/// Lag is reported with this precision.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// What the reader is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// No reader runs in this process.
    Stopped,
    /// Connecting, or between two incarnations; the text is the last error, if there was one.
    Starting {
        error: Option<String>,
    },
    /// Another reader has the slot; this one takes over when it goes.
    WaitingForSlot {
        pid: Option<i32>,
    },
    /// Creating the slot and publishing the items that waited for it.
    FirstStart,
    Streaming,
    /// An operator must act first.
    Alarm {
        /// One of [`Alarm::KINDS`].
        kind: &'static str,
        /// What is wrong and what to do.
        text: String,
    },
}

/// The slot's state, whichever process reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SlotState {
    /// PostgreSQL was not queried yet, or did not answer the last query.
    Unknown,
    Missing,
    /// PostgreSQL has removed WAL that it needs.
    Lost,
    Unread,
    Read,
}

impl SlotState {
    pub const ALL: [Self; 5] = [Self::Unknown, Self::Missing, Self::Lost, Self::Unread, Self::Read];

    /// In one word, as labels write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Missing => "missing",
            Self::Lost => "lost",
            Self::Unread => "unread",
            Self::Read => "read",
        }
    }

    fn of(facts: &Facts) -> Self {
        match (facts.has_slot(), facts.slot_status.as_deref()) {
            (false, _) => Self::Missing,
            (true, Some("lost")) => Self::Lost,
            (true, _) if facts.is_slot_active() && facts.maker().is_none() => Self::Read,
            (true, _) => Self::Unread,
        }
    }
}

/// How the reader of this process is doing, and its slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalReport {
    pub phase: Phase,
    /// The stored position.
    pub position: Option<CdcPosition>,
    /// Rows published by this process.
    pub rows: u64,
    /// When the newest of them was committed in the database.
    pub newest_commit_ms: Option<EpochMs>,
    pub slot: SlotState,
    /// WAL that was written and is not published yet, in bytes; `None`: unknown.
    pub lag_bytes: Option<u64>,
    /// WAL that the slot makes PostgreSQL keep, in bytes.
    pub retained_bytes: Option<u64>,
    /// WAL that may still be written before PostgreSQL gives the slot up, in bytes; `None`: no limit.
    pub safe_bytes: Option<i64>,
    /// Since when some WAL has not been published.
    behind_since: Option<Instant>,
    /// When PostgreSQL last answered.
    measured_at: Option<Instant>,
}

impl WalReport {
    /// Whether orders are published, or a standby is ready to publish them.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Streaming | Phase::WaitingForSlot { .. })
    }

    /// Age of the oldest WAL that is not published. While PostgreSQL does not answer, it is unknown whether some has been
    /// written since it last did, so the time since then counts.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        let measured = self.measured_at?.elapsed();
        let behind = self.behind_since.map_or(Duration::ZERO, |since| since.elapsed());
        Some(if self.slot == SlotState::Unknown { behind.max(measured) } else { behind })
    }

    /// Whether PostgreSQL has answered within this time.
    pub(super) fn is_fresh(&self, within: Duration) -> bool {
        self.slot != SlotState::Unknown && self.measured_at.is_some_and(|at| at.elapsed() < within)
    }

    /// What is wrong and what to do; `None` if nothing is wrong.
    #[must_use]
    pub fn alarm(&self) -> Option<&str> {
        match &self.phase {
            Phase::Alarm { text, .. } => Some(text),
            Phase::Stopped | Phase::Starting { .. } | Phase::WaitingForSlot { .. } | Phase::FirstStart | Phase::Streaming => None,
        }
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
            Phase::Starting { error: Some(error) } => format!("the WAL reader is being restarted: {error}"),
            Phase::WaitingForSlot { pid: Some(pid) } => {
                format!("on standby: another reader has the slot (PostgreSQL process {pid})")
            }
            Phase::WaitingForSlot { pid: None } => "on standby: another reader has the slot".to_owned(),
            Phase::FirstStart => "creating the replication slot and publishing the items that waited for it".to_owned(),
            Phase::Streaming => "streaming".to_owned(),
            Phase::Alarm { text, .. } => text.clone(),
        }
    }
}

/// Where the reader keeps its report.
#[derive(Debug)]
pub(super) struct ReportCell {
    alarms: Alarms,
    report: watch::Sender<WalReport>,
    progress: Mutex<ReadProgress>,
}

/// How far the WAL was written at which time, and how far it was published.
#[derive(Debug, Default)]
struct ReadProgress {
    delivered: Lsn,
    written: VecDeque<(Lsn, Instant)>,
}

impl ReportCell {
    pub fn new(alarms: Alarms) -> Self {
        let stopped = WalReport {
            phase: Phase::Stopped,
            position: None,
            rows: 0,
            newest_commit_ms: None,
            slot: SlotState::Unknown,
            lag_bytes: None,
            retained_bytes: None,
            safe_bytes: None,
            behind_since: None,
            measured_at: None,
        };
        Self { alarms, report: watch::Sender::new(stopped), progress: Mutex::default() }
    }

    pub fn now(&self) -> WalReport {
        self.report.borrow().clone()
    }

    pub fn subscribe(&self) -> watch::Receiver<WalReport> {
        self.report.subscribe()
    }

    pub fn phase(&self, phase: Phase) {
        if matches!(phase, Phase::Stopped | Phase::WaitingForSlot { .. } | Phase::Streaming) {
            self.alarms.clear(&ABOUT);
        }
        self.report.send_if_modified(|report| {
            let is_news = report.phase != phase;
            report.phase = phase;
            is_news
        });
    }

    /// A new incarnation begins; an alarm stays until its cause is known to be gone.
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
        self.hindered(Phase::Starting { error: Some(error.to_owned()) });
    }

    pub fn waiting(&self, pid: Option<i32>) {
        self.phase(Phase::WaitingForSlot { pid });
    }

    /// Shows an alarm to operators.
    pub fn raise(&self, alarm: &Alarm) {
        let phase = Phase::Alarm { kind: alarm.kind(), text: alarm.to_string() };
        if self.report.borrow().phase != phase {
            // A different alarm is logged again.
            self.alarms.clear(&ABOUT);
        }
        self.hindered(phase);
    }

    fn hindered(&self, phase: Phase) {
        self.phase(phase);
        let text = "orders are not read from the WAL: `kartshoppe cdc status` says what to do";
        self.alarms.raise(ABOUT, alarms::Alarm::blocks(text).with_detail(self.report.borrow().sentence()));
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

    /// Everything before this position is published.
    pub fn delivered(&self, to: Lsn) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.delivered = progress.delivered.max(to);
    }

    /// PostgreSQL's answer about the slot, and how long the oldest item has waited for a reader, as far as is known.
    pub fn measured(&self, facts: &Facts, oldest: Duration) {
        let now = Instant::now();
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.confirmed(facts);
        let since = [progress.behind_since(facts.flushed(), now), now.checked_sub(oldest).filter(|_| !oldest.is_zero())];
        let lag_bytes = facts.has_slot().then(|| facts.flushed().0.saturating_sub(progress.delivered.0));
        drop(progress);
        self.report.send_modify(|report| {
            report.slot = SlotState::of(facts);
            report.lag_bytes = lag_bytes;
            report.retained_bytes = facts.retained_bytes();
            report.safe_bytes = facts.safe_bytes;
            report.behind_since = since.into_iter().flatten().min();
            report.measured_at = Some(now);
        });
    }

    /// PostgreSQL did not answer.
    pub fn unanswered(&self) {
        self.report.send_modify(|report| {
            report.slot = SlotState::Unknown;
            report.measured_at.get_or_insert_with(Instant::now);
        });
    }
}

impl ReadProgress {
    /// What was acknowledged to the slot is published. A slot without a reader sends everything after that again.
    fn confirmed(&mut self, facts: &Facts) {
        let confirmed = facts.confirmed().unwrap_or_default();
        self.delivered = if facts.is_slot_active() { self.delivered.max(confirmed) } else { confirmed };
    }

    /// Since when there is WAL that is known to be unpublished.
    fn behind_since(&mut self, written: Lsn, now: Instant) -> Option<Instant> {
        if self.written.back().is_none_or(|(to, at)| *to < written && now.duration_since(*at) >= SAMPLE_EVERY) {
            self.written.push_back((written, now));
        }
        while self.written.front().is_some_and(|(to, _)| *to <= self.delivered) {
            self.written.pop_front();
        }
        self.written.front().map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lag_is_the_age_of_the_oldest_wal_that_has_not_come_through() {
        let mut progress = ReadProgress::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(progress.behind_since(Lsn(100), start), Some(start));
        assert_eq!(progress.behind_since(Lsn(300), after(2)), Some(start));
        progress.delivered = Lsn(200);
        assert_eq!(progress.behind_since(Lsn(300), after(3)), Some(after(2)));
        progress.delivered = Lsn(300);
        assert_eq!(progress.behind_since(Lsn(300), after(4)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn lag_grows_while_postgresql_does_not_answer() {
        let cell = ReportCell::new(Alarms::default());
        assert_eq!(cell.now().lag(), None, "nothing was measured yet");
        let facts = |active, confirmed: &str| Facts {
            slot_active: Some(active),
            confirmed: Some(confirmed.to_owned()),
            flushed: Some("0/100".to_owned()),
            ..super::super::server::tests::sound()
        };
        cell.measured(&facts(true, "0/100"), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!((cell.now().lag(), cell.now().lag_bytes, cell.now().slot), (Some(Duration::ZERO), Some(0), SlotState::Read));
        cell.unanswered();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!((cell.now().lag(), cell.now().slot), (Some(Duration::from_secs(5)), SlotState::Unknown));
        // An item waits for longer than the slot was measured.
        cell.measured(&facts(false, "0/40"), Duration::from_secs(4));
        tokio::time::advance(Duration::from_secs(1)).await;
        let report = cell.now();
        assert_eq!((report.lag(), report.lag_bytes, report.slot), (Some(Duration::from_secs(5)), Some(0xc0), SlotState::Unread));
    }
}
