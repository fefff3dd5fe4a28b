//! Hosts and origins, as configured and as named in requests (RFC 3986 section 3.2, RFC 6454).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest host name in characters (RFC 1035).
const NAME_MAX: usize = 253;

/// A host with an optional port: `shop.example`, `127.0.0.1:8081`, `[::1]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    pub host: Host,
    pub port: Option<u16>,
}

/// A name in lower case without the trailing dot, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

impl Authority {
    /// Parses a `Host` header or an entry of `allowed_hosts`; `None` if it has a user or a path, or is not a valid host.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']')?;
                (Host::Address(address.parse::<Ipv6Addr>().ok()?.into()), after)
            }
            None => {
                let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                (Host::named(host)?, port)
            }
        };
        let port = if port.is_empty() { None } else { Some(read_port(port.strip_prefix(':')?)?) };
        Some(Self { host, port })
    }

    /// The port, or the default port of the scheme.
    #[must_use]
    pub fn port_for(&self, scheme: Scheme) -> u16 {
        self.port.unwrap_or(scheme.port())
    }

    /// Whether this entry of a list covers the other host: an entry without a port covers every port.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.host == other.host && (self.port.is_none() || self.port == other.port)
    }
}

impl From<SocketAddr> for Authority {
    fn from(address: SocketAddr) -> Self {
        Self { host: Host::Address(address.ip()), port: Some(address.port()) }
    }
}

impl Host {
    fn named(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        // Underscores are not valid in host names, but Compose and Kubernetes create such names.
        let letters = |label: &str| label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let is_name = name.len() <= NAME_MAX && name.split('.').all(|label| !label.is_empty() && letters(label));
        is_name.then(|| Self::Name(name.to_ascii_lowercase()))
    }
}

/// Digits only: the standard parser would accept a sign.
fn read_port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The scheme of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Scheme, host and port of a page. Schemes other than http and https (`null`, `file:`, extensions) are not accepted.
#[derive(Debug, Clone)]
pub struct Origin {
    pub scheme: Scheme,
    pub authority: Authority,
}

impl Origin {
    /// Parses an `Origin` header or an entry of `allowed_origins`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = match scheme {
            scheme if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            scheme if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return None,
        };
        Some(Self { scheme, authority: Authority::parse(authority)? })
    }

    /// Whether a page served by this host over this origin's scheme has this origin.
    #[must_use]
    pub fn is_at(&self, host: &Authority) -> bool {
        self.authority.host == host.host && self.authority.port_for(self.scheme) == host.port_for(self.scheme)
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.is_at(&other.authority)
    }
}

/// What is wrong with a list of hosts, if anything.
#[must_use]
pub(super) fn bad_host(listed: &[String]) -> Option<String> {
    let bad = listed.iter().find(|host| Authority::parse(host).is_none())?;
    Some(format!("{bad:?} is no host: write shop.example (every port) or shop.example:8443, without scheme and path"))
}

/// What is wrong with a list of origins, if anything.
#[must_use]
pub(super) fn bad_origin(listed: &[String]) -> Option<String> {
    let bad = listed.iter().find(|origin| Origin::parse(origin.trim_end_matches('/')).is_none())?;
    Some(format!("{bad:?} is no origin: write https://shop.example or http://shop.example:3000, without a path"))
}

/// Stands for a trace's id in `telemetry.trace_url`.
pub const TRACE_ID: &str = "{trace_id}";

/// What is wrong with the address of traces, if anything. Empty means that there is none.
#[must_use]
pub(super) fn bad_trace_url(template: &str) -> Option<String> {
    let (place, after) = match template.split_once("://") {
        None => ("", ""),
        Some((scheme, rest)) => (&template[..scheme.len() + 3 + rest.find(['/', '?', '#']).unwrap_or(rest.len())], rest),
    };
    let written = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'|');
    let is_good = Origin::parse(place).is_some() && after.matches(TRACE_ID).count() == 1 && after.bytes().all(written);
    (!template.is_empty() && !is_good).then(|| {
        format!("{template:?} is no address with {TRACE_ID} once behind its host: write http://localhost:16686/trace/{TRACE_ID}, or leave it empty")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_requests_write_them() {
        let same = |one: &str, other: &str| Authority::parse(one).unwrap() == Authority::parse(other).unwrap();
        assert!(same("Shop.Example.", "shop.example") && same("[::1]:80", "[0:0::1]:80") && same("my_shop", "MY_SHOP"));
        assert!(!same("127.0.0.1", "127.0.0.1:80") && !same("[::1]", "127.0.0.1"));
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            ":80",
            "a:",
            "a:b",
            "a:+80",
            "a:65536",
            "a b",
            "a/b",
            "user@a",
            "a,b",
            "::1",
            "[::1",
            "[::1]80",
            "[fe80::1%25eth0]",
            "[127.0.0.1]",
            "bücher.example",
            "http://a",
            "*",
            "a:80:80",
            "a\\b",
            "a#b",
            "a?b",
            "a%2eb",
        ] {
            assert_eq!(Authority::parse(bad), None, "{bad}");
        }
        assert_eq!(Authority::parse(&"a.".repeat(127)).map(|read| read.port), Some(None));
        assert_eq!(Authority::parse(&"a.".repeat(128)), None);
    }

    #[test]
    fn an_entry_without_a_port_covers_every_port() {
        let covers = |entry: &str, host: &str| Authority::parse(entry).unwrap().covers(&Authority::parse(host).unwrap());
        assert!(covers("localhost", "localhost:1") && covers("localhost", "LOCALHOST") && covers("a:1", "a:1"));
        assert!(!covers("a:1", "a") && !covers("a:1", "a:2") && !covers("a", "b"));
    }

    #[test]
    fn origins_have_the_ports_of_their_schemes() {
        let is_at = |origin: &str, host: &str| Origin::parse(origin).unwrap().is_at(&Authority::parse(host).unwrap());
        assert!(is_at("https://shop.example", "shop.example") && is_at("HTTP://shop.example", "shop.example:80"));
        assert!(is_at("https://shop.example:443", "shop.example") && is_at("http://[::1]:8081", "[::1]:8081"));
        assert!(!is_at("https://shop.example", "shop.example:80") && !is_at("http://a:1", "a"));
        assert_eq!(Origin::parse("https://a"), Origin::parse("https://A:443"));
        assert_ne!(Origin::parse("https://a:80"), Origin::parse("http://a"));
        for bad in
            ["null", "", "http://", "http:///", "ftp://a", "chrome-extension://abc", "file://", "a", "http://a/b", "http://u@a"]
        {
            assert_eq!(Origin::parse(bad), None, "{bad}");
        }
    }
}
