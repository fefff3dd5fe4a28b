//! Looks after the topics while the process runs: that all are there, equally partitioned, still the same ones, and that none stands still.
//!
//! What it finds goes to the board: every session then refuses to go on, with what to do, until it is put right. A partition that stands
//! still is only told: what is not behind that transaction goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::{LogError, Offset, PartitionId, TopicPartition};
use super::cluster::{Cluster, partitions_of};
use super::rights::Lack;
use super::standstill::Watch;
use super::topics::Admin;
use crate::wire::topics::Topic;

/// Between two looks, when all is well and when something is not.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_SOON: Duration = Duration::from_secs(1);
/// Topics whose offsets others keep: made anew under a running process, records of them would be skipped in silence.
const SAME: [Topic; 4] = [Topic::ProductUpdates, Topic::OrderEvents, Topic::Products, Topic::InventoryEvents];

/// Looks until it is aborted.
pub(super) async fn watch(cluster: Arc<Cluster>, admin: Arc<Admin>) {
    let mut known = BTreeMap::new();
    let mut policy = None;
    let mut standing = Watch::default();
    loop {
        let well = match cluster.ask(look).await {
            Ok(Look { topics, ids, undecided }) => {
                ask_for_rights(&cluster).await;
                cluster.board.stands_still(standing.look(&cluster.config, &undecided, Instant::now()));
                match admin.check_policies().await {
                    Ok(refusal) => policy = refusal,
                    Err(error) => tracing::debug!(%error, "the settings of the topics could not be looked at"),
                }
                let finding =
                    counts(&topics, cluster.config.partitions).or_else(|| replaced(&known, &ids)).or_else(|| policy.clone());
                if known.is_empty() {
                    known = ids;
                }
                let well = finding.is_none() && cluster.board.lacks().is_empty();
                cluster.board.refuse(finding);
                well
            }
            // The board has the reason.
            Err(error) => {
                tracing::debug!(%error, "the topics could not be looked at");
                false
            }
        };
        tokio::time::sleep(if well { LOOK_EVERY } else { LOOK_SOON }).await;
    }
}

/// Whether what was missing on topics is granted by now.
async fn ask_for_rights(cluster: &Arc<Cluster>) {
    let ask = |cluster: &Cluster| {
        for lack in cluster.board.lacks() {
            if let Lack::Topic(access, name) = &lack
                && cluster.lacking(*access, [name.as_str()])?.is_empty()
            {
                cluster.board.granted(&lack);
            }
        }
        Ok(())
    };
    if let Err(error) = cluster.ask(ask).await {
        tracing::debug!(%error, "the rights on topics could not be asked for");
    }
}

struct Look {
    topics: BTreeMap<Topic, PartitionId>,
    ids: BTreeMap<Topic, String>,
    undecided: BTreeMap<TopicPartition, Offset>,
}

fn look(cluster: &Cluster) -> Result<Look, LogError> {
    let topics = cluster.topics()?;
    cluster.look_for_strangers();
    cluster.look_at_unreadable()?;
    Ok(Look { ids: cluster.topic_ids(&SAME)?, undecided: cluster.undecided(&partitions_of(&topics))?, topics })
}

/// Whether a topic is missing or has another number of partitions.
pub(super) fn counts(topics: &BTreeMap<Topic, PartitionId>, partitions: PartitionId) -> Option<String> {
    Topic::ALL.into_iter().filter(|topic| topic.is_needed()).find_map(|topic| {
        let expected = topic.partitions().among(partitions);
        match topics.get(&topic) {
            None => Some(format!(
                "the topic {topic} is missing: `kartshoppe topics create` makes it; if it is there, grant DESCRIBE on it to the shop's \
                 principal"
            )),
            Some(count) if *count != expected => Some(format!(
                "the topic {topic} has {count} partitions, not {expected}: the same key would lie in another one. Set \
                 KARTSHOPPE__INVENTORY__PARTITIONS to the number that all keyed topics have; if they differ from each other, stop the \
                 shop, then `make reset`"
            )),
            Some(_) => None,
        }
    })
}

fn replaced(known: &BTreeMap<Topic, String>, now: &BTreeMap<Topic, String>) -> Option<String> {
    let other = known.iter().find(|(topic, id)| now.get(topic).is_some_and(|now| now != *id))?;
    Some(format!(
        "the topic {} was deleted and made anew while this process runs: stop every process, then `make reset`",
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
    fn a_topic_that_was_made_anew_is_noticed() {
        let ids = |id: &str| BTreeMap::from([(Topic::Products, id.to_owned())]);
        assert_eq!(replaced(&ids("a"), &ids("a")), None);
        assert_eq!(replaced(&BTreeMap::new(), &ids("a")), None);
        assert!(replaced(&ids("a"), &ids("b")).is_some_and(|text| text.contains("products")));
    }
}
