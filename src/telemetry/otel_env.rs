//! `OTEL_*`, read once and strictly (docs/adr, "What cannot be exported stops the start").
//!
//! A value that decides whether or where a signal goes and cannot be honoured stops the start; any other that is not understood is
//! one warning and counts as unset. Variables of other languages' SDKs are not looked at.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::Scheme;

use super::otlp_target::{BatchLimits, Otlp, OtlpHeaders, Protocol, Signal, decoded, header, without_credentials};
use super::sampling::Sampler;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why `OTEL_*` stops the start.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value:?} cannot be honoured: {reason}")]
pub struct EnvError {
    variable: String,
    value: String,
    reason: String,
}

/// What `OTEL_*` says.
#[derive(Debug)]
pub struct OtelEnv {
    /// `None`: no span leaves.
    pub traces: Option<Otlp>,
    /// `None`: the log stays on standard error and in its file.
    pub logs: Option<Otlp>,
    /// `None`: metrics are only there for who asks.
    pub metrics: Option<Otlp>,
    /// `None`: not set.
    pub sampler: Option<Sampler>,
    /// Whether that one asks a parent first.
    pub asks_parents: bool,
    /// Whether contexts of clients are read.
    pub joins_traces: bool,
    pub limits: BatchLimits,
    pub log_limits: BatchLimits,
    pub metric_interval: Duration,
    /// Taken literally for all roles.
    pub service_name: Option<String>,
    /// Further attributes of the resource.
    pub attributes: Vec<(String, String)>,
    pub warnings: Vec<String>,
}

/// Reads the environment of the process.
///
/// # Errors
/// [`EnvError`] names the first variable that stops the start.
pub fn read() -> Result<OtelEnv, EnvError> {
    read_from(&|name| std::env::var(name).ok())
}

fn read_from(lookup: &dyn Fn(&str) -> Option<String>) -> Result<OtelEnv, EnvError> {
    let mut reader = EnvReader { lookup, warnings: Vec::new() };
    let is_disabled = reader.is_disabled()?;
    let mut of = |signal| if !is_disabled && reader.wants(signal)? { reader.otlp(signal).map(Some) } else { Ok(None) };
    let (traces, logs, metrics) = (of(Signal::Traces)?, of(Signal::Logs)?, of(Signal::Metrics)?);
    let (sampler, asks_parents) = reader.sampler()?;
    let joins_traces = reader.joins_traces();
    let limits = reader.limits("BSP", Duration::from_secs(5));
    let log_limits = reader.limits("BLRP", Duration::from_secs(1));
    let metric_interval = reader.metric_interval();
    let (service_name, attributes) = reader.resource();
    let mut warnings = reader.warnings;
    // What all signals share is read for each.
    let mut seen = BTreeSet::new();
    warnings.retain(|warning| seen.insert(warning.clone()));
    Ok(OtelEnv {
        traces,
        logs,
        metrics,
        sampler,
        asks_parents,
        joins_traces,
        limits,
        log_limits,
        metric_interval,
        service_name,
        attributes,
        warnings,
    })
}

struct EnvReader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

fn refused(variable: &str, value: &str, reason: impl Into<String>) -> EnvError {
    EnvError { variable: variable.to_owned(), value: value.to_owned(), reason: reason.into() }
}

impl EnvReader<'_> {
    /// A variable; an empty one counts as unset.
    fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The signal's own variable, or the one of all signals: which it was, and its value.
    fn of_signal(&self, signal: Signal, suffix: &str) -> Option<(String, String)> {
        let names = [format!("OTEL_EXPORTER_OTLP_{}_{suffix}", signal.in_names()), format!("OTEL_EXPORTER_OTLP_{suffix}")];
        names.into_iter().find_map(|name| Some((self.get(&name)?, name))).map(|(value, name)| (name, value))
    }

    fn warn(&mut self, name: &str, value: &str, instead: &str) {
        self.warnings.push(format!("{name}={value:?} is not understood: {instead}"));
    }

    fn is_disabled(&self) -> Result<bool, EnvError> {
        const DISABLED: &str = "OTEL_SDK_DISABLED";
        match self.get(DISABLED) {
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if !value.eq_ignore_ascii_case("false") => Err(refused(DISABLED, &value, "expected true or false")),
            Some(_) | None => Ok(false),
        }
    }

    /// Without an endpoint nothing is sent unless the exporter is asked for by name: a shop on a laptop has no collector. An
    /// endpoint of all signals sends spans alone, as what is there is often a store of traces.
    fn wants(&self, signal: Signal) -> Result<bool, EnvError> {
        let name = format!("OTEL_{}_EXPORTER", signal.in_names());
        let Some(asked) = self.get(&name) else {
            let own = self.get(&format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.in_names()));
            return Ok(own.is_some() || (signal == Signal::Traces && self.get("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()));
        };
        let exporters: Vec<&str> = asked.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        match exporters[..] {
            ["otlp"] => Ok(true),
            ["none"] => Ok(false),
            _ => Err(refused(&name, &asked, "the shop sends by OTLP; expected otlp or none")),
        }
    }

    fn otlp(&mut self, signal: Signal) -> Result<Otlp, EnvError> {
        let protocol = self.protocol(signal)?;
        let gzip = match self.of_signal(signal, "COMPRESSION") {
            Some((_, value)) if value == "gzip" => true,
            Some((name, value)) if value != "none" => {
                self.warn(&name, &value, "expected gzip or none; nothing is compressed");
                false
            }
            Some(_) | None => false,
        };
        Ok(Otlp {
            protocol,
            endpoint: self.endpoint(signal, protocol)?,
            gzip,
            timeout: self.millis_of_signal(signal, "TIMEOUT", DEFAULT_TIMEOUT),
            headers: self.headers(signal),
            trusted: self.file(signal, "CERTIFICATE")?,
            client_certificate: self.file(signal, "CLIENT_CERTIFICATE")?,
            client_key: self.file(signal, "CLIENT_KEY")?,
        })
    }

    fn protocol(&self, signal: Signal) -> Result<Protocol, EnvError> {
        let Some((name, value)) = self.of_signal(signal, "PROTOCOL") else { return Ok(Protocol::HttpProtobuf) };
        match value.as_str() {
            "http/protobuf" => Ok(Protocol::HttpProtobuf),
            "grpc" => Ok(Protocol::Grpc),
            _ => Err(refused(&name, &value, "expected http/protobuf or grpc")),
        }
    }

    fn endpoint(&mut self, signal: Signal, protocol: Protocol) -> Result<Uri, EnvError> {
        const OF_ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let (own, path) = (format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.in_names()), signal.path());
        let (name, value) = match (self.get(&own), self.get(OF_ALL), protocol) {
            (Some(value), _, _) => (own.as_str(), value),
            (None, Some(value), Protocol::Grpc) => (OF_ALL, value),
            (None, Some(base), Protocol::HttpProtobuf) => (OF_ALL, format!("{}{path}", base.trim_end_matches('/'))),
            (None, None, Protocol::Grpc) => (OF_ALL, "http://localhost:4317".to_owned()),
            (None, None, Protocol::HttpProtobuf) => (OF_ALL, format!("http://localhost:4318{path}")),
        };
        let whole = if protocol == Protocol::Grpc && !value.contains("://") {
            format!("{}://{value}", if self.is_insecure(signal) { "http" } else { "https" })
        } else {
            value.clone()
        };
        let shown = without_credentials(&value);
        let uri: Uri = whole.parse().map_err(|error| refused(name, &shown, format!("{error}")))?;
        let speaks_http = [&Scheme::HTTP, &Scheme::HTTPS].into_iter().any(|scheme| uri.scheme() == Some(scheme));
        if !speaks_http || uri.host().is_none_or(str::is_empty) {
            return Err(refused(name, &shown, "expected http://HOST:PORT or https://HOST:PORT"));
        }
        Ok(uri)
    }

    fn is_insecure(&mut self, signal: Signal) -> bool {
        match self.of_signal(signal, "INSECURE") {
            Some((_, value)) if value.eq_ignore_ascii_case("true") => true,
            Some((name, value)) if !value.eq_ignore_ascii_case("false") => {
                self.warn(&name, &value, "expected true or false; the endpoint is reached by TLS");
                false
            }
            Some(_) | None => false,
        }
    }

    /// A file that cannot be read would send data to the wrong place, or nowhere.
    fn file(&self, signal: Signal, suffix: &str) -> Result<Option<PathBuf>, EnvError> {
        let Some((name, value)) = self.of_signal(signal, suffix) else { return Ok(None) };
        match std::fs::File::open(&value) {
            Ok(_) => Ok(Some(PathBuf::from(value))),
            Err(error) => Err(refused(&name, &value, format!("the file cannot be read ({error})"))),
        }
    }

    /// Values may be secret, so none is shown.
    fn headers(&mut self, signal: Signal) -> OtlpHeaders {
        let Some((name, text)) = self.of_signal(signal, "HEADERS") else { return OtlpHeaders::default() };
        let entries: Vec<_> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(header).collect();
        if entries.iter().any(Option::is_none) {
            self.warnings.push(format!("{name} has an entry that is not KEY=VALUE: it is left out"));
        }
        OtlpHeaders(entries.into_iter().flatten().collect())
    }

    fn sampler(&mut self) -> Result<(Option<Sampler>, bool), EnvError> {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        let Some(value) = self.get(NAME) else { return Ok((None, true)) };
        let asks_parents = value.starts_with("parentbased_");
        let sampler = match value.strip_prefix("parentbased_").unwrap_or(&value) {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::Ratio(self.ratio()),
            _ => {
                let known = "expected always_on, always_off or traceidratio, each also with parentbased_ before it";
                return Err(refused(NAME, &value, known));
            }
        };
        Ok((Some(sampler), asks_parents))
    }

    fn ratio(&mut self) -> f64 {
        const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(value) = self.get(NAME) else { return 1.0 };
        match value.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            Ok(_) | Err(_) => {
                self.warn(NAME, &value, "expected a number from 0.0 to 1.0; every trace is sampled");
                1.0
            }
        }
    }

    fn joins_traces(&mut self) -> bool {
        const NAME: &str = "OTEL_PROPAGATORS";
        let Some(value) = self.get(NAME) else { return true };
        let names: Vec<&str> = value.split(',').map(str::trim).collect();
        if !names.iter().all(|name| ["tracecontext", "baggage", "none", ""].contains(name)) {
            self.warn(NAME, &value, "the shop knows tracecontext, and passes no baggage on");
        }
        names.contains(&"tracecontext")
    }

    fn limits(&mut self, kind: &str, delay: Duration) -> BatchLimits {
        let queue = self.number(&format!("OTEL_{kind}_MAX_QUEUE_SIZE"), 2_048);
        let batch = self.number(&format!("OTEL_{kind}_MAX_EXPORT_BATCH_SIZE"), 512).min(queue);
        let delay = self.millis(&format!("OTEL_{kind}_SCHEDULE_DELAY"), delay);
        let export_timeout = self.millis(&format!("OTEL_{kind}_EXPORT_TIMEOUT"), Duration::from_secs(30));
        BatchLimits { queue, batch, delay, export_timeout }
    }

    fn metric_interval(&mut self) -> Duration {
        const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        if let Some(value) = self.get(TEMPORALITY).filter(|value| !value.eq_ignore_ascii_case("cumulative")) {
            self.warn(TEMPORALITY, &value, "figures are sent as on /metrics, which is cumulative");
        }
        self.millis("OTEL_METRIC_EXPORT_INTERVAL", Duration::from_secs(60))
    }

    fn number(&mut self, name: &str, default: usize) -> usize {
        let Some(value) = self.get(name) else { return default };
        value.parse().ok().filter(|number| (1..=1_000_000).contains(number)).unwrap_or_else(|| {
            self.warn(name, &value, &format!("expected a number from 1 to 1000000; it stays {default}"));
            default
        })
    }

    fn millis(&mut self, name: &str, default: Duration) -> Duration {
        let Some(value) = self.get(name) else { return default };
        value.parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis).unwrap_or_else(|| {
            self.warn(name, &value, &format!("expected milliseconds; it stays {default:?}"));
            default
        })
    }

    fn millis_of_signal(&mut self, signal: Signal, suffix: &str, default: Duration) -> Duration {
        match self.of_signal(signal, suffix) {
            Some((name, _)) => self.millis(&name, default),
            None => default,
        }
    }

    /// `OTEL_SERVICE_NAME` wins over `service.name` among the attributes.
    fn resource(&mut self) -> (Option<String>, Vec<(String, String)>) {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let text = self.get(NAME).unwrap_or_default();
        let entries = text.split(',').filter(|entry| !entry.trim().is_empty()).map(|entry| {
            let (key, value) = entry.split_once('=')?;
            Some((decoded(key.trim()).filter(|key| !key.is_empty())?, decoded(value.trim())?))
        });
        let attributes: Vec<(String, String)> = entries.collect::<Option<_>>().unwrap_or_else(|| {
            self.warn(NAME, &text, "expected KEY=VALUE,…, percent-encoded; all of it is left out");
            Vec::new()
        });
        let named = attributes.iter().rev().find(|(key, _)| key == "service.name").map(|(_, value)| value.clone());
        (self.get("OTEL_SERVICE_NAME").or(named), attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<OtelEnv, EnvError> {
        read_from(&|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");

    #[test]
    fn spans_go_out_only_where_that_is_asked_for() {
        let asked = |variables: &[(&str, &str)]| read(variables).unwrap().traces.map(|otlp| otlp.endpoint.to_string());
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[ENDPOINT]).as_deref(), Some("http://c:4318/v1/traces"));
        assert_eq!(asked(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), None);
        assert_eq!(asked(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")]), None);
        assert_eq!(asked(&[("OTEL_TRACES_EXPORTER", "otlp")]).as_deref(), Some("http://localhost:4318/v1/traces"));
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        assert_eq!(asked(&[("OTEL_TRACES_EXPORTER", "otlp"), grpc]).as_deref(), Some("http://localhost:4317/"));
        let bare = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "c:4317");
        assert_eq!(asked(&[bare, grpc]).as_deref(), Some("https://c:4317/"));
        assert_eq!(asked(&[bare, grpc, ("OTEL_EXPORTER_OTLP_INSECURE", "true")]).as_deref(), Some("http://c:4317/"));
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/own");
        assert_eq!(asked(&[ENDPOINT, own]).as_deref(), Some("https://t/own"), "taken as it is");
    }

    #[test]
    fn logs_and_metrics_go_out_only_where_they_are_asked_for_by_name() {
        let asked = |variables: &[(&str, &str)]| {
            let read = read(variables).unwrap();
            [read.logs, read.metrics].map(|otlp| otlp.map(|otlp| otlp.endpoint.to_string()))
        };
        assert_eq!(asked(&[]), [None, None]);
        assert_eq!(asked(&[ENDPOINT]), [None, None], "what is there may know traces alone");
        let both = [("OTEL_LOGS_EXPORTER", "otlp"), ("OTEL_METRICS_EXPORTER", "otlp")];
        let at = |base: &str| [Some(format!("{base}/v1/logs")), Some(format!("{base}/v1/metrics"))];
        assert_eq!(asked(&both), at("http://localhost:4318"));
        assert_eq!(asked(&[both[0], both[1], ENDPOINT]), at("http://c:4318"));
        assert_eq!(asked(&[both[0], both[1], ENDPOINT, ("OTEL_SDK_DISABLED", "true")]), [None, None]);
        let own = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://l/own");
        assert_eq!(asked(&[own]), [Some("http://l/own".to_owned()), None]);
        assert_eq!(asked(&[own, ("OTEL_LOGS_EXPORTER", "none")]), [None, None]);
        let headers = [ENDPOINT, both[0], ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20abc, x-team = a")];
        let otlp = read(&headers).unwrap().logs.unwrap();
        let expected = [("authorization", "Basic abc"), ("x-team", "a")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(otlp.headers.0, expected);
        assert!(!format!("{otlp:?}").contains("abc"), "{otlp:?}");
    }

    #[test]
    fn what_decides_whether_and_where_and_cannot_be_honoured_stops_the_start() {
        for (name, value) in [
            ("OTEL_SDK_DISABLED", "yes"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_EXPORTER", "otlp,console"),
            ("OTEL_LOGS_EXPORTER", "console"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "smoke"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://me:secret@c/x?key=secret"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "c:4318"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere/key.pem"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ] {
            let error = read(&[(name, value), ENDPOINT]).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn other_values_that_are_not_understood_are_one_warning_each() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_PROPAGATORS", "tracecontext,b3"),
            ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "soon"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=a,broken"),
        ] {
            let logs = ("OTEL_LOGS_EXPORTER", "otlp");
            let read = read(&[(name, value), ENDPOINT, logs, ("OTEL_TRACES_SAMPLER", "traceidratio")]).unwrap();
            assert!(matches!(&read.warnings[..], [warning] if warning.contains(name)), "{:?}", read.warnings);
        }
        let fine = [
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_PROPAGATORS", "tracecontext,baggage"),
            ("OTEL_PYTHON_LOG_LEVEL", "nonsense"),
        ];
        let read = read(&fine).unwrap();
        assert_eq!((read.warnings.len(), read.joins_traces), (0, true));
        assert_eq!(read.traces.map(|otlp| (otlp.gzip, otlp.timeout)), Some((true, Duration::from_secs(1))));
    }

    #[test]
    fn the_service_name_wins_over_the_attributes() {
        let of = |variables: &[(&str, &str)]| read(variables).unwrap().service_name;
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=my%20shop,service.version=9");
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[attributes]).as_deref(), Some("my shop"));
        assert_eq!(of(&[attributes, ("OTEL_SERVICE_NAME", "other")]).as_deref(), Some("other"));
    }

    #[test]
    fn no_propagator_joins_no_trace() {
        for (value, joins) in [("none", false), ("baggage", false), ("tracecontext", true)] {
            assert_eq!(read(&[("OTEL_PROPAGATORS", value)]).unwrap().joins_traces, joins);
        }
    }
}
