//! What a shopper did on the page: taken as it comes, wrapped and kept on `ecommerce_events`.
//!
//! The client sends a batch that is refused again every two seconds for ever, so any well-formed batch is taken: empty ones, events
//! of unknown types, fields that nobody knows, and fields of the wrong type too. Only broken JSON and a batch without `events` are
//! refused.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ts_rs::TS;
use utoipa::ToSchema;

use super::envelope::{Envelope, EnvelopeType};
use super::output;
use super::topics::Topic;
use crate::domain::EpochMs;
use crate::telemetry::context::TraceContext;
use crate::wire::record::{Headers, NewRecord};

/// `POST /api/ecommerce/events`.
#[derive(Debug, Clone, PartialEq, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrackedEvents {
    #[ts(as = "Vec<TrackedEvent>")]
    #[schema(value_type = Vec<TrackedEvent>)]
    pub events: Vec<Value>,
    #[serde(default)]
    #[ts(type = "string")]
    #[schema(value_type = String)]
    pub session_id: Value,
    #[serde(default)]
    #[ts(type = "string")]
    #[schema(value_type = String)]
    pub user_id: Value,
}

/// One event of such a batch, as the page sends it: further fields by type. The server needs none of them.
#[derive(Debug, Clone, PartialEq, Serialize, TS, ToSchema)]
#[ts(type = "{ eventId: string, sessionId: string, userId: string, eventType: string, timestamp: number, \
             metadata: { userAgent: string, referrer: string, url: string, screenResolution: string }, [field: string]: unknown }")]
pub struct TrackedEvent {
    #[serde(rename = "eventId")]
    pub event_id: String,
    #[serde(rename = "sessionId")]
    pub session_id: String,
    #[serde(rename = "userId")]
    pub user_id: String,
    #[serde(rename = "eventType")]
    pub event_type: String,
    pub timestamp: EpochMs,
    pub metadata: EventMetadata,
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// Where an event happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventMetadata {
    pub user_agent: String,
    pub referrer: String,
    pub url: String,
    pub screen_resolution: String,
}

impl TrackedEvents {
    /// Records of `ecommerce_events`, one per event that is an object; `uuid` makes each envelope's id.
    #[must_use]
    pub fn records(&self, mut uuid: impl FnMut() -> String, at_ms: EpochMs, trace: Option<&TraceContext>) -> Vec<NewRecord> {
        let session_id = self.session_id.as_str();
        let user_id = self.user_id.as_str();
        let objects = self.events.iter().filter_map(Value::as_object);
        objects.map(|event| tracked(event, session_id, user_id, &uuid(), at_ms, trace)).collect()
    }
}

/// The record of one event. The event's own session and user go before those of its batch or socket.
#[must_use]
pub fn tracked(
    event: &Map<String, Value>,
    session_id: Option<&str>,
    user_id: Option<&str>,
    uuid: &str,
    at_ms: EpochMs,
    trace: Option<&TraceContext>,
) -> NewRecord {
    let text = |field| event.get(field).and_then(Value::as_str);
    let key = text("sessionId").or(session_id);
    let to_user_id = text("userId").or(user_id);
    let envelope = Envelope { uuid, timestamp: at_ms, key, to_user_id, event_type: EnvelopeType::EcommerceEvent, payload: event };
    let mut headers = Headers::none();
    output::push_trace(&mut headers, trace);
    NewRecord {
        topic: Topic::EcommerceEvents,
        partition: None,
        key: key.map(|key| bytes::Bytes::copy_from_slice(key.as_bytes())),
        value: Some(envelope.to_json()),
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(json: &str) -> Vec<String> {
        let batch: TrackedEvents = serde_json::from_str(json).unwrap();
        let records = batch.records(|| "u".to_owned(), 5, None);
        records.into_iter().map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()).collect()
    }

    #[test]
    fn every_well_formed_batch_is_taken() {
        let batch = r#"{"events":[{"eventId":"e","eventType":"NEW_THING","sessionId":"s-2","x":[1]},{"eventType":3},7,null],"sessionId":"s-1","userId":null,"more":1}"#;
        insta::assert_snapshot!(values(batch).join("\n"), @r#"
        {"uuid":"u","timestamp":5,"key":"s-2","toUserId":null,"eventType":"ECOMMERCE_EVENT","payload":{"eventId":"e","eventType":"NEW_THING","sessionId":"s-2","x":[1]}}
        {"uuid":"u","timestamp":5,"key":"s-1","toUserId":null,"eventType":"ECOMMERCE_EVENT","payload":{"eventType":3}}
        "#);
        for nothing in [r#"{"events":[]}"#, r#"{"events":[null],"sessionId":7}"#] {
            assert!(values(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn broken_json_and_no_events_are_refused() {
        for bad in ["{}", "", "[]", "null", r#"{"events":{}}"#, r#"{"events":[],}"#, r#"{"sessionId":"s"}"#] {
            assert!(serde_json::from_str::<TrackedEvents>(bad).is_err(), "{bad}");
        }
    }
}
