//! One product: applies commands to its own state and says what must be written because of it.
//!
//! Spawned, fed and restarted by its shard only. Gets one message per product and batch; the rules are `domain`'s, and everything
//! that its commands give is encoded here, so that whatever goes wrong with a command goes wrong in this actor alone.
//!
//! Each message names the state it starts from. If the product's own is another one (its last batch was given up), the named one
//! counts: it is what the log holds.

use std::ops::Range;
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tracing::Span;

use super::faults::{FaultBoard, Who};
use super::outputs::{Outputs, Place};
use super::shard::{Collector, Group, Incoming, Origin, Tally};
use super::supervision::ActorKind;
use crate::bugs::{self, Bug};
use crate::domain::ids::ProductId;
use crate::domain::inventory::{Command, Outcome, ProductState, Rules, Transition, apply};
use crate::log::{EventLog, PartitionId};
use crate::telemetry::context::TraceContext;
use crate::telemetry::{names, spans};
use crate::wire::invalid::Invalid;

/// What all products of a process share.
pub struct ProductContext {
    pub rules: Rules,
    pub faults: FaultBoard,
    /// Says how large a record may be.
    pub log: Arc<dyn EventLog>,
}

/// What a product is asked.
#[derive(Debug)]
pub enum ProductMsg {
    Apply(Box<Work>),
}

/// Commands of one product in one batch.
#[derive(Debug)]
pub struct Work {
    pub collector: Arc<Collector>,
    /// Where in the collector the reply goes.
    pub cell: usize,
    /// A reply of another attempt than the collector's present one is dropped.
    pub attempt: u32,
    /// The state that the commands start from.
    pub basis: Option<Arc<ProductState>>,
    pub group: Arc<Group>,
    /// Which of the group's commands.
    pub commands: Range<usize>,
}

/// What came of them.
#[derive(Debug, Default)]
pub struct Reply {
    pub next: Option<Arc<ProductState>>,
    pub outputs: Outputs,
    pub tally: Tally,
}

impl Reply {
    /// Adds what came of later commands.
    pub fn then(&mut self, later: Self) {
        self.next = later.next;
        self.outputs.then(later.outputs);
        self.tally += later.tally;
    }
}

/// The actor of one product.
pub struct ProductActor {
    pub context: Arc<ProductContext>,
    pub partition: PartitionId,
    pub id: ProductId,
}

/// The product's state; `None` while nobody knows the product.
pub type Owned = Option<Arc<ProductState>>;

impl Actor for ProductActor {
    type Msg = ProductMsg;
    type State = Owned;
    type Arguments = Owned;

    async fn pre_start(&self, _myself: ActorRef<ProductMsg>, state: Owned) -> Result<Owned, ActorProcessingErr> {
        self.context.faults.strike_start(&self.who())?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<ProductMsg>,
        message: ProductMsg,
        state: &mut Owned,
    ) -> Result<(), ActorProcessingErr> {
        if self.context.faults.is_armed() {
            self.context.faults.strike(&self.who(), &myself).await?;
        }
        let ProductMsg::Apply(work) = message;
        let keeps = bugs::is(Bug::AbortKeepsProducts) && state.is_some();
        if !keeps && !same(state.as_ref(), work.basis.as_ref()) {
            state.clone_from(&work.basis);
        }
        let reply = self.apply_all(&work, state)?;
        state.clone_from(&reply.next);
        work.collector.reply(work.cell, work.attempt, reply);
        Ok(())
    }
}

impl ProductActor {
    fn who(&self) -> Who<'_> {
        Who { kind: ActorKind::Product, id: self.id.as_str() }
    }

    fn apply_all(&self, work: &Work, basis: &Owned) -> Result<Reply, ActorProcessingErr> {
        let mut reply = Reply::default();
        // Each step replaces the state; only the last one is worth an allocation of its own.
        let mut changed: Option<Option<ProductState>> = None;
        let commands = &work.group.items[work.commands.clone()];
        for (index, incoming) in (work.commands.start..).zip(commands) {
            work.collector.begin(work.cell, index);
            self.strike(incoming)?;
            let known = changed.as_ref().map_or(basis.as_deref(), Option::as_ref);
            let step = self.apply_one(known, incoming, &mut reply);
            if moved(known, &step) {
                changed = Some(step.next);
            }
        }
        work.collector.between(work.cell);
        if let (Some(next), Some(last)) = (&changed, commands.last()) {
            let place = Place { product_id: &self.id, partition: self.partition, cause: &last.input.cause };
            reply.outputs.close(&place, basis.as_deref(), next.as_ref());
        }
        self.measure(work, &reply)?;
        if bugs::is(Bug::OutcomeTwice) && work.attempt > 0 {
            reply.outputs.facts.extend(reply.outputs.facts.clone());
        }
        reply.next = changed.map_or_else(|| basis.clone(), |next| next.map(Arc::new));
        Ok(reply)
    }

    /// What the log does not take must not come into a commit, which would fail as a whole and again and again. It counts as a failure
    /// of the commands, of which the one to blame becomes a dead letter.
    fn measure(&self, work: &Work, reply: &Reply) -> Result<(), ActorProcessingErr> {
        let (size, limit) = (reply.outputs.largest(), self.context.log.record_limit());
        if size > limit && !work.commands.is_empty() {
            work.collector.begin(work.cell, work.commands.end - 1);
            return Err(Invalid::TooLarge { size, limit }.into());
        }
        Ok(())
    }

    fn apply_one(&self, known: Option<&ProductState>, incoming: &Incoming, reply: &mut Reply) -> Transition {
        let mut trace = incoming.origin.as_ref().and_then(Origin::trace);
        let span = trace.filter(TraceContext::is_sampled).map(|parent| self.span(&parent));
        let _entered = span.as_ref().map(Span::enter);
        let mut step = apply(&self.context.rules, known, &incoming.input);
        if let Some(span) = &span {
            trace = spans::context_of(span).or(trace);
            reply.outputs.traces.extend(trace);
        }
        let effects = std::mem::take(&mut step.effects);
        reply.outputs.add(effects, step.outcome, &incoming.input.cause, trace.as_ref());
        reply.tally.count(step.outcome, &incoming.input.cause);
        step
    }

    /// Only for causes whose trace is sampled.
    fn span(&self, parent: &TraceContext) -> Span {
        let span = tracing::info_span!(parent: None, names::span::PRODUCT_APPLY, kartshoppe.product.id = self.id.as_str());
        spans::set_parent(&span, parent);
        span
    }

    /// Injected faults on an order strike while its item is handled, as a poison record would.
    fn strike(&self, incoming: &Incoming) -> Result<(), ActorProcessingErr> {
        match &incoming.input.command {
            Command::Deduct(item) if self.context.faults.is_armed() => self.context.faults.strike_order(item.order_id.as_str()),
            Command::Deduct(_) | Command::Upsert(_) | Command::Remove | Command::CheckStale { .. } => Ok(()),
        }
    }
}

/// Whether a step left another state than it found.
fn moved(known: Option<&ProductState>, step: &Transition) -> bool {
    match step.outcome {
        Outcome::Applied => true,
        Outcome::Unchanged => step.next.as_ref() != known,
        Outcome::Duplicate => false,
    }
}

fn same(one: Option<&Arc<ProductState>>, other: Option<&Arc<ProductState>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
