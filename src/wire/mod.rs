//! What other programs see: topics, headers and JSON shapes, and their conversions from and to the domain.
//!
//! [`topics`] is what travels on the log, [`pages`] what travels between the api and its pages and other HTTP clients; pages may
//! use topics and not the reverse. [`console`] is what operators are shown. Beside them stands what all share. One file per shape.
//! Readers ignore fields they do not know; writers never drop or rename a contract field. `make wire` generates from these types: the page's (`ts_rs::TS`, by the
//! test `typescript`) and `docs/reference/` (`utoipa::ToSchema`, by the tests of `api::docs`).

pub mod console;
pub mod pages;
pub mod topics;

pub mod envelope;
pub mod invalid;
mod json;
pub mod money;
pub mod product;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod typescript;

pub use invalid::Invalid;
pub use money::Money;
