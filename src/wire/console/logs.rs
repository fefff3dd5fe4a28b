//! Lines of the process's log: `GET /admin/logs` and its live tail.

use std::collections::BTreeMap;

use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

use crate::domain::EpochMs;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Counts the lines of this process: a gap is what a viewer has missed.
    pub number: u64,
    pub at: EpochMs,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    /// The part of the program that wrote it: `actors::inventory::shard`.
    pub part: String,
    pub text: String,
    pub fields: BTreeMap<String, String>,
    /// The trace that it belongs to, if it names one.
    pub trace: Option<String>,
}

/// The newest lines that fit, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogPage {
    pub lines: Vec<LogLine>,
    /// Lines that are kept, whether they fit or not.
    pub kept: u64,
    /// Lines since the process started.
    pub written: u64,
}
