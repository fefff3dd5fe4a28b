//! A shopper's cart and its rules: one line per product, adding is cumulative, an absolute quantity replaces.
//!
//! Pure; [`super::carts`] persists it. Prices are not stored as the cart's own: they come from the catalogue when the cart is
//! shown.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::StoreError;
use crate::domain::EpochMs;
use crate::domain::ids::{ProductId, Quantity, SessionId, UserId};
use crate::domain::money::Cents;
use crate::domain::order::Totals;

/// Largest number of lines in a cart.
pub const MAX_LINES: usize = 100;
/// Largest number of units that one call may add.
pub const MAX_UNITS_PER_ADD: i64 = 1_000;
/// Largest number of units on one line: far above any purchase, far below where an order's total would overflow its column.
pub const MAX_LINE_UNITS: i64 = 100_000;

/// Namespace for cart ids. A cart's id is derived from its session, so it is stable and needs no storage.
const CART_NAMESPACE: Uuid = Uuid::from_u128(0x6b61_7274_7368_4f70_8065_0000_0000_0001);

/// A session's cart. An unknown session's is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    pub session_id: SessionId,
    pub user_id: Option<UserId>,
    /// In the order in which they were first added.
    pub lines: Vec<CartLine>,
    /// Incremented with each stored change; 0 for a cart that was never stored.
    pub version: i64,
    pub created_at_ms: EpochMs,
    pub updated_at_ms: EpochMs,
}

/// A quantity of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartLine {
    pub product_id: ProductId,
    pub quantity: Quantity,
    pub added_at_ms: EpochMs,
    /// What it showed when it was last added to; `None` for a line of an older version.
    pub shown: Option<ShownProduct>,
}

/// What a line shows of its product, stored for when the catalogue no longer has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownProduct {
    pub name: String,
    #[serde(with = "cents")]
    pub price: Cents,
    /// Empty if it is too long to store with every cart.
    pub image_url: String,
}

/// A product being added to a cart, and what its line will show.
#[derive(Debug, Clone, Copy)]
pub struct CartAddition<'a> {
    pub product_id: &'a ProductId,
    pub shown: Option<&'a ShownProduct>,
}

impl<'a> From<&'a ProductId> for CartAddition<'a> {
    fn from(product_id: &'a ProductId) -> Self {
        Self { product_id, shown: None }
    }
}

mod cents {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::money::Cents;

    pub(super) fn serialize<S: Serializer>(price: &Cents, json: S) -> Result<S::Ok, S::Error> {
        json.serialize_i64(price.cents())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(json: D) -> Result<Cents, D::Error> {
        Cents::new(i64::deserialize(json)?).map_err(serde::de::Error::custom)
    }
}

/// Why a cart was not changed.
#[derive(Debug, thiserror::Error)]
pub enum CartError {
    /// The number of units is outside what one call may add.
    #[error("quantity is {quantity}, expected 1 to {MAX_UNITS_PER_ADD}")]
    QuantityOutOfRange { quantity: i64 },
    /// The line would hold too many units.
    #[error("a cart holds at most {MAX_LINE_UNITS} units of one product")]
    LineFull,
    /// The cart would hold too many lines.
    #[error("a cart holds at most {MAX_LINES} products")]
    CartFull,
    /// No order can have a total this high.
    #[error("with tax and shipping the cart would cost more than 99999999.99, the limit of an order")]
    TooExpensive,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Cart {
    /// The id that pages see, derived from the session.
    #[must_use]
    pub fn id(&self) -> String {
        Uuid::new_v5(&CART_NAMESPACE, self.session_id.as_str().as_bytes()).to_string()
    }

    /// Adds units to the product's line, or a new line at the end.
    ///
    /// # Errors
    /// [`CartError::QuantityOutOfRange`], [`CartError::LineFull`], [`CartError::CartFull`]; the cart is then unchanged.
    pub fn add(&mut self, product_id: &ProductId, units: i64, now_ms: EpochMs) -> Result<(), CartError> {
        if !(1..=MAX_UNITS_PER_ADD).contains(&units) {
            return Err(CartError::QuantityOutOfRange { quantity: units });
        }
        let before = self.line(product_id).map_or(0, |line| line.quantity.units());
        self.set_quantity(product_id, before + units, now_ms)
    }

    /// Sets the line's quantity; 0 or less removes the line.
    ///
    /// # Errors
    /// [`CartError::LineFull`], [`CartError::CartFull`]; the cart is then unchanged.
    pub fn set_quantity(&mut self, product_id: &ProductId, units: i64, now_ms: EpochMs) -> Result<(), CartError> {
        let Ok(quantity) = Quantity::new(units.min(MAX_LINE_UNITS + 1)) else {
            self.remove(product_id);
            return Ok(());
        };
        if quantity.units() > MAX_LINE_UNITS {
            return Err(CartError::LineFull);
        }
        if let Some(line) = self.lines.iter_mut().find(|line| line.product_id == *product_id) {
            line.quantity = quantity;
        } else if self.lines.len() == MAX_LINES {
            return Err(CartError::CartFull);
        } else {
            self.lines.push(CartLine { product_id: product_id.clone(), quantity, added_at_ms: now_ms, shown: None });
        }
        Ok(())
    }

    /// Updates what the product's line shows.
    pub fn show(&mut self, wanted: CartAddition<'_>) {
        let line = self.lines.iter_mut().find(|line| line.product_id == *wanted.product_id);
        if let (Some(line), Some(shown)) = (line, wanted.shown) {
            line.shown = Some(shown.clone());
        }
    }

    /// Removes the product's line, if there is one.
    pub fn remove(&mut self, product_id: &ProductId) {
        self.lines.retain(|line| line.product_id != *product_id);
    }

    /// Removes every line.
    pub fn clear(&mut self) {
        self.lines.clear();
    }

    /// The cart's cost in cents at the prices shown on its lines; lines that an older version wrote have no price and count as 0.
    fn costs(&self) -> i64 {
        let line =
            |line: &CartLine| line.shown.as_ref().map_or(0, |shown| shown.price.cents()).saturating_mul(line.quantity.units());
        self.lines.iter().map(line).fold(0, i64::saturating_add)
    }

    /// Refuses a change that raises the cart's cost beyond what an order can hold. A change that lowers the cost is always
    /// allowed.
    ///
    /// # Errors
    /// [`CartError::TooExpensive`].
    pub fn check_costs(&self, before: &Self) -> Result<(), CartError> {
        let costs = self.costs();
        if costs <= before.costs() || Cents::new(costs).ok().and_then(Totals::of).is_some() {
            return Ok(());
        }
        Err(CartError::TooExpensive)
    }

    fn line(&self, product_id: &ProductId) -> Option<&CartLine> {
        self.lines.iter().find(|line| line.product_id == *product_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Cart {
        let session_id = SessionId::new("s1").unwrap();
        Cart { session_id, user_id: None, lines: Vec::new(), version: 0, created_at_ms: 0, updated_at_ms: 0 }
    }

    fn product(number: usize) -> ProductId {
        ProductId::new(&format!("PROD_{number:04}")).unwrap()
    }

    fn units(cart: &Cart) -> Vec<i64> {
        cart.lines.iter().map(|line| line.quantity.units()).collect()
    }

    #[test]
    fn adding_adds_up_and_setting_replaces() {
        let mut cart = empty();
        cart.add(&product(1), 2, 5).unwrap();
        cart.add(&product(2), 1, 6).unwrap();
        cart.add(&product(1), 1000, 7).unwrap();
        assert_eq!((units(&cart), cart.lines[0].added_at_ms), (vec![1002, 1], 5));
        cart.set_quantity(&product(1), 3, 8).unwrap();
        cart.set_quantity(&product(2), 0, 8).unwrap();
        cart.set_quantity(&product(3), i64::MIN, 8).unwrap();
        assert_eq!(units(&cart), [3]);
        cart.set_quantity(&product(4), 9, 8).unwrap();
        cart.remove(&product(1));
        cart.remove(&product(7));
        assert_eq!(units(&cart), [9]);
        cart.clear();
        assert!(cart.lines.is_empty());
    }

    #[test]
    fn limits_leave_the_cart_as_it_was() {
        let mut cart = empty();
        for bad in [0, -1, 1001, i64::MAX, i64::MIN] {
            assert!(matches!(cart.add(&product(1), bad, 0), Err(CartError::QuantityOutOfRange { .. })), "{bad}");
        }
        cart.set_quantity(&product(1), MAX_LINE_UNITS, 0).unwrap();
        assert!(matches!(cart.add(&product(1), 1, 0), Err(CartError::LineFull)));
        assert!(matches!(cart.set_quantity(&product(1), i64::MAX, 0), Err(CartError::LineFull)));
        for number in 2..=MAX_LINES {
            cart.add(&product(number), 1, 0).unwrap();
        }
        assert!(matches!(cart.add(&product(MAX_LINES + 1), 1, 0), Err(CartError::CartFull)));
        cart.add(&product(2), 1, 0).unwrap();
        assert_eq!((cart.lines.len(), units(&cart)[..2].to_vec()), (MAX_LINES, vec![MAX_LINE_UNITS, 2]));
    }

    #[test]
    fn a_cart_that_no_order_can_be_made_of_is_refused() {
        let mut cart = empty();
        let shown =
            ShownProduct { name: "Palace".to_owned(), price: Cents::new(9_000_000_000).unwrap(), image_url: String::new() };
        cart.add(&product(1), 1, 0).unwrap();
        cart.show(CartAddition { product_id: &product(1), shown: Some(&shown) });
        assert!(cart.check_costs(&empty()).is_ok());
        let mut two = cart.clone();
        two.add(&product(1), 1, 0).unwrap();
        assert!(matches!(two.check_costs(&cart), Err(CartError::TooExpensive)));
        let mut three = two.clone();
        three.add(&product(1), 1, 0).unwrap();
        assert!(two.check_costs(&three).is_ok(), "a price that rose must not prevent the removal of units");
    }

    #[test]
    fn a_session_has_one_cart_id_for_ever() {
        let mut other = empty();
        other.session_id = SessionId::new("s2").unwrap();
        assert_eq!(empty().id(), empty().id());
        assert_ne!(empty().id(), other.id());
    }
}
