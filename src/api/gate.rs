//! Which requests are admitted: hosts and origins of both listeners, the operators' marker header, and well-formed heads.
//!
//! A browser sends the name that it looked up as `Host`, and `Origin` with every request that could do harm; a page can forge
//! neither. So a foreign page whose name was pointed at this machine (DNS rebinding) is recognised by its `Host`, any other
//! page by its `Origin`. `curl` sends no `Origin` and is admitted. A refusal names the setting that would allow the request.

mod operators;
mod refusals;
mod shop;

use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use super::problem::Problem;
use crate::config::web_names::{Authority, Origin, Scheme};
use crate::wire::invalid::shortened;

pub use operators::OperatorsGate;
pub use shop::ShopGate;

/// Marks a request of an operator's tool: a page of another origin could send it only after a preflight, which is refused.
pub const OPERATOR_HEADER: HeaderName = HeaderName::from_static("x-kartshoppe-operator");
/// The contract's methods and headers.
const CORS_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS");
const CORS_HEADERS: HeaderValue = HeaderValue::from_static(
    "accept, authorization, content-type, x-requested-with, idempotency-key, if-none-match, traceparent",
);
const CORS_EXPOSED: HeaderValue = HeaderValue::from_static("etag, retry-after");
/// What an answer varies by on the shop's listener.
pub const BY_ORIGIN: HeaderValue = HeaderValue::from_static("origin");
/// A browser may reuse the answer to a preflight for this many seconds.
const CORS_MAX_AGE_S: u32 = 600;
/// Longest path and query in bytes.
const MAX_URI_BYTES: usize = 2048;
/// Paths of load balancers and scrapers, which may use any name for this process.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// The checks of every request's head, on both listeners.
///
/// # Errors
/// 400 without exactly one `Host`, 414 for a long path.
pub fn check_head(parts: &Parts) -> Result<(), Problem> {
    let uri_bytes = parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
    if uri_bytes > MAX_URI_BYTES {
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", format!("at most {MAX_URI_BYTES} bytes")).closing());
    }
    let hosts = parts.headers.get_all(header::HOST).iter().count();
    // HTTP/1.0 requests need no Host, and load balancers still probe with them.
    if hosts > 1 || (hosts == 0 && parts.version == Version::HTTP_11) {
        return Err(bad_host("exactly one Host header is expected").closing());
    }
    Ok(())
}

/// The host that the request is for, as its head has it.
///
/// # Errors
/// 400 if there is none, if it is not a valid host, or if the request line names another one.
fn host_of(parts: &Parts) -> Result<Authority, Problem> {
    let seen = parts.headers.get(header::HOST).ok_or_else(|| bad_host("a Host header is expected"))?;
    let host = seen.to_str().ok().and_then(Authority::parse);
    let host = host.ok_or_else(|| bad_host(&format!("the Host {} is neither a name nor an address", shown(seen))))?;
    let Some(written) = parts.uri.authority() else { return Ok(host) };
    let scheme = match parts.uri.scheme_str() {
        None | Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        Some(_) => return Err(bad_host("the address in the request line is neither http nor https")),
    };
    let same = |written: &Authority| written.host == host.host && written.port_for(scheme) == host.port_for(scheme);
    if Authority::parse(written.as_str()).as_ref().is_some_and(same) {
        return Ok(host);
    }
    Err(bad_host("the Host header and the address in the request line differ"))
}

fn bad_host(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_host", detail)
}

fn is_probe(parts: &Parts) -> bool {
    PROBES.contains(&parts.uri.path())
}

/// The one `Origin` of a request, as written and parsed; `None` without one.
fn origin_of(headers: &HeaderMap) -> Option<(&HeaderValue, Option<Origin>)> {
    let mut all = headers.get_all(header::ORIGIN).iter();
    let first = all.next()?;
    let origin = if all.next().is_none() { first.to_str().ok().and_then(Origin::parse) } else { None };
    Some((first, origin))
}

/// Whether the browser reports a page of this same origin, or its user, as the caller; true if it reports nothing, like older
/// ones.
fn is_same_site(headers: &HeaderMap) -> bool {
    headers.get_all("sec-fetch-site").iter().all(|site| site == "same-origin" || site == "none")
}

/// A header's value as problems and the log show it.
fn shown(value: &HeaderValue) -> String {
    format!("{:?}", shortened(&String::from_utf8_lossy(value.as_bytes())))
}

/// The CORS headers for an allowed origin. An answer to a request without an origin also says that it varies by origin:
/// a cache must not return it to a page.
pub fn put_cors(headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, CORS_EXPOSED);
    }
    headers.append(header::VARY, BY_ORIGIN);
}

/// Whether this is a CORS preflight.
#[must_use]
pub fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The headers of the answer to a preflight.
pub fn put_preflight(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, CORS_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, CORS_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(CORS_MAX_AGE_S));
}

#[cfg(test)]
pub(super) mod tests {
    use axum::http::Request;

    use super::*;

    /// Any caller.
    pub(super) fn any_peer() -> crate::api::server::Peer {
        crate::api::server::Peer { socket: ([192, 0, 2, 1], 5000).into(), client: None }
    }

    /// The head of a request.
    pub(super) fn head(method: Method, uri: &str, pairs: &[(&'static str, &str)]) -> Parts {
        let (mut parts, ()) = Request::builder().method(method).uri(uri).body(()).unwrap().into_parts();
        for (name, value) in pairs {
            parts.headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        parts
    }

    #[test]
    fn a_request_is_for_exactly_one_host() {
        let of = |uri: &str, host: &[&str]| {
            let pairs: Vec<_> = host.iter().map(|host| ("host", *host)).collect();
            let parts = head(Method::GET, uri, &pairs);
            check_head(&parts).and_then(|()| host_of(&parts)).map(|_| ()).map_err(|problem| problem.code)
        };
        assert_eq!(of("/", &["a"]), Ok(()));
        assert_eq!(of("http://a/", &["a"]), Ok(()));
        assert_eq!(of("https://a/", &["a:443"]), Ok(()));
        for (uri, hosts) in [
            ("/", &[][..]),
            ("/", &["a", "a"]),
            ("/", &[""]),
            ("/", &["a, b"]),
            ("/", &["user@a"]),
            ("/", &["é"]),
            ("http://evil.example/", &["a"]),
            ("http://a:81/", &["a"]),
            ("http://user@a/", &["a"]),
            ("ftp://a/", &["a"]),
        ] {
            assert_eq!(of(uri, hosts), Err("bad_host"), "{uri} {hosts:?}");
        }
    }
}
