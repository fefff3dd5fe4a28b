//! Refused requests: the answer says what would allow them, and so does a log line, for an owner who only sees a broken page.

use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde_json::json;

use super::shown;
use crate::api::problem::Problem;
use crate::api::server::Peer;
use crate::telemetry::seldom::Seldom;

/// Anonymous clients can cause any number of refusals and must not fill the log.
const EVERY: Duration = Duration::from_secs(60);

/// Refuses requests, and logs that once a minute.
#[derive(Debug)]
pub(super) struct Refusals(Seldom);

impl Default for Refusals {
    fn default() -> Self {
        Self(Seldom::new(EVERY))
    }
}

/// Why a request was refused, and what would allow it.
pub(super) struct Reason {
    pub code: &'static str,
    pub detail: String,
    /// The key that would allow it; nothing if no setting does.
    pub setting: &'static str,
}

impl Refusals {
    /// 403 with what was seen and the setting that would allow it.
    pub(super) fn refuse(&self, listener: &'static str, parts: &Parts, peer: Peer, reason: Reason) -> Problem {
        let seen = |name| parts.headers.get(name).map(shown);
        let (host, origin) = (seen(header::HOST), seen(header::ORIGIN));
        if let Some(untold) = self.is_told_now() {
            let Reason { code, detail, setting } = &reason;
            let shown = |value: &Option<String>| value.clone().unwrap_or_default();
            tracing::warn!(
                listener,
                %peer,
                code,
                setting,
                host = shown(&host),
                origin = shown(&origin),
                untold,
                "refused a request: {detail}"
            );
        }
        let mut problem = Problem::new(StatusCode::FORBIDDEN, reason.code, reason.detail);
        for (name, value) in [("host", host), ("origin", origin)] {
            if let Some(value) = value {
                problem = problem.with(name, json!(value.trim_matches('"')));
            }
        }
        if reason.setting.is_empty() { problem } else { problem.with("setting", json!(reason.setting)) }
    }

    /// How many refusals were not logged before this one; `None` if this one is not logged either.
    fn is_told_now(&self) -> Option<u64> {
        self.0.due("refused")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_refusal_a_minute_is_told() {
        let refusals = Refusals::default();
        assert_eq!(refusals.is_told_now(), Some(0));
        assert_eq!((refusals.is_told_now(), refusals.is_told_now()), (None, None));
        tokio::time::advance(EVERY).await;
        assert_eq!((refusals.is_told_now(), refusals.is_told_now()), (Some(2), None));
    }
}
