//! The text that is committed beside a position of `order-events`: what the shard must remember of the records before it.

use crate::domain::EpochMs;

/// Name of the one figure.
const HIGHEST: &str = "highest-append-ms=";

/// What the text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PositionText {
    /// The highest append time of any record before the position; 0 before the first.
    pub highest_append_ms: EpochMs,
}

impl PositionText {
    /// Reads what [`std::fmt::Display`] writes. Whatever else stands there (positions that a tool has set) says nothing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let figure = text.split(' ').find_map(|word| word.strip_prefix(HIGHEST)).and_then(|figure| figure.parse().ok());
        Self { highest_append_ms: figure.unwrap_or_default() }
    }
}

impl std::fmt::Display for PositionText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{HIGHEST}{}", self.highest_append_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_takes_the_rest_for_nothing() {
        let text = PositionText { highest_append_ms: 1_732_500_000_000 };
        assert_eq!(PositionText::parse(&text.to_string()), text);
        for other in ["", "NULL", "highest-append-ms=x", "5"] {
            assert_eq!(PositionText::parse(other), PositionText::default(), "{other}");
        }
    }
}
