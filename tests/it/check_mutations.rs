//! Five hundred random mutations of a clean run's data: the checker reports each one, or it is harmless by a rule listed here.
//! The seed is fixed; `SEED=…` tries another.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::ruin::{Place, Tampered, clean_run};

const MUTATIONS: usize = 500;
const SEED: u64 = 20;

/// Topics of the ledger, with the fields whose alteration must be detected.
const LEDGER: [(&str, &[&str]); 6] = [
    (
        "inventory-events",
        &[
            "productId",
            "eventType",
            "previousInventory",
            "currentInventory",
            "version",
            "life",
            "allocated",
            "shortfall",
            "quantity",
            "orderId",
            "orderItemId",
            "currentPrice",
            "previousPrice",
            "alertLevel",
        ],
    ),
    ("inventory-alerts", &["productId", "alertType", "severity", "message"]),
    ("products", &["productId", "inventory", "price"]),
    ("order-events", &["productId", "quantity", "orderId", "orderItemId"]),
    ("product-updates", &["productId", "inventory", "price"]),
    ("dead-letters", &[]),
];

#[derive(Debug, Clone)]
enum Mutation {
    Drop(Place),
    Repeat(Place),
    Swap(Place, Place),
    Alter(Place, &'static str, Value),
    Truncate(Place),
}

impl Mutation {
    /// A mutation with an effect; `None` if the random choice has none.
    fn throw(log: &Tampered, random: &mut StdRng) -> Option<Self> {
        let (topic, fields) = LEDGER.choose(random)?;
        let all = log.all(topic, |_| true);
        let place = all.choose(random)?.clone();
        match random.random_range(0..5) {
            0 => Some(Self::Drop(place)),
            1 => Some(Self::Repeat(place)),
            2 => {
                let other = all.choose(random)?.clone();
                let differs = other.table == place.table && log.text(&other) != log.text(&place);
                differs.then_some(Self::Swap(place, other))
            }
            3 => {
                let field = fields.choose(random)?;
                let altered = match log.json(&place)?.get(field)? {
                    Value::Null => return None,
                    Value::Number(number) if number.is_i64() || number.is_u64() => {
                        json!(number.as_i64()? + random.random_range(1..4))
                    }
                    Value::Number(number) => json!(number.as_f64()? + 1.0),
                    Value::String(text) => json!(format!("{text}_")),
                    Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
                };
                Some(Self::Alter(place, field, altered))
            }
            _ => (!log.text(&place).is_empty()).then_some(Self::Truncate(place)),
        }
    }

    fn apply(&self, log: &Tampered) {
        match self {
            Self::Drop(place) => log.drop(place),
            Self::Repeat(place) => log.repeat(place),
            Self::Swap(one, other) => log.swap(one, other),
            Self::Alter(place, field, value) => log.edit(place, field, value.clone()),
            Self::Truncate(place) => {
                let text = log.text(place);
                log.write(place, &text[..text.len() / 2]);
            }
        }
    }

    fn place(&self) -> &Place {
        match self {
            Self::Drop(place) | Self::Repeat(place) | Self::Swap(place, _) | Self::Alter(place, ..) | Self::Truncate(place) => {
                place
            }
        }
    }

    /// Why the mutation is harmless, if it is.
    fn harmless(&self, log: &Tampered) -> Option<&'static str> {
        let place = self.place();
        let (topic, _) = place.table.rsplit_once('/')?;
        let is_repeat = matches!(self, Self::Repeat(_));
        match topic {
            "order-events" | "product-updates" if is_repeat => Some("an input that was not processed yet"),
            "products" if matches!(self, Self::Drop(_) | Self::Repeat(_)) && log.never_changed(place) => {
                Some("an earlier deadline of the same product, which a shorter `stale_after` may give as well")
            }
            "products" if is_repeat => log.is_last_state(place).then_some("the same state once more"),
            "products" => {
                let touched = [Some(place), if let Self::Swap(_, other) = self { Some(other) } else { None }];
                let newest = touched.into_iter().flatten().any(|place| log.is_last_state(place));
                (!newest).then_some("a state that compaction may drop anyway")
            }
            "dead-letters" if is_repeat => Some("the same dead letter once more"),
            "dead-letters" if !matches!(self, Self::Drop(_)) => Some("the headers of a dead letter say what it is"),
            "product-updates" if log.json(place).is_none_or(|update| update["name"].is_null()) => {
                (!matches!(self, Self::Drop(_) | Self::Swap(..))).then_some("an input that was put aside, whatever it says")
            }
            "product-updates" => log.changed_nothing(place).then_some("an update that changed nothing"),
            _ => None,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_mutations_are_reported_or_harmless() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let mut random = StdRng::seed_from_u64(seed);
    let ruin = clean_run().await;
    let pool = PgPool::connect(&ruin.database.url).await.unwrap();
    let (mut missed, mut reported, mut excused) = (Vec::new(), 0, BTreeMap::<&str, usize>::new());
    let (_folder, original) = Tampered::copy_of(&ruin);
    while reported + missed.len() + excused.values().sum::<usize>() < MUTATIONS {
        let Some(mutation) = Mutation::throw(&original, &mut random) else { continue };
        let (folder, log) = Tampered::copy_of(&ruin);
        mutation.apply(&log);
        drop(log);
        let report = ruin.judge(folder.path(), Some(&pool), Some(ruin.read_model.clone())).await;
        if !report.holds() {
            reported += 1;
        } else if let Some(reason) = mutation.harmless(&original) {
            *excused.entry(reason).or_default() += 1;
        } else {
            missed.push(format!("{mutation:?} of {}", String::from_utf8_lossy(&original.text(mutation.place()))));
        }
    }
    println!("seed {seed}: {reported} reported, harmless {excused:?}");
    assert!(missed.is_empty(), "{} went unnoticed with seed {seed}:\n{}", missed.len(), missed.join("\n"));
    assert!(reported > MUTATIONS / 2);
}
