//! A line in the log for every change that an operator requests: who, from where, what, and with which result.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::gate::OPERATOR_HEADER;
use crate::api::problem::Problem;
use crate::api::server::Peer;
use crate::api::state::Operators;
use crate::wire::invalid::shortened;

/// What was changed, if the path does not say it: a handler adds it to its answer.
#[derive(Debug, Clone)]
pub struct Change(pub String);

/// Why nothing can be changed while `admin.writes` is false.
pub const READ_ONLY: &str = "admin.writes is false: this listener is read-only";

/// Wraps every request; one that only reads writes no line. If the listener is read-only, changes are refused here.
pub async fn audit(State(operators): State<Arc<Operators>>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let mut line = AuditLine::of(&request);
    let response = if operators.config.admin.writes {
        next.run(request).await
    } else {
        Problem::new(StatusCode::FORBIDDEN, "read_only", READ_ONLY).into_response()
    };
    line.outcome = Some(AuditedOutcome::of(&response));
    response
}

/// Written when it is dropped, so also for a client that disconnects before the answer: its change may have happened.
struct AuditLine {
    operator: String,
    peer: Option<Peer>,
    method: Method,
    path: String,
    outcome: Option<AuditedOutcome>,
}

struct AuditedOutcome {
    status: StatusCode,
    /// What was changed, or the code of the problem.
    said: String,
}

/// The name that the operator gave.
pub(super) fn operator_of(headers: &HeaderMap) -> String {
    let text = |value: &HeaderValue| shortened(&String::from_utf8_lossy(value.as_bytes()));
    headers.get(OPERATOR_HEADER).map_or_else(String::new, text)
}

impl AuditLine {
    fn of(request: &Request) -> Self {
        Self {
            operator: operator_of(request.headers()),
            peer: request.extensions().get::<Peer>().copied(),
            method: request.method().clone(),
            path: shortened(request.uri().path()),
            outcome: None,
        }
    }
}

impl AuditedOutcome {
    fn of(response: &Response) -> Self {
        let problem = response.extensions().get::<Problem>();
        let change = response.extensions().get::<Change>();
        let said = problem.map(|problem| problem.code.to_owned()).or_else(|| change.map(|Change(change)| shortened(change)));
        Self { status: problem.map_or(response.status(), |problem| problem.status), said: said.unwrap_or_default() }
    }
}

impl Drop for AuditLine {
    fn drop(&mut self) {
        let Self { operator, peer, method, path, outcome } = self;
        let peer = peer.map_or_else(String::new, |peer| peer.to_string());
        let (status, outcome) = match outcome {
            Some(AuditedOutcome { status, said }) => (status.as_u16(), said.as_str()),
            None => (0, "the client disconnected before the answer"),
        };
        tracing::info!(operator, peer, status, outcome, "an operator asked for a change: {method} {path}");
    }
}
