//! One product's state: its details and stock, the applied positions, and its stale deadline.

use super::alert::StockLevel;
use super::command::{Cause, InputPosition, InputTopic, PerInput};
use crate::domain::EpochMs;
use crate::domain::ids::Stock;
use crate::domain::product::{Product, Revision};

/// The parameters of the rules; configured, the same for every product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Stock from 1 up to this is `CRITICAL`.
    pub critical_max: i64,
    /// Stock above that and up to this is `WARNING`.
    pub warning_max: i64,
    /// A product without an update for this long goes stale, in milliseconds.
    pub stale_after_ms: i64,
}

impl Default for Rules {
    /// The contract's thresholds: 1-5 critical, 6-9 warning, stale after an hour.
    fn default() -> Self {
        Self { critical_max: 5, warning_max: 9, stale_after_ms: 3_600_000 }
    }
}

impl Rules {
    /// The level of a stock.
    #[must_use]
    pub fn level(&self, stock: Stock) -> StockLevel {
        match stock.units() {
            0 => StockLevel::Out,
            n if n <= self.critical_max => StockLevel::Critical,
            n if n <= self.warning_max => StockLevel::Warning,
            _ => StockLevel::Normal,
        }
    }
}

/// The last applied position per input topic, always of the product's own partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied(PerInput<Option<InputPosition>>);

impl Applied {
    /// The last applied position of a topic; `None` before the first.
    #[must_use]
    pub fn get(&self, topic: InputTopic) -> Option<InputPosition> {
        self.0[topic]
    }

    /// Sets the position of a topic, as restored from a state record.
    pub fn set(&mut self, topic: InputTopic, position: InputPosition) {
        self.0[topic] = Some(position);
    }

    /// Whether a cause's record was already applied. `false` for causes that are not records.
    #[must_use]
    pub fn covers(&self, cause: &Cause) -> bool {
        match cause {
            Cause::Record { topic, position, .. } => self.get(*topic).is_some_and(|last| *position <= last),
            Cause::File { .. } | Cause::Timer { .. } => false,
        }
    }

    pub(super) fn advance(&mut self, cause: &Cause) {
        if let Cause::Record { topic, position, .. } = cause {
            self.set(*topic, *position);
        }
    }
}

/// The complete state of one product. Its record on `products` is the only authoritative copy.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductState {
    pub product: Product,
    pub revision: Revision,
    /// Time of the last change.
    pub changed_at_ms: EpochMs,
    /// Time of the last catalogue record or order item that named the product.
    pub last_heard_ms: EpochMs,
    /// When it goes stale unless it is named again before.
    pub stale_deadline_ms: EpochMs,
    /// It went stale at that deadline and was not named since.
    pub stale: bool,
    pub applied: Applied,
}
