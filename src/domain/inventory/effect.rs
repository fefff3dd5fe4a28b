//! The effects of an applied command on the outside world.

use super::alert::Alert;
use super::event::InventoryEvent;

/// One output. Effects are written in the order in which they were decided, in the transaction that commits the state.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Record this fact on `inventory-events`.
    Publish(InventoryEvent),
    /// Raise this alert on `inventory-alerts`.
    Raise(Alert),
}
