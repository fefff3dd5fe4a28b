//! What all housekeeping works with: a connection to read with, and the writer that is asked for every change.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::guard::Guard;
use super::super::jobs::{Job, Prune, WeakWriter};
use super::super::options::Policy;
use super::super::partition_tail::PartitionTails;
use crate::clock::{Clock, in_ms};
use crate::domain::EpochMs;
use crate::log::LogError;

/// Records deleted at a time: about as long as a commit takes.
pub(super) const SLICE: usize = 500;

/// See the module.
#[derive(Debug)]
pub(in crate::log::embedded) struct Tools {
    pub(in crate::log::embedded) connection: Connection,
    pub(in crate::log::embedded) writer: WeakWriter,
    pub(in crate::log::embedded) tails: Arc<PartitionTails>,
    pub(in crate::log::embedded) guard: Arc<Guard>,
    pub(in crate::log::embedded) clock: Clock,
    pub(in crate::log::embedded) policy: Policy,
}

impl Tools {
    pub(super) fn prune(&self, prune: Prune) -> Result<(), LogError> {
        self.writer.ask(|answer| Job::Prune { prune, answer })
    }

    /// The time of records that are exactly this old now.
    pub(super) fn time_before(&self, age: Duration) -> EpochMs {
        self.clock.now_ms().saturating_sub(in_ms(age))
    }
}

pub(super) fn unavailable(error: rusqlite::Error) -> LogError {
    LogError::Unavailable(error.to_string())
}
