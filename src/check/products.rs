//! Compares `products` with the ledger's accounts, and the read model with `products`.

use std::collections::HashMap;

use serde_json::Value;

use super::decode::to_cents;
use super::ledger::Account;
use super::reading::{CheckedLog, Unread};
use super::report::{Breach, Check, Findings};
use super::stale::Deadlines;
use crate::log::{LogError, PartitionId, Record, Topic};

/// The last record of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    partition: PartitionId,
    offset: i64,
    append_time_ms: i64,
    /// `None`: written by another program, without our header.
    revision: Option<(i64, u64)>,
    stock: i64,
    price: Option<i64>,
    /// The deadline that made it stale, while it is stale.
    stale: Option<i64>,
    /// The next deadline, while it is not stale.
    fresh: Option<i64>,
    /// What the value calls itself, where that is not the key.
    other_id: Option<String>,
}

/// A tombstone that names the revision of the product's removal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Gone {
    partition: PartitionId,
    offset: i64,
    revision: (i64, u64),
}

/// The last record per key of `products`.
#[derive(Debug, Default)]
pub struct Products {
    held: HashMap<String, Held>,
    gone: HashMap<String, Gone>,
}

impl Products {
    /// Reads `products` to its end; also returns what could not be read of it.
    pub async fn read(source: CheckedLog<'_>) -> Result<(Self, Vec<Unread>), LogError> {
        let mut products = Self::default();
        let unread = source.all(&[Topic::Products], |record| products.take(record)).await?;
        Ok((products, unread))
    }

    fn take(&mut self, record: &Record) {
        let Some(key) = record.key.as_ref().and_then(|key| std::str::from_utf8(key).ok()) else { return };
        let value = record.value.as_ref().and_then(|value| serde_json::from_slice::<Value>(value).ok());
        match value.as_ref().and_then(|value| value["inventory"].as_i64()) {
            None => {
                self.held.remove(key);
                let header = record.headers.get_str("kartshoppe-revision");
                let (partition, offset) = (record.partition, record.offset);
                match header.and_then(|header| life_and_version(header.split(';'))) {
                    Some(revision) => self.gone.insert(key.to_owned(), Gone { partition, offset, revision }),
                    None => self.gone.remove(key),
                };
            }
            Some(stock) => {
                let value = value.unwrap_or_default();
                let price = value["price"].as_f64().and_then(to_cents);
                let header = record.headers.get_str("kartshoppe-state");
                let revision = header.and_then(revision);
                let (stale, fresh) = header.and_then(deadline).unwrap_or_default();
                let other_id = value["productId"].as_str().filter(|id| *id != key).map(str::to_owned);
                let (partition, offset, append_time_ms) = (record.partition, record.offset, record.append_time_ms);
                let held = Held { partition, offset, append_time_ms, revision, stock, price, stale, fresh, other_id };
                self.gone.remove(key);
                self.held.insert(key.to_owned(), held);
            }
        }
    }

    /// Compares the products of a partition with the accounts that result from the events.
    pub fn compare(
        &self,
        partition: PartitionId,
        accounts: &HashMap<String, Account>,
        deadlines: &Deadlines,
        report: &mut Findings,
    ) {
        for (product, account) in accounts {
            match self.held.get(product) {
                Some(held) => {
                    compare_one(product, account, held, report);
                    compare_turn(product, account, held, deadlines, report);
                }
                None if account.removed => self.compare_gone(product, account, report),
                None if account.earlier.is_none() => {}
                None => {
                    let breach = Breach::new(Check::ProductsHoldTheLast, "products", state_of(account), "no record");
                    report.breach(breach.of_product(product));
                }
            }
        }
        for (product, held) in self.held.iter().filter(|(_, held)| held.partition == partition) {
            if !accounts.contains_key(product) {
                let position = format!("products/{partition}/{}", held.offset);
                report.breach(Breach::new(Check::ProductsHoldTheLast, position, "an event", "none").of_product(product));
            }
        }
    }

    /// Compares the tombstone with the account that it closes.
    fn compare_gone(&self, product: &str, account: &Account, report: &mut Findings) {
        let Some(Gone { partition, offset, revision }) = self.gone.get(product) else { return };
        let now = (account.life, account.version);
        if *revision != now && !was_left_behind(*revision, account) {
            let (position, expected) = (format!("products/{partition}/{offset}"), format!("removed with revision {now:?}"));
            let found = format!("a tombstone of revision {revision:?}");
            report.breach(Breach::new(Check::ProductsHoldTheLast, position, expected, found).of_product(product));
        }
    }

    /// Compares every product of the read model, which may be newer than `products` was when it was read.
    pub fn compare_read_model(&self, shown: &[Value], report: &mut Findings) {
        report.count("products shown", i64::try_from(shown.len()).unwrap_or(i64::MAX));
        let shown: HashMap<_, _> = shown.iter().filter_map(|product| Some((product["productId"].as_str()?, product))).collect();
        for (product, held) in &self.held {
            let Some(body) = shown.get(product.as_str()) else {
                report.breach(Breach::new(Check::ReadModel, "read model", "the product", "nothing").of_product(product));
                continue;
            };
            let revision = (body["life"].as_i64().unwrap_or(-1), body["version"].as_u64().unwrap_or(0));
            let (stock, price) = (body["inventory"].as_i64(), body["price"].as_f64().and_then(to_cents));
            let same = Some(revision) == held.revision && stock == Some(held.stock) && price == held.price;
            if !same && Some(revision) <= held.revision {
                let expected = format!("{:?} stock {} price {:?}", held.revision, held.stock, held.price);
                let found = format!("{revision:?} stock {stock:?} price {price:?}");
                report.breach(Breach::new(Check::ReadModel, "read model", expected, found).of_product(product));
            }
        }
        for product in shown.keys().filter(|product| !self.held.contains_key(**product)) {
            report.note(format!("the read model shows {product}, which was not on `products` when that was read"));
        }
    }
}

fn compare_one(product: &str, account: &Account, held: &Held, report: &mut Findings) {
    if let Some(other_id) = &held.other_id {
        let position = format!("products/{}/{}", held.partition, held.offset);
        report.breach(Breach::new(Check::ProductsHoldTheLast, position, product, other_id).of_product(product));
    }
    // The events were read last: they may contain a later deadline, but must not end before this one.
    if let Some(deadline) = held.stale.filter(|deadline| !account.removed && account.last_stale < Some(*deadline)) {
        let position = format!("products/{}/{}", held.partition, held.offset);
        let expected = format!("a STALE_INVENTORY of deadline {deadline}");
        let found = format!("{:?}", account.last_stale);
        report.breach(Breach::new(Check::ProductsHoldTheLast, position, expected, found).of_product(product));
    }
    if let Some(deadline) = held.fresh.filter(|deadline| !account.removed && account.earlier_stale >= Some(*deadline)) {
        let position = format!("products/{}/{}", held.partition, held.offset);
        let expected = format!("stale since deadline {:?}", account.earlier_stale);
        let breach = Breach::new(Check::ProductsHoldTheLast, position, expected, format!("fresh until {deadline}"));
        report.breach(breach.of_product(product));
    }
    let now = (account.life, account.version);
    let sound = match held.revision {
        _ if account.removed => account.earlier.is_none_or(|earlier| earlier < now),
        Some(revision) if revision == now => {
            held.stock == account.stock && (account.price.is_none() || held.price == account.price)
        }
        Some(revision) => was_left_behind(revision, account),
        None => true,
    };
    if !sound {
        let position = format!("products/{}/{}", held.partition, held.offset);
        let found = format!("revision {:?} stock {} price {:?}", held.revision, held.stock, held.price);
        report.breach(Breach::new(Check::ProductsHoldTheLast, position, state_of(account), found).of_product(product));
    }
}

/// The events were read last: they may have gone on, but not from before what was settled.
fn was_left_behind(revision: (i64, u64), account: &Account) -> bool {
    revision < (account.life, account.version) && account.earlier.is_none_or(|earlier| revision >= earlier)
}

/// Its deadline is not one that was passed over.
fn compare_turn(product: &str, account: &Account, held: &Held, deadlines: &Deadlines, report: &mut Findings) {
    let Some(deadline) = held.fresh.filter(|_| !account.removed) else { return };
    if let Some(later) = deadlines.passed_over(deadline, held.append_time_ms) {
        let position = format!("products/{}/{}", held.partition, held.offset);
        let expected = format!("stale since deadline {deadline}, as one of {later} came due");
        report.breach(Breach::new(Check::StaleInTurn, position, expected, "fresh").of_product(product));
    }
}

fn state_of(account: &Account) -> String {
    let Account { life, version, stock, price, .. } = account;
    if account.removed {
        "nothing: it was removed".to_owned()
    } else {
        format!("revision ({life}, {version}) stock {stock} price {price:?}")
    }
}

/// The deadline of a stale product (first), or of one that is not stale (second): the sixth field of the state header; the
/// seventh says which.
fn deadline(header: &str) -> Option<(Option<i64>, Option<i64>)> {
    let mut fields = header.split(';').skip(5);
    let deadline = fields.next()?.parse().ok();
    Some(if fields.next()? == "s" { (deadline, None) } else { (None, deadline) })
}

/// Lifetime and version in the state header: the second and third field.
fn revision(header: &str) -> Option<(i64, u64)> {
    life_and_version(header.split(';').skip(1))
}

/// Parses the next two fields.
fn life_and_version<'a>(mut fields: impl Iterator<Item = &'a str>) -> Option<(i64, u64)> {
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
