//! Accounts for every input position of one partition: it has its output, or the contract says that it gives none.
//!
//! Inputs are read first; then each event is matched with the input that caused it. The inputs left over at the end must be ones
//! that give no event by the checker's own rules: an update without a change, an expired item or a probe, a record that was moved
//! or dead-lettered.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;

use super::decode::{self, Event, OutputCause, Update, fingerprint};
use super::report::{Breach, Check, Findings};
use crate::log::partitioner::partition_of;
use crate::log::{PartitionId, Record, Topic};

/// Input records that were put aside, gathered over all partitions before any is judged.
#[derive(Debug, Default)]
pub struct Elsewhere {
    /// `topic/partition/offset` of records in `dead-letters`.
    pub dead: HashSet<(String, PartitionId, i64)>,
    /// The same of records that were written again to the right partition.
    pub moved: HashSet<(String, PartitionId, i64)>,
}

impl Elsewhere {
    /// Takes note of a dead letter.
    pub fn dead_letter(&mut self, record: &Record) {
        let number = |name: &str| record.headers.get_str(name).and_then(|text| text.parse::<i64>().ok());
        let topic = record.headers.get_str("__streams.errors.topic").map(str::to_owned);
        if let (Some(topic), Some(partition), Some(offset)) =
            (topic, number("__streams.errors.partition"), number("__streams.errors.offset"))
        {
            self.dead.insert((topic, i32::try_from(partition).unwrap_or(-1), offset));
        }
    }

    /// Takes note of where a re-keyed record came from.
    pub fn second_writing(&mut self, record: &Record) {
        let Some(from) = record.headers.get_str("kartshoppe-moved-from") else { return };
        let mut parts = from.rsplitn(3, '/');
        if let (Some(offset), Some(partition), Some(topic)) = (parts.next(), parts.next(), parts.next())
            && let (Ok(offset), Ok(partition)) = (offset.parse(), partition.parse())
        {
            self.moved.insert((topic.to_owned(), partition, offset));
        }
    }
}

/// The output that a position of `order-events` must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Nothing,
    /// One outcome with this fingerprint of product, order and quantity.
    Outcome(u64),
    /// A probe: `ORDER_EXPIRED` or nothing.
    Probe,
    /// A dead letter: `ORDER_REJECTED` if it names an item, else nothing.
    Rejection,
    /// It had its outcome.
    Answered,
}

/// A short fingerprint of an item; never 0.
fn item_mark(order_item_id: &str) -> u32 {
    (fingerprint(&order_item_id) as u32).max(1)
}

/// An update that no event was matched with yet.
#[derive(Debug, Clone)]
struct UnmatchedUpdate {
    offset: i64,
    index: u32,
    update: Update,
}

/// The inputs of one partition.
#[derive(Debug)]
pub struct Inputs {
    partition: PartitionId,
    /// Offset of the first entry of `orders`.
    first_order: i64,
    /// Every order event before this offset was processed by the engine.
    orders_taken: i64,
    /// The same for updates, from the oldest that the log keeps.
    updates_kept: Range<i64>,
    orders: Vec<Expected>,
    /// Which item each of `orders` names, in half of its fingerprint; 0 for none. Only few are ever compared.
    items: Vec<u32>,
    /// The offset of the last answered probe, by item.
    answered: HashMap<u32, i64>,
    highest_append_ms: i64,
    updates: HashMap<String, VecDeque<UnmatchedUpdate>>,
    /// Stocks a product went through since its last update with an event, while updates wait.
    window: HashMap<String, Vec<i64>>,
    details: HashMap<String, u64>,
    /// The update that a product's last event named.
    struck: HashMap<String, (i64, u32)>,
    /// Topic and offset of the records that were put aside as dead letters.
    dead: HashSet<(String, i64)>,
}

impl Inputs {
    /// Nothing read yet.
    #[must_use]
    pub fn new(partition: PartitionId) -> Self {
        Self {
            partition,
            first_order: 0,
            orders_taken: 0,
            updates_kept: 0..0,
            orders: Vec::new(),
            items: Vec::new(),
            answered: HashMap::new(),
            highest_append_ms: i64::MIN,
            updates: HashMap::new(),
            window: HashMap::new(),
            details: HashMap::new(),
            struck: HashMap::new(),
            dead: HashSet::new(),
        }
    }

    /// The engine has processed the topic's records from `start`, the oldest that the log keeps, to before `taken`.
    pub fn expect(&mut self, topic: Topic, start: i64, taken: i64) {
        if topic == Topic::OrderEvents {
            (self.first_order, self.orders_taken) = (start, taken);
        } else {
            self.updates_kept = start..taken;
        }
    }

    /// Reads one record that the engine has taken (its position lies before the committed one).
    pub fn take(&mut self, record: &Record, partitions: PartitionId, elsewhere: &Elsewhere, report: &mut Findings) {
        if record.topic == Topic::OrderEvents {
            self.take_order(record, partitions, elsewhere, report);
        } else {
            self.take_updates(record, partitions, elsewhere, report);
        }
    }

    fn take_order(&mut self, record: &Record, partitions: PartitionId, elsewhere: &Elsewhere, report: &mut Findings) {
        let place = usize::try_from(record.offset - self.first_order).unwrap_or_default();
        self.orders.resize(place + 1, Expected::Nothing);
        self.items.resize(place + 1, 0);
        self.highest_append_ms = self.highest_append_ms.max(record.append_time_ms);
        let aside = self.aside(record, elsewhere);
        let item = record.value.as_ref().and_then(|value| decode::order_item(value));
        if aside == Aside::Dead {
            self.orders[place] = Expected::Rejection;
        }
        let Some(item) = item else {
            report.count("order events unusable", 1);
            self.must_be_dead(record, aside, report);
            return;
        };
        if aside == Aside::Dead {
            report.count("order events dead-lettered", 1);
            return;
        }
        if partition_of(item.product_id.as_bytes(), partitions) != self.partition {
            self.must_be_moved(record, aside, report);
            return;
        }
        self.orders[place] = if item.probe {
            report.count("probes", 1);
            Expected::Probe
        } else if item.expires_at.is_some_and(|expiry| self.highest_append_ms > expiry) {
            report.count("order events expired", 1);
            Expected::Nothing
        } else {
            self.items[place] = item.order_item_id.as_deref().map_or(0, item_mark);
            Expected::Outcome(fingerprint(&(item.product_id.as_str(), item.order_id.as_str(), item.quantity)))
        };
    }

    fn take_updates(&mut self, record: &Record, partitions: PartitionId, elsewhere: &Elsewhere, report: &mut Findings) {
        let aside = self.aside(record, elsewhere);
        for (index, update) in (0..).zip(decode::updates(record)) {
            let product = match &update {
                Update::Unusable => {
                    report.count("updates unusable", 1);
                    self.must_be_dead(record, aside, report);
                    continue;
                }
                Update::Upsert { product_id, .. } | Update::Remove { product_id } => product_id.clone(),
            };
            if aside == Aside::Dead {
                continue;
            }
            if partition_of(product.as_bytes(), partitions) != self.partition {
                self.must_be_moved(record, aside, report);
                continue;
            }
            self.updates.entry(product).or_default().push_back(UnmatchedUpdate { offset: record.offset, index, update });
        }
    }

    /// Strikes off the input that an event names, and judges the silent ones before it.
    pub fn strike(
        &mut self,
        event: &Event,
        cause: OutputCause,
        position: &str,
        stock_before: Option<i64>,
        report: &mut Findings,
    ) {
        match cause {
            OutputCause::Order { partition, offset, .. } if partition == self.partition => {
                self.strike_order(event, offset, position, report)
            }
            OutputCause::Update { partition, offset, index } if partition == self.partition => {
                self.strike_update(event, (offset, index), position, stock_before, report);
            }
            OutputCause::Order { .. } | OutputCause::Update { .. } => {
                let found = "a cause of another partition";
                report.breach(Breach::new(Check::CauseNamed, position, format!("partition {}", self.partition), found));
            }
            OutputCause::File { .. } | OutputCause::Timer { .. } => {}
        }
        if self.updates.get(&event.product_id).is_some_and(|waiting| !waiting.is_empty()) {
            self.window.entry(event.product_id.clone()).or_default().push(event.current_inventory);
        }
    }

    fn strike_order(&mut self, event: &Event, offset: i64, position: &str, report: &mut Findings) {
        // Older than what the log keeps, or younger than what is judged.
        let Ok(place) = usize::try_from(offset - self.first_order) else { return };
        if offset >= self.orders_taken {
            return;
        }
        let order = event.order_id.as_deref().unwrap_or_default();
        let Some(expected) = self.orders.get_mut(place) else {
            let expected = format!("a record at order-events/{}/{offset}", self.partition);
            let breach = Breach::new(Check::InputAccounted, position, expected, "none");
            report.breach(breach.of_product(&event.product_id).of_order(order));
            return;
        };
        let name = || format!("order-events/{}/{offset}", self.partition);
        let expired = event.event_type == "ORDER_EXPIRED";
        match *expected {
            Expected::Probe if expired => {
                if let Some(item) = event.order_item_id.as_deref() {
                    let last = self.answered.entry(item_mark(item)).or_default();
                    *last = offset.max(*last);
                }
            }
            Expected::Rejection if event.event_type == "ORDER_REJECTED" => *expected = Expected::Answered,
            Expected::Outcome(due) if !expired => {
                let found = fingerprint(&(event.product_id.as_str(), order, event.quantity.unwrap_or(0)));
                if due != found {
                    let breach =
                        Breach::new(Check::OrderMatchesInput, position, format!("the item of {}", name()), "another item");
                    report.breach(breach.of_product(&event.product_id).of_order(order));
                }
                *expected = Expected::Answered;
            }
            Expected::Answered => {
                let breach = Breach::new(Check::OneOutcome, position, format!("one outcome of {}", name()), "a second");
                report.breach(breach.of_product(&event.product_id).of_order(order));
            }
            Expected::Probe | Expected::Rejection | Expected::Outcome(_) | Expected::Nothing => {
                let breach =
                    Breach::new(Check::InputAccounted, position, format!("no {} from {}", event.event_type, name()), "one");
                report.breach(breach.of_product(&event.product_id).of_order(order));
            }
        }
    }

    fn strike_update(&mut self, event: &Event, at: (i64, u32), position: &str, stock_before: Option<i64>, report: &mut Findings) {
        let product = &event.product_id;
        let waiting = self.updates.get_mut(product).map(std::mem::take).unwrap_or_default();
        let (before, mut after): (VecDeque<_>, VecDeque<_>) =
            waiting.into_iter().partition(|update| (update.offset, update.index) < at);
        let mut window = self.window.remove(product).unwrap_or_default();
        window.extend(stock_before);
        self.judge_silent(product, before, &window, stock_before.is_none(), report);
        // One update may have two events: of stock, then of price.
        let is_second = self.struck.get(product) == Some(&at);
        match after.front().filter(|update| (update.offset, update.index) == at).map(|update| &update.update) {
            Some(Update::Upsert { stock, price, details, .. }) => {
                let stated = (event.current_inventory, event.current_price.unwrap_or(*price));
                if stated != (*stock, *price) {
                    let (expected, found) =
                        (format!("stock {stock} price {price}"), format!("stock {} price {}", stated.0, stated.1));
                    report.breach(Breach::new(Check::OrderMatchesInput, position, expected, found).of_product(product));
                }
                self.details.insert(product.clone(), *details);
            }
            Some(Update::Remove { .. }) => {}
            Some(Update::Unusable) | None if is_second || !self.updates_kept.contains(&at.0) => {}
            Some(Update::Unusable) | None => {
                let expected = format!("an update at product-updates/{}/{}/{}", self.partition, at.0, at.1);
                report.breach(Breach::new(Check::InputAccounted, position, expected, "none").of_product(product));
            }
        }
        self.struck.insert(product.clone(), at);
        after.retain(|update| (update.offset, update.index) > at);
        self.window.insert(product.clone(), vec![event.current_inventory]);
        self.updates.insert(product.clone(), after);
    }

    /// Updates without an event must have changed nothing at some moment between their neighbours.
    fn judge_silent(
        &self,
        product: &str,
        silent: VecDeque<UnmatchedUpdate>,
        window: &[i64],
        unknown: bool,
        report: &mut Findings,
    ) {
        for UnmatchedUpdate { offset, index, update } in silent {
            let position = format!("product-updates/{}/{offset}/{index}", self.partition);
            let sound = match &update {
                Update::Remove { .. } => unknown,
                Update::Upsert { stock, details, .. } => {
                    !unknown && window.contains(stock) && self.details.get(product).is_none_or(|known| known == details)
                }
                Update::Unusable => false,
            };
            if sound {
                report.count("updates unchanged", 1);
            } else {
                let found = format!("no event, with stock {window:?} between its neighbours");
                report.breach(Breach::new(Check::InputAccounted, position, "an event", found).of_product(product));
            }
        }
    }

    /// Judges what is left when all events were read. `stock_of` gives the stock of a living product.
    pub fn finish(mut self, elsewhere: &Elsewhere, stock_of: impl Fn(&str) -> Option<i64>, report: &mut Findings) {
        for (product, silent) in std::mem::take(&mut self.updates) {
            let mut window = self.window.remove(&product).unwrap_or_default();
            let now = stock_of(&product);
            window.extend(now);
            self.judge_silent(&product, silent, &window, now.is_none(), report);
        }
        self.judge_dead(elsewhere, report);
        for ((offset, expected), item) in (self.first_order..).zip(&self.orders).zip(&self.items) {
            match expected {
                // The position was moved past it, the inventory has answered a probe that came later, and the item is published
                // again.
                Expected::Outcome(_) if self.answered.get(item).is_some_and(|probe| offset < *probe) => {
                    report.count("order events passed over", 1);
                }
                Expected::Outcome(_) => {
                    let position = format!("order-events/{}/{offset}", self.partition);
                    report.breach(Breach::new(Check::InputAccounted, position, "an outcome", "none"));
                }
                Expected::Nothing | Expected::Probe | Expected::Rejection | Expected::Answered => {}
            }
        }
    }

    /// A dead letter names a record that is there.
    fn judge_dead(&self, elsewhere: &Elsewhere, report: &mut Findings) {
        for (topic, partition, offset) in elsewhere.dead.iter().filter(|(_, partition, _)| *partition == self.partition) {
            let kept =
                if *topic == Topic::OrderEvents.name() { self.first_order..self.orders_taken } else { self.updates_kept.clone() };
            if kept.contains(offset) && !self.dead.contains(&(topic.clone(), *offset)) {
                let position = format!("{topic}/{partition}/{offset}");
                report.breach(Breach::new(Check::InputAccounted, position, "the record of a dead letter", "none"));
            }
        }
    }

    fn aside(&mut self, record: &Record, elsewhere: &Elsewhere) -> Aside {
        let key = (record.topic.name().to_owned(), self.partition, record.offset);
        if elsewhere.dead.contains(&key) {
            self.dead.insert((key.0, record.offset));
            Aside::Dead
        } else if elsewhere.moved.contains(&key) {
            Aside::Moved
        } else {
            Aside::No
        }
    }

    fn must_be_dead(&self, record: &Record, aside: Aside, report: &mut Findings) {
        if aside != Aside::Dead {
            let position = format!("{}/{}/{}", record.topic, self.partition, record.offset);
            report.breach(Breach::new(Check::InputAccounted, position, "a dead letter", "none"));
        }
    }

    fn must_be_moved(&self, record: &Record, aside: Aside, report: &mut Findings) {
        report.count("records moved", 1);
        if aside != Aside::Moved {
            let position = format!("{}/{}/{}", record.topic, self.partition, record.offset);
            report.breach(Breach::new(Check::InputAccounted, position, "a second writing on the right partition", "none"));
        }
    }
}

/// Where a record went instead of to a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aside {
    No,
    Dead,
    Moved,
}
