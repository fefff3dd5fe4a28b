//! Money as the wire writes it: a JSON number with two decimals at most.
//!
//! Whole amounts are written `20.0`, as the platform's Java programs do, and never in exponent form: the shortest text of
//! cents / 100 has at most two decimals and eight digits before them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::money::Cents;

/// An amount, or a difference of amounts, in units of currency on the wire and in cents inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i64);

impl Money {
    /// What was gained from one amount to the other: negative if it fell.
    #[must_use]
    pub fn difference(from: Cents, to: Cents) -> Self {
        Self(to.cents() - from.cents())
    }

    /// What so many units cost: it may be more than one order can.
    #[must_use]
    pub fn of_units(price: Cents, units: i64) -> Self {
        Self(price.cents().saturating_mul(units))
    }

    /// The amount in cents.
    #[must_use]
    pub fn cents(self) -> i64 {
        self.0
    }
}

impl From<Cents> for Money {
    fn from(cents: Cents) -> Self {
        Self(cents.cents())
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.map(Self::cents).fold(0, i64::saturating_add))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the ten digits of an order are far below 2^53; what is more is shown to a human only"
        )]
        json.serialize_f64(self.0 as f64 / 100.0)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let amount = f64::deserialize(json)?;
        Cents::from_units(amount).map(Self::from).map_err(D::Error::custom)
    }
}

impl ts_rs::TS for Money {
    type WithoutGenerics = Self;
    type OptionInnerType = Self;
    fn name(_: &ts_rs::Config) -> String {
        "number".to_owned()
    }
    fn inline(_: &ts_rs::Config) -> String {
        "number".to_owned()
    }
}

impl utoipa::PartialSchema for Money {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        f64::schema()
    }
}

impl utoipa::ToSchema for Money {
    fn name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers_that_people_and_java_read() {
        let text = |cents| serde_json::to_string(&Money::from(Cents::new(cents).unwrap())).unwrap();
        assert_eq!(text(189_999), "1899.99");
        assert_eq!(text(2000), "20.0");
        assert_eq!(text(0), "0.0");
        assert_eq!(text(1), "0.01");
        assert_eq!(text(crate::domain::money::CENTS_MAX), "99999999.99");
        assert_eq!(serde_json::to_string(&Money(-250)).unwrap(), "-2.5");
    }

    #[test]
    fn every_cent_is_read_as_it_was_written() {
        for cents in (0..=100_000).chain((9_999_000_000..=9_999_999_999).step_by(9973)) {
            let written = serde_json::to_string(&Money(cents)).unwrap();
            assert!(!written.contains('e') && written.split('.').nth(1).is_some_and(|d| d.len() <= 2), "{written}");
            assert_eq!(serde_json::from_str::<Money>(&written).unwrap(), Money(cents));
        }
    }
}
