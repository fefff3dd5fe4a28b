//! What the seeded bugs of this room need beyond an `if`.

use super::server::Facts;
use crate::wire::topics::cdc_position::{CdcPosition, Lsn};

/// The slot's own position instead of the one that the log holds.
pub(super) fn position_of_slot(facts: &Facts, stored: CdcPosition) -> CdcPosition {
    let confirmed = facts.confirmed.as_deref().and_then(Lsn::parse);
    CdcPosition { resume_lsn: confirmed.unwrap_or(stored.resume_lsn), part_commit_lsn: None, part_index: 0, ..stored }
}
