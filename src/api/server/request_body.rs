//! A request's body on its way in: while more of it must come, the connection counts as receiving.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::progress::ConnectionProgress;

/// A request's body.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    /// Until all of it is here.
    receiving: Option<Arc<ConnectionProgress>>,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, progress: &Arc<ConnectionProgress>) -> Self {
        let receiving = (!incoming.is_end_stream()).then(|| {
            progress.receive();
            progress.clone()
        });
        Self { incoming, receiving }
    }

    fn end(&mut self) {
        if let Some(progress) = self.receiving.take() {
            progress.received();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        if self.incoming.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.end();
    }
}
