//! What a shop's inventory is and what may happen to it.
//!
//! Pure rules: no async, clock, randomness, logging, JSON or actors, and nothing below this room. Time comes in as an argument.
//! Whoever holds one of these values may trust it: ids, money and quantities are checked when they are made.
//! Called by the product actor (transitions), by the wire (conversions) and by checkout (totals).

pub mod ids;
pub mod inventory;
pub mod money;
pub mod order;
pub mod product;

/// A point in time or a deadline, in milliseconds since the Unix epoch, as the wire writes it.
pub type EpochMs = i64;

/// The first and the last moment that a four-digit year can write.
const FIRST_MS: EpochMs = -62_135_596_800_000;
const LAST_MS: EpochMs = 253_402_300_799_999;

/// A time that another hand wrote, as it can be shown: no calendar of a page reaches further.
#[must_use]
pub fn shown_ms(at: EpochMs) -> EpochMs {
    at.clamp(FIRST_MS, LAST_MS)
}
