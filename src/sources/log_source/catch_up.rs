//! How far a partition's inputs must be read before its due reminders may fire.

use std::collections::BTreeMap;

use super::decode::ReadProgress;
use crate::domain::EpochMs;
use crate::domain::inventory::PerInput;
use crate::log::{Offset, PartitionId};

/// How far a partition is with its due reminders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum CatchUp {
    /// Nothing was due at the last check.
    #[default]
    Quiet,
    /// At this time the inputs ended here, and have not been read up to here yet.
    Behind { at_ms: EpochMs, ends: PerInput<Offset> },
    /// Everything that the inputs held at this time has been read.
    Done { at_ms: EpochMs },
}

/// The result of a check, by partition.
#[derive(Debug)]
pub(super) struct CatchUpChecks(pub BTreeMap<PartitionId, CatchUp>);

impl CatchUp {
    /// Takes the time that the next part may claim to have caught up with.
    pub fn take(&mut self) -> Option<EpochMs> {
        match *self {
            Self::Done { at_ms } => {
                *self = Self::Quiet;
                Some(at_ms)
            }
            Self::Quiet | Self::Behind { .. } => None,
        }
    }

    /// More was read.
    pub fn read_to(&mut self, read: &ReadProgress) {
        if let Self::Behind { at_ms, ends } = *self
            && read.has_reached(&ends)
        {
            *self = Self::Done { at_ms };
        }
    }

    /// The poll was idle: there may be no records left before the ends, so check again.
    pub fn check_again(&mut self) {
        if matches!(self, Self::Behind { .. }) {
            *self = Self::Quiet;
        }
    }
}
