//! One partition that this process owns: how far it is committed and read, and whether its shard is ready.

use std::collections::BTreeMap;

use super::catch_up::CatchUp;
use super::decode::ReadState;
use super::dispatch::OpenPart;
use crate::bugs::{self, Bug};
use crate::domain::inventory::InputTopic;
use crate::log::{Assignment, Offset, Position};
use crate::wire::topics::Topic;

/// A partition of ours.
#[derive(Debug)]
pub(super) struct Owned {
    pub committed: BTreeMap<Topic, Position>,
    /// Records may have been read meanwhile that the states hold as applied, or not those where it goes on.
    must_go_back: bool,
    corrected: BTreeMap<Topic, Position>,
    pub read: ReadState,
    pub shard: ShardPhase,
    pub catch_up: CatchUp,
    /// How many of the file's products are committed, while the file counts.
    pub bootstrap: Option<usize>,
    /// The first retained offset of each input.
    pub first: [Offset; InputTopic::ALL.len()],
}

/// How far the partition's shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShardPhase {
    /// It must be told to read its states.
    MustRestore,
    /// It reads them; news with this ticket says that they are there.
    Restoring {
        ticket: u64,
    },
    Ready,
    /// The commit under way ended unclear: the log will assign the partition anew.
    Unclear,
}

impl Owned {
    /// As it was assigned. The file counts only where nothing was ever committed.
    pub fn new(assignment: Assignment, has_file: bool, first: [Offset; InputTopic::ALL.len()]) -> Self {
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

    /// Its shard has read its states, if this is the latest time it was told to. Committed positions that are not those where its
    /// inputs go on are put right before anything else is read.
    pub fn restored(&mut self, ticket: u64, go_on: BTreeMap<Topic, Position>, has_file: bool) {
        if self.shard != (ShardPhase::Restoring { ticket }) {
            return;
        }
        self.shard = ShardPhase::Ready;
        if go_on == self.committed {
            return;
        }
        self.must_go_back = true;
        self.corrected = if go_on.is_empty() {
            // Somebody else came before the first start: the beginning, without a text, is no position of ours.
            let first = InputTopic::ALL
                .map(|input| (topic_of(input), Position { offset: self.first[input.index()], ..Position::default() }));
            self.bootstrap = has_file.then_some(0);
            first.into_iter().filter(|(topic, _)| self.committed.contains_key(topic)).collect()
        } else {
            go_on.clone()
        };
        self.committed = go_on;
    }

    /// Positions to be committed before the session goes back to them.
    pub fn take_corrected(&mut self) -> BTreeMap<Topic, Position> {
        std::mem::take(&mut self.corrected)
    }

    /// Whether the states hold more as applied than was known when records were read.
    pub fn must_go_back(&self) -> bool {
        self.must_go_back
    }

    /// Whatever was read beyond the committed positions will be read again.
    pub fn go_back(&mut self) {
        self.must_go_back = false;
        self.read = read_from(&self.committed);
        self.catch_up = CatchUp::default();
    }

    /// A part of it was committed.
    pub fn part_committed(&mut self, part: &OpenPart) {
        if let Some(done) = &mut self.bootstrap {
            *done += part.from_file;
        }
        if part.ends_bootstrap {
            self.bootstrap = None;
        }
    }
}

fn read_from(committed: &BTreeMap<Topic, Position>) -> ReadState {
    let next = InputTopic::ALL.map(|input| committed.get(&topic_of(input)).map_or(0, |position| position.offset));
    ReadState { next, highest_append_ms: 0 }
}

/// The log's topic of an input.
pub(super) fn topic_of(input: InputTopic) -> Topic {
    match input {
        InputTopic::ProductUpdates => Topic::ProductUpdates,
        InputTopic::OrderEvents => Topic::OrderEvents,
    }
}
