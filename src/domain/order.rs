//! An order's totals and status.

use super::money::Cents;

/// Tax in percent of the subtotal, as the existing client shows it.
const TAX_PERCENT: i64 = 8;
/// Shipping is free above this subtotal, in cents.
const FREE_SHIPPING_ABOVE_CENTS: i64 = 5000;
/// Shipping below that, in cents.
const SHIPPING_CENTS: i64 = 599;

/// An order's cost; each part in cents, and `total` their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    pub subtotal: Cents,
    pub tax: Cents,
    pub shipping: Cents,
    pub total: Cents,
}

impl Totals {
    /// Adds tax (8 %, to the cent, halves up) and shipping (0 above 50.00, else 5.99) to a subtotal. `None` if the total exceeds
    /// what the tables can hold. An empty cart costs nothing.
    #[must_use]
    pub fn of(subtotal: Cents) -> Option<Self> {
        let tax = Cents::new((subtotal.cents() * TAX_PERCENT + 50) / 100).ok()?;
        let free = subtotal.cents() > FREE_SHIPPING_ABOVE_CENTS || subtotal == Cents::ZERO;
        let shipping = if free { Cents::ZERO } else { Cents::new(SHIPPING_CENTS).ok()? };
        let total = subtotal.checked_add(tax)?.checked_add(shipping)?;
        Some(Self { subtotal, tax, shipping, total })
    }

    /// What is charged of these totals, given the goods that are still to be paid: nothing without goods; otherwise tax in
    /// proportion to the goods (to the cent, halves up), and shipping as it was quoted.
    #[must_use]
    pub fn for_goods(self, goods: Cents) -> Self {
        if goods >= self.subtotal {
            return self;
        }
        if goods == Cents::ZERO {
            return Self { subtotal: goods, tax: goods, shipping: goods, total: goods };
        }
        let (part, whole) = (i128::from(goods.cents()), i128::from(self.subtotal.cents()));
        let tax = (2 * i128::from(self.tax.cents()) * part + whole) / (2 * whole);
        let tax = i64::try_from(tax).ok().and_then(|cents| Cents::new(cents).ok()).map_or(self.tax, |cents| cents.min(self.tax));
        let total = goods.checked_add(tax).and_then(|sum| sum.checked_add(self.shipping)).unwrap_or(self.total);
        Self { subtotal: goods, tax, shipping: self.shipping, total }
    }
}

/// Status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// Some item has no outcome yet.
    Pending,
    /// Every item was allocated in full.
    Confirmed,
    /// Some units are missing, but at least one was allocated.
    Backordered,
    /// No item was allocated any units.
    Rejected,
}

impl OrderStatus {
    /// The status of an order, given what each item requested and was allocated; `None` for an item without an outcome.
    #[must_use]
    pub fn of(items: impl IntoIterator<Item = (i64, Option<i64>)>) -> Self {
        let (mut any, mut all, mut pending) = (false, true, false);
        for (quantity, allocated) in items {
            match allocated {
                None => pending = true,
                Some(units) => {
                    any |= units > 0;
                    all &= units == quantity;
                }
            }
        }
        match (pending, any, all) {
            (true, _, _) => Self::Pending,
            (_, true, true) => Self::Confirmed,
            (_, true, false) => Self::Backordered,
            (_, false, _) => Self::Rejected,
        }
    }

    /// The status as written in tables and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Backordered => "BACKORDERED",
            Self::Rejected => "REJECTED",
        }
    }

    /// Parses what [`OrderStatus::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Confirmed, Self::Backordered, Self::Rejected].into_iter().find(|status| status.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_what_the_existing_client_shows() {
        for (subtotal, tax, shipping) in
            [(0, 0, 0), (10, 1, 599), (4999, 400, 599), (5000, 400, 599), (5001, 400, 0), (189_999, 15_200, 0)]
        {
            let totals = Totals::of(Cents::new(subtotal).unwrap()).unwrap();
            assert_eq!((totals.tax.cents(), totals.shipping.cents()), (tax, shipping), "{subtotal}");
            assert_eq!(totals.total.cents(), subtotal + tax + shipping);
        }
        assert_eq!(Totals::of(Cents::new(crate::domain::money::CENTS_MAX).unwrap()), None);
    }

    #[test]
    fn only_goods_that_are_reserved_are_charged() {
        let cents = |cents| Cents::new(cents).unwrap();
        let of = |subtotal, goods| {
            let Totals { subtotal, tax, shipping, total } = Totals::of(cents(subtotal)).unwrap().for_goods(cents(goods));
            (subtotal.cents(), tax.cents(), shipping.cents(), total.cents())
        };
        assert_eq!(of(3800, 3800), (3800, 304, 599, 4703));
        assert_eq!(of(3800, 1900), (1900, 152, 599, 2651));
        assert_eq!(of(3800, 0), (0, 0, 0, 0));
        assert_eq!(of(0, 0), (0, 0, 0, 0));
        assert_eq!(of(9000, 3000), (3000, 240, 0, 3240), "shipping was free for the order as a whole");
        assert_eq!(of(13, 6), (6, 0, 599, 605));
        let most = Totals {
            subtotal: cents(9_000_000_000),
            tax: cents(720_000_000),
            shipping: Cents::ZERO,
            total: cents(9_720_000_000),
        };
        assert_eq!(most.for_goods(cents(4_500_000_000)).total, cents(4_860_000_000));
        let free = Totals { subtotal: Cents::ZERO, tax: cents(5), shipping: cents(5), total: cents(10) };
        assert_eq!(free.for_goods(Cents::ZERO), free, "amounts of a row that was made by hand stay as they are");
    }

    #[test]
    fn status_follows_the_items() {
        assert_eq!(OrderStatus::of([(2, Some(2)), (1, None)]), OrderStatus::Pending);
        assert_eq!(OrderStatus::of([(2, Some(2)), (1, Some(1))]), OrderStatus::Confirmed);
        assert_eq!(OrderStatus::of([(2, Some(1))]), OrderStatus::Backordered);
        assert_eq!(OrderStatus::of([(2, Some(0)), (1, Some(1))]), OrderStatus::Backordered);
        assert_eq!(OrderStatus::of([(2, Some(0)), (1, Some(0))]), OrderStatus::Rejected);
        assert_eq!(OrderStatus::parse("REJECTED"), Some(OrderStatus::Rejected));
    }
}
