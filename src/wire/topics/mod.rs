//! The topics of the contract: their names, keys and policies.
//!
//! | topic | shape |
//! | --- | --- |
//! | `product-updates`, `order-events` (in) | `product_updates`, `order_event` |
//! | `products` (out) | `product_record` with `state_header` |
//! | `inventory-events`, `inventory-alerts` (out) | `inventory_event`, `alert_event` |
//! | `dead-letters`, `cdc-positions` | `dead_letter`, `cdc_position` |
//!
//! `record` is what a log keeps, `headers` names its headers, and `output` makes a record of a shape.

pub mod alert_event;
pub mod cdc_position;
pub(crate) mod dead_letter;
pub mod headers;
pub mod inventory_event;
pub mod order_event;
pub(crate) mod output;
pub mod product_record;
pub mod product_updates;
pub(crate) mod record;
pub mod state_header;

use std::time::Duration;

use crate::domain::inventory::InputTopic;

/// A topic that KartShoppe knows. The log puts the configured prefix before its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    ProductUpdates,
    OrderEvents,
    Products,
    InventoryEvents,
    InventoryAlerts,
    WebsocketFanout,
    EcommerceEvents,
    ShoppingCartEvents,
    CdcPositions,
    /// What an idle process writes to see whether the log still takes records. No input of any part.
    Health,
    DeadLetters,
    /// The platform's other names: created by `topics create --all`, otherwise unused.
    ProcessingFanout,
    EcommerceProcessingFanout,
    Recommendations,
    InventoryUpdates,
    BasketPatterns,
    ProductRecommendations,
}

/// How long records stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// No limit: the topic is part of the ledger.
    Kept,
    /// The last record per key stays; a tombstone removes the key.
    Compacted,
    /// Records older than this may be deleted.
    Delete(Duration),
}

impl Retention {
    /// As operators read it.
    #[must_use]
    pub fn in_words(self) -> String {
        match self {
            Self::Kept => "for ever".to_owned(),
            Self::Compacted => "the last of each key".to_owned(),
            Self::Delete(age) => humantime::format_duration(age).to_string(),
        }
    }
}

/// How many partitions a topic has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionCount {
    /// `inventory.partitions`, the same for all keyed topics.
    Keyed,
    /// Always this many.
    Fixed(i32),
}

impl PartitionCount {
    /// The number, where keyed topics have `keyed`.
    #[must_use]
    pub fn among(self, keyed: i32) -> i32 {
        match self {
            Self::Keyed => keyed,
            Self::Fixed(count) => count,
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Topic {
    /// Every topic, the shop's own first.
    pub const ALL: [Self; 17] = [
        Self::ProductUpdates,
        Self::OrderEvents,
        Self::Products,
        Self::InventoryEvents,
        Self::InventoryAlerts,
        Self::WebsocketFanout,
        Self::EcommerceEvents,
        Self::ShoppingCartEvents,
        Self::CdcPositions,
        Self::Health,
        Self::DeadLetters,
        Self::ProcessingFanout,
        Self::EcommerceProcessingFanout,
        Self::Recommendations,
        Self::InventoryUpdates,
        Self::BasketPatterns,
        Self::ProductRecommendations,
    ];

    /// The name without a prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ProductUpdates => "product-updates",
            Self::OrderEvents => "order-events",
            Self::Products => "products",
            Self::InventoryEvents => "inventory-events",
            Self::InventoryAlerts => "inventory-alerts",
            Self::WebsocketFanout => "websocket_fanout",
            Self::EcommerceEvents => "ecommerce_events",
            Self::ShoppingCartEvents => "shopping-cart-events",
            Self::CdcPositions => "cdc-positions",
            Self::Health => "health",
            Self::DeadLetters => "dead-letters",
            Self::ProcessingFanout => "processing_fanout",
            Self::EcommerceProcessingFanout => "ecommerce_processing_fanout",
            Self::Recommendations => "recommendations",
            Self::InventoryUpdates => "inventory_updates",
            Self::BasketPatterns => "basket-patterns",
            Self::ProductRecommendations => "product-recommendations",
        }
    }

    /// Finds a topic by its name without a prefix.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// Whether the shop itself reads or writes it; the rest is created by `topics create --all` only.
    #[must_use]
    pub fn is_ours(self) -> bool {
        self <= Self::DeadLetters
    }

    /// Whether the shop cannot work without it: one that may not make or write to `health` goes on without trial writes.
    #[must_use]
    pub fn is_needed(self) -> bool {
        self.is_ours() && self != Self::Health
    }

    /// Whether the shop alone writes to it, and reads or hands on what it wrote.
    #[must_use]
    pub fn is_output(self) -> bool {
        self.is_ours() && !matches!(self, Self::ProductUpdates | Self::OrderEvents)
    }

    /// The part of the shop that alone writes it, where there is one. Readers take what they find there for its word.
    #[must_use]
    pub fn owner(self) -> Option<&'static str> {
        match self {
            Self::Products | Self::InventoryEvents | Self::InventoryAlerts | Self::WebsocketFanout | Self::DeadLetters => {
                Some("inventory")
            }
            Self::CdcPositions => Some("cdc"),
            Self::Health => Some("health check"),
            Self::ProductUpdates
            | Self::OrderEvents
            | Self::EcommerceEvents
            | Self::ShoppingCartEvents
            | Self::ProcessingFanout
            | Self::EcommerceProcessingFanout
            | Self::Recommendations
            | Self::InventoryUpdates
            | Self::BasketPatterns
            | Self::ProductRecommendations => None,
        }
    }

    /// Whether anonymous clients write its records, which are bounded in bytes, too.
    #[must_use]
    pub fn is_tracked(self) -> bool {
        matches!(self, Self::EcommerceEvents | Self::ShoppingCartEvents)
    }

    /// The contract's policy.
    #[must_use]
    pub fn retention(self) -> Retention {
        match self {
            Self::ProductUpdates | Self::OrderEvents | Self::InventoryEvents => Retention::Kept,
            Self::Products | Self::CdcPositions | Self::Health => Retention::Compacted,
            Self::WebsocketFanout => Retention::Delete(Duration::from_secs(3600)),
            Self::DeadLetters => Retention::Delete(30 * DAY),
            Self::InventoryAlerts
            | Self::EcommerceEvents
            | Self::ShoppingCartEvents
            | Self::ProcessingFanout
            | Self::EcommerceProcessingFanout
            | Self::Recommendations
            | Self::InventoryUpdates
            | Self::BasketPatterns
            | Self::ProductRecommendations => Retention::Delete(7 * DAY),
        }
    }

    /// Whether the broker's append time, and not the producer's, is the record's time.
    #[must_use]
    pub fn is_log_append_time(self) -> bool {
        matches!(self, Self::ProductUpdates | Self::OrderEvents)
    }

    /// How many partitions it gets.
    #[must_use]
    pub fn partitions(self) -> PartitionCount {
        if matches!(self, Self::CdcPositions | Self::Health) { PartitionCount::Fixed(1) } else { PartitionCount::Keyed }
    }
}

impl Topic {
    /// Which input of the inventory it is, if it is one.
    #[must_use]
    pub fn as_input(self) -> Option<InputTopic> {
        InputTopic::ALL.into_iter().find(|input| Self::from(*input) == self)
    }
}

impl From<InputTopic> for Topic {
    fn from(input: InputTopic) -> Self {
        match input {
            InputTopic::ProductUpdates => Self::ProductUpdates,
            InputTopic::OrderEvents => Self::OrderEvents,
        }
    }
}

impl std::fmt::Display for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again() {
        for topic in Topic::ALL {
            assert_eq!(Topic::from_name(topic.name()), Some(topic));
        }
        assert_eq!(Topic::ALL.iter().filter(|topic| topic.is_ours()).count(), 11);
        assert_eq!(Topic::ALL.iter().filter(|topic| topic.is_needed()).count(), 10);
        assert_eq!(Topic::from_name("nothing"), None);
    }

    #[test]
    fn an_input_has_the_same_name_in_the_domain_and_on_the_log() {
        for input in InputTopic::ALL {
            assert_eq!(Topic::from(input).name(), input.as_str());
            assert_eq!(Topic::from(input).as_input(), Some(input));
        }
        assert_eq!(Topic::ALL.iter().filter(|topic| topic.as_input().is_some()).count(), InputTopic::ALL.len());
    }
}
