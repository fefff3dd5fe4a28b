//! When products go stale: one queue of deadlines per shard, one entry per product that may go stale.
//!
//! An entry only causes a check: the deadline that counts is part of the product's state. Signs of life do not touch the queue;
//! an entry that comes up early is put back with the state's deadline. Reminders that fired leave the queue when their batch is
//! committed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::domain::EpochMs;
use crate::domain::ids::ProductId;

/// A deadline and its product.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reminder {
    pub deadline_ms: EpochMs,
    pub product_id: ProductId,
}

/// The queue of one shard.
#[derive(Debug, Default)]
pub(crate) struct Reminders {
    queue: BinaryHeap<Reverse<Reminder>>,
    /// Fired, and not yet committed.
    firing: Vec<Reminder>,
}

impl Reminders {
    /// A queue of these reminders.
    pub(crate) fn of(reminders: Vec<Reminder>) -> Self {
        Self { queue: reminders.into_iter().map(Reverse).collect(), firing: Vec::new() }
    }

    /// Adds a reminder. The caller sees to it that each product has at most one.
    pub(crate) fn add(&mut self, deadline_ms: EpochMs, product_id: ProductId) {
        self.queue.push(Reverse(Reminder { deadline_ms, product_id }));
    }

    /// The earliest deadline in the queue.
    pub(crate) fn earliest(&self) -> Option<EpochMs> {
        self.queue.peek().map(|Reverse(reminder)| reminder.deadline_ms)
    }

    /// Fires at most `limit` reminders that are due at this time. `current` gives the deadline of a product's state.
    pub(crate) fn fire(&mut self, now_ms: EpochMs, limit: usize, current: impl Fn(&ProductId) -> StaleDeadline) -> &[Reminder] {
        while self.firing.len() < limit && self.earliest().is_some_and(|deadline_ms| deadline_ms <= now_ms) {
            let Some(Reverse(reminder)) = self.queue.pop() else { break };
            match current(&reminder.product_id) {
                StaleDeadline::At(deadline_ms) if deadline_ms > now_ms => self.add(deadline_ms, reminder.product_id),
                StaleDeadline::At(deadline_ms) => self.firing.push(Reminder { deadline_ms, ..reminder }),
                // No deadline; report as fired so that the owner's count stays right.
                StaleDeadline::Never => self.firing.push(reminder),
            }
        }
        &self.firing
    }

    /// The batch is committed: the reminders that fired leave the queue for good and are returned.
    pub(crate) fn committed(&mut self) -> Vec<Reminder> {
        std::mem::take(&mut self.firing)
    }

    /// The batch was given up: the reminders that fired go back into the queue.
    pub(crate) fn abandoned(&mut self) {
        self.queue.extend(self.firing.drain(..).map(Reverse));
    }
}

/// The deadline of a product's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StaleDeadline {
    At(EpochMs),
    /// The product is removed or already stale.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str) -> ProductId {
        ProductId::new(name).unwrap()
    }

    #[test]
    fn fires_what_is_due_by_the_state_and_takes_back_what_was_not_committed() {
        let mut reminders = Reminders::default();
        for (deadline, name) in [(10, "a"), (20, "b"), (30, "c")] {
            reminders.add(deadline, product(name));
        }
        // "a" got a sign of life: its entry comes up early, its deadline is 40.
        let current = |id: &ProductId| StaleDeadline::At(if id.as_str() == "a" { 40 } else { 20 });
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
        assert_eq!(reminders.fire(100, 4, |_| StaleDeadline::At(1)).len(), 4);
        reminders.committed();
        assert_eq!(reminders.fire(100, 10, |_| StaleDeadline::At(1)).len(), 6);
    }
}
