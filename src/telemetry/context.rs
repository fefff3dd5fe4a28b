//! The W3C trace context that travels in envelopes, record headers, rows and frames.
//!
//! Carrying it costs next to nothing; a span is made only where its sampled flag is set.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use opentelemetry::trace::TraceState;

/// The header that carries it, on HTTP and on records.
pub const TRACEPARENT: &str = "traceparent";
/// The header beside it in which tracing systems keep notes of their own. It is passed on as it came.
pub const TRACESTATE: &str = "tracestate";

/// Bytes of a `tracestate` that are carried. Source: W3C Trace Context, section 3.3.1.5, asks every system to propagate at least 512.
const STATE_MAX_BYTES: usize = 512;

/// Trace id, parent span id and flags of `traceparent`, version 00, and `tracestate`. Source: W3C Trace Context, level 2.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// Sampled (1) and random (2).
    pub flags: u8,
    /// `tracestate`, if there is one.
    pub state: Option<Arc<str>>,
    /// The span is one of another process, or came through a log or a row.
    pub is_remote: bool,
}

impl TraceContext {
    const SAMPLED: u8 = 1;
    /// The other flags are not defined: a sender sets them to 0.
    const KNOWN_FLAGS: u8 = 0b11;

    /// Whether spans of this trace are recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// The trace's id in hex, if its spans are recorded.
    #[must_use]
    pub fn sampled_id(&self) -> Option<String> {
        self.is_sampled().then(|| self.trace_id.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The same, so that no span of it is recorded from here on.
    #[must_use]
    pub fn unsampled(mut self) -> Self {
        self.flags &= !Self::SAMPLED;
        self
    }

    /// Reads a `traceparent` value; `None` if it is not one (which is never an error: a new trace begins).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() >= 55 && bytes[2] == b'-' && bytes[35] == b'-' && bytes[52] == b'-';
        // A later version may say more behind another dash.
        let known_version = shaped
            && match &bytes[..2] {
                b"00" => bytes.len() == 55,
                b"ff" => false,
                version => version.iter().all(|digit| hex_digit(*digit).is_some()) && matches!(bytes.get(55), None | Some(b'-')),
            };
        if !known_version {
            return None;
        }
        let mut context = Self { trace_id: [0; 16], span_id: [0; 8], flags: 0, state: None, is_remote: true };
        decode_hex(&bytes[3..35], &mut context.trace_id)?;
        decode_hex(&bytes[36..52], &mut context.span_id)?;
        let mut flags = [0];
        decode_hex(&bytes[53..55], &mut flags)?;
        context.flags = flags[0] & Self::KNOWN_FLAGS;
        (context.trace_id != [0; 16] && context.span_id != [0; 8]).then_some(context)
    }

    /// Reads both headers.
    #[must_use]
    pub fn of(traceparent: Option<&str>, tracestate: Option<&str>) -> Option<Self> {
        Some(Self::parse(traceparent?)?.with_state(tracestate))
    }

    /// With this `tracestate`. One that is too long or malformed is left out, as the specification says.
    #[must_use]
    pub fn with_state(mut self, state: Option<&str>) -> Self {
        let is_carried = |state: &&str| !state.is_empty() && state.len() <= STATE_MAX_BYTES;
        self.state = state.map(str::trim).filter(is_carried).and_then(|state| {
            // Entries may be empty, which the library does not know.
            let entries: Vec<&str> = state.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
            let tidy = entries.join(",");
            (!tidy.is_empty() && TraceState::from_str(&tidy).is_ok()).then(|| tidy.into())
        });
        self
    }

    /// The trace id as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id_hex(&self) -> String {
        self.to_string()[3..35].to_owned()
    }

    /// The span id as 16 hexadecimal digits.
    #[must_use]
    pub fn span_id_hex(&self) -> String {
        self.to_string()[36..52].to_owned()
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

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_what_it_writes_and_refuses_the_rest() {
        let context = TraceContext::parse(TRACE).unwrap();
        assert!(context.is_sampled() && context.is_remote);
        assert_eq!(context.to_string(), TRACE);
        assert_eq!(context.trace_id_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01extra",
            "xx-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-é4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra";
        assert_eq!(TraceContext::parse(later).unwrap().to_string(), TRACE);
    }

    #[test]
    fn the_random_flag_is_kept_and_unknown_ones_are_not() {
        for (came, goes) in [("00", "00"), ("02", "02"), ("03", "03"), ("ff", "03"), ("81", "01")] {
            let context = TraceContext::parse(&format!("{}{came}", &TRACE[..53])).unwrap();
            assert_eq!(context.to_string(), format!("{}{goes}", &TRACE[..53]));
        }
        let random = TraceContext::parse(&format!("{}03", &TRACE[..53])).unwrap();
        assert_eq!(random.unsampled().flags, 2);
    }

    #[test]
    fn the_state_is_passed_on_as_it_came_unless_it_is_none() {
        let with = |state| TraceContext::of(Some(TRACE), Some(state)).unwrap().state.as_deref().map(str::to_owned);
        assert_eq!(with("vendor=abc").as_deref(), Some("vendor=abc"));
        assert_eq!(with(" a=1 , b@c=2,, ").as_deref(), Some("a=1,b@c=2"));
        let long = format!("a={}", "x".repeat(511));
        for bad in ["", ",", "nothing", "A B=1", long.as_str()] {
            assert_eq!(with(bad), None, "{bad}");
        }
        assert_eq!(TraceContext::of(None, Some("vendor=abc")), None);
    }
}
