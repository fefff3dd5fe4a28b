//! Records as the client has them, and as the log has them. What is read is copied once, so that no record holds on to a fetch
//! buffer.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Headers as _, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use super::options::KafkaConfig;
use super::repair::stamp::DECIDING;
use crate::domain::EpochMs;
use crate::log::{Headers, NewRecord, Offset, PartitionId, Record};
use crate::wire::topics::Topic;
use crate::wire::topics::headers;

/// A record as a client shows it, before it is copied.
pub(super) struct Seen<'a, H> {
    pub topic: &'a str,
    pub partition: PartitionId,
    pub offset: Offset,
    pub timestamp_ms: EpochMs,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: H,
}

/// A message of the safe client.
pub(super) fn seen<'a>(message: &'a BorrowedMessage<'_>) -> Seen<'a, impl Iterator<Item = (&'a str, &'a [u8])>> {
    let headers: Option<&BorrowedHeaders> = message.headers();
    Seen {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
        key: message.key(),
        value: message.payload(),
        headers: headers.into_iter().flat_map(|all| all.iter().map(|header| (header.key, header.value.unwrap_or_default()))),
    }
}

/// Finds topics by their names in this Kafka. There are few, so a list is searched.
#[derive(Debug, Clone)]
pub(super) struct Names(Vec<(String, Topic)>);

impl Names {
    pub fn new(config: &KafkaConfig, topics: impl IntoIterator<Item = Topic>) -> Self {
        Self(topics.into_iter().map(|topic| (config.name_of(topic), topic)).collect())
    }

    pub fn topic(&self, name: &str) -> Option<Topic> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, topic)| *topic)
    }

    pub fn name(&self, topic: Topic) -> Option<&str> {
        self.0.iter().find(|(_, known)| *known == topic).map(|(name, _)| name.as_str())
    }

    pub fn all(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// Copies a record; key, value and headers share one allocation. `None` for a topic that was not asked for, and for records that
/// only decide a transaction. Stamps belong to the log and are not copied.
pub(super) fn copy<'a, H>(names: &Names, seen: Seen<'a, H>) -> Option<Record>
where
    H: Iterator<Item = (&'a str, &'a [u8])>,
{
    let topic = names.topic(seen.topic)?;
    let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
    let mut bytes = BytesMut::with_capacity(length(seen.key) + length(seen.value) + 128);
    let mut add = |part: &[u8]| {
        let start = bytes.len();
        bytes.extend_from_slice(part);
        start..bytes.len()
    };
    let key = seen.key.map(&mut add);
    let value = seen.value.map(&mut add);
    let mut headers: Vec<(Cow<'static, str>, Range<usize>)> = Vec::new();
    for (name, text) in seen.headers {
        if name != headers::TRANSACTION {
            headers.push((known(name), add(text)));
        } else if text == DECIDING.as_bytes() && value.is_none() {
            return None;
        }
    }
    let bytes: Bytes = bytes.freeze();
    Some(Record {
        topic,
        partition: seen.partition,
        offset: seen.offset,
        append_time_ms: seen.timestamp_ms,
        key: key.map(|range| bytes.slice(range)),
        value: value.map(|range| bytes.slice(range)),
        headers: Headers(headers.into_iter().map(|(name, range)| (name, bytes.slice(range))).collect()),
    })
}

/// The name of a header; the common ones need no allocation.
fn known(name: &str) -> Cow<'static, str> {
    const KNOWN: [&str; 5] = [headers::CAUSE, headers::TRACEPARENT, headers::TRACESTATE, headers::STATE, headers::MOVED_FROM];
    KNOWN.into_iter().find(|known| *known == name).map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed)
}

/// A record for a producer, which copies it again, with the stamp of its transaction. Without a partition the producer chooses
/// one by the key, as a Java producer would.
pub(super) fn to_send<'a>(record: &'a NewRecord, name: &'a str, stamp: Option<&str>) -> BaseRecord<'a, [u8], [u8]> {
    let mut sent = BaseRecord::to(name);
    sent.partition = record.partition;
    sent.key = record.key.as_deref();
    sent.payload = record.value.as_deref();
    sent.headers = headers_of(record);
    if let Some(stamp) = stamp {
        let headers = sent.headers.take().unwrap_or_else(|| OwnedHeaders::new_with_capacity(1));
        sent.headers = Some(headers.insert(Header { key: headers::TRANSACTION, value: Some(stamp) }));
    }
    sent
}

/// The record's headers as the client wants them.
pub(super) fn headers_of(record: &NewRecord) -> Option<OwnedHeaders> {
    let headers = &record.headers.0;
    (!headers.is_empty()).then(|| {
        let empty = OwnedHeaders::new_with_capacity(headers.len());
        headers.iter().fold(empty, |all, (key, value)| all.insert(Header { key, value: Some(&value[..]) }))
    })
}
