//! What is wrong with Kafka, as far as its clients say: they only tell it in passing, so it is written down here.
//!
//! A wrong password, an unknown certificate or a broker that is down never fail a call with their reason: the call just times out. The
//! reason comes as an event of the client. [`Board`] keeps the last one, puts it into the errors of calls that fail meanwhile, and says
//! it to whoever asks why the process is not ready.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::Instant;

use super::super::{LogError, Setbacks};
use super::options::SESSION_TIMEOUT;
use super::rights::Lack;
use super::unreadable::{Unreadable, is_unreadable};
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// A broker that comes back has read its past and met all its members again by then.
const EXCUSED_FOR: Duration = Duration::from_secs(60);

/// Member and writer of one session are refused over the same absence within this time: the session begins anew after it.
const SAME_REFUSAL: Duration = Duration::from_secs(5);

/// The last trouble of this process's clients, what the log must not be used with, and what its sessions went through.
#[derive(Debug, Default)]
pub(super) struct Board {
    notes: Mutex<Notes>,
    renewed: AtomicU64,
    fenced: AtomicU64,
    standstills: AtomicU64,
    /// Of the process.
    pub alarms: Alarms,
    pub unreadable: Unreadable,
    /// Bytes of a record that the topics take; 0 where that is not known.
    record_limit: AtomicUsize,
}

#[derive(Debug, Default)]
struct Notes {
    last: Option<(RDKafkaErrorCode, String)>,
    refusal: Option<String>,
    lacks: BTreeSet<Lack>,
    lost: Option<String>,
    standstill: Option<String>,
    /// When a broker last could not be reached.
    unreached: Option<Instant>,
    /// When this process came back from being away itself.
    away: Option<Instant>,
    /// When a member or writer was last excused for that: whoever asks about the same refusal gets the same answer.
    excused: Option<Instant>,
    /// When a member of a group last looked at what there is.
    looked: Option<Instant>,
    /// Groups of this process's sessions, without prefix.
    groups: BTreeSet<String>,
    /// Members of these that are none of ours, when they were last looked for.
    strangers: Vec<String>,
}

impl Notes {
    /// A process that was frozen for longer than its group waits was away as much as a broker that went.
    fn look(&mut self) {
        let now = Instant::now();
        let looked = self.looked.replace(now);
        if looked.is_some_and(|before| now.duration_since(before) > SESSION_TIMEOUT) {
            (self.away, self.excused) = (Some(now), None);
        }
    }
}

impl Board {
    pub fn new(alarms: Alarms) -> Self {
        Self { alarms, ..Self::default() }
    }

    /// The topics take records of at most so many bytes.
    pub fn limit_records(&self, limit: usize) {
        self.record_limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes of a record that every topic takes, as far as is known.
    pub fn record_limit(&self) -> usize {
        match self.record_limit.load(Ordering::Relaxed) {
            0 => usize::MAX,
            limit => limit,
        }
    }

    /// A commit was refused, and would be again: why, or that one has succeeded.
    pub fn commit_refused(&self, why: Option<&str>) {
        let alarm = why.map(|why| Alarm::blocks(format!("Kafka refuses what the shop commits: {why}")));
        self.alarms.set(About::cause(Cause::CommitRefused), alarm);
    }

    /// A session of this process is a member of this group.
    pub fn joins(&self, group: &str) {
        self.notes().groups.insert(group.to_owned());
    }

    pub fn groups(&self) -> BTreeSet<String> {
        self.notes().groups.clone()
    }

    /// These members of our groups are none of ours. The last ones stay known when they are gone: what they did is found later.
    pub fn met(&self, strangers: Vec<String>) {
        if !strangers.is_empty() {
            self.notes().strangers = strangers;
        }
    }

    /// The members of others that were last seen in our groups.
    pub fn strangers(&self) -> Vec<String> {
        self.notes().strangers.clone()
    }

    /// A client said what its trouble is. That all brokers are down only repeats the reason that came before it, and the end of a
    /// partition, which a reader that is closed still tells, is none. A record that
    /// cannot be read has an alarm of its own.
    pub fn note(&self, code: RDKafkaErrorCode, text: &str) {
        if matches!(code, RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::PartitionEOF) || is_unreadable(code) {
            return;
        }
        let mut notes = self.notes();
        if code == RDKafkaErrorCode::BrokerTransportFailure {
            notes.unreached = Some(Instant::now());
        }
        let text = text.split(" (after ").next().unwrap_or(text);
        if notes.last.as_ref().is_none_or(|(_, known)| known != text) {
            tracing::warn!(error.code = ?code, error = text, "trouble with Kafka");
            notes.last = Some((code, text.to_owned()));
        }
    }

    /// A broker has answered: what was, is over.
    pub fn answered(&self) {
        let mut notes = self.notes();
        if let Some((_, text)) = notes.last.take() {
            tracing::info!(before = text, "Kafka answers");
        }
    }

    /// The log must not be used as it is; `None` when it may again.
    pub fn refuse(&self, reason: Option<String>) {
        let mut notes = self.notes();
        if notes.refusal != reason {
            match &reason {
                Some(reason) => tracing::error!(reason, "the event log is refused"),
                None => tracing::info!("the event log can be used again"),
            }
            notes.refusal = reason;
        }
    }

    /// A member of a group looks at what there is, which it does many times a second.
    pub fn look(&self) {
        self.notes().look();
    }

    /// Whether a member that is refused as if another process had its name may have met its own earlier life. A broker that comes back
    /// answers while it still reads its past, where that life goes on changing: it excuses for a while. A process that was away is
    /// excused once: its member and its writer are refused over the same absence, at about the same time. A later refusal is a rival's.
    pub fn excuses(&self) -> bool {
        let mut notes = self.notes();
        if notes.looked.is_some() {
            notes.look();
        }
        let is_recent = |at: Instant| at.elapsed() < EXCUSED_FOR;
        if notes.unreached.is_some_and(is_recent) {
            return true;
        }
        if !notes.away.is_some_and(is_recent) {
            return false;
        }
        notes.excused.get_or_insert_with(Instant::now).elapsed() < SAME_REFUSAL
    }

    /// A partition stands still, and why; `None` when all move.
    pub fn stands_still(&self, reason: Option<String>) {
        let mut notes = self.notes();
        if notes.standstill != reason {
            match &reason {
                Some(reason) => {
                    tracing::error!(reason, "the event log stands still");
                    self.standstills.fetch_add(1, Ordering::Relaxed);
                }
                None => tracing::info!("the event log moves again"),
            }
            notes.standstill = reason;
        }
    }

    /// How often a partition was found to stand still: what holds it back may be ours, so whoever writes begins anew, and decides it.
    pub fn standstills(&self) -> u64 {
        self.standstills.load(Ordering::Relaxed)
    }

    /// Why the log must not be used, if so.
    pub fn refusal(&self) -> Option<LogError> {
        self.notes().refusal.clone().map(LogError::Refused)
    }

    /// A client was refused for want of this right.
    pub fn lack(&self, lack: Lack) -> LogError {
        let text = lack.to_string();
        if self.notes().lacks.insert(lack) {
            tracing::error!(reason = text, "a right is missing");
        }
        LogError::Refused(text)
    }

    /// The right is there.
    pub fn granted(&self, lack: &Lack) {
        if self.notes().lacks.remove(lack) {
            tracing::info!(before = %lack, "a right was granted");
        }
    }

    /// A group's position cannot be gone on from; `None` when all of them can.
    pub fn lost(&self, reason: Option<String>) {
        let mut notes = self.notes();
        if notes.lost != reason {
            if let Some(reason) = &reason {
                tracing::error!(reason, "a position is lost");
            }
            notes.lost = reason;
        }
    }

    /// The rights that are known to be missing.
    pub fn lacks(&self) -> BTreeSet<Lack> {
        self.notes().lacks.clone()
    }

    /// What a password or a certificate has to do with it: waiting does not help.
    pub fn credentials(&self) -> Option<String> {
        let notes = self.notes();
        let (code, text) = notes.last.as_ref()?;
        let advice = advice(*code)?;
        is_credentials(*code).then(|| format!("{text}: {advice}"))
    }

    /// All that keeps the log from answering.
    pub fn summary(&self) -> Option<String> {
        let notes = self.notes();
        let last = notes.last.as_ref().map(|(code, text)| match advice(*code) {
            Some(advice) => format!("{text}: {advice}"),
            None => text.clone(),
        });
        let lacks: Vec<String> = notes.lacks.iter().map(Lack::to_string).collect();
        let lacks = (!lacks.is_empty()).then(|| lacks.join("; "));
        notes.refusal.clone().or_else(|| notes.lost.clone()).or(lacks).or_else(|| notes.standstill.clone()).or(last)
    }

    /// A call failed because Kafka cannot be reached or is not able to.
    pub fn unavailable(&self, what: &str) -> LogError {
        LogError::Unavailable(match self.summary() {
            Some(summary) => format!("{what}: {summary}"),
            None => what.to_owned(),
        })
    }

    /// A session begins anew.
    pub fn renewed(&self) {
        self.renewed.fetch_add(1, Ordering::Relaxed);
    }

    /// The brokers refused somebody of ours who was too late.
    pub fn fenced(&self) {
        self.fenced.fetch_add(1, Ordering::Relaxed);
    }

    pub fn setbacks(&self) -> Setbacks {
        Setbacks { renewed: self.renewed.load(Ordering::Relaxed), fenced: self.fenced.load(Ordering::Relaxed) }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_credentials(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::UnsupportedSASLMechanism
    )
}

#[expect(clippy::wildcard_enum_match_arm, reason = "librdkafka has 200 codes; most need no advice beyond their text")]
fn advice(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::Authentication
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::UnsupportedSASLMechanism => {
            Some("check KARTSHOPPE__KAFKA__PROPERTIES__SASL_USERNAME, …__SASL_PASSWORD and …__SASL_MECHANISM")
        }
        RDKafkaErrorCode::SSL => Some("check KARTSHOPPE__KAFKA__PROPERTIES__SECURITY_PROTOCOL and …__SSL_CA_LOCATION"),
        RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve => {
            Some("is the broker up, and are KARTSHOPPE__KAFKA__BOOTSTRAP_SERVERS and …__PROPERTIES__SECURITY_PROTOCOL right?")
        }
        _ => None,
    }
}

/// Whether the brokers refuse a writer or member because others have gone on without it.
pub(super) fn is_too_late(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
            | RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::FencedInstanceId
    )
}

/// What an error code means for the log, if it is one that waiting does not help with.
#[expect(clippy::wildcard_enum_match_arm, reason = "librdkafka has 200 codes; the rest is worth a retry")]
pub(super) fn refused(code: RDKafkaErrorCode, what: &str) -> Option<LogError> {
    let right = match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => "grant READ, WRITE, DESCRIBE and DESCRIBE_CONFIGS on its topics",
        RDKafkaErrorCode::GroupAuthorizationFailed => "grant READ and DESCRIBE on the group",
        RDKafkaErrorCode::TransactionalIdAuthorizationFailed => "grant WRITE and DESCRIBE on its transactional ids",
        RDKafkaErrorCode::ClusterAuthorizationFailed => {
            "grant CREATE and IDEMPOTENT_WRITE on the cluster, or make the topics yourself"
        }
        RDKafkaErrorCode::MessageSizeTooLarge => {
            "raise KARTSHOPPE__KAFKA__PROPERTIES__MESSAGE_MAX_BYTES if the record is larger than that (8388608 unless set), else \
             max.message.bytes of the topic"
        }
        RDKafkaErrorCode::InvalidRecord => "compare the topic's settings with the contract (`kartshoppe topics list`)",
        _ => return None,
    };
    Some(LogError::Refused(format!("{what}: Kafka refused it ({code}): {right}")))
}

/// The context of clients that are nobody's member: readers and producers.
#[derive(Debug, Clone)]
pub(super) struct Told(pub Arc<Board>);

impl ClientContext for Told {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note(&self.0, &error, reason);
    }
}

impl ConsumerContext for Told {}

/// Writes an error event of a client down.
pub(super) fn note(board: &Board, error: &KafkaError, reason: &str) {
    if let Some(code) = error.rdkafka_error_code() {
        board.note(code, reason);
    }
}

/// Log lines of librdkafka are for those who look for them: what matters comes as an event, too.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    tracing::debug!(target: "rdkafka", level = ?level, facility, "{message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_went_excuses_for_a_while() {
        let board = Board::default();
        assert!(!board.excuses());
        board.note(RDKafkaErrorCode::Authentication, "wrong password");
        assert!(!board.excuses(), "the broker is there");
        board.note(RDKafkaErrorCode::BrokerTransportFailure, "refused");
        tokio::time::advance(EXCUSED_FOR / 2).await;
        assert!(board.excuses());
        assert!(board.excuses(), "it still reads its past");
        tokio::time::advance(EXCUSED_FOR / 2).await;
        assert!(!board.excuses(), "who is refused now has a rival");
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_away_itself_is_excused_once() {
        let board = Board::default();
        board.look();
        tokio::time::advance(SESSION_TIMEOUT / 2).await;
        assert!(!board.excuses(), "the group waits for so long");
        tokio::time::advance(SESSION_TIMEOUT * 2).await;
        assert!(board.excuses(), "frozen, and refused before the member has looked again");
        tokio::time::advance(SESSION_TIMEOUT * 2).await;
        board.look();
        tokio::time::advance(SESSION_TIMEOUT / 2).await;
        board.look();
        assert!(board.excuses(), "frozen, and refused after the member has looked again");
        assert!(board.excuses(), "the writer of the same session asks about the same absence");
        tokio::time::advance(SAME_REFUSAL).await;
        assert!(!board.excuses(), "who is refused now has a rival");
    }
}
