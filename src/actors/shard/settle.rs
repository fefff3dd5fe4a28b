//! The ends of a batch, and the beginnings and ends of owning a partition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::batch::Flight;
use super::proof::{self, GoOn};
use super::restore::{Loaded, RestoreError};
use super::slots::Slots;
use super::{BatchId, Committed, PositionText, Reminders, Restoring, Shard, ShardMsg, ShardState, handle};
use crate::actors::engine::{FeedNews, TaskGuard};
use crate::bugs::{self, Bug};
use crate::domain::inventory::InputTopic;
use crate::log::{Offset, Position};
use crate::wire::topics::Topic;

/// A partition whose states cannot be read is tried again after this: the log may come back.
const RESTORE_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// What was put right is still shown for so long: figures are read once a minute, and by people later.
const SHOWN_FOR: Duration = Duration::from_secs(300);

impl Shard {
    /// The partition is ours: its states are read from the log, in a task.
    pub(super) fn restore(&self, state: &mut ShardState, ticket: u64, positions: BTreeMap<Topic, Position>, wait: Duration) {
        self.release(state);
        let (shard, ours) = (self.0.clone(), positions.clone());
        let task = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let result = super::restore::load(&shard, &ours).await;
            let _ = shard.mailbox.tell(ShardMsg::Loaded { ticket, result });
        });
        state.restoring = Some(Restoring { ticket, positions, _task: TaskGuard(task) });
    }

    /// The states were read, or could not be.
    pub(super) fn loaded(&self, state: &mut ShardState, ticket: u64, result: Result<(Loaded, GoOn), RestoreError>) {
        let Some(restoring) = state.restoring.take_if(|restoring| restoring.ticket == ticket) else { return };
        let (loaded, go_on) = match result {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(kartshoppe.shard = self.partition, error = %error, "the states of a partition cannot be read");
                self.restore(state, ticket, restoring.positions, RESTORE_AGAIN_AFTER);
                return self.gauge.trouble.store(Some(Arc::new(error.to_string())));
            }
        };
        self.gauge.trouble.store(None);
        self.metrics.restore_seconds.observe(loaded.took.as_secs_f64());
        self.metrics.states_ahead.fetch_add(loaded.ahead, Ordering::Relaxed);
        self.metrics.foreign_states.fetch_add(loaded.foreign, Ordering::Relaxed);
        state.committed = Committed::from(&go_on.positions);
        state.undone_at.clone_from(&go_on.undone_at);
        for (id, offset) in &loaded.overlaid {
            tracing::warn!(product.id = %id, log.offset = *offset, "a record of others lies over a product's state, which is written again");
        }
        state.overlaid = loaded.overlaid;
        state.slots = Slots::of(loaded.states);
        state.reminders = Reminders::of(state.slots.remind_all());
        state.ready = true;
        self.publish_gauges(state);
        self.settle_foreign_hands(state);
        (self.report)(FeedNews::Restored { partition: self.partition, ticket, go_on: go_on.positions });
    }

    /// The partition is not ours, or not any more.
    pub(super) fn release(&self, state: &mut ShardState) {
        if let Some(flight) = &state.flight {
            // Whoever still owes a reply may hang, and would never come to its stop.
            for index in flight.collector.pending() {
                handle::kill(&state.slots, &flight.cells[index].group.product_id);
            }
        }
        self.gauge.trouble.store(None);
        state.slots.passivate_beyond(0);
        *state = ShardState::default();
        self.publish_gauges(state);
    }

    /// The batch is durable: its states are the committed ones.
    pub(super) fn commit(&self, state: &mut ShardState, batch: BatchId) {
        let Some(flight) = state.flight.take_if(|flight| flight.batch == batch && flight.next.is_some()) else { return };
        for input in InputTopic::ALL {
            if let Some(next) = flight.part.next[input.index()] {
                state.committed.next[input.index()] = Some(next);
            }
        }
        state.committed.highest_append_ms = flight.highest_append_ms;
        self.settle_foreign_hands(state);
        state.overlaid.clear();
        self.take_states(state, flight);
        self.settle_reminders(state);
        let gone = state.slots.passivate_beyond(self.live_limit());
        self.metrics.passivated.fetch_add(gone, Ordering::Relaxed);
        self.publish_gauges(state);
    }

    /// The batch is void: what was committed before it counts. Its products may know better for a while; the next message to each
    /// names the state it starts from.
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

    fn take_states(&self, state: &mut ShardState, flight: Flight) {
        for (index, next) in flight.next.into_iter().flatten().enumerate() {
            let id = &flight.cells[index].group.product_id;
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
            if flight.collector.attempt(index) == 0 {
                slot.restarts = None;
            }
        }
    }

    /// Where everything is handled that a foreign hand had passed over, its alarm stays a while longer, so that it is seen, and goes.
    fn settle_foreign_hands(&self, state: &mut ShardState) {
        let next = state.committed.next;
        let is_reached = |topic: &Topic, at: &Offset| {
            let index = proof::TOPICS.iter().position(|known| known == topic);
            index.and_then(|index| next[index]).is_some_and(|next| next >= *at)
        };
        for (topic, _) in state.undone_at.extract_if(.., |topic, at| is_reached(topic, at)) {
            let (alarms, about) = (self.alarms.clone(), proof::about(topic, self.partition));
            tokio::spawn(async move {
                tokio::time::sleep(SHOWN_FOR).await;
                alarms.clear(&about);
            });
        }
    }

    /// The partition is somebody else's, who sees to it.
    pub(super) fn forget_foreign_hands(&self) {
        proof::TOPICS.iter().for_each(|topic| self.alarms.clear(&proof::about(*topic, self.partition)));
    }

    /// Reminders that were fired have left the queue; whoever was heard of meanwhile after all gets a new one.
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

impl From<&BTreeMap<Topic, Position>> for Committed {
    fn from(positions: &BTreeMap<Topic, Position>) -> Self {
        let next = [Topic::ProductUpdates, Topic::OrderEvents].map(|topic| positions.get(&topic).map(|position| position.offset));
        let text = positions.get(&Topic::OrderEvents).and_then(PositionText::beside).unwrap_or_default();
        Self { next, highest_append_ms: text.highest_append_ms }
    }
}
