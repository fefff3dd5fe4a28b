//! Headers of a record as one blob: per header, length and bytes of the name, then of the value. Lengths are LEB128.

use std::borrow::Cow;

use bytes::{Buf, BufMut, Bytes};

use crate::log::Headers;
use crate::wire::topics::headers;

/// Names that most records carry: read back without an allocation each.
const KNOWN: [&str; 5] = [headers::CAUSE, headers::TRACEPARENT, headers::TRACESTATE, headers::STATE, headers::MOVED_FROM];

/// Writes the headers into `blob`, which is emptied first. Without headers it stays empty.
pub(super) fn encode(headers: &Headers, blob: &mut Vec<u8>) {
    blob.clear();
    for (name, value) in &headers.0 {
        put(blob, name.as_bytes());
        put(blob, value);
    }
}

/// Reads what [`encode`] wrote; `None` if it is something else.
pub(super) fn decode(mut blob: Bytes) -> Option<Headers> {
    let mut headers = Headers::none();
    while blob.has_remaining() {
        let name = take(&mut blob)?;
        let value = take(&mut blob)?;
        headers.0.push((name_of(&name)?, value));
    }
    Some(headers)
}

fn name_of(name: &Bytes) -> Option<Cow<'static, str>> {
    let name = std::str::from_utf8(name).ok()?;
    let known = KNOWN.into_iter().find(|known| *known == name);
    Some(known.map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed))
}

fn put(blob: &mut Vec<u8>, bytes: &[u8]) {
    let mut left = bytes.len();
    while left >= 0x80 {
        blob.put_u8(0x80 | u8::try_from(left & 0x7f).unwrap_or(0));
        left >>= 7;
    }
    blob.put_u8(u8::try_from(left).unwrap_or(0));
    blob.put_slice(bytes);
}

fn take(blob: &mut Bytes) -> Option<Bytes> {
    let mut length = 0_usize;
    let mut shift = 0;
    loop {
        let byte = blob.try_get_u8().ok()?;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            break;
        }
        shift += 7;
    }
    (length <= blob.len()).then(|| blob.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_come_back_in_order(pairs in prop::collection::vec((".{0,200}", prop::collection::vec(any::<u8>(), 0..300)), 0..6)) {
            let headers = Headers(pairs.into_iter().map(|(name, value)| (Cow::Owned(name), Bytes::from(value))).collect());
            let mut blob = Vec::new();
            encode(&headers, &mut blob);
            prop_assert_eq!(decode(Bytes::from(blob)), Some(headers));
        }

        #[test]
        fn other_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(Bytes::from(bytes));
        }
    }

    #[test]
    fn known_names_are_not_copied() {
        let mut headers = Headers::none();
        headers.push(headers::CAUSE.to_owned(), "order-events/0/1/0");
        let mut blob = Vec::new();
        encode(&headers, &mut blob);
        let back = decode(Bytes::from(blob)).unwrap();
        assert!(matches!(back.0[0].0, Cow::Borrowed(headers::CAUSE)));
    }
}
