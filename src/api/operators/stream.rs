//! Server-sent events for the console, which reads them by `fetch`. Every stream ends when the server stops, and never delays
//! the stop.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Proxies that buffer answers would delay the events.
const UNBUFFERED: (HeaderName, HeaderValue) = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// The newest value as often as it changes.
pub(super) fn latest(values: watch::Receiver<Option<Bytes>>, stop: CancellationToken) -> Response {
    let values = stream::unfold(values, |mut values| async move {
        loop {
            values.changed().await.ok()?;
            let newest = values.borrow_and_update().clone();
            if let Some(newest) = newest {
                return Some((newest, values));
            }
        }
    });
    events(values, stop)
}

/// These texts, without line breaks, as events until the server stops.
pub fn events(texts: impl Stream<Item = Bytes> + Send + 'static, stop: CancellationToken) -> Response {
    let event = |text: Bytes| {
        let mut event = BytesMut::with_capacity(text.len() + 8);
        event.put_slice(b"data: ");
        event.put(text);
        event.put_slice(b"\n\n");
        Ok::<_, Infallible>(event.freeze())
    };
    let body = Body::from_stream(texts.map(event).take_until(stop.cancelled_owned()));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CONNECTION, HeaderValue::from_static("close")),
        UNBUFFERED,
    ];
    (headers, body).into_response()
}
