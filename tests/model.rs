//! 100,000 random commands, as JSON in and JSON out, against a model of the shop in thirty lines that shares no code with it.
//!
//! The model knows the contract's rules only: stock, price, revision, events and alerts. `MODEL_SEED` repeats a failed run.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;

use bytes::Bytes;
use kartshoppe::domain::ids::ProductId;
use kartshoppe::domain::inventory::{Cause, Command, Effect, Input, InputPosition, InputTopic, ProductState, Rules, apply};
use kartshoppe::log::{Headers, Record};
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::{alert_event, inventory_event, order_event, product_updates};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

const COMMANDS: i64 = 100_000;
const PRODUCTS: usize = 40;

/// One random thing that happens to a product.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Catalogue { stock: i64, cents: i64, name: u8 },
    Removal,
    Order { units: i64 },
}

fn happening(random: &mut StdRng) -> Happening {
    match random.random_range(0..100) {
        0..=2 => Happening::Removal,
        3..=29 => {
            let cents = [0, 1, 99, 100, 101, 1000, 900, 901, 50_000][random.random_range(0..9)];
            Happening::Catalogue { stock: random.random_range(0..25), cents, name: random.random_range(0..3) }
        }
        _ => Happening::Order { units: if random.random_bool(0.05) { 1_000_000 } else { random.random_range(1..6) } },
    }
}

// ---- the model ----

#[derive(Default)]
struct Model(BTreeMap<usize, (i64, i64, u8, i64, u64)>);

impl Model {
    /// What must come out, line by line.
    fn step(&mut self, product: usize, offset: i64, what: Happening) -> Vec<String> {
        let level = |stock| match stock {
            0 => "OUT",
            1..=5 => "CRITICAL",
            6..=9 => "WARNING",
            _ => "",
        };
        let (mut out, before) = (Vec::new(), self.0.get(&product).copied());
        let (stock, cents, name, life, version) = before.unwrap_or((0, 0, 0, offset, 0));
        let revision = format!("{life}.{}", version + 1);
        let after = match (what, before) {
            (Happening::Removal, None) => return out,
            (Happening::Removal, Some(_)) => {
                out.push(format!("PRODUCT_REMOVED {stock}>0 {cents} {revision}"));
                self.0.remove(&product);
                return out;
            }
            (Happening::Order { units }, None) => return vec![format!("ORDER_REJECTED 0>0 - - 0+{units}")],
            (Happening::Order { units }, Some(_)) if stock == 0 => {
                return vec![format!("OUT_OF_STOCK 0>0 {cents} {life}.{version} 0+{units}")];
            }
            (Happening::Order { units }, Some(_)) => {
                let got = units.min(stock);
                let kind = if got == stock { "OUT_OF_STOCK" } else { "INVENTORY_DECREASED" };
                out.push(format!("{kind} {stock}>{} {cents} {revision} {got}+{}", stock - got, units - got));
                (stock - got, cents, name)
            }
            (Happening::Catalogue { stock: s, cents: c, name: n }, None) => {
                out.push(format!("PRODUCT_ADDED 0>{s} {c} {revision}"));
                (s, c, n)
            }
            (Happening::Catalogue { stock: s, cents: c, name: n }, Some(_)) if (s, c, n) == (stock, cents, name) => return out,
            (Happening::Catalogue { stock: s, cents: c, name: n }, Some(_)) => {
                if s != stock {
                    let kind = if s == 0 {
                        "OUT_OF_STOCK"
                    } else if stock == 0 {
                        "BACK_IN_STOCK"
                    } else if s < stock {
                        "INVENTORY_DECREASED"
                    } else {
                        "INVENTORY_INCREASED"
                    };
                    out.push(format!("{kind} {stock}>{s} {c} {revision}"));
                }
                if (c - cents).abs() > 1 {
                    out.push(format!("PRICE_CHANGED {s}>{s} {c} {revision}"));
                }
                if out.is_empty() {
                    out.push(format!("PRODUCT_UPDATED {s}>{s} {c} {revision}"));
                }
                (s, c, n)
            }
        };
        let level_before = if before.is_some() { level(stock) } else { "" };
        if level(after.0) != level_before && !level(after.0).is_empty() {
            out.push(format!("alert {}", level(after.0)));
        }
        if before.is_some() && after.1 < cents && after.1 * 10 <= cents * 9 {
            out.push("alert PRICE_DROP".to_owned());
        }
        self.0.insert(product, (after.0, after.1, after.2, life, version + 1));
        out
    }
}

// ---- the shop ----

#[derive(Default)]
struct Shop(BTreeMap<ProductId, ProductState>);

impl Shop {
    /// Sends it through the wire, the rules and the wire again.
    fn step(&mut self, product: usize, offset: i64, what: Happening) -> Vec<String> {
        let id = ProductId::new(&format!("PROD_{product:04}")).unwrap();
        let (topic, value) = match what {
            Happening::Order { units } => {
                (Topic::OrderEvents, Some(json!({"orderId": format!("o-{offset}"), "productId": id.as_str(), "quantity": units})))
            }
            Happening::Removal => (Topic::ProductUpdates, None),
            Happening::Catalogue { stock, cents, name } => {
                let (price, name) = (cents as f64 / 100.0, format!("n{name}"));
                (Topic::ProductUpdates, Some(json!({"productId": id.as_str(), "name": name, "price": price, "inventory": stock})))
            }
        };
        let value = value.map(|value| Bytes::from(value.to_string()));
        let key = Some(Bytes::copy_from_slice(id.as_str().as_bytes()));
        let record = Record { topic, partition: 0, offset, append_time_ms: offset, key, value, headers: Headers::none() };
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
    (InputTopic::ProductUpdates, product_updates::decode(record).remove(0).asked.unwrap().command)
}

/// An output as the model writes it, from its JSON.
fn line(effect: &Effect, cause: &Cause) -> String {
    let json = |value: Option<Bytes>| serde_json::from_slice::<Value>(&value.unwrap()).unwrap();
    let event = match effect {
        Effect::Publish(event) => json(inventory_event::record(event, None).value),
        Effect::Raise(alert) => {
            let alert = json(alert_event::record(alert, cause, None).value);
            return match alert["alertType"].as_str().unwrap() {
                "LOW_STOCK" => format!("alert {}", alert["severity"].as_str().unwrap()),
                "OUT_OF_STOCK" => "alert OUT".to_owned(),
                other => format!("alert {other}"),
            };
        }
    };
    let cents = event["currentPrice"].as_f64().map_or("-".to_owned(), |price| format!("{:.0}", price * 100.0));
    let revision = event["version"].as_u64().map_or("-".to_owned(), |version| format!("{}.{version}", event["life"]));
    let item = event.get("orderId").map_or(String::new(), |_| format!(" {}+{}", event["allocated"], event["shortfall"]));
    format!(
        "{} {}>{} {cents} {revision}{item}",
        event["eventType"].as_str().unwrap(),
        event["previousInventory"],
        event["currentInventory"]
    )
}

#[test]
fn a_hundred_thousand_commands_end_where_the_model_ends() {
    let seed = std::env::var("MODEL_SEED").map_or_else(|_| rand::rng().random(), |text| text.parse().unwrap());
    let mut random = StdRng::seed_from_u64(seed);
    let (mut model, mut shop, mut alerts, mut events) = (Model::default(), Shop::default(), 0, 0);
    for offset in 1..=COMMANDS {
        let (product, what) = (random.random_range(0..PRODUCTS), happening(&mut random));
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
