//! Finds the record that a member of a group cannot read: the member learns that there is one, but not where.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::{Offset as ClientOffset, TopicPartitionList};
use tokio::time::Instant;

use super::super::cluster::Cluster;
use super::super::codes::is_unreadable;
use super::super::native::{Queue, Taken};
use super::super::records::Names;
use crate::log::{LogError, Offset, TopicPartition};

/// How long a search may take: the client asks twice a second.
const PATIENCE: Duration = Duration::from_secs(2);
/// A member meets the record as often as it asks, so it is searched for only now and then.
const EVERY: Duration = Duration::from_secs(10);
const FETCH_WAIT: Duration = Duration::from_millis(10);

/// The searches of one member.
#[derive(Debug, Default)]
pub(in crate::log::kafka) struct Search(Mutex<Option<Instant>>);

impl Search {
    /// Reads from where the member stands, unless it did so a moment ago. `from` is where its partitions were committed,
    /// `reached` how far the member has read since.
    pub fn run(
        &self,
        cluster: &Cluster,
        names: &Names,
        mut from: BTreeMap<TopicPartition, Offset>,
        reached: &TopicPartitionList,
    ) {
        if from.is_empty() || !self.is_due() {
            return;
        }
        // A partition of which it has read nothing yet has no offset there, and keeps the one that it was given.
        for element in reached.elements() {
            if let (Some(topic), ClientOffset::Offset(offset)) = (names.topic(element.topic()), element.offset()) {
                from.entry(TopicPartition::new(topic, element.partition())).and_modify(|known| *known = offset.max(*known));
            }
        }
        if let Err(error) = find(cluster, &from) {
            tracing::debug!(%error, "the record that cannot be read was not found");
        }
    }

    /// Starts the next search, if it is time for one.
    fn is_due(&self) -> bool {
        let (mut last, now) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let is_due = last.is_none_or(|last| now.duration_since(last) >= EVERY);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

fn find(cluster: &Cluster, from: &BTreeMap<TopicPartition, Offset>) -> Result<(), LogError> {
    let (consumer, names) = cluster.consumer_from(&cluster.config.reader(FETCH_WAIT), from)?;
    let queue = Queue::of(&consumer).ok_or(LogError::Closed)?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        queue.take(FETCH_WAIT * 10, |taken| {
            if let Taken::Trouble { topic, partition, offset, code, text } = taken
                && is_unreadable(code)
                && let Some(topic) = names.topic(topic)
            {
                cluster.board.unreadable.cannot_read(TopicPartition::new(topic, partition), offset, code, &text);
            }
        });
    }
    Ok(())
}
