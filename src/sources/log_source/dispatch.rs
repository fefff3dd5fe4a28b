//! Dispatches one batch at a time, to the shards that have a part in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use super::decode::DecodedChunk;
use super::owned_partition::{OwnedPartition, ShardPhase};
use super::pending::PendingRecords;
use super::state::{LogSource, SourceMsg, SourceState};
use crate::actors::inventory::batch::Part;
use crate::actors::inventory::batch_state::{DispatchedBatch, DispatchedPart};
use crate::bugs::{self, Bug};
use crate::domain::inventory::PerInput;
use crate::log::PartitionId;
use crate::sources::file_bootstrap::BootstrapFile;

impl LogSource {
    /// Adds a decoded chunk to the pending records.
    pub(super) fn take_in(&self, state: &mut SourceState, decoded: DecodedChunk) {
        for (partition, read) in &decoded.read {
            if let Some(owned) = state.owned.get_mut(partition) {
                owned.read = *read;
                owned.catch_up.read_to(read);
            }
        }
        state.pending.add(decoded);
    }

    /// Has shards without states read them.
    pub(super) fn restore_shards(&self, state: &mut SourceState) {
        for (partition, owned) in &mut state.owned {
            if owned.shard != ShardPhase::MustRestore {
                continue;
            }
            let attempt = self.next_number();
            let sent = self.shard(*partition).map(|shard| shard.restore(attempt, owned.committed.clone()));
            // A shard that is not running reports when it has started.
            if matches!(sent, Some(Ok(()))) {
                owned.shard = ShardPhase::Restoring { attempt };
            }
        }
    }

    /// Dispatches a batch of the pending records, once every shard is ready.
    pub(super) fn dispatch(&self, state: &mut SourceState) {
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
        let batch = self.next_number();
        let dispatched = parts.iter().map(|(partition, (_, dispatched))| (*partition, *dispatched)).collect();
        state.batch.dispatch(DispatchedBatch { batch, parts: dispatched });
        // If committer or shard is not running, the batch is given up when it reports its start, and read again.
        let _ = self.committer.open(batch, parts.keys().copied().collect());
        for (partition, (part, _)) in parts {
            let _ = self.shard(partition).map(|shard| shard.begin(batch, part));
        }
    }

    /// The next part of a partition: from the bootstrap file while it is needed, then from the log.
    fn part_of(
        &self,
        partition: PartitionId,
        owned: &mut OwnedPartition,
        file: Option<&BootstrapFile>,
        pending: &mut PendingRecords,
    ) -> Option<(Part, DispatchedPart)> {
        if let Some(done) = owned.bootstrap {
            let file = file?;
            let mut part = file.part(partition, done, self.batch_max_records, self.clock.now_ms());
            let from_file = part.groups.len();
            let ends_bootstrap = done + from_file >= file.len(partition);
            if ends_bootstrap && (owned.committed.is_empty() || !bugs::is(Bug::RemovedComesBack)) {
                part.next = PerInput::from_fn(|input| Some(owned.first[input]));
            }
            return Some((part, DispatchedPart { from_file, ends_bootstrap }));
        }
        let mut part = pending.take(partition).unwrap_or_default();
        part.caught_up_ms = owned.catch_up.take();
        (!part.is_empty()).then_some((part, DispatchedPart::default()))
    }

    /// Reads the bootstrap file while a partition needs it, and drops it when none does.
    fn read_file(&self, state: &mut SourceState) {
        let wanted = state.owned.values().any(|owned| owned.bootstrap.is_some());
        if !wanted {
            state.bootstrap = None;
        }
        let Some(path) = self.bootstrap_file.clone().filter(|_| wanted && state.bootstrap.is_none()) else { return };
        if state.reading_file.is_none() {
            let context = self.0.clone();
            state.reading_file = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                let file = BootstrapFile::load_patiently(&path, context.log.partitions(), &context.supervision.alarms).await;
                let _ = context.mailbox.tell(SourceMsg::BootstrapRead(file));
            })));
        }
    }

    pub(super) fn bootstrap_read(&self, state: &mut SourceState, file: BootstrapFile) {
        state.reading_file = None;
        state.bootstrap = Some(Arc::new(file));
    }
}
