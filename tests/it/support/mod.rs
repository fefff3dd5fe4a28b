//! What the stories share.

pub mod child;
pub mod log;
