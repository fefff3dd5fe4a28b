//! One actor across its incarnations, as operators see it: `GET /admin/actors`.

use std::collections::BTreeMap;

use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

/// How an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActorState {
    Running,
    /// It runs, and has been restarted more often than its policy calls normal.
    Failing,
    /// Ended, and waiting to be started again.
    Restarting,
    /// Stopped on purpose, or never started.
    Stopped,
}

/// One end of an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActorEnd {
    /// `panic`, `error`, `killed`, `hung`, `cancelled`, `start`, `stopped` or `restarted`.
    pub cause: &'static str,
    /// What it said, shortened.
    pub reason: Option<String>,
    /// The incarnation that ended; 0 if the first one could not start.
    pub incarnation: u64,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
    /// From this end to the start of its successor, in microseconds; null while there is none.
    pub recovery_us: Option<u64>,
}

/// An actor as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActorReport {
    pub id: String,
    pub kind: &'static str,
    /// The actor that supervises it; null for the root.
    pub parent: Option<String>,
    pub state: ActorState,
    pub running: bool,
    /// Since when it is in this state, in milliseconds; null if it never was started.
    pub since_ms: Option<u64>,
    /// 1 for the first start; each restart is one more.
    pub incarnation: u64,
    pub mailbox_depth: u64,
    /// How long the present message is being handled, in milliseconds; null when idle.
    pub handling_ms: Option<u64>,
    pub handled: u64,
    /// Ends by cause, those that never happened left out.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    pub ends: BTreeMap<&'static str, u64>,
    /// Ends that a restart followed: all but stops.
    pub restarts: u64,
    pub last_failure: Option<String>,
    /// From its last end to the start of its successor, in microseconds; a stop on purpose is no end.
    pub last_recovery_us: Option<u64>,
    /// Its last ends, the newest first.
    pub last_ends: Vec<ActorEnd>,
}
