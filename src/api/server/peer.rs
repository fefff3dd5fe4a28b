//! A request's peer: the address of the connection or, if that is a trusted proxy, the one that the proxy names.
//!
//! Proxies append their client's address to `X-Forwarded-For` (or `Forwarded`, RFC 7239), so the list is read from its end: the
//! first address that is not a trusted proxy's is the client's. The client may have invented everything before it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{FORWARDED, HeaderName};

use crate::config::networks::Network;
use crate::telemetry::seldom::Seldom;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// A misconfigured proxy makes the same mistake with every request, so it is logged only once in a while.
static UNREADABLE: Seldom = Seldom::new(Duration::from_secs(60));

/// The peer of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the connection.
    pub socket: SocketAddr,
    /// The client that a trusted proxy names.
    pub client: Option<IpAddr>,
}

impl Peer {
    /// The address that counts.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.client.unwrap_or_else(|| self.socket.ip().to_canonical())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.client {
            Some(client) => write!(f, "{client} by {}", self.socket),
            None => write!(f, "{}", self.socket),
        }
    }
}

/// The proxies that are trusted to name their clients. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[Network]>);

impl TrustedProxies {
    /// As the configuration lists them.
    #[must_use]
    pub fn new(listed: &[String]) -> Self {
        Self(listed.iter().filter_map(|network| Network::parse(network)).collect())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The peer of a request with these headers on a connection from `socket`.
    pub(super) fn peer_of(&self, socket: SocketAddr, headers: &HeaderMap) -> Peer {
        if !self.trusts(socket.ip()) {
            return Peer { socket, client: None };
        }
        let listed = self.client_in(values(headers, &X_FORWARDED_FOR).map(|hop| address(hop.trim())), headers, &X_FORWARDED_FOR);
        let standard = self.client_in(values(headers, &FORWARDED).map(|hop| address(&forwarded_for(hop)?)), headers, &FORWARDED);
        let client = match (listed, standard) {
            // A proxy writes one of them and may pass on the other as the client wrote it: which one is unknown.
            (Some(listed), Some(standard)) if listed != standard => Err("X-Forwarded-For and Forwarded name different clients"),
            (Some(client), _) | (_, Some(client)) => client.ok_or("the address cannot be parsed"),
            (None, None) => Err("neither X-Forwarded-For nor Forwarded"),
        };
        if let Err(reason) = client
            && let Some(untold) = UNREADABLE.due("unreadable")
        {
            let proxy = socket.ip();
            tracing::warn!(%proxy, reason, untold,
                "a trusted proxy does not name the client: its requests count as the proxy's own");
        }
        Peer { socket, client: client.ok() }
    }

    /// The last hop that is not a trusted proxy, or the farthest proxy. `None` without such a header, `Some(None)` if nothing
    /// in it can be read.
    fn client_in<'a>(
        &self,
        hops: impl DoubleEndedIterator<Item = Option<IpAddr>> + 'a,
        headers: &HeaderMap,
        name: &HeaderName,
    ) -> Option<Option<IpAddr>> {
        if !headers.contains_key(name) {
            return None;
        }
        let mut farthest = None;
        for hop in hops.rev() {
            let Some(address) = hop else { break };
            farthest = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        Some(farthest)
    }
}

/// The elements of a list header, over all its lines.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl DoubleEndedIterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
    let items: Vec<&str> =
        lines.flat_map(|line| split_outside_quotes(line, ',')).filter(|item| !item.trim().is_empty()).collect();
    items.into_iter()
}

fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let separates = !quoted && character == separator;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        separates
    })
}

/// The value of `for` in an element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<String> {
    split_outside_quotes(element, ';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then(|| value.trim_matches('"').replace('\\', ""))
    })
}

/// An address with or without a port; `unknown` and obfuscated names count as unreadable.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse::<IpAddr>().ok().or_else(with_port).or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(socket: &str, headers: &[(&HeaderName, &str)]) -> Option<String> {
        let proxies = TrustedProxies::new(&["127.0.0.1".to_owned(), "10.0.0.0/8".to_owned()]);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, hyper::header::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let peer = proxies.peer_of(socket.parse().unwrap(), &map);
        assert_eq!(peer.ip(), peer.client.unwrap_or(peer.socket.ip().to_canonical()));
        peer.client.map(|client| client.to_string())
    }

    #[test]
    fn the_last_address_that_is_no_proxys_counts() {
        let listed = |value: &str| client("127.0.0.1:5000", &[(&X_FORWARDED_FOR, value)]);
        let standard = |value: &str| client("127.0.0.1:5000", &[(&FORWARDED, value)]);
        for (value, wanted) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("1.2.3.4, 203.0.113.7", Some("203.0.113.7")),
            ("1.2.3.4, 203.0.113.7 ,10.0.0.9,", Some("203.0.113.7")),
            ("invented, 203.0.113.7", Some("203.0.113.7")),
            ("203.0.113.7:4711", Some("203.0.113.7")),
            ("[2001:db8::7]:4711", Some("2001:db8::7")),
            ("2001:db8::7", Some("2001:db8::7")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            ("10.0.0.1, 10.0.0.2", Some("10.0.0.1")),
            ("1.2.3.4, unknown, 10.0.0.2", Some("10.0.0.2")),
            ("203.0.113.7, unknown", None),
            ("", None),
            ("localhost", None),
        ] {
            assert_eq!(listed(value).as_deref(), wanted, "{value:?}");
        }
        for (value, wanted) in [
            ("for=203.0.113.7", Some("203.0.113.7")),
            ("For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.1", Some("2001:db8::7")),
            ("for=1.2.3.4, proto=http;FOR=203.0.113.7", Some("203.0.113.7")),
            ("for=1.2.3.4;host=\"a,b;for=9.9.9.9\", for=203.0.113.7,for=10.0.0.2", Some("203.0.113.7")),
            ("for=1.2.3.4, for=_hidden", None),
            ("for=unknown", None),
            ("proto=http", None),
        ] {
            assert_eq!(standard(value).as_deref(), wanted, "{value:?}");
        }
    }

    #[test]
    fn lines_are_one_list_and_contradictions_count_for_nothing() {
        let local = "127.0.0.1:5000";
        let lines = [(&X_FORWARDED_FOR, "203.0.113.7"), (&X_FORWARDED_FOR, "10.0.0.2")];
        assert_eq!(client(local, &lines).as_deref(), Some("203.0.113.7"));
        let both = |standard| client(local, &[(&X_FORWARDED_FOR, "203.0.113.7"), (&FORWARDED, standard)]);
        assert_eq!(both("for=203.0.113.7").as_deref(), Some("203.0.113.7"));
        assert_eq!(both("for=198.51.100.1"), None);
    }

    #[test]
    fn anybody_elses_word_counts_for_nothing() {
        let lie = [(&X_FORWARDED_FOR, "203.0.113.7"), (&FORWARDED, "for=203.0.113.7")];
        assert_eq!(client("127.0.0.2:5000", &lie), None);
        assert_eq!(client("[::1]:5000", &lie), None);
        assert_eq!(client("[::ffff:127.0.0.1]:5000", &lie).as_deref(), Some("203.0.113.7"));
        assert_eq!(client("127.0.0.1:5000", &[]), None);
    }
}
