//! How a shape becomes a record: key, value and the headers that every output carries.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::Serialize;

use super::Topic;
use super::headers;
use crate::domain::ids::ProductId;
use crate::domain::inventory::Cause;
use crate::telemetry::context::TraceContext;
use crate::wire::json;
use crate::wire::topics::record::{Headers, NewRecord};

/// The headers of an output of the inventory: what made it, and the trace of that.
#[must_use]
pub fn output_headers(cause: &Cause, trace: Option<&TraceContext>) -> Headers {
    let mut text = String::with_capacity(48);
    // Writing to a string cannot fail.
    let _ = write!(text, "{cause}");
    let mut headers = Headers(Vec::with_capacity(3));
    headers.push(headers::CAUSE, text);
    push_trace(&mut headers, trace);
    headers
}

/// Adds `traceparent`, and `tracestate` if there is one, where there is a trace.
pub fn push_trace(headers: &mut Headers, trace: Option<&TraceContext>) {
    if let Some(trace) = trace {
        headers.push(headers::TRACEPARENT, trace.to_string());
        if let Some(state) = &trace.state {
            headers.push(headers::TRACESTATE, state.to_string());
        }
    }
}

/// The trace of a record, if it carries one.
#[must_use]
pub fn trace_of(headers: &Headers) -> Option<TraceContext> {
    TraceContext::of(headers.get_str(headers::TRACEPARENT), headers.get_str(headers::TRACESTATE))
}

/// What an output names as its cause; `None` if it names nothing that is known.
#[must_use]
pub fn cause_of(headers: &Headers) -> Option<Cause> {
    headers.get_str(headers::CAUSE).and_then(Cause::parse)
}

/// A record keyed by its product; the log chooses the partition by the key.
pub(super) fn keyed(topic: Topic, product_id: &ProductId, shape: &impl Serialize, headers: Headers) -> NewRecord {
    NewRecord { topic, partition: None, key: Some(key(product_id)), value: Some(json::to_bytes(shape)), headers }
}

/// A product's key.
pub(crate) fn key(product_id: &ProductId) -> Bytes {
    Bytes::copy_from_slice(product_id.as_str().as_bytes())
}
