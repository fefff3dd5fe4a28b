//! Where the WAL reader goes on: the value on `cdc-positions`, keyed by the slot's name.
//!
//! Transactions up to `resumeLsn` are published whole. Of the one that commits at `partCommitLsn` the first `partIndex` rows are.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::Topic;
use crate::wire::invalid::Invalid;
use crate::wire::json;
use crate::wire::topics::record::{Headers, NewRecord};

/// A place in PostgreSQL's write-ahead log; on the wire `16/B374D848`, as PostgreSQL writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Reads two hexadecimal numbers of 32 bits with a slash between.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (high, low) = text.split_once('/')?;
        let digits = |text: &str| {
            (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
                .then_some(())
                .and_then(|()| u32::from_str_radix(text, 16).ok())
        };
        Some(Self(u64::from(digits(high)?) << 32 | u64::from(digits(low)?)))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let text = String::deserialize(json)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format_args!("{text:?} is no WAL position")))
    }
}

/// The reader's position, with the server it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CdcPosition {
    /// The server's system identifier: 64 bits, so text.
    pub system_id: String,
    pub timeline: u32,
    #[schema(value_type = String)]
    pub resume_lsn: Lsn,
    /// Commit of a transaction that is published in part; null if there is none.
    #[schema(value_type = Option<String>, required = true)]
    pub part_commit_lsn: Option<Lsn>,
    /// How many of its rows are published.
    pub part_index: u64,
}

impl CdcPosition {
    /// The record that stores it.
    #[must_use]
    pub fn record(&self, slot: &str) -> NewRecord {
        let key = Some(bytes::Bytes::copy_from_slice(slot.as_bytes()));
        NewRecord {
            topic: Topic::CdcPositions,
            partition: Some(0),
            key,
            value: Some(json::to_bytes(self)),
            headers: Headers::none(),
        }
    }

    /// Reads the value of such a record.
    ///
    /// # Errors
    /// [`Invalid`] if it is not a JSON object with these fields.
    pub fn decode(value: &[u8]) -> Result<Self, Invalid> {
        json::from_slice(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let whole = CdcPosition {
            system_id: "7412345678901234567".to_owned(),
            timeline: 1,
            resume_lsn: Lsn(0x16_b374_d848),
            part_commit_lsn: None,
            part_index: 0,
        };
        let record = whole.record("kartshoppe");
        let value = record.value.unwrap();
        insta::assert_snapshot!(String::from_utf8_lossy(&value), @r#"{"systemId":"7412345678901234567","timeline":1,"resumeLsn":"16/B374D848","partCommitLsn":null,"partIndex":0}"#);
        assert_eq!(CdcPosition::decode(&value), Ok(whole));
        assert_eq!(record.key.as_deref(), Some(b"kartshoppe".as_slice()));
    }

    #[test]
    fn positions_that_postgresql_would_not_write_are_refused() {
        assert_eq!(Lsn::parse("0/0"), Some(Lsn(0)));
        assert_eq!(Lsn::parse("FFFFFFFF/ffffffff"), Some(Lsn(u64::MAX)));
        for bad in ["", "/", "1", "1/", "/1", "+1/1", "1/100000000", "g/1", "1/2/3"] {
            assert_eq!(Lsn::parse(bad), None, "{bad}");
        }
    }
}
