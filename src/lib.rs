//! KartShoppe: a real-time shop whose inventory lives in supervised actors.
//!
//! ```text
//!  browser ── api ──► store (PostgreSQL) ──► order_publisher ─┐            read model ◄── catalog_view ◄─┐
//!                              │ WAL                          ▼                │                         │
//!                              └──► sources::wal ──► log: order-events         ▼                         │
//!                                                             │             fanout ──► sockets           │
//!  data/initial-products.json ──► sources::file_bootstrap     ▼                                          │
//!  log: product-updates ──► sources::log_source ──► actors::inventory: shard ──► product (domain rules)  │
//!                                                             │                                          │
//!                                                             ▼                                          │
//!                             committer ──► one atomic commit: products, events, alerts, frames ──────────┘
//! ```
//! Modules in reading order, floor by floor; each may use only those on the floors before its own.

pub mod domain;

pub mod clock;

pub mod bugs;

pub mod config;

pub mod data_dir;

pub mod telemetry;

pub mod wire;

pub mod log;
pub mod store;

pub(crate) mod records;

pub mod actors;

pub mod sources;

pub mod api;
pub mod check;
pub mod drill;

pub mod app;
pub mod cli;
