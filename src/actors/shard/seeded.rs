//! What the seeded bugs of this room need beyond an `if`.

use std::sync::Arc;

use ractor::SupervisionEvent;

use super::ShardState;
use super::batch::Flight;
use crate::actors::product::Owned;
use crate::bugs::{self, Bug};
use crate::domain::ids::ProductId;

/// Keeps a batch that was given up, for [`take_stale_replies`].
pub(super) fn keep_given_up(state: &mut ShardState, flight: Flight) {
    if bugs::is(Bug::StaleAttempt) {
        state.given_up = Some(flight);
    }
}

/// Takes what products said to the batch that was given up for what they say to the present one.
pub(super) fn take_stale_replies(state: &mut ShardState) {
    let (Some(stale), Some(flight)) = (state.given_up.take(), &state.flight) else { return };
    for (index, cell) in flight.cells.iter().enumerate() {
        let before = stale.cells.iter().position(|old| old.group.product_id == cell.group.product_id);
        if let Some(before) = before.filter(|before| same(&stale.cells[*before].basis, &cell.basis))
            && let Some(reply) = stale.collector.take_step(before)
        {
            flight.collector.reply(index, 0, reply);
        }
    }
}

fn same(one: &Owned, other: &Owned) -> bool {
    one.as_ref().map(Arc::as_ptr) == other.as_ref().map(Arc::as_ptr)
}

/// Lets the product of this end go on from the state that its actor had.
pub(super) fn restart_from_event(state: &mut ShardState, event: SupervisionEvent) -> SupervisionEvent {
    let SupervisionEvent::ActorTerminated(ended, Some(mut last), reason) = event else { return event };
    if bugs::is(Bug::EventStateRestart)
        && let Ok(known) = last.take::<Owned>()
        && let Some(flight) = &mut state.flight
    {
        let slots = &state.slots;
        let lives = |id: &ProductId| {
            slots.get(id).and_then(|slot| slot.live.as_ref()).is_some_and(|live| live.actor.get_id() == ended.get_id())
        };
        if let Some(cell) = flight.cells.iter_mut().find(|cell| lives(&cell.group.product_id)) {
            cell.basis = known;
        }
    }
    SupervisionEvent::ActorTerminated(ended, None, reason)
}
