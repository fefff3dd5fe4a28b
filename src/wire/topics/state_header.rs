//! The `kartshoppe-state` header on `products`: what the engine needs beside the product itself.
//!
//! One line of text, fields divided by semicolons, so that a person can read it in any Kafka tool:
//! ```text
//! 1;42;7;1732500000000;1732500000123;1732503600123;-;1234/0;-
//! │ │  │ │             │             │             │ │      └ last applied on order-events: offset/index, or - for none
//! │ │  │ │             │             │             │ └ last applied on product-updates
//! │ │  │ │             │             │             └ s: stale, -: not
//! │ │  │ │             │             └ goes stale at (epoch ms)
//! │ │  │ │             └ last command (epoch ms)
//! │ │  │ └ last changed (epoch ms)
//! │ └──┴ lifetime and version
//! └ format
//! ```
//! A newer format is refused: guessing about state would be worse than not starting.

use std::fmt::Write as _;

use crate::domain::EpochMs;
use crate::domain::inventory::{Applied, InputPosition, InputTopic, ProductState};
use crate::domain::product::Revision;

/// The format that this binary writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// All of a product's state but the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateHeader {
    pub revision: Revision,
    pub changed_at_ms: EpochMs,
    pub last_heard_ms: EpochMs,
    pub stale_deadline_ms: EpochMs,
    pub stale: bool,
    pub applied: Applied,
}

/// Why a state header cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateHeaderError {
    /// A newer KartShoppe wrote it.
    #[error("the state has format {format}, this KartShoppe reads up to {FORMAT}: start the newer version, or `make reset`")]
    Newer { format: u32 },
    /// It is damaged, or of another program.
    #[error("the state header is not readable at field {field}: {text:?}")]
    Malformed { field: &'static str, text: String },
}

impl From<&ProductState> for StateHeader {
    fn from(state: &ProductState) -> Self {
        Self {
            revision: state.revision,
            changed_at_ms: state.changed_at_ms,
            last_heard_ms: state.last_heard_ms,
            stale_deadline_ms: state.stale_deadline_ms,
            stale: state.stale,
            applied: state.applied,
        }
    }
}

impl StateHeader {
    /// The header's text.
    #[must_use]
    pub fn encode(&self) -> String {
        let Self { revision: Revision { life, version }, changed_at_ms, last_heard_ms, stale_deadline_ms, stale, applied } = self;
        let stale = if *stale { "s" } else { "-" };
        let mut text = String::with_capacity(96);
        // Writing to a string cannot fail.
        let _ = write!(text, "{FORMAT};{life};{version};{changed_at_ms};{last_heard_ms};{stale_deadline_ms};{stale}");
        for topic in InputTopic::ALL {
            let _ = match applied.get(topic) {
                Some(InputPosition { offset, index }) => write!(text, ";{offset}/{index}"),
                None => write!(text, ";-"),
            };
        }
        text
    }

    /// Reads the header's text.
    ///
    /// # Errors
    /// [`StateHeaderError`] if the format is newer than [`FORMAT`], or the text is damaged.
    pub fn decode(text: &str) -> Result<Self, StateHeaderError> {
        let mut fields = StateFields { text, rest: text.split(';') };
        let format: u32 = fields.number("format")?;
        if format > FORMAT {
            return Err(StateHeaderError::Newer { format });
        }
        let header = Self {
            revision: Revision { life: fields.number("life")?, version: fields.number("version")? },
            changed_at_ms: fields.number("changed at")?,
            last_heard_ms: fields.number("last heard")?,
            stale_deadline_ms: fields.number("deadline")?,
            stale: fields.flag()?,
            applied: fields.applied()?,
        };
        if fields.rest.next().is_some() {
            return Err(fields.malformed("end"));
        }
        Ok(header)
    }
}

struct StateFields<'a> {
    text: &'a str,
    rest: std::str::Split<'a, char>,
}

impl StateFields<'_> {
    fn malformed(&self, field: &'static str) -> StateHeaderError {
        StateHeaderError::Malformed { field, text: self.text.chars().take(200).collect() }
    }

    fn number<T: std::str::FromStr>(&mut self, field: &'static str) -> Result<T, StateHeaderError> {
        self.rest.next().and_then(|text| text.parse().ok()).ok_or_else(|| self.malformed(field))
    }

    fn flag(&mut self) -> Result<bool, StateHeaderError> {
        match self.rest.next() {
            Some("s") => Ok(true),
            Some("-") => Ok(false),
            _ => Err(self.malformed("stale")),
        }
    }

    fn applied(&mut self) -> Result<Applied, StateHeaderError> {
        let mut applied = Applied::default();
        for topic in InputTopic::ALL {
            let text = self.rest.next().ok_or_else(|| self.malformed(topic.as_str()))?;
            if text != "-" {
                let (offset, index) = text.split_once('/').ok_or_else(|| self.malformed(topic.as_str()))?;
                let (offset, index) =
                    offset.parse().ok().zip(index.parse().ok()).ok_or_else(|| self.malformed(topic.as_str()))?;
                applied.set(topic, InputPosition { offset, index });
            }
        }
        Ok(applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> StateHeader {
        let mut applied = Applied::default();
        applied.set(InputTopic::ProductUpdates, InputPosition { offset: 1234, index: 5 });
        StateHeader {
            revision: Revision { life: 42, version: 7 },
            changed_at_ms: 1_732_500_000_000,
            last_heard_ms: 1_732_500_000_123,
            stale_deadline_ms: 1_732_503_600_123,
            stale: false,
            applied,
        }
    }

    #[test]
    fn reads_what_it_writes() {
        let text = header().encode();
        assert_eq!(text, "1;42;7;1732500000000;1732500000123;1732503600123;-;1234/5;-");
        assert_eq!(StateHeader::decode(&text), Ok(header()));
        let stale = StateHeader { stale: true, applied: Applied::default(), ..header() };
        assert_eq!(StateHeader::decode(&stale.encode()), Ok(stale));
    }

    #[test]
    fn a_newer_format_is_refused_with_what_to_do() {
        let error = StateHeader::decode("2;anything at all").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the state has format 2, this KartShoppe reads up to 1: start the newer version, or `make reset`"
        );
    }

    #[test]
    fn damage_is_named() {
        let good = header().encode();
        for (bad, field) in [
            (String::new(), "format"),
            ("1;x".to_owned(), "life"),
            (good.replace(";-;1234", ";maybe;1234"), "stale"),
            (good.replace("1234/5", "1234"), "product-updates"),
            (good.strip_suffix(";-").unwrap().to_owned(), "order-events"),
            (format!("{good};more"), "end"),
        ] {
            match StateHeader::decode(&bad) {
                Err(StateHeaderError::Malformed { field: named, .. }) => assert_eq!(named, field, "{bad}"),
                other => panic!("{bad}: {other:?}"),
            }
        }
    }
}
