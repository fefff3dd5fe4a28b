//! One partition that this process owns: how far it is committed and read, and whether its shard is ready.

use std::collections::BTreeMap;

use super::catch_up::CatchUp;
use super::decode::ReadProgress;
use crate::actors::inventory::batch_state::DispatchedPart;
use crate::bugs::{self, Bug};
use crate::domain::inventory::PerInput;
use crate::log::{Assignment, Offset, Position};
use crate::wire::topics::Topic;

/// A partition of ours.
#[derive(Debug)]
pub(super) struct OwnedPartition {
    pub committed: BTreeMap<Topic, Position>,
    /// The states were restored at other positions than those read from: the records read so far are not the right ones.
    must_go_back: bool,
    /// Positions to be committed before the session is rewound.
    corrected: BTreeMap<Topic, Position>,
    pub read: ReadProgress,
    pub shard: ShardPhase,
    pub catch_up: CatchUp,
    /// How many products of the bootstrap file are committed, while the partition needs the file.
    pub bootstrap: Option<usize>,
    /// The first retained offset of each input.
    pub first: PerInput<Offset>,
}

/// How far the partition's shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShardPhase {
    /// It must read its states.
    MustRestore,
    /// It is reading them; a report with this attempt's number says when it is done.
    Restoring {
        attempt: u64,
    },
    Ready,
    /// The outcome of its last commit is unknown: the log will assign the partition again.
    Unclear,
}

impl OwnedPartition {
    /// A partition as it was assigned. It needs the file only if nothing was ever committed.
    pub fn new(assignment: Assignment, has_file: bool, first: PerInput<Offset>) -> Self {
        let committed = assignment.positions;
        let bootstrap = (has_file && (committed.is_empty() || bugs::is(Bug::RemovedComesBack))).then_some(0);
        let read = read_from(&committed);
        Self {
            committed,
            must_go_back: false,
            corrected: BTreeMap::new(),
            read,
            shard: ShardPhase::MustRestore,
            catch_up: CatchUp::default(),
            bootstrap,
            first,
        }
    }

    /// Its shard has lost its states.
    pub fn must_restore(&mut self) {
        if self.shard != ShardPhase::Unclear {
            self.shard = ShardPhase::MustRestore;
        }
    }

    /// Its shard has read its states, if this is the latest attempt. If its inputs resume elsewhere than at the committed
    /// positions, these are corrected before anything else is read.
    pub fn restored(&mut self, attempt: u64, resume_at: BTreeMap<Topic, Position>, has_file: bool) {
        if self.shard != (ShardPhase::Restoring { attempt }) {
            return;
        }
        self.shard = ShardPhase::Ready;
        if resume_at == self.committed {
            return;
        }
        self.must_go_back = true;
        self.corrected = if resume_at.is_empty() {
            // A foreign position from before the first start: reading starts at the beginning, and no position of ours exists
            // yet.
            let first = self
                .first
                .iter()
                .map(|(input, offset)| (Topic::from(input), Position { offset: *offset, ..Position::default() }));
            self.bootstrap = has_file.then_some(0);
            first.filter(|(topic, _)| self.committed.contains_key(topic)).collect()
        } else {
            resume_at.clone()
        };
        self.committed = resume_at;
    }

    /// Takes the positions to be committed before the session is rewound.
    pub fn take_corrected(&mut self) -> BTreeMap<Topic, Position> {
        std::mem::take(&mut self.corrected)
    }

    /// Whether records were read from the wrong positions.
    pub fn must_go_back(&self) -> bool {
        self.must_go_back
    }

    /// Everything beyond the committed positions will be read again.
    pub fn go_back(&mut self) {
        self.must_go_back = false;
        self.read = read_from(&self.committed);
        self.catch_up = CatchUp::default();
    }

    /// A part of it was committed.
    pub fn part_committed(&mut self, part: &DispatchedPart) {
        if let Some(done) = &mut self.bootstrap {
            *done += part.from_file;
        }
        if part.ends_bootstrap {
            self.bootstrap = None;
        }
    }
}

fn read_from(committed: &BTreeMap<Topic, Position>) -> ReadProgress {
    let next = PerInput::from_fn(|input| committed.get(&input.into()).map_or(0, |position| position.offset));
    ReadProgress { next, highest_append_ms: 0 }
}
