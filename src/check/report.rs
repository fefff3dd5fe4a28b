//! The checker's findings: breaches, named by the check that they break, and counts of what was judged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

/// Breaches kept in full; further ones are only counted.
const KEPT: usize = 200;

/// One checkable promise, with the sentence that it proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    Readable,
    CauseNamed,
    StockChain,
    StockNeverNegative,
    VersionChain,
    PriceChain,
    OrderArithmetic,
    OneOutcome,
    StaleOnce,
    StaleInTurn,
    ProductsHoldTheLast,
    InputAccounted,
    OrderMatchesInput,
    AlertsRecomputed,
    DatabaseOutcome,
    DatabaseSettled,
    NoPhantomItem,
    OneOrderPerKey,
    ReadModel,
}

impl Check {
    /// Every check, in the order of the report.
    pub const ALL: [Self; 19] = [
        Self::Readable,
        Self::CauseNamed,
        Self::StockChain,
        Self::StockNeverNegative,
        Self::VersionChain,
        Self::PriceChain,
        Self::OrderArithmetic,
        Self::OneOutcome,
        Self::StaleOnce,
        Self::StaleInTurn,
        Self::ProductsHoldTheLast,
        Self::InputAccounted,
        Self::OrderMatchesInput,
        Self::AlertsRecomputed,
        Self::DatabaseOutcome,
        Self::DatabaseSettled,
        Self::NoPhantomItem,
        Self::OneOrderPerKey,
        Self::ReadModel,
    ];

    /// The checks that compare with PostgreSQL.
    pub const OF_DATABASE: [Self; 4] = [Self::DatabaseOutcome, Self::DatabaseSettled, Self::NoPhantomItem, Self::OneOrderPerKey];

    /// The statement that is true if this check finds nothing.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Readable => "every record of the ledger can be read, under the key of its product",
            Self::CauseNamed => "every output names its cause",
            Self::StockChain => {
                "each event begins with the stock at which the one before ended: opening + restocks - allocated = final"
            }
            Self::StockNeverNegative => "stock is never negative",
            Self::VersionChain => "each change raises the version by one; an event without a change repeats it",
            Self::PriceChain => "each event begins with the price at which the one before ended",
            Self::OrderArithmetic => {
                "an order item gets all the units it asks for, or all there are, and its shortfall is reported"
            }
            Self::OneOutcome => "each order item has at most one outcome",
            Self::StaleOnce => "each deadline makes a product stale once",
            Self::StaleInTurn => "deadlines come due in order, and none is skipped",
            Self::ProductsHoldTheLast => "`products` holds the state after the last event of each product",
            Self::InputAccounted => "each input position is applied, unchanged, expired, a probe, moved or a dead letter",
            Self::OrderMatchesInput => "each outcome is that of the record it names",
            Self::AlertsRecomputed => "there is an alert for each event that requires one, and no other",
            Self::DatabaseOutcome => "PostgreSQL and the log agree on what each item got",
            Self::DatabaseSettled => "an order's status is that of its items",
            Self::NoPhantomItem => "every item on the log that names a row matches that row of PostgreSQL",
            Self::OneOrderPerKey => "each idempotency key made one order",
            Self::ReadModel => "the read model equals the last record of `products` per key",
        }
    }
}

/// One breach of a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Breach {
    pub check: Check,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// `topic/partition/offset` or a table's row.
    pub position: String,
    pub expected: String,
    pub found: String,
}

impl Breach {
    /// A breach at a position, with the expected and the found value.
    pub fn new(check: Check, position: impl fmt::Display, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        let (position, expected, found) = (position.to_string(), expected.to_string(), found.to_string());
        Self { check, product: None, order: None, position, expected, found }
    }

    /// Names the product.
    #[must_use]
    pub fn of_product(mut self, product: &str) -> Self {
        self.product = Some(product.to_owned());
        self
    }

    /// Names the order or order item.
    #[must_use]
    pub fn of_order(mut self, order: &str) -> Self {
        self.order = Some(order.to_owned());
        self
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.position)?;
        if let Some(product) = &self.product {
            write!(f, " product {product}")?;
        }
        if let Some(order) = &self.order {
            write!(f, " order {order}")?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)
    }
}

/// The verdict with its evidence.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Breaches by check; a check that is not there found nothing.
    pub counts: BTreeMap<Check, u64>,
    /// The first breaches in full.
    pub breaches: Vec<Breach>,
    /// Counts of what was judged, and the positions as of which.
    pub figures: BTreeMap<String, i64>,
    /// Checks without anything to judge: they prove nothing.
    pub not_judged: BTreeSet<Check>,
    /// Partitions that could not be read to their end, and why; checks that depend on them were not judged.
    pub unread: Vec<String>,
    /// Remarks for the reader.
    pub notes: Vec<String>,
}

impl Findings {
    /// Records a breach.
    pub fn breach(&mut self, breach: Breach) {
        *self.counts.entry(breach.check).or_default() += 1;
        if self.breaches.len() < KEPT {
            self.breaches.push(breach);
        }
    }

    /// Adds to a count.
    pub fn count(&mut self, figure: &str, by: i64) {
        if let Some(known) = self.figures.get_mut(figure) {
            *known += by;
        } else {
            self.figures.insert(figure.to_owned(), by);
        }
    }

    /// Adds a remark for the reader.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Whether every check that was made holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.counts.is_empty()
    }

    /// Whether every check was made except that of the read model, which exists only while a server runs.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.unread.is_empty() && self.not_judged.iter().all(|check| *check == Check::ReadModel)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in Check::ALL {
            match self.counts.get(&check) {
                None if self.not_judged.contains(&check) => writeln!(f, "  ?       {}", check.sentence())?,
                None => writeln!(f, "  ok      {}", check.sentence())?,
                Some(count) => writeln!(f, "  BROKEN  {} ({count} times)", check.sentence())?,
            }
            for breach in self.breaches.iter().filter(|breach| breach.check == check).take(10) {
                writeln!(f, "            {breach}")?;
            }
        }
        writeln!(f)?;
        let width = self.figures.keys().map(String::len).max().unwrap_or(0);
        self.figures.iter().try_for_each(|(name, value)| writeln!(f, "  {name:width$}  {value:>12}"))?;
        self.unread.iter().try_for_each(|unread| writeln!(f, "  {unread}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "  note: {note}"))?;
        let verdict = match (self.holds(), self.is_whole()) {
            (true, true) => "the ledger adds up",
            (true, false) => "what was checked adds up, but some of it could not be checked",
            (false, _) => "THE LEDGER DOES NOT ADD UP",
        };
        writeln!(f, "\n{verdict}")
    }
}
