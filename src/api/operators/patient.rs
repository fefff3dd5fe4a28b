//! An answer that takes its time, and ends when its client is gone.
//!
//! A client that only closes its connection is not noticed until something is written to it. So an answer that is not there soon
//! begins with white space, which JSON allows: the write fails, the answer's future is dropped, and the work with it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use crate::api::failure::Failure;

/// Until then an answer has its own status; it then says more with every further wait.
const SOON: Duration = Duration::from_millis(500);

type Work<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// The answer of some work. A failure that comes late is a member `error` of an answer whose status was already sent.
pub(super) async fn answer<T: Serialize + Send + 'static>(mut work: Work<T>) -> Result<Response, Failure> {
    if let Ok(done) = timeout(SOON, &mut work).await {
        return done.map(|page| Json(page).into_response());
    }
    let parts = futures_util::stream::unfold(Some(work), |work| async move {
        let mut work = work?;
        Some(match timeout(SOON, &mut work).await {
            Err(_) => (Ok::<_, Infallible>(Bytes::from_static(b" ")), Some(work)),
            Ok(done) => (Ok(text(done)), None),
        })
    });
    let mut response = Response::new(Body::from_stream(parts));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn text<T: Serialize>(done: Result<T, Failure>) -> Bytes {
    let text = match done {
        Ok(page) => serde_json::to_vec(&page),
        Err(failure) => {
            let problem = failure.problem();
            serde_json::to_vec(&json!({"records": [], "complete": false, "endedBy": "log", "error": problem.detail}))
        }
    };
    text.unwrap_or_default().into()
}
