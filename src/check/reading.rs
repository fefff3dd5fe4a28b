//! Reads the log for the checker, one partition at a time, and never waits without limit: a partition on which reading makes no
//! progress, or fails, is left out, and the report says which and why.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::log::{EventLog, LogError, Offset, PartitionId, Record, Start, Stop, Topic, TopicPartition};

/// Records per read: large enough that the number of calls does not matter.
const CHUNK: usize = 5000;
/// A reader that stops at the end does not wait, but Kafka may deliver late.
const WAIT: Duration = Duration::from_millis(500);

/// A partition that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    pub at: TopicPartition,
    /// The first record that was not read, and the end; `None` if the reader could not be opened.
    stood: Option<(Offset, Offset)>,
    why: String,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not be judged: {}", self.at)?;
        if let Some((offset, end)) = self.stood {
            write!(f, "/{offset} (of {end})")?;
        }
        write!(f, ", {}", self.why)
    }
}

/// The log, and how long reading may make no progress.
#[derive(Clone, Copy)]
pub struct CheckedLog<'a> {
    pub log: &'a dyn EventLog,
    pub patience: Duration,
}

impl CheckedLog<'_> {
    /// Passes every record of a partition to `take`, in chunks, until it returns `false`.
    pub async fn each(&self, at: TopicPartition, mut take: impl FnMut(&[Record]) -> bool) -> Result<(), Unread> {
        let opened = tokio::time::timeout(self.patience, self.log.reader(&[(at, Start::Beginning)], Stop::AtEnd)).await;
        let unopened = |why: String| Unread { at, stood: None, why };
        let mut reader = match opened {
            Ok(Ok(reader)) => reader,
            Ok(Err(error)) => return Err(unopened(error.to_string())),
            Err(_) => return Err(unopened(format!("it could not be opened within {:?}", self.patience))),
        };
        let mut moved = (Instant::now(), None);
        loop {
            let read = tokio::time::timeout(self.patience, reader.read(CHUNK, WAIT)).await;
            let (offset, end) = (reader.positions().get(&at).copied(), reader.ends().get(&at).copied());
            let stood = offset.zip(end);
            let records = match read {
                Ok(Ok(records)) => records,
                Ok(Err(error)) => return Err(Unread { at, stood, why: error.to_string() }),
                Err(_) => Vec::new(),
            };
            if !records.is_empty() && !take(&records) {
                return Ok(());
            }
            if records.is_empty() && reader.caught_up() {
                return Ok(());
            }
            if !records.is_empty() || moved.1 != offset {
                moved = (Instant::now(), offset);
            } else if moved.0.elapsed() >= self.patience {
                let why = format!("reading gave nothing for {:?}", self.patience);
                return Err(Unread { at, stood, why });
            }
        }
    }

    /// Passes every record of some topics to `take`, each partition in order; returns what could not be read.
    ///
    /// # Errors
    /// If the topics cannot be listed.
    pub async fn all(&self, topics: &[Topic], mut take: impl FnMut(&Record)) -> Result<Vec<Unread>, LogError> {
        let known = self.log.topics().await?;
        let mut unread = Vec::new();
        for topic in topics {
            let info = known.iter().find(|info| info.topic == *topic);
            let info = info.ok_or_else(|| LogError::UnknownTopic(topic.name().to_owned()))?;
            for partition in (0 as PartitionId..).take(info.partitions.len()) {
                let take_all = |records: &[Record]| {
                    records.iter().for_each(&mut take);
                    true
                };
                unread.extend(self.each(TopicPartition::new(*topic, partition), take_all).await.err());
            }
        }
        Ok(unread)
    }
}
