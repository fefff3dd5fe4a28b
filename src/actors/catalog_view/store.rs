//! What the view holds: written by the one view actor, read without a lock.
//!
//! It outlives the actor: while a dead view is restarted, its last state stays readable. [`ViewWriter`] is what only the actor
//! touches; the lock around it is taken once per batch, by that actor alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use sha2::{Digest, Sha256};

use super::cached::Generations;
use super::entry::Entry;
use super::front::FrontPage;
use super::lists::Lists;
use super::table::{Slot, SlotNo, Table};
use super::taken::{SourcePositions, TakenFeed};
use super::writer::ViewWriter;
use crate::actors::waiting::WaitingOutput;
use crate::domain::ids::ProductId;
use crate::log::partitioner::partition_of;
use crate::log::{Offset, PartitionId, TopicPartition};
use crate::wire::pages::status::CatalogState;
use crate::wire::topics::Topic;

/// Counts of the records that the view read since the process started, by what they changed.
#[derive(Debug, Default)]
pub struct Tallies {
    pub taken: AtomicU64,
    pub known: AtomicU64,
    /// Partial records of another lifetime than the product's.
    pub other_life: AtomicU64,
    /// Partial records of products that the view doesn't have.
    pub unknown: AtomicU64,
    /// Records that could not be read.
    pub unreadable: AtomicU64,
}

/// The read model.
#[derive(Debug, Default)]
pub struct Catalog {
    pub(super) table: Table,
    pub(super) lists: Lists,
    pub(super) taken: TakenFeed,
    pub(super) writer: Mutex<ViewWriter>,
    pub(super) tallies: Tallies,
    /// Where the view stands on `products`, by partition.
    pub(super) positions: ArcSwap<Vec<Offset>>,
    /// From here on the view saw every removal, by partition: an older cursor cannot be proven to cover its gap.
    pub(super) floor: ArcSwap<Vec<Offset>>,
    log: OnceLock<LogName>,
    /// It was read to its end once.
    pub(super) is_live: AtomicBool,
    pub(super) details_generation: AtomicU64,
    pub(super) prices_generation: AtomicU64,
    pub(super) stocked_generation: AtomicU64,
    /// Batches that changed anything at all.
    pub(super) changes: AtomicU64,
    pub(super) front: FrontPage,
    pub(super) listed: AtomicU64,
    pub(super) waiting: WaitingOutput,
    /// Where the view stands on `inventory-events`; `None` before it followed it.
    event_positions: ArcSwapOption<BTreeMap<TopicPartition, Offset>>,
    pub(super) records_read: AtomicU64,
    pub(super) records_to_read: AtomicU64,
}

#[derive(Debug)]
struct LogName {
    id: String,
    tag: u32,
}

impl Catalog {
    /// How far the read model is.
    #[must_use]
    pub fn state(&self) -> CatalogState {
        match (self.is_live.load(Ordering::Acquire), self.listed.load(Ordering::Relaxed)) {
            (false, _) => CatalogState::Restoring,
            (true, 0) => CatalogState::Empty,
            (true, _) => CatalogState::Live,
        }
    }

    /// What the view has taken and not yet announced.
    #[must_use]
    pub fn taken(&self) -> &TakenFeed {
        &self.taken
    }

    /// The slot of a number.
    #[must_use]
    pub fn slot(&self, number: SlotNo) -> Option<Arc<Slot>> {
        self.table.slot(number)
    }

    /// The first number that no product ever had.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.table.count()
    }

    /// How many products are listed.
    #[must_use]
    pub fn listed(&self) -> u64 {
        self.listed.load(Ordering::Relaxed)
    }

    /// A short name of the log, for entity tags: the same in every process.
    pub(super) fn log_tag(&self) -> u32 {
        self.log.get().map_or(0, |log| log.tag)
    }

    /// The log's own name; `None` before the view knew it.
    #[must_use]
    pub fn log_id(&self) -> Option<&str> {
        self.log.get().map(|log| log.id.as_str())
    }

    /// Names the log; the first name stays.
    pub(super) fn name_log(&self, id: String) {
        let digest = Sha256::digest(id.as_bytes());
        let tag = digest.first_chunk::<4>().map_or(0, |head| u32::from_be_bytes(*head));
        // A second name is the same: a process reads one log.
        let _ = self.log.set(LogName { id, tag });
    }

    /// Where the view stands on `inventory-events`.
    pub(super) fn event_positions(&self) -> Option<Arc<BTreeMap<TopicPartition, Offset>>> {
        self.event_positions.load_full()
    }

    pub(super) fn keep_event_positions(&self, positions: &BTreeMap<TopicPartition, Offset>) {
        let events = positions.iter().filter(|(place, _)| place.topic == Topic::InventoryEvents);
        self.event_positions.store(Some(Arc::new(events.map(|(place, offset)| (*place, *offset)).collect())));
    }

    pub(super) fn forget_event_positions(&self) {
        self.event_positions.store(None);
    }

    pub(super) fn generations(&self) -> Generations {
        Generations {
            details: self.details_generation.load(Ordering::Acquire),
            prices: self.prices_generation.load(Ordering::Acquire),
            stocked: self.stocked_generation.load(Ordering::Acquire),
        }
    }

    /// Where the view stands on `products`.
    #[must_use]
    pub fn source_positions(&self) -> SourcePositions {
        SourcePositions::from(self.positions.load().as_slice())
    }

    pub(super) fn move_positions(&self, moved: &[(PartitionId, Offset)]) {
        let mut positions = Vec::clone(&self.positions.load());
        for (partition, offset) in moved {
            let Ok(place) = usize::try_from(*partition) else { continue };
            if positions.len() <= place {
                positions.resize(place + 1, 0);
            }
            positions[place] = positions[place].max(*offset);
        }
        self.positions.store(Arc::new(positions));
    }

    /// The place of a product's partition in positions.
    pub(super) fn place_of(&self, id: &ProductId) -> usize {
        let partitions = PartitionId::try_from(self.positions.load().len()).unwrap_or(PartitionId::MAX);
        usize::try_from(partition_of(id.as_str().as_bytes(), partitions)).unwrap_or_default()
    }

    /// Whether a page that was sent everything before these positions can be brought up to date by what changed since.
    #[must_use]
    pub fn covers(&self, positions: &[Offset]) -> bool {
        let floor = self.floor.load();
        !floor.is_empty() && floor.len() == positions.len() && floor.iter().zip(positions).all(|(floor, at)| at >= floor)
    }

    /// Whether a product may have changed at or after these positions.
    #[must_use]
    pub fn changed_since(&self, slot: &Slot, entry: &Entry, positions: &[Offset]) -> bool {
        positions.get(self.place_of(&slot.id)).is_none_or(|at| entry.source_offset >= *at)
    }
}
