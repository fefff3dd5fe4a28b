//! Decoded records that wait for their batch.

use std::collections::BTreeMap;

use super::decode::{DecodedChunk, PartDraft};
use crate::actors::inventory::batch::Part;
use crate::log::PartitionId;

/// Bytes of input that may be pending; a record may be a megabyte.
const PENDING_BYTES: usize = 16 << 20;

/// Decoded records that wait until the batch under way is settled.
#[derive(Debug, Default)]
pub(super) struct PendingRecords {
    drafts: BTreeMap<PartitionId, PartDraft>,
    records: usize,
    bytes: usize,
}

impl PendingRecords {
    /// How many records may still be added to a batch of this size.
    pub fn room(&self, batch_max_records: usize) -> usize {
        if self.bytes >= PENDING_BYTES { 0 } else { batch_max_records.saturating_sub(self.records) }
    }

    /// Drops the records of a partition that is not ours any more.
    pub fn forget(&mut self, partition: PartitionId) {
        self.drafts.remove(&partition);
    }

    /// Adds a decoded chunk.
    pub fn add(&mut self, decoded: DecodedChunk) {
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

    /// Takes a partition's part. Its records count until the other partitions are taken, too.
    pub fn take(&mut self, partition: PartitionId) -> Option<Part> {
        let part = self.drafts.remove(&partition)?.part;
        if self.drafts.is_empty() {
            *self = Self::default();
        }
        Some(part)
    }
}
