//! Which calls the operators' listener admits: those of its own pages and of programs; changes need the marker header.

use std::net::SocketAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};

use super::refusals::{Reason, Refusals};
use super::{Authority, OPERATOR_HEADER, Origin, Scheme, host_of, is_probe, is_same_site, origin_of, shown};
use crate::api::page;
use crate::api::problem::Problem;
use crate::api::server::Peer;

const HOSTS_KEY: &str = "admin.allowed_hosts";

/// The hosts under which operators reach their listener.
#[derive(Debug)]
pub struct OperatorsGate {
    hosts: Vec<Authority>,
    port: u16,
    /// The token that every call must carry, if there is one.
    token: Option<String>,
    refusals: Refusals,
}

impl OperatorsGate {
    /// These, and the listener's own address.
    #[must_use]
    pub fn new(allowed: &[String], listen: SocketAddr, token: Option<String>) -> Self {
        let own = Authority { port: None, ..Authority::from(listen) };
        let hosts = allowed.iter().filter_map(|host| Authority::parse(host)).chain([own]).collect();
        Self { hosts, port: listen.port(), token, refusals: Refusals::default() }
    }

    /// Every request must name a listed host, must not come from another origin's page, and must carry the token, if there is
    /// one; changes must also carry the marker header.
    ///
    /// # Errors
    /// 403 with the reason, 400 for an invalid host, 401 without the token.
    pub fn admit(&self, parts: &Parts, peer: Peer) -> Result<(), Problem> {
        if !is_probe(parts) {
            let host = host_of(parts)?;
            if !self.lists(&host) {
                return Err(self.refuse_host(parts, peer));
            }
        }
        if let Some((written, origin)) = origin_of(&parts.headers) {
            let host = host_of(parts)?;
            if !origin.is_some_and(|origin| self.is_own(&origin, &host)) {
                return Err(self.refuse_page(parts, peer, &format!("pages of the origin {}", shown(written))));
            }
        }
        if !is_same_site(&parts.headers) && !opens_page(parts) {
            return Err(self.refuse_page(parts, peer, "pages of other origins"));
        }
        if let Some(token) = &self.token
            && !is_open(parts)
        {
            check_token(&parts.headers, token)?;
        }
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        let is_named = parts.headers.get(OPERATOR_HEADER).is_some_and(|name| !name.as_bytes().trim_ascii().is_empty());
        if !reads && !is_named {
            let detail = "the header X-KartShoppe-Operator is missing or empty: it must name the operator who makes the change";
            return Err(Problem::new(StatusCode::FORBIDDEN, "operator_header_missing", detail));
        }
        Ok(())
    }

    fn lists(&self, host: &Authority) -> bool {
        self.hosts.iter().any(|listed| listed.covers(host))
    }

    /// At this listener's own port it is http; at another a proxy stands before it, which may well speak https.
    fn is_own(&self, origin: &Origin, host: &Authority) -> bool {
        let reachable = origin.scheme == Scheme::Http || host.port != Some(self.port);
        reachable && self.lists(host) && origin.is_at(host)
    }

    fn refuse_host(&self, parts: &Parts, peer: Peer) -> Problem {
        let host = parts.headers.get("host").map_or_else(String::new, shown);
        let detail = format!(
            "{host} is not an allowed Host of the operators' listener: if it is one of its names, list it in {HOSTS_KEY}"
        );
        self.refusals.refuse("admin", parts, peer, Reason { code: "host_refused", detail, setting: HOSTS_KEY })
    }

    fn refuse_page(&self, parts: &Parts, peer: Peer, who: &str) -> Problem {
        let host = parts.headers.get("host").map_or_else(String::new, shown);
        let detail = format!(
            "{who} may not call the operators' listener (the request's Host is {host}): a proxy in front must pass on the \
             browser's Host unchanged, and that Host must be listed in {HOSTS_KEY}"
        );
        self.refusals.refuse("admin", parts, peer, Reason { code: "origin_refused", detail, setting: HOSTS_KEY })
    }
}

/// Requests that reveal and change nothing: probes, the console's files (which ask for the token), the API's description.
fn is_open(parts: &Parts) -> bool {
    let path = parts.uri.path();
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    let is_described = matches!(path, "/docs" | "/openapi.json") || path.starts_with("/docs/");
    reads && (is_probe(parts) || is_described || !page::CONSOLE.is_programs(path))
}

fn check_token(headers: &HeaderMap, token: &str) -> Result<(), Problem> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let given = all.next().and_then(|value| value.to_str().ok()).filter(|_| all.next().is_none());
    let given = given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (code, detail) = match given {
        Some((_, given)) if is_same(given.trim().as_bytes(), token.as_bytes()) => return Ok(()),
        Some(_) => ("token_wrong", "this is not the operators' token, which is in the file operator.token in the data directory"),
        None => (
            "token_missing",
            "the header `Authorization: Bearer TOKEN` is missing: the token is in the file operator.token in the data directory",
        ),
    };
    Err(Problem::new(StatusCode::UNAUTHORIZED, code, detail))
}

/// Takes the same time wherever the texts differ.
fn is_same(given: &[u8], wanted: &[u8]) -> bool {
    given.len() == wanted.len() && given.iter().zip(wanted).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

/// A link on another site may open a page of this listener in a tab of its own; everything else is fetched by that page.
fn opens_page(parts: &Parts) -> bool {
    let path = parts.uri.path();
    let is_page = page::CONSOLE.is_route(path) || path == "/docs" || path.starts_with("/docs/");
    is_page
        && parts.method == Method::GET
        && says(&parts.headers, "sec-fetch-mode", "navigate")
        && says(&parts.headers, "sec-fetch-dest", "document")
}

fn says(headers: &HeaderMap, name: &str, wanted: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    values.next().is_some_and(|value| value == wanted) && values.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::gate::tests::{any_peer, head};

    const OPERATOR: (&str, &str) = ("x-kartshoppe-operator", "me");

    fn admitted(method: Method, uri: &str, pairs: &[(&'static str, &str)]) -> Result<(), &'static str> {
        let allowed = ["localhost".to_owned(), "[::1]".to_owned(), "ops.example".to_owned(), "one.example:8443".to_owned()];
        let gate = OperatorsGate::new(&allowed, "127.0.0.1:9464".parse().unwrap(), None);
        gate.admit(&head(method, uri, pairs), any_peer()).map_err(|problem| problem.code)
    }

    #[test]
    fn every_method_needs_a_listed_host() {
        let methods = [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::PUT, Method::OPTIONS];
        for method in methods {
            for host in ["localhost:9464", "LOCALHOST", "127.0.0.1:9464", "127.0.0.1:1", "[::1]:9464", "one.example:8443"] {
                assert_eq!(admitted(method.clone(), "/admin/roles", &[("host", host), OPERATOR]), Ok(()), "{method} {host}");
            }
            for host in [
                "evil.example",
                "localhost.evil.example:9464",
                "evil.example:9464",
                "one.example",
                "127.0.0.2:9464",
                "0.0.0.0:9464",
            ] {
                let refused = admitted(method.clone(), "/admin/roles", &[("host", host), OPERATOR]);
                assert_eq!(refused, Err("host_refused"), "{method} {host}");
            }
            for host in ["localhost:x", "", "localhost, evil.example", "user@localhost"] {
                assert_eq!(
                    admitted(method.clone(), "/admin/roles", &[("host", host), OPERATOR]),
                    Err("bad_host"),
                    "{method} {host}"
                );
            }
        }
        for path in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(admitted(Method::GET, path, &[("host", "kartshoppe_app:9464")]), Ok(()), "{path}");
        }
        assert_eq!(admitted(Method::GET, "/metrics/", &[("host", "evil.example")]), Err("host_refused"));
        assert_eq!(admitted(Method::POST, "/admin/roles", &[("host", "localhost")]), Err("operator_header_missing"));
        let unnamed = [("host", "localhost"), ("x-kartshoppe-operator", " ")];
        assert_eq!(admitted(Method::POST, "/admin/roles", &unnamed), Err("operator_header_missing"));
    }

    #[test]
    fn where_there_is_a_token_every_call_bears_it() {
        let gate =
            OperatorsGate::new(&["localhost".to_owned()], "127.0.0.1:9464".parse().unwrap(), Some("s3cret-s3cret".to_owned()));
        let asks = |method: Method, path: &str, given: &[&str]| {
            let mut says = vec![("host", "localhost:9464"), OPERATOR];
            says.extend(given.iter().map(|given| ("authorization", *given)));
            gate.admit(&head(method, path, &says), any_peer()).map_err(|problem| problem.code)
        };
        let paths = [
            "/admin/roles",
            "/admin",
            "/admin/",
            "/admin/console",
            "/admin/topics/products/records?limit=1",
            "/metrics/",
            "/api",
        ];
        for path in paths {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS] {
                let asked = |given: &[&str]| asks(method.clone(), path, given);
                assert_eq!(asked(&["Bearer s3cret-s3cret"]), Ok(()), "{method} {path}");
                assert_eq!(asked(&["bearer  s3cret-s3cret "]), Ok(()), "{method} {path}");
                assert_eq!(asked(&[]), Err("token_missing"), "{method} {path}");
                for wrong in ["Bearer s3cret-s3cre", "Bearer s3cret-s3creT", "Bearer s3cret-s3cret2", "Bearer "] {
                    assert_eq!(asked(&[wrong]), Err("token_wrong"), "{method} {path} {wrong}");
                }
                for wrong in ["s3cret-s3cret", "Basic s3cret-s3cret", ""] {
                    assert_eq!(asked(&[wrong]), Err("token_missing"), "{method} {path} {wrong}");
                }
                assert_eq!(asked(&["Bearer s3cret-s3cret", "Bearer s3cret-s3cret"]), Err("token_missing"));
            }
        }
        for path in ["/livez", "/readyz", "/metrics", "/", "/topics", "/assets/ops.js", "/favicon.svg", "/docs/", "/openapi.json"]
        {
            assert_eq!(asks(Method::GET, path, &[]), Ok(()), "{path}");
            assert_eq!(asks(Method::POST, path, &[]), Err("token_missing"), "{path}");
        }
    }

    #[test]
    fn only_pages_of_this_very_listener_may_call_it() {
        let check = |host: &str, origin: &str| admitted(Method::GET, "/admin/roles", &[("host", host), ("origin", origin)]);
        for (host, origin) in [
            ("localhost:9464", "http://localhost:9464"),
            ("[::1]:9464", "http://[::1]:9464"),
            ("ops.example", "https://ops.example"),
            ("one.example:8443", "https://one.example:8443"),
        ] {
            assert_eq!(check(host, origin), Ok(()), "{host} {origin}");
        }
        for origin in [
            "http://evil.example",
            "null",
            "",
            "http://localhost:8081",
            "http://localhost",
            "https://localhost:9464",
            "ftp://localhost:9464",
            "http://127.0.0.1:9464",
            "http://ops.example",
            "http://localhost:9464/",
            "http://user@localhost:9464",
        ] {
            assert_eq!(check("localhost:9464", origin), Err("origin_refused"), "{origin}");
        }
        let twice = [("host", "localhost:9464"), ("origin", "http://localhost:9464"), ("origin", "http://localhost:9464")];
        assert_eq!(admitted(Method::GET, "/admin/roles", &twice), Err("origin_refused"));
        let rebound = [("host", "evil.example:9464"), ("origin", "http://evil.example:9464")];
        assert_eq!(admitted(Method::GET, "/metrics", &rebound), Err("origin_refused"));
    }

    #[test]
    fn other_sites_may_link_to_a_page_and_no_more() {
        let asks = |path: &str, site: &str, mode: &str, dest: &str| {
            let says = [("host", "localhost:9464"), ("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            admitted(Method::GET, path, &says)
        };
        for site in ["same-origin", "none"] {
            assert_eq!(asks("/admin/roles", site, "cors", "empty"), Ok(()));
        }
        for site in ["cross-site", "same-site", "", "none, none"] {
            for page in ["/docs/", "/", "/topics", "/r/products/0/7"] {
                assert_eq!(asks(page, site, "navigate", "document"), Ok(()), "{page}");
            }
            for (path, mode, dest) in [
                ("/admin/topics/products/records", "navigate", "document"),
                ("/openapi.json", "navigate", "document"),
                ("/metrics", "no-cors", "image"),
                ("/docs/", "navigate", "iframe"),
                ("/topics", "navigate", "iframe"),
                ("/topics", "cors", "empty"),
                ("/assets/ops.js", "no-cors", "script"),
                ("/docs/", "no-cors", "document"),
                ("/docs/swagger-ui.css", "no-cors", "style"),
            ] {
                assert_eq!(asks(path, site, mode, dest), Err("origin_refused"), "{site} {path} {mode} {dest}");
            }
        }
    }
}
