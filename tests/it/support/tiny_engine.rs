//! An inventory of a few lines: the real rules, one atomic commit per batch, on a real log. For tests of the readers of its
//! outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use kartshoppe::domain::ids::{OrderId, OrderItemId, ProductId, Quantity, Stock};
use kartshoppe::domain::inventory::{
    Cause, Command, Effect, Input, InputPosition, InputTopic, OrderItem, ProductState, Rules, apply,
};
use kartshoppe::domain::money::Cents;
use kartshoppe::domain::product::{Details, Product};
use kartshoppe::log::partitioner::partition_of;
use kartshoppe::log::{Batch, EventLog, NewRecord, PartitionId, Session, SessionConfig};
use kartshoppe::wire::topics::{alert_event, inventory_event, product_record};

use super::log::within;

/// Inputs are numbered as if they came from one topic.
pub struct TinyEngine {
    session: Box<dyn Session>,
    partitions: PartitionId,
    pub states: BTreeMap<ProductId, ProductState>,
    next_offset: i64,
}

impl TinyEngine {
    /// An inventory without products.
    pub async fn open(log: &dyn EventLog) -> Self {
        let config = SessionConfig { identity: "tiny-engine".to_owned(), group: None, topics: Vec::new(), writes: Vec::new() };
        let session = within(log.session(config)).await.unwrap();
        Self { session, partitions: log.partitions(), states: BTreeMap::new(), next_offset: 1 }
    }

    /// Applies commands, each as its own input, and commits all outputs.
    pub async fn commit(&mut self, commands: Vec<(ProductId, Command)>) {
        let mut records = Vec::new();
        let mut touched = BTreeMap::new();
        for (product_id, command) in commands {
            let cause = self.next_cause(&command);
            let input = Input { product_id: product_id.clone(), command, cause, at_ms: self.next_offset };
            let transition = apply(&Rules::default(), self.states.get(&product_id), &input);
            records.extend(transition.effects.iter().map(|effect| record_of(effect, &cause)));
            match transition.next {
                Some(next) => self.states.insert(product_id.clone(), next),
                None => self.states.remove(&product_id),
            };
            let revision = transition.effects.iter().find_map(|effect| match effect {
                Effect::Publish(event) => event.revision,
                Effect::Raise(_) => None,
            });
            touched.insert(product_id, (cause, revision));
        }
        for (product_id, (cause, revision)) in touched {
            let partition = partition_of(product_id.as_str().as_bytes(), self.partitions);
            records.push(match self.states.get(&product_id) {
                Some(state) => product_record::record(state, partition, &cause, None),
                None => product_record::tombstone(&product_id, revision, partition, &cause, None),
            });
        }
        self.commit_records(records).await;
    }

    /// Commits records unchanged.
    pub async fn commit_records(&self, records: Vec<NewRecord>) {
        within(self.session.commit(Batch { records, ..Batch::default() })).await.unwrap();
    }

    fn next_cause(&mut self, command: &Command) -> Cause {
        let topic = if matches!(command, Command::Deduct(_)) { InputTopic::OrderEvents } else { InputTopic::ProductUpdates };
        let position = InputPosition { offset: self.next_offset, index: 0 };
        self.next_offset += 1;
        Cause::Record { topic, partition: 0, position }
    }
}

fn record_of(effect: &Effect, cause: &Cause) -> NewRecord {
    match effect {
        Effect::Publish(event) => inventory_event::record(event, None),
        Effect::Raise(alert) => alert_event::record(alert, cause, None),
    }
}

pub fn id(text: &str) -> ProductId {
    ProductId::new(text).unwrap()
}

/// A catalogue update of the product.
pub fn upsert(product_id: &str, stock: i64, cents: i64, name: &str) -> (ProductId, Command) {
    let details = Details { name: name.into(), category: "Mugs".into(), rating: 4.2, ..Details::default() };
    let (price, stock) = (Cents::new(cents).unwrap(), Stock::new(stock).unwrap());
    let product = Product { id: id(product_id), price, stock, details: Arc::new(details) };
    (id(product_id), Command::Upsert(product))
}

/// A removal of the product.
pub fn remove(product_id: &str) -> (ProductId, Command) {
    (id(product_id), Command::Remove)
}

/// An order item, with its row if it has one.
pub fn deduct(product_id: &str, units: i64, order: &str, item: Option<&OrderItemId>) -> (ProductId, Command) {
    let (order_id, quantity) = (OrderId::new(order).unwrap(), Quantity::new(units).unwrap());
    (id(product_id), Command::Deduct(OrderItem { order_id, order_item_id: item.cloned(), quantity }))
}
