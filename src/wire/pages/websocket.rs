//! WebSocket frames, RFC 6455 as strictly as it allows: what a page may send, and the frames that it is sent.
//!
//! A page sends little (carts, events, pongs), so an idle connection keeps no buffer at all. What pages are sent is encoded once
//! for all of them: a server's frames are not masked (section 5.1), so the bytes are the same for each.

use std::fmt;
use std::io::Cursor;

use bytes::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use OpCode::{Control as ControlFrame, Data as DataFrame};

pub const TEXT: OpCode = DataFrame(Data::Text);
pub const PING: OpCode = ControlFrame(Control::Ping);
pub const PONG: OpCode = ControlFrame(Control::Pong);
const CLOSE: OpCode = ControlFrame(Control::Close);

/// Why we close; RFC 6455, section 7.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    Normal = 1000,
    GoingAway = 1001,
    Protocol = 1002,
    Unsupported = 1003,
    InvalidText = 1007,
    Policy = 1008,
    TooBig = 1009,
    Restart = 1012,
    TryLater = 1013,
}

/// What a page did that ends the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub code: CloseCode,
    pub reason: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.code as u16)
    }
}

const fn violation(code: CloseCode, reason: &'static str) -> Violation {
    Violation { code, reason }
}

/// What a page sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    Text(String),
    Ping(Vec<u8>),
    Pong,
    /// With its code, if it gave one.
    Close(Option<u16>),
    /// Part of a message whose end is still to come.
    Fragment,
}

/// Most bytes of a control frame's payload.
const CONTROL_MAX: usize = 125;

/// Takes bytes as they come and gives whole messages.
#[derive(Debug)]
pub struct Decoder {
    /// Bytes that are not yet a whole frame. Empty and without memory between messages.
    buffer: Vec<u8>,
    /// Text of a fragmented message so far.
    message: Vec<u8>,
    fragmented: bool,
    max_message: usize,
}

impl Decoder {
    /// A decoder that takes messages of up to `max_message` bytes.
    #[must_use]
    pub fn new(max_message: usize) -> Self {
        Self { buffer: Vec::new(), message: Vec::new(), fragmented: false, max_message }
    }

    /// Adds bytes from the network.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes one frame out of what came so far; `None` when more must come first.
    ///
    /// # Errors
    /// [`Violation`]: the connection must be closed with its code.
    pub fn take_frame(&mut self) -> Result<Option<Received>, Violation> {
        let Some(header) = ClientHeader::parse(&self.buffer)? else { return Ok(None) };
        self.check(&header)?;
        let end = header.bytes + header.payload;
        if self.buffer.len() < end {
            return Ok(None);
        }
        let mut payload = self.buffer[header.bytes..end].to_vec();
        for (byte, mask) in payload.iter_mut().zip(header.mask.iter().cycle()) {
            *byte ^= mask;
        }
        self.buffer.drain(..end);
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        self.take(&header, payload).map(Some)
    }

    /// What can be said before the payload is here.
    fn check(&self, header: &ClientHeader) -> Result<(), Violation> {
        use CloseCode::{Protocol, TooBig, Unsupported};
        match header.opcode {
            DataFrame(Data::Continue) if !self.fragmented => return Err(violation(Protocol, "nothing to continue")),
            DataFrame(Data::Text) if self.fragmented => return Err(violation(Protocol, "the last message has not ended")),
            DataFrame(Data::Continue | Data::Text) => {}
            DataFrame(Data::Binary | Data::Reserved(_)) => return Err(violation(Unsupported, "only text is understood")),
            ControlFrame(_) => return Ok(()),
        }
        if header.payload > self.max_message - self.message.len() {
            return Err(violation(TooBig, "the message is too long"));
        }
        Ok(())
    }

    fn take(&mut self, header: &ClientHeader, payload: Vec<u8>) -> Result<Received, Violation> {
        match header.opcode {
            PING => return Ok(Received::Ping(payload)),
            PONG => return Ok(Received::Pong),
            ControlFrame(_) => return close_code(&payload).map(Received::Close),
            DataFrame(_) => {}
        }
        if self.message.is_empty() {
            self.message = payload;
        } else {
            self.message.extend_from_slice(&payload);
        }
        self.fragmented = !header.last;
        if self.fragmented {
            return Ok(Received::Fragment);
        }
        let text = String::from_utf8(std::mem::take(&mut self.message));
        text.map(Received::Text).map_err(|_| violation(CloseCode::InvalidText, "the text is not UTF-8"))
    }
}

/// Header of a frame from a client.
struct ClientHeader {
    last: bool,
    opcode: OpCode,
    mask: [u8; 4],
    payload: usize,
    /// Length of the header itself.
    bytes: usize,
}

impl ClientHeader {
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let [first, second, ..] = bytes else { return Ok(None) };
        check_start(*first, *second)?;
        let mut cursor = Cursor::new(bytes);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| violation(CloseCode::Protocol, "the header cannot be read"))?;
        let Some((header, length)) = parsed else { return Ok(None) };
        let bytes = header.len(length);
        if cursor.position() != bytes as u64 || length >> 63 != 0 {
            return Err(violation(CloseCode::Protocol, "the length is not written in its shortest form"));
        }
        let payload = usize::try_from(length).map_err(|_| violation(CloseCode::TooBig, "the message is too long"))?;
        let mask = header.mask.unwrap_or_default();
        Ok(Some(Self { last: header.is_final, opcode: header.opcode, mask, payload, bytes }))
    }
}

/// What the first two bytes may be: a client that is wrong in them may send no more.
fn check_start(first: u8, second: u8) -> Result<(), Violation> {
    if first & 0x70 != 0 {
        return Err(violation(CloseCode::Protocol, "a reserved bit is set"));
    }
    if second & 0x80 == 0 {
        return Err(violation(CloseCode::Protocol, "the frame is not masked"));
    }
    match OpCode::from(first & 0x0f) {
        DataFrame(Data::Reserved(_)) | ControlFrame(Control::Reserved(_)) => {
            Err(violation(CloseCode::Protocol, "the opcode is reserved"))
        }
        ControlFrame(_) if first & 0x80 == 0 || usize::from(second & 0x7f) > CONTROL_MAX => {
            Err(violation(CloseCode::Protocol, "a control frame is fragmented or too long"))
        }
        ControlFrame(_) | DataFrame(_) => Ok(()),
    }
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        [_] => return Err(violation(CloseCode::Protocol, "half a close code")),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(violation(CloseCode::Protocol, "the close code may not be sent"));
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(violation(CloseCode::InvalidText, "the close reason is not UTF-8"));
    }
    Ok(Some(code))
}

/// Longest header of a frame that we send.
pub const HEADER_MAX: usize = 10;

/// Puts the header of an unfragmented frame with so many bytes of payload before what follows [`HEADER_MAX`] reserved bytes, and
/// returns where the frame begins.
pub fn put_header(buffer: &mut [u8], opcode: OpCode, payload: usize) -> usize {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let payload = payload as u64;
    let start = HEADER_MAX - header.len(payload);
    // It fits: nothing to fail on.
    let _ = header.format(payload, &mut &mut buffer[start..HEADER_MAX]);
    start
}

/// A whole frame.
#[must_use]
pub fn encode(opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(HEADER_MAX + payload.len());
    frame.extend_from_slice(&[0; HEADER_MAX]);
    frame.extend_from_slice(payload);
    let start = put_header(&mut frame, opcode, payload.len());
    Bytes::from(frame).slice(start..)
}

/// A close frame with a reason for people (at most 123 bytes of it are sent).
#[must_use]
pub fn close(code: u16, reason: &str) -> Bytes {
    let mut payload = code.to_be_bytes().to_vec();
    let end = (0..=reason.len().min(CONTROL_MAX - 2)).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    encode(CLOSE, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as a client sends it.
    fn client(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = encode(TEXT, payload).to_vec();
        frame.truncate(frame.len() - payload.len());
        frame[0] = first;
        frame[1] |= 0x80;
        let mask = [0x11, 0x22, 0x33, 0x44];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn all(frames: &[Vec<u8>]) -> Result<Vec<Received>, CloseCode> {
        let mut decoder = Decoder::new(1000);
        let mut received = Vec::new();
        for byte in frames.concat() {
            decoder.feed(&[byte]);
            while let Some(one) = decoder.take_frame().map_err(|violation| violation.code)? {
                received.push(one);
            }
        }
        assert_eq!(decoder.buffer.capacity(), 0, "an idle connection keeps no buffer");
        Ok(received)
    }

    #[test]
    fn takes_what_clients_may_send() {
        let text = |text: &str| Received::Text(text.to_owned());
        assert_eq!(all(&[client(0x81, b"hello")]), Ok(vec![text("hello")]));
        assert_eq!(all(&[client(0x81, b"")]), Ok(vec![text("")]));
        let long = "x".repeat(1000);
        assert_eq!(all(&[client(0x81, long.as_bytes())]), Ok(vec![text(&long)]));
        let split = [client(0x01, b"caf\xc3"), client(0x89, b"?"), client(0x00, b""), client(0x80, b"\xa9")];
        let expected = vec![Received::Fragment, Received::Ping(b"?".to_vec()), Received::Fragment, text("café")];
        assert_eq!(all(&split), Ok(expected));
        assert_eq!(all(&[client(0x8a, b"x")]), Ok(vec![Received::Pong]));
        assert_eq!(all(&[client(0x88, b"")]), Ok(vec![Received::Close(None)]));
        for code in [1000_u16, 1001, 1003, 1007, 1011, 3000, 4999] {
            assert_eq!(all(&[client(0x88, &code.to_be_bytes())]), Ok(vec![Received::Close(Some(code))]));
        }
        assert_eq!(all(&[client(0x88, b"\x03\xe8bye")]), Ok(vec![Received::Close(Some(1000))]));
    }

    #[test]
    fn refuses_everything_else_with_the_right_code() {
        use CloseCode::{InvalidText, Protocol, TooBig, Unsupported};
        let unmasked = encode(TEXT, b"hello").to_vec();
        let not_shortest = vec![0x81, 0xfe, 0, 5, 1, 2, 3, 4];
        let not_shortest_64 = vec![0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4];
        let negative = vec![0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        let huge = vec![0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4];
        let ping_126 = vec![0x89, 0xfe, 0, 126, 1, 2, 3, 4];
        let cases: Vec<(&str, Vec<Vec<u8>>, CloseCode)> = vec![
            ("unmasked", vec![unmasked], Protocol),
            ("rsv1", vec![client(0xc1, b"x")], Protocol),
            ("rsv2", vec![client(0xa1, b"x")], Protocol),
            ("rsv3", vec![client(0x91, b"x")], Protocol),
            ("reserved data", vec![client(0x83, b"x")], Protocol),
            ("reserved control", vec![client(0x8b, b"x")], Protocol),
            ("fragmented ping", vec![client(0x09, b"x")], Protocol),
            ("long ping", vec![ping_126], Protocol),
            ("not shortest", vec![not_shortest], Protocol),
            ("not shortest 64", vec![not_shortest_64], Protocol),
            ("negative length", vec![negative], Protocol),
            ("huge", vec![huge], TooBig),
            ("too long", vec![client(0x81, &[b'x'; 1001])], TooBig),
            ("too long in parts", vec![client(0x01, &[b'x'; 600]), client(0x80, &[b'x'; 401])], TooBig),
            ("binary", vec![client(0x82, b"x")], Unsupported),
            ("continues nothing", vec![client(0x80, b"x")], Protocol),
            ("starts twice", vec![client(0x01, b"x"), client(0x81, b"y")], Protocol),
            ("not utf-8", vec![client(0x81, b"\xff\xfe")], InvalidText),
            ("surrogate", vec![client(0x81, b"\xed\xa0\x80")], InvalidText),
            ("cut utf-8", vec![client(0x81, b"\xc3")], InvalidText),
            ("half a code", vec![client(0x88, b"\x03")], Protocol),
            ("code 1005", vec![client(0x88, &1005_u16.to_be_bytes())], Protocol),
            ("code 999", vec![client(0x88, &999_u16.to_be_bytes())], Protocol),
            ("code 1006", vec![client(0x88, &1006_u16.to_be_bytes())], Protocol),
            ("code 5000", vec![client(0x88, &5000_u16.to_be_bytes())], Protocol),
            ("reason not utf-8", vec![client(0x88, b"\x03\xe8\xff")], InvalidText),
        ];
        // Said before the rest of the header is here, which may never come.
        for start in [[0xc1, 0x80], [0x83, 0x80], [0x89, 0xfe], [0x81, 0x05]] {
            assert_eq!(all(&[start.to_vec()]), Err(Protocol), "{start:x?}");
        }
        for (name, frames, code) in cases {
            assert_eq!(all(&frames), Err(code), "{name}");
        }
    }

    #[test]
    fn headers_grow_with_the_payload() {
        assert_eq!(encode(TEXT, b"hi")[..], b"\x81\x02hi"[..]);
        assert_eq!(encode(TEXT, &[0; 126])[..4], [0x81, 126, 0, 126]);
        assert_eq!(encode(TEXT, &[0; 70_000])[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        assert_eq!(close(1001, &"é".repeat(100)).len(), 2 + 2 + 122);
    }
}
