//! KartShoppe: a real-time shop whose inventory lives in supervised actors.
//!
//! ```text
//!  browser ── api ──► store (PostgreSQL) ──► order_publisher ─┐            read model ◄── catalog_view ◄─┐
//!                              │ WAL                          ▼                │                         │
//!                              └──► sources::wal ──► log: order-events         ▼                         │
//!                                                             │             fanout ──► sockets           │
//!  data/initial-products.json ──► sources::file_bootstrap     ▼                                          │
//!  log: product-updates ──► sources::log_source ──► actors::shard ──► actors::product (domain rules)     │
//!                                                             │                                          │
//!                                                             ▼                                          │
//!                            actors::committer ──► one atomic commit: products, events, alerts, frames ──┘
//! ```
//! Modules in reading order; each may use only those before it.

pub mod bugs;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod domain;
pub mod telemetry;
pub mod wire;

pub mod log;
pub mod store;

pub mod actors;

pub mod sources;

pub mod api;
pub mod check;
pub mod drill;

pub mod app;
pub mod cli;
