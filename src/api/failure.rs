//! Why a request failed, and the one match that maps each reason to status and code.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::problem::{Problem, RETRY_AFTER_S};
use crate::actors::kit::CallError;
use crate::actors::role::NotReplaced;
use crate::actors::root::RoleError;
use crate::domain::ids::InvalidValue;
use crate::log::LogError;
use crate::store::{CartError, CheckoutError, StoreError};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The request itself is invalid.
    #[error("{}", .0.detail)]
    Refused(Problem),
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Cart(#[from] CartError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Role(#[from] RoleError),
    /// A refused checkout, with the JSON of the present cart if the page should show it.
    #[error("{source}")]
    Checkout { source: CheckoutError, cart: Option<Value> },
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl Failure {
    /// Status, code and text: the one place that decides.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let conflict = |code| Problem::new(StatusCode::CONFLICT, code, self.to_string());
        match self {
            Self::Refused(problem) => problem.clone(),
            Self::Invalid(invalid) => of_invalid(invalid),
            Self::Store(error) => of_store(error),
            Self::Cart(CartError::Store(error)) => of_store(error),
            Self::Cart(CartError::QuantityOutOfRange { .. } | CartError::LineFull) => {
                Problem::field("quantity", self.to_string())
            }
            Self::Cart(CartError::CartFull) => Problem::field("productId", self.to_string()),
            Self::Cart(CartError::TooExpensive) => Problem::new(StatusCode::BAD_REQUEST, "too_expensive", self.to_string()),
            Self::Log(error) => of_log(error),
            Self::Call(CallError::NotRunning { .. } | CallError::Ended { .. }) => {
                Problem::unavailable("not_running", self.to_string())
            }
            Self::Call(CallError::Deadline { .. }) => Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", self.to_string()),
            Self::Role(RoleError::Unknown(unknown)) => Problem::not_found(unknown.to_string()),
            Self::Role(RoleError::NotReplaced(NotReplaced::Unknown(_))) => Problem::not_found(self.to_string()),
            Self::Role(RoleError::NotReplaced(NotReplaced::Stopped(_))) => conflict("stopped"),
            Self::Role(RoleError::Call(_)) => Problem::unavailable("not_running", self.to_string()),
            Self::Checkout { source, cart } => match source {
                CheckoutError::EmptyCart => Problem::new(StatusCode::BAD_REQUEST, "cart_empty", "the cart is empty"),
                CheckoutError::ProductGone { product_ids, .. } => {
                    let ids: Vec<&str> = product_ids.iter().map(crate::domain::ids::ProductId::as_str).collect();
                    conflict("product_gone")
                        .with("productId", json!(ids.first()))
                        .with("productIds", json!(ids))
                        .with("cart", json!(cart))
                }
                CheckoutError::TotalChanged { totals, .. } => {
                    conflict("total_changed").with("totalAmount", json!(totals.total.to_units())).with("cart", json!(cart))
                }
                CheckoutError::KeyMismatch => {
                    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", self.to_string())
                }
                CheckoutError::TooExpensive => Problem::new(StatusCode::BAD_REQUEST, "too_expensive", self.to_string()),
                CheckoutError::Invalid(invalid) => of_invalid(invalid),
                CheckoutError::Store(error) => of_store(error),
            },
        }
    }
}

fn of_invalid(invalid: &InvalidValue) -> Problem {
    let field = match invalid {
        InvalidValue::Empty { field }
        | InvalidValue::TooLong { field, .. }
        | InvalidValue::ControlCharacter { field }
        | InvalidValue::Invisible { field }
        | InvalidValue::PathSegment { field, .. }
        | InvalidValue::OutOfRange { field, .. } => field,
    };
    Problem::field(field, invalid.to_string())
}

fn of_store(error: &StoreError) -> Problem {
    match error {
        StoreError::TimedOut { .. } => {
            let problem = Problem::new(StatusCode::GATEWAY_TIMEOUT, "database_timeout", "the database did not answer in time");
            Problem { retry_after_s: Some(RETRY_AFTER_S), ..problem }
        }
        StoreError::Unavailable { .. } | StoreError::Pooled { .. } => {
            Problem::unavailable("database_unavailable", "the database is not available")
        }
        StoreError::Contended { .. } | StoreError::Held { .. } => {
            Problem::unavailable("contended", "concurrent requests kept changing the same data")
        }
        StoreError::Failed { .. }
        | StoreError::Corrupt { .. }
        | StoreError::TooOld { .. }
        | StoreError::Migration(_)
        | StoreError::Newer { .. }
        | StoreError::BadUrl { .. } => internal(),
    }
}

fn of_log(error: &LogError) -> Problem {
    match error {
        LogError::UnknownTopic(_) => Problem::not_found(error.to_string()),
        LogError::OutOfRange { .. } => Problem::field("from", error.to_string()),
        LogError::Deadline { .. } => Problem::new(StatusCode::GATEWAY_TIMEOUT, "log_timeout", error.to_string()),
        LogError::Unavailable(_) | LogError::Aborted(_) | LogError::Full { .. } => {
            Problem::unavailable("log_unavailable", error.to_string())
        }
        LogError::Closed => Problem::unavailable("stopping", error.to_string()),
        LogError::Refused(reason) => Problem::new(StatusCode::CONFLICT, "refused", reason.clone()),
        LogError::Fenced { .. } | LogError::InUse { .. } | LogError::Unusable { .. } => internal(),
    }
}

fn internal() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "an internal error occurred; the shop's log has details under this traceId",
    )
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut problem = self.problem();
        if problem.status.is_server_error() {
            let source = std::error::Error::source(&self).map_or_else(String::new, |source| format!(": {source}"));
            problem.cause = Some(format!("{self}{source}").into());
        }
        problem.into_response()
    }
}
