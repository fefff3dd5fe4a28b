//! A slow answer that ends when its client has disconnected.
//!
//! A client that only closes its connection is not noticed until something is written to it. So an answer that is not ready soon
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

/// An answer that is ready by then has its own status; a later one writes white space after every further wait.
const SOON: Duration = Duration::from_millis(500);

type Work<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// The answer of some work. A late failure becomes a member `error`, as the status was sent already.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;

    use super::*;
    use crate::api::problem::Problem;

    #[tokio::test(start_paused = true)]
    async fn work_ends_with_its_client_and_a_late_failure_is_part_of_the_answer() {
        let alive = Arc::new(());
        let held = alive.clone();
        let work: Work<i32> = Box::pin(async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok(1)
        });
        let mut body = answer(work).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), " ");
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(body);
        assert_eq!(Arc::strong_count(&alive), 1, "no reader is left");

        let late: Work<i32> = Box::pin(async {
            tokio::time::sleep(SOON * 3).await;
            Err(Problem::unavailable("stopping", "the server stops").into())
        });
        let text = answer(late).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&read["complete"], &read["error"]), (&json!(false), &json!("the server stops")));
        let early: Work<i32> = Box::pin(async { Err(Problem::field("cursor", "is none").into()) });
        assert!(answer(early).await.is_err(), "a failure that is there soon has its own status");
    }
}
