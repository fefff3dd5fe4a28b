//! Commands to one product, and their causes.

use std::fmt;
use std::ops::{Index, IndexMut};

use crate::domain::EpochMs;
use crate::domain::ids::{OrderId, OrderItemId, ProductId, Quantity};
use crate::domain::product::Product;

/// A command to one product.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// The product's current details and stock from the catalogue; unknown products are created.
    Upsert(Product),
    /// The product was removed from the catalogue.
    Remove,
    /// An order item requests units.
    Deduct(OrderItem),
    /// The timer for this deadline fired. The product decides whether the deadline still applies.
    CheckStale { deadline_ms: EpochMs },
}

/// The units of one product that one order requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderItem {
    pub order_id: OrderId,
    /// The row of `order_items`, if the event names it.
    pub order_item_id: Option<OrderItemId>,
    pub quantity: Quantity,
}

/// A command with its cause and time.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub product_id: ProductId,
    pub command: Command,
    pub cause: Cause,
    /// The record's append time, never ahead of our clock.
    pub at_ms: EpochMs,
}

/// The two topics that products' commands come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputTopic {
    ProductUpdates,
    OrderEvents,
}

impl InputTopic {
    /// Both, in the order in which a state's record lists them.
    pub const ALL: [Self; 2] = [Self::ProductUpdates, Self::OrderEvents];

    /// The topic's name without a prefix.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProductUpdates => "product-updates",
            Self::OrderEvents => "order-events",
        }
    }
}

/// One value per input topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerInput<T> {
    pub product_updates: T,
    pub order_events: T,
}

impl<T> PerInput<T> {
    /// Builds the value of each input topic with `of`.
    pub fn from_fn(mut of: impl FnMut(InputTopic) -> T) -> Self {
        Self { product_updates: of(InputTopic::ProductUpdates), order_events: of(InputTopic::OrderEvents) }
    }

    /// Each topic with its value.
    pub fn iter(&self) -> impl Iterator<Item = (InputTopic, &T)> {
        InputTopic::ALL.into_iter().map(|input| (input, &self[input]))
    }
}

impl<T> Index<InputTopic> for PerInput<T> {
    type Output = T;

    fn index(&self, input: InputTopic) -> &T {
        match input {
            InputTopic::ProductUpdates => &self.product_updates,
            InputTopic::OrderEvents => &self.order_events,
        }
    }
}

impl<T> IndexMut<InputTopic> for PerInput<T> {
    fn index_mut(&mut self, input: InputTopic) -> &mut T {
        match input {
            InputTopic::ProductUpdates => &mut self.product_updates,
            InputTopic::OrderEvents => &mut self.order_events,
        }
    }
}

/// A position on an input topic, within the product's own partition: record offset, then index within an array record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputPosition {
    pub offset: i64,
    pub index: u32,
}

/// What caused a change. The same on every replay, so everything derived from it is the same too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A record (or one element of an array record) of an input topic.
    Record { topic: InputTopic, partition: i32, position: InputPosition },
    /// The product's place in the bootstrap file, from 0.
    File { index: u32 },
    /// The stale deadline that came due.
    Timer { deadline_ms: EpochMs },
}

impl Cause {
    /// Parses what [`Display`](fmt::Display) writes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (origin, rest) = text.split_once('/')?;
        match origin {
            "file" => Some(Self::File { index: rest.parse().ok()? }),
            "timer" => Some(Self::Timer { deadline_ms: rest.parse().ok()? }),
            topic => {
                let topic = InputTopic::ALL.into_iter().find(|input| input.as_str() == topic)?;
                let mut parts = rest.split('/');
                let partition = parts.next()?.parse().ok()?;
                let position = InputPosition { offset: parts.next()?.parse().ok()?, index: parts.next()?.parse().ok()? };
                parts.next().is_none().then_some(Self::Record { topic, partition, position })
            }
        }
    }
}

impl fmt::Display for Cause {
    /// The value of the `kartshoppe-cause` header: `order-events/2/1234/0`, `file/17` or `timer/1732500000000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { topic, partition, position } => {
                write!(f, "{}/{partition}/{}/{}", topic.as_str(), position.offset, position.index)
            }
            Self::File { index } => write!(f, "file/{index}"),
            Self::Timer { deadline_ms } => write!(f, "timer/{deadline_ms}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_read_as_it_was_written() {
        let position = InputPosition { offset: 1234, index: 7 };
        for cause in [
            Cause::Record { topic: InputTopic::OrderEvents, partition: 2, position },
            Cause::Record { topic: InputTopic::ProductUpdates, partition: 0, position },
            Cause::File { index: 17 },
            Cause::Timer { deadline_ms: 1_732_500_000_000 },
        ] {
            assert_eq!(Cause::parse(&cause.to_string()), Some(cause));
        }
        for other in ["", "file", "file/x", "products/2/31/0", "order-events/2/1234", "order-events/2/1234/0/0"] {
            assert_eq!(Cause::parse(other), None, "{other}");
        }
    }
}
