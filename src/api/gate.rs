//! Who may ask: origins of the shop, hosts and the marker header of the operators' listener, and sane heads.
//!
//! A browser sends `Origin` with everything that could do harm, and a page cannot forge it; `curl` sends none and is let in.

use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::problem::Problem;

/// Marks a request that an operator's tool made: no page can send it across origins without being asked first, and we say no.
pub const OPERATOR_HEADER: HeaderName = HeaderName::from_static("x-kartshoppe-operator");
/// The contract's methods and headers.
const CORS_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS");
const CORS_HEADERS: HeaderValue = HeaderValue::from_static(
    "accept, authorization, content-type, x-requested-with, idempotency-key, if-none-match, traceparent",
);
const CORS_EXPOSED: HeaderValue = HeaderValue::from_static("etag, retry-after");
/// A browser asks again after so many seconds.
const CORS_MAX_AGE_S: u32 = 600;
/// Longest path and query in bytes.
const MAX_URI_BYTES: usize = 2048;

/// What both listeners ask of every head.
///
/// # Errors
/// 400 without exactly one `Host`, 414 for a long path.
pub fn check_head(parts: &Parts) -> Result<(), Problem> {
    let uri_bytes = parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
    if uri_bytes > MAX_URI_BYTES {
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", format!("at most {MAX_URI_BYTES} bytes")).closing());
    }
    let hosts = parts.headers.get_all(header::HOST).iter().count();
    // HTTP/1.0 had no Host.
    if hosts > 1 || (hosts == 0 && parts.version == axum::http::Version::HTTP_11) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_host", "exactly one Host header is expected").closing());
    }
    Ok(())
}

/// The origins that may call the shop.
#[derive(Debug, Clone)]
pub struct Origins(Vec<String>);

impl Origins {
    /// These, and whatever origin the page itself was served from.
    #[must_use]
    pub fn new(allowed: &[String]) -> Self {
        Self(allowed.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect())
    }

    /// The request's origin if it is allowed; `None` if it names none.
    ///
    /// # Errors
    /// 403 for an origin that is not allowed.
    pub fn check(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
        let one = headers.get_all(header::ORIGIN).iter().count() == 1;
        let allowed = origin.to_str().is_ok_and(|text| self.allows(text, headers.get(header::HOST)));
        if one && allowed {
            return Ok(Some(origin.clone()));
        }
        Err(Problem::new(StatusCode::FORBIDDEN, "origin_refused", "pages of this origin may not call the shop"))
    }

    fn allows(&self, origin: &str, host: Option<&HeaderValue>) -> bool {
        let origin = origin.to_ascii_lowercase();
        let own = origin.split_once("://").map(|(_, authority)| authority);
        let same = own.zip(host.and_then(|host| host.to_str().ok())).is_some_and(|(own, host)| own == host.to_ascii_lowercase());
        same || self.0.contains(&origin)
    }
}

/// What an allowed origin must read in the answer.
pub fn put_cors(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, CORS_EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

/// Whether a browser asks if it may ask.
#[must_use]
pub fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What the answer to a preflight says.
pub fn put_preflight(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, CORS_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, CORS_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(CORS_MAX_AGE_S));
}

/// The hosts under which operators reach their listener.
#[derive(Debug, Clone)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// These, and the listener's own address.
    #[must_use]
    pub fn new(allowed: &[String], listen: std::net::SocketAddr) -> Self {
        let own = [listen.to_string(), bare_host(&listen.to_string()).to_owned()];
        Self(allowed.iter().map(|host| host.to_ascii_lowercase()).chain(own).collect())
    }

    /// What changes something must come from an operator: the marker header, a listed `Host`, and no page.
    ///
    /// # Errors
    /// 403 with the reason.
    pub fn check(&self, parts: &Parts) -> Result<(), Problem> {
        let forbidden = |code, detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, code, detail));
        if !self.lists(parts.headers.get(header::ORIGIN).map(origin_host)) {
            return forbidden("origin_refused", "no web page may call the operators' listener");
        }
        if matches!(parts.method, Method::GET | Method::HEAD) {
            return Ok(());
        }
        if !self.lists(Some(parts.headers.get(header::HOST).map_or("", |host| host.to_str().unwrap_or_default()))) {
            return forbidden("host_refused", "this Host is not listed in admin.allowed_hosts");
        }
        if !parts.headers.contains_key(OPERATOR_HEADER) {
            return forbidden("operator_header_missing", "the header X-KartShoppe-Operator is missing");
        }
        Ok(())
    }

    fn lists(&self, host: Option<&str>) -> bool {
        let Some(host) = host.map(str::to_ascii_lowercase) else { return true };
        self.0.iter().any(|listed| *listed == host || *listed == bare_host(&host))
    }
}

fn origin_host(origin: &HeaderValue) -> &str {
    origin.to_str().ok().and_then(|text| text.split_once("://")).map_or("", |(_, host)| host)
}

/// A host without its port.
fn bare_host(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (!bare.contains(':') || bare.ends_with(']')) => {
            bare
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_listed_origins_and_our_own_are_let_in() {
        let origins = Origins::new(&["http://localhost:3000".to_owned()]);
        let check = |origin: &str| origins.check(&headers(&[("host", "shop.example:8081"), ("origin", origin)])).is_ok();
        assert!(check("http://localhost:3000") && check("HTTP://LOCALHOST:3000") && check("http://shop.example:8081"));
        for bad in [
            "null",
            "",
            "http://localhost:3001",
            "http://localhost",
            "http://localhost:3000.evil.example",
            "http://evil.example/http://localhost:3000",
            "https://localhost:3000",
            "http://shop.example",
            "http://shop.example:8081@evil.example",
            "http://sub.shop.example:8081",
        ] {
            assert!(!check(bad), "{bad}");
        }
        assert_eq!(origins.check(&headers(&[("host", "anything")])), Ok(None));
        let mut twice = headers(&[("host", "x"), ("origin", "http://localhost:3000")]);
        twice.append(header::ORIGIN, HeaderValue::from_static("http://evil.example"));
        assert!(origins.check(&twice).is_err());
    }

    #[test]
    fn operators_name_a_listed_host_and_themselves() {
        let hosts = Hosts::new(&["localhost".to_owned(), "[::1]".to_owned()], "127.0.0.1:9464".parse().unwrap());
        let check = |method: Method, pairs: &[(&'static str, &str)]| {
            let (mut parts, ()) = Request::builder().method(method).body(()).unwrap().into_parts();
            parts.headers = headers(pairs);
            hosts.check(&parts).map_err(|problem| problem.code)
        };
        let operator = ("x-kartshoppe-operator", "me");
        for host in ["localhost:9464", "LOCALHOST", "127.0.0.1:9464", "127.0.0.1:1", "[::1]:9464"] {
            assert_eq!(check(Method::POST, &[("host", host), operator]), Ok(()), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:9464", "evil.example:9464", "localhost:x", ""] {
            assert_eq!(check(Method::DELETE, &[("host", host), operator]), Err("host_refused"), "{host}");
        }
        assert_eq!(check(Method::POST, &[("host", "localhost")]), Err("operator_header_missing"));
        assert_eq!(check(Method::GET, &[("host", "evil.example")]), Ok(()));
        let page = ("origin", "http://evil.example");
        assert_eq!(check(Method::POST, &[("host", "localhost"), operator, page]), Err("origin_refused"));
        assert_eq!(check(Method::GET, &[("host", "localhost"), ("origin", "null")]), Err("origin_refused"));
    }
}
