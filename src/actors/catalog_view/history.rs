//! The last hour of one product's changes, for its page: bounded, and readable without a lock.
//!
//! A history is a pair of immutable lists. New changes go to the front of the young one; when it is full it becomes the old one,
//! and what was old is let go. So an addition costs two small allocations, and at least the last [`YOUNG_MAX`] changes are there.

use std::sync::Arc;

use crate::domain::EpochMs;
use crate::domain::ids::OrderId;
use crate::domain::inventory::EventKind;
use crate::domain::money::Cents;
use crate::domain::product::Revision;
use crate::wire::Money;
use crate::wire::pages::history::{ChangeReason, ProductChange, grown};

/// How long a change is remembered, in milliseconds.
pub const REMEMBERED_MS: i64 = 3_600_000;
/// Between this many changes and twice as many are kept per product.
const YOUNG_MAX: u32 = 250;

/// One change of a product, as its page and the frames show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: EventKind,
    pub previous_stock: Option<i64>,
    pub current_stock: i64,
    pub previous_price: Option<Cents>,
    pub current_price: Option<Cents>,
    pub order_id: Option<OrderId>,
    pub revision: Revision,
    pub at_ms: EpochMs,
}

impl Change {
    /// As history and frames write it.
    #[must_use]
    pub fn to_wire(&self) -> ProductChange<'_> {
        ProductChange {
            change_type: self.kind.as_str(),
            previous_inventory: self.previous_stock,
            current_inventory: self.current_stock,
            previous_price: self.previous_price.map(Money::from),
            current_price: self.current_price.map(Money::from),
            order_id: self.order_id.as_ref().map(OrderId::as_str),
            timestamp: self.at_ms,
            life: self.revision.life,
            version: self.revision.version,
            reason: self.reason(),
        }
    }

    /// Why it happened.
    #[must_use]
    pub fn reason(&self) -> ChangeReason {
        let units = grown(self.previous_stock, Some(self.current_stock));
        let price = grown(self.previous_price.map(Cents::cents), self.current_price.map(Cents::cents));
        ChangeReason::of(self.kind, self.order_id.is_some(), units, price)
    }

    /// Whether stock or price of a product that stays moved.
    #[must_use]
    pub fn is_move(&self) -> bool {
        let stays = !matches!(self.kind, EventKind::ProductAdded | EventKind::ProductRemoved);
        let price_moved = self.previous_price.is_some_and(|from| self.current_price.is_some_and(|to| from != to));
        stays && (self.previous_stock.is_some_and(|from| from != self.current_stock) || price_moved)
    }

    /// Units that an order took.
    #[must_use]
    pub fn sold(&self) -> i64 {
        let taken = self.previous_stock.map_or(0, |from| from.saturating_sub(self.current_stock));
        if self.reason() == ChangeReason::Order { taken } else { 0 }
    }
}

/// The changes of one product, the newest first.
#[derive(Debug, Default)]
pub struct History {
    young: Option<Arc<Node>>,
    old: Option<Arc<Node>>,
    /// Offset on `inventory-events` of the newest, so that a view that reads on from an earlier place adds nothing twice.
    offset: Option<i64>,
}

#[derive(Debug)]
struct Node {
    change: Arc<Change>,
    /// How many there are from here to the end of this list.
    len: u32,
    next: Option<Arc<Node>>,
}

impl History {
    /// The history with one change more, read at this offset; `None` if it has that one already.
    #[must_use]
    pub fn with(before: Option<&Self>, change: Arc<Change>, offset: i64) -> Option<Self> {
        let Some(before) = before else {
            return Some(Self { young: Some(Node::before(None, change)), old: None, offset: Some(offset) });
        };
        if before.offset.is_some_and(|last| offset <= last) {
            return None;
        }
        let full = before.young.as_ref().is_some_and(|node| node.len >= YOUNG_MAX);
        let (next, old) = if full { (None, before.young.clone()) } else { (before.young.clone(), before.old.clone()) };
        Some(Self { young: Some(Node::before(next, change)), old, offset: Some(offset) })
    }

    /// The changes at or after this time, the newest first.
    pub fn since(&self, at_ms: EpochMs) -> impl Iterator<Item = &Arc<Change>> {
        let young = std::iter::successors(self.young.as_deref(), |node| node.next.as_deref());
        let old = std::iter::successors(self.old.as_deref(), |node| node.next.as_deref());
        young.chain(old).map(|node| &node.change).take_while(move |change| change.at_ms >= at_ms)
    }

    /// How many changes there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        let count = |list: &Option<Arc<Node>>| list.as_ref().map_or(0, |node| u64::from(node.len));
        count(&self.young) + count(&self.old)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.young.is_none()
    }

    /// The newer half of it; `None` if nothing would be left.
    #[must_use]
    pub fn halved(&self) -> Option<Self> {
        self.old.as_ref().map(|_| Self { young: self.young.clone(), old: None, offset: self.offset })
    }

    /// When the newest change happened.
    #[must_use]
    pub fn newest_at_ms(&self) -> Option<EpochMs> {
        self.young.as_ref().map(|node| node.change.at_ms)
    }
}

impl Node {
    fn before(next: Option<Arc<Self>>, change: Arc<Change>) -> Arc<Self> {
        let len = next.as_ref().map_or(1, |node| node.len + 1);
        Arc::new(Self { change, len, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(at_ms: i64) -> Arc<Change> {
        Arc::new(Change {
            kind: EventKind::InventoryDecreased,
            previous_stock: Some(2),
            current_stock: 1,
            previous_price: None,
            current_price: None,
            order_id: None,
            revision: Revision::first_of(0),
            at_ms,
        })
    }

    #[test]
    fn keeps_the_newest_and_lets_the_oldest_go() {
        let mut history: Option<History> = None;
        for at_ms in 0..2000 {
            history = History::with(history.as_ref(), change(at_ms), at_ms);
        }
        let history = history.unwrap();
        let times: Vec<i64> = history.since(0).map(|change| change.at_ms).collect();
        assert!((YOUNG_MAX as usize..=2 * YOUNG_MAX as usize).contains(&times.len()), "{}", times.len());
        assert!(times.iter().copied().eq((0..2000).rev().take(times.len())));
        assert_eq!((history.since(1998).count(), history.len()), (2, times.len() as u64));
        let halved = history.halved().unwrap();
        assert!(halved.since(0).map(|change| change.at_ms).eq((0..2000).rev().take(halved.len() as usize)));
        assert!(halved.len() < history.len() && halved.halved().is_none());
        assert_eq!(history.newest_at_ms(), Some(1999));
        assert!(History::with(Some(&history), change(3000), 1999).is_none(), "that offset was added before");
    }
}
