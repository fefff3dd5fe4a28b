//! A batch on its way through a shard, from its beginning until it is committed or given up.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::resume;
use crate::actors::inventory::batch::{BatchId, Part, ProductCommands};
use crate::actors::inventory::collector::Collector;
use crate::actors::inventory::outputs::{KnownState, ProductReply};
use crate::actors::inventory::product::ProductWork;
use crate::domain::EpochMs;
use crate::domain::ids::ProductId;
use crate::log::{PartitionId, Positions, TopicPartition};

/// A batch that is not yet committed.
pub(crate) struct BatchInFlight {
    pub batch: BatchId,
    pub collector: Arc<Collector>,
    /// In the order of the collector.
    pub products: Vec<ProductInFlight>,
    /// Each product's index in `products`, filled at the first question.
    index: OnceCell<HashMap<ProductId, usize>>,
    /// What the part holds besides commands.
    pub part: Part,
    /// The highest append time before this batch, and once it is committed.
    pub highest_before_ms: EpochMs,
    pub highest_append_ms: EpochMs,
    /// The states after the batch, in the order of `products`, once all of them have replied.
    pub next: Option<Vec<KnownState>>,
    /// Fires when products that have not replied count as hung.
    pub overdue: Option<AbortOnDropHandle<()>>,
}

/// One product's share of a batch.
pub(crate) struct ProductInFlight {
    pub commands: Arc<ProductCommands>,
    /// The state before the batch.
    pub basis: KnownState,
    /// Failures that count as a command's.
    pub failures: u32,
    /// It missed the deadline and was killed.
    pub hung: bool,
    /// When its actor ended, until another one has taken over the work.
    pub down_since: Option<Instant>,
    /// Set while it gets one command at a time.
    pub steps: Option<CommandSteps>,
}

/// How far a product is that gets one command at a time.
#[derive(Default)]
pub(crate) struct CommandSteps {
    /// The index of the next command.
    pub next: usize,
    /// The replies to those before it.
    pub sum: ProductReply,
}

impl ProductInFlight {
    /// A share whose work has not been sent yet.
    pub(super) fn new(commands: ProductCommands, basis: KnownState) -> Self {
        Self { commands: Arc::new(commands), basis, failures: 0, hung: false, down_since: None, steps: None }
    }

    /// Whether it got its commands one at a time and has no more.
    pub(super) fn is_through(&self) -> bool {
        self.steps.as_ref().is_some_and(|steps| steps.next >= self.commands.items.len())
    }
}

impl BatchInFlight {
    /// A batch whose products have not replied yet.
    pub(super) fn new(
        batch: BatchId,
        collector: Collector,
        products: Vec<ProductInFlight>,
        part: Part,
        highest_before_ms: EpochMs,
    ) -> Self {
        let highest_append_ms = highest_before_ms.max(part.highest_append_ms.unwrap_or_default());
        let (collector, index) = (Arc::new(collector), OnceCell::new());
        Self { batch, collector, products, index, part, highest_before_ms, highest_append_ms, next: None, overdue: None }
    }

    /// The index of a product that has not replied yet.
    pub(super) fn pending(&self, id: &ProductId) -> Option<usize> {
        self.index_of(id).filter(|index| self.collector.is_pending(*index))
    }

    /// The index of a product that takes part.
    pub(super) fn index_of(&self, id: &ProductId) -> Option<usize> {
        let entry = |(index, product): (usize, &ProductInFlight)| (product.commands.product_id.clone(), index);
        self.index.get_or_init(|| self.products.iter().enumerate().map(entry).collect()).get(id).copied()
    }

    /// The work of a product at this point: all its commands, or the next one.
    pub(super) fn work(&self, index: usize) -> ProductWork {
        let product = &self.products[index];
        let (basis, commands) = match &product.steps {
            Some(steps) => (&steps.sum.next, steps.next..steps.next + 1),
            None => (&product.basis, 0..product.commands.items.len()),
        };
        ProductWork {
            collector: self.collector.clone(),
            index,
            attempt: self.collector.attempt(index),
            basis: basis.clone(),
            group: product.commands.clone(),
            commands,
        }
    }

    /// The input positions after this batch.
    pub(super) fn positions(&self, partition: PartitionId) -> Positions {
        let next = self.part.next.iter().filter_map(|(input, next)| Some((input, (*next)?)));
        let position = |(input, offset)| {
            let position = resume::ours(input, offset, self.highest_append_ms);
            (TopicPartition::new(input.into(), partition), position)
        };
        next.map(position).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A storm asks for the index of each of ten thousand products: one table answers all of them.
    #[test]
    fn every_product_of_a_large_batch_is_found_through_one_index() {
        const PRODUCTS: usize = 10_000;
        let id = |number: usize| ProductId::new(&format!("P{number}")).unwrap();
        let product = |number: usize| ProductInFlight::new(ProductCommands { product_id: id(number), items: Vec::new() }, None);
        let collector = Collector::new(PRODUCTS, Box::new(|_| {}));
        let flight = BatchInFlight::new(1, collector, (0..PRODUCTS).map(product).collect(), Part::default(), 0);
        assert!(flight.index.get().is_none(), "not needed yet");
        for number in 0..PRODUCTS {
            assert_eq!(flight.pending(&id(number)), Some(number));
        }
        assert_eq!(flight.index_of(&id(PRODUCTS)), None);
        assert_eq!(flight.index.get().map(HashMap::len), Some(PRODUCTS));
    }
}
