//! An answer's body on its way out: what of it waits for the client counts.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::actors::waiting::WaitingOutput;

/// The bytes of an answer count already, or are the program's own and cost nothing, however many read them.
#[derive(Debug, Clone, Copy)]
pub(super) struct IsCounted;

/// A body whose bytes count while they wait.
pub(super) struct WaitingBody {
    inner: Body,
    waiting: WaitingOutput,
}

impl WaitingBody {
    pub(super) fn wrap(inner: Body, waiting: &WaitingOutput) -> Body {
        Body::new(Self { inner, waiting: waiting.clone() })
    }
}

impl HttpBody for WaitingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(|data| self.waiting.hold(data)))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
