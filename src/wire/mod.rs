//! What other programs see: topics, headers and JSON shapes, and their conversions from and to the domain.
//!
//! One file per shape. Readers ignore fields they do not know; writers never drop or rename a contract field. The shapes of REST
//! and WebSocket derive `ts_rs::TS`, so that the page's types are generated from these.

pub mod headers;
pub mod topics;
