//! Starts and stops what listens to `tracing`, and what spans are made of.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SdkTracer, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::asked::Asked;
use super::export::{ExportError, Exporting, Origin};
use super::families as family;
use super::log_files::LogFiles;
use super::log_ring::{self, RingLayer};
use super::metrics::Metrics;
use super::names::attribute;
use super::otel_env::{self, EnvError, OtelEnv};
use super::panics;
use super::queue::LineQueue;
use super::sampling::{Sampler, Sampling};
use super::spans::{self, Tracers};
use crate::clock::Clock;
use crate::config::{Config, LogFormat, LogKind, RoleName, Telemetry};

/// Used when `RUST_LOG` is not set. The crates named here tell their every step at `info`.
const DEFAULT_FILTER: &str = "info,ractor=off,sqlx=warn,pg_walstream=warn,hyper=warn,opentelemetry=warn,opentelemetry_sdk=warn";

/// How long the last lines may take to leave, for each place where they go.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);
/// The conventions that names and types of attributes follow.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// Keeps the listeners alive; [`Guard::shutdown`] flushes them.
#[derive(Debug, Default)]
pub struct Guard {
    exporting: Option<Exporting>,
    lines: Vec<LineQueue>,
}

impl Guard {
    /// Whether spans leave this process.
    #[must_use]
    pub fn is_tracing(&self) -> bool {
        self.exporting.is_some()
    }

    /// Shows on `/metrics` what was dropped: log lines that nobody took, and spans that did not reach the collector.
    pub fn register(&self, metrics: &Metrics) {
        let lines = self.lines.clone();
        metrics.observe(&family::LOG_LINES_DROPPED, move || {
            lines.iter().map(|queue| (vec![("target", queue.target().to_owned())], queue.dropped() as f64)).collect()
        });
        let Some(exporting) = &self.exporting else { return };
        let counts = exporting.counts().clone();
        metrics.observe(&family::SPANS_EXPORTED, move || vec![(Vec::new(), counts.exported.load(Ordering::Relaxed) as f64)]);
        let counts = exporting.counts().clone();
        metrics.observe(&family::SPANS_DROPPED, move || {
            let reasons =
                [("queue_full", &counts.queue_full), ("export_failed", &counts.refused), ("left_behind", &counts.left_behind)];
            reasons.map(|(reason, count)| (vec![("reason", reason.to_owned())], count.load(Ordering::Relaxed) as f64)).into()
        });
    }

    /// Sends what is still to be sent, for a short while; to be called last.
    pub async fn shutdown(self) {
        if let Some(exporting) = &self.exporting {
            exporting.flush().await;
        }
        let flush = move || self.lines.iter().all(|queue| queue.flush(FLUSH_PATIENCE));
        let _ = tokio::task::spawn_blocking(flush).await;
    }
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The folder of the log file cannot be used.
    #[error("cannot write log files to {folder}")]
    LogFile {
        folder: String,
        #[source]
        source: io::Error,
    },
    /// The system gives no thread or no handle for the log's lines.
    #[error("cannot start the log")]
    Lines(#[source] io::Error),
    /// `OTEL_*` asks for what cannot be done.
    #[error("the environment's OTEL_* variables cannot be followed")]
    Environment(#[from] EnvError),
    /// The exporter that `OTEL_*` asks for cannot be built.
    #[error("cannot set up the OTLP exporter; check the OTEL_EXPORTER_OTLP_* variables")]
    Exporter(#[from] ExportError),
    /// Telemetry was started before in this process.
    #[error("telemetry is already running")]
    AlreadyRunning(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts logging, and tracing if the environment asks for it. `log_folder` is where the log file goes, `None` for no file. To be
/// called within the runtime.
///
/// # Errors
/// [`SetupError`] if the log file or the exporter cannot be had.
pub fn start(whole: &Config, log_folder: Option<&Path>, instance: &str) -> Result<Guard, SetupError> {
    let config = &whole.telemetry;
    let environment = otel_env::read()?;
    let filter = || Asked(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER)));
    let mut guard = Guard::default();
    // A handle of our own: the standard library's is locked while a write to it waits, and whoever else wrote to it would wait,
    // too.
    let own = io::stderr().as_fd().try_clone_to_owned().map_err(SetupError::Lines)?;
    let queue = LineQueue::start("standard error", File::from(own)).map_err(SetupError::Lines)?;
    guard.lines.push(queue.clone());
    let stderr = tracing_subscriber::fmt::layer().with_ansi(colours()).with_writer(queue);
    let stderr = match config.log_format {
        LogFormat::Human => stderr.with_target(false).boxed(),
        LogFormat::Json => stderr.json().flatten_event(true).boxed(),
    };
    let file = match log_folder.filter(|_| config.log_file) {
        Some(folder) => {
            let (layer, queue) = file_layer(folder, config)?;
            guard.lines.push(queue);
            Some(layer)
        }
        None => None,
    };
    tracing_subscriber::registry()
        .with(stderr.with_filter(filter()))
        .with(file.map(|layer| layer.with_filter(filter())))
        .with(RingLayer { ring: log_ring::ring(), clock: Clock::system() }.with_filter(filter()))
        .try_init()
        .map_err(SetupError::AlreadyRunning)?;
    environment.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    guard.exporting = start_tracing(whole, &environment, instance)?;
    panics::to_the_log();
    Ok(guard)
}

/// Only for a terminal that can show them and a person who wants them (<https://no-color.org>).
fn colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let able = std::env::var_os("TERM").is_some_and(|terminal| !terminal.is_empty() && terminal != "dumb");
    io::stderr().is_terminal() && able && !refused
}

fn file_layer<S>(folder: &Path, config: &Telemetry) -> Result<(impl Layer<S> + use<S>, LineQueue), SetupError>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let files = LogFiles::open(folder, config.log_file_max_bytes, config.log_files_kept, Clock::system())
        .map_err(|source| SetupError::LogFile { folder: folder.display().to_string(), source })?;
    let queue = LineQueue::start("the log file", files).map_err(SetupError::Lines)?;
    Ok((tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(queue.clone()), queue))
}

/// One tracer and resource per role; all of them share one queue and one client.
fn start_tracing(config: &Config, environment: &OtelEnv, instance: &str) -> Result<Option<Exporting>, SetupError> {
    let Some(otlp) = &environment.otlp else { return Ok(None) };
    let resource = |origin| resource(environment, origin, instance);
    let exporting = Exporting::start(otlp, environment.limits, resource).map_err(SetupError::Exporter)?;
    let tracer = |role| tracer(&exporting, Origin::Role(role), resource(Origin::Role(role)));
    let telemetry = &config.telemetry;
    spans::install(Tracers {
        api: tracer(RoleName::Api),
        inventory: tracer(RoleName::Inventory),
        cdc: tracer(RoleName::Cdc),
        browser: telemetry.browser_tracing.then(|| exporting.of(Origin::Browser)),
        sampling: Sampling {
            sampler: environment.sampler.unwrap_or(Sampler::ByRoot { stream: telemetry.stream_sample_ratio }),
            trusts_clients: telemetry.trust_client_sampling && environment.asks_parents,
            joins_traces: environment.joins_traces,
        },
        messaging_system: match config.log.kind {
            LogKind::Kafka => "kafka",
            LogKind::Embedded => "kartshoppe",
        },
    });
    Ok(Some(exporting))
}

fn tracer(exporting: &Exporting, origin: Origin, resource: Resource) -> SdkTracer {
    // What is sampled was decided at the root: whoever makes a span wants it.
    let provider = SdkTracerProvider::builder().with_sampler(SdkSampler::AlwaysOn).with_span_processor(exporting.of(origin));
    let scope = InstrumentationScope::builder("kartshoppe").with_version(env!("CARGO_PKG_VERSION")).with_schema_url(SCHEMA_URL);
    provider.with_resource(resource).build().tracer_with_scope(scope.build())
}

/// What is ours, then what the environment says, then the name, which is taken literally for all roles where one is set.
fn resource(environment: &OtelEnv, origin: Origin, instance: &str) -> Resource {
    let ours = [
        KeyValue::new("telemetry.sdk.name", "opentelemetry"),
        KeyValue::new("telemetry.sdk.language", "rust"),
        KeyValue::new("service.instance.id", instance.to_owned()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let theirs = environment.attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let name = environment.service_name.clone().unwrap_or_else(|| format!("kartshoppe-{}", origin.as_str()));
    let last = [KeyValue::new("service.name", name), KeyValue::new(attribute::ROLE, origin.as_str())];
    Resource::builder_empty().with_attributes(ours).with_attributes(theirs).with_attributes(last).build()
}
