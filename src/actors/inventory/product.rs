//! One product: applies commands to its own state and encodes the records that follow from them.
//!
//! Spawned, fed and restarted by its shard only; gets one message per batch. The rules are those of `domain`. Encoding happens
//! here, so that a command that fails in any way fails in this actor alone.
//!
//! Each message carries the state that it starts from. If the actor's own differs (its last batch was given up), the message's
//! counts: it is the state that the log holds.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::SpanKind;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::batch::{INVENTORY_GROUP, IncomingCommand, ProductCommands, RecordOrigin};
use super::collector::Collector;
use super::outputs::{KnownState, ProductReply, StateOrigin, TracedRecord};
use crate::actors::faults::{FaultBoard, Who};
use crate::actors::supervision::ActorKind;
use crate::bugs::{self, Bug};
use crate::config::RoleName;
use crate::domain::ids::ProductId;
use crate::domain::inventory::{Command, InputTopic, Outcome, ProductState, Rules, Transition, apply};
use crate::log::{EventLog, PartitionId, Record};
use crate::telemetry::context::TraceContext;
use crate::telemetry::names::{self, attribute};
use crate::telemetry::sampling::Root;
use crate::telemetry::spans::Span;
use crate::wire::invalid::Invalid;

/// Shared by all products of a process.
pub(crate) struct ProductContext {
    pub rules: Rules,
    pub faults: FaultBoard,
    /// Says how large a record may be.
    pub log: Arc<dyn EventLog>,
}

/// A message to a product.
pub(crate) enum ProductMsg {
    Apply(Box<ProductWork>),
}

/// Commands of one product in one batch.
pub(crate) struct ProductWork {
    pub collector: Arc<Collector>,
    /// The product's index in the collector.
    pub index: usize,
    /// The collector drops replies to any but its current attempt.
    pub attempt: u32,
    /// The state that the commands start from.
    pub basis: KnownState,
    pub group: Arc<ProductCommands>,
    /// Which commands of the group.
    pub commands: Range<usize>,
}

/// The actor of one product.
pub(crate) struct ProductActor {
    pub context: Arc<ProductContext>,
    pub partition: PartitionId,
    pub id: ProductId,
}

impl Actor for ProductActor {
    type Msg = ProductMsg;
    type State = KnownState;
    type Arguments = KnownState;

    async fn pre_start(&self, _myself: ActorRef<ProductMsg>, state: KnownState) -> Result<KnownState, ActorProcessingErr> {
        self.context.faults.strike_start(&self.who())?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<ProductMsg>,
        message: ProductMsg,
        state: &mut KnownState,
    ) -> Result<(), ActorProcessingErr> {
        if self.context.faults.is_armed() {
            self.context.faults.strike(&self.who(), &myself).await?;
        }
        let ProductMsg::Apply(work) = message;
        let keeps = bugs::is(Bug::AbortKeepsProducts) && state.is_some();
        if !keeps && !is_same_state(state.as_ref(), work.basis.as_ref()) {
            state.clone_from(&work.basis);
        }
        let reply = self.apply_all(&work, state)?;
        state.clone_from(&reply.next);
        work.collector.reply(work.index, work.attempt, reply);
        Ok(())
    }
}

impl ProductActor {
    fn who(&self) -> Who<'_> {
        Who { kind: ActorKind::Product, id: self.id.as_str() }
    }

    fn apply_all(&self, work: &ProductWork, basis: &KnownState) -> Result<ProductReply, ActorProcessingErr> {
        let mut reply = ProductReply::default();
        // Each step replaces the state; only the last one gets an allocation of its own.
        let mut changed: Option<Option<ProductState>> = None;
        let commands = &work.group.items[work.commands.clone()];
        for (index, incoming) in (work.commands.start..).zip(commands) {
            work.collector.begin(work.index, index);
            self.strike(incoming)?;
            let known = changed.as_ref().map_or(basis.as_deref(), Option::as_ref);
            let step = self.apply_one(known, incoming, &mut reply);
            if changes_state(known, &step) {
                changed = Some(step.next);
            }
        }
        work.collector.between(work.index);
        if let (Some(next), Some(last)) = (&changed, commands.last()) {
            let origin = StateOrigin { product_id: &self.id, partition: self.partition, cause: &last.input.cause };
            reply.outputs.close(&origin, basis.as_deref(), next.as_ref());
        }
        self.measure(work, &reply)?;
        if bugs::is(Bug::OutcomeTwice) && work.attempt > 0 {
            reply.outputs.facts.extend(reply.outputs.facts.clone());
        }
        reply.next = changed.map_or_else(|| basis.clone(), |next| next.map(Arc::new));
        Ok(reply)
    }

    /// The log would refuse a commit with such a record every time. It counts as a failure of the commands instead,
    /// and the command that caused it becomes a dead letter.
    fn measure(&self, work: &ProductWork, reply: &ProductReply) -> Result<(), ActorProcessingErr> {
        let (size, limit) = (reply.outputs.largest(), self.context.log.record_limit());
        if size > limit && !work.commands.is_empty() {
            work.collector.begin(work.index, work.commands.end - 1);
            return Err(Invalid::TooLarge { size, limit }.into());
        }
        Ok(())
    }

    fn apply_one(&self, known: Option<&ProductState>, incoming: &IncomingCommand, reply: &mut ProductReply) -> Transition {
        let mut trace = incoming.origin.as_ref().and_then(RecordOrigin::trace);
        let process = incoming.origin.as_ref().map_or_else(Span::none, |origin| process_span(origin, trace.as_ref()));
        let span = process.child_of(RoleName::Inventory, SpanKind::Internal, names::span::PRODUCT_APPLY);
        let mut step = apply(&self.context.rules, known, &incoming.input);
        if let Some(applied) = span.context() {
            drop(span.with(attribute::PRODUCT_ID, self.id.to_string()));
            trace = Some(applied.clone());
            reply.outputs.traces.push(TracedRecord { process, applied });
        }
        let effects = std::mem::take(&mut step.effects);
        reply.outputs.add(effects, step.outcome, &incoming.input.cause, trace.as_ref());
        reply.tally.count(step.outcome, &incoming.input.cause);
        step
    }

    /// Faults on an order strike while its item is handled, as a poison command would.
    fn strike(&self, incoming: &IncomingCommand) -> Result<(), ActorProcessingErr> {
        match &incoming.input.command {
            Command::Deduct(item) if self.context.faults.is_armed() => self.context.faults.strike_order(item.order_id.as_str()),
            Command::Deduct(_) | Command::Upsert(_) | Command::Remove | Command::CheckStale { .. } => Ok(()),
        }
    }
}

/// The span of a record, from its decoding on; none where it is not sampled.
fn process_span(origin: &RecordOrigin, parent: Option<&TraceContext>) -> Span {
    let record = origin.record();
    let (name, root) = match record.topic.as_input() {
        Some(InputTopic::OrderEvents) => (names::span::ORDER_PROCESS, Root::Few),
        Some(InputTopic::ProductUpdates) | None => (names::span::UPDATE_PROCESS, Root::Stream),
    };
    let span = Span::of_record(RoleName::Inventory, name, root, parent, origin.decoded_at());
    if span.is_none() {
        return span;
    }
    poll_span(origin, parent);
    placed(span.messaging("process", "process", record.topic.name()), record)
}

/// The span of the record's way from the log to here. The log's clock and ours differ: it never ends before it begins.
fn poll_span(origin: &RecordOrigin, parent: Option<&TraceContext>) {
    let (record, decoded_at) = (origin.record(), origin.decoded_at());
    let name = match record.topic.as_input() {
        Some(InputTopic::OrderEvents) => names::span::ORDER_POLL,
        Some(InputTopic::ProductUpdates) | None => names::span::UPDATE_POLL,
    };
    let since = Duration::from_millis(u64::try_from(record.append_time_ms).unwrap_or_default());
    let appended_at = (SystemTime::UNIX_EPOCH + since).min(decoded_at);
    let span = Span::child_since(RoleName::Inventory, SpanKind::Client, name, parent, appended_at);
    placed(span.messaging("poll", "receive", record.topic.name()), record).end_at(decoded_at);
}

/// With the record's place.
fn placed(span: Span, record: &Record) -> Span {
    if span.is_none() {
        return span;
    }
    span.with(attribute::MESSAGING_DESTINATION_PARTITION_ID, record.partition.to_string())
        .with(attribute::MESSAGING_KAFKA_OFFSET, record.offset)
        .with(attribute::MESSAGING_CONSUMER_GROUP_NAME, INVENTORY_GROUP)
}

/// Whether a step changed the state.
fn changes_state(known: Option<&ProductState>, step: &Transition) -> bool {
    match step.outcome {
        Outcome::Applied => true,
        Outcome::Unchanged => step.next.as_ref() != known,
        Outcome::Duplicate => false,
    }
}

/// Whether both are one state: states are shared, so comparing pointers is enough.
fn is_same_state(one: Option<&Arc<ProductState>>, other: Option<&Arc<ProductState>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
