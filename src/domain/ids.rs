//! Identifiers and quantities, validated at construction and trusted afterwards.
//!
//! The limits are those of the contract's tables: `varchar(50)` for ids, and a stock that fits a signed 64-bit integer with
//! room to spare, so that no sum of stock can overflow.

use std::fmt;
use std::sync::Arc;

/// Longest id in characters: the width of the contract's `varchar(50)` columns.
pub const ID_MAX_CHARS: usize = 50;

/// Longest session id in characters. Not stored in a `varchar(50)`, and pages compose theirs from several parts.
pub const SESSION_ID_MAX_CHARS: usize = 128;

/// Largest stock or quantity of one product, in units. Far above any shop, far below any overflow.
pub const UNITS_MAX: i64 = 1_000_000_000_000;

/// Why an id or a number was refused. The text names the field by its wire name and says what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// The id is empty.
    #[error("{field} is empty")]
    Empty { field: &'static str },
    /// The id or text is longer than can be stored.
    #[error("{field} has {chars} characters, at most {max} are accepted")]
    TooLong { field: &'static str, chars: usize, max: usize },
    /// The id contains a control character, which breaks PostgreSQL or a terminal.
    #[error("{field} contains a control character")]
    ControlCharacter { field: &'static str },
    /// The name has no visible character.
    #[error("{field} has no visible character")]
    Invisible { field: &'static str },
    /// The id cannot be a path segment of an address: browsers and proxies resolve it as the current or parent folder.
    #[error("{field} is {text:?}, which no web address can name")]
    PathSegment { field: &'static str, text: String },
    /// The number is outside its range.
    #[error("{field} is {value}, expected {expected}")]
    OutOfRange { field: &'static str, value: String, expected: &'static str },
}

/// Refuses a text without visible characters: a product with such a name could neither be recognised nor searched for. For new
/// input only; stored text is read unchanged.
///
/// # Errors
/// [`InvalidValue::Invisible`], also for an empty text.
pub fn check_visible(field: &'static str, text: &str) -> Result<(), InvalidValue> {
    if text.chars().all(is_invisible) { Err(InvalidValue::Invisible { field }) } else { Ok(()) }
}

/// White space, controls, and the characters of Unicode's `Default_Ignorable_Code_Point` and `Cf` that fonts do not draw.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}'
        )
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}')
        || matches!(c, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn check_id(field: &'static str, text: &str, max_chars: usize) -> Result<(), InvalidValue> {
    if text.is_empty() {
        return Err(InvalidValue::Empty { field });
    }
    let chars = text.chars().count();
    if chars > max_chars {
        return Err(InvalidValue::TooLong { field, chars, max: max_chars });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidValue::ControlCharacter { field });
    }
    Ok(())
}

/// `.` and `..` are resolved by browsers and proxies even when written as `%2E`, so a product with such an id could never be
/// shown.
fn check_segment(field: &'static str, text: &str) -> Result<(), InvalidValue> {
    match text {
        "." | ".." => Err(InvalidValue::PathSegment { field, text: text.to_owned() }),
        _ => Ok(()),
    }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max_chars:expr $(, $check:ident)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Validates the id.
            ///
            /// # Errors
            /// [`InvalidValue`] if it is empty, too long for its kind, contains a control character, or cannot be part of an
            /// address.
            pub fn new(text: &str) -> Result<Self, InvalidValue> {
                check_id($field, text, $max_chars)?;
                $($check($field, text)?;)?
                Ok(Self(Arc::from(text)))
            }

            /// The id as written on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id_type!(
    /// Identifies one product, and so its actor; the key of every keyed topic.
    ProductId,
    "productId",
    ID_MAX_CHARS,
    check_segment
);
id_type!(
    /// Identifies one order.
    OrderId,
    "orderId",
    ID_MAX_CHARS
);
id_type!(
    /// Identifies one row of `order_items`: the unit that has exactly one outcome.
    OrderItemId,
    "orderItemId",
    ID_MAX_CHARS
);
id_type!(
    /// Identifies a shopper's session, and so a cart: chosen by the page.
    SessionId,
    "sessionId",
    SESSION_ID_MAX_CHARS
);
id_type!(
    /// Identifies a shopper; stored as the order's customer.
    UserId,
    "userId",
    ID_MAX_CHARS
);

/// Units of a product that an order item requests: at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i64);

impl Quantity {
    /// Validates the number of units.
    ///
    /// # Errors
    /// [`InvalidValue::OutOfRange`] below 1 or above [`UNITS_MAX`].
    pub fn new(units: i64) -> Result<Self, InvalidValue> {
        if (1..=UNITS_MAX).contains(&units) {
            Ok(Self(units))
        } else {
            Err(InvalidValue::OutOfRange { field: "quantity", value: units.to_string(), expected: "an integer of at least 1" })
        }
    }

    /// The number of units, at least 1.
    #[must_use]
    pub fn units(self) -> i64 {
        self.0
    }
}

/// Units of a product in stock: never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stock(i64);

impl Stock {
    /// An empty stock.
    pub const NONE: Self = Self(0);

    /// Validates the number of units.
    ///
    /// # Errors
    /// [`InvalidValue::OutOfRange`] below 0 or above [`UNITS_MAX`].
    pub fn new(units: i64) -> Result<Self, InvalidValue> {
        if (0..=UNITS_MAX).contains(&units) {
            Ok(Self(units))
        } else {
            Err(InvalidValue::OutOfRange { field: "inventory", value: units.to_string(), expected: "an integer of at least 0" })
        }
    }

    /// The number of units, at least 0.
    #[must_use]
    pub fn units(self) -> i64 {
        self.0
    }

    /// Takes up to the wanted number of units; returns the remaining stock and the units taken.
    #[must_use]
    pub fn take(self, wanted: Quantity) -> (Self, i64) {
        let taken = self.0.min(wanted.0);
        (Self(self.0 - taken), taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_no_table_can_hold() {
        assert_eq!(ProductId::new(""), Err(InvalidValue::Empty { field: "productId" }));
        assert!(ProductId::new(&"x".repeat(50)).is_ok());
        assert!(ProductId::new(&"é".repeat(50)).is_ok());
        assert!(matches!(ProductId::new(&"x".repeat(51)), Err(InvalidValue::TooLong { chars: 51, .. })));
        for segment in [".", ".."] {
            assert!(matches!(ProductId::new(segment), Err(InvalidValue::PathSegment { field: "productId", .. })));
        }
        for id in ["...", ".a", "%2E", "a/b", "a/../b", "a%2Fb", "x?y#z", "C++", "50%", " ", "\u{202e}"] {
            assert!(ProductId::new(id).is_ok(), "{id}");
        }
        assert!(matches!(OrderId::new("a\0b"), Err(InvalidValue::ControlCharacter { field: "orderId" })));
    }

    #[test]
    fn a_text_of_which_nothing_shows_is_told_from_one_with_odd_characters() {
        for nothing in
            ["", " ", "\u{a0}\u{3000}", "\u{200b}", "\u{202e}\u{2066}", "\u{feff}", "\u{2800}", "\u{3164}", "\u{e0041}\u{fe0f}"]
        {
            assert_eq!(check_visible("name", nothing), Err(InvalidValue::Invisible { field: "name" }), "{nothing:?}");
        }
        for shown in ["a", " a ", "\u{202e}a", "日本", "🛒", "👩\u{200d}🌾", ".", "é"] {
            assert_eq!(check_visible("name", shown), Ok(()), "{shown}");
        }
    }

    #[test]
    fn stock_gives_what_it_has_and_no_more() {
        let five = Stock::new(5).unwrap();
        assert_eq!(five.take(Quantity::new(3).unwrap()), (Stock::new(2).unwrap(), 3));
        assert_eq!(five.take(Quantity::new(9).unwrap()), (Stock::NONE, 5));
        assert!(Stock::new(-1).is_err());
        assert!(Quantity::new(0).is_err());
        assert!(Quantity::new(UNITS_MAX + 1).is_err());
    }
}
