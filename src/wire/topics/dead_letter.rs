//! A record of `dead-letters`: the raw bytes of what could not be used, and why.
//!
//! Key and value are those of the source; the reason stands in headers with the names Kafka Streams uses. Written in the same
//! transaction as the position that skips the source, so it must never be too large to write: a value above [`VALUE_MAX`] is cut,
//! and says so.

use bytes::Bytes;

use super::Topic;
use super::headers::{self, dead_letter as name};
use crate::wire::invalid::{Invalid, shortened};
use crate::wire::topics::record::{Headers, NewRecord, Record};

/// Most bytes of a value (or key) that are kept: headers and framing must still fit a broker's usual limit of 1 MiB.
pub const VALUE_MAX: usize = 900_000;
/// Most of the source's own headers that are kept, and most bytes of all of them.
const SOURCE_HEADERS_MAX: usize = 32;
const SOURCE_HEADER_BYTES_MAX: usize = 16_384;

/// What could not be used: a record, or one element of an array record.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    pub source: &'a Record,
    /// Place of the element in its record, 0 for a whole record.
    pub index: u32,
    /// The element's own bytes; `None` for a whole record.
    pub part: Option<&'a Bytes>,
    /// Kind of failure: that of [`Invalid::kind`], `PoisonCommand`, …
    pub kind: &'a str,
    /// For the person who reads it.
    pub reason: &'a str,
}

impl DeadLetter<'_> {
    /// The record, with the cause `topic/partition/offset/index`.
    #[must_use]
    pub fn record(&self) -> NewRecord {
        let Self { source, index, part, kind, reason } = *self;
        let mut headers = Headers(Vec::with_capacity(10));
        keep_source_headers(&mut headers, &source.headers);
        headers.push(headers::CAUSE, format!("{}/{}/{}/{index}", source.topic, source.partition, source.offset));
        headers.push(name::EXCEPTION, kind.to_owned());
        headers.push(name::MESSAGE, shortened(reason));
        headers.push(name::STACKTRACE, "");
        headers.push(name::TOPIC, source.topic.name());
        headers.push(name::PARTITION, source.partition.to_string());
        headers.push(name::OFFSET, source.offset.to_string());
        headers.push(name::PROCESSOR_NODE_ID, source.topic.name());
        headers.push(name::TASK_ID, format!("0_{}", source.partition));
        let value = part.or(source.value.as_ref());
        if let Some(value) = value.filter(|value| value.len() > VALUE_MAX) {
            headers.push(headers::CUT_FROM, value.len().to_string());
        }
        NewRecord {
            topic: Topic::DeadLetters,
            partition: None,
            key: source.key.as_ref().map(cut),
            value: value.map(cut),
            headers,
        }
    }
}

/// The dead letter of input that a reader refused.
#[must_use]
pub fn of_invalid(source: &Record, index: u32, part: Option<&Bytes>, invalid: &Invalid) -> NewRecord {
    DeadLetter { source, index, part, kind: invalid.kind(), reason: &invalid.to_string() }.record()
}

fn cut(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len().min(VALUE_MAX))
}

/// Keeps the source's headers as far as they are few and small; our own names are not theirs to set.
fn keep_source_headers(into: &mut Headers, source: &Headers) {
    let mut bytes = 0;
    for (name, value) in source.0.iter().take(SOURCE_HEADERS_MAX) {
        bytes += name.len() + value.len();
        if bytes > SOURCE_HEADER_BYTES_MAX {
            return;
        }
        if name != headers::CAUSE && name != headers::CUT_FROM && !name.starts_with("__streams.errors.") {
            into.push(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(value: Option<Bytes>) -> Record {
        let mut headers = Headers::none();
        headers.push("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        headers.push("__streams.errors.offset", "forged");
        let key = Some(Bytes::from_static(b"\xffkey"));
        Record { topic: Topic::OrderEvents, partition: 2, offset: 1234, append_time_ms: 0, key, value, headers }
    }

    #[test]
    fn keeps_the_bytes_and_says_where_from_and_why() {
        let value = Bytes::from_static(b"\x00\xffraw");
        let letter = of_invalid(&source(Some(value.clone())), 0, None, &Invalid::NullValue);
        assert_eq!(
            (letter.topic, letter.key.as_deref(), letter.value),
            (Topic::DeadLetters, Some(b"\xffkey".as_slice()), Some(value))
        );
        let headers: Vec<String> =
            letter.headers.0.iter().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value))).collect();
        insta::assert_snapshot!(headers.join("\n"), @r"
        traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
        kartshoppe-cause=order-events/2/1234/0
        __streams.errors.exception=NullValue
        __streams.errors.message=the value is null
        __streams.errors.stacktrace=
        __streams.errors.topic=order-events
        __streams.errors.partition=2
        __streams.errors.offset=1234
        __streams.errors.processor.node.id=order-events
        __streams.errors.task.id=0_2
        ");
    }

    #[test]
    fn an_element_is_kept_by_itself_and_a_null_stays_null() {
        let part = Bytes::from_static(b"{}");
        let letter = of_invalid(&source(Some(Bytes::from_static(b"[{},7]"))), 1, Some(&part), &Invalid::NullValue);
        assert_eq!(letter.value, Some(part));
        assert_eq!(letter.headers.get_str(headers::CAUSE), Some("order-events/2/1234/1"));
        assert_eq!(of_invalid(&source(None), 0, None, &Invalid::NullValue).value, None);
    }

    #[test]
    fn it_always_fits_a_broker() {
        let mut huge = source(Some(Bytes::from(vec![b'x'; 10_000_000])));
        for _ in 0..10_000 {
            huge.headers.push("h", "v");
        }
        huge.headers.0.insert(0, ("big".into(), Bytes::from(vec![b'x'; 1_000_000])));
        let reason = "r".repeat(1_000_000);
        let letter = DeadLetter { source: &huge, index: 0, part: None, kind: "PoisonCommand", reason: &reason }.record();
        let headers: usize = letter.headers.0.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert_eq!(letter.value.map(|value| value.len()), Some(VALUE_MAX));
        assert_eq!(letter.headers.get_str(headers::CUT_FROM), Some("10000000"));
        assert!(headers < 20_000, "{headers}");
    }
}
