//! The 25-byte W3C trace context that travels in envelopes, record headers, rows and frames.
//!
//! Carrying it costs nothing; a span is made only where its sampled flag is set.

use std::fmt;

/// The header that carries it, on HTTP and on records.
pub const TRACEPARENT: &str = "traceparent";

/// Trace id, parent span id and flags of `traceparent`, version 00. Source: W3C Trace Context, section 3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub flags: u8,
}

impl TraceContext {
    const SAMPLED: u8 = 1;

    /// Whether spans of this trace are recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// Reads a `traceparent` value; `None` if it is not one (which is never an error: the trace just starts anew).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() >= 55 && bytes[2] == b'-' && bytes[35] == b'-' && bytes[52] == b'-';
        let known_version =
            shaped && (bytes.starts_with(b"00") && bytes.len() == 55 || !bytes.starts_with(b"00") && !bytes.starts_with(b"ff"));
        if !known_version {
            return None;
        }
        let mut context = Self { trace_id: [0; 16], span_id: [0; 8], flags: 0 };
        decode_hex(&bytes[3..35], &mut context.trace_id)?;
        decode_hex(&bytes[36..52], &mut context.span_id)?;
        let mut flags = [0];
        decode_hex(&bytes[53..55], &mut flags)?;
        context.flags = flags[0];
        (context.trace_id != [0; 16] && context.span_id != [0; 8]).then_some(context)
    }

    /// The trace id as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id_hex(&self) -> String {
        self.to_string()[3..35].to_owned()
    }
}

impl fmt::Display for TraceContext {
    /// The `traceparent` value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

fn decode_hex(digits: &[u8], into: &mut [u8]) -> Option<()> {
    let (pairs, _) = digits.as_chunks::<2>();
    for (place, [high, low]) in into.iter_mut().zip(pairs) {
        *place = hex_digit(*high)? << 4 | hex_digit(*low)?;
    }
    Some(())
}

/// Lower-case digits only, as the specification says.
fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_refuses_the_rest() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(text).unwrap();
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), text);
        assert_eq!(context.trace_id_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00-é4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}
