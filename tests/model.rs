//! 100,000 random commands, as JSON in and JSON out, through the rules alone, compared with a model of the shop that shares no
//! code with them.
//!
//! `MODEL_SEED` repeats a failed run.

#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "it/support/model.rs"]
mod model;

use std::collections::BTreeMap;

use kartshoppe::domain::ids::ProductId;
use kartshoppe::domain::inventory::{Cause, Command, Effect, Input, InputPosition, InputTopic, ProductState, Rules, apply};
use kartshoppe::log::Record;
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::{alert_event, inventory_event, order_event, product_updates};
use model::{Happening, Model};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const COMMANDS: i64 = 100_000;
const PRODUCTS: usize = 40;

#[derive(Default)]
struct Shop(BTreeMap<ProductId, ProductState>);

impl Shop {
    /// Sends it through the wire, the rules and the wire again.
    fn step(&mut self, product: usize, offset: i64, what: Happening) -> Vec<String> {
        let id = ProductId::new(&model::product_id(product)).unwrap();
        let asked = what.record(product, offset);
        let (topic, key, value, headers) = (asked.topic, asked.key, asked.value, asked.headers);
        let record = Record { topic, partition: 0, offset, append_time_ms: offset, key, value, headers };
        let (input_topic, command) = read(&record);
        let cause = Cause::Record { topic: input_topic, partition: 0, position: InputPosition { offset, index: 0 } };
        let input = Input { product_id: id.clone(), command, cause, at_ms: offset };
        let result = apply(&Rules::default(), self.0.get(&id), &input);
        match result.next {
            Some(next) => self.0.insert(id, next),
            None => self.0.remove(&id),
        };
        result.effects.iter().map(|effect| line(effect, &cause)).collect()
    }
}

fn read(record: &Record) -> (InputTopic, Command) {
    if record.topic == Topic::OrderEvents {
        return (InputTopic::OrderEvents, Command::Deduct(order_event::decode(record).unwrap().item().unwrap()));
    }
    (InputTopic::ProductUpdates, product_updates::decode(record).remove(0).decoded.unwrap().command)
}

fn line(effect: &Effect, cause: &Cause) -> String {
    let record = match effect {
        Effect::Publish(event) => inventory_event::record(event, None),
        Effect::Raise(alert) => alert_event::record(alert, cause, None),
    };
    model::line(record.topic, record.value.as_ref())
}

#[test]
fn a_hundred_thousand_commands_end_where_the_model_ends() {
    let seed = std::env::var("MODEL_SEED").map_or_else(|_| rand::rng().random(), |text| text.parse().unwrap());
    let mut random = StdRng::seed_from_u64(seed);
    let (mut model, mut shop, mut alerts, mut events) = (Model::default(), Shop::default(), 0, 0);
    for offset in 1..=COMMANDS {
        let (product, what) = (random.random_range(0..PRODUCTS), Happening::draw(&mut random));
        let (expected, got) = (model.step(product, offset, what), shop.step(product, offset, what));
        assert_eq!(got, expected, "MODEL_SEED={seed}: command {offset}, product {product}: {what:?}");
        alerts += got.iter().filter(|line| line.starts_with("alert")).count();
        events += got.iter().filter(|line| !line.starts_with("alert")).count();
    }
    let left = shop.0.values().map(|state| {
        let ProductState { product, revision, .. } = state;
        (product.stock.units(), product.price.cents(), revision.life, revision.version)
    });
    let expected = model.0.values().map(|(stock, cents, _, life, version)| (*stock, *cents, *life, *version));
    assert!(left.eq(expected), "MODEL_SEED={seed}");
    assert!(events > 80_000 && alerts > 10_000, "too tame: {events} events, {alerts} alerts");
}
