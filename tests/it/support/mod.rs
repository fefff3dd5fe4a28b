//! Code that the tests share.

pub mod alarm;
pub mod api_role;
pub mod child;
pub mod disk;
pub mod engine;
pub mod gated_log;
pub mod handle_page;
pub mod hostile;
pub mod java;
pub mod kafka;
pub mod kafka_secured;
pub mod log;
pub mod model;
pub mod otlp;
pub mod own_server;
pub mod page;
pub mod place;
pub mod postgres;
pub mod raw;
pub mod ruin;
pub mod server;
pub mod shopper;
pub mod tiny_engine;
pub mod wal;
pub mod wal_story;
