//! What this process knows of its Kafka: one board, which every client reports to and every call reads.
//!
//! ```text
//!  clients ──► health        does Kafka answer, may the log be used      ──► /readyz, errors of calls
//!          ──► permissions   what the brokers do not permit
//!          ──► rivals        is a refusal another process, or our own past (repair)
//! ```

use rdkafka::types::RDKafkaErrorCode;

use super::codes::is_unreadable;
use super::figures::ClientFigures;
use super::health::Health;
use super::permissions::Permissions;
use super::repair::rivals::Rivals;
use super::repair::standstill::Standstill;
use super::unreadable::UnreadableRecords;
use crate::log::LogError;
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// See the picture above.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub health: Health,
    pub permissions: Permissions,
    pub rivals: Rivals,
    pub standstill: Standstill,
    pub unreadable: UnreadableRecords,
    pub figures: ClientFigures,
    /// Of the process.
    pub alarms: Alarms,
}

impl Board {
    pub fn new(alarms: Alarms) -> Self {
        Self { unreadable: UnreadableRecords::new(alarms.clone()), alarms, ..Self::default() }
    }

    /// A client reports an error. That all brokers are down only repeats the reason reported before it; a closed reader's
    /// end-of-partition is not an error; a record that cannot be read has an alarm of its own.
    pub fn report(&self, code: RDKafkaErrorCode, text: &str) {
        if matches!(code, RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::PartitionEOF) || is_unreadable(code) {
            return;
        }
        if code == RDKafkaErrorCode::BrokerTransportFailure {
            self.rivals.broker_unreachable();
        }
        self.health.failed(code, text);
    }

    /// A commit was refused, and would be again: why; `None` when one has succeeded.
    pub fn commit_refused(&self, why: Option<&str>) {
        let alarm = why.map(|why| Alarm::blocks(format!("Kafka refuses the shop's commits: {why}")));
        self.alarms.set(About::cause(Cause::CommitRefused), alarm);
    }

    /// Why the log must not be used, as the error of a call.
    pub fn refusal(&self) -> Option<LogError> {
        self.health.refusal().map(LogError::Refused)
    }

    /// What keeps the log from answering or from being used; the worst first.
    pub fn summary(&self) -> Option<String> {
        let Self { health, permissions, standstill, .. } = self;
        health
            .refusal()
            .or_else(|| health.lost_position())
            .or_else(|| permissions.summary())
            .or_else(|| standstill.reason())
            .or_else(|| health.last_error())
    }

    /// A call failed because Kafka cannot be reached, or cannot do it now.
    pub fn unavailable(&self, what: &str) -> LogError {
        LogError::Unavailable(match self.summary() {
            Some(summary) => format!("{what}: {summary}"),
            None => what.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_broker_that_cannot_be_reached_excuses_a_refusal() {
        let board = Board::default();
        board.report(RDKafkaErrorCode::Authentication, "wrong password");
        assert!(board.rivals.is_likely(), "the broker is there");
        board.report(RDKafkaErrorCode::BrokerTransportFailure, "refused");
        assert!(!board.rivals.is_likely());
    }

    #[test]
    fn the_summary_names_the_worst_first() {
        let board = Board::default();
        assert_eq!(board.summary(), None);
        board.report(RDKafkaErrorCode::AllBrokersDown, "3/3 brokers are down");
        board.report(RDKafkaErrorCode::PartitionEOF, "end");
        assert_eq!(board.summary(), None, "neither says anything new");
        board.report(RDKafkaErrorCode::Fail, "an error");
        assert_eq!(board.summary().as_deref(), Some("an error"));
        board.standstill.set(Some("stands still".to_owned()));
        assert_eq!(board.summary().as_deref(), Some("stands still"));
        board.health.lose_position(Some("lost".to_owned()));
        assert_eq!(board.summary().as_deref(), Some("lost"));
        board.health.refuse(Some("refused".to_owned()));
        assert!(matches!(board.unavailable("a call"), LogError::Unavailable(text) if text == "a call: refused"));
        assert!(matches!(board.refusal(), Some(LogError::Refused(text)) if text == "refused"));
    }
}
