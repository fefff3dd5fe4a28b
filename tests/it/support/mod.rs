//! What the stories share.

pub mod child;
pub mod engine;
pub mod log;
pub mod page;
pub mod postgres;
pub mod server;
pub mod shopper;
pub mod wal;
