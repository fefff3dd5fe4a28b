//! A record, as a log keeps it: key, value, headers, and where it lies.
//!
//! The shapes of this module are made into records and read from them; `log` moves them and hands these names on.

use std::borrow::Cow;

use bytes::Bytes;

use super::Topic;
use crate::domain::EpochMs;

/// Position of a record in its partition, from 0. A *position* is the offset of the next record to read.
pub type Offset = i64;
/// Number of a partition of a topic, from 0.
pub type PartitionId = i32;
/// Headers of a record, in order; names may repeat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(pub Vec<(Cow<'static, str>, Bytes)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds one header.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// The last value of that name, as Kafka's `lastHeader` gives it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The last value of that name, if it is UTF-8.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// A record to be written. No value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    pub topic: Topic,
    /// `None`: chosen by the key (`log::partitioner::partition_of`), or spread evenly without one.
    pub partition: Option<PartitionId>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
}

impl NewRecord {
    /// What framing, and the stamp of a transaction, may add to a record.
    const FRAMING: usize = 256;
    /// The same for a header.
    const HEADER_FRAMING: usize = 10;

    /// About how many bytes it takes on its way, and never less than it does.
    #[must_use]
    pub fn size(&self) -> usize {
        let header = |(name, value): &(Cow<'static, str>, Bytes)| name.len() + value.len() + Self::HEADER_FRAMING;
        let headers: usize = self.headers.0.iter().map(header).sum();
        let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        length(&self.key) + length(&self.value) + headers + Self::FRAMING
    }
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub topic: Topic,
    pub partition: PartitionId,
    pub offset: Offset,
    /// When the log appended it, in epoch milliseconds.
    pub append_time_ms: EpochMs,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
}
