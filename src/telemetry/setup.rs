//! Starts and stops what listens to `tracing`.

use std::path::Path;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{Builder, Rotation};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::asked::Asked;
use crate::config::{LogFormat, Telemetry};

/// Used when `RUST_LOG` is not set. The crates named here tell their every step at `info`.
const DEFAULT_FILTER: &str = "info,ractor=off,sqlx=warn,pg_walstream=warn,hyper=warn,opentelemetry=warn,opentelemetry_sdk=warn";

/// Keeps the listeners alive; [`Guard::shutdown`] flushes them.
#[derive(Debug, Default)]
pub struct Guard {
    traces: Option<SdkTracerProvider>,
    log_file: Option<WorkerGuard>,
}

impl Guard {
    /// Whether spans leave this process.
    #[must_use]
    pub fn is_tracing(&self) -> bool {
        self.traces.is_some()
    }

    /// Sends what is still to be sent. Blocks up to the exporter's time-out, so call it off the async workers and last.
    pub fn shutdown(mut self) {
        if let Some(provider) = self.traces.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last spans could not be sent");
        }
        drop(self.log_file.take());
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
        source: tracing_appender::rolling::InitError,
    },
    /// The folder of the log file cannot be made.
    #[error("cannot make {folder} for log files")]
    LogFolder {
        folder: String,
        #[source]
        source: std::io::Error,
    },
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
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let stderr = tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr);
    let stderr = match config.log_format {
        LogFormat::Human => stderr.with_target(false).boxed(),
        LogFormat::Json => stderr.json().flatten_event(true).boxed(),
    };
    let mut guard = Guard::default();
    let file = match log_folder.filter(|_| config.log_file) {
        Some(folder) => {
            let (layer, worker) = file_layer(folder, config.log_files_kept)?;
            guard.log_file = Some(worker);
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
    Ok(guard)
}

fn file_layer<S>(folder: &Path, kept: usize) -> Result<(impl Layer<S> + use<S>, WorkerGuard), SetupError>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    // The appender complains on standard error about a folder that is not there yet.
    std::fs::create_dir_all(folder).map_err(|source| SetupError::LogFolder { folder: folder.display().to_string(), source })?;
    let file = Builder::new()
        .rotation(Rotation::DAILY)
        .filename_prefix("kartshoppe")
        .filename_suffix("log")
        .latest_symlink("kartshoppe.log")
        .max_log_files(kept.max(1))
        .build(folder)
        .map_err(|source| SetupError::LogFile { folder: folder.display().to_string(), source })?;
    let (writer, worker) = tracing_appender::non_blocking(file);
    Ok((tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer), worker))
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
