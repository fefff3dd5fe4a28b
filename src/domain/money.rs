//! Money in whole cents.
//!
//! Inside the shop money is an integer; only the wire format uses a JSON number with at most two decimals.

use std::fmt;

use super::ids::InvalidValue;

/// Largest amount in cents: what the contract's `numeric(10,2)` columns hold.
pub const CENTS_MAX: i64 = 9_999_999_999;

/// An amount of money in cents, from 0 to [`CENTS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cents(i64);

impl Cents {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// Validates an amount in cents.
    ///
    /// # Errors
    /// [`InvalidValue::OutOfRange`] below 0 or above [`CENTS_MAX`].
    pub fn new(cents: i64) -> Result<Self, InvalidValue> {
        if (0..=CENTS_MAX).contains(&cents) {
            Ok(Self(cents))
        } else {
            Err(InvalidValue::OutOfRange { field: "price", value: cents.to_string(), expected: "0 to 99999999.99" })
        }
    }

    /// Parses an amount in units of currency, as on the wire, rounded to the cent, halves away from zero.
    ///
    /// # Errors
    /// [`InvalidValue::OutOfRange`] if it is not a number, negative, too large, or greater than 0 but rounded to 0: a product
    /// with a price must not become free.
    pub fn from_units(amount: f64) -> Result<Self, InvalidValue> {
        let cents = (amount * 100.0).round();
        #[expect(clippy::cast_precision_loss, reason = "CENTS_MAX is far below 2^53")]
        let max = CENTS_MAX as f64;
        if amount >= 0.0 && cents <= max && (cents > 0.0 || amount == 0.0) {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number between 0 and CENTS_MAX")]
            return Ok(Self(cents as i64));
        }
        Err(InvalidValue::OutOfRange {
            field: "price",
            value: amount.to_string(),
            expected: "0, or a number from 0.01 to 99999999.99",
        })
    }

    /// The amount in cents.
    #[must_use]
    pub fn cents(self) -> i64 {
        self.0
    }

    /// The amount in units of currency, as on the wire.
    #[must_use]
    pub fn to_units(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "CENTS_MAX is far below 2^53")]
        let cents = self.0 as f64;
        cents / 100.0
    }

    /// The sum; `None` if it exceeds what the tables can hold.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Self::new(self.0 + other.0).ok()
    }

    /// This amount times `times`; `None` if it exceeds what the tables can hold.
    #[must_use]
    pub fn checked_mul(self, times: i64) -> Option<Self> {
        self.0.checked_mul(times).and_then(|cents| Self::new(cents).ok())
    }
}

impl fmt::Display for Cents {
    /// Two decimals, no currency: `90.00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_the_wire_shows() {
        for (units, cents) in [(0.0, 0), (0.1 + 0.2, 30), (1899.99, 189_999), (2.675, 268), (33.33, 3333), (0.005, 1), (-0.0, 0)]
        {
            assert_eq!(Cents::from_units(units).unwrap().cents(), cents, "{units}");
        }
        assert_eq!(Cents::new(9000).unwrap().to_string(), "90.00");
        assert_eq!(Cents::new(5).unwrap().to_string(), "0.05");
        for bad in [-0.01, -1e-9, 0.001, 1e-9, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, 1e12] {
            assert!(Cents::from_units(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn arithmetic_ends_at_what_the_tables_hold() {
        let most = Cents::new(CENTS_MAX).unwrap();
        assert_eq!(most.checked_add(Cents::new(1).unwrap()), None);
        assert_eq!(most.checked_mul(i64::MAX), None);
        assert_eq!(Cents::new(3333).unwrap().checked_mul(3), Cents::new(9999).ok());
    }
}
