//! An answer made of products, whose bytes all such answers share: a slow client holds only one piece of it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::actors::catalog_view::Pieces;

struct SharedBody(Pieces);

impl HttpBody for SharedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.left() as u64)
    }
}

/// JSON that is read piece by piece.
#[must_use]
pub fn json(pieces: Pieces) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], Body::new(SharedBody(pieces))).into_response()
}
