//! Stock levels, and the alerts raised by a change of level or a price drop.

use crate::domain::EpochMs;
use crate::domain::ids::{ProductId, Stock};
use crate::domain::money::Cents;

/// Stock level of a product, as shown in the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StockLevel {
    Normal,
    Warning,
    Critical,
    Out,
}

impl StockLevel {
    /// The wire's `alertLevel`; `None` for a sufficient stock. `OUT_OF_STOCK` at stock 0.
    #[must_use]
    pub fn alert_level(self) -> Option<&'static str> {
        match self {
            Self::Normal => None,
            Self::Warning => Some("WARNING"),
            Self::Critical => Some("CRITICAL"),
            Self::Out => Some("OUT_OF_STOCK"),
        }
    }
}

/// The kind of an alert, with the figures of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertKind {
    LowStock { left: Stock, severity: Severity },
    OutOfStock,
    PriceDrop { from: Cents, to: Cents },
}

/// Severity of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    /// The severity as written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }
}

/// One alert of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub product_id: ProductId,
    pub kind: AlertKind,
    pub at_ms: EpochMs,
}

impl Alert {
    /// The wire's `alertType`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            AlertKind::LowStock { .. } => "LOW_STOCK",
            AlertKind::OutOfStock => "OUT_OF_STOCK",
            AlertKind::PriceDrop { .. } => "PRICE_DROP",
        }
    }

    /// The alert's severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self.kind {
            AlertKind::LowStock { severity, .. } => severity,
            AlertKind::OutOfStock => Severity::Critical,
            AlertKind::PriceDrop { .. } => Severity::Info,
        }
    }

    /// The text that the contract prescribes.
    #[must_use]
    pub fn message(&self) -> String {
        match self.kind {
            AlertKind::LowStock { left, .. } => format!("Low stock: only {} items remaining", left.units()),
            AlertKind::OutOfStock => "Product is out of stock".to_owned(),
            AlertKind::PriceDrop { from, to } => {
                let per_mille = per_mille_dropped(from, to);
                format!("Price dropped {}.{}% from ${from} to ${to}", per_mille / 10, per_mille % 10)
            }
        }
    }
}

/// The price drop in tenths of a percent, rounded half up.
fn per_mille_dropped(from: Cents, to: Cents) -> i64 {
    let (from, to) = (from.cents(), to.cents());
    ((from - to) * 1000 + from / 2) / from.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_contract() {
        let alert = |kind| Alert { product_id: ProductId::new("P").unwrap(), kind, at_ms: 0 };
        let drop = AlertKind::PriceDrop { from: Cents::new(10_000).unwrap(), to: Cents::new(9_000).unwrap() };
        assert_eq!(alert(drop).message(), "Price dropped 10.0% from $100.00 to $90.00");
        let low = AlertKind::LowStock { left: Stock::new(4).unwrap(), severity: Severity::Critical };
        assert_eq!(alert(low).message(), "Low stock: only 4 items remaining");
        assert_eq!(alert(AlertKind::OutOfStock).message(), "Product is out of stock");
    }
}
