//! The products of one shard: the last committed state of each, and the actor of those that are live.
//!
//! A slot outlives its actor: passivation ends the actor and keeps the state. The longest idle go first. A product costs its
//! state, about 60 bytes here and 40 in the reminders.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ractor::{ActorCell, ActorId, ActorRef};

use super::reminders::Reminder;
use crate::actors::inventory::batch::BatchId;
use crate::actors::inventory::product::ProductMsg;
use crate::actors::supervision::Restarts;
use crate::domain::ids::ProductId;
use crate::domain::inventory::ProductState;

/// What the shard keeps of one product.
#[derive(Debug, Default)]
pub(crate) struct ProductSlot {
    /// As of the last commit; `None` while the product does not exist.
    pub state: Option<Arc<ProductState>>,
    pub live: Option<LiveActor>,
    /// Actors that were made for it.
    pub incarnation: u32,
    /// A reminder of this product is in the queue.
    pub reminded: bool,
    /// Recent restarts of its actor, if there were any.
    pub restarts: Option<Box<Restarts>>,
}

impl ProductSlot {
    fn was_used_last_by(&self, batch: BatchId) -> bool {
        self.live.as_ref().is_some_and(|live| live.used == batch)
    }
}

/// A product's live actor.
#[derive(Debug)]
pub(crate) struct LiveActor {
    pub actor: ActorRef<ProductMsg>,
    /// The batch that used it last.
    pub used: BatchId,
}

/// All products of a shard.
#[derive(Debug, Default)]
pub(crate) struct ProductSlots {
    slots: HashMap<ProductId, ProductSlot>,
    owners: HashMap<ActorId, ProductId>,
    /// Uses in their order; only a product's newest entry counts.
    uses: VecDeque<(BatchId, ProductId)>,
}

impl ProductSlots {
    /// ProductSlots of these states, without live actors.
    pub(crate) fn of(states: HashMap<ProductId, Arc<ProductState>>) -> Self {
        let slot =
            |(id, state): (ProductId, Arc<ProductState>)| (id, ProductSlot { state: Some(state), ..ProductSlot::default() });
        Self { slots: states.into_iter().map(slot).collect(), ..Self::default() }
    }

    /// The slot of a product, if there is one.
    pub(crate) fn get(&self, id: &ProductId) -> Option<&ProductSlot> {
        self.slots.get(id)
    }

    /// The slot of a product, made if there is none.
    pub(crate) fn slot(&mut self, id: &ProductId) -> &mut ProductSlot {
        self.slots.entry(id.clone()).or_default()
    }

    /// The slot of a product, if there is one.
    pub(crate) fn get_mut(&mut self, id: &ProductId) -> Option<&mut ProductSlot> {
        self.slots.get_mut(id)
    }

    /// The reminders of all products that may go stale; their slots note that they have one.
    pub(crate) fn remind_all(&mut self) -> Vec<Reminder> {
        let mut reminders = Vec::with_capacity(self.slots.len());
        for (id, slot) in &mut self.slots {
            if let Some(known) = slot.state.as_ref().filter(|known| !known.stale) {
                slot.reminded = true;
                reminders.push(Reminder { deadline_ms: known.stale_deadline_ms, product_id: id.clone() });
            }
        }
        reminders
    }

    /// The committed state of a product.
    pub(crate) fn state(&self, id: &ProductId) -> Option<&Arc<ProductState>> {
        self.slots.get(id).and_then(|slot| slot.state.as_ref())
    }

    /// A product's actor, noted as used by this batch.
    pub(crate) fn use_live(&mut self, id: &ProductId, batch: BatchId) -> Option<ActorRef<ProductMsg>> {
        let live = self.slots.get_mut(id)?.live.as_mut()?;
        if live.used != batch {
            live.used = batch;
            self.uses.push_back((batch, id.clone()));
        }
        Some(live.actor.clone())
    }

    /// A product's actor was spawned for this batch.
    pub(crate) fn spawned(&mut self, id: &ProductId, actor: ActorRef<ProductMsg>, batch: BatchId) {
        self.owners.insert(actor.get_id(), id.clone());
        self.uses.push_back((batch, id.clone()));
        let slot = self.slot(id);
        slot.live = Some(LiveActor { actor, used: batch });
        slot.incarnation = slot.incarnation.saturating_add(1);
    }

    /// Product of the ended actor; `None` if it had been passivated.
    pub(crate) fn ended(&mut self, cell: &ActorCell) -> Option<ProductId> {
        let id = self.owners.remove(&cell.get_id())?;
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.live = None;
        }
        Some(id)
    }

    /// Stops a product's actor and keeps its state; returns whether there was one.
    pub(crate) fn passivate(&mut self, id: &ProductId) -> bool {
        let Some(live) = self.slots.get_mut(id).and_then(|slot| slot.live.take()) else { return false };
        self.owners.remove(&live.actor.get_id());
        live.actor.stop(None);
        true
    }

    /// Passivates the longest idle until no more than `limit` are live; returns how many.
    pub(crate) fn passivate_beyond(&mut self, limit: usize) -> u64 {
        let mut passivated = 0;
        while self.live() > limit {
            let Some((batch, id)) = self.uses.pop_front() else { break };
            let idle = self.slots.get(&id).is_some_and(|slot| slot.was_used_last_by(batch));
            if idle && self.passivate(&id) {
                passivated += 1;
            }
        }
        self.forget_old_uses();
        passivated
    }

    /// Kills a product's actor; returns whether there was one.
    pub(crate) fn kill(&self, id: &ProductId) -> bool {
        let live = self.slots.get(id).and_then(|slot| slot.live.as_ref());
        live.inspect(|live| live.actor.kill()).is_some()
    }

    /// Forgets a product that was removed.
    pub(crate) fn forget(&mut self, id: &ProductId) {
        self.passivate(id);
        self.slots.remove(id);
    }

    /// How many products have a live actor.
    pub(crate) fn live(&self) -> usize {
        self.owners.len()
    }

    /// How many products there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ProductId, &ProductSlot)> {
        self.slots.iter()
    }

    /// Without this, entries of earlier uses would pile up in a shard that never reaches its limit.
    fn forget_old_uses(&mut self) {
        if self.uses.len() > 2 * self.owners.len() + 1024 {
            let newest = |batch: &BatchId, id: &ProductId| self.slots.get(id).is_some_and(|slot| slot.was_used_last_by(*batch));
            self.uses.retain(|(batch, id)| newest(batch, id));
        }
    }
}
