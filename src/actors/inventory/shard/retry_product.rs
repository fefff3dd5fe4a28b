//! What happens to a batch when a product's actor ends: another attempt, one command at a time, or a dead letter for a poison
//! command.
//!
//! Only a panic or an `Err` while a command is being handled counts as a failure of the commands; a kill, a hang or a failed
//! start never does. After the second such failure the product gets its commands one at a time. A command that fails once more is
//! poison: it goes to `dead-letters`, an order item also gets its `ORDER_REJECTED`, and the product continues with the next
//! command.

use std::time::Duration;

use ractor::{ActorRef, SpawnErr, SupervisionEvent};
use tokio::time::Instant;

use super::flight::CommandSteps;
use super::handle::ShardMsg;
use super::state::{Shard, ShardState};
use crate::actors::inventory::batch::{BatchId, IncomingCommand};
use crate::actors::inventory::outputs::ProductReply;
use crate::actors::supervision::{EndCause, RestartPolicy, end_of};
use crate::domain::ids::ProductId;
use crate::domain::inventory::{Cause, Command, OrderOutcome, RefusedItem, order_refused};
use crate::telemetry::context::TraceContext;
use crate::telemetry::spans;
use crate::wire::topics::dead_letter::DeadLetter;
use crate::wire::topics::inventory_event;

/// A product's commands fail this often as a whole before they are tried one at a time.
const FAILURES_AS_A_WHOLE: u32 = 2;
/// Longest wait before a product's next attempt, however often its actor ended: its batch waits for it, and every product of the
/// process for the batch. Starting an actor costs next to nothing; ten attempts a second are few.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

impl Shard {
    /// A product's actor ended. If it had not replied, it gets another attempt.
    pub(super) fn product_ended(&self, state: &mut ShardState, event: &SupervisionEvent) {
        let Some((cell, cause, reason)) = end_of(event) else { return };
        let Some(id) = state.slots.ended(cell) else { return };
        let pending = state.flight.as_ref().and_then(|flight| flight.pending(&id));
        let hung = pending.is_some_and(|index| state.flight.as_ref().is_some_and(|flight| flight.products[index].hung));
        let cause = if hung && cause == EndCause::Killed { EndCause::Hung } else { cause };
        let reason = reason.unwrap_or_default();
        self.metrics.note_product_end(&id, cause);
        let handled = pending.and_then(|index| handled_trace(state, index));
        spans::within(handled.as_ref(), || {
            tracing::warn!(kartshoppe.product.id = %id, cause = cause.as_str(), reason, "a product's actor ended");
        });
        if let Some(index) = pending {
            if matches!(cause, EndCause::Panic | EndCause::Error) {
                self.count_failure(state, index, &reason);
            }
            self.try_again(state, index);
        }
    }

    /// An operator wants a new incarnation: neither a failure of its commands nor one more restart. What it has not replied to is
    /// sent to the next incarnation at once; a late reply of the old one carries an older attempt.
    pub(super) async fn replace_product(&self, myself: &ActorRef<ShardMsg>, state: &mut ShardState, id: &ProductId) -> bool {
        let pending = state.flight.as_ref().and_then(|flight| flight.pending(id));
        if !state.slots.passivate(id) {
            return false;
        }
        self.metrics.note_product_end(id, EndCause::Restarted);
        tracing::info!(kartshoppe.product.id = %id, "a product's actor is restarted on request");
        if let (Some(index), Some(flight)) = (pending, &mut state.flight) {
            flight.collector.next_attempt(index);
            flight.products[index].hung = false;
            if flight.products[index].is_through() {
                self.finish_steps(state, index);
            } else {
                self.send_work(myself, state, index).await;
            }
        }
        true
    }

    /// A product's actor could not be started.
    pub(super) fn start_failed(&self, state: &mut ShardState, index: usize, error: &SpawnErr) {
        if let Some(flight) = &state.flight {
            self.metrics.note_product_end(&flight.products[index].commands.product_id, EndCause::Start);
        }
        tracing::warn!(error = %error, "a product's actor could not start");
        self.try_again(state, index);
    }

    /// Kills the products that missed the deadline; their ends arrive as supervision events.
    pub(super) fn overdue(&self, state: &mut ShardState, batch: BatchId) {
        let Some(flight) = state.flight.as_mut().filter(|flight| flight.batch == batch) else { return };
        for index in flight.collector.pending() {
            let product = &mut flight.products[index];
            if let Some(live) = state.slots.get(&product.commands.product_id).and_then(|slot| slot.live.as_ref()) {
                product.hung = true;
                live.actor.kill();
            }
        }
        self.watch(state);
    }

    /// The wait before the next attempt is over.
    pub(super) async fn retry(
        &self,
        myself: &ActorRef<ShardMsg>,
        state: &mut ShardState,
        batch: BatchId,
        index: usize,
        attempt: u32,
    ) {
        let Some(flight) = state.flight.as_mut().filter(|flight| flight.batch == batch) else { return };
        if flight.collector.attempt(index) != attempt || !flight.collector.is_pending(index) {
            return;
        }
        flight.products[index].hung = false;
        if flight.products[index].is_through() {
            return self.finish_steps(state, index);
        }
        self.send_work(myself, state, index).await;
    }

    /// A product that gets one command at a time has replied to one.
    pub(super) async fn stepped(&self, myself: &ActorRef<ShardMsg>, state: &mut ShardState, batch: BatchId, index: usize) {
        let Some(flight) = state.flight.as_mut().filter(|flight| flight.batch == batch) else { return };
        let (Some(reply), Some(steps)) = (flight.collector.take_step(index), flight.products[index].steps.as_mut()) else {
            return;
        };
        steps.sum.then(reply);
        steps.next += 1;
        flight.collector.next_attempt(index);
        if flight.products[index].is_through() {
            return self.finish_steps(state, index);
        }
        self.send_work(myself, state, index).await;
    }

    fn finish_steps(&self, state: &mut ShardState, index: usize) {
        let Some(flight) = &mut state.flight else { return };
        let Some(steps) = flight.products[index].steps.take() else { return };
        if flight.collector.finish_stepwise(index, steps.sum) {
            let batch = flight.batch;
            self.deliver_when_complete(state, batch);
        }
    }

    /// Starts a new attempt after a wait that grows with the recent ends of this product.
    fn try_again(&self, state: &mut ShardState, index: usize) {
        let Some(flight) = &mut state.flight else { return };
        let attempt = flight.collector.next_attempt(index);
        flight.products[index].down_since.get_or_insert_with(Instant::now);
        let slot = state.slots.slot(&flight.products[index].commands.product_id);
        let policy = RestartPolicy { backoff_max: self.restart.backoff_max.min(LONGEST_WAIT), ..self.restart };
        let wait = slot.restarts.get_or_insert_default().next_wait(&policy, Instant::now(), rand::random());
        self.mailbox.tell_after(wait, ShardMsg::Retry { batch: flight.batch, product: index, attempt });
    }

    /// A command was being handled when its product failed.
    fn count_failure(&self, state: &mut ShardState, index: usize, reason: &str) {
        let Some(flight) = &mut state.flight else { return };
        if !flight.collector.was_handling(index) {
            return;
        }
        let product = &mut flight.products[index];
        product.failures += 1;
        match &mut product.steps {
            Some(steps) => {
                let poison = &product.commands.items[steps.next];
                steps.sum.then(self.dead_letter(&product.commands.product_id, poison, &steps.sum, reason));
                steps.next += 1;
            }
            None if product.failures >= FAILURES_AS_A_WHOLE => {
                flight.collector.go_stepwise(index);
                let sum = ProductReply { next: product.basis.clone(), ..ProductReply::default() };
                product.steps = Some(CommandSteps { next: 0, sum });
            }
            None => {}
        }
    }

    /// The records written instead of the effects of a poison command; the state stays as it was.
    fn dead_letter(&self, id: &ProductId, poison: &IncomingCommand, before: &ProductReply, reason: &str) -> ProductReply {
        let mut reply = ProductReply { next: before.next.clone(), ..ProductReply::default() };
        let Some(origin) = &poison.origin else {
            tracing::error!(kartshoppe.product.id = %id, cause = %poison.input.cause, reason,
                "a command that came from no record failed again and is skipped");
            return reply;
        };
        spans::within(origin.trace().as_ref(), || {
            tracing::error!(kartshoppe.product.id = %id, cause = %poison.input.cause, reason,
                "a command failed again and becomes a dead letter");
        });
        let index = match poison.input.cause {
            Cause::Record { position, .. } => position.index,
            Cause::File { .. } | Cause::Timer { .. } => 0,
        };
        let (source, part) = (origin.record(), origin.part());
        reply.outputs.facts.push(DeadLetter { source, index, part, kind: "PoisonCommand", reason }.record());
        if let Command::Deduct(item) = &poison.input.command {
            let refused = RefusedItem {
                product_id: id,
                cause: poison.input.cause,
                outcome: OrderOutcome::of(item, 0),
                at_ms: poison.input.at_ms,
                reason: format!("Order {}: could not be handled ({reason})", item.order_id),
            };
            let rejected = order_refused(&self.products.rules, before.next.as_deref(), refused);
            let trace: Option<TraceContext> = origin.trace();
            reply.outputs.facts.push(inventory_event::record(&rejected, trace.as_ref()));
        }
        reply.tally.dead_lettered = 1;
        reply
    }
}

/// The trace of the command that a product ended at.
fn handled_trace(state: &ShardState, index: usize) -> Option<TraceContext> {
    let flight = state.flight.as_ref()?;
    let command = flight.collector.handled_command(index)?;
    flight.products[index].commands.items.get(command)?.origin.as_ref()?.trace()
}
