//! KartShoppe: a real-time shop whose inventory lives in supervised actors.
//!
//! One program with three roles (`api`, `inventory`, `cdc`) that talk through an event log and PostgreSQL only. Each product is
//! an actor that owns its stock; an order changes that stock exactly once; every open page is sent the new figure. The program is
//! `main` and [`cli`]; this library is split so that tests and benchmarks can use its parts.
//!
//! ```text
//!  browser ── api ──► store (PostgreSQL) ──► order_publisher ─┐            read model ◄── catalog_view ◄─┐
//!                              │ WAL                          ▼                │                         │
//!                              └──► sources::wal ──► log: order-events         ▼                         │
//!                                                             │             fanout ──► WebSockets        │
//!  data/initial-products.json ──► sources::file_bootstrap     ▼                                          │
//!  log: product-updates ──► sources::log_source ──► shard ──► product (domain rules)                     │
//!                                                             │                                          │
//!                                                             ▼                                          │
//!                                   committer ──► one atomic commit: products, events, alerts, frames ───┘
//! ```
//!
//! # Where to start
//!
//! 1. `docs/ARCHITECTURE.md`: the same with more room, what must always hold, and one order followed through the files.
//! 2. [`domain::inventory`]: what a command does to a product, free of everything else.
//! 3. [`log`]: the contract on which exactly once rests.
//! 4. [`actors`]: the supervision tree, and the life of a batch.
//!
//! Words: `docs/GLOSSARY.md`. Where a change goes: `CONTRIBUTING.md`. Choices with their measurements: `docs/adr/`.
//!
//! # The modules, by floors
//!
//! A module uses those on lower floors only; `tests/tidy.rs` holds that.
//!
//! | floor | modules |
//! | --- | --- |
//! | rules | [`domain`]: what a shop's inventory is, and what may happen to it |
//! | ground | [`clock`]: time as an argument |
//! | | [`bugs`]: bugs seeded on purpose, in builds that are never released |
//! | | [`config`]: every setting, checked as a whole |
//! | | [`data_dir`]: what a process keeps on disk |
//! | | [`telemetry`]: logs, metrics, traces, alarms |
//! | | [`wire`]: topics, headers and JSON shapes |
//! | keeping | [`log`]: the event log, embedded or on Kafka · [`store`]: PostgreSQL · `records`: records as people see and filter them |
//! | doing | [`actors`]: shards, products, committer, read model, fan-out, order publisher and tracker, and their supervision |
//! | bringing | [`sources`]: what feeds the actors: the log, the bootstrap file, the WAL |
//! | teaching | [`workshop`]: the chapters of `docs/workshop/`, and whether what they ask for is so |
//! | serving | [`api`]: REST, WebSocket, operators · [`check`]: the ledger checker · [`drill`]: faults under load, with a verdict |
//! | wiring | [`app`]: which parts a process has · [`cli`]: one file per subcommand |

pub mod domain;

pub mod clock;

pub mod bugs;

pub mod config;

pub mod data_dir;

pub mod telemetry;

pub mod wire;

pub mod log;
pub mod store;

pub mod records;

pub mod actors;

pub mod sources;

pub mod workshop;

pub mod api;
pub mod check;
pub mod drill;

pub mod app;
pub mod cli;
