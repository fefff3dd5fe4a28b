//! Rows written by other programs that make a statement over many rows fail: the others are processed, and these are reported.
//!
//! Such a row may violate a constraint that was added without checking older rows, so that no update of it is allowed; its text
//! may not be in the database's encoding; or its id may be invalid. The statement is repeated for each half of the rows, and so
//! on, until the bad row stands alone.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Store, StoreError};

/// Rows are tried again after this long: an operator may have corrected them.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// An item's id as the table holds it, in whatever encoding.
pub(super) type RawId = Vec<u8>;

/// The unusable rows that a store remembers.
#[derive(Debug, Clone, Default)]
pub(super) struct Unusables(Arc<Mutex<BTreeMap<RawId, Known>>>);

#[derive(Debug)]
struct Known {
    reason: String,
    again_at: Instant,
}

/// A row that is skipped, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableItem {
    pub order_item_id: String,
    pub reason: String,
}

impl Unusables {
    /// The rows that are not retried yet.
    pub fn passed_over(&self) -> Vec<RawId> {
        let mut known = self.known();
        let now = Instant::now();
        known.retain(|_, row| row.again_at > now);
        known.keys().cloned().collect()
    }

    fn note(&self, id: &RawId, error: &StoreError) {
        self.known().insert(id.clone(), Known { reason: error.in_full(), again_at: Instant::now() + AGAIN_AFTER });
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<RawId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// The items that recent statements passed over; their rows need correcting.
    #[must_use]
    pub fn unusable_items(&self) -> Vec<UnusableItem> {
        let shown = |(id, row): (&RawId, &Known)| UnusableItem {
            order_item_id: String::from_utf8_lossy(id).into_owned(),
            reason: row.reason.clone(),
        };
        self.unusables.known().iter().map(shown).collect()
    }

    /// Runs a statement for these rows, in their order; if some of them make it fail, for all others. A failed call must leave no
    /// effect.
    pub(super) async fn for_usable<T, F>(&self, ids: Vec<RawId>, call: impl Fn(Vec<RawId>) -> F) -> Result<Vec<T>, StoreError>
    where
        F: Future<Output = Result<Vec<T>, StoreError>>,
    {
        let (mut parts, mut done) = (vec![ids], Vec::new());
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match call(part.clone()).await {
                Ok(rows) => done.extend(rows),
                Err(error) if !error.is_of_a_row() => return Err(error),
                Err(error) if part.len() == 1 => self.unusables.note(&part.remove(0), &error),
                Err(_) => {
                    let back = part.split_off(part.len() / 2);
                    parts.extend([back, part]);
                }
            }
        }
        Ok(done)
    }
}
