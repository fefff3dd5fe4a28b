//! Detects a broken log while nothing else uses it: an idle process writes a record of its own and waits until it reads it back.
//!
//! The topic `health` is compacted and holds one record per process; it is no input. A process without permission to write to it
//! is judged by the other checks, and warns once.

use std::time::Duration;

use tokio::time::Instant;

use crate::log::{Appended, EventLog, Headers, LogError, NewRecord, Offset, Reader, Start, Stop, Topic, TopicPartition};
use crate::telemetry::alarms::{About, Alarm, Alarms, Cause};

/// Time limit for a write, and for its echo.
const PATIENCE: Duration = Duration::from_secs(5);
const CHUNK: usize = 1_000;
const AT: TopicPartition = TopicPartition { topic: Topic::Health, partition: 0 };
const FAILS: About = About::cause(Cause::TrialWrite);
const REFUSED: About = About::cause(Cause::TrialWriteRefused);
/// How often a missing permission is tried again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// The trial writes of this process.
pub(super) struct Trial {
    key: String,
    after: Duration,
    /// The sum of the ends of all other topics at the last check.
    written: Option<Offset>,
    /// When any process last wrote to the log.
    last: Instant,
    /// Kept open: a new reader for each trial would cost more than the trial.
    echo: Option<Box<dyn Reader>>,
    fails: bool,
    refused: Option<Instant>,
}

impl Trial {
    pub fn new(instance: &str, after: Duration) -> Self {
        let last = Instant::now();
        Self { key: instance.to_owned(), after, written: None, last, echo: None, fails: false, refused: None }
    }

    /// Writes if no record was written for a while, or if the last trial failed. `written` is the sum of the ends of all other
    /// topics.
    pub async fn look(&mut self, log: &dyn EventLog, alarms: &Alarms, written: Option<Offset>) {
        if written.is_some() && std::mem::replace(&mut self.written, written) != written {
            self.last = Instant::now();
        }
        let rests = self.refused.is_some_and(|since| since.elapsed() < ASK_AGAIN);
        if rests || (!self.fails && self.last.elapsed() < self.after) {
            return;
        }
        self.last = Instant::now();
        let result = self.write_and_hear(log).await;
        if result.is_err() {
            self.echo = None;
        }
        self.refused = matches!(result, Err(LogError::Refused(_))).then(Instant::now);
        self.fails = result.is_err() && self.refused.is_none();
        let refused = result.as_ref().err().filter(|_| self.refused.is_some()).map(|error| {
            let text = "the topic health cannot be created or written to, so an idle log is not tested by trial writes";
            Alarm::warns(text).with_detail(error)
        });
        let fails = result.as_ref().err().filter(|_| self.fails).map(|error| {
            let text = "the event log accepts no records: a trial write to the topic health was not read back; check the log's \
                        storage or brokers";
            Alarm::blocks(text).with_detail(error)
        });
        alarms.set(REFUSED, refused);
        alarms.set(FAILS, fails);
    }

    async fn write_and_hear(&mut self, log: &dyn EventLog) -> Result<(), LogError> {
        let silent = |_| LogError::Deadline { waited: PATIENCE };
        let written = match self.write(log).await {
            Err(LogError::UnknownTopic(_)) => {
                tokio::time::timeout(PATIENCE, log.create_topics(&[Topic::Health])).await.map_err(silent)??;
                self.write(log).await?
            }
            written => written?,
        };
        tokio::time::timeout(PATIENCE, self.hear(log, written.offset)).await.map_err(silent)?
    }

    async fn write(&mut self, log: &dyn EventLog) -> Result<Appended, LogError> {
        let headers = Headers::default();
        let (key, value) = (Some(self.key.clone().into()), Some("{}".into()));
        let record = NewRecord { topic: AT.topic, partition: Some(AT.partition), key, value, headers };
        let appended = tokio::time::timeout(PATIENCE, log.append(vec![record], PATIENCE)).await;
        let appended = appended.map_err(|_| LogError::Deadline { waited: PATIENCE })??;
        appended.into_iter().next().ok_or_else(|| LogError::Unavailable("a write was not confirmed".to_owned()))
    }

    /// Reads up to the record that was written.
    async fn hear(&mut self, log: &dyn EventLog, offset: Offset) -> Result<(), LogError> {
        let reader = match &mut self.echo {
            Some(reader) => reader,
            none => none.insert(log.reader(&[(AT, Start::Offset(offset))], Stop::Never).await?),
        };
        while reader.positions().get(&AT).is_none_or(|at| *at <= offset) {
            reader.read(CHUNK, PATIENCE).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::log::embedded::{EmbeddedConfig, EmbeddedLog};

    const AFTER: Duration = Duration::from_secs(10);

    impl Trial {
        async fn after_a_quiet_while(&mut self, log: &dyn EventLog, alarms: &Alarms, written: Offset) {
            self.last = self.last.checked_sub(AFTER).unwrap();
            self.look(log, alarms, Some(written)).await;
        }
    }

    #[tokio::test]
    async fn an_idle_log_is_tried_and_a_failure_goes_away_with_the_next_echo() {
        let folder = tempfile::tempdir().unwrap();
        let config = || EmbeddedConfig::new(folder.path(), 1);
        let log = EmbeddedLog::open(config(), Clock::system()).await.unwrap();
        let (alarms, mut trial) = (Alarms::default(), Trial::new("me", AFTER));
        let end = async |log: &EmbeddedLog| log.topics().await.unwrap().first().map_or(0, |info| info.partitions[0].end);

        trial.after_a_quiet_while(&log, &alarms, 7).await;
        assert_eq!(end(&log).await, 0, "something was written since the last look");
        trial.after_a_quiet_while(&log, &alarms, 7).await;
        trial.after_a_quiet_while(&log, &alarms, 7).await;
        assert_eq!((end(&log).await, alarms.list()), (2, Vec::new()), "the topic was made, and both were read back");

        log.close().await;
        trial.after_a_quiet_while(&log, &alarms, 7).await;
        let standing = alarms.list();
        assert!(standing.len() == 1 && standing[0].0 == FAILS && standing[0].1.blocks, "{standing:?}");

        let log = EmbeddedLog::open(config(), Clock::system()).await.unwrap();
        trial.look(&log, &alarms, Some(8)).await;
        assert_eq!((end(&log).await, alarms.list()), (3, Vec::new()), "a trial that failed is repeated at once");
    }
}
