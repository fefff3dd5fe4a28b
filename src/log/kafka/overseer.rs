//! Checks the topics while the process runs: that all exist, are partitioned alike and were not replaced, and that none stands
//! still.
//!
//! A finding goes to the board, and every session then refuses to go on, with what to do, until it is put right. A partition that
//! stands still is only reported: whatever is not behind that transaction goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::cluster::{Cluster, partitions_of};
use super::foreign_members::foreign_in;
use super::permissions::MissingPermission;
use super::repair::standstill::StandstillWatch;
use super::topics::Admin;
use crate::log::{LogError, Offset, PartitionId, TopicPartition};
use crate::wire::topics::Topic;

/// The time between two checks, when all is well and when something is not.
const CHECK_EVERY: Duration = Duration::from_secs(10);
const CHECK_SOON: Duration = Duration::from_secs(1);
/// Topics whose offsets are kept elsewhere: if one is replaced under a running process, its first records would be skipped
/// silently.
const SAME: [Topic; 4] = [Topic::ProductUpdates, Topic::OrderEvents, Topic::Products, Topic::InventoryEvents];

/// Checks until it is aborted.
pub(super) async fn watch(cluster: Arc<Cluster>, admin: Arc<Admin>) {
    let mut known = BTreeMap::new();
    let mut policy = None;
    let mut standing = StandstillWatch::default();
    loop {
        let well = match cluster.ask(find).await {
            Ok(TopicsNow { topics, ids, undecided }) => {
                check_permissions(&cluster).await;
                cluster.board.standstill.set(standing.check(&cluster.config, &undecided, Instant::now()));
                match admin.check_policies().await {
                    Ok(refusal) => policy = refusal,
                    Err(error) => tracing::debug!(%error, "the settings of the topics could not be read"),
                }
                let finding =
                    counts(&topics, cluster.config.partitions).or_else(|| replaced(&known, &ids)).or_else(|| policy.clone());
                if known.is_empty() {
                    known = ids;
                }
                let well = finding.is_none() && cluster.board.permissions.all().is_empty();
                cluster.board.health.refuse(finding);
                well
            }
            // The board has the reason.
            Err(error) => {
                tracing::debug!(%error, "the topics could not be checked");
                false
            }
        };
        tokio::time::sleep(if well { CHECK_EVERY } else { CHECK_SOON }).await;
    }
}

/// Asks whether permissions that were missing on topics are granted by now.
async fn check_permissions(cluster: &Arc<Cluster>) {
    let ask = |cluster: &Cluster| {
        for missing in cluster.board.permissions.all() {
            if let MissingPermission::Topic(access, name) = &missing
                && cluster.missing_permissions(*access, [name.as_str()])?.is_empty()
            {
                cluster.board.permissions.granted(&missing);
            }
        }
        Ok(())
    };
    if let Err(error) = cluster.ask(ask).await {
        tracing::debug!(%error, "the permissions on topics could not be asked for");
    }
}

struct TopicsNow {
    topics: BTreeMap<Topic, PartitionId>,
    ids: BTreeMap<Topic, String>,
    undecided: BTreeMap<TopicPartition, Offset>,
}

fn find(cluster: &Cluster) -> Result<TopicsNow, LogError> {
    let topics = cluster.topics()?;
    find_foreign_members(cluster);
    drop_deleted_unreadable(cluster)?;
    Ok(TopicsNow { ids: cluster.topic_ids(&SAME)?, undecided: cluster.undecided(&partitions_of(&topics))?, topics })
}

fn find_foreign_members(cluster: &Cluster) {
    for group in cluster.foreign_members.groups() {
        let name = cluster.config.prefixed(&group);
        // Without permission to describe the group, or without its coordinator, what was known before stays.
        if let Ok(foreign) = cluster.with_members(&name, |members| foreign_in(&name, members)) {
            cluster.foreign_members.found(&name, foreign);
        }
    }
}

/// Records that could not be read may have been deleted since.
fn drop_deleted_unreadable(cluster: &Cluster) -> Result<(), LogError> {
    let unreadable = &cluster.board.unreadable;
    let partitions = unreadable.partitions();
    if !partitions.is_empty() {
        let bounds = cluster.bounds(&partitions)?;
        unreadable.drop_before(|at| bounds.get(&at).map(|bounds| bounds.start));
    }
    Ok(())
}

/// Whether a topic is missing or has another number of partitions.
fn counts(topics: &BTreeMap<Topic, PartitionId>, partitions: PartitionId) -> Option<String> {
    Topic::ALL.into_iter().filter(|topic| topic.is_needed()).find_map(|topic| {
        let expected = topic.partitions().among(partitions);
        match topics.get(&topic) {
            None => Some(format!(
                "the topic {topic} is missing: create it with `kartshoppe topics create`; if it exists, grant DESCRIBE on it to \
                 the shop's principal"
            )),
            Some(count) if *count != expected => Some(format!(
                "the topic {topic} has {count} partitions, not {expected}, so keys would change their partition. Set \
                 KARTSHOPPE__INVENTORY__PARTITIONS to the number that all keyed topics have; if they differ from each other, \
                 stop the shop, then run `make reset`"
            )),
            Some(_) => None,
        }
    })
}

fn replaced(known: &BTreeMap<Topic, String>, now: &BTreeMap<Topic, String>) -> Option<String> {
    let other = known.iter().find(|(topic, id)| now.get(topic).is_some_and(|now| now != *id))?;
    Some(format!(
        "the topic {} was deleted and recreated while this process was running: stop every process, then run `make reset`",
        other.0
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_unequal_topics_are_named() {
        let mut topics: BTreeMap<Topic, PartitionId> = Topic::ALL.into_iter().map(|topic| (topic, 4)).collect();
        topics.insert(Topic::CdcPositions, 1);
        assert_eq!(counts(&topics, 4), None);
        assert!(counts(&topics, 6).is_some_and(|text| text.contains("product-updates has 4 partitions, not 6")));
        topics.insert(Topic::OrderEvents, 5);
        assert!(counts(&topics, 4).is_some_and(|text| text.contains("order-events has 5")));
        topics.remove(&Topic::OrderEvents);
        assert!(counts(&topics, 4).is_some_and(|text| text.contains("order-events is missing")));
        topics.remove(&Topic::BasketPatterns);
    }

    #[test]
    fn a_topic_that_was_replaced_is_noticed() {
        let ids = |id: &str| BTreeMap::from([(Topic::Products, id.to_owned())]);
        assert_eq!(replaced(&ids("a"), &ids("a")), None);
        assert_eq!(replaced(&BTreeMap::new(), &ids("a")), None);
        assert!(replaced(&ids("a"), &ids("b")).is_some_and(|text| text.contains("products")));
    }
}
