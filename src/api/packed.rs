//! Compressed answers about the catalogue: compressed once, and shared by all clients until the catalogue changes.
//!
//! Only answers that many pages request: lists, their facets and the first page's shelves. A product, a cart, an order are small or one
//! shopper's own.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::encoding::{self, Encoding};
use super::page;
use super::shared_body;
use super::waiting_body::IsCounted;
use crate::actors::catalog_view::Pieces;
use crate::actors::waiting::WaitingOutput;

/// Smaller answers are not compressed: they fit one packet either way.
const PACKED_MIN: usize = 1_200;
/// Larger answers are compressed outside the async workers, in bytes: about a millisecond of work.
const INLINE_MAX: usize = 32 * 1024;
/// How many compressed answers are kept, and their total bytes.
const KEPT_MAX: usize = 128;
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Beyond these the next step costs more time than it saves bytes (docs/adr/0020).
const BROTLI_QUALITY: i32 = 4;
const GZIP_LEVEL: u32 = 5;

/// Compressed answers, the latest first, each by its entity tag.
#[derive(Debug, Default)]
pub struct Packed {
    kept: Mutex<VecDeque<(String, Bytes)>>,
    /// Where their bytes are counted, once for all their readers, together with those kept for later readers.
    waiting: WaitingOutput,
}

/// A JSON text that is not sent yet.
pub enum Text {
    Shared(Pieces),
    Whole(Vec<u8>),
}

impl Text {
    fn len(&self) -> usize {
        match self {
            Self::Shared(pieces) => pieces.left(),
            Self::Whole(json) => json.len(),
        }
    }

    fn whole(self) -> Vec<u8> {
        match self {
            Self::Shared(pieces) => pieces.collect::<Vec<_>>().concat(),
            Self::Whole(json) => json,
        }
    }

    fn plain(self) -> Response {
        match self {
            Self::Shared(pieces) => shared_body::json(pieces),
            Self::Whole(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        }
    }
}

impl Packed {
    /// Compressed answers whose bytes are counted there.
    #[must_use]
    pub fn new(waiting: WaitingOutput) -> Self {
        Self { kept: Mutex::default(), waiting }
    }

    /// Drops caches that only save time.
    pub fn forget(&self) {
        self.kept().clear();
    }

    /// Answers with a JSON text whose entity tag tells its content.
    pub async fn answer_by_content(&self, headers: &HeaderMap, json: Vec<u8>) -> Response {
        let digest = Sha256::digest(&json);
        let tag = digest.first_chunk::<16>().map_or(0, |head| u128::from_be_bytes(*head));
        self.answer(headers, &format!("\"f{tag:032x}\""), Text::Whole(json)).await
    }

    /// Answers with a text, or says that it is unchanged. `tag` is the plain text's strong entity tag; each form has its own.
    pub async fn answer(&self, headers: &HeaderMap, tag: &str, text: Text) -> Response {
        let encoding = encoding::accepted(headers).next().filter(|_| text.len() >= PACKED_MIN);
        let tag = encoding
            .map_or_else(|| tag.to_owned(), |encoding| format!("{}{}\"", tag.trim_end_matches('"'), encoding.extension()));
        let mut response = match encoding {
            _ if page::matches(headers, &tag) => StatusCode::NOT_MODIFIED.into_response(),
            None => text.plain(),
            Some(encoding) => {
                let packed = self.packed(&tag, encoding, text).await;
                let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                let mut response = ([kind, (header::CONTENT_ENCODING, encoding.name())], Body::from(packed)).into_response();
                response.extensions_mut().insert(IsCounted);
                response
            }
        };
        response.headers_mut().insert(header::VARY, encoding::VARY);
        if let Ok(tag) = HeaderValue::try_from(tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    async fn packed(&self, tag: &str, encoding: Encoding, text: Text) -> Bytes {
        if let Some(known) = self.known(tag) {
            return known;
        }
        let packed = if text.len() <= INLINE_MAX {
            pack(encoding, text)
        } else {
            // Compressing cannot panic.
            tokio::task::spawn_blocking(move || pack(encoding, text)).await.unwrap_or_default()
        };
        let packed = self.waiting.hold(packed);
        self.keep(tag, &packed);
        packed
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(String, Bytes)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, tag: &str) -> Option<Bytes> {
        self.kept().iter().find(|(known, _)| known == tag).map(|(_, packed)| packed.clone())
    }

    fn keep(&self, tag: &str, packed: &Bytes) {
        let mut kept = self.kept();
        kept.push_front((tag.to_owned(), packed.clone()));
        let mut bytes = 0;
        let fitting = kept.iter().take(KEPT_MAX).take_while(|(_, packed)| {
            bytes += packed.len();
            bytes <= KEPT_BYTES_MAX
        });
        let fitting = fitting.count();
        kept.truncate(fitting);
    }
}

/// Writing to memory cannot fail.
fn pack(encoding: Encoding, text: Text) -> Bytes {
    let text = text.whole();
    match encoding {
        Encoding::Brotli => {
            let mut packed = Vec::with_capacity(text.len() / 3);
            let parameters = brotli::enc::BrotliEncoderParams { quality: BROTLI_QUALITY, ..Default::default() };
            let _ = brotli::BrotliCompress(&mut text.as_slice(), &mut packed, &parameters);
            Bytes::from(packed)
        }
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 3), Compression::new(GZIP_LEVEL));
            let _ = encoder.write_all(&text);
            Bytes::from(encoder.finish().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn asked(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding))])
    }

    async fn bytes(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn each_form_has_its_tag_and_holds_the_same_text() {
        let packed = Packed::default();
        let text = "{\"name\":\"mug\"},".repeat(200).into_bytes();
        let mut tags = std::collections::BTreeSet::new();
        for (accepts, named) in [("identity", None), ("gzip", Some("gzip")), ("br, gzip", Some("br")), ("gzip", Some("gzip"))] {
            let response = packed.answer(&asked(accepts), "\"l1\"", Text::Whole(text.clone())).await;
            assert_eq!(response.headers().get(header::CONTENT_ENCODING).map(|name| name.to_str().unwrap()), named);
            assert_eq!(response.headers()[header::VARY], "accept-encoding");
            let tag = response.headers()[header::ETAG].clone();
            tags.insert(tag.to_str().unwrap().to_owned());
            let mut again = asked(accepts);
            again.insert(header::IF_NONE_MATCH, tag.clone());
            let unchanged = packed.answer(&again, "\"l1\"", Text::Whole(text.clone())).await;
            assert_eq!((unchanged.status(), &unchanged.headers()[header::ETAG]), (StatusCode::NOT_MODIFIED, &tag));
            let sent = bytes(response).await;
            let mut read = Vec::new();
            match named {
                Some("gzip") => drop(flate2::read::GzDecoder::new(sent.as_slice()).read_to_end(&mut read).unwrap()),
                Some(_) => brotli::BrotliDecompress(&mut sent.as_slice(), &mut read).unwrap(),
                None => read = sent,
            }
            assert_eq!(read, text);
        }
        assert_eq!(tags.len(), 3);
        let small = packed.answer(&asked("br"), "\"l2\"", Text::Whole(b"[]".to_vec())).await;
        assert!(small.headers().get(header::CONTENT_ENCODING).is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let packed = Packed::default();
        for number in 0..1_000 {
            packed.keep(&number.to_string(), &Bytes::from(vec![0; 1 << 17]));
        }
        let kept = packed.kept();
        assert_eq!((kept.len(), kept[0].0.as_str()), (KEPT_BYTES_MAX >> 17, "999"));
    }

    #[tokio::test]
    async fn readers_of_a_packed_answer_share_its_bytes() {
        let waiting = WaitingOutput::default();
        let packed = Packed::new(waiting.clone());
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
        let ask = || packed.answer(&headers, "\"a\"", Text::Whole(vec![b'1'; 10_000]));
        let first = ask().await;
        let once = waiting.bytes();
        let second = ask().await;
        assert!(once > 0 && waiting.bytes() == once && second.extensions().get::<IsCounted>().is_some());
        packed.forget();
        assert_eq!(waiting.bytes(), once, "the readers hold it on");
        drop((first, second));
        assert_eq!(waiting.bytes(), 0);
    }
}
