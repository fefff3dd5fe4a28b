//! What a shopper did on the page: taken as it comes, wrapped and kept on `ecommerce_events`.
//!
//! The client sends a batch that is refused again every two seconds for ever, so any well-formed batch is taken: empty ones,
//! events of unknown types, unknown fields, and fields of the wrong type too. Only broken JSON and a batch without `events` are
//! refused. An event is passed on as it was written: what a page cuts out of a text may be half a character, and is JSON still.
//!
//! Whose an event is, is a claim over REST and known on a socket. Either way the record's key is no longer than an id may be.

use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use ts_rs::TS;
use utoipa::ToSchema;

use crate::domain::EpochMs;
use crate::domain::ids::{SessionId, UserId};
use crate::telemetry::context::TraceContext;
use crate::wire::envelope::{Envelope, EnvelopeType};
use crate::wire::json::{self, RawObject};
use crate::wire::topics::Topic;
use crate::wire::topics::output;
use crate::wire::topics::record::{Headers, NewRecord};

/// `POST /api/ecommerce/events`.
#[derive(Debug, Clone, TS, ToSchema)]
#[ts(rename_all = "camelCase")]
#[schema(rename_all = "camelCase")]
pub struct TrackedEvents {
    #[ts(as = "Vec<TrackedEvent>")]
    #[schema(value_type = Vec<TrackedEvent>)]
    pub events: Vec<Box<RawValue>>,
    #[ts(type = "string")]
    #[schema(value_type = String)]
    pub session_id: Option<String>,
    #[ts(type = "string")]
    #[schema(value_type = String)]
    pub user_id: Option<String>,
}

/// Deeper events are taken and not kept: readers of JSON give up at 128 levels, and the envelope adds its own.
const DEPTH_MAX: usize = 100;

impl<'de> Deserialize<'de> for TrackedEvents {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(json)?;
        let batch = RawObject::parse(raw.get()).map_err(de::Error::custom)?;
        let events = batch.get("events").ok_or_else(|| de::Error::missing_field("events"))?;
        let events = serde_json::from_str(events.get()).map_err(|_| de::Error::custom("events is no array"))?;
        Ok(Self { events, session_id: batch.text("sessionId"), user_id: batch.text("userId") })
    }
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
    /// Records of `ecommerce_events`, one per event that is an object, each made when it is asked for, as a body of `{}`
    /// would be a hundred times as large in memory; `uuid` makes each envelope's id. An event's own session and user go
    /// before those of its batch.
    pub fn records(
        &self,
        mut uuid: impl FnMut() -> String,
        at_ms: EpochMs,
        trace: Option<&TraceContext>,
    ) -> impl Iterator<Item = NewRecord> {
        let kept = self.events.iter().filter(|event| json::depth(event.get()) <= DEPTH_MAX);
        let objects = kept.filter_map(|event| Some((event, RawObject::parse(event.get()).ok()?)));
        objects.map(move |(event, fields)| {
            let session_id = fields.text("sessionId").or_else(|| self.session_id.clone());
            let user_id = fields.text("userId").or_else(|| self.user_id.clone());
            let of = Of { session_id: session_id.and_then(session_key), user_id: user_id.and_then(user_key) };
            record(event, &of, &uuid(), at_ms, trace)
        })
    }
}

/// The record of an event that came over a session's socket, whatever session and user it names itself; `None` if it is no object
/// or too deep.
#[must_use]
pub fn said(event: &str, session: &SessionId, user: &UserId, uuid: &str, at_ms: EpochMs) -> Option<NewRecord> {
    let fields = RawObject::parse(event).ok().filter(|_| json::depth(event) <= DEPTH_MAX)?;
    let (session, user) = (session.as_str(), user.as_str());
    let own = RawValue::from_string(fields.with(&[("sessionId", Some(session)), ("userId", Some(user))])).ok()?;
    Some(record(&own, &Of { session_id: Some(session.to_owned()), user_id: Some(user.to_owned()) }, uuid, at_ms, None))
}

/// The shopper of an event.
struct Of {
    session_id: Option<String>,
    user_id: Option<String>,
}

/// A session's id as a key: one that no session can have is a digest of it, so that a key has a length.
fn session_key(id: String) -> Option<String> {
    bounded(SessionId::new(&id).is_ok(), id)
}

fn user_key(id: String) -> Option<String> {
    bounded(UserId::new(&id).is_ok(), id)
}

fn bounded(is_id: bool, id: String) -> Option<String> {
    match id.as_str() {
        "" => None,
        _ if is_id => Some(id),
        // Half of the digest: it fits an id, and no other id with the same can be found.
        long => Some(format!("digest-{:.32}", hex(&Sha256::digest(long)))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn record(event: &RawValue, of: &Of, uuid: &str, at_ms: EpochMs, trace: Option<&TraceContext>) -> NewRecord {
    let (key, to_user_id) = (of.session_id.as_deref(), of.user_id.as_deref());
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
    fn whatever_is_json_is_taken_and_passed_on_as_it_was_written() {
        for event in [
            r#"{"x":"\ud83d"}"#,
            r#"{"x":1e400,"y":-0.0e-999,"z":123456789012345678901234567890}"#,
            r#"{"\udc00":[true],"":null}"#,
            r#"{ "a" : 1, "a" : 2 }"#,
            &format!("{{\"x\":{}{}}}", "[".repeat(99), "]".repeat(99)),
        ] {
            for batch in [
                format!("{{\"events\":[{event}]}}"),
                format!("{{\"\\ud83d\":1e999,\"events\":[],\"events\":[{event}],\"userId\":\"\\udfff\"}}"),
            ] {
                let values = values(&batch);
                assert_eq!(values.len(), 1, "{batch}");
                assert!(values[0].ends_with(&format!("\"payload\":{event}}}")), "{}", values[0]);
            }
        }
        // Taken, and not kept: it could not be read.
        let deep = format!("{{\"events\":[{{\"x\":{}{}}}]}}", "[".repeat(20_000), "]".repeat(20_000));
        assert!(values(&deep).is_empty());
    }

    #[test]
    fn no_key_is_longer_than_an_id() {
        for id in ["x".repeat(60_000), "🛒".repeat(129), "a\\u0000b".to_owned()] {
            let batch: TrackedEvents =
                serde_json::from_str(&format!("{{\"events\":[{{\"sessionId\":\"{id}\",\"userId\":\"{id}\"}}]}}")).unwrap();
            let record = batch.records(|| "u".to_owned(), 5, None).next().unwrap();
            let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
            assert!(key.starts_with("digest-") && key.len() == 39, "{key}");
            let value: Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
            assert_eq!((&value["key"], &value["toUserId"]), (&key.clone().into(), &key.into()));
        }
        assert!(values(r#"{"events":[{"sessionId":""}]}"#)[0].contains(r#""key":null"#));
    }

    #[test]
    fn a_socket_knows_whose_its_events_are() {
        let (session, user) = (SessionId::new("mine").unwrap(), UserId::new("me").unwrap());
        let event = r#"{"sessionId":"yours","x":"\ud83d","userId":7,"\u0073essionId":"his"}"#;
        let record = said(event, &session, &user, "u", 5).unwrap();
        assert_eq!(record.key.as_deref(), Some(&b"mine"[..]));
        let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        assert!(value.ends_with(r#""payload":{"x":"\ud83d","sessionId":"mine","userId":"me"}}"#), "{value}");
        assert!(said("[]", &session, &user, "u", 5).is_none());
    }

    #[test]
    fn broken_json_and_no_events_are_refused() {
        for bad in [
            "{}",
            "",
            "[]",
            "null",
            r#"{"events":{}}"#,
            r#"{"events":[{"x":"\x"}]}"#,
            r#"{"events":[01]}"#,
            r#"{"events":[{]}"#,
            r#"{"events":[],}"#,
            r#"{"sessionId":"s"}"#,
        ] {
            assert!(serde_json::from_str::<TrackedEvents>(bad).is_err(), "{bad}");
        }
    }
}
