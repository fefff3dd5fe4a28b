//! Time travel: what a product was at any moment follows from its events, and each change leads to the record that caused it.

use std::collections::BTreeMap;

use kartshoppe::clock::Clock;
use kartshoppe::log::EventLog;
use kartshoppe::wire::topics::Topic;
use kartshoppe::wire::topics::product_record::{self, Restored};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::support::engine::until_committed;
use crate::support::log::{read_all, within};
use crate::support::model::{Happening, Model, product_id};
use crate::support::place::{Place, on_each_log};
use crate::support::server::Server;

const ROUNDS: usize = 5;
const PRODUCTS: usize = 20;
/// Commands for each product in a round; more than a page of changes over all rounds.
const RUN: usize = 8;
const SECOND: i64 = 1_000;

on_each_log!(every_state_of_every_product_follows_from_its_events, bad_questions_are_refused);

async fn timeline(server: &Server, product: &str, query: &str) -> Value {
    let path = format!("/admin/products/{product}/timeline?{query}");
    let answer = server.http.get(server.admin(&path)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

/// A product of the bootstrap file is not one of the model's.
fn ours(product: usize) -> String {
    product_id(product + 5_000)
}

/// The products as `products` holds them: stock, price in cents, life and version.
async fn committed(log: &dyn EventLog) -> BTreeMap<String, (i64, i64, i64, u64)> {
    let mut products = BTreeMap::new();
    for record in read_all(log, Topic::Products).await {
        match product_record::decode(&record, 0).unwrap() {
            Restored::Ours(state) => {
                let (price, revision) = (state.product.price.cents(), state.revision);
                let known = (state.product.stock.units(), price, revision.life, revision.version);
                products.insert(state.product.id.to_string(), known);
            }
            Restored::Removed(id, _) => {
                products.remove(id.as_str());
            }
            Restored::Foreign(state) => panic!("a state without a header: {state:?}"),
        }
    }
    products
}

fn shown(timeline: &Value) -> Option<(i64, i64, i64, u64)> {
    let state = timeline["state"].as_object()?;
    let (stock, price) = (state["stock"].as_i64()?, state["price"].as_f64()?);
    let revision = &timeline["revision"];
    Some((stock, (price * 100.0).round() as i64, revision["life"].as_i64()?, revision["version"].as_u64()?))
}

async fn every_state_of_every_product_follows_from_its_events(place: Place) {
    let mut server = Server::start_filled(place.options().set("KARTSHOPPE__FAULTS__ENABLED", "true")).await;
    let seed = std::env::var("MODEL_SEED").map_or_else(|_| rand::rng().random(), |text| text.parse().unwrap());
    println!("MODEL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (mut model, mut moments) = (Model::default(), Vec::new());
    for round in 0..ROUNDS {
        play_round(&server, &mut random, &mut model).await;
        interrupt(&mut server, round).await;
        within(until_committed(&*place.log_of(&server).await)).await;
        // Opened again: a log beside the process that writes it learns of new records late.
        let log = place.log_of(&server).await;
        // A label distinguishes two rounds only if the clock has moved in between.
        let moment = read_all(&*log, Topic::InventoryEvents).await.iter().map(|event| event.append_time_ms).max().unwrap();
        while Clock::system().now_ms() <= moment {
            tokio::task::yield_now().await;
        }
        moments.push((moment, committed(&*log).await));
    }
    for (moment, then) in &moments {
        for product in (0..PRODUCTS).map(ours).chain(["PROD_0001".to_owned()]) {
            let answer = timeline(&server, &product, &format!("at={moment}&limit=1")).await;
            assert_eq!(shown(&answer), then.get(&product).copied(), "{product} at {moment}: {answer}");
        }
    }
    let (_, last) = moments.last().unwrap();
    assert!(last.len() > 200, "the bootstrap file's and the model's");
    for product in last.keys().cloned().collect::<Vec<_>>() {
        assert_eq!(shown(&timeline(&server, &product, "limit=1").await), Some(last[&product]), "{product} now");
    }
    for (number, known) in &model.0 {
        let id = ours(*number);
        assert_eq!(last.get(&id).map(|(stock, cents, ..)| (*stock, *cents)), Some((known.0, known.1)), "{id} and the model");
    }
    let alive = last.keys().find(|id| id.as_str() > "PROD_5").unwrap();
    pages_join_and_causes_lead_to_records(&server, &*place.log_of(&server).await, alive).await;
    the_command_says_the_same(&server, moments[1].0, &moments[1].1);
}

/// While the inventory is at work: its actors are killed, then the whole process, as in a drill.
async fn interrupt(server: &mut Server, round: usize) {
    match round {
        1 => {
            for target in ["committer", "shard/1", "log-source"] {
                let fault = json!({"target": target, "fault": "kill", "count": 1, "ttl": "30s"});
                assert_eq!(server.operate("/admin/faults", &fault).await.0, 200, "{target}");
            }
        }
        2 | 3 => {
            server.kill();
            server.resume().await;
        }
        _ => {}
    }
}

/// Each product gets either orders or catalogue updates, as the two inputs have no order between them.
async fn play_round(server: &Server, random: &mut StdRng, model: &mut Model) {
    let ordered: Vec<bool> = (0..PRODUCTS).map(|_| random.random_bool(0.7)).collect();
    for is_order in [false, true] {
        let mut drafts = Vec::new();
        for _ in 0..RUN {
            for product in (0..PRODUCTS).filter(|product| ordered[*product] == is_order) {
                let what = loop {
                    let what = Happening::draw(random);
                    if matches!(what, Happening::Order { .. }) == is_order {
                        break what;
                    }
                };
                model.step(product, 0, what);
                drafts.push(draft(&ours(product), what, random.random_range(0..i64::MAX)));
            }
        }
        let topic = if is_order { "order-events" } else { "product-updates" };
        if !drafts.is_empty() {
            let (status, answer) = server.operate(&format!("/admin/topics/{topic}/records"), &json!({"records": drafts})).await;
            assert_eq!(status, 200, "{answer}");
        }
    }
}

fn draft(id: &str, what: Happening, number: i64) -> Value {
    let value = match what {
        Happening::Order { units } => json!({"orderId": format!("o-{number}"), "productId": id, "quantity": units}),
        Happening::Removal => Value::Null,
        Happening::Catalogue { stock, cents, name } => {
            json!({"productId": id, "name": format!("n{name}"), "price": cents as f64 / 100.0, "inventory": stock})
        }
    };
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    json!({"key": id, "value": value, "headers": {"traceparent": traceparent}})
}

async fn pages_join_and_causes_lead_to_records(server: &Server, log: &dyn EventLog, product: &str) {
    let wanted: Vec<i64> = read_all(log, Topic::InventoryEvents)
        .await
        .iter()
        .filter(|event| event.key.as_deref() == Some(product.as_bytes()))
        .map(|event| event.offset)
        .rev()
        .collect();
    let (mut changes, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = timeline(server, product, &format!("limit=7&cursor={cursor}")).await;
        changes.extend(page["changes"].as_array().unwrap().clone());
        match page["cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(changes.iter().map(|change| change["offset"].as_i64().unwrap()).collect::<Vec<_>>(), wanted);
    let mut inputs = BTreeMap::new();
    for topic in [Topic::OrderEvents, Topic::ProductUpdates] {
        for record in read_all(log, topic).await {
            let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
            inputs.insert((topic.name().to_owned(), i64::from(record.partition), record.offset), key);
        }
    }
    for change in &changes {
        let cause = &change["cause"];
        let place = (
            cause["topic"].as_str().unwrap().to_owned(),
            cause["partition"].as_i64().unwrap(),
            cause["offset"].as_i64().unwrap(),
        );
        assert_eq!(inputs[&place], product, "{change}");
        assert_eq!(cause["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(cause["orderId"].is_string(), place.0 == "order-events", "{change}");
    }
    let whole = timeline(server, product, "").await;
    assert_eq!(whole["cause"]["record"]["key"], json!(product), "{whole}");
    assert_eq!(whole["since"], Value::Null, "nothing is cut");
}

/// The command on the same log.
fn the_command_says_the_same(server: &Server, moment: i64, then: &BTreeMap<String, (i64, i64, i64, u64)>) {
    let (id, (stock, ..)) = then.iter().find(|(id, _)| id.as_str() > "PROD_5").unwrap();
    let at = jiff_text(moment);
    let output = server.command(&["explain", id, "--at", &at, "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown(&answer), then.get(id).copied(), "{answer}");
    let output = server.command(&["explain", id, "--at", &moment.to_string()]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with(&format!("{id} at {at}: {stock} in stock")) && said.contains("because "), "{said}");
}

fn jiff_text(moment: i64) -> String {
    format!("{:.3}", jiff::Timestamp::from_millisecond(moment).unwrap())
}

async fn bad_questions_are_refused(place: Place) {
    let server = Server::start_filled(place.options()).await;
    for (query, field) in [
        ("at=yesterday", "at"),
        ("from=x", "from"),
        ("to=2026-13-01T00:00:00Z", "to"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("from=2&to=1", "from"),
    ] {
        let answer = server.http.get(server.admin(&format!("/admin/products/MUG/timeline?{query}"))).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{query}");
        assert_eq!(answer.json::<Value>().await.unwrap()["errors"][0]["field"], field, "{query}");
    }
    let nobody = timeline(&server, "NOBODY", "").await;
    assert_eq!((&nobody["state"], &nobody["proof"], &nobody["changes"]), (&Value::Null, &json!("absent"), &json!([])));
    let far = Clock::system().now_ms() + 1_000_000 * SECOND;
    assert_eq!(timeline(&server, "PROD_0001", &format!("at={far}")).await["state"]["stock"], 17);
    let added = timeline(&server, "PROD_0001", "").await;
    assert_eq!((&added["cause"]["kind"], &added["changes"][0]["eventType"]), (&json!("file"), &json!("PRODUCT_ADDED")));
    let before = added["state"]["time"].as_i64().unwrap() - SECOND;
    assert_eq!(timeline(&server, "PROD_0001", &format!("at={before}")).await["proof"], "absent");
}
