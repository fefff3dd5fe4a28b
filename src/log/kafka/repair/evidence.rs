//! Which of a session's earlier transactions were committed, as the log itself shows.
//!
//! A transaction is known to have been committed if one of its records is visible anywhere, or if a record of a later transaction
//! exists, which began only after the commit of the earlier one was answered. No reader has seen anything of the other undecided
//! ones.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::super::cluster::Cluster;
use super::super::codes::{is_unreadable, refused};
use super::super::native::{Queue, Taken};
use super::super::permissions::{Access, MissingPermission};
use super::stamp::Stamp;
use crate::log::{LogError, Offset, TopicPartition};
use crate::wire::topics::headers;

/// How many records before the end of each partition are searched for visible stamps. The last record that a transaction wrote
/// there is stamped; only records of other writers can follow it.
const TAIL: Offset = 5_000;
/// How long a fetch waits at the broker.
const FETCH_WAIT: Duration = Duration::from_millis(10);
/// Reading that returns nothing for this long has failed.
const STALLED: Duration = Duration::from_secs(10);

/// Stamps by where they lie.
pub(super) type FoundStamps = BTreeSet<(Stamp, TopicPartition)>;

/// The transactions that were committed, with the partitions where that is still undecided. `answered` is the last one whose
/// commit is known to have been answered.
pub(super) fn committed(
    undecided: &FoundStamps,
    visible: &FoundStamps,
    answered: Option<Stamp>,
) -> BTreeMap<Stamp, BTreeSet<TopicPartition>> {
    let began: BTreeSet<Stamp> = undecided.iter().chain(visible).map(|(stamp, _)| *stamp).collect();
    let is_committed = |stamp: &Stamp| {
        let later = began.iter().any(|other| other.incarnation == stamp.incarnation && other.number > stamp.number);
        let was_answered =
            answered.is_some_and(|answered| answered.incarnation == stamp.incarnation && answered.number >= stamp.number);
        later || was_answered || visible.iter().any(|(seen, _)| seen == stamp)
    };
    let mut committed: BTreeMap<Stamp, BTreeSet<TopicPartition>> = BTreeMap::new();
    for (stamp, at) in undecided.iter().filter(|(stamp, _)| is_committed(stamp)) {
        committed.entry(*stamp).or_default().insert(*at);
    }
    committed
}

/// Stamps of this identity that lie beyond what is decided. `undecided` says where that begins.
pub(super) fn beyond(
    cluster: &Cluster,
    identity: &str,
    undecided: &BTreeMap<TopicPartition, Offset>,
) -> Result<FoundStamps, LogError> {
    let bounds = cluster.bounds(&undecided.keys().copied().collect::<Vec<_>>())?;
    let ranges = undecided.iter().map(|(at, from)| (*at, *from..bounds.get(at).map_or(*from, |bounds| bounds.end)));
    read(cluster, identity, "read_uncommitted", ranges.collect())
}

/// Stamps of this identity that are visible near the ends of these partitions, before what is undecided.
pub(super) fn visible(
    cluster: &Cluster,
    identity: &str,
    partitions: &[TopicPartition],
    undecided: &BTreeMap<TopicPartition, Offset>,
) -> Result<FoundStamps, LogError> {
    let bounds = cluster.bounds(partitions)?;
    let ranges = bounds.iter().map(|(at, bounds)| {
        let end = undecided.get(at).copied().unwrap_or(bounds.end);
        (*at, (end - TAIL).max(bounds.start)..end)
    });
    read(cluster, identity, "read_committed", ranges.collect())
}

fn read(
    cluster: &Cluster,
    identity: &str,
    isolation: &str,
    mut ranges: BTreeMap<TopicPartition, Range<Offset>>,
) -> Result<FoundStamps, LogError> {
    ranges.retain(|_, range| !range.is_empty());
    let mut config = cluster.config.reader(FETCH_WAIT);
    config.set("isolation.level", isolation);
    let from = ranges.iter().map(|(at, range)| (*at, range.start)).collect();
    let (consumer, names) = cluster.consumer_from(&config, &from)?;
    let queue = Queue::of(&consumer).ok_or(LogError::Closed)?;
    let (mut found, mut trouble, mut moved) = (FoundStamps::new(), None, Instant::now());
    while !ranges.is_empty() {
        let taken = queue.take(FETCH_WAIT, |taken| match taken {
            Taken::Message(seen) => {
                let Some(topic) = names.topic(seen.topic) else { return };
                let at = TopicPartition::new(topic, seen.partition);
                let Some(range) = ranges.get(&at) else { return };
                let (is_inside, is_last) = (range.contains(&seen.offset), seen.offset + 1 >= range.end);
                let stamps = seen.headers.filter(|(name, _)| *name == headers::TRANSACTION);
                found.extend(stamps.filter(|_| is_inside).filter_map(|(_, value)| Some((Stamp::read(identity, value)?, at))));
                if is_last {
                    ranges.remove(&at);
                }
            }
            // Markers may be the last of a range.
            Taken::End { topic, partition, .. } => {
                names.topic(topic).map(|topic| ranges.remove(&TopicPartition::new(topic, partition)));
            }
            Taken::Trouble { topic, partition, offset, code, text } if is_unreadable(code) => {
                let at = names.topic(topic).map(|topic| TopicPartition::new(topic, partition));
                trouble = at.and_then(|at| cluster.board.unreadable.cannot_read(at, offset, code, &text)).or(trouble.take());
            }
            Taken::Trouble { topic, code, .. } => {
                use rdkafka::types::RDKafkaErrorCode::{GroupAuthorizationFailed, TopicAuthorizationFailed};
                if code == TopicAuthorizationFailed {
                    let missing = MissingPermission::Topic(Access::Read, topic.to_owned());
                    trouble = Some(cluster.board.permissions.refused(missing));
                } else if code != GroupAuthorizationFailed {
                    trouble = refused(code, topic).or(trouble.take());
                }
            }
        });
        if let Some(trouble) = trouble.take() {
            return Err(trouble);
        }
        if taken > 0 {
            moved = Instant::now();
        } else if moved.elapsed() > STALLED {
            return Err(cluster.board.unavailable("reading what is undecided"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::topics::Topic;

    const EVENTS: TopicPartition = TopicPartition { topic: Topic::InventoryEvents, partition: 0 };
    const STATES: TopicPartition = TopicPartition { topic: Topic::Products, partition: 0 };

    fn stamp(number: u64) -> Stamp {
        Stamp { incarnation: 1, number }
    }

    fn finished(undecided: &[(u64, TopicPartition)], visible: &[(u64, TopicPartition)], answered: Option<Stamp>) -> Vec<u64> {
        let found = |given: &[(u64, TopicPartition)]| given.iter().map(|(number, at)| (stamp(*number), *at)).collect();
        committed(&found(undecided), &found(visible), answered).into_keys().map(|stamp| stamp.number).collect()
    }

    #[test]
    fn what_is_visible_anywhere_was_committed() {
        assert_eq!(finished(&[(4, STATES)], &[(4, EVENTS)], None), [4]);
        assert_eq!(finished(&[(4, STATES)], &[(3, EVENTS)], None), [0; 0], "the other one is visible nowhere");
    }

    #[test]
    fn what_a_later_one_followed_was_committed() {
        assert_eq!(finished(&[(4, STATES), (5, STATES)], &[], None), [4]);
        assert_eq!(finished(&[(4, STATES)], &[(5, EVENTS)], None), [4]);
        assert_eq!(finished(&[(4, STATES), (5, STATES)], &[(5, EVENTS)], None), [4, 5]);
    }

    #[test]
    fn what_was_answered_was_committed() {
        assert_eq!(finished(&[(4, STATES), (5, EVENTS)], &[], Some(stamp(4))), [4]);
        assert_eq!(finished(&[(4, STATES)], &[], Some(stamp(3))), [0; 0]);
        assert_eq!(finished(&[(4, STATES)], &[], Some(Stamp { incarnation: 2, number: 9 })), [0; 0], "of other producers");
    }
}
