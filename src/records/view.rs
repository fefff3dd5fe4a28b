//! A record of the event log as people and predicates see it, and back.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::clock::{Clock, in_ms};
use crate::log::{Headers, NewRecord, Offset, PartitionInfo, Record, Start};
use crate::wire::topics::Topic;

/// The record as `{topic, partition, offset, timestamp, key, value, headers}`. A value that is no JSON is a text, and one that is
/// no text stands as base64 in `valueBase64`; a tombstone's is null.
#[must_use]
pub fn view(record: &Record) -> Value {
    let mut shown = json!({
        "topic": record.topic.name(), "partition": record.partition, "offset": record.offset, "timestamp": record.append_time_ms,
        "key": record.key.as_deref().map(String::from_utf8_lossy),
        "value": null,
        "headers": headers(&record.headers),
    });
    let Some(value) = &record.value else { return shown };
    match (serde_json::from_slice::<Value>(value), std::str::from_utf8(value)) {
        (Ok(parsed), _) => shown["value"] = parsed,
        (Err(_), Ok(text)) => shown["value"] = json!(text),
        (Err(_), Err(_)) => shown["valueBase64"] = json!(STANDARD.encode(value)),
    }
    shown
}

fn headers(headers: &Headers) -> Map<String, Value> {
    headers.0.iter().map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value)))).collect()
}

/// A record to be appended, as operators write it. No value (or null) with a key is a tombstone.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordDraft {
    #[serde(default)]
    pub key: Option<String>,
    /// Any JSON.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub value: Value,
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
            (Value::Null, None) if self.key.is_none() => {
                return Err(("value", "null without a key: a tombstone needs the key that it removes".to_owned()));
            }
            (Value::Null, None) => None,
            (Value::Null, Some(text)) => {
                let bytes = STANDARD.decode(text).map_err(|error| ("valueBase64", error.to_string()))?;
                Some(Bytes::from(bytes))
            }
            (value, None) => Some(Bytes::from(value.to_string())),
            (_, Some(_)) => return Err(("valueBase64", "there is a value already".to_owned())),
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

/// Where reading a topic starts, as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    Start,
    End,
    Offset(Offset),
    /// The last so many of each partition.
    Last(i64),
    /// So long ago.
    Ago(Duration),
}

impl ReadFrom {
    /// Reads `start`, `end`, `1234`, `-20` or `-1h`.
    ///
    /// # Errors
    /// What would be accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "expected start, end, an offset, -N for the last N records, or -1h for an hour ago".to_owned();
        match text.trim() {
            "start" => Ok(Self::Start),
            "end" => Ok(Self::End),
            back if back.starts_with('-') => match (back[1..].parse::<u32>(), humantime::parse_duration(&back[1..])) {
                (Ok(count), _) => Ok(Self::Last(count.into())),
                (Err(_), Ok(ago)) => Ok(Self::Ago(ago)),
                (Err(_), Err(_)) => Err(wrong()),
            },
            offset => offset.parse().ok().filter(|offset: &Offset| *offset >= 0).map(Self::Offset).ok_or_else(wrong),
        }
    }

    /// The reader's start in a partition that stands like this.
    #[must_use]
    pub fn start(self, partition: &PartitionInfo, clock: &Clock) -> Start {
        match self {
            Self::Start => Start::Beginning,
            Self::End => Start::End,
            Self::Offset(offset) => Start::Offset(offset.clamp(partition.start, partition.end)),
            Self::Last(count) => Start::Offset(partition.end.saturating_sub(count).max(partition.start)),
            Self::Ago(ago) => {
                let ago_ms = in_ms(ago);
                Start::Time(clock.now_ms().saturating_sub(ago_ms))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_read_as_people_say_them() {
        assert_eq!(ReadFrom::parse("start"), Ok(ReadFrom::Start));
        assert_eq!(ReadFrom::parse("17"), Ok(ReadFrom::Offset(17)));
        assert_eq!(ReadFrom::parse("-20"), Ok(ReadFrom::Last(20)));
        assert_eq!(ReadFrom::parse("-1h"), Ok(ReadFrom::Ago(Duration::from_secs(3600))));
        for bad in ["", "yesterday", "--1", "-", "1.5", "1h", "-é"] {
            assert!(ReadFrom::parse(bad).is_err(), "{bad}");
        }
        let partition = PartitionInfo { start: 10, end: 30 };
        let clock = Clock::manual(5_000_000);
        assert_eq!(ReadFrom::Last(100).start(&partition, &clock), Start::Offset(10));
        assert_eq!(ReadFrom::Last(5).start(&partition, &clock), Start::Offset(25));
        assert_eq!(ReadFrom::Offset(99).start(&partition, &clock), Start::Offset(30));
        assert_eq!(ReadFrom::Ago(Duration::from_secs(60)).start(&partition, &clock), Start::Time(4_940_000));
    }

    fn record(value: Option<&'static [u8]>) -> Record {
        let mut headers = Headers::none();
        headers.push("kartshoppe-cause", "file/0");
        let (key, value) = (Some(Bytes::from_static(b"MUG")), value.map(Bytes::from_static));
        Record { topic: Topic::Products, partition: 2, offset: 7, append_time_ms: 5, key, value, headers }
    }

    #[test]
    fn records_are_shown_whatever_they_hold() {
        let shown = view(&record(Some(b"{\"a\":1}")));
        assert_eq!(shown["value"], json!({"a": 1}));
        assert_eq!((&shown["key"], &shown["headers"]["kartshoppe-cause"]), (&json!("MUG"), &json!("file/0")));
        assert_eq!(view(&record(Some(b"{broken")))["value"], "{broken");
        assert_eq!(view(&record(Some(b"\xff\x00")))["valueBase64"], "/wA=");
        assert_eq!(view(&record(None))["value"], Value::Null);
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
}
