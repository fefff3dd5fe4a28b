//! The way of a purchase through the shop as a graph: `GET /admin/flow`. Which nodes and edges there are never changes while a
//! process runs; `live` sends their figures in the same order.

use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    Running,
    /// On its way to work.
    Starting,
    /// Ready to take over from another process.
    Standby,
    /// It does not work, or keeps ending; the note says more.
    Failing,
    /// Stopped on purpose.
    Stopped,
    /// Not a part of this process.
    Elsewhere,
    /// It could not be asked.
    Unknown,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// Actors of this process.
    Part,
    Topic,
    /// What lies outside of the process.
    Outside,
}

/// What changes of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeFigures {
    pub id: &'static str,
    pub state: NodeState,
    /// Since when, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub since_ms: Option<u64>,
    /// Connected pages, live products, records of a topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub count: Option<u64>,
    /// What is to be said about the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub note: Option<String>,
}

/// What changes of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EdgeFigures {
    /// Per second; null: not known yet.
    pub rate: Option<f64>,
    /// How far the reader is behind; null: it reads no topic, or it is not known.
    pub lag: Option<u64>,
}

/// A place that records pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlowNode {
    pub name: &'static str,
    pub kind: NodeKind,
    /// The role that it belongs to.
    pub role: Option<&'static str>,
    /// The kinds of its actors, as `GET /admin/actors` has them.
    pub actors: Vec<&'static str>,
    #[serde(flatten)]
    pub figures: NodeFigures,
}

/// A way from one node to another.
#[derive(Debug, Clone, PartialEq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlowEdge {
    pub from: &'static str,
    pub to: &'static str,
    /// What goes along it.
    pub carries: &'static str,
    /// Of what the lag is: `records` or `bytes`.
    pub unit: &'static str,
    #[serde(flatten)]
    pub figures: EdgeFigures,
}

/// The graph with its present figures.
#[derive(Debug, Clone, PartialEq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    pub nodes: Vec<FlowNode>,
    pub edges: Vec<FlowEdge>,
}
