//! Records as they come, of several topics, in batches that a person can follow: what is too much is counted and left out.

use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::evaluate::Filter;
use super::lanes::CHUNK;
use super::{Query, SearchError, range};
use crate::clock::Clock;
use crate::log::{EventLog, LogError, Reader, Start, Stop, TopicPartition};

/// What one batch holds.
const BATCH_RECORDS: usize = 200;
const BATCH_BYTES: usize = 512 * 1024;
/// Looking at one chunk takes no longer than this, or what is left of it is skipped.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// Follows topics.
pub struct Tail {
    reader: Box<dyn Reader>,
    filter: Filter,
}

/// What came.
#[derive(Debug, Default)]
pub struct Batch {
    pub records: Vec<Box<RawValue>>,
    /// Records that were read.
    pub scanned: u64,
    /// Records that fit, or may have done so, and were left out as there were too many.
    pub skipped: u64,
    bytes: usize,
}

impl Tail {
    /// Follows the topics of a query from its `from` on.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn open(log: &dyn EventLog, clock: &Clock, query: &Query) -> Result<Self, SearchError> {
        let partitions = range::partitions(log, query).await?;
        let starts: Vec<(TopicPartition, Start)> =
            partitions.iter().map(|(at, info)| (*at, query.from.start(info, clock))).collect();
        let reader = log.reader(&starts, Stop::Never).await?;
        Ok(Self { reader, filter: query.filter(query.times(clock)) })
    }

    /// What comes within this time.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn batch(&mut self, time: Duration) -> Result<Batch, LogError> {
        let (end, mut batch) = (Instant::now() + time, Batch::default());
        loop {
            let records = self.reader.read(CHUNK, end.saturating_duration_since(Instant::now())).await?;
            let read = records.len();
            self.filter.until = Instant::now() + LOOK_TIME;
            let entries = self.filter.look_at(records).await?;
            batch.scanned += read as u64;
            batch.skipped += (read - entries.len()) as u64;
            entries.into_iter().filter_map(|entry| entry.shown).for_each(|shown| batch.put(shown));
            if Instant::now() >= end {
                return Ok(batch);
            }
        }
    }
}

impl Batch {
    fn put(&mut self, shown: Box<RawValue>) {
        let bytes = shown.get().len();
        if self.records.len() >= BATCH_RECORDS || (self.bytes + bytes > BATCH_BYTES && !self.records.is_empty()) {
            self.skipped += 1;
            return;
        }
        self.bytes += bytes;
        self.records.push(shown);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    #[test]
    fn what_is_too_much_is_counted_and_one_record_always_fits() {
        let mut batch = Batch::default();
        (0..BATCH_RECORDS + 7).for_each(|number| batch.put(to_raw_value(&number).unwrap()));
        assert_eq!((batch.records.len(), batch.skipped), (BATCH_RECORDS, 7));
        let mut large = Batch::default();
        (0..3).for_each(|_| large.put(to_raw_value(&"x".repeat(BATCH_BYTES)).unwrap()));
        assert_eq!((large.records.len(), large.skipped), (1, 2));
    }
}
