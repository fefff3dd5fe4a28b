//! Where commands come from, and what every source promises.
//!
//! A source translates: records in, commands out; it decides nothing. Bad input becomes a dead letter with its position, never a
//! panic. Progress follows durability: a position moves only in the transaction that makes everything before it durable. A source
//! bounds the work it lets in; it never waits for one product, and never dispatches more than one uncommitted batch.

mod file_bootstrap;
pub mod log_source;
pub mod wal;
