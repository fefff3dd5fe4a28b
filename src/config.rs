//! The configuration: one struct per section, read in layers, validated as a whole.
//!
//! `config/default.toml` is compiled in and is the only list of keys and defaults; any other key is unknown. [`Config::load`]
//! reports every unknown key and every bad value at once, and records the origin of each value.

mod layers;
pub mod networks;
pub mod postgres_url;
mod report;
pub mod web_names;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use networks::bad_network;
use web_names::{bad_host, bad_origin, bad_trace_url};

pub use layers::{ConfigError, LoadOptions, Loaded};
pub use report::{ShownKey, print, shown_keys};
pub use web_names::TRACE_ID;

/// The whole configuration. The fields are documented in `config/default.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data_dir: PathBuf,
    pub instance: String,
    pub roles: Vec<RoleName>,
    pub http: Http,
    pub admin: Admin,
    pub log: Log,
    pub kafka: Kafka,
    pub postgres: Postgres,
    pub cdc: Cdc,
    pub inventory: Inventory,
    pub orders: Orders,
    pub ws: Ws,
    pub supervision: Supervision,
    pub health: Health,
    pub faults: Faults,
    pub telemetry: Telemetry,
}

/// A part of the shop that can run in this process or in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    Api,
    Inventory,
    Cdc,
}

impl RoleName {
    /// All roles, in the order in which they start.
    pub const ALL: [Self; 3] = [Self::Inventory, Self::Cdc, Self::Api];

    /// The name as used on the command line and in the operators' routes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Inventory => "inventory",
            Self::Cdc => "cdc",
        }
    }

    /// Parses what [`RoleName::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub listen: SocketAddr,
    pub allowed_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub trusted_proxies: Vec<String>,
    #[serde(with = "duration_text")]
    pub header_timeout: Duration,
    #[serde(with = "duration_text")]
    pub body_timeout: Duration,
    #[serde(with = "duration_text")]
    pub idle_timeout: Duration,
    pub max_body_bytes: usize,
    pub max_connections: usize,
    #[serde(with = "duration_text")]
    pub drain_timeout: Duration,
    #[serde(with = "duration_text")]
    pub drain_delay: Duration,
    pub min_rate: u32,
    pub max_waiting_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    pub listen: SocketAddr,
    pub allowed_hosts: Vec<String>,
    pub create_token: bool,
    pub writes: bool,
    pub peers: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub kind: LogKind,
    pub tracked_bytes_per_second: u64,
    pub tracked_retained_bytes: u64,
    pub disk_reserve_bytes: u64,
    pub embedded: EmbeddedLog,
}

/// Which implementation of the event log is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    Embedded,
    Kafka,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedLog {
    pub fsync: bool,
    #[serde(with = "duration_text")]
    pub tombstone_retention: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    pub bootstrap_servers: String,
    pub topic_prefix: String,
    pub properties: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    pub database_url: String,
    pub bin_dir: String,
    pub max_connections: u32,
    #[serde(with = "duration_text")]
    pub acquire_timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cdc {
    pub database_url: String,
    pub slot: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    pub partitions: i32,
    #[serde(with = "duration_text")]
    pub stale_after: Duration,
    pub max_live_products: usize,
    pub bootstrap_file: PathBuf,
    pub critical_max: i64,
    pub warning_max: i64,
    pub batch_max_records: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    #[serde(with = "duration_text")]
    pub direct_expiry: Duration,
    #[serde(with = "duration_text")]
    pub probe_interval: Duration,
    #[serde(with = "duration_text")]
    pub max_clock_skew: Duration,
    #[serde(with = "duration_text")]
    pub publish_timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ws {
    pub cache_sync_max: usize,
    #[serde(with = "duration_text")]
    pub heartbeat_interval: Duration,
    #[serde(with = "duration_text")]
    pub write_timeout: Duration,
    pub max_message_bytes: usize,
    pub max_pages: usize,
    pub min_rate: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervision {
    #[serde(with = "duration_text")]
    pub hang_after: Duration,
    pub restart_intensity: u32,
    #[serde(with = "duration_text")]
    pub restart_window: Duration,
    #[serde(with = "duration_text")]
    pub backoff_min: Duration,
    #[serde(with = "duration_text")]
    pub backoff_max: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    #[serde(with = "duration_text")]
    pub stalled_after: Duration,
    #[serde(with = "duration_text")]
    pub unsettled_after: Duration,
    #[serde(with = "duration_text")]
    pub trial_write_after: Duration,
}

impl Health {
    /// Interval of the progress checks: short compared with the shortest limit, and long enough to cost next to nothing.
    #[must_use]
    pub fn look_every(&self) -> Duration {
        const AT_MOST: Duration = Duration::from_secs(5);
        const LOOKS_PER_PATIENCE: u32 = 4;
        (self.stalled_after / LOOKS_PER_PATIENCE).min(AT_MOST)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    pub enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    pub log_format: LogFormat,
    pub log_file: bool,
    pub log_files_kept: usize,
    pub log_file_max_bytes: u64,
    pub stream_sample_ratio: f64,
    pub trust_client_sampling: bool,
    pub browser_tracing: bool,
    pub jaeger_url: String,
    pub trace_url: String,
}

/// Format of the log lines on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Human,
    Json,
}

impl Config {
    /// Reads all layers and validates the result.
    ///
    /// # Errors
    /// [`ConfigError`] lists every unknown key and every bad value with its origin; secrets are not shown.
    pub fn load(options: &LoadOptions) -> Result<Loaded, ConfigError> {
        layers::load(options)
    }

    /// Violated rules about one or several fields, each as (key, what is wrong).
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, key: &'static str, text: &str| {
            if !ok {
                problems.push((key, text.to_owned()));
            }
        };
        let zero = Duration::ZERO;
        check(!self.roles.is_empty(), "roles", "is empty: name at least one of api, inventory, cdc");
        check((1..=1024).contains(&self.inventory.partitions), "inventory.partitions", "must be from 1 to 1024");
        check(self.inventory.stale_after > zero, "inventory.stale_after", "must be longer than nothing");
        check(self.inventory.max_live_products > 0, "inventory.max_live_products", "must be at least 1");
        check(self.inventory.batch_max_records > 0, "inventory.batch_max_records", "must be at least 1");
        check(self.inventory.critical_max >= 0, "inventory.critical_max", "must not be negative");
        check(
            self.inventory.warning_max >= self.inventory.critical_max,
            "inventory.warning_max",
            "must not be below inventory.critical_max",
        );
        for (key, bad) in [
            ("http.allowed_hosts", bad_host(&self.http.allowed_hosts)),
            ("http.allowed_origins", bad_origin(&self.http.allowed_origins)),
            ("http.trusted_proxies", bad_network(&self.http.trusted_proxies)),
            ("admin.allowed_hosts", bad_host(&self.admin.allowed_hosts)),
            ("admin.peers", bad_origin(&self.admin.peers)),
        ] {
            check(bad.is_none(), key, &bad.unwrap_or_default());
        }
        check(self.http.header_timeout > zero, "http.header_timeout", "must be longer than nothing");
        check(self.http.body_timeout > zero, "http.body_timeout", "must be longer than nothing");
        check(self.http.idle_timeout > zero, "http.idle_timeout", "must be longer than nothing");
        let longest = Duration::from_secs(600);
        check(self.http.drain_delay <= longest, "http.drain_delay", "must be at most 10m: who stops a process waits for it");
        check(self.http.max_body_bytes >= 1024, "http.max_body_bytes", "must be at least 1024");
        check(self.http.max_connections > 0, "http.max_connections", "must be at least 1");
        check(self.http.min_rate > 0, "http.min_rate", "must be at least 1");
        check(self.http.max_waiting_bytes >= 1 << 20, "http.max_waiting_bytes", "must be at least 1048576");
        check(self.ws.min_rate > 0, "ws.min_rate", "must be at least 1");
        check(self.ws.write_timeout > zero, "ws.write_timeout", "must be longer than nothing");
        check(
            (1 << 20..=i64::MAX.unsigned_abs()).contains(&self.log.tracked_retained_bytes),
            "log.tracked_retained_bytes",
            "must be at least 1048576",
        );
        check(self.telemetry.log_files_kept > 0, "telemetry.log_files_kept", "must be at least 1");
        check(self.telemetry.log_file_max_bytes >= 65_536, "telemetry.log_file_max_bytes", "must be at least 65536");
        let is_ratio = (0.0..=1.0).contains(&self.telemetry.stream_sample_ratio);
        check(is_ratio, "telemetry.stream_sample_ratio", "must be from 0.0 to 1.0");
        let trace_url = bad_trace_url(&self.telemetry.trace_url);
        check(trace_url.is_none(), "telemetry.trace_url", &trace_url.unwrap_or_default());
        check(self.telemetry.jaeger_url.starts_with("http://"), "telemetry.jaeger_url", "must begin with http://");
        check(self.postgres.max_connections > 0, "postgres.max_connections", "must be at least 1");
        check(self.ws.heartbeat_interval > zero, "ws.heartbeat_interval", "must be longer than nothing");
        check(self.ws.max_message_bytes >= 256, "ws.max_message_bytes", "must be at least 256");
        check(
            self.supervision.backoff_max >= self.supervision.backoff_min,
            "supervision.backoff_max",
            "must not be below supervision.backoff_min",
        );
        check(self.supervision.hang_after > zero, "supervision.hang_after", "must be longer than nothing");
        let second = Duration::from_secs(1);
        check(self.health.stalled_after >= second, "health.stalled_after", "must be at least 1s");
        check(self.health.unsettled_after >= second, "health.unsettled_after", "must be at least 1s");
        check(self.health.trial_write_after >= second, "health.trial_write_after", "must be at least 1s");
        check(
            self.orders.direct_expiry > self.orders.publish_timeout,
            "orders.direct_expiry",
            "must be longer than orders.publish_timeout",
        );
        let slot_ok =
            !self.cdc.slot.is_empty() && self.cdc.slot.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        check(slot_ok && self.cdc.slot.len() <= 63, "cdc.slot", "must be 1 to 63 lower case letters, digits or underscores");
        for (key, url) in [("postgres.database_url", &self.postgres.database_url), ("cdc.database_url", &self.cdc.database_url)] {
            problems.extend(postgres_url::problem(url).map(|problem| (key, problem)));
        }
        problems
    }
}

/// Durations in the form `1h`, `500ms`.
pub(crate) mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }

    pub fn parse(text: &str) -> Result<Duration, String> {
        humantime::parse_duration(text).map_err(|_| format!("{text:?} is no duration: write 1h, 15s or 500ms"))
    }
}

#[cfg(test)]
mod tests;
