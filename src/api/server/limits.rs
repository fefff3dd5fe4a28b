//! The limits of one listener, and how many descriptors the process has for it.

use std::time::Duration;

use super::TrustedProxies;
use crate::config::{Http, Ws};

/// Descriptors that are not seated connections: event log, database pool, listeners, log files, and those that wait for a seat.
const RESERVED_DESCRIPTORS: u64 = 192;
/// This many connections are served however few descriptors there are.
const LEAST_CONNECTIONS: usize = 16;

/// Limits of a listener's connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// Without a request, and for reading a whole answer.
    pub idle_timeout: Duration,
    /// Bytes per second at which a client must read an answer, over `idle_timeout`.
    pub min_rate: u32,
    /// The proxies that are trusted to name their clients.
    pub proxies: TrustedProxies,
    /// Connections at once that are not sockets.
    pub max_connections: usize,
    /// Sockets at once.
    pub max_pages: usize,
}

impl Limits {
    /// The configured limits, scaled down to the descriptors that the process may open.
    #[must_use]
    pub fn new(http: &Http, ws: &Ws, descriptors: u64) -> Self {
        let (connections, pages) = fit(http.max_connections, ws.max_pages, descriptors);
        if connections < http.max_connections || pages < ws.max_pages {
            tracing::warn!(
                descriptors,
                connections,
                pages,
                "{}",
                advice(http.max_connections.saturating_add(ws.max_pages), descriptors)
            );
        }
        Self {
            header_timeout: http.header_timeout,
            idle_timeout: http.idle_timeout,
            min_rate: http.min_rate,
            proxies: TrustedProxies::new(&http.trusted_proxies),
            max_connections: connections,
            max_pages: pages,
        }
    }

    /// Limits of the operators' listener: the same times, few connections.
    #[must_use]
    pub fn for_operators(http: &Http) -> Self {
        Self {
            header_timeout: http.header_timeout,
            idle_timeout: http.idle_timeout,
            min_rate: http.min_rate,
            proxies: TrustedProxies::new(&http.trusted_proxies),
            max_connections: 64,
            max_pages: 0,
        }
    }
}

/// What to do where the descriptors do not suffice.
fn advice(wanted: usize, descriptors: u64) -> String {
    let needed = RESERVED_DESCRIPTORS.saturating_add(wanted as u64);
    format!(
        "allowing fewer connections than configured: the process may open {descriptors} files and needs {needed}; raise the limit \
         (`ulimit -Hn {needed}`, LimitNOFILE= of a systemd unit, --ulimit nofile= of a container), or lower http.max_connections and \
         ws.max_pages"
    )
}

fn fit(connections: usize, pages: usize, descriptors: u64) -> (usize, usize) {
    let available = usize::try_from(descriptors.saturating_sub(RESERVED_DESCRIPTORS)).unwrap_or(usize::MAX);
    let wanted = connections.saturating_add(pages);
    if wanted <= available {
        return (connections, pages);
    }
    let share = |part: usize| (part as u128 * available as u128 / wanted as u128) as usize;
    (share(connections).max(LEAST_CONNECTIONS), share(pages).max(LEAST_CONNECTIONS))
}

/// Lets the process open as many files as the system allows it; returns how many that is.
#[must_use]
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_descriptors_are_shared_in_proportion() {
        assert_eq!(fit(10_000, 15_000, 100_000), (10_000, 15_000));
        assert_eq!(fit(10_000, 15_000, 1192), (400, 600));
        assert_eq!(fit(10_000, 15_000, 64), (LEAST_CONNECTIONS, LEAST_CONNECTIONS));
        assert!(raise_file_limit() > 0);
    }

    #[test]
    fn the_warning_names_the_limit_that_is_needed_and_how_to_raise_it() {
        let advice = advice(25_000, 1_024);
        for said in ["may open 1024 files", "needs 25192;", "ulimit -Hn 25192", "LimitNOFILE=", "lower http.max_connections"] {
            assert!(advice.contains(said), "{advice}");
        }
    }
}
