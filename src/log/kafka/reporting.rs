//! The context of the clients: librdkafka reports errors in passing, as events, and they go to the board.

use std::sync::Arc;

use rdkafka::Statistics;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use super::board::Board;

/// The context of readers, producers and whatever only asks. Members of a group have their own, which reports the same way.
#[derive(Debug, Clone)]
pub(super) struct Reporting(pub Arc<Board>);

impl ClientContext for Reporting {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        report(&self.0, &error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.0.figures.report(&statistics);
    }
}

impl ConsumerContext for Reporting {}

/// Reports a client's error event.
pub(super) fn report(board: &Board, error: &KafkaError, reason: &str) {
    if let Some(code) = error.rdkafka_error_code() {
        board.report(code, reason);
    }
}

/// librdkafka's log lines are for debugging: what matters also comes as an event.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    tracing::debug!(target: "rdkafka", level = ?level, facility, "{message}");
}
