//! The opening handshake, RFC 6455 section 4.2.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tungstenite::handshake::derive_accept_key;

use crate::api::failure::Failure;
use crate::api::problem::Problem;

/// The subprotocol of our own page: heartbeats as text, and resuming.
const OUR_PROTOCOL: &str = "kartshoppe.v1";
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// A handshake that we answer with 101.
pub(super) struct Accepted {
    key: String,
    /// The page offered our subprotocol.
    pub v1: bool,
}

impl Accepted {
    pub(super) fn response(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, WEBSOCKET);
        if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(self.key.as_bytes())) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if self.v1 {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(OUR_PROTOCOL));
        }
        response
    }
}

/// Checks a request for an upgrade.
///
/// # Errors
/// 426 for anything but an upgrade to WebSocket version 13, 400 for a bad key.
pub(super) fn check(request: &Request) -> Result<Accepted, Failure> {
    let headers = request.headers();
    let asks = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has_token(headers, &header::CONNECTION, "upgrade")
        && has_token(headers, &header::UPGRADE, "websocket");
    let version = headers.get(header::SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes);
    if !asks || version != Some(b"13") {
        let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", "this address is a WebSocket (version 13)");
        return Err(Failure::Refused(problem));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    let one_key = headers.get_all(header::SEC_WEBSOCKET_KEY).iter().count() == 1;
    if !one_key || STANDARD.decode(key).map(|nonce| nonce.len()) != Ok(16) {
        return Err(Problem::field("Sec-WebSocket-Key", "expected 16 bytes in base64").into());
    }
    let v1 = has_token(headers, &header::SEC_WEBSOCKET_PROTOCOL, OUR_PROTOCOL);
    Ok(Accepted { key: key.to_owned(), v1 })
}

/// Whether a list header names this token.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut HeaderMap)) -> Request {
        let mut request = Request::new(Body::empty());
        let headers = request.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert(header::UPGRADE, WEBSOCKET);
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        change(headers);
        request
    }

    #[test]
    fn answers_the_example_of_the_specification() {
        let accepted = check(&request(|_| {})).unwrap_or_else(|_| panic!("it is a handshake"));
        let response = accepted.response();
        assert_eq!(response.headers()[header::SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!accepted.v1 && !response.headers().contains_key(header::SEC_WEBSOCKET_PROTOCOL));
        let offered = request(|headers| {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("other, kartshoppe.v1"));
        });
        assert!(check(&offered).is_ok_and(|accepted| accepted.v1));
    }

    #[test]
    fn refuses_what_is_no_handshake() {
        let status = |change: fn(&mut HeaderMap)| check(&request(change)).err().map(|failure| failure.problem().status.as_u16());
        assert_eq!(status(|headers| drop(headers.remove(header::UPGRADE))), Some(426));
        assert_eq!(status(|headers| drop(headers.remove(header::CONNECTION))), Some(426));
        assert_eq!(
            status(|headers| drop(headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("8")))),
            Some(426)
        );
        assert_eq!(status(|headers| drop(headers.remove(header::SEC_WEBSOCKET_KEY))), Some(400));
        assert_eq!(
            status(|headers| drop(headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("short")))),
            Some(400)
        );
        let mut old = request(|_| {});
        *old.version_mut() = Version::HTTP_10;
        assert!(check(&old).is_err());
    }
}
