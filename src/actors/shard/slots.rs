//! The products of one shard: the last committed state of each, and the actor of those that are live.
//!
//! A slot outlives its actor: what is passivated is the actor, never the state. The longest idle go first. All figures are for one
//! shard; a product costs its state, about 60 bytes here and 40 in the reminders.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ractor::{ActorCell, ActorId, ActorRef};

use super::BatchId;
use super::reminders::Reminder;
use crate::actors::product::ProductMsg;
use crate::actors::supervision::Restarts;
use crate::domain::ids::ProductId;
use crate::domain::inventory::ProductState;

/// What the shard keeps of one product.
#[derive(Debug, Default)]
pub struct Slot {
    /// As of the last commit; `None` while nobody knows the product.
    pub state: Option<Arc<ProductState>>,
    pub live: Option<Live>,
    /// A reminder of this product is in the queue.
    pub reminded: bool,
    /// Recent ends of its actor, while there are any.
    pub restarts: Option<Box<Restarts>>,
}

impl Slot {
    fn was_used_last_by(&self, batch: BatchId) -> bool {
        self.live.as_ref().is_some_and(|live| live.used == batch)
    }
}

/// A product's living actor.
#[derive(Debug)]
pub struct Live {
    pub actor: ActorRef<ProductMsg>,
    /// The batch that used it last.
    pub used: BatchId,
}

/// All slots of a shard.
#[derive(Debug, Default)]
pub struct Slots {
    slots: HashMap<ProductId, Slot>,
    owners: HashMap<ActorId, ProductId>,
    /// Uses in their order; only a product's newest entry counts.
    uses: VecDeque<(BatchId, ProductId)>,
}

impl Slots {
    /// Slots of these states, nobody live.
    #[must_use]
    pub fn of(states: HashMap<ProductId, Arc<ProductState>>) -> Self {
        let slot = |(id, state): (ProductId, Arc<ProductState>)| (id, Slot { state: Some(state), ..Slot::default() });
        Self { slots: states.into_iter().map(slot).collect(), ..Self::default() }
    }

    /// The slot of a product, if there is one.
    #[must_use]
    pub fn get(&self, id: &ProductId) -> Option<&Slot> {
        self.slots.get(id)
    }

    /// The slot of a product, made if there is none.
    pub fn slot(&mut self, id: &ProductId) -> &mut Slot {
        self.slots.entry(id.clone()).or_default()
    }

    /// The slot of a product, if there is one.
    pub fn get_mut(&mut self, id: &ProductId) -> Option<&mut Slot> {
        self.slots.get_mut(id)
    }

    /// The reminders of all products that may go stale, noted in their slots.
    pub fn remind_all(&mut self) -> Vec<Reminder> {
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
    #[must_use]
    pub fn state(&self, id: &ProductId) -> Option<&Arc<ProductState>> {
        self.slots.get(id).and_then(|slot| slot.state.as_ref())
    }

    /// A product's actor, noted as used by this batch.
    pub fn use_live(&mut self, id: &ProductId, batch: BatchId) -> Option<ActorRef<ProductMsg>> {
        let live = self.slots.get_mut(id)?.live.as_mut()?;
        if live.used != batch {
            live.used = batch;
            self.uses.push_back((batch, id.clone()));
        }
        Some(live.actor.clone())
    }

    /// A product's actor was spawned for this batch.
    pub fn spawned(&mut self, id: &ProductId, actor: ActorRef<ProductMsg>, batch: BatchId) {
        self.owners.insert(actor.get_id(), id.clone());
        self.uses.push_back((batch, id.clone()));
        self.slot(id).live = Some(Live { actor, used: batch });
    }

    /// An actor ended: whose it was, unless it had been let go before.
    pub fn ended(&mut self, cell: &ActorCell) -> Option<ProductId> {
        let id = self.owners.remove(&cell.get_id())?;
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.live = None;
        }
        Some(id)
    }

    /// Lets a product's actor go.
    pub fn passivate(&mut self, id: &ProductId) -> bool {
        let Some(live) = self.slots.get_mut(id).and_then(|slot| slot.live.take()) else { return false };
        self.owners.remove(&live.actor.get_id());
        live.actor.stop(None);
        true
    }

    /// Lets the longest idle go until no more than `limit` are live; returns how many went.
    pub fn passivate_beyond(&mut self, limit: usize) -> u64 {
        let mut gone = 0;
        while self.live() > limit {
            let Some((batch, id)) = self.uses.pop_front() else { break };
            let idle = self.slots.get(&id).is_some_and(|slot| slot.was_used_last_by(batch));
            if idle && self.passivate(&id) {
                gone += 1;
            }
        }
        self.forget_old_uses();
        gone
    }

    /// Forgets a product that nobody knows.
    pub fn forget(&mut self, id: &ProductId) {
        self.passivate(id);
        self.slots.remove(id);
    }

    /// How many products have a living actor.
    #[must_use]
    pub fn live(&self) -> usize {
        self.owners.len()
    }

    /// How many products there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&ProductId, &Slot)> {
        self.slots.iter()
    }

    /// Entries that were overtaken by a newer use would grow for ever in a shard that never reaches its limit.
    fn forget_old_uses(&mut self) {
        if self.uses.len() > 2 * self.owners.len() + 1024 {
            let newest = |batch: &BatchId, id: &ProductId| self.slots.get(id).is_some_and(|slot| slot.was_used_last_by(*batch));
            self.uses.retain(|(batch, id)| newest(batch, id));
        }
    }
}
