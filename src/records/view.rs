//! A record of the event log as people and predicates see it, and back.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::domain::EpochMs;
use crate::log::{Headers, NewRecord, Offset, PartitionId, Record};
use crate::wire::topics::Topic;

/// Most nesting of a value that is shown as JSON: deeper ones are a text, which every client can read.
const MAX_DEPTH: usize = 100;

/// How a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON as JSON, anything else as a text.
    Json,
    /// Every value as a text, for readers whose own JSON would change numbers.
    Text,
}

/// A record as it is shown: its value's own text, so that numbers and the order of keys are those of the bytes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownRecord<'a> {
    topic: &'static str,
    partition: PartitionId,
    offset: Offset,
    timestamp: EpochMs,
    key: Option<Cow<'a, str>>,
    value: ShownValue<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    /// A JSON null and a tombstone are both shown as null.
    value_type: &'static str,
    headers: BTreeMap<&'a str, Cow<'a, str>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ShownValue<'a> {
    Json(&'a RawValue),
    Text(&'a str),
    Nothing(()),
}

/// The record as `{topic, partition, offset, timestamp, key, value, valueType, headers}`. A value that is no JSON is a text, and
/// one that is no text stands as base64 in `valueBase64`; a tombstone's is null.
#[must_use]
pub fn shown(record: &Record, form: Form) -> Option<Box<RawValue>> {
    let text = record.value.as_ref().map(|value| std::str::from_utf8(value));
    let (value, value_base64, value_type) = match text {
        None => (ShownValue::Nothing(()), None, "tombstone"),
        Some(Err(_)) => (ShownValue::Nothing(()), record.value.as_ref().map(|value| STANDARD.encode(value)), "bytes"),
        Some(Ok(text)) => match json_text(text) {
            Some(raw) if form == Form::Json => (ShownValue::Json(raw), None, "json"),
            Some(_) => (ShownValue::Text(text), None, "json"),
            None => (ShownValue::Text(text), None, "text"),
        },
    };
    let shown = ShownRecord {
        topic: record.topic.name(),
        partition: record.partition,
        offset: record.offset,
        timestamp: record.append_time_ms,
        key: record.key.as_deref().map(String::from_utf8_lossy),
        value,
        value_base64,
        value_type,
        headers: record.headers.0.iter().map(|(name, value)| (&**name, String::from_utf8_lossy(value))).collect(),
    };
    to_raw_value(&shown).ok()
}

/// Key, value and headers to the byte, in base64.
#[must_use]
pub fn raw(record: &Record) -> Value {
    let base64 = |bytes: &Bytes| STANDARD.encode(bytes);
    let headers = record.headers.0.iter().map(|(name, value)| json!({"name": name, "value": base64(value)}));
    json!({
        "key": record.key.as_ref().map(base64), "value": record.value.as_ref().map(base64), "headers": headers.collect::<Vec<_>>(),
    })
}

/// A record that is too large to be shown.
#[must_use]
pub(super) fn without_content(record: &Record, bytes: usize) -> Option<Box<RawValue>> {
    let (topic, partition, offset) = (record.topic.name(), record.partition, record.offset);
    let shown = json!({
        "topic": topic, "partition": partition, "offset": offset, "timestamp": record.append_time_ms, "tooLarge": bytes,
    });
    to_raw_value(&shown).ok()
}

/// The text without the white space around it, if it is JSON that every client can read: a lone surrogate or a number beyond all
/// floats would make the whole answer unreadable for some.
fn json_text(text: &str) -> Option<&RawValue> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    (depth(raw.get()) <= MAX_DEPTH && serde_json::from_str::<Value>(text).is_ok()).then_some(raw)
}

fn depth(json: &str) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    walk(json, |byte, in_text| {
        match byte {
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    });
    most
}

/// The same JSON on one line: white space between tokens is left out, the tokens stay as they are.
#[must_use]
pub fn on_one_line(json: &str) -> Cow<'_, str> {
    if !json.contains(['\n', '\r']) {
        return Cow::Borrowed(json);
    }
    let mut bytes = Vec::with_capacity(json.len());
    walk(json, |byte, in_text| {
        if in_text || !byte.is_ascii_whitespace() {
            bytes.push(byte);
        }
    });
    String::from_utf8(bytes).map_or(Cow::Borrowed(json), Cow::Owned)
}

/// Each byte of a JSON text, and whether it is inside a string.
fn walk(json: &str, mut visit: impl FnMut(u8, bool)) {
    let (mut in_text, mut escaped) = (false, false);
    for byte in json.bytes() {
        let is_quote = byte == b'"' && !escaped;
        visit(byte, in_text || is_quote);
        escaped = in_text && byte == b'\\' && !escaped;
        in_text ^= is_quote;
    }
}

/// The record as predicates see it: those of its fields that are needed.
pub(super) fn subject(record: &Record, needs: impl Fn(&str) -> bool) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: &dyn Fn() -> Value| {
        if needs(name) {
            fields.insert(name.to_owned(), value());
        }
    };
    put("topic", &|| json!(record.topic.name()));
    put("partition", &|| json!(record.partition));
    put("offset", &|| json!(record.offset));
    put("timestamp", &|| json!(record.append_time_ms));
    put("key", &|| json!(record.key.as_deref().map(String::from_utf8_lossy)));
    put("headers", &|| {
        let text = |value: &Bytes| json!(String::from_utf8_lossy(value));
        record.headers.0.iter().map(|(name, value)| (name.to_string(), text(value))).collect::<Map<_, _>>().into()
    });
    let text = record.value.as_deref().map(std::str::from_utf8);
    put("value", &|| match text {
        Some(Ok(text)) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        Some(Err(_)) | None => Value::Null,
    });
    if let (Some(Err(_)), Some(value)) = (text, &record.value) {
        put("valueBase64", &|| json!(STANDARD.encode(value)));
    }
    Value::Object(fields)
}

/// A record to be appended, as operators write it. No value (or null) with a key is a tombstone.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordDraft {
    #[serde(default)]
    pub key: Option<String>,
    /// Any JSON, appended as it is written here.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub value: Option<Box<RawValue>>,
    /// Bytes that are no JSON, in base64, instead of `value`.
    #[serde(default)]
    pub value_base64: Option<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    pub headers: Map<String, Value>,
    #[serde(default)]
    pub partition: Option<i32>,
}

impl RecordDraft {
    /// The record for this topic.
    ///
    /// # Errors
    /// The field that is wrong, and why.
    pub fn record(self, topic: Topic, partitions: usize) -> Result<NewRecord, (&'static str, String)> {
        let value = match (self.value, self.value_base64) {
            (None, None) if self.key.is_none() => {
                return Err(("value", "null without a key: a tombstone needs the key that it removes".to_owned()));
            }
            (None, None) => None,
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text).map_err(|error| ("valueBase64", error.to_string()))?;
                Some(Bytes::from(bytes))
            }
            (Some(value), None) => Some(Bytes::from(String::from(Box::<str>::from(value)))),
            (Some(_), Some(_)) => return Err(("valueBase64", "there is a value already".to_owned())),
        };
        let known = |partition: &i32| usize::try_from(*partition).is_ok_and(|partition| partition < partitions);
        if self.partition.as_ref().is_some_and(|partition| !known(partition)) {
            return Err(("partition", format!("the topic has {partitions} partitions, numbered from 0")));
        }
        let mut headers = Headers::none();
        for (name, value) in self.headers {
            let Value::String(text) = value else { return Err(("headers", format!("{name} is no text"))) };
            headers.push(name, text);
        }
        Ok(NewRecord { topic, partition: self.partition, key: self.key.map(Bytes::from), value, headers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: Option<&'static [u8]>) -> Record {
        let mut headers = Headers::none();
        headers.push("kartshoppe-cause", "file/0");
        let (key, value) = (Some(Bytes::from_static(b"MUG")), value.map(Bytes::from_static));
        Record { topic: Topic::Products, partition: 2, offset: 7, append_time_ms: 5, key, value, headers }
    }

    #[test]
    fn records_are_shown_whatever_they_hold() {
        let view = |record: &Record| serde_json::from_str::<Value>(shown(record, Form::Json).unwrap().get()).unwrap();
        let shown = view(&record(Some(b"{\"a\":1}")));
        assert_eq!((&shown["value"], &shown["valueType"]), (&json!({"a": 1}), &json!("json")));
        assert_eq!((&shown["key"], &shown["headers"]["kartshoppe-cause"]), (&json!("MUG"), &json!("file/0")));
        assert_eq!(view(&record(Some(b"{broken")))["value"], "{broken");
        assert_eq!(view(&record(Some(b"\xff\x00")))["valueBase64"], "/wA=");
        assert_eq!(view(&record(None))["value"], Value::Null);
        let types = [None, Some(&b"null"[..]), Some(b""), Some(b"x"), Some(b"\xff")]
            .map(|value| view(&record(value))["valueType"].clone());
        assert_eq!(types, ["tombstone", "json", "text", "text", "bytes"]);
        let deep: &'static [u8] = Box::leak("[".repeat(200_000).into_bytes().into_boxed_slice());
        assert!(view(&record(Some(deep)))["value"].is_string());
        for unreadable in [&b"\"\\ud800\""[..], b"1e400"] {
            assert_eq!(view(&record(Some(unreadable)))["valueType"], "text");
        }
    }

    #[test]
    fn values_are_shown_as_the_bytes_have_them() {
        for value in [
            r#"{"b":1.50,"a":9007199254740993,"b":1e2}"#,
            "18446744073709551616",
            "-0",
            "1.000",
            r#""\u0041\/""#,
            "{ \"a\" : [ 1 ] }",
        ] {
            let bytes: &'static [u8] = Box::leak(value.to_owned().into_bytes().into_boxed_slice());
            let text = shown(&record(Some(bytes)), Form::Json).unwrap();
            assert!(text.get().contains(&format!(r#""value":{value},"#)), "{}", text.get());
            let text = shown(&record(Some(bytes)), Form::Text).unwrap();
            let shown: Value = serde_json::from_str(text.get()).unwrap();
            assert_eq!((&shown["value"], &shown["valueType"]), (&json!(value), &json!("json")));
        }
        assert_eq!(on_one_line("{\n \"a b\": 1.0,\r\n\t\"c\\\"\": [ 2 ]}"), r#"{"a b":1.0,"c\"":[2]}"#);
    }

    #[test]
    fn drafts_become_records_or_say_what_is_wrong() {
        let draft = |json: Value| serde_json::from_value::<RecordDraft>(json).unwrap().record(Topic::Products, 4);
        let array = draft(json!({"value": [1, 2]})).unwrap();
        assert_eq!((array.key, array.value), (None, Some(Bytes::from_static(b"[1,2]"))));
        assert_eq!(draft(json!({"key": "MUG", "value": null})).unwrap().value, None);
        assert_eq!(draft(json!({"valueBase64": "/wA="})).unwrap().value, Some(Bytes::from_static(b"\xff\x00")));
        let wrong = |json| draft(json).unwrap_err().0;
        assert_eq!(wrong(json!({"value": null})), "value");
        assert_eq!(wrong(json!({"value": 1, "valueBase64": "AA=="})), "valueBase64");
        assert_eq!(wrong(json!({"valueBase64": "?"})), "valueBase64");
        assert_eq!(wrong(json!({"value": 1, "partition": 4})), "partition");
        assert_eq!(wrong(json!({"value": 1, "headers": {"a": 1}})), "headers");
    }

    #[test]
    fn a_draft_keeps_the_text_of_its_value() {
        for value in [r#"{"b":1.50,"a":18446744073709551616}"#, "{ \"z\" : [ 1e2, -0 ],\n \"z\": \"\\u0041\" }", "0", "[]"] {
            let draft: RecordDraft = serde_json::from_str(&format!("{{\"value\": {value} , \"partition\": 1}}")).unwrap();
            assert_eq!(draft.record(Topic::ProductUpdates, 4).unwrap().value, Some(Bytes::from(value)));
        }
    }
}
