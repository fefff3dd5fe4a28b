//! The operators' listener: roles, actors, faults, alerts, dead letters, topics, metrics.
//!
//! Loopback by default. Whatever changes something needs the marker header and a listed `Host` (see `gate`).

pub mod actors;
pub mod alerts;
pub mod faults;
pub mod metrics;
pub mod records;
pub mod rescue;
pub mod roles;
pub mod topics;
