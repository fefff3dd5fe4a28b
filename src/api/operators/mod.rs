//! The operators' listener: roles, actors, flow, faults, alerts, dead letters, topics, metrics.
//!
//! Loopback by default. Every request needs a listed `Host`, and a change also needs the marker header (see `gate`) and leaves
//! a line in the log (see `audit`).

pub mod actors;
pub mod alerts;
pub mod audit;
pub mod console;
pub mod faults;
pub mod flow;
pub mod letters;
pub mod logs;
pub mod metrics;
pub mod order_way;
pub mod orders;
mod patient;
pub mod records;
pub mod rescue;
pub mod roles;
pub mod search;
pub mod settings;
mod stream;
pub mod tail;
pub mod timeline;
pub mod topics;
mod turns;
pub mod workshop;
