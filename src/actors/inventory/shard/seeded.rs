//! The parts of the seeded bugs of this room that are more than an `if`.

use std::sync::Arc;

use ractor::SupervisionEvent;

use super::flight::BatchInFlight;
use super::state::ShardState;
use crate::actors::inventory::outputs::KnownState;
use crate::bugs::{self, Bug};
use crate::domain::ids::ProductId;

/// Keeps a batch that was given up, for [`take_stale_replies`].
pub(super) fn keep_given_up(state: &mut ShardState, flight: BatchInFlight) {
    if bugs::is(Bug::StaleAttempt) {
        state.given_up = Some(flight);
    }
}

/// Takes the products' replies to the batch that was given up as replies to the current one.
pub(super) fn take_stale_replies(state: &mut ShardState) {
    let (Some(stale), Some(flight)) = (state.given_up.take(), &state.flight) else { return };
    for (index, product) in flight.products.iter().enumerate() {
        let before = stale.products.iter().position(|old| old.commands.product_id == product.commands.product_id);
        if let Some(before) = before.filter(|before| same(&stale.products[*before].basis, &product.basis))
            && let Some(reply) = stale.collector.take_step(before)
        {
            flight.collector.reply(index, 0, reply);
        }
    }
}

fn same(one: &KnownState, other: &KnownState) -> bool {
    one.as_ref().map(Arc::as_ptr) == other.as_ref().map(Arc::as_ptr)
}

/// Lets the product of this event continue from the state that its actor had.
pub(super) fn restart_from_event(state: &mut ShardState, event: SupervisionEvent) -> SupervisionEvent {
    let SupervisionEvent::ActorTerminated(ended, Some(mut last), reason) = event else { return event };
    if bugs::is(Bug::EventStateRestart)
        && let Ok(known) = last.take::<KnownState>()
        && let Some(flight) = &mut state.flight
    {
        let slots = &state.slots;
        let lives = |id: &ProductId| {
            slots.get(id).and_then(|slot| slot.live.as_ref()).is_some_and(|live| live.actor.get_id() == ended.get_id())
        };
        if let Some(product) = flight.products.iter_mut().find(|product| lives(&product.commands.product_id)) {
            product.basis = known;
        }
    }
    SupervisionEvent::ActorTerminated(ended, None, reason)
}
