//! The end of a batch: its states become the committed ones, or are dropped.

use std::sync::atomic::Ordering;

use super::flight::BatchInFlight;
use super::state::{Shard, ShardState};
use crate::actors::inventory::batch::BatchId;
use crate::bugs::{self, Bug};

impl Shard {
    /// The batch is durable: its states become the committed ones.
    pub(super) fn commit(&self, state: &mut ShardState, batch: BatchId) {
        let Some(flight) = state.flight.take_if(|flight| flight.batch == batch && flight.next.is_some()) else { return };
        for (input, next) in flight.part.next.iter() {
            state.committed.next[input] = next.or(state.committed.next[input]);
        }
        state.committed.highest_append_ms = flight.highest_append_ms;
        self.clear_reached_position_alarms(state);
        state.overlaid.clear();
        self.take_states(state, flight);
        self.settle_reminders(state);
        let passivated = state.slots.passivate_beyond(self.live_limit());
        self.metrics.passivated.fetch_add(passivated, Ordering::Relaxed);
        self.publish_gauges(state);
    }

    /// The batch was given up: the states committed before it count. Its products may hold later states; the next message to each
    /// carries the state that it starts from.
    pub(super) fn abandon(&self, state: &mut ShardState) {
        if let Some(_flight) = state.flight.take() {
            #[cfg(feature = "seeded-bugs")]
            super::seeded::keep_given_up(state, _flight);
            if bugs::is(Bug::ReminderLeavesEarly) {
                state.reminders.committed();
            }
            state.reminders.abandoned();
            self.publish_gauges(state);
        }
    }

    fn take_states(&self, state: &mut ShardState, flight: BatchInFlight) {
        for (index, next) in flight.next.into_iter().flatten().enumerate() {
            let id = &flight.products[index].commands.product_id;
            let Some(next) = next else {
                state.slots.forget(id);
                continue;
            };
            let slot = state.slots.slot(id);
            if !next.stale && !slot.reminded {
                slot.reminded = true;
                state.reminders.add(next.stale_deadline_ms, id.clone());
            }
            slot.state = Some(next);
            // It needed no second attempt, so its earlier restarts no longer count.
            if flight.collector.attempt(index) == 0 {
                slot.restarts = None;
            }
        }
    }

    /// Reminders that fired have left the queue; products that got a sign of life meanwhile get a new one.
    fn settle_reminders(&self, state: &mut ShardState) {
        let now_ms = self.clock.now_ms();
        for reminder in state.reminders.committed() {
            #[expect(clippy::cast_precision_loss, reason = "a duration in milliseconds, for a histogram")]
            self.metrics.stale_tardiness_seconds.observe(now_ms.saturating_sub(reminder.deadline_ms) as f64 / 1000.0);
            let Some(slot) = state.slots.get_mut(&reminder.product_id) else { continue };
            let again = slot.state.as_ref().filter(|known| !known.stale).map(|known| known.stale_deadline_ms);
            slot.reminded = again.is_some();
            if let Some(deadline_ms) = again {
                state.reminders.add(deadline_ms, reminder.product_id);
            }
        }
    }

    /// This shard's share of the process's live products.
    fn live_limit(&self) -> usize {
        let shards = self.metrics.assigned.load(Ordering::Relaxed).max(1);
        (self.max_live_products / shards).max(1)
    }
}
