//! Starts and stops what listens to `tracing`, and what spans are made of.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SdkTracer, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::asked::Asked;
use super::batches::ExportCounts;
use super::export::{ExportError, Exporting, Origin};
use super::families as family;
use super::log_export::LogExport;
use super::log_files::LogFiles;
use super::log_ring::{self, RingLayer};
use super::metric_export::MetricExport;
use super::metrics::{Metrics, Sample};
use super::names::attribute;
use super::otel_env::{self, EnvError, OtelEnv};
use super::otlp_client::TlsError;
use super::otlp_messages::key_value;
use super::panics;
use super::queue::LineQueue;
use super::sampling::{Sampler, Sampling};
use super::spans::{self, Tracers};
use super::traced_lines::{Shape, TracedLines};
use crate::clock::Clock;
use crate::config::{Config, LogFormat, LogKind, RoleName, Telemetry};

/// Used when `RUST_LOG` is not set. The crates named here log their every step at `info`.
const DEFAULT_FILTER: &str = "info,ractor=off,sqlx=warn,pg_walstream=warn,hyper=warn,opentelemetry=warn,opentelemetry_sdk=warn";

/// How long the last lines may take to leave, for each place where they go.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);
/// The conventions that names and types of attributes follow.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// Keeps the listeners alive; [`Guard::shutdown`] flushes them.
#[derive(Default)]
pub struct Guard {
    spans: Option<Exporting>,
    logs: Option<LogExport>,
    metrics: Option<Arc<MetricExport>>,
    /// What the metrics are read from, once it is there.
    registered: OnceLock<Metrics>,
    lines: Vec<LineQueue>,
}

impl Guard {
    /// Whether spans leave this process.
    #[must_use]
    pub fn is_tracing(&self) -> bool {
        self.spans.is_some()
    }

    /// Shows on `/metrics` what was dropped, and sends metrics from now on, if that is asked for. To be called within the runtime.
    pub fn register(&self, metrics: &Metrics) {
        let (lines, logs) = (self.lines.clone(), self.logs.as_ref().map(|logs| logs.counts().clone()));
        metrics.observe(&family::LOG_LINES_DROPPED, move || {
            let local = lines.iter().map(|queue| (queue.target(), queue.dropped()));
            let sent = logs.iter().map(|counts| ("the collector", counts.dropped()));
            local.chain(sent).map(|(target, count)| (vec![("target", target.to_owned())], count as f64)).collect()
        });
        if let Some(spans) = &self.spans {
            let counts = spans.counts().clone();
            metrics.observe(&family::SPANS_EXPORTED, move || vec![(Vec::new(), counts.exported.load(Ordering::Relaxed) as f64)]);
            let counts = spans.counts().clone();
            metrics.observe(&family::SPANS_DROPPED, move || dropped_by_reason(&counts));
        }
        if let Some(export) = &self.metrics {
            tokio::spawn(export.clone().run(metrics.clone()));
            let _ = self.registered.set(metrics.clone());
        }
    }

    /// Sends what is still to be sent, for a short while; to be called last.
    pub async fn shutdown(self) {
        let spans = async {
            if let Some(spans) = &self.spans {
                spans.flush().await;
            }
        };
        let metrics = async {
            if let (Some(export), Some(metrics)) = (&self.metrics, self.registered.get()) {
                export.flush(metrics).await;
            }
        };
        let logs = async {
            if let Some(logs) = &self.logs {
                logs.flush().await;
            }
        };
        tokio::join!(spans, metrics, logs);
        let flush = move || self.lines.iter().all(|queue| queue.flush(FLUSH_PATIENCE));
        let _ = tokio::task::spawn_blocking(flush).await;
    }
}

fn dropped_by_reason(counts: &ExportCounts) -> Vec<Sample> {
    let reasons = [("queue_full", &counts.queue_full), ("export_failed", &counts.refused), ("left_behind", &counts.left_behind)];
    reasons.map(|(reason, count)| (vec![("reason", reason.to_owned())], count.load(Ordering::Relaxed) as f64)).into()
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
    let mut guard = Guard { spans: start_tracing(whole, &environment, instance)?, ..Guard::default() };
    start_exports(&mut guard, &environment, instance).map_err(ExportError::Tls)?;
    // A handle of our own: the standard library's is locked while a write to it waits, and every other writer would wait,
    // too.
    let own = io::stderr().as_fd().try_clone_to_owned().map_err(SetupError::Lines)?;
    let queue = LineQueue::start("standard error", File::from(own)).map_err(SetupError::Lines)?;
    guard.lines.push(queue.clone());
    let stderr = tracing_subscriber::fmt::layer().with_ansi(colours()).with_writer(queue);
    let stderr = match config.log_format {
        LogFormat::Human => {
            let stderr = stderr.with_target(false);
            stderr.map_event_format(|inner| TracedLines { inner: inner.with_ansi(colours()), shape: Shape::Text }).boxed()
        }
        LogFormat::Json => {
            stderr.json().flatten_event(true).map_event_format(|inner| TracedLines { inner, shape: Shape::Json }).boxed()
        }
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
        .with(guard.logs.clone().map(|logs| logs.with_filter(filter())))
        .try_init()
        .map_err(SetupError::AlreadyRunning)?;
    environment.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
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
    let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(queue.clone());
    Ok((layer.map_event_format(|inner| TracedLines { inner, shape: Shape::Json }), queue))
}

/// One tracer and resource per role; all of them share one queue and one client.
fn start_tracing(config: &Config, environment: &OtelEnv, instance: &str) -> Result<Option<Exporting>, SetupError> {
    let Some(otlp) = &environment.traces else { return Ok(None) };
    let resource = |origin| resource(environment, Some(origin), instance);
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
    // What is sampled was decided at the root: a span that is made is wanted.
    let provider = SdkTracerProvider::builder().with_sampler(SdkSampler::AlwaysOn).with_span_processor(exporting.of(origin));
    let scope = InstrumentationScope::builder("kartshoppe").with_version(env!("CARGO_PKG_VERSION")).with_schema_url(SCHEMA_URL);
    provider.with_resource(resource).build().tracer_with_scope(scope.build())
}

/// Log lines and metrics are those of the process, whatever its roles.
fn start_exports(guard: &mut Guard, environment: &OtelEnv, instance: &str) -> Result<(), TlsError> {
    let ours = resource(environment, None, instance);
    let attributes = ours.iter().map(|(key, value)| key_value(key.as_str(), StringValue(value.to_string())));
    let resource = ProtoResource { attributes: attributes.collect(), ..ProtoResource::default() };
    if let Some(otlp) = &environment.logs {
        guard.logs = Some(LogExport::start(otlp, environment.log_limits, resource.clone())?);
    }
    if let Some(otlp) = &environment.metrics {
        guard.metrics = Some(Arc::new(MetricExport::new(otlp, environment.metric_interval, resource)?));
    }
    Ok(())
}

/// What is ours, then what the environment says, then the name, which is taken literally for all roles where one is set. Without
/// an origin it is that of the process.
fn resource(environment: &OtelEnv, origin: Option<Origin>, instance: &str) -> Resource {
    let ours = [
        KeyValue::new("telemetry.sdk.name", "opentelemetry"),
        KeyValue::new("telemetry.sdk.language", "rust"),
        KeyValue::new("service.instance.id", instance.to_owned()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let theirs = environment.attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let by_default = || origin.map_or_else(|| "kartshoppe".to_owned(), |origin| format!("kartshoppe-{}", origin.as_str()));
    let name = KeyValue::new("service.name", environment.service_name.clone().unwrap_or_else(by_default));
    let role = origin.map(|origin| KeyValue::new(attribute::ROLE, origin.as_str()));
    Resource::builder_empty().with_attributes(ours).with_attributes(theirs).with_attributes(role).with_attribute(name).build()
}
