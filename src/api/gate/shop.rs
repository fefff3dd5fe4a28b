//! Which calls the shop admits: those of programs, of its own pages, and of pages of a listed origin.

use axum::http::HeaderValue;
use axum::http::request::Parts;

use super::refusals::{Reason, Refusals};
use super::{Authority, Origin, host_of, is_probe, is_same_site, origin_of, shown};
use crate::api::problem::Problem;
use crate::api::server::Peer;
use crate::config::Http;
use crate::config::web_names::Host;

const HOSTS_KEY: &str = "http.allowed_hosts";
const ORIGINS_KEY: &str = "http.allowed_origins";

/// The hosts and origins of the shop.
#[derive(Debug)]
pub struct ShopGate {
    hosts: Vec<Authority>,
    origins: Vec<Origin>,
    refusals: Refusals,
}

impl ShopGate {
    /// As the configuration has them.
    #[must_use]
    pub fn new(http: &Http) -> Self {
        let hosts = http.allowed_hosts.iter().filter_map(|host| Authority::parse(host)).collect();
        let origins = http.allowed_origins.iter().filter_map(|origin| Origin::parse(origin.trim_end_matches('/'))).collect();
        Self { hosts, origins, refusals: Refusals::default() }
    }

    /// The request's origin, if it names one that is allowed.
    ///
    /// # Errors
    /// 403 for a host or an origin that is not allowed, 400 for an invalid host.
    pub fn admit(&self, parts: &Parts, peer: Peer) -> Result<Option<HeaderValue>, Problem> {
        let Some((written, origin)) = origin_of(&parts.headers) else {
            if is_probe(parts) {
                return Ok(None);
            }
            let host = host_of(parts)?;
            return if self.is_ours(&host) { Ok(None) } else { Err(self.refuse_host(parts, peer)) };
        };
        // A listed origin is trusted whatever Host a proxy sends.
        if origin.as_ref().is_some_and(|origin| self.origins.contains(origin)) {
            return Ok(Some(written.clone()));
        }
        let host = host_of(parts)?;
        if !origin.is_some_and(|origin| origin.is_at(&host)) || !is_same_site(&parts.headers) {
            return Err(self.refuse_origin(parts, peer, written));
        }
        if self.is_ours(&host) { Ok(Some(written.clone())) } else { Err(self.refuse_host(parts, peer)) }
    }

    /// Only names can be pointed at this machine by a foreign DNS server: addresses cannot, and browsers resolve localhost
    /// themselves.
    fn is_ours(&self, host: &Authority) -> bool {
        match &host.host {
            Host::Address(_) => true,
            Host::Name(name) => name == "localhost" || self.hosts.iter().any(|listed| listed.covers(host)),
        }
    }

    fn refuse_host(&self, parts: &Parts, peer: Peer) -> Problem {
        let host = parts.headers.get("host").map_or_else(String::new, shown);
        let detail = format!("{host} is not an allowed Host of this shop: if it is one of its names, list it in {HOSTS_KEY}");
        self.refusals.refuse("http", parts, peer, Reason { code: "host_refused", detail, setting: HOSTS_KEY })
    }

    fn refuse_origin(&self, parts: &Parts, peer: Peer, origin: &HeaderValue) -> Problem {
        let (origin, host) = (shown(origin), parts.headers.get("host").map_or_else(String::new, shown));
        let detail = format!(
            "pages of the origin {origin} may not call the shop (the request's Host is {host}): if a proxy changes the Host of \
             the shop's own pages, or other pages may call the shop, list the origin in {ORIGINS_KEY}"
        );
        self.refusals.refuse("http", parts, peer, Reason { code: "origin_refused", detail, setting: ORIGINS_KEY })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::json;

    use super::*;
    use crate::api::gate::tests::{any_peer, head};

    fn gate() -> ShopGate {
        let loaded = crate::config::Config::load(&crate::config::LoadOptions {
            folder: "/nonexistent".into(),
            environment: vec![
                ("KARTSHOPPE__HTTP__ALLOWED_HOSTS".to_owned(), "shop.example, cart.example:8443".to_owned()),
                ("KARTSHOPPE__HTTP__ALLOWED_ORIGINS".to_owned(), "http://localhost:3000/, https://www.example".to_owned()),
            ],
            ..crate::config::LoadOptions::default()
        });
        ShopGate::new(&loaded.unwrap().config.http)
    }

    fn admitted(gate: &ShopGate, uri: &str, pairs: &[(&'static str, &str)]) -> Result<(), &'static str> {
        gate.admit(&head(Method::GET, uri, pairs), any_peer()).map(|_| ()).map_err(|problem| problem.code)
    }

    #[test]
    fn a_name_must_be_listed_and_an_address_need_not() {
        let gate = gate();
        for host in [
            "shop.example",
            "SHOP.example:8081",
            "shop.example.",
            "cart.example:8443",
            "localhost",
            "LOCALHOST:1",
            "10.0.0.7:80",
            "[::1]:8081",
        ] {
            assert_eq!(admitted(&gate, "/", &[("host", host)]), Ok(()), "{host}");
            let origin = format!("http://{host}");
            assert_eq!(admitted(&gate, "/", &[("host", host), ("origin", &origin)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8081",
            "sub.shop.example",
            "shop.example.evil.example",
            "cart.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.1",
        ] {
            assert_eq!(admitted(&gate, "/", &[("host", host)]), Err("host_refused"), "{host}");
            assert_eq!(admitted(&gate, "/livez", &[("host", host)]), Ok(()), "{host}");
            let origin = format!("http://{host}");
            assert_eq!(admitted(&gate, "/", &[("host", host), ("origin", &origin)]), Err("host_refused"), "{host}");
        }
        assert_eq!(admitted(&gate, "/", &[]), Err("bad_host"));
        assert_eq!(admitted(&gate, "/readyz", &[]), Ok(()));
        assert_eq!(admitted(&gate, "http://evil.example/", &[("host", "evil.example")]), Err("host_refused"));
    }

    #[test]
    fn only_listed_origins_and_our_own_are_let_in() {
        let gate = gate();
        let check = |origin: &str| admitted(&gate, "/", &[("host", "shop.example:8081"), ("origin", origin)]);
        for good in ["http://localhost:3000", "HTTP://LOCALHOST:3000", "http://shop.example:8081", "https://www.example:443"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "null",
            "",
            "http://localhost:3001",
            "http://localhost",
            "http://localhost:3000.evil.example",
            "http://evil.example/http://localhost:3000",
            "https://localhost:3000",
            "http://www.example",
            "http://shop.example",
            "ftp://shop.example:8081",
            "chrome-extension://shop.example:8081",
            "http://shop.example:8081@evil.example",
            "http://sub.shop.example:8081",
        ] {
            assert_eq!(check(bad), Err("origin_refused"), "{bad}");
        }
        let twice = [("host", "localhost"), ("origin", "http://localhost:3000"), ("origin", "http://evil.example")];
        assert_eq!(admitted(&gate, "/", &twice), Err("origin_refused"));
    }

    #[test]
    fn a_proxy_may_change_the_host_of_listed_pages_and_end_their_tls() {
        let gate = gate();
        for host in ["127.0.0.1:8081", "kartshoppe_upstream", "shop.example"] {
            let page = [("host", host), ("origin", "https://www.example"), ("sec-fetch-site", "cross-site")];
            assert_eq!(admitted(&gate, "/", &page), Ok(()), "{host}");
        }
        let own = |site| {
            admitted(&gate, "/", &[("host", "shop.example"), ("origin", "https://shop.example"), ("sec-fetch-site", site)])
        };
        assert_eq!(
            (own("same-origin"), own("cross-site"), own("same-site")),
            (Ok(()), Err("origin_refused"), Err("origin_refused"))
        );
    }

    #[test]
    fn a_refusal_names_what_was_seen_and_the_setting() {
        let pairs = [("host", "127.0.0.1:8081"), ("origin", "https://new.example")];
        let refused = gate().admit(&head(Method::POST, "/", &pairs), any_peer()).unwrap_err();
        assert!(refused.detail.contains("https://new.example") && refused.detail.contains(ORIGINS_KEY), "{refused:?}");
        let extra = refused.extra.unwrap();
        assert_eq!(
            (&extra["host"], &extra["origin"], &extra["setting"]),
            (&json!("127.0.0.1:8081"), &json!("https://new.example"), &json!(ORIGINS_KEY))
        );
        let refused = gate().admit(&head(Method::GET, "/", &[("host", "new.example")]), any_peer()).unwrap_err();
        assert!(refused.detail.contains("new.example") && refused.detail.contains(HOSTS_KEY), "{refused:?}");
    }
}
