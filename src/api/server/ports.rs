//! Opens a listener, and says who holds the port when it is taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

/// Why a listener could not be opened. The text names the key that changes the address.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens there.
    #[error("{address} is in use by {holder}: stop it, or choose another address with {key}")]
    InUse { address: SocketAddr, holder: String, key: &'static str },
    /// The system refuses.
    #[error("cannot listen on {address}; choose another address with {key}")]
    Refused {
        address: SocketAddr,
        key: &'static str,
        #[source]
        source: std::io::Error,
    },
}

/// Opens a listener on `address`, which the configuration `key` sets.
///
/// # Errors
/// [`BindError`].
pub async fn bind(address: SocketAddr, key: &'static str) -> Result<TcpListener, BindError> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(source) if source.kind() == std::io::ErrorKind::AddrInUse => {
            let holder = holder_of(address).unwrap_or_else(|| "another process".to_owned());
            Err(BindError::InUse { address, holder, key })
        }
        Err(source) => Err(BindError::Refused { address, key, source }),
    }
}

/// The process that listens on this address, where the system lets us see it (Linux: `/proc`).
fn holder_of(address: SocketAddr) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .find_map(|table| table.lines().skip(1).find_map(|line| listening_inode(line, address).map(str::to_owned)))?;
    let wanted = format!("socket:[{inode}]");
    let pid = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok).find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let files = std::fs::read_dir(process.path().join("fd")).ok()?;
        let holds = files
            .filter_map(Result::ok)
            .any(|file| std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted.as_str()));
        holds.then_some(pid)
    })?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("process {pid} ({})", name.trim()))
}

/// The inode of a listening socket in a line of `/proc/net/tcp`, if it is one that takes our address.
fn listening_inode(line: &str, address: SocketAddr) -> Option<&str> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (host, port) = local.split_once(':')?;
    let same_port = u16::from_str_radix(port, 16).is_ok_and(|port| port == address.port());
    let host = parse_host(host)?;
    let overlaps = host == address.ip() || host.is_unspecified() || address.ip().is_unspecified();
    (*state == LISTEN && same_port && overlaps).then_some(*inode)
}

/// An address as `/proc/net/tcp` writes it: 32-bit words in the byte order of the machine.
fn parse_host(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (place, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(place * 8)?);
            }
            let address = Ipv6Addr::from(bytes);
            Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_its_holder_and_our_key() {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address, "KARTSHOPPE__HTTP__LISTEN").await.unwrap_err().to_string();
        assert!(error.contains("KARTSHOPPE__HTTP__LISTEN") && error.contains(&address.to_string()), "{error}");
        #[cfg(target_os = "linux")]
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    }

    #[test]
    fn reads_addresses_as_the_kernel_writes_them() {
        #[cfg(target_endian = "little")]
        {
            assert_eq!(parse_host("0100007F"), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
            assert_eq!(parse_host("00000000000000000000000001000000"), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        }
        assert_eq!(parse_host("xyz"), None);
    }
}
