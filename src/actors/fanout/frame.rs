//! The frames of product changes: a WebSocket text message, header included, with one envelope in it, encoded once for all pages.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

use crate::actors::catalog_view::{CatalogHandle, ChangeNote, Entry, SharedText};
use crate::domain::EpochMs;
use crate::wire::pages::websocket::{self, HEADER_MAX};

/// Writes one envelope into one text frame.
#[derive(Debug)]
pub struct FrameWriter {
    buffer: Vec<u8>,
}

impl FrameWriter {
    /// Begins an envelope; the payload comes next. `key` and `to_user` are written as they are.
    #[must_use]
    pub fn envelope(event_type: &str, key: Option<&str>, to_user: Option<&str>, now_ms: EpochMs, payload_hint: usize) -> Self {
        let mut buffer = Vec::with_capacity(HEADER_MAX + 200 + payload_hint);
        buffer.extend_from_slice(&[0; HEADER_MAX]);
        let mut writer = Self { buffer };
        writer.text("{\"uuid\":\"");
        let mut uuid = Uuid::encode_buffer();
        let uuid: &str = Uuid::new_v4().hyphenated().encode_lower(&mut uuid);
        writer.text(uuid);
        writer.text("\",\"timestamp\":");
        writer.number(now_ms);
        writer.text(",\"key\":");
        writer.json(&key);
        writer.text(",\"toUserId\":");
        writer.json(&to_user);
        writer.text(",\"eventType\":\"");
        writer.text(event_type);
        writer.text("\",\"payload\":");
        writer
    }

    /// Ends the envelope and puts the header before it.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        self.text("}");
        self.headed(0)
    }

    /// Puts the header in front of these bytes, for a message with this many more bytes to follow.
    fn headed(mut self, rest: usize) -> Bytes {
        let payload = self.buffer.len() - HEADER_MAX + rest;
        let start = websocket::put_header(&mut self.buffer, websocket::TEXT, payload);
        Bytes::from(self.buffer).slice(start..)
    }

    fn text(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    fn raw(&mut self, json: &[u8]) {
        self.buffer.extend_from_slice(json);
    }

    fn number(&mut self, number: i64) {
        self.buffer.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn json(&mut self, value: &impl Serialize) {
        // Serialising texts and finite numbers to memory cannot fail.
        let _ = serde_json::to_writer(&mut self.buffer, value);
    }
}

/// `PRODUCT_UPDATE`: the whole product as it is now, with what changed and its trace, where an event named them.
/// `None` for a removed product whose text was dropped.
#[must_use]
pub fn product_update(id: &str, entry: &Entry, note: Option<&ChangeNote>, now_ms: EpochMs) -> Option<Bytes> {
    let open_body = entry.body().strip_suffix(b"}")?;
    let mut writer = FrameWriter::envelope("PRODUCT_UPDATE", Some(id), None, now_ms, open_body.len() + 300);
    writer.raw(open_body);
    writer.text(",\"change\":");
    writer.json(&note.map(|note| note.change.to_wire()));
    writer.text(",\"traceparent\":");
    writer.json(&note.and_then(|note| note.trace.as_ref()).map(ToString::to_string));
    writer.text("}");
    Some(writer.finish())
}

/// `PRODUCT_CACHE_SYNC`: the whole catalogue.
#[must_use]
pub fn cache_sync(catalog: &CatalogHandle, entries: impl Iterator<Item = Arc<Entry>>, now_ms: EpochMs) -> Arc<SharedText> {
    const END: Bytes = Bytes::from_static(b"]}}");
    catalog.text(entries, |_, inner| {
        let mut writer = FrameWriter::envelope("PRODUCT_CACHE_SYNC", None, None, now_ms, 0);
        writer.text("{\"products\":[");
        (writer.headed(inner + END.len()), END)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;

    use super::*;

    /// The messages in a run of frames.
    pub fn messages(mut bytes: &[u8]) -> Vec<Value> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(bytes[0], 0x81, "a whole text message");
            let (len, start) = match bytes[1] {
                126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
                127 => (usize::try_from(u64::from_be_bytes(bytes[2..10].try_into().unwrap())).unwrap(), 10),
                len => (usize::from(len), 2),
            };
            found.push(serde_json::from_slice(&bytes[start..start + len]).unwrap());
            bytes = &bytes[start + len..];
        }
        found
    }

    #[test]
    fn every_length_has_its_header() {
        for len in [0_usize, 1, 125, 126, 127, 65_535, 65_536, 300_000] {
            let text = serde_json::to_vec(&"x".repeat(len)).unwrap();
            let mut writer = FrameWriter::envelope("ECOMMERCE_EVENT", None, Some("a\"b"), 5, 0);
            writer.raw(&text);
            let envelope = writer.finish();
            let read = messages(&envelope);
            assert_eq!(read.len(), 1);
            assert_eq!(read[0]["payload"].as_str().map(str::len), Some(len));
            assert_eq!(read[0]["toUserId"], "a\"b");
            assert_eq!(messages(&[envelope.clone(), websocket::encode(websocket::TEXT, &text)].concat()).len(), 2);
        }
    }
}
