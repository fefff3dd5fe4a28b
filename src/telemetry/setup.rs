//! Starts and stops what listens to `tracing`.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::asked::Asked;
use super::families as family;
use super::log_files::LogFiles;
use super::metrics::Metrics;
use super::panics;
use super::queue::LineQueue;
use crate::clock::Clock;
use crate::config::{LogFormat, Telemetry};

/// Used when `RUST_LOG` is not set. The crates named here tell their every step at `info`.
const DEFAULT_FILTER: &str = "info,ractor=off,sqlx=warn,pg_walstream=warn,hyper=warn,opentelemetry=warn,opentelemetry_sdk=warn";

/// How long the last lines may take to leave, for each place where they go.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// Keeps the listeners alive; [`Guard::shutdown`] flushes them.
#[derive(Debug, Default)]
pub struct Guard {
    traces: Option<SdkTracerProvider>,
    lines: Vec<LineQueue>,
}

impl Guard {
    /// Whether spans leave this process.
    #[must_use]
    pub fn is_tracing(&self) -> bool {
        self.traces.is_some()
    }

    /// Shows on `/metrics` how many log lines were dropped because nobody took them.
    pub fn register(&self, metrics: &Metrics) {
        let lines = self.lines.clone();
        metrics.observe(&family::LOG_LINES_DROPPED, move || {
            lines.iter().map(|queue| (vec![("target", queue.target().to_owned())], queue.dropped() as f64)).collect()
        });
    }

    /// Sends what is still to be sent. Blocks up to the exporter's time-out, so call it off the async workers and last.
    pub fn shutdown(mut self) {
        if let Some(provider) = self.traces.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last spans could not be sent");
        }
        for queue in &self.lines {
            queue.flush(FLUSH_PATIENCE);
        }
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
    /// `OTEL_*` asks for an exporter that cannot be built.
    #[error("cannot set up the OTLP exporter; check the OTEL_EXPORTER_OTLP_* variables")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// Telemetry was started before in this process.
    #[error("telemetry is already running")]
    AlreadyRunning(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts logging, and tracing if an endpoint is set. `log_folder` is where the log file goes, `None` for no file.
///
/// # Errors
/// [`SetupError`] if the log file or the exporter cannot be had.
pub fn start(config: &Telemetry, log_folder: Option<&Path>, instance: &str) -> Result<Guard, SetupError> {
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
    guard.traces = if endpoint_is_set() { Some(provider(instance)?) } else { None };
    let traces = guard.traces.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("kartshoppe"));
        // Spans go out whatever the log's level is, but the actor library's own never-ending ones stay out.
        layer.with_filter(Asked(EnvFilter::new("off,kartshoppe=info")))
    });
    tracing_subscriber::registry()
        .with(traces)
        .with(stderr.with_filter(filter()))
        .with(file.map(|layer| layer.with_filter(filter())))
        .try_init()
        .map_err(SetupError::AlreadyRunning)?;
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

fn endpoint_is_set() -> bool {
    let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    !disabled && (set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
}

fn provider(instance: &str) -> Result<SdkTracerProvider, SetupError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build().map_err(SetupError::Exporter)?;
    let mut resource = opentelemetry_sdk::Resource::builder();
    if std::env::var("OTEL_SERVICE_NAME").is_err() {
        resource = resource.with_service_name("kartshoppe");
    }
    let attributes = [
        opentelemetry::KeyValue::new("service.instance.id", instance.to_owned()),
        opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let resource = resource.with_attributes(attributes).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
