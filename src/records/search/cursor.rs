//! Where a search goes on: a text without meaning to others, short enough for an address.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Times;
use crate::log::Offset;

const VERSION: u8 = 1;

/// What is kept between two pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Of the search and the log.
    pub fingerprint: [u8; 8],
    pub times: Times,
    /// Records read so far.
    pub scanned: u64,
    /// Offsets that retention removed before they were read.
    pub removed: u64,
    /// Of each partition in order: what is left to be searched.
    pub places: Vec<RemainingRange>,
}

/// Offsets of a partition that are left: from the first, up to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RemainingRange {
    pub from: Offset,
    pub to: Offset,
}

impl Cursor {
    pub(super) fn text(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.fingerprint);
        // A time is one more than it is, as zero stands for none.
        for time in [self.times.from, self.times.to] {
            put(&mut bytes, time.map_or(0, |time| u64::try_from(time.min(i64::MAX - 1)).unwrap_or_default() + 1));
        }
        put(&mut bytes, self.scanned);
        put(&mut bytes, self.removed);
        for place in &self.places {
            let length = u64::try_from(place.to - place.from).unwrap_or_default();
            put(&mut bytes, length);
            if length > 0 {
                put(&mut bytes, u64::try_from(place.from).unwrap_or_default());
            }
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None` if it is none, or another search's.
    pub(super) fn read(text: &str, fingerprint: [u8; 8], partitions: usize) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut rest = bytes.strip_prefix(&[VERSION])?.strip_prefix(&fingerprint)?;
        let mut time = || Some(take(&mut rest)?.checked_sub(1).and_then(|time| i64::try_from(time).ok()));
        let times = Times { from: time()?, to: time()? };
        let (scanned, removed) = (take(&mut rest)?, take(&mut rest)?);
        let mut places = Vec::with_capacity(partitions);
        for _ in 0..partitions {
            let length = i64::try_from(take(&mut rest)?).ok()?;
            let from = if length > 0 { i64::try_from(take(&mut rest)?).ok()? } else { 0 };
            places.push(RemainingRange { from, to: from.checked_add(length)? });
        }
        rest.is_empty().then_some(Self { fingerprint, times, scanned, removed, places })
    }
}

/// Seven bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_by_its_own_search_only() {
        let places = vec![
            RemainingRange { from: 0, to: 0 },
            RemainingRange { from: 1 << 40, to: (1 << 40) + 300 },
            RemainingRange { from: 5, to: 6 },
        ];
        let times = Times { from: Some(0), to: Some(1_769_853_600_000) };
        let cursor = Cursor { fingerprint: *b"12345678", times, scanned: 1_000_000, removed: 0, places };
        let text = cursor.text();
        assert_eq!(Cursor::read(&text, *b"12345678", 3), Some(cursor.clone()));
        assert_eq!(Cursor::read(&text, *b"12345679", 3), None);
        assert_eq!(Cursor::read(&text, *b"12345678", 2), None);
        for cut in 0..text.len() {
            assert_eq!(Cursor::read(&text[..cut], *b"12345678", 3), None, "{cut}");
        }
        for garbage in ["", "AQ", "_____________________________________", "not a cursor", "é"] {
            assert_eq!(Cursor::read(garbage, *b"12345678", 3), None, "{garbage}");
        }
        let many = vec![RemainingRange { from: 3_000_000_000, to: 3_002_000_000 }; super::super::PARTITIONS_MAX];
        let long = Cursor { places: many, ..cursor };
        assert!(long.text().len() < 1_920, "fits into an address beside a predicate: {}", long.text().len());
    }
}
