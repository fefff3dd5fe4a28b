//! The ledger of one partition: folds `inventory-events` product by product, and reports where it does not add up.
//!
//! A product's account begins with its first retained event, whose `previousInventory` is the opening balance.

use std::collections::HashMap;

use super::decode::{Event, OutputCause};
use super::report::{Breach, Check, Findings};

/// Stock levels that raise an alert; configured, as for the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    pub critical_max: i64,
    pub warning_max: i64,
}

impl Thresholds {
    /// The `alertLevel` of a stock.
    #[must_use]
    pub fn level(&self, stock: i64) -> Option<&'static str> {
        match stock {
            ..=0 => Some("OUT_OF_STOCK"),
            n if n <= self.critical_max => Some("CRITICAL"),
            n if n <= self.warning_max => Some("WARNING"),
            _ => None,
        }
    }
}

/// One product's account as of the last event read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub life: i64,
    pub version: u64,
    pub stock: i64,
    /// In cents.
    pub price: Option<i64>,
    pub removed: bool,
    pub opening: i64,
    pub restocked: i64,
    pub taken_back: i64,
    pub allocated: i64,
    last_cause: Option<OutputCause>,
    /// The last deadline that made it stale.
    pub last_stale: Option<i64>,
    /// Lifetime and version when [`Ledger::mark_settled`] was called; `None` if it began after that.
    pub earlier: Option<(i64, u64)>,
    /// The last stale deadline at that time.
    pub earlier_stale: Option<i64>,
}

/// An alert that the events require.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DueAlert {
    pub product_id: String,
    pub alert_type: &'static str,
    pub severity: &'static str,
    pub message: String,
}

/// The accounts of one partition.
#[derive(Debug)]
pub struct Ledger {
    thresholds: Thresholds,
    /// No event was ever deleted: each product's first event is its creation.
    complete: bool,
    pub accounts: HashMap<String, Account>,
    settled: bool,
}

/// The effect of a kind of event on its product.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Begins,
    Ends,
    /// Raises the version by one.
    Changes,
    /// Leaves the version unchanged.
    Repeats,
    /// Concerns no product state.
    Answers,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(thresholds: Thresholds, complete: bool) -> Self {
        Self { thresholds, complete, accounts: HashMap::new(), settled: false }
    }

    /// Stores the current state of every account: `products` cannot be older than this. Only the first call counts.
    pub fn mark_settled(&mut self) {
        if !self.settled {
            self.settled = true;
            for account in self.accounts.values_mut() {
                (account.earlier, account.earlier_stale) = (Some((account.life, account.version)), account.last_stale);
            }
        }
    }

    /// Books one event found at `position`; returns the alerts that it calls for.
    pub fn book(&mut self, event: &Event, cause: OutputCause, position: &str, report: &mut Findings) -> Vec<DueAlert> {
        let effect = effect_of(event);
        if !EVENT_TYPES.contains(&event.event_type.as_str()) {
            let breach = Breach::new(Check::Readable, position, "an event type of the contract", &event.event_type);
            report.breach(breach.of_product(&event.product_id));
        }
        if event.current_inventory < 0 || event.previous_inventory.is_some_and(|stock| stock < 0) {
            report.breach(
                Breach::new(Check::StockNeverNegative, position, "0 or more", event.current_inventory)
                    .of_product(&event.product_id),
            );
        }
        if effect == Effect::Answers {
            self.check_answer(event, position, report);
            return Vec::new();
        }
        check_order(event, position, report);
        let before = self.accounts.remove(&event.product_id);
        let second =
            before.as_ref().is_some_and(|account| account.last_cause == Some(cause) && event.event_type == "PRICE_CHANGED");
        if before.is_none() && self.complete && effect != Effect::Begins {
            let breach = Breach::new(Check::VersionChain, position, "PRODUCT_ADDED", &event.event_type);
            report.breach(breach.of_product(&event.product_id));
        }
        if effect == Effect::Begins && (event.previous_inventory.unwrap_or(0), event.previous_price.unwrap_or(0)) != (0, 0) {
            let found = format!("stock {} at {} cents", shown(event.previous_inventory), shown(event.previous_price));
            report.breach(Breach::new(Check::StockChain, position, "nothing before", found).of_product(&event.product_id));
        }
        if let Some(account) = &before {
            check_chain(account, event, effect, second, position, report);
        }
        let after = self.fold(before.clone(), event, effect, cause, position, report);
        let level_before = before.as_ref().filter(|account| !account.removed).map_or_else(
            || {
                if effect == Effect::Begins {
                    None
                } else {
                    event.previous_inventory.and_then(|stock| self.thresholds.level(stock))
                }
            },
            |account| self.thresholds.level(account.stock),
        );
        let due = if matches!(effect, Effect::Begins | Effect::Changes) {
            self.alerts(event, level_before, second)
        } else {
            Vec::new()
        };
        let level = if effect == Effect::Ends { Some("OUT_OF_STOCK") } else { self.thresholds.level(event.current_inventory) };
        if event.alert_level.as_deref() != level {
            let found = format!("alertLevel {} at stock {}", shown(event.alert_level.as_deref()), event.current_inventory);
            report.breach(Breach::new(Check::AlertsRecomputed, position, shown(level), found).of_product(&event.product_id));
        }
        self.accounts.insert(event.product_id.clone(), after);
        due
    }

    fn fold(
        &self,
        before: Option<Account>,
        event: &Event,
        effect: Effect,
        cause: OutputCause,
        position: &str,
        report: &mut Findings,
    ) -> Account {
        let opening = event.previous_inventory.unwrap_or(event.current_inventory);
        let mut account = before.unwrap_or(Account {
            life: event.life.unwrap_or_default(),
            version: 0,
            stock: opening,
            price: event.previous_price,
            removed: false,
            opening,
            restocked: 0,
            taken_back: 0,
            allocated: 0,
            last_cause: None,
            last_stale: None,
            earlier: None,
            earlier_stale: None,
        });
        let moved = event.current_inventory - event.previous_inventory.unwrap_or(account.stock);
        match (event.allocated, moved) {
            (Some(units), _) => account.allocated += units,
            (None, units) if units > 0 => account.restocked += units,
            (None, units) => account.taken_back -= units,
        }
        if let OutputCause::Timer { deadline_ms } = cause {
            if account.last_stale == Some(deadline_ms) {
                report.breach(
                    Breach::new(Check::StaleOnce, position, "one STALE_INVENTORY", "a second").of_product(&event.product_id),
                );
            }
            account.last_stale = Some(deadline_ms);
        }
        account.life = event.life.unwrap_or(account.life);
        account.version = event.version.unwrap_or(account.version);
        account.stock = event.current_inventory;
        account.price = event.current_price.or(account.price);
        account.removed = effect == Effect::Ends;
        account.last_cause = Some(cause);
        account
    }

    /// An answer about a product must repeat what the product is, if it names a revision at all.
    fn check_answer(&self, event: &Event, position: &str, report: &mut Findings) {
        let (Some(account), Some(version)) = (self.accounts.get(&event.product_id), event.version) else { return };
        if (account.version, account.stock) != (version, event.current_inventory) {
            let expected = format!("version {} stock {}", account.version, account.stock);
            let found = format!("version {version} stock {}", event.current_inventory);
            report.breach(Breach::new(Check::StockChain, position, expected, found).of_product(&event.product_id));
        }
    }

    fn alerts(&self, event: &Event, level_before: Option<&str>, second: bool) -> Vec<DueAlert> {
        let mut due = Vec::new();
        let stock = event.current_inventory;
        let level = self.thresholds.level(stock);
        let alert =
            |alert_type, severity, message| DueAlert { product_id: event.product_id.clone(), alert_type, severity, message };
        if !second && level != level_before {
            due.extend(match level {
                Some("OUT_OF_STOCK") => Some(alert("OUT_OF_STOCK", "CRITICAL", "Product is out of stock".to_owned())),
                Some(severity) => Some(alert("LOW_STOCK", severity, format!("Low stock: only {stock} items remaining"))),
                None => None,
            });
        }
        if let (Some(from), Some(to)) = (event.previous_price, event.current_price)
            && from > to
            && (from - to) * 10 >= from
            && event.event_type == "PRICE_CHANGED"
        {
            let tenths = ((from - to) * 1000 + from / 2) / from;
            let money = |cents: i64| format!("${}.{:02}", cents / 100, cents % 100);
            let message = format!("Price dropped {}.{}% from {} to {}", tenths / 10, tenths % 10, money(from), money(to));
            due.push(alert("PRICE_DROP", "INFO", message));
        }
        due
    }
}

const EVENT_TYPES: [&str; 12] = [
    "PRODUCT_ADDED",
    "PRODUCT_UPDATED",
    "PRODUCT_REMOVED",
    "INVENTORY_INCREASED",
    "INVENTORY_DECREASED",
    "OUT_OF_STOCK",
    "BACK_IN_STOCK",
    "PRICE_CHANGED",
    "LOW_STOCK_ALERT",
    "STALE_INVENTORY",
    "ORDER_REJECTED",
    "ORDER_EXPIRED",
];

fn effect_of(event: &Event) -> Effect {
    match event.event_type.as_str() {
        "PRODUCT_ADDED" => Effect::Begins,
        "PRODUCT_REMOVED" => Effect::Ends,
        "STALE_INVENTORY" => Effect::Repeats,
        "ORDER_REJECTED" | "ORDER_EXPIRED" | "LOW_STOCK_ALERT" => Effect::Answers,
        "OUT_OF_STOCK" if event.order_id.is_some() && event.allocated == Some(0) => Effect::Repeats,
        _ => Effect::Changes,
    }
}

fn check_order(event: &Event, position: &str, report: &mut Findings) {
    if event.order_id.is_none() {
        return;
    }
    let (quantity, allocated) = (event.quantity.unwrap_or(0), event.allocated.unwrap_or(-1));
    let before = event.previous_inventory.unwrap_or(-1);
    let due = quantity.min(before);
    let sound = allocated == due
        && event.shortfall == Some(quantity - allocated)
        && event.current_inventory == before - allocated
        && (event.event_type == "OUT_OF_STOCK") == (event.current_inventory == 0);
    if !sound {
        let expected = format!("{due} of {quantity} from stock {before}");
        let found = format!(
            "{allocated} allocated, {:?} short, stock {}, {}",
            event.shortfall, event.current_inventory, event.event_type
        );
        let order = event.order_id.as_deref().unwrap_or_default();
        report
            .breach(Breach::new(Check::OrderArithmetic, position, expected, found).of_product(&event.product_id).of_order(order));
    }
}

fn check_chain(account: &Account, event: &Event, effect: Effect, second: bool, position: &str, report: &mut Findings) {
    let product = &event.product_id;
    let stock = if account.removed { 0 } else { account.stock };
    if event.previous_inventory != Some(stock) {
        report.breach(
            Breach::new(Check::StockChain, position, stock, format!("{:?}", event.previous_inventory)).of_product(product),
        );
    }
    let found = (event.life.unwrap_or(-1), event.version.unwrap_or(0));
    let sound = match effect {
        Effect::Begins => account.removed && found.0 > account.life && found.1 == 1,
        _ if account.removed => false,
        Effect::Changes if second => found == (account.life, account.version),
        Effect::Changes | Effect::Ends => found == (account.life, account.version + 1),
        Effect::Repeats | Effect::Answers => found == (account.life, account.version),
    };
    if !sound {
        let expected = match effect {
            Effect::Begins => format!("a life after {}", account.life),
            _ if account.removed => "nothing: the product was removed".to_owned(),
            Effect::Changes | Effect::Ends if !second => format!("life {} version {}", account.life, account.version + 1),
            Effect::Changes | Effect::Ends | Effect::Repeats | Effect::Answers => {
                format!("life {} version {}", account.life, account.version)
            }
        };
        let found = format!("{} of life {} version {}", event.event_type, found.0, found.1);
        report.breach(Breach::new(Check::VersionChain, position, expected, found).of_product(product));
    }
    let price_before = if second { event.previous_price.is_some() } else { event.previous_price == account.price };
    if effect != Effect::Begins && !price_before {
        let (expected, found) = (format!("{:?} cents", account.price), format!("{:?} cents", event.previous_price));
        report.breach(Breach::new(Check::PriceChain, position, expected, found).of_product(product));
    }
}
/// A field as a report shows it.
fn shown(field: Option<impl std::fmt::Display>) -> String {
    field.map_or_else(|| "none".to_owned(), |value| value.to_string())
}
