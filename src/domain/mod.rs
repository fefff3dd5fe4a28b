//! The shop's inventory: data types and rules.
//!
//! Pure rules: no async, clock, randomness, logging, JSON or actors, and no dependency on any other module. Time is passed in as
//! an argument. Every value of these types is valid: ids, money and quantities are validated at construction.
//! Used by the product actor (transitions), by the wire (conversions) and by checkout (totals).

pub mod ids;
pub mod inventory;
pub mod money;
pub mod order;
pub mod product;

/// A point in time or a deadline, in milliseconds since the Unix epoch, as the wire writes it.
pub type EpochMs = i64;

/// The first and the last moment that can be written with a four-digit year.
const FIRST_MS: EpochMs = -62_135_596_800_000;
const LAST_MS: EpochMs = 253_402_300_799_999;

/// A time that another program wrote, limited to what a page's calendar can show.
#[must_use]
pub fn shown_ms(at: EpochMs) -> EpochMs {
    at.clamp(FIRST_MS, LAST_MS)
}
