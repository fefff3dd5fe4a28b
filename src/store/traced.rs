//! The spans of statements: where a trace is sampled, each question to PostgreSQL is one, and says what went wrong with it.

use std::future::Future;

use opentelemetry::trace::SpanKind;

use super::{Store, StoreError};
use crate::config::RoleName;
use crate::telemetry::context::TraceContext;
use crate::telemetry::names::attribute;
use crate::telemetry::spans::{self, Span};

/// PostgreSQL's own port is not worth an attribute.
const DEFAULT_PORT: u16 = 5432;

impl Store {
    /// Makes a call whose span is a child of `parent`. `summary` is `{operation} {table}`.
    pub(super) async fn traced<T>(
        &self,
        summary: &'static str,
        parent: Option<&TraceContext>,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut span = self.statement(summary, parent);
        let done = call.await;
        if let Err(error) = &done {
            note(&mut span, error);
        }
        done
    }

    /// The same for the trace that the running task works for.
    pub(super) async fn traced_here<T>(
        &self,
        summary: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.traced(summary, spans::current().as_ref(), call).await
    }

    /// The span of a statement, until it is dropped.
    pub(super) fn statement(&self, summary: &'static str, parent: Option<&TraceContext>) -> Span {
        let span = Span::child(RoleName::Api, SpanKind::Client, summary, parent);
        if span.is_none() {
            return span;
        }
        let (operation, table) = summary.split_once(' ').unwrap_or((summary, ""));
        let options = self.pool.connect_options();
        let socket = options.get_socket().map(|folder| folder.display().to_string());
        let mut span = span
            .with(attribute::DB_SYSTEM_NAME, "postgresql")
            .with(attribute::DB_NAMESPACE, options.get_database().unwrap_or_else(|| options.get_username()).to_owned())
            .with(attribute::DB_OPERATION_NAME, operation)
            .with(attribute::DB_COLLECTION_NAME, table)
            .with(attribute::DB_QUERY_SUMMARY, summary);
        if socket.is_none() && options.get_port() != DEFAULT_PORT {
            span.set(attribute::SERVER_PORT, i64::from(options.get_port()));
        }
        span.with(attribute::SERVER_ADDRESS, socket.unwrap_or_else(|| options.get_host().to_owned()))
    }
}

/// Says in a statement's span what went wrong.
pub(super) fn note(span: &mut Span, error: &StoreError) {
    if let Some(state) = error.sqlstate() {
        span.set(attribute::DB_RESPONSE_STATUS_CODE, state);
    }
    span.fail(error.kind());
}
