//! The beginning of a batch in a shard: expired events are dropped, due reminders added, and each product gets its commands.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use ractor::{Actor, ActorRef, SpawnErr};
use tokio_util::task::AbortOnDropHandle;

use super::flight::{BatchInFlight, ProductInFlight};
use super::handle::ShardMsg;
use super::reminders::StaleDeadline;
use super::state::{Shard, ShardState};
use crate::actors::inventory::batch::{BatchId, IncomingCommand, Part, ProductCommands};
use crate::actors::inventory::collector::Collector;
use crate::actors::inventory::outputs::KnownState;
use crate::actors::inventory::product::{ProductActor, ProductMsg};
use crate::bugs::{self, Bug};
use crate::domain::ids::ProductId;
use crate::domain::inventory::{Cause, Command, Input};

/// Reminders that one batch fires at most: as many as a chunk has records.
const REMINDERS_PER_BATCH: usize = 10_000;

impl Shard {
    /// Takes on a part. A shard without states ignores it: the source learns of its start and gives the batch up.
    pub(super) async fn begin(&self, myself: &ActorRef<ShardMsg>, state: &mut ShardState, batch: BatchId, mut part: Part) {
        if !state.ready {
            return;
        }
        // Drops an earlier batch that was given up before the shard was notified.
        self.abandon(state);
        if !bugs::is(Bug::ExpiryIgnored) {
            part.drop_expired(state.committed.highest_append_ms);
        }
        if part.bootstrap {
            part.groups.retain(|group| state.slots.state(&group.product_id).is_none());
        }
        self.add_reminders(state, &mut part);
        let product = |commands: ProductCommands| {
            let basis = state.slots.state(&commands.product_id).cloned();
            ProductInFlight::new(commands, basis)
        };
        let products: Vec<_> = std::mem::take(&mut part.groups).into_iter().map(product).collect();
        let (count, collector) = (products.len(), self.collector(batch, products.len()));
        state.flight = Some(BatchInFlight::new(batch, collector, products, part, state.committed.highest_append_ms));
        if count == 0 {
            return self.deliver(state, Vec::new());
        }
        self.watch(state);
        #[cfg(feature = "seeded-bugs")]
        super::seeded::take_stale_replies(state);
        for index in 0..count {
            self.send_work(myself, state, index).await;
            // Spawning thousands of actors takes time and is not a hang.
            self.vitals.progress();
        }
    }

    /// Products that miss the deadline count as hung.
    pub(super) fn watch(&self, state: &mut ShardState) {
        if let Some(flight) = &mut state.flight {
            let message = ShardMsg::Overdue { batch: flight.batch };
            flight.overdue = Some(AbortOnDropHandle::new(self.mailbox.tell_after(self.hang_after, message)));
        }
    }

    /// Sends a product its current commands, after spawning it if it is not live. If that fails, it is retried later.
    pub(super) async fn send_work(&self, myself: &ActorRef<ShardMsg>, state: &mut ShardState, index: usize) {
        let Some(flight) = &state.flight else { return };
        let (batch, work) = (flight.batch, flight.work(index));
        let id = work.group.product_id.clone();
        let actor = match state.slots.use_live(&id, batch) {
            Some(actor) => actor,
            None => match self.spawn(myself, &id, work.basis.clone()).await {
                Ok(actor) => {
                    state.slots.spawned(&id, actor.clone(), batch);
                    actor
                }
                Err(error) => return self.start_failed(state, index, &error),
            },
        };
        // If the actor has just ended, its supervision event is on its way and starts another attempt.
        let _ = actor.send_message(ProductMsg::Apply(Box::new(work)));
        if let Some(since) = state.flight.as_mut().and_then(|flight| flight.products[index].down_since.take()) {
            self.metrics.product_recovery_seconds.observe(since.elapsed().as_secs_f64());
        }
    }

    async fn spawn(
        &self,
        myself: &ActorRef<ShardMsg>,
        id: &ProductId,
        state: KnownState,
    ) -> Result<ActorRef<ProductMsg>, SpawnErr> {
        let handler = ProductActor { context: self.products.clone(), partition: self.partition, id: id.clone() };
        let (actor, _) = Actor::spawn_linked(None, handler, state, myself.get_cell()).await?;
        self.metrics.activated.fetch_add(1, Ordering::Relaxed);
        Ok(actor)
    }

    fn collector(&self, batch: BatchId, products: usize) -> Collector {
        let mailbox = self.mailbox.clone();
        // If the shard has ended, no reply is needed: its next incarnation restores from the log.
        let wake = move |collected| drop(mailbox.tell(ShardMsg::Collected { batch, collected }));
        Collector::new(products, Box::new(wake))
    }

    /// Adds a check to each product whose deadline has come. The product decides after the batch's commands whether it is stale.
    fn add_reminders(&self, state: &mut ShardState, part: &mut Part) {
        let Some(caught_up_ms) = part.caught_up_ms else { return };
        let ShardState { slots, reminders, .. } = state;
        let deadline = |id: &ProductId| match slots.state(id) {
            Some(known) if !known.stale => StaleDeadline::At(known.stale_deadline_ms),
            Some(_) | None => StaleDeadline::Never,
        };
        let fired = reminders.fire(caught_up_ms, REMINDERS_PER_BATCH, deadline);
        if fired.is_empty() {
            return;
        }
        let index_of: HashMap<ProductId, usize> =
            part.groups.iter().enumerate().map(|(index, group)| (group.product_id.clone(), index)).collect();
        let now_ms = self.clock.now_ms();
        for reminder in fired.iter().filter(|reminder| deadline(&reminder.product_id) != StaleDeadline::Never) {
            let deadline_ms = reminder.deadline_ms;
            let product_id = reminder.product_id.clone();
            let cause = Cause::Timer { deadline_ms };
            let input =
                Input { product_id: product_id.clone(), command: Command::CheckStale { deadline_ms }, cause, at_ms: now_ms };
            let item = IncomingCommand { input, expiry: None, origin: None };
            match index_of.get(&product_id) {
                Some(index) => part.groups[*index].items.push(item),
                None => part.groups.push(ProductCommands { product_id, items: vec![item] }),
            }
        }
    }
}
