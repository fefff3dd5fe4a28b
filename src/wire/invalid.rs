//! Why input cannot be used, in words for the person who reads the dead letter.

use crate::domain::ids::InvalidValue;

/// Longest reason that is kept, in characters: errors quote the input, and the input may be a megabyte.
const REASON_MAX_CHARS: usize = 400;

/// Input that cannot be used. Trying again does not help: it goes to `dead-letters`, or is answered with a 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No JSON, or not of the expected shape. Names the field where there is one.
    #[error("{reason}")]
    Malformed { reason: String },
    /// A value outside what is accepted.
    #[error(transparent)]
    Value(#[from] InvalidValue),
    /// The key says one product, the value another: the record may lie in the wrong partition.
    #[error("the key is {key}, but productId is {product_id}")]
    KeyMismatch { key: String, product_id: String },
    /// A null value without a key removes nothing.
    #[error("a null value without a key names no product to remove")]
    KeylessTombstone,
    /// A null value on a topic where nothing can be removed.
    #[error("the value is null")]
    NullValue,
    /// What would have to be written of it is larger than the log takes.
    #[error(
        "it would take {size} bytes, but a record may have {limit} only; the limit is message.max.bytes of kafka.properties, or max.message.bytes of a topic"
    )]
    TooLarge { size: usize, limit: usize },
}

impl Invalid {
    /// A reason from a JSON reader, cut to a length that fits a header.
    pub(crate) fn malformed(error: &serde_json::Error) -> Self {
        Self::Malformed { reason: shortened(&error.to_string()) }
    }

    /// The kind of error, as the dead letter's exception header names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "MalformedJson",
            Self::Value(_) => "InvalidValue",
            Self::KeyMismatch { .. } => "KeyMismatch",
            Self::KeylessTombstone => "KeylessTombstone",
            Self::NullValue => "NullValue",
            Self::TooLarge { .. } => "TooLarge",
        }
    }
}

/// At most [`REASON_MAX_CHARS`] characters: the beginning and the end, as serde's position stands at the end.
/// Control characters are escaped, so that no terminal acts on them.
#[must_use]
pub(crate) fn shortened(text: &str) -> String {
    const TAIL: usize = 120;
    let escape = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
    let chars = text.chars().count();
    if chars <= REASON_MAX_CHARS {
        return text.chars().map(escape).collect();
    }
    let head: String = text.chars().take(REASON_MAX_CHARS - TAIL).map(escape).collect();
    let tail: String = text.chars().skip(chars - TAIL).map(escape).collect();
    format!("{head} … {tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_keep_their_ends_and_lose_their_bells() {
        let long = format!("name: {}\u{7} at line 1 column 9", "x".repeat(1_000_000));
        let short = shortened(&long);
        assert!(short.starts_with("name: xxx") && short.ends_with("\\u{7} at line 1 column 9"));
        assert!(short.chars().count() < 420, "{}", short.len());
        assert_eq!(shortened("brief\n"), "brief\\n");
    }
}
