//! What waits to be dealt out, and the dealing: one batch at a time, to the shards that have a part in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::owned::{Owned, ShardPhase};
use super::{Decoded, Draft, LogSource, SourceMsg, SourceState};
use crate::actors::engine::TaskGuard;
use crate::actors::shard::{BatchId, Part, ShardHandle};
use crate::bugs::{self, Bug};
use crate::log::{PartitionId, Session};
use crate::sources::file_bootstrap::BootstrapFile;

/// Bytes of input that wait at most; a record may be a megabyte.
const PENDING_BYTES: usize = 16 << 20;

/// Decoded records that wait for the batch under way.
#[derive(Debug, Default)]
pub(super) struct Pending {
    drafts: BTreeMap<PartitionId, Draft>,
    records: usize,
    bytes: usize,
}

impl Pending {
    /// How many records may still be added to a batch of this size.
    pub fn room(&self, batch_max_records: usize) -> usize {
        if self.bytes >= PENDING_BYTES { 0 } else { batch_max_records.saturating_sub(self.records) }
    }

    /// A partition is not ours any more.
    pub fn forget(&mut self, partition: PartitionId) {
        self.drafts.remove(&partition);
    }

    fn add(&mut self, decoded: Decoded) {
        self.records += decoded.records;
        self.bytes += decoded.bytes;
        for (partition, draft) in decoded.drafts {
            match self.drafts.get_mut(&partition) {
                Some(known) => known.append(draft),
                None => {
                    self.drafts.insert(partition, draft);
                }
            }
        }
    }

    /// A partition's part. What others have waiting still counts; the figures are exact again when all is dealt out.
    fn take(&mut self, partition: PartitionId) -> Option<Part> {
        let part = self.drafts.remove(&partition)?.part;
        if self.drafts.is_empty() {
            *self = Self::default();
        }
        Some(part)
    }
}

/// The batch under way.
#[derive(Debug)]
pub(super) struct OpenBatch {
    pub batch: BatchId,
    pub parts: BTreeMap<PartitionId, OpenPart>,
}

/// What a part does besides its records.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OpenPart {
    /// Products of the bootstrap file.
    pub from_file: usize,
    pub ends_bootstrap: bool,
}

impl LogSource {
    /// Takes in what a poll brought.
    pub(super) fn take_in(&self, state: &mut SourceState, decoded: Decoded) {
        for (partition, read) in &decoded.read {
            if let Some(owned) = state.owned.get_mut(partition) {
                owned.read = *read;
                owned.catch_up.read_to(read);
            }
        }
        state.pending.add(decoded);
    }

    /// Shards without states are told to read them.
    pub(super) fn restore_shards(&self, state: &mut SourceState) {
        for (partition, owned) in &mut state.owned {
            if owned.shard != ShardPhase::MustRestore {
                continue;
            }
            let ticket = self.batches.fetch_add(1, Ordering::Relaxed);
            let told = self.shard(*partition).map(|shard| shard.restore(ticket, owned.committed.clone()));
            // One that is not running will say so when it does.
            if matches!(told, Some(Ok(()))) {
                owned.shard = ShardPhase::Restoring { ticket };
            }
        }
    }

    /// Deals out what waits, when every shard is ready for it.
    pub(super) fn dispatch(&self, state: &mut SourceState, session: &Arc<dyn Session>) {
        if state.owned.values().any(|owned| owned.shard != ShardPhase::Ready) {
            return;
        }
        self.read_file(state);
        let mut parts = BTreeMap::new();
        for (partition, owned) in &mut state.owned {
            if let Some(part) = self.part_of(*partition, owned, state.bootstrap.as_deref(), &mut state.pending) {
                parts.insert(*partition, part);
            }
        }
        if parts.is_empty() {
            return;
        }
        let batch = self.batches.fetch_add(1, Ordering::Relaxed);
        let open = parts.iter().map(|(partition, (_, open))| (*partition, *open)).collect();
        state.open = Some(OpenBatch { batch, parts: open });
        // Whoever is gone says so when it is back, and the batch is given up: nothing of it is lost.
        let _ = self.committer.open(batch, parts.keys().copied().collect(), session.clone());
        for (partition, (part, _)) in parts {
            let _ = self.shard(partition).map(|shard| shard.begin(batch, part));
        }
    }

    /// The next part of a partition: from the file while that counts, then from the log.
    fn part_of(
        &self,
        partition: PartitionId,
        owned: &mut Owned,
        file: Option<&BootstrapFile>,
        pending: &mut Pending,
    ) -> Option<(Part, OpenPart)> {
        if let Some(done) = owned.bootstrap {
            let file = file?;
            let mut part = file.part(partition, done, self.batch_max_records, self.clock.now_ms());
            let from_file = part.groups.len();
            let ends_bootstrap = done + from_file >= file.len(partition);
            if ends_bootstrap && (owned.committed.is_empty() || !bugs::is(Bug::RemovedComesBack)) {
                part.next = owned.first.map(Some);
            }
            return Some((part, OpenPart { from_file, ends_bootstrap }));
        }
        let mut part = pending.take(partition).unwrap_or_default();
        part.caught_up_ms = owned.catch_up.take();
        (!part.is_empty()).then_some((part, OpenPart::default()))
    }

    /// Reads the bootstrap file while a partition wants it, and forgets it when none does.
    fn read_file(&self, state: &mut SourceState) {
        let wanted = state.owned.values().any(|owned| owned.bootstrap.is_some());
        if !wanted {
            state.bootstrap = None;
        }
        let Some(path) = self.bootstrap_file.clone().filter(|_| wanted && state.bootstrap.is_none()) else { return };
        if state.reading_file.is_none() {
            let context = self.0.clone();
            state.reading_file = Some(TaskGuard(tokio::spawn(async move {
                let file = BootstrapFile::load_patiently(&path, context.log.partitions(), &context.alarms).await;
                let _ = context.mailbox.tell(SourceMsg::BootstrapRead(file));
            })));
        }
    }

    pub(super) fn bootstrap_read(&self, state: &mut SourceState, file: BootstrapFile) {
        state.reading_file = None;
        state.bootstrap = Some(Arc::new(file));
    }

    pub(super) fn shard(&self, partition: PartitionId) -> Option<&ShardHandle> {
        usize::try_from(partition).ok().and_then(|index| self.shards.get(index))
    }
}
