//! Which part of which partitions a search is about: from and to, as people say them.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{PARTITIONS_MAX, Query, SearchError, Times};
use crate::clock::{Clock, in_ms};
use crate::domain::EpochMs;
use crate::log::{EventLog, LogError, Offset, PartitionInfo, Start, TopicPartition};

/// Integers from here on are times in milliseconds (1973), smaller ones are offsets.
const FIRST_TIME_MS: i64 = 100_000_000_000;

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
    /// Appended at this time or later.
    Time(EpochMs),
}

impl ReadFrom {
    /// Reads `start`, `end`, `1234`, `offset:1234`, `-20`, `-1h`, `2026-01-31T10:00:00Z`, `1769853600000` or `time:1769853600000`.
    ///
    /// # Errors
    /// What would be accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
        let read = match text {
            "start" => Some(Self::Start),
            "end" => Some(Self::End),
            back if back.starts_with('-') => match (back[1..].parse::<u32>(), humantime::parse_duration(&back[1..])) {
                (Ok(count), _) => Some(Self::Last(count.into())),
                (Err(_), Ok(ago)) => Some(Self::Ago(ago)),
                (Err(_), Err(_)) => None,
            },
            other => match (other.strip_prefix("offset:"), other.strip_prefix("time:")) {
                (Some(offset), _) => number(offset).map(Self::Offset),
                (None, Some(time)) => number(time).or_else(|| date(time)).map(Self::Time),
                (None, None) => match number(other) {
                    Some(time) if time >= FIRST_TIME_MS => Some(Self::Time(time)),
                    Some(offset) => Some(Self::Offset(offset)),
                    None => date(other).map(Self::Time),
                },
            },
        };
        read.ok_or_else(|| {
            "expected start, end, an offset, -N for the last N records, -1h for an hour ago, or a time such as \
             2026-01-31T10:00:00Z"
                .to_owned()
        })
    }

    /// The reader's start in a partition that stands like this.
    #[must_use]
    pub fn start(self, partition: &PartitionInfo, clock: &Clock) -> Start {
        match self {
            Self::Start => Start::Beginning,
            Self::End => Start::End,
            Self::Offset(offset) => Start::Offset(offset.clamp(partition.start, partition.end)),
            Self::Last(count) => Start::Offset(partition.end.saturating_sub(count).max(partition.start)),
            Self::Ago(_) | Self::Time(_) => self.time(clock).map_or(Start::Beginning, Start::Time),
        }
    }

    fn time(self, clock: &Clock) -> Option<EpochMs> {
        match self {
            Self::Ago(ago) => Some(clock.now_ms().saturating_sub(in_ms(ago))),
            Self::Time(time) => Some(time),
            Self::Start | Self::End | Self::Offset(_) | Self::Last(_) => None,
        }
    }

    /// The offset before which a search ends, in a partition with this end. A time bounds no offset: later records may have
    /// earlier times.
    pub(super) fn end(self, partition: &PartitionInfo) -> Offset {
        match self {
            Self::Start => partition.start,
            Self::Offset(offset) => offset.clamp(partition.start, partition.end),
            Self::Last(count) => partition.end.saturating_sub(count).max(partition.start),
            Self::End | Self::Ago(_) | Self::Time(_) => partition.end,
        }
    }
}

/// A date and time with its offset from UTC, in milliseconds. A plus sign may have become a space on its way.
fn date(text: &str) -> Option<EpochMs> {
    let read = |text: &str| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    read(text).or_else(|| read(&text.replacen(' ', "+", 1)))
}

impl Query {
    pub(super) fn times(&self, clock: &Clock) -> Times {
        Times { from: self.from.time(clock), to: self.to.and_then(|to| to.time(clock)) }
    }

    /// Tells the cursors of different searches, and of different logs, apart.
    pub(super) fn fingerprint(&self, log: &str) -> [u8; 8] {
        let predicate = self.predicate.as_ref().map_or("", |(_, text)| text.as_str());
        let (topics, partition, from, to) = (&self.topics, self.partition, self.from, self.to);
        let all = format!("{log}\n{topics:?}{partition:?}{from:?}{to:?}{:?}{:?}\n{predicate}", self.order, self.direction);
        let mut first = [0; 8];
        first.copy_from_slice(&Sha256::digest(all)[..8]);
        first
    }
}

/// The partitions that a search is about, as they stand.
pub(super) async fn partitions(
    log: &dyn EventLog,
    query: &Query,
) -> Result<BTreeMap<TopicPartition, PartitionInfo>, SearchError> {
    let (known, mut most, mut all) = (log.topics().await?, 0, BTreeMap::new());
    for topic in &query.topics {
        let info = known.iter().find(|info| info.topic == *topic);
        let info = info.ok_or_else(|| LogError::UnknownTopic(topic.name().to_owned()))?;
        most = most.max(info.partitions.len());
        let numbered = (0..).zip(&info.partitions).filter(|(number, _)| query.partition.is_none_or(|wanted| wanted == *number));
        all.extend(numbered.map(|(number, info)| (TopicPartition::new(*topic, number), *info)));
    }
    match all.len() {
        0 => Err(SearchError::Partition { partitions: most }),
        1..=PARTITIONS_MAX => Ok(all),
        partitions => Err(SearchError::TooMany { partitions }),
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
        for time in [
            "1769853600000",
            "time:1769853600000",
            "2026-01-31T10:00:00Z",
            "2026-01-31T11:00:00.000+01:00",
            "2026-01-31T11:00:00 01:00",
        ] {
            assert_eq!(ReadFrom::parse(time), Ok(ReadFrom::Time(1_769_853_600_000)), "{time}");
        }
        assert_eq!(ReadFrom::parse("time:5"), Ok(ReadFrom::Time(5)));
        assert_eq!(ReadFrom::parse("offset:1769853600000"), Ok(ReadFrom::Offset(1_769_853_600_000)));
        for bad in ["", "yesterday", "--1", "-", "1.5", "1h", "-é", "offset:", "offset:-1", "time:x", "2026-01-31"] {
            assert!(ReadFrom::parse(bad).is_err(), "{bad}");
        }
        let partition = PartitionInfo { start: 10, end: 30 };
        let clock = Clock::manual(5_000_000);
        assert_eq!(ReadFrom::Last(100).start(&partition, &clock), Start::Offset(10));
        assert_eq!(ReadFrom::Last(5).start(&partition, &clock), Start::Offset(25));
        assert_eq!(ReadFrom::Offset(99).start(&partition, &clock), Start::Offset(30));
        assert_eq!(ReadFrom::Ago(Duration::from_secs(60)).start(&partition, &clock), Start::Time(4_940_000));
        assert_eq!(ReadFrom::Time(7).start(&partition, &clock), Start::Time(7));
        assert_eq!((ReadFrom::Last(5).end(&partition), ReadFrom::Offset(3).end(&partition)), (25, 10));
    }
}
