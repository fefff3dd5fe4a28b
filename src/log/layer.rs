//! A log that wraps another one and changes a few of its methods. Every [`LogLayer`] is an [`EventLog`], which passes all other
//! calls on.

use std::time::Duration;

use super::{
    Appended, EventLog, LogFuture, NewRecord, PartitionId, Positions, Reader, Session, SessionConfig, Setbacks, Start, Stop,
    Topic, TopicInfo, TopicPartition,
};
use crate::telemetry::metrics::Metrics;

/// What a layer may change: everything that reads and writes records.
pub trait LogLayer: Send + Sync {
    /// The log that this one wraps.
    fn beneath(&self) -> &dyn EventLog;

    /// As [`EventLog::session`].
    fn session(&self, config: SessionConfig) -> LogFuture<'_, Box<dyn Session>>;

    /// As [`EventLog::reader`].
    fn reader(&self, from: &[(TopicPartition, Start)], stop: Stop) -> LogFuture<'_, Box<dyn Reader>> {
        self.beneath().reader(from, stop)
    }

    /// As [`EventLog::append`].
    fn append(&self, records: Vec<NewRecord>, deadline: Duration) -> LogFuture<'_, Vec<Appended>> {
        self.beneath().append(records, deadline)
    }
}

impl<L: LogLayer> EventLog for L {
    fn id(&self) -> LogFuture<'_, String> {
        self.beneath().id()
    }

    fn create_topics(&self, topics: &[Topic]) -> LogFuture<'_, Vec<Topic>> {
        self.beneath().create_topics(topics)
    }

    fn delete_topics(&self, topics: &[Topic]) -> LogFuture<'_, ()> {
        self.beneath().delete_topics(topics)
    }

    fn topics(&self) -> LogFuture<'_, Vec<TopicInfo>> {
        self.beneath().topics()
    }

    fn partitions(&self) -> PartitionId {
        self.beneath().partitions()
    }

    fn session(&self, config: SessionConfig) -> LogFuture<'_, Box<dyn Session>> {
        LogLayer::session(self, config)
    }

    fn reader(&self, from: &[(TopicPartition, Start)], stop: Stop) -> LogFuture<'_, Box<dyn Reader>> {
        LogLayer::reader(self, from, stop)
    }

    fn append(&self, records: Vec<NewRecord>, deadline: Duration) -> LogFuture<'_, Vec<Appended>> {
        LogLayer::append(self, records, deadline)
    }

    fn committed(&self, group: &str) -> LogFuture<'_, Positions> {
        self.beneath().committed(group)
    }

    fn live_members(&self, group: &str) -> LogFuture<'_, usize> {
        self.beneath().live_members(group)
    }

    fn kept(&self) -> LogFuture<'_, std::collections::BTreeMap<Topic, String>> {
        self.beneath().kept()
    }

    fn settings(&self) -> LogFuture<'_, std::collections::BTreeMap<Topic, std::collections::BTreeMap<String, String>>> {
        self.beneath().settings()
    }

    fn record_limit(&self) -> usize {
        self.beneath().record_limit()
    }

    fn foreign_members(&self) -> Vec<String> {
        self.beneath().foreign_members()
    }

    fn is_log_append_time(&self, topic: Topic) -> LogFuture<'_, bool> {
        self.beneath().is_log_append_time(topic)
    }

    fn trouble(&self) -> Option<String> {
        self.beneath().trouble()
    }

    fn refusal(&self) -> Option<String> {
        self.beneath().refusal()
    }

    fn register(&self, metrics: &Metrics) {
        self.beneath().register(metrics);
    }

    fn setbacks(&self) -> Setbacks {
        self.beneath().setbacks()
    }
}
