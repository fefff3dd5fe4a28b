//! What a public change of a product says of the order behind it: enough for the shopper who placed it, nothing for anybody
//! else.
//!
//! An order's id beside several products would show everybody who watches what was bought together. A mark belongs to one
//! item, tells nothing of the order's other items, and stands in the order as its own shopper reads it.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::domain::ids::{OrderId, OrderItemId, ProductId};

/// The mark of one order item: half of a digest, as ids are random and cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderMark(u128);

impl OrderMark {
    /// The mark of an item; an event of another program may name its order only.
    #[must_use]
    pub fn of(order: &OrderId, item: Option<&OrderItemId>, product: &ProductId) -> Self {
        let digest = match item {
            Some(item) => Sha256::digest(format!("order item\n{}", item.as_str())),
            None => Sha256::digest(format!("order\n{}\n{}", order.as_str(), product.as_str())),
        };
        Self(digest.first_chunk().map_or(0, |half| u128::from_be_bytes(*half)))
    }
}

impl fmt::Display for OrderMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for OrderMark {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_one_order_have_nothing_in_common() {
        let (order, mug, tea) = (OrderId::new("o").unwrap(), ProductId::new("MUG").unwrap(), ProductId::new("TEA").unwrap());
        let item = |id: &str| Some(OrderItemId::new(id).unwrap());
        let first = OrderMark::of(&order, item("i-1").as_ref(), &mug);
        assert_ne!(first, OrderMark::of(&order, item("i-2").as_ref(), &tea));
        assert_ne!(OrderMark::of(&order, None, &mug), OrderMark::of(&order, None, &tea));
        assert_eq!(first, OrderMark::of(&order, item("i-1").as_ref(), &mug));
        assert_eq!(first.to_string().len(), 32);
    }
}
