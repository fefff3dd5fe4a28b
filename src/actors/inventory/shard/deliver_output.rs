//! From the replies of all products to the shard's output for the committer.

use super::flight::BatchInFlight;
use super::slots::ProductSlots;
use super::state::{Shard, ShardState};
use crate::actors::inventory::batch::BatchId;
use crate::actors::inventory::outputs::{KnownState, ProductReply};
use crate::actors::inventory::transaction::ShardOutput;
use crate::domain::ids::ProductId;
use crate::domain::inventory::answer::{ProbedItem, order_expired};
use crate::log::Offset;
use crate::wire::topics::{inventory_event, product_record};

impl Shard {
    /// Delivers the output of a batch once all its products have replied.
    pub(super) fn deliver_when_complete(&self, state: &mut ShardState, batch: BatchId) {
        let replies = state.flight.as_ref().filter(|flight| flight.batch == batch).and_then(|flight| flight.collector.take_all());
        if let Some(replies) = replies {
            self.deliver(state, replies);
        }
    }

    /// Sends everything that the batch writes to the committer.
    pub(super) fn deliver(&self, state: &mut ShardState, replies: Vec<ProductReply>) {
        let Some(flight) = &mut state.flight else { return };
        flight.overdue = None;
        let rewrite =
            |(id, offset): (&ProductId, &Offset)| Some(product_record::again(state.slots.state(id)?, self.partition, *offset));
        let rewritten: Vec<_> = state.overlaid.iter().filter_map(rewrite).collect();
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
        // Rewritten states come before the new states of the same products, so that the new ones count.
        output.records.extend(rewritten);
        output.records.append(&mut states);
        output.records.append(&mut frames);
        output.tally += flight.part.tally;
        output.oldest_ms = flight.part.oldest_ms;
        output.positions = flight.positions(self.partition);
        flight.next = Some(next);
        // Without a running committer the batch is given up when its next incarnation reports.
        let _ = self.committer.output(output);
    }

    /// Answers the probes that are past their expiry; the order tracker repeats the others. No product sees either.
    fn answer_probes(&self, flight: &BatchInFlight, slots: &ProductSlots, next: &[KnownState], output: &mut ShardOutput) {
        let before_ms = flight.highest_before_ms;
        for probe in &flight.part.probes {
            output.tally.probe += 1;
            if !probe.expiry.is_past(before_ms) {
                continue;
            }
            let changed = flight.index_of(&probe.product_id);
            let known = changed.map_or_else(|| slots.state(&probe.product_id), |index| next[index].as_ref());
            let item = ProbedItem { product_id: &probe.product_id, cause: probe.cause, outcome: probe.outcome.clone() };
            let highest_ms = before_ms.max(probe.expiry.seen_ms);
            let mut answer = order_expired(&self.products.rules, known.map(|known| &**known), &item, highest_ms);
            answer.probed_expiry_ms = Some(probe.expiry.expires_at_ms);
            output.records.push(inventory_event::record(&answer, probe.origin.trace().as_ref()));
        }
    }
}
