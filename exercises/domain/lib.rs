//! `src/domain/` as a crate of its own.

#[path = "../../src/domain/mod.rs"]
pub mod domain;
