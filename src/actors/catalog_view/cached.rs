//! What is built from the whole catalogue and kept until it is out of date.
//!
//! With a million products building takes a part of a second, so something is built again only when that costs at most a tenth of
//! the time; until then the last one serves, and a reader that comes while it is built does not wait.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::table::{SlotNo, Table};

/// It is rebuilt at the earliest after this many times the duration of its last build.
const REST_FACTOR: u32 = 10;

/// Counts changes, so that a cached list knows when it is out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generations {
    /// Products came, went or changed their details.
    pub details: u64,
    /// Prices moved.
    pub prices: u64,
    /// Products were sold out, or came back.
    pub stocked: u64,
}

/// Something that was built from an earlier state of the catalogue.
#[derive(Debug)]
pub(super) struct Dated<T> {
    pub(super) value: Arc<T>,
    generations: Generations,
    /// The slots below this number were read; later ones are not in it.
    pub(super) slots: SlotNo,
    built_at: Instant,
    took: Duration,
}

impl<T> Dated<T> {
    fn serves(&self, generations: Generations) -> bool {
        self.generations == generations || self.built_at.elapsed() < self.took * REST_FACTOR
    }
}

#[derive(Debug)]
pub(super) struct Cached<T> {
    last: ArcSwapOption<Dated<T>>,
    building: Mutex<()>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { last: ArcSwapOption::empty(), building: Mutex::new(()) }
    }
}

impl<T> Cached<T> {
    pub(super) fn get(&self, generations: Generations, table: &Table, build: impl FnOnce() -> T) -> Arc<Dated<T>> {
        let last = self.last.load_full();
        if let Some(last) = &last
            && last.serves(generations)
        {
            return last.clone();
        }
        let _building = match (self.building.try_lock(), last) {
            (Ok(guard), _) => guard,
            (Err(TryLockError::Poisoned(guard)), _) => guard.into_inner(),
            (Err(TryLockError::WouldBlock), Some(last)) => return last,
            // The very first list: there is nothing else to show, so wait until it is built.
            (Err(TryLockError::WouldBlock), None) => self.building.lock().unwrap_or_else(PoisonError::into_inner),
        };
        if let Some(last) = self.last.load_full()
            && last.serves(generations)
        {
            return last;
        }
        let (built_at, slots) = (Instant::now(), table.count());
        let value = Arc::new(build());
        let dated = Arc::new(Dated { value, generations, slots, built_at, took: built_at.elapsed() });
        self.last.store(Some(dated.clone()));
        dated
    }
}
