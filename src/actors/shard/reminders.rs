//! When products go stale: one queue of deadlines per shard, one entry per product that may go stale.
//!
//! An entry is a wake-up call and no more: the deadline that counts is part of the product's state. Signs of life do not touch the
//! queue; an entry that comes up too early is put back with the state's deadline. What was fired leaves the queue only when the
//! transaction that says so is committed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::domain::EpochMs;
use crate::domain::ids::ProductId;

/// A deadline and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reminder {
    pub deadline_ms: EpochMs,
    pub product_id: ProductId,
}

/// The queue of one shard.
#[derive(Debug, Default)]
pub struct Reminders {
    queue: BinaryHeap<Reverse<Reminder>>,
    /// Handed out, and not yet committed.
    firing: Vec<Reminder>,
}

impl Reminders {
    /// A queue of these, in one go.
    #[must_use]
    pub fn of(reminders: Vec<Reminder>) -> Self {
        Self { queue: reminders.into_iter().map(Reverse).collect(), firing: Vec::new() }
    }

    /// Adds a reminder. At most one per product: whoever adds keeps count.
    pub fn add(&mut self, deadline_ms: EpochMs, product_id: ProductId) {
        self.queue.push(Reverse(Reminder { deadline_ms, product_id }));
    }

    /// The earliest deadline in the queue.
    #[must_use]
    pub fn earliest(&self) -> Option<EpochMs> {
        self.queue.peek().map(|Reverse(reminder)| reminder.deadline_ms)
    }

    /// Hands out at most `limit` reminders that are due at this time. `current` tells a product's real deadline, if it has one.
    pub fn fire(&mut self, now_ms: EpochMs, limit: usize, current: impl Fn(&ProductId) -> Due) -> &[Reminder] {
        while self.firing.len() < limit && self.earliest().is_some_and(|deadline_ms| deadline_ms <= now_ms) {
            let Some(Reverse(reminder)) = self.queue.pop() else { break };
            match current(&reminder.product_id) {
                Due::At(deadline_ms) if deadline_ms > now_ms => self.add(deadline_ms, reminder.product_id),
                Due::At(deadline_ms) => self.firing.push(Reminder { deadline_ms, ..reminder }),
                // Nobody to remind: told as fired, so that the owner's count stays right.
                Due::Never => self.firing.push(reminder),
            }
        }
        &self.firing
    }

    /// The transaction is committed: what was handed out leaves the queue for good, and is returned.
    pub fn committed(&mut self) -> Vec<Reminder> {
        std::mem::take(&mut self.firing)
    }

    /// The transaction was given up: what was handed out goes back.
    pub fn abandoned(&mut self) {
        self.queue.extend(self.firing.drain(..).map(Reverse));
    }
}

/// A product's real deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    At(EpochMs),
    /// It is gone, or stale already.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str) -> ProductId {
        ProductId::new(name).unwrap()
    }

    #[test]
    fn hands_out_what_is_really_due_and_takes_back_what_was_not_committed() {
        let mut reminders = Reminders::default();
        for (deadline, name) in [(10, "a"), (20, "b"), (30, "c")] {
            reminders.add(deadline, product(name));
        }
        // "a" was heard of meanwhile: its entry is early, its deadline is 40.
        let current = |id: &ProductId| Due::At(if id.as_str() == "a" { 40 } else { 20 });
        let fired: Vec<_> = reminders.fire(25, 10, current).to_vec();
        assert_eq!(fired, [Reminder { deadline_ms: 20, product_id: product("b") }]);
        assert_eq!(reminders.earliest(), Some(30));
        reminders.abandoned();
        assert_eq!(reminders.earliest(), Some(20));
        assert_eq!(reminders.fire(25, 10, current).len(), 1);
        assert_eq!(reminders.committed(), fired);
        assert_eq!(reminders.earliest(), Some(30));
    }

    #[test]
    fn one_batch_gets_no_more_than_the_limit() {
        let mut reminders = Reminders::of((0..10).map(|n| Reminder { deadline_ms: n, product_id: product("p") }).collect());
        assert_eq!(reminders.fire(100, 4, |_| Due::At(1)).len(), 4);
        reminders.committed();
        assert_eq!(reminders.fire(100, 10, |_| Due::At(1)).len(), 6);
    }
}
