//! Random commands, and a model of the shop in some forty lines that shares no code with it.
//!
//! The model knows the contract's rules only: stock, price, revision, events and alerts. `tests/model.rs` compares the rules with
//! it, `engine_model.rs` the whole engine.

use std::collections::BTreeMap;

use bytes::Bytes;
use kartshoppe::log::{Headers, NewRecord};
use kartshoppe::wire::topics::Topic;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

/// One random command to a product.
#[derive(Debug, Clone, Copy)]
pub enum Happening {
    Catalogue { stock: i64, cents: i64, name: u8 },
    Removal,
    Order { units: i64 },
}

impl Happening {
    pub fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..100) {
            0..=2 => Self::Removal,
            3..=29 => {
                let cents = [0, 1, 99, 100, 101, 1000, 900, 901, 50_000][random.random_range(0..9)];
                Self::Catalogue { stock: random.random_range(0..25), cents, name: random.random_range(0..3) }
            }
            _ => Self::Order { units: if random.random_bool(0.05) { 1_000_000 } else { random.random_range(1..6) } },
        }
    }

    /// Its record; `number` names the order.
    pub fn record(self, product: usize, number: i64) -> NewRecord {
        let id = product_id(product);
        let (topic, value) = match self {
            Self::Order { units } => {
                (Topic::OrderEvents, Some(json!({"orderId": format!("o-{number}"), "productId": id, "quantity": units})))
            }
            Self::Removal => (Topic::ProductUpdates, None),
            Self::Catalogue { stock, cents, name } => {
                let (price, name) = (cents as f64 / 100.0, format!("n{name}"));
                (Topic::ProductUpdates, Some(json!({"productId": id, "name": name, "price": price, "inventory": stock})))
            }
        };
        let value = value.map(|value| Bytes::from(value.to_string()));
        NewRecord { topic, partition: None, key: Some(Bytes::from(id)), value, headers: Headers::none() }
    }
}

/// The id of the product with this number.
pub fn product_id(product: usize) -> String {
    format!("PROD_{product:04}")
}

/// An event or alert as the model writes it, from its JSON.
pub fn line(topic: Topic, value: Option<&Bytes>) -> String {
    let json = serde_json::from_slice::<Value>(value.unwrap()).unwrap();
    if topic == Topic::InventoryAlerts {
        return format!("alert {} {}", json["severity"].as_str().unwrap(), json["message"].as_str().unwrap());
    }
    let cents = json["currentPrice"].as_f64().map_or("-".to_owned(), |price| format!("{:.0}", price * 100.0));
    let revision = json["version"].as_u64().map_or("-".to_owned(), |version| format!("{}.{version}", json["life"]));
    let item = json.get("orderId").map_or(String::new(), |_| format!(" {}+{}", json["allocated"], json["shortfall"]));
    let (kind, before, after) = (&json["eventType"], &json["previousInventory"], &json["currentInventory"]);
    format!("{} {before}>{after} {cents} {revision}{item}", kind.as_str().unwrap())
}

/// Stock, cents, name, life and version of each product.
#[derive(Default)]
pub struct Model(pub BTreeMap<usize, (i64, i64, u8, i64, u64)>);

impl Model {
    /// The expected outputs, line by line. `offset` is the command's offset in its topic, which identifies a new lifetime.
    pub fn step(&mut self, product: usize, offset: i64, what: Happening) -> Vec<String> {
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
            out.push(match after.0 {
                0 => "alert CRITICAL Product is out of stock".to_owned(),
                left => format!("alert {} Low stock: only {left} items remaining", level(left)),
            });
        }
        if before.is_some() && after.1 < cents && after.1 * 10 <= cents * 9 {
            let [from, to] = [cents, after.1].map(|cents| cents as f64 / 100.0);
            out.push(format!("alert INFO Price dropped {:.1}% from ${from:.2} to ${to:.2}", (from - to) * 100.0 / from));
        }
        self.0.insert(product, (after.0, after.1, after.2, life, version + 1));
        out
    }
}
