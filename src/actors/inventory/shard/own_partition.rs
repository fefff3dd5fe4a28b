//! The beginning and the end of owning a partition: its states are read, and dropped again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::handle::ShardMsg;
use super::position_text::PositionText;
use super::reminders::Reminders;
use super::restore;
use super::restored::{RestoreContext, RestoreError, RestoredPartition};
use super::resume::{self, ResumePositions};
use super::slots::ProductSlots;
use super::state::{CommittedInputs, Restoring, Shard, ShardContext, ShardState};
use crate::actors::inventory::news::FeedNews;
use crate::domain::inventory::{InputTopic, PerInput};
use crate::log::{Offset, Position};
use crate::telemetry::promises::Promise;
use crate::wire::topics::Topic;

/// Wait before a partition whose states could not be read is read again: the log may recover.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// An alarm that has become obsolete stays this long: metrics are scraped once a minute, and people look later.
const ALARM_STAYS: Duration = Duration::from_secs(300);

impl Shard {
    /// Reads the states of the partition, in a task.
    pub(super) fn restore(&self, state: &mut ShardState, attempt: u64, positions: BTreeMap<Topic, Position>, wait: Duration) {
        self.release(state);
        let (context, mailbox, committed) = (self.restore_context(), self.mailbox.clone(), positions.clone());
        let task = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let result = restore::restore(&context, &committed).await;
            let _ = mailbox.tell(ShardMsg::Restored { attempt, result });
        });
        state.restoring = Some(Restoring { attempt, positions, _task: AbortOnDropHandle::new(task) });
    }

    /// The states were read, or could not be.
    pub(super) fn restored(
        &self,
        state: &mut ShardState,
        attempt: u64,
        result: Result<(RestoredPartition, ResumePositions), RestoreError>,
    ) {
        let Some(restoring) = state.restoring.take_if(|restoring| restoring.attempt == attempt) else { return };
        let (restored, resume_at) = match result {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(kartshoppe.shard = self.partition, error = %error,
                    "the states of a partition cannot be read; trying again");
                self.restore(state, attempt, restoring.positions, RETRY_AFTER);
                return self.gauge.trouble.store(Some(Arc::new(error.to_string())));
            }
        };
        self.gauge.trouble.store(None);
        self.metrics.restore_seconds.observe(restored.took.as_secs_f64());
        self.metrics.states_ahead.fetch_add(restored.ahead, Ordering::Relaxed);
        Promise::StatesWithPositions.broken(restored.ahead);
        self.metrics.foreign_states.fetch_add(restored.foreign, Ordering::Relaxed);
        state.committed = CommittedInputs::from(&resume_at.positions);
        state.foreign_until.clone_from(&resume_at.foreign_until);
        for (id, offset) in &restored.overlaid {
            tracing::warn!(kartshoppe.product.id = %id, messaging.kafka.offset = *offset,
                "a foreign record overwrote a product's state: the next batch writes that state again");
        }
        state.overlaid = restored.overlaid;
        state.slots = ProductSlots::of(restored.states);
        state.reminders = Reminders::of(state.slots.remind_all());
        state.ready = true;
        self.publish_gauges(state);
        self.clear_reached_position_alarms(state);
        (self.notify)(FeedNews::Restored { partition: self.partition, attempt, resume_at: resume_at.positions });
    }

    /// The partition belongs to another process, or is to be read again.
    pub(super) fn release(&self, state: &mut ShardState) {
        if let Some(flight) = &state.flight {
            // A product that has not replied may hang and would never handle a stop.
            for index in flight.collector.pending() {
                state.slots.kill(&flight.products[index].commands.product_id);
            }
        }
        self.gauge.trouble.store(None);
        state.slots.passivate_beyond(0);
        *state = ShardState::default();
        self.publish_gauges(state);
    }

    /// Where every record that a foreign position had skipped is handled, clears its alarm after [`ALARM_STAYS`].
    pub(super) fn clear_reached_position_alarms(&self, state: &mut ShardState) {
        let next = state.committed.next;
        let is_reached =
            |topic: &Topic, until: &Offset| topic.as_input().and_then(|input| next[input]).is_some_and(|next| next >= *until);
        for (topic, _) in state.foreign_until.extract_if(.., |topic, until| is_reached(topic, until)) {
            let Some(input) = topic.as_input() else { continue };
            let (alarms, about) = (self.alarms.clone(), resume::about(input, self.partition));
            tokio::spawn(async move {
                tokio::time::sleep(ALARM_STAYS).await;
                alarms.clear(&about);
            });
        }
    }

    /// The partition's next owner raises what is still worth an alarm.
    pub(super) fn clear_position_alarms(&self) {
        InputTopic::ALL.into_iter().for_each(|input| self.alarms.clear(&resume::about(input, self.partition)));
    }
}

impl ShardContext {
    fn restore_context(&self) -> RestoreContext {
        RestoreContext {
            log: self.log.clone(),
            partition: self.partition,
            stale_after_ms: self.products.rules.stale_after_ms,
            alarms: self.alarms.clone(),
        }
    }
}

impl From<&BTreeMap<Topic, Position>> for CommittedInputs {
    fn from(positions: &BTreeMap<Topic, Position>) -> Self {
        let next = PerInput::from_fn(|input| positions.get(&input.into()).map(|position| position.offset));
        let text = positions.get(&Topic::OrderEvents).and_then(PositionText::beside).unwrap_or_default();
        Self { next, highest_append_ms: text.highest_append_ms }
    }
}
