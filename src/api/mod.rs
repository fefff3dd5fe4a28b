//! The outside of the shop: REST and WebSocket for shoppers, another listener for operators.

pub mod figures;
pub mod gate;
pub mod page;
pub mod predicate;
pub mod problem;
pub mod server;
pub mod shop;
pub mod socket;
