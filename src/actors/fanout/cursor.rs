//! What a page was sent, as a text that any api process understands: the log's id and a position per partition of `products`.
//!
//! Opaque to pages. A text that isn't a cursor, or one of another log, is simply none: the page gets everything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::actors::catalog_view::SourcePositions;
use crate::log::Offset;

/// No log has more partitions, so a longer text is not one of our cursors.
const PARTITIONS_MAX: usize = 1024;

/// Writes a cursor.
#[must_use]
pub fn encode(log_id: &str, positions: &[Offset]) -> String {
    let offsets: Vec<String> = positions.iter().map(Offset::to_string).collect();
    URL_SAFE_NO_PAD.encode(format!("{}|{log_id}", offsets.join(",")))
}

/// Reads a cursor of this log.
#[must_use]
pub fn decode(log_id: &str, text: &str) -> Option<SourcePositions> {
    let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (offsets, log) = decoded.split_once('|')?;
    if log != log_id {
        return None;
    }
    let positions: Option<Vec<Offset>> = offsets.split(',').take(PARTITIONS_MAX).map(|offset| offset.parse().ok()).collect();
    positions.map(SourcePositions::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let text = encode("log|1", &[3, 0, 12_345]);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert_eq!(decode("log|1", &text).as_deref(), Some(&[3, 0, 12_345][..]));
        assert_eq!(decode("log|2", &text), None);
        for bad in
            ["", "%%%", "AAAA", &URL_SAFE_NO_PAD.encode("1,x|log|1"), &URL_SAFE_NO_PAD.encode("|log|1"), &"A".repeat(1 << 16)]
        {
            assert_eq!(decode("log|1", bad), None, "{bad}");
        }
    }
}
