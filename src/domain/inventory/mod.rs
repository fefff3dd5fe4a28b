//! The inventory of one product: commands in, next state and effects out.
//!
//! ```text
//!   Input (command, cause, time)     ──► transition::apply ──► Transition (next state, effects, outcome)
//!                                              ▲
//!   ProductState ──────────────────────────────┘
//! ```
//! The rules are those of the contract, section 1. They are all in `transition`, except the answers to orders that no product
//! handles, which are in `answer`; the other modules define data types.

pub mod alert;
pub mod answer;
pub mod command;
pub mod effect;
pub mod event;
pub mod state;
pub mod transition;

pub use alert::{Alert, AlertKind, Severity, StockLevel};
pub use answer::{ProbedItem, RefusedItem, nothing_allocated, order_expired, order_refused};
pub use command::{Cause, Command, Input, InputPosition, InputTopic, OrderItem, PerInput};
pub use effect::Effect;
pub use event::{EventKind, InventoryEvent, OrderOutcome};
pub use state::{Applied, ProductState, Rules};
pub use transition::{Outcome, Transition, apply};
