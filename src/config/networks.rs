//! Networks of proxies as configured: an address, or an address and its prefix length (RFC 4632).

use std::net::IpAddr;

/// The addresses that share a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Parses `10.0.0.7`, `10.0.0.0/8` or `2001:db8::/32`. An IPv4-mapped IPv6 address is treated as the IPv4 address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let written: IpAddr = address.parse().ok()?;
        let bits = match bits {
            None => width(written),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        if bits > width(written) {
            return None;
        }
        let address = written.to_canonical();
        let dropped = width(written) - width(address);
        // A network wider than the IPv4-mapped range stays an IPv6 network.
        if bits < dropped {
            return Some(Self { address: written, bits });
        }
        Some(Self { address, bits: bits - dropped })
    }

    /// Whether the address is in the network.
    #[must_use]
    pub fn contains(&self, other: IpAddr) -> bool {
        let other = other.to_canonical();
        width(other) == width(self.address) && first_bits(other, self.bits) == first_bits(self.address, self.bits)
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all bits after the prefix cleared, aligned to the upper end of the number.
fn first_bits(address: IpAddr, bits: u32) -> u128 {
    let number = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    number & u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// What is wrong with a list of networks, if anything.
#[must_use]
pub(super) fn bad_network(listed: &[String]) -> Option<String> {
    let bad = listed.iter().find(|network| Network::parse(network).is_none())?;
    Some(format!("{bad:?} is no address and no network: write 10.0.0.7, 10.0.0.0/8 or 2001:db8::/32, without name and port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_cover_what_they_say() {
        for (network, inside, outside) in [
            ("10.0.0.7", "10.0.0.7", "10.0.0.8"),
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("10.1.2.3/8", "10.255.1.2", "11.0.0.0"),
            ("192.168.0.128/25", "::ffff:192.168.0.200", "192.168.0.127"),
            ("::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
        }
    }

    #[test]
    fn anything_else_is_told() {
        for bad in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "::/129",
            "localhost",
            "10.0.0.7:80",
            "[::1]",
            "*",
        ] {
            assert_eq!(Network::parse(bad), None, "{bad}");
            assert!(
                bad_network(&["::1".to_owned(), bad.to_owned()]).is_some_and(|message| message.contains(&format!("{bad:?}")))
            );
        }
    }
}
