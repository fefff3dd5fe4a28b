//! One batch on its way through a shard: sorted out, dealt to the products, collected, handed to the committer.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use ractor::{Actor, ActorRef};
use tokio::time::Instant;

use super::proof;
use super::reminders::Due;
use super::slots::Slots;
use super::{BatchId, Collector, Group, Incoming, Part, Shard, ShardMsg, ShardState, Timer};
use crate::actors::committer::ShardOutput;
use crate::actors::product::{ProductActor, ProductMsg, Reply, Work};
use crate::bugs::{self, Bug};
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::domain::inventory::answer::{ProbedItem, order_expired};
use crate::domain::inventory::{Cause, Command, Input, InputTopic, ProductState};
use crate::log::{Offset, PartitionId, Positions, TopicPartition};
use crate::wire::topics::{inventory_event, product_record};

/// Reminders that one batch fires at most: as many as a chunk has records.
const REMINDERS_PER_BATCH: usize = 10_000;

/// A batch that is not yet committed.
pub(super) struct Flight {
    pub batch: BatchId,
    pub collector: Arc<Collector>,
    pub cells: Vec<Cell>,
    /// The place of each product's cell, once somebody asks.
    places: OnceCell<HashMap<ProductId, usize>>,
    /// What the part brought besides commands.
    pub part: Part,
    /// The highest append time before this batch, and once it is committed.
    pub highest_before_ms: EpochMs,
    pub highest_append_ms: EpochMs,
    /// The states after the batch, in the order of the cells, once all products have replied.
    pub next: Option<Vec<Option<Arc<ProductState>>>>,
    pub overdue: Option<Timer>,
}

/// One product's share.
pub(super) struct Cell {
    pub group: Arc<Group>,
    pub basis: Option<Arc<ProductState>>,
    /// Failures that count as a command's.
    pub failures: u32,
    /// It did not reply in time and was killed.
    pub hung: bool,
    /// When its product's actor ended, until another has taken the work on.
    pub down_since: Option<Instant>,
    /// It goes command by command.
    pub steps: Option<Steps>,
}

/// A product that is fed command by command.
#[derive(Default)]
pub(super) struct Steps {
    /// The command that is next.
    pub next: usize,
    /// What came of those before it.
    pub sum: Reply,
}

impl Shard {
    /// Takes a part on. A shard without states has nothing to do with it: the source will hear that it has started.
    pub(super) async fn begin(&self, myself: &ActorRef<ShardMsg>, state: &mut ShardState, batch: BatchId, mut part: Part) {
        if !state.ready {
            return;
        }
        self.abandon(state);
        if !bugs::is(Bug::ExpiryIgnored) {
            part.drop_expired(state.committed.highest_append_ms);
        }
        if part.bootstrap {
            part.groups.retain(|group| state.slots.state(&group.product_id).is_none());
        }
        self.add_reminders(state, &mut part);
        let groups = std::mem::take(&mut part.groups);
        let collector = Arc::new(Collector::new(batch, self.mailbox.clone(), groups.len()));
        let cell = |group: Group| {
            let basis = state.slots.state(&group.product_id).cloned();
            Cell { group: Arc::new(group), basis, failures: 0, hung: false, down_since: None, steps: None }
        };
        let cells: Vec<Cell> = groups.into_iter().map(cell).collect();
        let highest_before_ms = state.committed.highest_append_ms;
        let highest_append_ms = highest_before_ms.max(part.highest_append_ms.unwrap_or_default());
        let flight = Flight {
            batch,
            collector,
            cells,
            places: OnceCell::new(),
            part,
            highest_before_ms,
            highest_append_ms,
            next: None,
            overdue: None,
        };
        let count = flight.cells.len();
        state.flight = Some(flight);
        if count == 0 {
            return self.hand_over(state, Vec::new());
        }
        self.watch(state);
        #[cfg(feature = "seeded-bugs")]
        super::seeded::take_stale_replies(state);
        for cell in 0..count {
            self.send_work(myself, state, cell).await;
            // To spawn thousands takes its time, and is no hang.
            self.vitals.progress();
        }
    }

    /// Whoever has not replied after a while is hung.
    pub(super) fn watch(&self, state: &mut ShardState) {
        if let Some(flight) = &mut state.flight {
            let message = ShardMsg::Overdue { batch: flight.batch };
            flight.overdue = Some(Timer(self.mailbox.tell_after(self.hang_after, message)));
        }
    }

    /// Sends a cell's present commands to its product, which is spawned if it is not live. If that fails, it is tried again later.
    pub(super) async fn send_work(&self, myself: &ActorRef<ShardMsg>, state: &mut ShardState, cell: usize) {
        let Some(flight) = &state.flight else { return };
        let (batch, work) = (flight.batch, flight.work(cell));
        let id = work.group.product_id.clone();
        let actor = match state.slots.use_live(&id, batch) {
            Some(actor) => actor,
            None => match self.spawn(myself, &id, work.basis.clone()).await {
                Ok(actor) => {
                    state.slots.spawned(&id, actor.clone(), batch);
                    actor
                }
                Err(error) => return self.start_failed(state, cell, &error),
            },
        };
        // A product that has just died says so itself: the supervision event is on its way.
        let _ = actor.send_message(ProductMsg::Apply(Box::new(work)));
        if let Some(since) = state.flight.as_mut().and_then(|flight| flight.cells[cell].down_since.take()) {
            self.metrics.product_recovery_seconds.observe(since.elapsed().as_secs_f64());
        }
    }

    async fn spawn(
        &self,
        myself: &ActorRef<ShardMsg>,
        id: &ProductId,
        state: Option<Arc<ProductState>>,
    ) -> Result<ActorRef<ProductMsg>, ractor::SpawnErr> {
        let handler = ProductActor { context: self.products.clone(), partition: self.partition, id: id.clone() };
        let (actor, _) = Actor::spawn_linked(None, handler, state, myself.get_cell()).await?;
        self.metrics.activated.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(actor)
    }

    /// Wakes the products whose deadlines have come. Each decides itself, after this batch's commands, what that means.
    fn add_reminders(&self, state: &mut ShardState, part: &mut Part) {
        let Some(caught_up_ms) = part.caught_up_ms else { return };
        let ShardState { slots, reminders, .. } = state;
        let due = |id: &ProductId| match slots.state(id) {
            Some(known) if !known.stale => Due::At(known.stale_deadline_ms),
            Some(_) | None => Due::Never,
        };
        let fired = reminders.fire(caught_up_ms, REMINDERS_PER_BATCH, due);
        if fired.is_empty() {
            return;
        }
        let places: HashMap<ProductId, usize> =
            part.groups.iter().enumerate().map(|(index, group)| (group.product_id.clone(), index)).collect();
        let now_ms = self.clock.now_ms();
        for reminder in fired.iter().filter(|reminder| due(&reminder.product_id) != Due::Never) {
            let deadline_ms = reminder.deadline_ms;
            let product_id = reminder.product_id.clone();
            let cause = Cause::Timer { deadline_ms };
            let input =
                Input { product_id: product_id.clone(), command: Command::CheckStale { deadline_ms }, cause, at_ms: now_ms };
            let item = Incoming { input, expiry: None, origin: None };
            match places.get(&product_id) {
                Some(place) => part.groups[*place].items.push(item),
                None => part.groups.push(Group { product_id, items: vec![item] }),
            }
        }
    }

    /// All products have replied.
    pub(super) fn replied(&self, state: &mut ShardState, batch: BatchId) {
        let replies = state.flight.as_ref().filter(|flight| flight.batch == batch).and_then(|flight| flight.collector.take_all());
        if let Some(replies) = replies {
            self.hand_over(state, replies);
        }
    }

    /// Everything that the batch gives goes to the committer.
    fn hand_over(&self, state: &mut ShardState, replies: Vec<Reply>) {
        let Some(flight) = &mut state.flight else { return };
        flight.overdue = None;
        let again =
            |(id, offset): (&ProductId, &Offset)| Some(product_record::again(state.slots.state(id)?, self.partition, *offset));
        let again: Vec<_> = state.overlaid.iter().filter_map(again).collect();
        let mut output = ShardOutput::new(self.partition, flight.batch);
        let (mut states, mut frames, mut next) = (Vec::new(), Vec::new(), Vec::with_capacity(replies.len()));
        for reply in replies {
            output.tally += reply.tally;
            output.records.extend(reply.outputs.facts);
            output.traces.extend(reply.outputs.traces);
            states.extend(reply.outputs.state);
            frames.extend(reply.outputs.frame);
            next.push(reply.next);
        }
        self.answer_probes(flight, &state.slots, &next, &mut output);
        output.records.append(&mut flight.part.passed_on);
        // Before what this batch makes of them.
        output.records.extend(again);
        output.records.append(&mut states);
        output.records.append(&mut frames);
        output.tally += flight.part.tally;
        output.oldest_ms = flight.part.oldest_ms;
        output.positions = flight.positions(self.partition);
        flight.next = Some(next);
        // A committer that is gone says so itself when it is back.
        let _ = self.committer.output(output);
    }

    /// Answers the probes that are past their expiry; the others are asked again. No product hears of either.
    fn answer_probes(&self, flight: &Flight, slots: &Slots, next: &[Option<Arc<ProductState>>], output: &mut ShardOutput) {
        let before_ms = flight.highest_before_ms;
        for probe in &flight.part.probes {
            output.tally.probe += 1;
            if !probe.expiry.is_past(before_ms) {
                continue;
            }
            let touched = flight.place_of(&probe.product_id);
            let known = touched.map_or_else(|| slots.state(&probe.product_id), |cell| next[cell].as_ref());
            let item = ProbedItem { product_id: &probe.product_id, cause: probe.cause, outcome: probe.outcome.clone() };
            let highest_ms = before_ms.max(probe.expiry.seen_ms);
            let mut answer = order_expired(&self.products.rules, known.map(Arc::as_ref), &item, highest_ms);
            answer.probed_expiry_ms = Some(probe.expiry.expires_at_ms);
            output.records.push(inventory_event::record(&answer, probe.origin.trace().as_ref()));
        }
    }
}

impl Cell {
    /// Whether it went command by command and has no more.
    pub fn is_through(&self) -> bool {
        self.steps.as_ref().is_some_and(|steps| steps.next >= self.group.items.len())
    }
}

impl Flight {
    /// The cell of a product that still owes a reply.
    pub fn pending_cell(&self, id: &ProductId) -> Option<usize> {
        let index = self.place_of(id)?;
        self.collector.is_pending(index).then_some(index)
    }

    fn place_of(&self, id: &ProductId) -> Option<usize> {
        let place = |(index, cell): (usize, &Cell)| (cell.group.product_id.clone(), index);
        self.places.get_or_init(|| self.cells.iter().enumerate().map(place).collect()).get(id).copied()
    }

    /// The work of a cell as it stands: all its commands, or the next one.
    fn work(&self, index: usize) -> Work {
        let cell = &self.cells[index];
        let (basis, commands) = match &cell.steps {
            Some(steps) => (&steps.sum.next, steps.next..steps.next + 1),
            None => (&cell.basis, 0..cell.group.items.len()),
        };
        Work {
            collector: self.collector.clone(),
            cell: index,
            attempt: self.collector.attempt(index),
            basis: basis.clone(),
            group: cell.group.clone(),
            commands,
        }
    }

    /// Where the inputs go on after this batch.
    fn positions(&self, partition: PartitionId) -> Positions {
        let mut positions = Positions::new();
        for input in InputTopic::ALL {
            let Some(offset) = self.part.next[input.index()] else { continue };
            let topic = proof::TOPICS[input.index()];
            positions.insert(TopicPartition::new(topic, partition), proof::ours(input, offset, self.highest_append_ms));
        }
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::envelope::Mailbox;

    /// A storm asks for the place of each of ten thousand products: one index answers all of them.
    #[test]
    fn every_product_of_a_large_batch_is_found_through_one_index() {
        const PRODUCTS: usize = 10_000;
        let id = |number: usize| ProductId::new(&format!("P{number}")).unwrap();
        let cell = |number: usize| {
            let group = Arc::new(Group { product_id: id(number), items: Vec::new() });
            Cell { group, basis: None, failures: 0, hung: false, down_since: None, steps: None }
        };
        let flight = Flight {
            batch: 1,
            collector: Arc::new(Collector::new(1, Mailbox::new("shard/0"), PRODUCTS)),
            cells: (0..PRODUCTS).map(cell).collect(),
            places: OnceCell::new(),
            part: Part::default(),
            highest_before_ms: 0,
            highest_append_ms: 0,
            next: None,
            overdue: None,
        };
        assert!(flight.places.get().is_none(), "nobody has asked");
        for number in 0..PRODUCTS {
            assert_eq!(flight.pending_cell(&id(number)), Some(number));
        }
        assert_eq!(flight.place_of(&id(PRODUCTS)), None);
        assert_eq!(flight.places.get().map(HashMap::len), Some(PRODUCTS));
    }
}
