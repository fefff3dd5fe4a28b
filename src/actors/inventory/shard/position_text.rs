//! The text committed beside a position: it proves that the position is ours, and carries what the shard must know of earlier
//! records.
//!
//! A foreign position (set by a console consumer in our group, or by `--reset-offsets`) has no such text, or has one for another
//! offset. It says nothing about which records were handled.

use crate::domain::EpochMs;
use crate::log::{Offset, Position};

/// Names of the numbers in the text.
const HIGHEST: &str = "highest-append-ms=";
const OFFSET: &str = "offset=";

/// The text, parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PositionText {
    /// The highest append time of any record of `order-events` before the position; 0 before the first.
    pub highest_append_ms: EpochMs,
    /// The position that it was written for. Earlier versions did not write it.
    offset: Option<Offset>,
}

impl PositionText {
    /// The text of a position of ours.
    pub(crate) fn of(offset: Offset, highest_append_ms: EpochMs) -> Self {
        Self { highest_append_ms, offset: Some(offset) }
    }

    /// Reads what [`std::fmt::Display`] writes; `None` for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let figure = |name| text.split(' ').find_map(|word| word.strip_prefix(name)).map(str::parse);
        let highest_append_ms = figure(HIGHEST)?.ok()?;
        Some(Self { highest_append_ms, offset: figure(OFFSET).transpose().ok()? })
    }

    /// The text of this position, if the position is ours.
    pub(crate) fn beside(position: &Position) -> Option<Self> {
        Self::parse(&position.metadata).filter(|text| text.offset.is_none_or(|offset| offset == position.offset))
    }

    /// Whether an earlier version wrote it. Those versions wrote no text beside positions of `product-updates`.
    pub(crate) fn is_of_earlier_version(&self) -> bool {
        self.offset.is_none()
    }
}

impl std::fmt::Display for PositionText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{HIGHEST}{}", self.highest_append_ms)?;
        self.offset.map_or(Ok(()), |offset| write!(f, " {OFFSET}{offset}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_takes_the_rest_for_foreign() {
        let text = PositionText::of(7, 1_732_500_000_000);
        assert_eq!(PositionText::parse(&text.to_string()), Some(text));
        let earlier = PositionText::parse("highest-append-ms=5").unwrap();
        assert_eq!((earlier.highest_append_ms, earlier.is_of_earlier_version()), (5, true));
        for other in ["", "NULL", "highest-append-ms=x", "5", "offset=5", "highest-append-ms=5 offset=x"] {
            assert_eq!(PositionText::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_text_belongs_to_the_position_it_was_written_for() {
        let beside = |offset, metadata: &str| PositionText::beside(&Position { offset, metadata: metadata.to_owned() }).is_some();
        let text = PositionText::of(7, 5).to_string();
        assert!(beside(7, &text));
        assert!(!beside(9, &text), "moved with a copy of the text");
        assert!(beside(9, "highest-append-ms=5"), "of an earlier version");
        assert!(!beside(9, ""));
    }
}
