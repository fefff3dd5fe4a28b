//! Where the one uncommitted batch of a process stands. Pure: the source keeps it, and does what a transition allows.
//!
//! ```text
//!   Settled ── dispatch ──► Gathering ── begin_commit ──► Committing ── settle ──► Settled
//!                               └────────── give_up ────────────────────────────────▲
//! ```
//! Exactly once rests on two rules: a batch that was given up is never committed, and one whose commit has begun is never given
//! up.

use std::collections::BTreeMap;

use super::batch::BatchId;
use crate::log::PartitionId;

/// The state of the batch that was dispatched last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum BatchState {
    /// The shards work on it, and the committer gathers their outputs. Nothing is written yet.
    Gathering(DispatchedBatch),
    /// Its transaction was handed to the log, which alone decides the outcome.
    Committing(DispatchedBatch),
    /// It is durable, given up or failed: the next batch may be dispatched.
    #[default]
    Settled,
}

/// A batch as it was dispatched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DispatchedBatch {
    pub batch: BatchId,
    pub parts: BTreeMap<PartitionId, DispatchedPart>,
}

/// What the commit of a part means for the bootstrap file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DispatchedPart {
    /// Products of the part that come from the file.
    pub from_file: usize,
    /// The partition needs the file no more.
    pub ends_bootstrap: bool,
}

impl BatchState {
    /// Whether the next batch may be dispatched.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self, Self::Settled)
    }

    /// The batch whose outputs are being gathered.
    pub(crate) fn gathering(&self) -> Option<BatchId> {
        match self {
            Self::Gathering(batch) => Some(batch.batch),
            Self::Committing(_) | Self::Settled => None,
        }
    }

    /// A batch was dispatched. The batch before it must be settled.
    pub(crate) fn dispatch(&mut self, batch: DispatchedBatch) {
        debug_assert!(self.is_settled(), "two batches at a time: {self:?}");
        *self = Self::Gathering(batch);
    }

    /// All outputs of this batch are gathered. Returns whether it is to be committed: not if it was given up meanwhile.
    pub(crate) fn begin_commit(&mut self, batch: BatchId) -> bool {
        if self.gathering() != Some(batch) {
            return false;
        }
        if let Self::Gathering(dispatched) = std::mem::take(self) {
            *self = Self::Committing(dispatched);
        }
        true
    }

    /// Gives the batch up; returns false if there is none, or its commit has begun.
    pub(crate) fn give_up(&mut self) -> bool {
        let gathers = self.gathering().is_some();
        if gathers {
            *self = Self::Settled;
        }
        gathers
    }

    /// The same if this partition has a part in it.
    pub(crate) fn give_up_part_of(&mut self, partition: PartitionId) -> bool {
        let has_part = matches!(self, Self::Gathering(batch) if batch.parts.contains_key(&partition));
        has_part && self.give_up()
    }

    /// The commit of this batch has returned. Returns the batch, or `None` if it belongs to an earlier session.
    pub(crate) fn settle(&mut self, batch: BatchId) -> Option<DispatchedBatch> {
        if !matches!(self, Self::Committing(dispatched) if dispatched.batch == batch) {
            return None;
        }
        match std::mem::take(self) {
            Self::Committing(dispatched) => Some(dispatched),
            Self::Gathering(_) | Self::Settled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch with a part for partition 3.
    fn dispatched(batch: BatchId) -> DispatchedBatch {
        DispatchedBatch { batch, parts: BTreeMap::from([(3, DispatchedPart::default())]) }
    }

    fn gathering() -> BatchState {
        BatchState::Gathering(dispatched(7))
    }

    fn committing() -> BatchState {
        BatchState::Committing(dispatched(7))
    }

    #[test]
    fn a_batch_is_dispatched_gathered_committed_and_settled() {
        let mut state = BatchState::default();
        state.dispatch(dispatched(7));
        assert_eq!((state.gathering(), state.is_settled()), (Some(7), false));
        assert!(state.begin_commit(7));
        assert_eq!(state, committing());
        assert_eq!(state.settle(7), Some(dispatched(7)));
        assert!(state.is_settled());
    }

    #[test]
    fn a_batch_that_was_given_up_is_never_committed() {
        let mut state = gathering();
        assert!(state.give_up());
        assert!(state.is_settled());
        assert!(!state.begin_commit(7), "its outputs arrive late");
        assert!(!state.give_up(), "once is enough");
    }

    #[test]
    fn a_batch_whose_commit_has_begun_is_never_given_up_or_committed_again() {
        let mut state = committing();
        assert!(!state.give_up() && !state.give_up_part_of(3) && !state.begin_commit(7));
        assert_eq!(state, committing());
    }

    #[test]
    fn a_restarted_shard_ends_only_a_batch_that_it_has_a_part_in() {
        let mut state = gathering();
        assert!(!state.give_up_part_of(4));
        assert_eq!(state, gathering());
        assert!(state.give_up_part_of(3));
        assert!(state.is_settled());
    }

    #[test]
    fn late_messages_of_another_batch_change_nothing() {
        for make in [gathering, committing, BatchState::default] {
            let mut state = make();
            assert!(!state.begin_commit(6));
            assert_eq!(state.settle(6), None);
            assert_eq!(state, make());
        }
        assert_eq!(gathering().settle(7), None, "no commit has begun");
    }
}
