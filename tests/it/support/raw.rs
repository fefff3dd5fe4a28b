//! Bytes that no proper client sends: HTTP by hand, and WebSocket frames of any shape.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a test waits for an expected event.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The server's answer before it closed.
#[derive(Debug)]
pub struct Answer {
    /// 0 if it closed without a word.
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Reads one answer from text.
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

/// Sends bytes and reads until the server closes.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have refused and closed before everything was sent.
    let _ = stream.write_all(bytes).await;
    until_closed(stream).await
}

/// Reads until the server closes.
pub async fn until_closed(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    assert!(ended.is_ok(), "the server keeps the connection open: {}", String::from_utf8_lossy(&bytes));
    Answer::parse(&String::from_utf8_lossy(&bytes))
}

/// A request that asks to close afterwards.
pub async fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    let mut bytes = format!("{text}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    exchange(address, &bytes).await
}

/// A WebSocket, frame by frame.
pub struct RawSocket {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// A frame from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a close frame; 0 for any other.
    pub fn close_code(&self) -> u16 {
        match self.payload.as_slice() {
            [high, low, ..] if self.opcode == 8 => u16::from_be_bytes([*high, *low]),
            _ => 0,
        }
    }

    /// The text message as JSON.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.opcode, 1, "a text frame is expected: {self:?}");
        serde_json::from_slice(&self.payload).unwrap()
    }
}

/// The handshake of a well-behaved page.
pub fn handshake(address: SocketAddr, path: &str, extra: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n"
    )
}

impl RawSocket {
    /// Connects as a page does; with more header lines if need be.
    pub async fn open(address: SocketAddr, path: &str, extra: &str) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap(), path, extra).await
    }

    /// The same with a receive buffer so small that the server soon notices unread data.
    pub async fn open_narrow(address: SocketAddr, path: &str, extra: &str) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        Self::over(socket.connect(address).await.unwrap(), path, extra).await
    }

    /// The same on an existing connection.
    pub async fn over(mut stream: TcpStream, path: &str, extra: &str) -> Self {
        let address = stream.peer_addr().unwrap();
        stream.write_all(handshake(address, path, extra).as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes unchanged.
    pub async fn send(&mut self, bytes: &[u8]) {
        // The server may have ended the connection: what it sent is seen by the next read.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Sends a text message.
    pub async fn say(&mut self, text: &str) {
        self.send(&masked(0x81, text.as_bytes())).await;
    }

    /// The next frame; `None` if the server has closed.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let mut bytes = vec![0u8; 65_536];
            match timeout(PATIENCE, self.stream.read(&mut bytes)).await.unwrap() {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
            }
        }
    }

    /// The next text message of this kind; others are skipped.
    pub async fn until(&mut self, event_type: &str) -> serde_json::Value {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("the server closed before {event_type}"));
            assert_ne!(frame.opcode, 8, "the server closes before {event_type}: {}", frame.close_code());
            if frame.opcode == 1 && frame.json()["eventType"] == event_type {
                return frame.json();
            }
        }
    }

    /// Reads to the end; returns the code of the server's close frame, 0 if there was none.
    pub async fn close_code(&mut self) -> u16 {
        let mut code = 0;
        while let Some(frame) = self.next().await {
            if frame.opcode == 8 {
                code = frame.close_code();
                self.send(&masked(0x88, &code.to_be_bytes())).await;
            }
        }
        code
    }

    fn take(&mut self) -> Option<Frame> {
        let [first, second, rest @ ..] = self.buffer.as_slice() else { return None };
        assert_eq!(second & 0x80, 0, "a server never masks");
        assert_eq!(first & 0xf0, 0x80, "a server's frames are whole");
        let (length, at) = match second {
            126 => (usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().unwrap())), 4),
            127 => (usize::try_from(u64::from_be_bytes(rest.get(..8)?.try_into().unwrap())).unwrap(), 10),
            short => (usize::from(*short), 2),
        };
        let payload = self.buffer.get(at..at + length)?.to_vec();
        let opcode = first & 0x0f;
        self.buffer.drain(..at + length);
        Some(Frame { opcode, payload })
    }
}

/// A frame as a client sends it.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
