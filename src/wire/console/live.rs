//! One frame of `GET /admin/live`: how the whole process is, once a second, in at most 4,000 bytes.

use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

use super::actor::ActorState;
use super::flow::{EdgeFigures, NodeFigures};
use crate::domain::EpochMs;

/// Bytes of a frame at most.
pub const MAX_BYTES: usize = 4_000;

/// A role of this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveRole {
    pub name: &'static str,
    pub state: ActorState,
    /// Since when, in milliseconds; null if it never was started.
    pub since_ms: Option<u64>,
    pub incarnation: u64,
    /// How many of its actors run, and how many it has.
    pub running: u64,
    pub actors: u64,
    /// The operator at whose request it stands still.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub stopped_by: Option<String>,
}

/// Why the process is not ready, or what an operator should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveCause {
    /// The section of the runbook.
    pub cause: &'static str,
    pub text: String,
    /// The process is not ready while it lasts.
    pub blocks: bool,
}

/// Events per second.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveRates {
    /// Orders that this process took.
    pub orders: Option<f64>,
    /// Inputs of the inventory that this process committed.
    pub events: Option<f64>,
    /// Frames that were handed to pages.
    pub frames: Option<f64>,
}

/// An actor that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveEnd {
    pub actor: String,
    pub cause: &'static str,
    pub ago_ms: u64,
    pub recovery_us: Option<u64>,
}

/// How the process is now.
#[derive(Debug, Clone, PartialEq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// The moment of the frame, in epoch milliseconds.
    pub at: EpochMs,
    pub pid: u32,
    /// No alarm stands that keeps it from being ready.
    pub ready: bool,
    /// What stands in the way, the worst first; `moreCauses` are left out.
    pub causes: Vec<LiveCause>,
    pub more_causes: u64,
    pub roles: Vec<LiveRole>,
    pub rates: LiveRates,
    /// Records that wait for the inventory; null: the log could not be asked.
    pub lag: Option<u64>,
    pub open_alerts: u64,
    /// The newest first.
    pub ends: Vec<LiveEnd>,
    /// In the order of `GET /admin/flow`.
    pub nodes: Vec<NodeFigures>,
    /// In the order of `GET /admin/flow`.
    pub edges: Vec<EdgeFigures>,
}
