//! The picture: which nodes and edges there are. It never changes; a test holds it against the kinds of actors and the topics.

use crate::actors::supervision::ActorKind;
use crate::config::RoleName;
use crate::wire::topics::Topic;

/// A node other than a topic.
#[derive(Debug)]
pub(super) struct Part {
    pub id: &'static str,
    pub name: &'static str,
    /// `None`: it is outside the process.
    pub role: Option<RoleName>,
    /// Its actors.
    pub kinds: &'static [ActorKind],
}

pub(super) const PAGES: &str = "pages";
pub(super) const API: &str = "api";
pub(super) const POSTGRES: &str = "postgresql";
pub(super) const OTHERS: &str = "others";
const PUBLISHER: &str = "order-publisher";
pub(super) const WAL_READER: &str = "wal-reader";
const SOURCES: &str = "sources";
pub(super) const SHARDS: &str = "shards";
const COMMITTER: &str = "committer";
const READ_MODEL: &str = "read-model";
const FAN_OUT: &str = "fan-out";
const TRACKER: &str = "order-tracker";
const ALERT_DESK: &str = "alert-desk";

const fn part(id: &'static str, name: &'static str, role: RoleName, kinds: &'static [ActorKind]) -> Part {
    Part { id, name, role: Some(role), kinds }
}

const fn outside(id: &'static str, name: &'static str) -> Part {
    Part { id, name, role: None, kinds: &[] }
}

/// Every node other than topics, in the order in which a purchase passes them.
pub(super) const PARTS: [Part; 13] = [
    outside(PAGES, "Pages"),
    part(API, "API", RoleName::Api, &[ActorKind::HttpListener]),
    outside(POSTGRES, "PostgreSQL"),
    outside(OTHERS, "Other programs"),
    part(PUBLISHER, "Order publisher", RoleName::Api, &[ActorKind::OrderPublisher]),
    part(WAL_READER, "WAL reader", RoleName::Cdc, &[ActorKind::WalReader]),
    part(SOURCES, "Source", RoleName::Inventory, &[ActorKind::LogSource]),
    part(SHARDS, "Shards, products", RoleName::Inventory, &[ActorKind::Shard, ActorKind::Product]),
    part(COMMITTER, "Committer", RoleName::Inventory, &[ActorKind::Committer]),
    part(READ_MODEL, "Read model", RoleName::Api, &[ActorKind::CatalogView]),
    part(FAN_OUT, "Fan-out", RoleName::Api, &[ActorKind::Fanout]),
    part(TRACKER, "Order tracker", RoleName::Api, &[ActorKind::OrderTracker]),
    part(ALERT_DESK, "Alert desk", RoleName::Api, &[ActorKind::AlertDesk]),
];

/// The topics of the picture. The platform's other names are not the shop's.
pub(super) fn topics() -> impl Iterator<Item = Topic> {
    Topic::ALL.into_iter().filter(|topic| topic.is_ours())
}

/// Whose positions say how far a topic has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reading {
    Inventory,
    ReadModel,
    Tracker,
    FanOut,
    AlertDesk,
}

/// What is counted along an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Figure {
    Requests,
    Orders,
    Published,
    WalRows,
    Inputs,
    Commits,
    Outcomes,
    Probes,
    Settled,
    Changes,
    Frames,
    /// Records appended to a topic by any process.
    Written(Topic),
    /// Records of a topic that were read.
    Read(Reading, Topic),
}

/// How far the reader at the end of an edge is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    Nothing,
    Records(Reading, Topic),
    WalBytes,
}

/// A way from one node to another.
#[derive(Debug)]
pub(super) struct Edge {
    pub from: &'static str,
    pub to: &'static str,
    pub carries: &'static str,
    pub figure: Figure,
    pub behind: Behind,
}

fn edge(from: &'static str, to: &'static str, carries: &'static str, figure: Figure) -> Edge {
    Edge { from, to, carries, figure, behind: Behind::Nothing }
}

fn write(from: &'static str, topic: Topic, carries: &'static str) -> Edge {
    edge(from, topic.name(), carries, Figure::Written(topic))
}

fn read(topic: Topic, to: &'static str, carries: &'static str, reading: Reading) -> Edge {
    let figure = Figure::Read(reading, topic);
    Edge { from: topic.name(), to, carries, figure, behind: Behind::Records(reading, topic) }
}

/// Every edge. The order never changes while a process runs.
pub(super) fn edges() -> Vec<Edge> {
    let orders = Topic::OrderEvents.name();
    vec![
        edge(PAGES, API, "requests", Figure::Requests),
        edge(API, POSTGRES, "orders", Figure::Orders),
        edge(API, PUBLISHER, "order items", Figure::Published),
        write(API, Topic::ShoppingCartEvents, "changed carts"),
        write(API, Topic::EcommerceEvents, "tracked events"),
        // The process itself writes them, whichever of its roles run.
        write(API, Topic::Health, "trial writes"),
        edge(PUBLISHER, orders, "order items", Figure::Published),
        Edge { behind: Behind::WalBytes, ..edge(POSTGRES, WAL_READER, "rows of order items", Figure::WalRows) },
        edge(WAL_READER, orders, "order items", Figure::WalRows),
        write(WAL_READER, Topic::CdcPositions, "positions"),
        write(OTHERS, Topic::ProductUpdates, "product updates"),
        read(Topic::ProductUpdates, SOURCES, "product updates", Reading::Inventory),
        read(Topic::OrderEvents, SOURCES, "order items", Reading::Inventory),
        edge(SOURCES, SHARDS, "commands", Figure::Inputs),
        edge(SHARDS, COMMITTER, "batches", Figure::Commits),
        write(COMMITTER, Topic::Products, "states"),
        write(COMMITTER, Topic::InventoryEvents, "events"),
        write(COMMITTER, Topic::InventoryAlerts, "alerts"),
        write(COMMITTER, Topic::WebsocketFanout, "frames for other programs"),
        write(COMMITTER, Topic::DeadLetters, "dead letters"),
        edge(Topic::WebsocketFanout.name(), OTHERS, "frames", Figure::Written(Topic::WebsocketFanout)),
        read(Topic::Products, READ_MODEL, "states", Reading::ReadModel),
        edge(Topic::InventoryEvents.name(), READ_MODEL, "events", Figure::Written(Topic::InventoryEvents)),
        read(Topic::InventoryEvents, TRACKER, "outcomes", Reading::Tracker),
        edge(TRACKER, POSTGRES, "outcomes", Figure::Outcomes),
        edge(TRACKER, orders, "questions about items", Figure::Probes),
        edge(TRACKER, FAN_OUT, "settled orders", Figure::Settled),
        read(Topic::InventoryAlerts, ALERT_DESK, "alerts", Reading::AlertDesk),
        edge(READ_MODEL, FAN_OUT, "changes", Figure::Changes),
        read(Topic::ShoppingCartEvents, FAN_OUT, "carts", Reading::FanOut),
        edge(FAN_OUT, PAGES, "frames", Figure::Frames),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// They supervise, and carry no records.
    const SUPERVISORS: [ActorKind; 2] = [ActorKind::Root, ActorKind::Role];
    /// Written for people and other programs, or to see whether the log takes records.
    const READ_BY_NO_PART: [Topic; 4] = [Topic::EcommerceEvents, Topic::CdcPositions, Topic::Health, Topic::DeadLetters];

    fn nodes() -> Vec<&'static str> {
        PARTS.iter().map(|part| part.id).chain(topics().map(Topic::name)).collect()
    }

    #[test]
    fn every_kind_of_actor_is_in_the_picture_once() {
        let shown = PARTS.iter().flat_map(|part| part.kinds).copied();
        let mut shown: Vec<ActorKind> = shown.chain(SUPERVISORS).collect();
        shown.sort_unstable();
        let mut all = ActorKind::ALL.to_vec();
        all.sort_unstable();
        assert_eq!(shown, all, "a new kind of actor needs its place");
    }

    #[test]
    fn every_topic_of_ours_is_written_by_a_part_and_read_by_one() {
        let edges = edges();
        for topic in topics() {
            assert!(edges.iter().any(|edge| edge.to == topic.name()), "nothing writes {topic}");
            let is_read = edges.iter().any(|edge| edge.from == topic.name());
            assert_eq!(is_read, !READ_BY_NO_PART.contains(&topic), "{topic}");
        }
    }

    #[test]
    fn edges_join_nodes_that_are_there_and_no_node_stands_alone() {
        let (nodes, edges) = (nodes(), edges());
        let names: BTreeSet<_> = nodes.iter().collect();
        assert_eq!(names.len(), nodes.len(), "no id twice");
        let ways: BTreeSet<_> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
        assert_eq!(ways.len(), edges.len(), "no edge twice");
        let ends: BTreeSet<_> = edges.iter().flat_map(|edge| [edge.from, edge.to]).collect();
        assert_eq!(ends, nodes.into_iter().collect());
    }
}
