//! Whether Kafka answers, and whether the log may be used as it is.
//!
//! A wrong password, an unknown certificate or a broker that is down never fail a call with their reason: the call times out, and
//! the reason arrives as an event of the client. [`Health`] keeps the last one, so that the errors of calls and `/readyz` can
//! name it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::types::RDKafkaErrorCode;

use super::codes::{advice, is_credentials};
use crate::log::Setbacks;

/// What the clients reported last, why the log is refused, and how often sessions were set back.
#[derive(Debug, Default)]
pub(super) struct Health {
    state: Mutex<State>,
    renewed: AtomicU64,
    fenced: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    last_error: Option<(RDKafkaErrorCode, String)>,
    refusal: Option<String>,
    lost_position: Option<String>,
}

impl Health {
    /// A client reported an error. The same text is logged once, until a broker answers.
    pub fn failed(&self, code: RDKafkaErrorCode, text: &str) {
        // librdkafka counts how often it has seen the error, which makes each text a different one.
        let text = text.split(" (after ").next().unwrap_or(text);
        let mut state = self.state();
        if state.last_error.as_ref().is_none_or(|(_, known)| known != text) {
            tracing::warn!(error.code = ?code, error = text, "trouble with Kafka");
            state.last_error = Some((code, text.to_owned()));
        }
    }

    /// A broker has answered, so the last error is over.
    pub fn answered(&self) {
        if let Some((_, text)) = self.state().last_error.take() {
            tracing::info!(before = text, "Kafka answers again");
        }
    }

    /// The last error, with what to check.
    pub fn last_error(&self) -> Option<String> {
        let state = self.state();
        let (code, text) = state.last_error.as_ref()?;
        Some(advice(*code).map_or_else(|| text.clone(), |advice| format!("{text}: {advice}")))
    }

    /// The last error, if it is about a password or a certificate: waiting does not help.
    pub fn wrong_credentials(&self) -> Option<String> {
        let is_wrong = self.state().last_error.as_ref().is_some_and(|(code, _)| is_credentials(*code));
        if is_wrong { self.last_error() } else { None }
    }

    /// The log must not be used as it is; `None` when it may be used again.
    pub fn refuse(&self, reason: Option<String>) {
        let mut state = self.state();
        if state.refusal != reason {
            match &reason {
                Some(reason) => tracing::error!(reason, "the event log is refused"),
                None => tracing::info!("the event log can be used again"),
            }
            state.refusal = reason;
        }
    }

    /// Why the log must not be used.
    pub fn refusal(&self) -> Option<String> {
        self.state().refusal.clone()
    }

    /// A group cannot go on from its committed position; `None` when every position can be used.
    pub fn lose_position(&self, reason: Option<String>) {
        let mut state = self.state();
        if state.lost_position != reason {
            if let Some(reason) = &reason {
                tracing::error!(reason, "a group cannot continue from its committed position");
            }
            state.lost_position = reason;
        }
    }

    /// Why a group cannot go on from its committed position.
    pub fn lost_position(&self) -> Option<String> {
        self.state().lost_position.clone()
    }

    /// A session made its clients again.
    pub fn renewed(&self) {
        self.renewed.fetch_add(1, Ordering::Relaxed);
    }

    /// The brokers refused a writer or member that was too late.
    pub fn fenced(&self) {
        self.fenced.fetch_add(1, Ordering::Relaxed);
    }

    pub fn setbacks(&self) -> Setbacks {
        Setbacks { renewed: self.renewed.load(Ordering::Relaxed), fenced: self.fenced.load(Ordering::Relaxed) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_known_with_advice_until_a_broker_answers() {
        let health = Health::default();
        health.failed(RDKafkaErrorCode::BrokerTransportFailure, "refused (after 3ms in state CONNECT)");
        assert!(health.last_error().is_some_and(|text| text.starts_with("refused: check that the broker is up")));
        assert_eq!(health.wrong_credentials(), None, "waiting may help");
        health.failed(RDKafkaErrorCode::Authentication, "wrong password");
        assert!(health.wrong_credentials().is_some_and(|text| text.contains("SASL_PASSWORD")));
        health.answered();
        assert_eq!((health.last_error(), health.wrong_credentials()), (None, None));
    }
}
