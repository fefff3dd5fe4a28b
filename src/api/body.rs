//! Reading a request's body within its limits: size, time, media type, JSON.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use super::problem::Problem;

/// No rate is required in a body's first seconds: a phone that changes cells is silent for that long, and small bodies arrive
/// at once.
const GRACE: Duration = Duration::from_secs(3);

/// How large a body a listener accepts, and how long it waits for it. The listener's front adds it to each request.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    pub max_bytes: usize,
    pub timeout: Duration,
    /// Bytes per second that must arrive once the grace period is over.
    pub min_rate: u32,
}

impl BodyLimits {
    /// When more of a body must have arrived, given how much has.
    fn deadline(&self, begun: Instant, received: usize) -> Instant {
        let earned = Duration::from_secs_f64(received as f64 / f64::from(self.min_rate.max(1)));
        begun + self.timeout.min(GRACE + earned)
    }
}

/// A JSON object as a body, with its original bytes. With `BEACON` its media type may be `text/plain`, as in browsers' beacons.
#[derive(Debug)]
pub struct JsonBody<T, const BEACON: bool = false> {
    pub value: T,
    pub bytes: Bytes,
}

/// The body of a batch of tracked events: it changes nothing but what is recorded about the page that sent it.
pub type BeaconBody<T> = JsonBody<T, true>;

impl<T: DeserializeOwned, S: Send + Sync, const BEACON: bool> FromRequest<S> for JsonBody<T, BEACON> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        check_media_type(request.headers(), BEACON)?;
        let bytes = read(request).await?;
        check_object(&bytes)?;
        let value = serde_json::from_slice(&bytes).map_err(|error| json_problem(&bytes, &error))?;
        Ok(Self { value, bytes })
    }
}

/// A JSON body that may be left out.
#[derive(Debug)]
pub struct OptionalJsonBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        check_media_type(request.headers(), false)?;
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        check_object(&bytes)?;
        Ok(Self(serde_json::from_slice(&bytes).map_err(|error| json_problem(&bytes, &error))?))
    }
}

/// A body that is read whole, whatever it is.
///
/// # Errors
/// 413 beyond the limit, 408 when it does not arrive in time, 400 when the connection ends before the body does.
async fn read(request: Request) -> Result<Bytes, Failure> {
    let limits = request.extensions().get::<BodyLimits>().copied();
    let limits = limits.unwrap_or(BodyLimits { max_bytes: 64 * 1024, timeout: Duration::from_secs(10), min_rate: 4096 });
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.max_bytes) {
        return Err(too_large(limits).into());
    }
    collect(request.into_body(), limits).await
}

async fn collect(mut body: Body, limits: BodyLimits) -> Result<Bytes, Failure> {
    let (mut whole, begun) = (BytesMut::new(), Instant::now());
    loop {
        let next = timeout_at(limits.deadline(begun, whole.len()), body.frame()).await;
        let Some(frame) = next.map_err(|_| too_slow(limits, begun))? else { return Ok(whole.freeze()) };
        let broken = |_| {
            Problem::new(StatusCode::BAD_REQUEST, "bad_body", "the connection ended before the whole body had arrived").closing()
        };
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if whole.len() + data.len() > limits.max_bytes {
            return Err(too_large(limits).into());
        }
        whole.extend_from_slice(&data);
    }
}

fn too_slow(limits: BodyLimits, begun: Instant) -> Problem {
    let detail = if begun.elapsed() >= limits.timeout {
        format!("the body did not arrive within {:?}", limits.timeout)
    } else {
        format!("the body arrived more slowly than {} bytes per second", limits.min_rate)
    };
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail).closing()
}

fn too_large(limits: BodyLimits) -> Problem {
    let detail = format!("at most {} bytes are accepted", limits.max_bytes);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).closing()
}

/// Whether the media type is JSON. A page of any origin may send `text/plain`, a form or a body without a type without a
/// preflight, so none of these is accepted from a browser; other programs may leave the type out.
fn check_media_type(headers: &HeaderMap, is_beacon: bool) -> Result<(), Problem> {
    let refused = |detail| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return refused("the body must not be compressed");
    }
    const WANTED: &str = "the body must be JSON and say so: send Content-Type: application/json";
    let Some(media_type) = headers.get(header::CONTENT_TYPE) else {
        let is_browser = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
        return if is_browser && !is_beacon { refused(WANTED) } else { Ok(()) };
    };
    let essence = media_type.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Ok(()),
        "text/plain" if is_beacon => Ok(()),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(()),
        _ => refused(WANTED),
    }
}

/// Serde also reads a struct from an array, by the order of its fields, which is not part of the API.
fn check_object(bytes: &[u8]) -> Result<(), Problem> {
    match bytes.trim_ascii_start().first() {
        Some(b'[') => Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_fields", "expected a JSON object, not an array")),
        _ => Ok(()),
    }
}

/// 400 with the field, if the decoder's error names it.
#[must_use]
pub fn json_problem(bytes: &[u8], error: &serde_json::Error) -> Problem {
    let text = crate::wire::invalid::shortened(&error.to_string());
    if !error.is_data() {
        return Problem::new(StatusCode::BAD_REQUEST, "bad_json", text);
    }
    let named = text.split('`').nth(1).filter(|_| text.contains(" field `")).map(str::to_owned);
    match named.or_else(|| field_before(bytes, error.line(), error.column())) {
        Some(field) => Problem::field(&field, text),
        None => Problem::new(StatusCode::BAD_REQUEST, "invalid_fields", text),
    }
}

/// The last key before a place in JSON text.
fn field_before(bytes: &[u8], line: usize, column: usize) -> Option<String> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.by_ref().take(line.checked_sub(1)?).map(<[u8]>::len).sum();
    let read = &bytes[..bytes.len().min(before + column)];
    let colon = read.iter().rposition(|byte| *byte == b':')?;
    let key = String::from_utf8_lossy(&read[..colon]);
    let name = key.trim_end().strip_suffix('"')?.rsplit('"').next()?;
    let is_name = !name.is_empty() && name.len() <= 64 && name.chars().all(|character| character.is_alphanumeric());
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wanted {
        #[expect(dead_code, reason = "only its type matters")]
        product_id: String,
        #[expect(dead_code, reason = "only its type matters")]
        quantity: Option<i64>,
    }

    fn problem_of(json: &str) -> Problem {
        json_problem(json.as_bytes(), &serde_json::from_str::<Wanted>(json).unwrap_err())
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        for (json, field) in [
            ("{}", "productId"),
            ("{\"productId\": 5}", "productId"),
            ("{\"productId\":\"a\",\n \"quantity\" : \"many\"}", "quantity"),
            ("{\"productId\":\"a\",\"quantity\":1.5}", "quantity"),
            ("{\"productId\":\"a\",\"productId\":\"b\"}", "productId"),
        ] {
            let problem = problem_of(json);
            assert_eq!((problem.code, problem.fields[0].0.as_str()), ("invalid_fields", field), "{json}: {problem:?}");
        }
        for json in ["", "{", "{\"productId\":\"a\"} x", "\u{feff}{}", &"[".repeat(10_000)] {
            assert_eq!(problem_of(json).status, StatusCode::BAD_REQUEST);
        }
        assert_eq!(problem_of("[]").fields, []);
        assert_eq!(problem_of("{").code, "bad_json");
    }

    #[tokio::test]
    async fn bodies_have_limits() {
        let limits = BodyLimits { max_bytes: 40, timeout: Duration::from_secs(5), min_rate: 1 };
        let read = async |body: &str, media_type: &str| {
            let request = axum::http::Request::builder().header(header::CONTENT_TYPE, media_type).extension(limits);
            let request = request.body(Body::from(body.to_owned())).unwrap();
            JsonBody::<Wanted>::from_request(request, &())
                .await
                .map(|body| body.bytes.len())
                .map_err(|failure| failure.problem().status)
        };
        let fits = format!("{{\"productId\":\"{}\"}}", "x".repeat(40 - 16));
        assert_eq!(read(&fits, "application/json; charset=utf-8").await, Ok(40));
        assert_eq!(read(&format!("{fits} "), "application/json").await, Err(StatusCode::PAYLOAD_TOO_LARGE));
        for refused in ["text/html", "text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "json", ""] {
            assert_eq!(read(&fits, refused).await, Err(StatusCode::UNSUPPORTED_MEDIA_TYPE), "{refused}");
        }
    }

    /// Reads a body of which `bytes` come each `every`, until so many came.
    async fn arriving(bytes: usize, every: Duration, whole: usize) -> Result<usize, StatusCode> {
        let limits = BodyLimits { max_bytes: 65_536, timeout: Duration::from_secs(10), min_rate: 4096 };
        let parts = futures_util::stream::unfold(whole, move |left| async move {
            let part = bytes.min(left);
            if part == 0 {
                return None;
            }
            tokio::time::sleep(every).await;
            Some((Ok::<_, std::io::Error>(Bytes::from(vec![b' '; part])), left - part))
        });
        let request = axum::http::Request::builder().extension(limits).body(Body::from_stream(parts)).unwrap();
        read(request).await.map(|body| body.len()).map_err(|failure| failure.problem().status)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_ended_and_a_slow_phone_is_not() {
        let (second, started) = (Duration::from_secs(1), Instant::now());
        assert_eq!(arriving(1, second / 4, 65_536).await, Err(StatusCode::REQUEST_TIMEOUT));
        assert!(started.elapsed() < second * 4, "{:?}", started.elapsed());
        assert_eq!(arriving(3_000, second, 65_536).await, Err(StatusCode::REQUEST_TIMEOUT));
        assert_eq!(arriving(8_192, second, 65_536).await, Ok(65_536));
        assert_eq!(arriving(1_500, second * 2, 2_000).await, Err(StatusCode::REQUEST_TIMEOUT));
        assert_eq!(arriving(2_000, second * 5 / 2, 2_000).await, Ok(2_000));
    }
}
