//! Positions that were lost by a change to the brokers while the shop was closed: each is refused with advice for as long as it
//! lasts, and following the advice helps.

use std::time::Duration;

use kartshoppe::actors::inventory::INVENTORY_GROUP;
use kartshoppe::log::{NewRecord, Position, Positions, Topic, TopicPartition};
use kartshoppe::telemetry::alarms::Alarm;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::engine::{Setup, Shop, eventually, ids, order};
use crate::support::log::{append, record, within};
use crate::support::place::Place;

const PRODUCTS: usize = 20;
const STOCK: i64 = 1_000;
const PARTITIONS: i32 = 4;

/// Operations of an administrator with Kafka's own tools.
pub struct Administrator<'p>(pub &'p Place);

impl Administrator<'_> {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.0.reach(Topic::OrderEvents).0).set("group.id", self.group());
        config
    }

    fn group(&self) -> String {
        let name = self.0.reach(Topic::OrderEvents).1;
        name.replace(Topic::OrderEvents.name(), INVENTORY_GROUP)
    }

    fn list(&self, positions: &Positions) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (at, position) in positions {
            list.add_partition_offset(&self.0.reach(at.topic).1, at.partition, Offset::Offset(position.offset)).unwrap();
        }
        list
    }

    pub async fn delete_records(&self, before: &Positions) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().unwrap();
        admin.delete_records(&self.list(before), &AdminOptions::new()).await.unwrap();
    }

    /// Kafka changes a group's positions only while it has no members; one that could not begin is forgotten after its session.
    pub async fn until_the_group_is_empty(&self) {
        let log = self.0.log().await;
        within(eventually(|| async { log.live_members(INVENTORY_GROUP).await.unwrap() == 0 })).await;
    }

    async fn delete_group(&self) {
        self.until_the_group_is_empty().await;
        let admin: AdminClient<DefaultClientContext> = self.config().create().unwrap();
        let deleted = admin.delete_groups(&[&self.group()], &AdminOptions::new()).await.unwrap();
        deleted.into_iter().for_each(|group| assert!(group.is_ok(), "{group:?}"));
    }

    /// As `--reset-offsets` does: without a text.
    pub async fn set_positions(&self, positions: &Positions) {
        self.until_the_group_is_empty().await;
        let consumer: BaseConsumer = self.config().create().unwrap();
        consumer.commit(&self.list(positions), CommitMode::Sync).unwrap();
    }

    /// With the texts that are given.
    async fn copy_positions(&self, positions: &Positions) {
        self.until_the_group_is_empty().await;
        let consumer: BaseConsumer = self.config().create().unwrap();
        let list = self.list(positions);
        for (at, position) in positions {
            let mut element = list.find_partition(&self.0.reach(at.topic).1, at.partition).unwrap();
            element.set_metadata(&position.metadata);
        }
        consumer.commit(&list, CommitMode::Sync).unwrap();
    }

    /// A console consumer in the group: takes partitions of `order-events` over, reads what comes and commits that it has.
    pub async fn consumer_of_others(&self) -> BaseConsumer {
        let mut config = self.config();
        config
            .set("client.id", "somebody-elses")
            .set("partition.assignment.strategy", "range")
            .set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[&self.0.reach(Topic::OrderEvents).1]).unwrap();
        within(async {
            while consumer.assignment().unwrap().count() == 0 {
                drop(consumer.poll(Duration::from_millis(20)));
                tokio::task::yield_now().await;
            }
        })
        .await;
        consumer
    }
}

async fn open(place: &Place) -> Shop {
    Shop::open(place, &Setup::default()).await
}

/// Opens the shop, which must report this as long as it is open.
async fn refused(place: &Place, words: &[&str]) {
    let shop = open(place).await;
    // As `/readyz` combines them.
    let trouble = || [shop.inventory.trouble(), shop.log.trouble()].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let says = |told: &str| words.iter().all(|word| told.contains(word));
    within(eventually(|| async { says(&trouble()) })).await;
    println!("{}", trouble());
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let told = trouble();
        assert!(says(&told), "it no longer says {words:?} but {told:?}");
    }
    shop.close().await;
}

/// Opens the shop, which processes its inputs; returns the positions that it leaves.
async fn served(place: &Place, orders: usize) -> Positions {
    let shop = open(place).await;
    shop.settle().await;
    assert_eq!(shop.ledger().await.outcomes().len(), orders);
    let positions = shop.log.committed(INVENTORY_GROUP).await.unwrap();
    shop.close().await;
    positions
}

/// Orders one of each product, numbered from here on.
async fn buy(place: &Place, from: usize) {
    append(&*place.log().await, ids(PRODUCTS).enumerate().map(|(n, id)| order(from + n, &id, 1)).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_position_is_refused_with_what_to_do_and_doing_it_helps() {
    let Some(place) = Place::kafka() else { return };
    let administrator = Administrator(&place);
    let shop = open(&place).await;
    shop.stock(ids(PRODUCTS), STOCK).await;
    shop.close().await;
    buy(&place, 0).await;
    let positions = served(&place, PRODUCTS).await;

    // Orders are deleted that were not handled.
    buy(&place, PRODUCTS).await;
    let known = place.log().await.topics().await.unwrap();
    let info = known.iter().find(|info| info.topic == Topic::OrderEvents).unwrap();
    let ends = info.partitions.iter().zip(0..PARTITIONS).map(|(bounds, partition)| {
        (TopicPartition::new(Topic::OrderEvents, partition), Position { offset: bounds.end, metadata: String::new() })
    });
    let ends: Positions = ends.collect();
    administrator.delete_records(&ends).await;
    refused(&place, &["were deleted", "--reset-offsets --to-earliest", "make reset"]).await;
    administrator.set_positions(&ends).await;
    buy(&place, 2 * PRODUCTS).await;
    let later = served(&place, 2 * PRODUCTS).await;
    assert!(later != positions);

    // The group's position is one that its topic never had.
    let beyond = later.iter().map(|(at, known)| (*at, Position { offset: known.offset + 1_000, ..known.clone() })).collect();
    administrator.set_positions(&beyond).await;
    refused(&place, &["the partition ends at", "--reset-offsets --to-latest", "make reset"]).await;
    administrator.set_positions(&self::ends(&place).await).await;
    buy(&place, 3 * PRODUCTS).await;
    let later = served(&place, 3 * PRODUCTS).await;

    // The group was deleted, while the states say what was applied.
    administrator.delete_group().await;
    refused(&place, &["holds states up to", "the group has no committed position there", "make reset"]).await;
    administrator.set_positions(&later).await;
    buy(&place, 4 * PRODUCTS).await;
    served(&place, 4 * PRODUCTS).await;

    // The topic was recreated, and the broker has deleted the group's positions with the old one.
    let log = place.log().await;
    log.delete_topics(&[Topic::OrderEvents]).await.unwrap();
    log.create_topics(&[Topic::OrderEvents]).await.unwrap();
    buy(&place, 5 * PRODUCTS).await;
    refused(&place, &["holds states up to order-events", "make reset"]).await;
}

/// Where the inputs end.
pub async fn ends(place: &Place) -> Positions {
    let mut ends = Positions::new();
    for info in place.log().await.topics().await.unwrap() {
        if matches!(info.topic, Topic::ProductUpdates | Topic::OrderEvents) {
            for (partition, bounds) in (0..).zip(info.partitions) {
                let position = Position { offset: bounds.end, metadata: String::new() };
                ends.insert(TopicPartition::new(info.topic, partition), position);
            }
        }
    }
    ends
}

/// Waits until so many order items have an outcome; none has two.
async fn until_outcomes(shop: &Shop, count: usize) {
    within(eventually(|| async { shop.ledger().await.outcomes().len() == count })).await;
    let ledger = shop.ledger().await;
    ledger.check_chains();
    assert_eq!(ledger.outcomes().len(), count);
}

fn alarms(shop: &Shop, cause: &str) -> Vec<Alarm> {
    shop.supervision.alarms.list().into_iter().filter(|(about, _)| about.cause == cause).map(|(_, alarm)| alarm).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_moved_forward_by_others_skip_no_input() {
    let Some(place) = Place::kafka() else { return };
    let administrator = Administrator(&place);
    let shop = open(&place).await;
    shop.stock(ids(PRODUCTS), STOCK).await;
    shop.close().await;
    let mut ours = Positions::new();

    // By `--reset-offsets --to-latest`, and by a tool that keeps the metadata texts. Some records lie on a wrong partition: they
    // are written again to the right one, and only once.
    for (round, with_text) in [(0, false), (1, true), (2, false)] {
        let keyless = |item: NewRecord| NewRecord { key: None, partition: Some(0), ..item };
        let orders = ids(PRODUCTS).enumerate().map(|(n, id)| order(round * PRODUCTS + n, &id, 1));
        let orders = orders.enumerate().map(|(n, item)| if n % 2 == 0 { item } else { keyless(item) });
        append(&*place.log().await, orders.collect()).await;
        let mut moved = ends(&place).await;
        if with_text {
            moved.iter_mut().for_each(|(at, position)| position.metadata.clone_from(&ours[at].metadata));
            administrator.copy_positions(&moved).await;
        } else {
            administrator.set_positions(&moved).await;
        }
        let shop = open(&place).await;
        until_outcomes(&shop, (round + 1) * PRODUCTS).await;
        within(eventually(|| async { alarms(&shop, "position-foreign").iter().all(|alarm| !alarm.blocks) })).await;
        let told = alarms(&shop, "position-foreign");
        assert!(!told.is_empty() && told.iter().all(|alarm| alarm.text.contains("continues at")), "{told:?}");
        shop.settle().await;
        ours = shop.log.committed(INVENTORY_GROUP).await.unwrap();
        shop.close().await;
    }

    // The alarm is gone: the next start finds its own positions.
    let shop = open(&place).await;
    shop.append(ids(PRODUCTS).enumerate().map(|(n, id)| order(3 * PRODUCTS + n, &id, 1)).collect()).await;
    until_outcomes(&shop, 4 * PRODUCTS).await;
    assert_eq!(alarms(&shop, "position-foreign"), []);
    let stock = shop.ledger().await.products;
    assert!(stock.values().all(|(units, _)| *units == STOCK - 4), "{stock:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_consumer_in_the_group_loses_no_order() {
    let Some(place) = Place::kafka() else { return };
    let shop = open(&place).await;
    shop.stock(ids(PRODUCTS), STOCK).await;
    let consumer = Administrator(&place).consumer_of_others().await;
    let taken = consumer.assignment().unwrap();
    assert!(taken.count() > 0);
    append(&*place.log().await, ids(PRODUCTS).enumerate().map(|(n, id)| order(n, &id, 1)).collect()).await;
    let ends = ends(&place).await;
    let theirs = taken.elements().into_iter().map(|element| TopicPartition::new(Topic::OrderEvents, element.partition()));
    let read: Positions = theirs.map(|at| (at, ends[&at].clone())).collect();
    let list = Administrator(&place).list(&read);
    consumer.commit(&list, CommitMode::Sync).unwrap();
    // It leaves in order; dropping it right after that occasionally hangs in librdkafka.
    consumer.unsubscribe();
    within(async {
        while consumer.assignment().unwrap().count() > 0 {
            drop(consumer.poll(Duration::from_millis(20)));
            tokio::task::yield_now().await;
        }
    })
    .await;
    std::mem::forget(consumer);
    until_outcomes(&shop, PRODUCTS).await;
    assert!(!alarms(&shop, "position-foreign").is_empty());
    shop.close().await;
}

/// A group that others have used before the shop was ever started: its file counts all the same, and nothing is passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_others_used_before_the_first_start_begins_at_the_beginning() {
    let Some(place) = Place::kafka() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("products.json");
    let products: Vec<_> =
        ids(PRODUCTS).map(|id| format!(r#"{{"productId":"{id}","name":"{id}","price":1.5,"inventory":{STOCK}}}"#)).collect();
    std::fs::write(&file, format!("[{}]", products.join(","))).unwrap();
    buy(&place, 0).await;
    Administrator(&place).set_positions(&ends(&place).await).await;
    let shop = Shop::open(&place, &Setup { bootstrap_file: Some(file), ..Setup::default() }).await;
    until_outcomes(&shop, PRODUCTS).await;
    let stock = shop.ledger().await.products;
    assert!(stock.len() == PRODUCTS && stock.values().all(|(units, _)| *units == STOCK - 1), "{stock:?}");
    shop.close().await;
}

/// A broker that loses the markers of the group's own commits returns positions from long ago.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_are_not_applied_again_after_positions_went_back() {
    let Some(place) = Place::kafka() else { return };
    let shop = open(&place).await;
    shop.stock(ids(PRODUCTS), STOCK).await;
    let early = shop.log.committed(INVENTORY_GROUP).await.unwrap();
    // Inputs that leave no state as evidence: removed products that were sold before; orders of unknown products; invalid
    // products.
    shop.append(ids(PRODUCTS).enumerate().map(|(n, id)| order(n, &id, 1)).collect()).await;
    shop.settle().await;
    let removals = ids(PRODUCTS).step_by(2).map(|id| NewRecord { value: None, ..record(Topic::ProductUpdates, &id, "") });
    shop.append(removals.collect()).await;
    let strangers = (0..PRODUCTS).map(|n| order(PRODUCTS + n, &format!("STRANGER{n}"), 1));
    let broken = (0..PRODUCTS).map(|n| record(Topic::ProductUpdates, &format!("BROKEN{n}"), "{"));
    shop.append(strangers.chain(broken).collect()).await;
    shop.settle().await;
    let before = shop.ledger().await;
    assert_eq!((before.outcomes().len(), before.products.len(), before.dead_letters), (2 * PRODUCTS, PRODUCTS / 2, PRODUCTS));
    shop.close().await;

    for (round, positions) in [(1, &early), (2, &early)] {
        Administrator(&place).set_positions(positions).await;
        let bought = (2 + round) * PRODUCTS;
        append(&*place.log().await, ids(PRODUCTS).enumerate().map(|(n, id)| order(bought + n, &id, 1)).collect()).await;
        let shop = open(&place).await;
        shop.settle().await;
        let after = shop.ledger().await;
        after.check_chains();
        // Half of the products are still sold, the others are no longer known: each new order has one outcome.
        assert_eq!(after.outcomes().len(), (2 + round) * PRODUCTS, "round {round}");
        assert_eq!(after.events.len(), before.events.len() + round * PRODUCTS, "round {round}: only the new orders have events");
        assert_eq!((after.products.len(), after.dead_letters), (PRODUCTS / 2, PRODUCTS), "round {round}");
        shop.close().await;
    }
}
