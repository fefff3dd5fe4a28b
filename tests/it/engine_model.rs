//! 100,000 random commands through the log and the actors: events and alerts equal the model's, one for one, in order per
//! product, while the actors are killed.
//!
//! The two inputs have no order between them. So commands are sent in rounds, and in each round a product gets commands from one
//! input only. `MODEL_SEED` repeats a failed run.

use std::collections::BTreeMap;

use kartshoppe::actors::faults::Fault;
use kartshoppe::actors::supervision::EndCause;
use kartshoppe::wire::topics::Topic;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::engine::{Setup, Shop};
use crate::support::log::{append, read_all};
use crate::support::model::{Happening, Model, line, product_id};
use crate::support::place::Place;

const COMMANDS: usize = 100_000;
const PRODUCTS: usize = 250;
/// Most commands for a product in a round.
const RUN: usize = 6;
/// Products that are killed in every other round.
const KILLS: u64 = 30;

/// What was said about each product, in its order.
type Lines = BTreeMap<String, Vec<String>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_commands_give_the_events_and_alerts_of_the_model() {
    let seed = std::env::var("MODEL_SEED").map_or_else(|_| rand::rng().random(), |text| text.parse().unwrap());
    let mut random = StdRng::seed_from_u64(seed);
    // Several batches a round, and products that are passivated all the time.
    let setup = Setup { batch_max_records: 200, max_live_products: PRODUCTS / 2, ..Setup::default() };
    let place = Place::embedded();
    let shop = Shop::open(&place, &setup).await;
    let (mut model, mut expected, mut sent) = (Model::default(), [Lines::new(), Lines::new()], 0);
    for round in 0.. {
        if sent >= COMMANDS {
            break;
        }
        if round % 2 == 1 {
            shop.arm("product", Fault::Kill, KILLS);
        }
        if round % 5 == 4 {
            shop.arm(["committer", "shard", "log-source"][round % 3], Fault::Kill, 1);
        }
        let commands = draw_round(&mut random);
        let records = commands.iter().zip(sent..).map(|((product, what), number)| what.record(*product, number as i64));
        let appended = append(&*shop.log, records.collect()).await;
        sent += commands.len();
        for ((product, what), at) in commands.into_iter().zip(appended) {
            for line in model.step(product, at.offset, what) {
                let kind = usize::from(line.starts_with("alert"));
                expected[kind].entry(product_id(product)).or_default().push(line);
            }
        }
        shop.settle().await;
    }
    shop.struck().await;
    for (topic, expected) in [Topic::InventoryEvents, Topic::InventoryAlerts].into_iter().zip(&expected) {
        let written = written(&shop, topic).await;
        assert_eq!(written.len(), expected.len(), "MODEL_SEED={seed}: products on {topic}");
        for (id, lines) in expected {
            assert_eq!(&written[id], lines, "MODEL_SEED={seed}: {topic} of {id}");
        }
        println!("{topic}: {} records of {} products", lines_in(expected), expected.len());
    }
    check_variety(&shop, &expected[1]);
    assert_eq!(shop.ledger().await.dead_letters, 0, "MODEL_SEED={seed}");
    shop.close().await;
}

/// A round's commands: a product gets either orders or catalogue updates.
fn draw_round(random: &mut StdRng) -> Vec<(usize, Happening)> {
    let ordered: Vec<bool> = (0..PRODUCTS).map(|_| random.random_bool(0.7)).collect();
    let mut commands = Vec::new();
    for _ in 0..RUN {
        for (product, ordered) in ordered.iter().enumerate().filter(|_| random.random_bool(0.7)).collect::<Vec<_>>() {
            let what = loop {
                let what = Happening::draw(random);
                if matches!(what, Happening::Order { .. }) == *ordered {
                    break what;
                }
            };
            commands.push((product, what));
        }
    }
    commands
}

/// What a topic holds of each product.
async fn written(shop: &Shop, topic: Topic) -> Lines {
    let mut written = Lines::new();
    for record in read_all(&*shop.log, topic).await {
        let id = String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
        written.entry(id).or_default().push(line(topic, record.value.as_ref()));
    }
    written
}

fn lines_in(lines: &Lines) -> usize {
    lines.values().map(Vec::len).sum()
}

/// Each product ran low and out again and again, and products died of it all the while.
fn check_variety(shop: &Shop, alerts: &Lines) {
    for alert in ["alert WARNING Low", "alert CRITICAL Low", "alert CRITICAL Product is out", "alert INFO Price dropped"] {
        let seldom = alerts.values().map(|lines| lines.iter().filter(|line| line.starts_with(alert)).count()).min();
        assert!(seldom >= Some(3), "too tame: a product with {seldom:?} of {alert:?}");
    }
    let ended = |cause: EndCause| shop.inventory.metrics.product_ends[cause.index()].load(std::sync::atomic::Ordering::Relaxed);
    let killed = ended(EndCause::Killed);
    println!("{killed} products were killed");
    assert!(killed >= 10 * KILLS, "only {killed} products were killed");
    assert_eq!(ended(EndCause::Panic) + ended(EndCause::Error), 0, "no actor ends except by a kill");
}
